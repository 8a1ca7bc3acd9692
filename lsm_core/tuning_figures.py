"""Pictures of a search: the best score so far, and each key against the score.

Drawn from tables of trials (`tuning.trial_table`): on the page by Bokeh, as PNG by Matplotlib.
"""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # without them there is no backend to style for
import holoviews.plotting.mpl
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from lsm_core.errors import RunError
from lsm_core.plot_style import RUN_COLOURS, frame
from lsm_core.run_files import write_bytes

Tables = Mapping[str, pd.DataFrame]
DPI, INCHES = 110, 3.4  # of a panel
DASHES = ("solid", "dashed", "dotted", "dashdot")


def search_of(
    tables: Tables, space: Mapping[str, Mapping[str, list[Any]]], *, by: str, title: str = ""
) -> hv.Layout:
    """The best score so far by trial, then a panel a key: its values against the score.

    Parameters
    ----------
    tables : of `tuning.trial_table`, by what to call each search.
    space : of `search_space.plain_space`; it says which axes are logarithmic.
    by : what the score is. title : of the first panel.

    Raises
    ------
    RunError : no table, or none with a score.
    """
    panels = [best_so_far_of(tables, by=by, title=title)]
    panels += [
        parameter_of(tables, key, kind=next(iter(line)), by=by) for key, line in space.items()
    ]
    return (
        hv.Layout(panels)
        .cols(3)
        .opts(shared_axes=False, backend="bokeh")
        .opts(shared_axes=False, tight=True, sublabel_format="", backend="matplotlib")
    )


def best_so_far_of(tables: Tables, *, by: str, title: str = "") -> hv.Overlay:
    """The highest score so far by trial, a step line a search; dots are the trials themselves.

    The dotted line is the recipe as it stood (iteration 0), where a table has it.
    """
    there = {name: table for name, table in tables.items() if table["score"].notna().any()}
    if not there:
        raise RunError("no trial has a score: there is nothing to draw")
    words, parts = by.replace("_", " "), []
    for i, (name, table) in enumerate(there.items()):
        colour = RUN_COLOURS[i % len(RUN_COLOURS)]
        made = table[table["iteration"] > 0]
        at = ("trial", f"{words} (validation)")
        line = hv.Curve((made["iteration"], made["best_so_far"]), *at, label=name)
        style = {"color": colour, "interpolation": "steps-post"}
        dash = {"linestyle": DASHES[i % 4], "linewidth": 2}
        line = line.opts(line_width=2, **style, backend="bokeh").opts(
            **style, **dash, backend="matplotlib"
        )
        dots = _dots(made["iteration"], made["score"], at, colour, 0.5)
        parts += [line, dots]
    first = next(iter(there.values()))
    before = first.loc[first["iteration"] == 0, "score"]
    if len(before):
        parts.append(
            hv.HLine(float(before.iloc[0]))
            .opts(color="#555555", line_dash="dotted", line_width=1, backend="bokeh")
            .opts(color="#555555", linestyle=":", linewidth=1, backend="matplotlib")
        )
    heading = f"{title}\nbest so far; dotted: the recipe as it stood".strip()
    return _styled(hv.Overlay(parts), heading, legend_position="bottom_right")


def parameter_of(tables: Tables, key: str, *, kind: str, by: str) -> hv.Overlay:
    """The values of one key against the score, a dot a trial; choices and None stand by name."""
    words, parts = by.replace("_", " "), []
    at = (key.split(".")[-1].replace("_", " "), f"{words} (validation)")
    names = _names(tables, key) if kind == "choice" else None
    for i, table in enumerate(tables.values()):
        found = table[table["score"].notna() & (table["iteration"] > 0)]
        x = found[key].to_numpy()
        if names is not None:
            # so that trials of one choice are seen beside each other
            x = np.array([names.index(_name(value)) for value in x]) + 0.25 * (
                (np.arange(len(x)) * 0.618) % 1 - 0.5
            )
        parts.append(_dots(x, found["score"], at, RUN_COLOURS[i % len(RUN_COLOURS)], 0.8))
    more: dict[str, Any] = {"logx": True} if kind.startswith("log") else {}
    if names is not None:
        more |= {"xticks": list(enumerate(names)), "xlim": (-0.5, len(names) - 0.5)}
    return _styled(hv.Overlay(parts), key, show_legend=False, **more)


def save_png(figure: hv.Layout, path: Path) -> None:
    """A figure of this room as PNG, drawn by Matplotlib; no browser is needed."""
    picture = BytesIO()
    hv.save(figure, picture, fmt="png", backend="matplotlib", dpi=DPI)
    write_bytes(path, picture.getvalue())


def _dots(x: Any, score: Any, at: tuple[str, str], colour: str, alpha: float) -> hv.Scatter:
    dots = hv.Scatter((np.asarray(x), np.asarray(score)), *at)
    return dots.opts(
        color=colour, size=6, alpha=alpha, show_legend=False, tools=["hover"], backend="bokeh"
    ).opts(color=colour, s=22, alpha=alpha, show_legend=False, backend="matplotlib")


def _styled(overlay: hv.Overlay, title: str, **more: Any) -> hv.Overlay:
    usual = frame() | {"responsive": False, "width": 380, "height": 320}
    usual.pop("min_width")
    return overlay.opts(title=title, **usual, **more, backend="bokeh").opts(
        title=title,
        fig_inches=INCHES,
        show_grid=True,
        aspect="auto",
        hooks=[_box],
        **more,
        backend="matplotlib",
    )


def _box(plot: Any, element: Any) -> None:
    """Panels of one shape, whatever their scales; whole numbers where trials are counted."""
    axes = plot.handles["axis"]
    axes.set_box_aspect(0.85)
    if axes.get_xlabel() == "trial":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _names(tables: Tables, key: str) -> list[str]:
    return sorted({_name(value) for table in tables.values() for value in table[key]})


def _name(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
