"""Figures of trust: importance, effects, why at a place, coverage by block, and layers of doubt.

Drawn from what `explanation.json`, `conformal.json` and the maps of a run folder hold.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # without it there is no backend to style for
import numpy as np
import pandas as pd
import rasterio
from bokeh.models import FixedTicker
from numpy.typing import NDArray

from lsm_core.cartography import map_frame
from lsm_core.errors import RunError
from lsm_core.grid import Bounds
from lsm_core.plot_style import RUN_COLOURS, frame
from lsm_core.qgis_style import classes_style, ramp_style
from lsm_core.runs import Run

RAISES, LOWERS = RUN_COLOURS[1], RUN_COLOURS[0]
COARSE = 400  # cells a side, enough to see how far the values of a map go

# File in a run folder: title, colours by code or the name of a scale.
LAYERS: dict[str, tuple[str, Any]] = {
    "dissimilarity.tif": ("dissimilarity index", "viridis"),
    "applicability.tif": (
        "area of applicability",
        {1: ("inside", "#a6dba0"), 2: ("outside", "#7b3294")},
    ),
    "ensemble_mean.tif": ("mean of the seeds", "viridis"),
    "ensemble_spread.tif": ("spread of the seeds", "magma"),
    "dropout_mean.tif": ("mean with dropout on", "viridis"),
    "dropout_spread.tif": ("spread with dropout on", "magma"),
    "conformal.tif": (
        "prediction sets",
        {
            1: ("no landslide", "#2c7bb6"),
            2: ("landslide", "#d7191c"),
            3: ("both", "#ffffbf"),
            4: ("none", "#404040"),
        },
    ),
}


def importance_of(told: Mapping[str, Any], metric: str = "ap") -> hv.Overlay:
    """Fall of average precision (`metric="ap"`) or AUC ("auc") by factor, strongest at the top.

    `told` is what `explanation.json` holds. The lines are the range of 95 % over the repeats.
    """
    if metric not in ("ap", "auc"):
        raise RunError(f"importance is by 'ap' or 'auc', got {metric!r}")
    table = pd.DataFrame(told["importance"]).sort_values(f"{metric}_drop")
    drop, low, high = (table[f"{metric}_{what}"] for what in ("drop", "low", "high"))
    name = {"ap": "average precision", "auc": "AUC"}[metric]
    bars = hv.Bars((table["factor"], drop), "factor", "drop").opts(
        color=RUN_COLOURS[0], invert_axes=True, backend="bokeh"
    )
    ranges = hv.ErrorBars(
        (table["factor"], drop, drop - low, high - drop), "factor", ["drop", "below", "above"]
    ).opts(backend="bokeh")
    return (bars * ranges).opts(
        title=f"Permutation importance\n{told['places']:,} test places, {told['repeats']} repeats",
        xlabel="",
        ylabel=f"fall of {name}",
        **frame(),
        backend="bokeh",
    )


def effect_of(told: Mapping[str, Any], factor: str) -> hv.Overlay | hv.Bars:
    """ALE and partial dependence of a continuous factor as lines; of a category as bars.

    Both lines have mean 0, so that their shapes can be compared.
    """
    rows = pd.DataFrame([row for row in told["effects"] if row["factor"] == factor])
    if rows.empty:
        raise RunError(f"explanation.json tells nothing of {factor!r}: run `lsm explain` again")
    title, name = f"Effect of {factor.replace('_', ' ')}", factor.replace("_", " ")
    if rows["ale"].isna().all():
        return hv.Bars((rows["label"], rows["partial_dependence"]), name, "mean score").opts(
            title=f"{title} (partial dependence)",
            color=RUN_COLOURS[0],
            xrotation=45,
            **frame(),
            backend="bokeh",
        )
    dependence = rows["partial_dependence"] - rows["partial_dependence"].mean()
    lines = [
        hv.Curve((rows["value"], values), name, "change of the score", label=label).opts(
            color=colour, line_dash=dash, line_width=2, backend="bokeh"
        )
        for values, label, colour, dash in (
            (rows["ale"], "accumulated local effects", RUN_COLOURS[0], "solid"),
            (dependence, "partial dependence", RUN_COLOURS[1], "dashed"),
        )
    ]
    return hv.Overlay(lines).opts(title=title, legend_position="top_left", **frame())


def why_of(told: Mapping[str, Any], most: int = 10) -> hv.Bars:
    """What raised and what lowered the score of a place; `told` is what `explanation.why` gives."""
    factors = list(told["factors"])[:most][::-1]
    rows = [
        (
            f"{f['factor'].replace('_', ' ')}: {f['text']}",
            f["contribution"],
            RAISES if f["contribution"] > 0 else LOWERS,
        )
        for f in factors
    ]
    bars = hv.Bars(rows, "factor", ["contribution", "colour"])
    return bars.opts(
        title=f"Susceptibility {told['score']:.2f}\n{told['method']}",
        color="colour",
        invert_axes=True,
        xlabel="",
        ylabel=f"contribution ({told['scale']})",
        **frame(),
        backend="bokeh",
    )


def coverage_of(told: Mapping[str, Any]) -> hv.Overlay:
    """Share of each test block's places whose prediction set holds the truth, lowest block first.

    `told` is what `conformal.json` holds. The line is the coverage that was asked for; the larger a
    dot, the more places.
    """
    blocks = pd.DataFrame(told["test"]["blocks"]).sort_values("coverage", ignore_index=True)
    blocks["size"] = 4 + 12 * np.sqrt(blocks["places"] / blocks["places"].max())
    dots = hv.Points(
        (blocks.index + 1, blocks["coverage"], blocks["places"], blocks["size"]),
        ["test block", "coverage"],
        ["places", "size"],
    ).opts(color=RUN_COLOURS[0], size="size", alpha=0.7, tools=["hover"], backend="bokeh")
    asked = hv.HLine(1 - told["alpha"]).opts(
        color="#555555", line_dash="dotted", line_width=1, backend="bokeh"
    )
    return (asked * dots).opts(
        title=f"Coverage of prediction sets by block\n{told['test']['coverage']:.1%} of test "
        f"places, {1 - told['alpha']:.0%} asked for",
        ylim=(0, 1.02),
        **frame(),
        backend="bokeh",
    )


def layers_of(run: Run) -> dict[str, str]:
    """Title by file name of the maps of doubt that a run folder holds."""
    return {name: title for name, (title, _) in LAYERS.items() if (run.path / name).is_file()}


def layer_in_words(run: Run, name: str) -> str:
    """What was found when such a map was made, as a sentence; nothing where no file tells it."""
    stem = name.partition(".")[0].replace("dissimilarity", "applicability")
    told = run.path / f"{stem}.json"
    return str(json.loads(told.read_text()).get("words", "")) if told.is_file() else ""


def layer_of(run: Run, name: str, most: int = 1000) -> hv.Image:
    """One of these maps, at no more than `most` cells a side; what is nodata is clear.

    Raises
    ------
    RunError : there is no such layer, or the run folder has not got it.
    """
    if name not in LAYERS or not (run.path / name).is_file():
        there = ", ".join(layers_of(run)) or "none yet (`lsm applicability`, `lsm uncertainty`)"
        raise RunError(f"run {run.id} has no layer {name!r}; it has {there}")
    values, bounds = _read(run, name, most)
    image = layer_image(name, values, bounds, of_layer=layer_limits([run], name))
    colours = LAYERS[name][1]
    styles = {} if isinstance(colours, str) else _bar_of_codes(colours)
    heading = f"{LAYERS[name][0]}\n{run.title}, {run.recipe.protocol} protocol"
    return image.opts(colorbar=True, title=heading, **styles, **map_frame(bounds), backend="bokeh")


def layer_image(
    name: str,
    values: NDArray,
    bounds: Bounds,
    kdims: Sequence[Any] = ("x", "y"),
    of_layer: tuple[float, float] = (0, 1),
) -> hv.Image:
    """A window (y, x) of such a map, north up, in its colours; codes 0 and NaN are clear.

    `of_layer` : values of the lowest and the highest colour; of codes it is not asked.
    """
    title, colours = LAYERS[name]
    if isinstance(colours, str):
        styles: dict[str, Any] = {"cmap": colours, "clim": of_layer}
    else:
        values = np.where(values == 0, np.nan, values)
        styles = {
            "cmap": [colour for _, colour in colours.values()],
            "clim": (0.5, len(colours) + 0.5),
            "color_levels": len(colours),
        }
    image = hv.Image(values, bounds=bounds, kdims=list(kdims), vdims=[title])
    return image.opts(**styles, backend="bokeh")


def layer_limits(runs: Sequence[Run], name: str) -> tuple[float, float]:
    """Lowest and highest colour of a map, one scale for all these runs: a share is from 0 to 1,
    a spread or an index from 0 to the 99th percentile of the widest."""
    if not isinstance(LAYERS[name][1], str) or name.endswith("_mean.tif"):
        return 0.0, 1.0
    found = [_read(run, name, COARSE)[0] for run in runs if name in layers_of(run)]
    most = [np.nanpercentile(v, 99) for v in found if np.isfinite(v).any()]
    return 0.0, float(max(most, default=0)) or 1.0


def layer_style(run: Run, name: str) -> str:
    """The QGIS style of such a map, in the colours of its figure."""
    colours = LAYERS[name][1]
    if isinstance(colours, str):
        return ramp_style(hv.plotting.util.process_cmap(colours, 9), *layer_limits([run], name))
    return classes_style(colours)


def _read(run: Run, name: str, most: int) -> tuple[NDArray, Bounds]:
    with rasterio.open(run.path / name) as source:
        step = max(1.0, max(source.shape) / most)
        shape = tuple(max(2, round(n / step)) for n in source.shape)
        values = source.read(1, out_shape=shape).astype("float32")
        return values, tuple(source.bounds)


def _bar_of_codes(colours: Mapping[int, Sequence[str]]) -> dict[str, Any]:
    """The names of codes 1 to n at a colour bar."""
    names = {code: name for code, (name, _) in colours.items()}
    ticks = FixedTicker(ticks=list(colours))
    return {"colorbar_opts": {"major_label_overrides": names, "ticker": ticks}}
