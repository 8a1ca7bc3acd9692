"""Runs in words: the tables that the command line prints. Every one says its protocol."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lsm_core.model_cards import MENU
from lsm_core.recipe import Recipe
from lsm_core.runs import Run
from lsm_core.scoreboard import NULLS

TESTED = {
    "blocks": "whole blocks are",
    "clusters": "whole clusters are",
    "knndm": "a fold as far from the others as the map from the landslides is",
    "area": "whole areas are",
    "image": "whole years of the images are",
    "date": "the latest landslides are",
    "column": "what a column says is",
    "random": "landslides at random are",
    "stratified": "landslides at random, by strata, are",
    "buffered": "landslides at random are",
}


def tested_words(method: str) -> str:
    """What a method tests, as the beginning of a sentence; the method may be one's own."""
    return TESTED.get(method, f"what {method} (a split of one's own) holds out is")


def plan_in_words(recipe: Recipe, counts: dict[str, int], *, units: bool = False) -> str:
    """What a run is about to do, with every count of what was drawn and left out.

    `units` : whether the area is made of units, which know metres apart (`split.buffer`) only.
    """
    protocol = {
        "honest": f"honest protocol: {tested_words(recipe.method)} tested, {_gap(recipe, units)}",
        "paper": f"paper protocol: {recipe.method} split, as published",
    }[recipe.protocol]
    if recipe.split.folds:
        protocol += f"; fold {recipe.split.fold} of {recipe.split.folds}"
    lines = [f"{recipe.title or recipe.name} on {recipe.area}, size {recipe.size}", protocol]
    return "\n".join(lines + [f"  {name}: {n:,}" for name, n in counts.items()])


def _gap(recipe: Recipe, units: bool) -> str:
    buffer = recipe.split.buffer
    if units:
        return f"training units at least {buffer:g} m away" if buffer else "units split as they are"
    metres = f", and {buffer:g} m," if buffer else ""
    return f"training places at least {recipe.apart} cells{metres} away"


def selection_in_words(selection: dict[str, Any] | None) -> str:
    """Which factors a run keeps, and why not the others; empty where the recipe has no selection.

    >>> dropped = {"relief": "dropped: |r| = 0.91 with slope"}
    >>> print(selection_in_words({"kept": ["slope"], "dropped": dropped, "places": 812}))
    factors chosen on 812 training places: slope
      relief dropped: |r| = 0.91 with slope
    """
    if selection is None:
        return ""
    head = f"factors chosen on {selection['places']:,} training places: "
    lines = [f"  {name} {why}" for name, why in selection["dropped"].items()]
    return "\n".join([head + ", ".join(selection["kept"]), *lines])


def choice_in_words(run: Run) -> str:
    """Which factors a run learnt from, and why not from others."""
    chosen = selection_in_words(run.selection) or "no selection of factors"
    by_hand = [f"  {name} left out by hand: {why}" for name, why in _by_hand(run).items()]
    return "\n".join([f"{run.id}: {chosen}", *by_hand])


def _by_hand(run: Run) -> dict[str, str]:
    return run.recipe.input.left_out


def choices_of(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run and factor: kept, or why it was dropped, by rule or by hand.

    Empty where no run chose factors, and nobody left one out.
    """
    rows = [
        {"run": run.id, "factor": name, "decision": decision}
        for run in runs
        for name, decision in _decisions(run).items()
    ]
    return pd.DataFrame(rows, columns=["run", "factor", "decision"])


def _decisions(run: Run) -> dict[str, str]:
    by_hand = _by_hand(run)
    if not (run.selection or by_hand):
        return {}
    dropped = run.selection["dropped"] if run.selection else {}
    out = {name: f"left out by hand: {why}" for name, why in by_hand.items()}
    return dict.fromkeys(run.factors, "kept") | dropped | out


def model_in_words(run: Run) -> str:
    """What a run trained, from which recipe, what it learns from, and how many landslides.

    Size and landslides say where two runs are unlike though they are tested alike.
    """
    recipe, names = run.recipe, run.factors
    card = MENU.get(recipe.model.name)
    title = card.title if card else f"{recipe.model.name}, a model of one's own"
    listed = "no factor" if recipe.input.factors == () else "all factors of the area"
    if names:
        listed = f"{len(names)} factor{'s' * (len(names) > 1)}: {', '.join(names)}"
    bands = f"; of the image {', '.join(recipe.input.bands)}" if recipe.input.bands else ""
    shown = f"{recipe.input.form} input of {listed}{bands}"
    known = not recipe.by_chips and (run.path / "samples.parquet").is_file()
    learnt = f"; {_learnt(run):,} landslides learnt from" if known else ""
    return f"{title}, recipe {recipe.name}, size {recipe.size}, {shown}{learnt}"


def _learnt(run: Run) -> int:
    """Landslides among the training places, each once."""
    train = run.samples[(run.samples["split"] == "train") & (run.samples["label"] == 1)]
    return int(train["landslide_id"].nunique() if "landslide_id" in train else len(train))


def result_in_words(run: Run) -> str:
    """The result of one run in a few lines."""
    m = run.metrics
    return "\n".join(
        [
            f"{run.id} ({m['protocol']} protocol, {m['n']:,} test places, "
            f"prevalence {m['scores']['prevalence']:.2f})",
            f"AP {m['average_precision']:.3f}  AUC {m['roc_auc']:.3f}  "
            f"accuracy {m['scores']['accuracy']:.3f}  F1 {m['scores']['f1']:.3f}",
            *_mapped_in_words(m),
            *_nulls_in_words(m),
            f"leakage: {m['overlap']['verdict']}",
            *(f"zones, {where}: {s['words']}" for where, s in m.get("reasonableness", {}).items()),
            *(f"warning: {line}" for line in m.get("warnings", [])),
            f"seconds: {'  '.join(f'{k} {v:.0f}' for k, v in m['seconds'].items())}",
            f"run folder: {run.path}",
        ]
    )


def _nulls_in_words(m: dict[str, Any]) -> list[str]:
    """What models that know one thing only score on the same places."""
    found = [
        f"{NULLS.get(name, name)} AP {score['average_precision']:.3f} AUC {score['roc_auc']:.3f}"
        for name, score in (m.get("null_models") or {}).items()
    ]
    return [f"on the same places: {'; '.join(found)}"] if found else []


def _mapped_in_words(m: dict[str, Any]) -> list[str]:
    """Of a run on detected landslides: what it is worth on the mapped ones, and where they are."""
    if "mapped" not in m:
        return []
    told = m["detection"]
    words = [f"detected by {told['run']}: {line.strip()}" for line in told["words"].splitlines()]
    return [
        f"on the {m['mapped']['landslides']} mapped landslides of the same test ground: "
        f"AP {m['mapped']['average_precision']:.3f}  AUC {m['mapped']['roc_auc']:.3f}",
        *(line for line in words if "mapped landslides found" in line),
        f"detector: {told['leakage']['words']}",
    ]


def list_of(runs: list[Run]) -> pd.DataFrame:
    """One row a run: name, state, model, area, protocol, AP, AUC, when, tags."""
    return pd.DataFrame([_row(run) for run in runs])


def _row(run: Run) -> dict[str, Any]:
    status = run.status
    done = status["state"] == "done"
    return {
        "run": run.id,
        "state": status["state"],
        "model": run.recipe.model.name,
        "area": run.area["name"],
        "protocol": run.recipe.protocol,
        "AP": round(run.metrics["average_precision"], 3) if done else None,
        "AUC": round(run.metrics["roc_auc"], 3) if done else None,
        "created": status["created"][:16].replace("T", " "),
        "tags": ", ".join(run.tags),
        "message": status["message"],
    }


def units_in_words(judged: dict[str, pd.DataFrame]) -> str:
    """How well scores find the units that hold a landslide, by the way they were summed up."""
    if not judged:
        return "the units cannot be judged: those with a score are of one class only"
    parts = []
    for name, table in judged.items():
        first = table.iloc[0]
        title = (
            f"{name}: {first['units']:,} with a score, {first['landslide_units']:,} of them hold a "
            f"landslide (AP of a model that knows nothing: {first['prevalence']:.3f})"
        )
        shown = table.set_index("score")[["average_precision", "roc_auc"]].rename_axis(None)
        shown.columns = ["AP", "AUC"]
        parts.append(f"{title}\n{shown.to_string(float_format='{:.3f}'.format)}")
    if "all units" in judged and "held-out units" in judged:
        parts.append("all units: the model was trained on some of them")
    return "\n".join(parts)
