"""The diagram from data to map: a run's own numbers, in boxes that hold their words."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch
from small_runs import small_run

from lsm_core import publication
from lsm_core.errors import RunError
from lsm_core.print_route import steps_of
from lsm_core.print_style import Look, styled, words_of

LONG = "ANameWithoutAnySpaceThatIsLongerThanAnyBoxOfThisDiagramCouldEverBe_and_on $5 % <b>$x_y$"
FOREST = {
    "model": {"name": "random_forest", "options": {"n_estimators": 5}},
    "input": {"form": "table", "left_out": {"aspect": "it says little"}},
    "title": LONG,
    "map": True,
}
FEW = ("slope", "elevation", "twi", "lithology")
FOREST["input"] |= {"factors": FEW}
FOREST["selection"] = {"pearson": 0.2, "importance": None, "vif": None}


@pytest.fixture(scope="module")
def run(sample_workspace, tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("runs"), **FOREST)


def drawn(run, **look):
    with styled(Look(dpi=100, **look)):
        return publication.draw("route", [run], Look(dpi=100, **look))


def sheet_of(figure):
    (sheet,) = figure.axes
    return sheet


def steps(sheet):
    return [patch for patch in sheet.patches if patch.get_gid() == "step"]


def test_the_boxes_hold_the_numbers_of_the_run(run):
    said = {step.title: " | ".join(step.lines) for step in steps_of(run, words_of("en"))}
    assert list(said) == [
        *("Data", "Split", "Samples", "Factors", "Model", "Evaluation", "Map"),
    ]
    m, samples = run.metrics, run.samples
    assert f"{m['counts']['landslides']:,} landslides" in said["Data"]
    assert "cells of 180 m" in said["Data"]
    assert "Honest protocol | Blocks of 6,000 m | 30 % test, 15 % of the rest" in said["Split"]
    assert "At least 1 cells apart" in said["Split"]
    train = samples[samples["split"] == "train"]["label"]
    assert f"Training: {len(train):,} places, {train.sum():,} with landslides" in said["Samples"]
    out = [*run.selection["dropped"], "aspect"]
    assert f"{len(run.factors)} kept: " in said["Factors"]
    assert f"{len(out)} dropped: " in said["Factors"]
    assert said["Factors"].endswith("Aspect")
    assert LONG in said["Model"]
    assert f"AP {m['average_precision']:.3f}, AUC {m['roc_auc']:.3f}" in said["Evaluation"]
    assert "5 classes, natural breaks" in said["Map"]


@pytest.mark.parametrize("language", ["en", "de", "fr"])
@pytest.mark.parametrize("width", [40, 90, 120, 190])
def test_no_word_leaves_its_box_and_no_box_the_sheet(run, width, language):
    figure = drawn(run, width_mm=width, language=language)
    sheet, renderer = sheet_of(figure), FigureCanvasAgg(figure).get_renderer()
    boxes = [box.get_window_extent(renderer) for box in steps(sheet)]
    assert len(boxes) == 7
    whole = figure.bbox
    assert all(whole.x0 <= b.x0 and b.x1 <= whole.x1 for b in boxes)
    assert all(whole.y0 <= b.y0 and b.y1 <= whole.y1 for b in boxes)
    for text in sheet.texts:
        at = text.get_window_extent(renderer)
        inside = [
            b for b in boxes if b.x0 < at.x0 and at.x1 < b.x1 and b.y0 < at.y0 and at.y1 < b.y1
        ]
        assert len(inside) == 1, text.get_text()
    arrows = [patch for patch in sheet.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == 6


def test_a_height_is_kept_with_smaller_letters_or_refused(run):
    free = drawn(run, width_mm=90)
    high = free.get_size_inches()[1] * 25.4
    low = drawn(run, width_mm=90, height_mm=0.8 * high)
    assert low.get_size_inches()[1] * 25.4 == pytest.approx(0.8 * high)
    sizes = [max(text.get_size() for text in sheet_of(figure).texts) for figure in (free, low)]
    assert sizes[1] < sizes[0]
    with pytest.raises(RunError, match=r"in 30 mm: give --height-mm \d+ or more"):
        drawn(run, width_mm=90, height_mm=30)


def test_words_are_text_and_dollars_are_no_formula(run, tmp_path):
    publication.write_figure("route", [run], Look(width_mm=190), tmp_path, ["svg"])
    svg = (tmp_path / "route.svg").read_text("utf-8")
    assert ">Evaluation</text>" in svg
    assert "$5" in svg
    assert "$x_y$" in svg


def test_no_run_is_told():
    with pytest.raises(RunError, match="name at least one run"), styled(Look()):
        publication.draw("route", [], Look())
