"""A run's technical route for print: boxes from data to map with its own numbers, and arrows."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, Rectangle

from lsm_core.errors import LsmError, RunError
from lsm_core.grid import grid_of
from lsm_core.labelling import UNLABELLED
from lsm_core.map_furniture import INK, LINE, Box, sheet_of
from lsm_core.model_cards import MENU
from lsm_core.print_style import EM, MM, Look, blank, first_up, name_of, words_of
from lsm_core.run_files import read_json
from lsm_core.runs import Run, read_progress
from lsm_core.study_area import is_units, open_area

Words = Mapping[str, str]
Line = tuple[float, str]
Wide = Callable[[str, bool], float]  # mm of a text, bold or not
HEAD = "#e3ebf3"
SMALL = 0.875  # of the look's letters, below a title
STEP, INNER = 1.3, 0.6  # letters: from line to line, and from a box's edge to its text
HANG = 0.9  # letters that a line lies in which goes on with what the line above it says
GAP = 2.2  # letters between boxes: an arrow's length
LEAST = 4.0  # points, the smallest letters
MOST_SOURCES = 6  # named; further ones are counted
SHARES = ("random", "stratified", "blocks", "clusters", "knndm", "buffered")  # use `split.test`


class Step(NamedTuple):
    """One box: its title and what is said in it."""

    title: str
    lines: list[str]


def route_figure(runs: Sequence[Run], look: Look) -> Figure:
    """From the data to the map, in the order of the work, with the numbers of the first run.

    One column of boxes where the paper is narrow, else rows that are read from left to right. The
    figure is as high as its words need; where the look says a height, letters shrink to it.

    Raises
    ------
    RunError : no run, one that is not done, or a height that is too low for the smallest letters.
    """
    if not runs:
        raise RunError("no route to draw: name at least one run")
    steps = steps_of(runs[0], words_of(look.language))
    size = look.size
    while (high := _height(steps, look, size)) > (look.height_mm or high):
        size -= 0.5
        if size < LEAST:
            raise RunError(
                f"a route of {look.width_mm:g} mm is not drawn in {look.height_mm:g} mm: give "
                f"--height-mm {high:.0f} or more, or none"
            )
    figure = blank(look, high)
    sheet = sheet_of(figure, look)
    rows, boxes = _boxes(steps, look, size, look.height_mm or high)
    for step, box in zip(steps, boxes, strict=True):
        _draw(sheet, step, box, look, size)
    for i, (one, other) in enumerate(itertools.pairwise(boxes)):
        _arrow(sheet, one, other, beside=(i + 1) % rows != 0, size=size)
    return figure


# --------------------------------------------------------------------------------- what is said


def steps_of(run: Run, words: Words) -> list[Step]:
    """The boxes of a run: data, split, samples, factors, model, evaluation, map."""
    parts = {
        "data": _data, "split": _split, "samples": _samples, "factors": _factors,
        "model": _model, "evaluation": _evaluation, "map": _map,
    }  # fmt: skip
    return [Step(words[name], list(say(run, words))) for name, say in parts.items()]


def _data(run: Run, words: Words) -> Iterator[str]:
    yield first_up(run.area["name"].replace("_", " "))
    try:
        ds = open_area(run.area_path)
    except LsmError:  # it is gone: the run knows the rest
        ds = None
    if ds is not None and is_units(ds):
        yield words["units_counted"].format(n=f"{ds.sizes['unit']:,}")
    elif ds is not None:
        grid = grid_of(ds)
        rows, cols = (f"{n:,}" for n in grid.shape)
        yield words["cells_of"].format(rows=rows, cols=cols, metres=f"{grid.cell_size:.4g}")
    n = run.metrics.get("counts", {}).get("landslides")
    if n is not None:
        yield words["landslides_counted"].format(n=f"{n:,}")
    sources = list(run.area.get("fingerprints", {}))
    if sources:
        more = len(sources) - MOST_SOURCES
        named = [name.replace("_", " ") for name in sources[:MOST_SOURCES]]
        yield words["sources"].format(names=", ".join(named + [f"+ {more}"] * (more > 0)))


def _split(run: Run, words: Words) -> Iterator[str]:
    recipe, split = run.recipe, run.recipe.split
    yield first_up(words[recipe.protocol])
    side = split.block or run.metrics.get("counts", {}).get("side of a block, m")
    blocks = recipe.method == "blocks" and side
    yield words["blocks_of"].format(metres=f"{side:,.0f}") if blocks else recipe.method
    if split.folds:
        yield words["fold_of"].format(fold=split.fold, folds=split.folds)
    elif recipe.method in SHARES:
        shares = {"test": f"{100 * split.test:.0f}", "validation": f"{100 * split.validation:.0f}"}
        yield words["held_out"].format(**shares)
    if recipe.protocol == "honest" and not run.on_units:
        apart = recipe.apart_chips if recipe.by_chips else recipe.apart
        yield words["cells_apart"].format(n=apart)
    if split.buffer:
        yield words["metres_apart"].format(n=f"{split.buffer:g}")


def _samples(run: Run, words: Words) -> Iterator[str]:
    recipe, table = run.recipe, run.samples
    hard = table[(table["label"] >= 0) & (table["origin"] != UNLABELLED)]
    for part, name in (("train", "training"), ("validation", "validation"), ("test", "test")):
        own = hard[hard["split"] == part]["label"]
        if len(own):
            counts = {"n": f"{len(own):,}", "landslides": f"{int(own.sum()):,}"}
            yield words["part_counted"].format(part=words[name], **counts)
    free = int((table["origin"] == UNLABELLED).sum())
    soft = len(table) - len(hard) - free
    if soft and recipe.samples.heatmap:
        across = f"{recipe.samples.heatmap.diameter:g}"
        yield words["soft_counted"].format(n=f"{soft:,}", cells=across)
    if free:
        yield words["unlabelled_counted"].format(n=f"{free:,}")
    if not recipe.by_chips:
        drawn = recipe.samples.negatives
        name = drawn if isinstance(drawn, str) else drawn["strategy"]
        yield words["negatives_by"].format(strategy=str(name).replace("_", " "))


def _factors(run: Run, words: Words) -> Iterator[str]:
    out = [*(run.selection["dropped"] if run.selection else {}), *run.recipe.input.left_out]
    for term, names in (("kept", run.factors), ("dropped", out)):
        if names:
            named = ", ".join(name_of(name, words) for name in names)
            yield words[term].format(n=len(names), names=named)
    if run.recipe.input.bands:
        yield words["bands_of"].format(names=", ".join(run.recipe.input.bands))


def _model(run: Run, words: Words) -> Iterator[str]:
    recipe = run.recipe
    card = MENU.get(recipe.model.name)
    yield card.title if card else recipe.model.name
    if run.title not in (recipe.name, card and card.title):
        yield run.title
    sizes = ", ".join(map(str, sorted(recipe.input.sizes or (recipe.input.size,))))
    yield words[f"shown_{recipe.input.form}"].format(sizes=sizes)
    transfer = run.metrics.get("transfer")
    if transfer:
        whence = transfer.get("source_area", run.area["name"]).replace("_", " ")
        yield words["transfer_from"].format(how=transfer["how"], source=whence)
    epochs = sum(event.get("event") == "epoch" for event in read_progress(run.path)[0])
    if epochs:
        yield words["epochs_of"].format(n=epochs, loss=recipe.training.loss.replace("_", " "))
    yield words["seed"].format(n=recipe.seed)


def _evaluation(run: Run, words: Words) -> Iterator[str]:
    m = run.metrics
    yield words["test_places"].format(n=f"{m['n']:,}")
    yield f"AP {m['average_precision']:.3f}, AUC {m['roc_auc']:.3f}"
    if m["scores"].get("f1") is not None:
        yield f"F1 {m['scores']['f1']:.3f}"
    if "overlap" in m:
        yield words["overlap"].format(share=f"{100 * m['overlap']['share']:.1f}")


def _map(run: Run, words: Words) -> Iterator[str]:
    if not run.recipe.map:
        yield words["no_map"]
        return
    mapped = run.metrics.get("counts", {}).get("cells mapped")
    if mapped:
        yield words["units_counted" if run.on_units else "cells_mapped"].format(n=f"{mapped:,}")
    zones = read_json(run.path / "zones.json", dict) if (run.path / "zones.json").is_file() else {}
    method = str(zones.get("method", run.recipe.zoning.method))
    yield words["classes_by"].format(n=run.recipe.zoning.k, method=words.get(method, method))


# ----------------------------------------------------------------------------------- how it lies


def _columns(look: Look) -> int:
    return 1 if look.width_mm < 120 else 3 if look.width_mm < 150 else 4


def _room(look: Look, em: float) -> float:
    """Width of a box, mm."""
    n = _columns(look)
    return (look.width_mm - em - (n - 1) * GAP * em) / n


def _lines(step: Step, look: Look, size: float) -> tuple[list[Line], list[Line]]:
    """Title and words of a box in lines that fit into it, with how far each lies in."""
    wide, em = _measure(look, size), size * EM
    room = _room(look, em) - 2 * INNER * em
    body = [
        (HANG * (i > 0), line)
        for text in step.lines
        for i, line in enumerate(_wrapped(text, room - HANG * em, wide, bold=False))
    ]
    return [(0.0, line) for line in _wrapped(step.title, room, wide, bold=True)], body


def _box_height(step: Step, look: Look, size: float) -> float:
    title, body = _lines(step, look, size)
    return (STEP * (len(title) + SMALL * len(body)) + 4 * INNER) * size * EM


def _height(steps: Sequence[Step], look: Look, size: float) -> float:
    rows = _row_heights(steps, look, size)
    return sum(rows) + ((len(rows) - 1) * GAP + 1) * size * EM


def _row_heights(steps: Sequence[Step], look: Look, size: float) -> list[float]:
    highs, n = [_box_height(step, look, size) for step in steps], _columns(look)
    return [max(highs[i : i + n]) for i in range(0, len(highs), n)]


def _boxes(steps: Sequence[Step], look: Look, size: float, high: float) -> tuple[int, list[Box]]:
    """How many boxes lie beside each other, and all of them, from the top of the sheet."""
    em, n, wide = size * EM, _columns(look), _room(look, size * EM)
    found, top = [], high - em / 2
    for row, tall in enumerate(_row_heights(steps, look, size)):
        for i in range(len(steps[row * n : (row + 1) * n])):
            found.append(Box(em / 2 + i * (wide + GAP * em), top - tall, wide, tall))
        top -= tall + GAP * em
    return n, found


def _measure(look: Look, size: float) -> Wide:
    """Width of a text in mm, as its fonts draw it."""
    renderer = FigureCanvasAgg(Figure(dpi=look.dpi)).get_renderer()

    def wide(text: str, bold: bool) -> float:
        letters = FontProperties(
            size=size if bold else SMALL * size, weight="bold" if bold else "normal"
        )
        return renderer.get_text_width_height_descent(text, letters, False)[0] / look.dpi * MM

    return wide


def _wrapped(text: str, room: float, wide: Wide, *, bold: bool) -> list[str]:
    """A text in lines no wider than the room; a word that is wider than a line is cut."""
    lines = [""]
    for word in text.split():
        for part in _parts(word, room, wide, bold):
            joined = f"{lines[-1]} {part}".strip()
            if wide(joined, bold) <= room:
                lines[-1] = joined
            else:
                lines.append(part)
    return lines


def _parts(word: str, room: float, wide: Wide, bold: bool) -> Iterator[str]:
    while wide(word, bold) > room and len(word) > 1:
        fits = next((n for n in range(len(word) - 1, 1, -1) if wide(word[:n], bold) <= room), 1)
        yield word[:fits]
        word = word[fits:]
    yield word


# ---------------------------------------------------------------------------------------- drawn


def _draw(sheet: Axes, step: Step, box: Box, look: Look, size: float) -> None:
    """A box with its title on a pale ground, and its words below."""
    title, body = _lines(step, look, size)
    em, left, top = size * EM, box.left + INNER * size * EM, box.bottom + box.height
    head = (STEP * len(title) + 1.4 * INNER) * em
    sheet.add_patch(Rectangle((box.left, top - head), box.width, head, fc=HEAD, ec="none"))
    whole = Rectangle((box.left, box.bottom), box.width, box.height, fill=False, ec=INK, lw=LINE)
    whole.set_gid("step")
    sheet.add_patch(whole)
    y = top - 0.7 * INNER * em
    for lines, weight, share in ((title, "bold", 1.0), (body, "normal", SMALL)):
        for inside, line in lines:
            sheet.text(
                left + inside * em, y - STEP * share * em / 2, line, va="center_baseline",
                size=share * size, weight=weight, color=INK, parse_math=False,
            )  # fmt: skip
            y -= STEP * share * em
        y -= 1.5 * INNER * em


def _arrow(sheet: Axes, one: Box, other: Box, *, beside: bool, size: float) -> None:
    """From a box to the one beside it, or to the first of the row below."""
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": size, "shrinkA": 0}
    style |= {"shrinkB": 0, "lw": 1.2 * LINE, "color": INK}
    if beside:
        y = max(one.bottom, other.bottom) + min(one.height, other.height) / 2
        ends = (one.left + one.width, y), (other.left, y)
    else:
        turn, x = other.bottom + other.height + GAP * size * EM / 2, one.left + one.width / 2
        begin, under = (x, one.bottom), other.left + other.width / 2
        if x != under:
            sheet.plot([x, x, under], [one.bottom, turn, turn], color=INK, lw=1.2 * LINE)
            begin = (under, turn)
        ends = begin, (under, other.bottom + other.height)
    sheet.add_patch(FancyArrowPatch(*ends, **style))
