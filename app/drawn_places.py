"""What the sampling page chose, as a recipe; the places it draws, and what they let through."""

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import pandas as pd
import panel_material_ui as pmui
import xarray as xr

from lsm_app.session import Session
from lsm_core.diagrams import nearness_of
from lsm_core.leakage import overlap_report
from lsm_core.null_models import easy_negatives, null_models, slope_auc
from lsm_core.own_recipes import replaced
from lsm_core.protocol import Places, draw_places
from lsm_core.recipe import Recipe
from lsm_core.sections import AS_PUBLISHED

PROTOCOLS = ("honest", "paper")
SHARES = ("seed", "test", "validation")  # of a split, whatever its method
SEES_CELLS = ("table", "classes")  # forms of input that no window goes with
DRAWN = ("train: ", "validation: ", "test: ")  # counts that the legend shows


class Drawn(NamedTuple):
    """Places under a protocol, the leakage meter and what models that know one thing score."""

    recipe: Recipe
    places: Places
    overlap: dict[str, Any]
    slope: float | None
    nulls: dict[str, dict[str, float]]


# ---------------------------------------------------------------------------- what is chosen


def chosen(session: Session, base: Recipe, cell: float) -> dict[str, Any]:
    """The page's choices as settings of a recipe, by dotted keys; `cell` is its size in metres."""
    heat = {"diameter": 2 * session.radius / cell} | dict(session.heat)
    made: dict[str, Any] = {
        "protocol": session.protocol,
        "split": dict(session.split),
        "samples.negatives": dict(session.negatives) or "random",
        "samples.negatives_per_landslide": session.ratio,
        "samples.heatmap": heat if session.soft else None,
    }
    sizes = windows_of(session, base)
    if sizes:
        several = len(sizes) > 1
        made |= {"input.form": "window", "input.sizes": sizes if several else []}
        made |= {"input.size": min(sizes)}
    elif base.input.form == "window":
        made |= {"input.form": "table", "input.sizes": []}
    return made


def windows_of(session: Session, base: Recipe) -> list[int]:
    """Windows a model of this recipe looks at, smallest first; none for tables."""
    if base.input.form in SEES_CELLS:
        return []
    return sorted({int(size) for size in session.sizes if size > 0})


def recipe_under(session: Session, base: Recipe, cell: float, protocol: str) -> Recipe:
    """The recipe that would be kept, or the same under the other protocol by its usual split."""
    changes = chosen(session, base, cell) | {"protocol": protocol}
    method = session.split.get("method")
    if protocol != session.protocol and method not in AS_PUBLISHED:
        changes["split"] = {k: v for k, v in session.split.items() if k in SHARES}
    return replaced(base, changes)


def draw(ds: xr.Dataset, recipe: Recipe) -> Drawn:
    """Places of a recipe on an area, and what they let through."""
    places = draw_places(ds, recipe)
    samples = places.samples
    overlap = overlap_report(samples, recipe.window, ds)
    trained = samples[samples["split"] == "train"]
    return Drawn(recipe, places, overlap, slope_auc(ds, trained), null_models(ds, samples))


def counted(drawn: Drawn) -> str:
    """What was left out on the way, in the core's words."""
    counts = drawn.places.counts
    said = [f"{name}: {n:,}" for name, n in counts.items() if not name.startswith(DRAWN) and n]
    return f"{drawn.recipe.protocol} protocol. " + "; ".join(said)


def verdicts(drawn: Drawn) -> list[pmui.Alert]:
    """The meter's sentence, and the one on negatives that are too easy."""
    verdict = drawn.overlap["verdict"]
    window = (
        f"windows of {drawn.recipe.window} cells" if drawn.recipe.window > 1 else "single cells"
    )
    words = f"Leakage under {drawn.recipe.protocol}, {window}: {verdict}."
    said = [(words, "success" if verdict.startswith("clean") else "warning")]
    at_random = drawn.nulls.get("slope", {}).get("roc_auc")
    if drawn.slope is None or at_random is None:
        said.append(("No factor named slope: how easy the negatives are is not measured.", "info"))
    else:
        easy = easy_negatives(drawn.slope, at_random)
        fine = f"Slope alone tells the training places with AUC {drawn.slope:.3f}"
        said.append(
            (f"Negatives {easy}." if easy else f"{fine}.", "warning" if easy else "success")
        )
    return [
        pmui.Alert(object=escape(w), severity=s, margin=(5, 0), sizing_mode="stretch_width")
        for w, s in said
    ]


def meter(found: Sequence[Drawn]) -> Any:
    """One row a protocol."""
    rows = [
        {
            "protocol": d.recipe.protocol,
            "split": d.recipe.method,
            "window": d.recipe.window,
            "test places": int((d.places.samples["split"] == "test").sum()),
            "overlap (%)": 100 * d.overlap["share"],
            "landslides in both": d.overlap["shared_landslides"],
            "nearest training place": _median(d.overlap),
            "slope-only AUC, training": d.slope,
            "slope-only AUC, test": d.nulls.get("slope", {}).get("roc_auc"),
            "nearness-only AUC, test": d.nulls.get("distance", {}).get("roc_auc"),
        }
        for d in found
    ]
    table = pd.DataFrame(rows)
    scores = [name for name in table if "AUC" in name]
    return (
        table.style.hide(axis="index")
        .format("{:.3f}", subset=scores, na_rep="–")
        .format("{:.1f}", subset=["overlap (%)"])
        .format("{:,}", subset=["test places", "landslides in both"])
    )


def _median(overlap: dict[str, Any]) -> str:
    near, unit = overlap.get("nearest_cells"), overlap["unit"]
    return f"{near[2]:,.0f} {unit} (median)" if near else "–"


def nearness(drawn: Drawn) -> Any:
    """The meter's curves."""
    title = f"{drawn.recipe.protocol} protocol, {drawn.recipe.method}"
    return nearness_of(drawn.overlap, title)
