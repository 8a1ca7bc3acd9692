"""A run in the sentences of a paper: how it was made, and what its numbers cannot say.

Every sentence is made from the run's own folder and its study area. What a reader of a method
section asks for stands in it, in the order of the work: data, samples, split, model, evaluation.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lsm_core.errors import LsmError
from lsm_core.labelling import UNLABELLED
from lsm_core.report import tested_words
from lsm_core.runs import Run
from lsm_core.sections import Training
from lsm_core.side_by_side import model_key
from lsm_core.study_area import is_units, open_area

FORMS = {
    "table": "its own values",
    "onehot": "the classes of its values as a square binary image",
    "classes": "the numbers of its classes",
    "window": "a window of {size} x {size} cells around it",
    "windows": "windows of {sizes} cells around it, resampled to the smallest",
    "chip": "a chip of {size} x {size} cells, of which every cell gets a score",
}
ZONED = {"natural": "natural breaks", "equal": "equal intervals", "quantile": "quantiles"}
USES = {"train": "Learnt from", "validation": "Kept for validation", "test": "Tested on"}
DRAWN = {  # by `origin` of the samples
    "landslide": "landslides",
    "landslide cell": "further cells of landslides",
    "negative": "places without a landslide",
    "evaluation negative": "places drawn at random outside landslides",
    UNLABELLED: "places whose label was not looked at",
    "chip with landslides": "chips with landslides",
    "chip without": "chips without a landslide",
    "cell without": "cells without a landslide",
}
SHARES = ("random", "stratified", "blocks", "clusters", "knndm", "buffered")  # use `split.test`
FEW = 100  # landslides, below which a test says little


def methods_of(run: Run) -> list[str]:
    """Paragraphs on how a finished run was made: samples, protocol, model, evaluation, map."""
    parts = (_inputs, _samples, _protocol, _taken_over, _model, _evaluation, _zones)
    told = (" ".join(part(run)) for part in parts)
    return [words for words in told if words]


def repeats_of(runs: Sequence[Run]) -> list[str]:
    """That a model was run several times, by seed or fold: no words on a single run."""
    if len(runs) < 2:
        return []
    seeds = sorted({run.recipe.seed for run in runs})
    folds = sorted({run.recipe.split.fold for run in runs if run.recipe.split.folds})
    told = [f"seeds {_these(seeds)}"] + ([f"folds {_these(folds)}"] if folds else [])
    return [
        f"It was run {len(runs)} times ({'; '.join(told)}); counts and numbers of this section are "
        f"those of the first run, means over all stand in the tables."
    ]


def _these(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def limits_of(runs: Sequence[Run]) -> list[str]:
    """What must be said beside the numbers of these runs, a sentence each."""
    said: dict[str, list[str]] = {}
    for run in runs:
        for words in _limits(run):
            said.setdefault(words, []).append(f"{run.title} ({run.recipe.protocol})")
    found = [
        words if len(whose) == len(runs) else f"{', '.join(dict.fromkeys(whose))}: {words}"
        for words, whose in said.items()
    ]
    if len({model_key(run) for run in runs}) == len(runs):
        found.append("each model was trained once: what another seed would give is not shown")
    return found


# ------------------------------------------------------------------------------ paragraph by part


def _inputs(run: Run) -> Iterator[str]:
    shown = run.recipe.input
    given = [_counted(run.factors, "factor") if run.factors else "no factors"]
    if shown.bands:
        given.append(_counted(shown.bands, "band", " of the image"))
    yield f"{run.title} was given {' and '.join(given)}."
    form = FORMS["windows" if len(shown.sizes) > 1 else shown.form]
    sizes = " and ".join(map(str, sorted(shown.sizes)))
    yield f"Of each place it was shown {form.format(size=shown.size, sizes=sizes)}."
    if run.selection:
        dropped = run.selection["dropped"]
        why = "; ".join(f"{name} {words}" for name, words in dropped.items()) or "none"
        yield f"Factors were chosen on training places alone; left out: {why}."
    if shown.left_out:
        why = "; ".join(f"{name} ({words})" for name, words in shown.left_out.items())
        yield f"Left out by hand: {why}."


def _counted(names: Sequence[str], what: str, of: str = "") -> str:
    return f"{len(names)} {what}{'s' * (len(names) > 1)}{of} ({', '.join(names)})"


def _samples(run: Run) -> Iterator[str]:
    samples = run.samples
    for split, use in USES.items():
        drawn = samples[samples["split"] == split]["origin"].value_counts()
        drawn = drawn.sort_index(key=lambda names: names.map(_rank), kind="stable")
        if len(drawn):
            yield f"{use}: {', '.join(f'{n:,} {_drawn(str(o))}' for o, n in drawn.items())}."
    yield from _chips(run) if run.recipe.by_chips else _places(run)


def _rank(origin: str) -> int:
    """Landslides first, in the order of `DRAWN`; what is not named there last."""
    return [*DRAWN, origin].index(origin)


def _drawn(origin: str) -> str:
    """What samples of an origin are: `heat 0.2-0.4` names an interval of the heatmap."""
    return DRAWN.get(origin, f"soft samples with {origin}" if "heat" in origin else origin)


def _places(run: Run) -> Iterator[str]:
    drawn = run.recipe.samples
    name = drawn.negatives if isinstance(drawn.negatives, str) else drawn.negatives["strategy"]
    yield f"Places without a landslide were drawn by the strategy {name}."
    if drawn.labelled is not None:
        yield f"Only {drawn.labelled} training places kept their label."
    heat = drawn.heatmap
    if heat is not None:
        yield (
            f"Soft samples were drawn from a Gaussian heatmap that is 1 at a landslide and 0.1 at "
            f"{heat.diameter / 2:g} cells from it, {heat.per_interval:g} for each landslide and "
            f"interval of heat."
        )


def _chips(run: Run) -> Iterator[str]:
    chips, size = run.recipe.chips_or_usual, run.recipe.chip
    yield (
        f"Chips lie {chips.stride or size} cells from one to the next; of the training chips "
        f"without a landslide {chips.empty:.0%} were kept."
    )
    if run.recipe.input.form == "chip" and chips.augment:
        yield "Training chips were turned and mirrored at random."


def _protocol(run: Run) -> Iterator[str]:
    recipe = run.recipe
    if recipe.protocol == "honest":
        tested = tested_words(recipe.method)
        yield f"Under the honest protocol {tested} tested, split before all else."
        yield _gap(run)
    else:
        tested = tested_words(recipe.method)
        yield f"Under the paper protocol {tested} tested, as in the method's publication."
    yield from _shares(run)
    overlap = run.metrics["overlap"]
    window = overlap["window"]
    seen = f"windows of {window} x {window} cells" if window > 1 else "a window of one cell"
    yield (
        f"Of the test places {overlap['share']:.1%} overlap a training place ({seen}); "
        f"the leakage meter says: {overlap['verdict']}."
    )


def _gap(run: Run) -> str:
    """How far training lies from the test: units know metres apart only."""
    recipe = run.recipe
    buffer = recipe.split.buffer
    if _of_units(run) and not buffer:
        return "Units were split as they are, with no gap between them."
    if _of_units(run):
        return f"Training units lie at least {buffer:g} m from test units."
    if recipe.by_chips:
        return f"Training chips begin at least {recipe.apart_chips} cells from a test chip."
    metres = f", and {buffer:g} m," if buffer else ""
    return f"Training places lie at least {recipe.apart} cells{metres} from test places."


def _of_units(run: Run) -> bool:
    """Whether its area is made of units; one that is gone leaves what the run itself shows."""
    try:
        return is_units(open_area(run.area_path))
    except LsmError:
        return run.on_units


def _shares(run: Run) -> Iterator[str]:
    """How large blocks are, and how much of the landslides was held out."""
    split, method = run.recipe.split, run.recipe.method
    side = split.block or run.metrics.get("counts", {}).get("side of a block, m")
    if method == "blocks" and side:
        yield f"Blocks are squares of {side:,.0f} m."
    if split.column:
        yield f"The column {split.column} says it."
    if split.folds:
        yield f"Fold {split.fold} of {split.folds} was tested (seed {split.seed} of the split)."
    elif method in SHARES:
        yield (
            f"About {split.test:.0%} of the landslides were held out, {split.validation:.0%} of "
            f"the others for validation (seed {split.seed} of the split)."
        )


def _taken_over(run: Run) -> Iterator[str]:
    """Of a transfer: where the model comes from, and what it saw of this area."""
    told: Mapping[str, Any] | None = run.metrics.get("transfer")
    if not told:
        return
    here, labels = run.area["name"], told["target_labels"]
    seen = f"{labels:,} places of {here} with a label"
    if told["how"] == "scratch":
        yield f"Nothing was taken over: it learnt from {seen}."
        return
    yield (
        f"The model comes from {told['source_area']}: {told['source']}, learnt from "
        f"{told['source_places']:,} places there."
    )
    taught = len(told.get("rounds", []))
    yield {
        "direct": "It was used as it is",
        "self": f"It went on learning from its own confident answers, in {taught} rounds",
        "inductive": f"It was fine-tuned on {seen}",
        "pooled": f"It was learnt anew from both areas, from {seen}",
    }[told["how"]] + ("." if labels else f"; no label of {here} was looked at.")


def _model(run: Run) -> Iterator[str]:
    recipe, options = run.recipe, run.recipe.model.options
    told = ", ".join(f"{name} = {value}" for name, value in options.items())
    settings = f"{told}; otherwise the program's defaults" if told else "the program's defaults"
    yield f"The model is {recipe.model.name} ({settings}), seed {recipe.seed}."
    epochs = [event for event in _events(run) if event["event"] == "epoch"]
    if epochs:
        t = recipe.training
        yield (
            f"It was trained for {len(epochs)} epochs (at most {t.epochs}) in batches of {t.batch} "
            f"with {t.optimizer}, rate {t.learning_rate:g} and loss {t.loss}; "
            f"{_stopped(t, len(epochs))}."
        )
    if recipe.calibration != "none":
        yield f"Scores were calibrated on validation places ({recipe.calibration})."


def _stopped(training: Training, epochs: int) -> str:
    """Why a network stopped learning, and which of its weights were kept."""
    if training.patience is None:
        return "nothing stopped it early, and its last weights were kept"
    watched = f"validation {training.watch.replace('_', ' ')}"
    kept = f"the weights of the epoch with the best {watched} were kept"
    if epochs >= training.epochs:
        return kept
    return f"{training.patience} epochs without a better {watched} ended it, and {kept}"


def _events(run: Run) -> list[dict[str, Any]]:
    path = run.path / "progress.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _evaluation(run: Run) -> Iterator[str]:
    m = run.metrics
    yield (
        f"It was tested on {m['n']:,} places, {m['landslides']:,} of them landslides. Average "
        f"precision is {m['average_precision']:.3f} and the area under the ROC curve "
        f"{m['roc_auc']:.3f}."
    )
    s = m["scores"]
    yield (
        f"At the threshold 0.5 accuracy is {s['accuracy']:.3f}, precision {s['precision']:.3f}, "
        f"recall {s['recall']:.3f} and F1 {s['f1']:.3f} (of the class landslide)."
    )


def _zones(run: Run) -> Iterator[str]:
    if not run.recipe.map:
        yield "No map was made."
        return
    zoning = run.recipe.zoning
    yield f"The map has {zoning.k} classes by {ZONED.get(zoning.method, zoning.method)}."


# --------------------------------------------------------------------------------------- limits


def _limits(run: Run) -> Iterator[str]:
    m = run.metrics
    yield from m.get("warnings", [])
    if run.recipe.protocol == "paper":
        yield (
            "test places lie among training places, so that the numbers say how well the model "
            "fills gaps between known landslides, and not what it would do on new ground"
        )
    if not m["overlap"]["verdict"].startswith("clean"):
        yield m["overlap"]["verdict"]
    if m["landslides"] < FEW:
        yield f"only {m['landslides']} landslides are tested: intervals are wide"
    balance, prior = m["landslides"] / m["n"], m.get("prior")
    if prior and not np.isclose(balance, prior["area"], atol=0.05):
        yield (
            f"{balance:.0%} of the test places are landslides, of the area's {run.counted} "
            f"{prior['area']:.2%}: precision and accuracy are those of the test places"
        )
    yield "places without a landslide are places where none was mapped"
