"""Printed figures: size, letters, geometry, the numbers drawn, and that they can be made again."""

import json
import re
import shutil
import zlib

import matplotlib
import numpy as np
import pandas as pd
import pytest
import rasterio
import yaml
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from PIL import Image
from test_figures import GRID, make_area, make_run

from lsm_core import print_factors, print_maps, print_panels, publication
from lsm_core.catalog import shipped
from lsm_core.errors import RecipeError, RunError
from lsm_core.print_style import (
    Look,
    check_letters,
    fonts_with,
    languages,
    make_look,
    missing_letters,
    name_of,
    styled,
    words_of,
)
from lsm_core.runs import open_run
from lsm_core.zoning import level_colours

BOUNDS = (339000.0, 3819000.0, 362600.0, 3847200.0)
QUIET = Look(landslides="none", relief=0, graticule=False, inset=False)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("print")
    area = make_area(root)
    for i, name in enumerate(("cnn", "lsgh")):
        make_run(area, root / "runs", name, seed=i)
    return root


@pytest.fixture(scope="module")
def runs(workspace):
    return [open_run(path.parent) for path in sorted((workspace / "runs").glob("*/status.json"))]


def drawn(name, runs, look):
    with styled(look):
        return publication.draw(name, runs, look)


# --------------------------------------------------------------------------------------- words


def test_no_language_lacks_a_term():
    words = yaml.safe_load((shipped("publication") / "terms.yaml").read_text(encoding="utf-8"))
    assert set(languages()) >= {"en", "zh", "es", "fr", "it", "de"}
    for code, terms in words.items():
        assert set(terms) == set(words["en"]), code
        for key, text in words["en"].items():
            assert isinstance(terms[key], str), (code, key)
            assert terms[key].strip(), (code, key)
            assert re.findall(r"{\w+}", terms[key]) == re.findall(r"{\w+}", text), (code, key)


def test_a_factor_without_an_entry_keeps_its_name():
    assert name_of("slope", words_of("fr")) == "Pente"
    assert name_of("my_own_index", words_of("fr")) == "my own index"


def test_a_font_that_lacks_letters_is_told_and_nothing_is_written(runs, tmp_path):
    look = make_look({"language": "zh", "fonts": "DejaVu Sans"})
    with pytest.raises(RecipeError, match=r"DejaVu Sans lacks the letters .*[一-鿿]"):
        publication.write_figure("density", runs, look, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_letters_are_looked_for_in_every_font():
    assert missing_letters("Übersicht °′", ["DejaVu Sans"]) == ""
    assert missing_letters("滑坡 a", ["DejaVu Sans", "DejaVu Serif"]) == "滑坡"
    assert "DejaVu Sans" in fonts_with("∂Ω", most=50)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"width_mm": 5}, "width-mm"),
        ({"language": "tlh"}, "labels are in en, zh"),
        ({"fonts": "Helvetika Neu"}, "no font 'Helvetika Neu'"),
        ({"colours": "jet"}, "colours"),
        ({"style": "/nowhere/own.mplstyle"}, "no style file"),
    ],
)
def test_a_mistake_in_the_options_is_one_sentence(given, words):
    with pytest.raises(RecipeError, match=words):
        styled(make_look(given)).__enter__()


# --------------------------------------------------------------------------------- size, letters


@pytest.mark.parametrize(("width", "dpi"), [(90, 300), (190, 150)])
def test_files_are_as_wide_as_asked_in_millimetres(runs, tmp_path, width, dpi):
    look = make_look({"width_mm": width, "height_mm": 80, "dpi": dpi})
    publication.write_figure("roc", runs, look, tmp_path, ["png", "tiff", "svg", "pdf"])
    for ending in ("png", "tiff"):
        with Image.open(tmp_path / f"roc.{ending}") as image:
            assert image.size == (int(width / 25.4 * dpi), int(80 / 25.4 * dpi))
            assert float(image.info["dpi"][0]) == pytest.approx(dpi, abs=1)
    points = float(re.search(r'width="([\d.]+)pt"', (tmp_path / "roc.svg").read_text())[1])
    assert points == pytest.approx(width / 25.4 * 72, abs=0.01)
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", (tmp_path / "roc.pdf").read_bytes())
    assert float(box[1]) == pytest.approx(width / 25.4 * 72, abs=0.01)


def test_text_is_text_in_svg_and_pdf(runs, tmp_path):
    look = make_look({"language": "de", "fonts": "DejaVu Serif"})
    publication.write_figure("density", runs, look, tmp_path, ["svg", "pdf"])
    svg = (tmp_path / "density.svg").read_text(encoding="utf-8")
    assert re.search(r"<text[^>]*>Suszeptibilitätsklasse</text>", svg)
    assert "DejaVu Serif" in svg
    pdf = (tmp_path / "density.pdf").read_bytes()
    assert b"/Subtype /Type3" not in pdf
    assert b"/FontFile2" in pdf  # TrueType, embedded
    assert "Rutschungsdichte" in _text_of(pdf)


def _text_of(pdf):
    """What the text operators of a PDF show, without the kerning between letters."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S):
        try:
            plain = zlib.decompress(stream).decode("latin-1")
        except zlib.error:
            continue
        for show in re.findall(r"(\[.*?\] TJ|\((?:[^()\\]|\\.)*\) Tj)", plain, re.S):
            found.append("".join(re.findall(r"\(((?:[^()\\]|\\.)*)\)", show)))
    return " ".join(found).replace("\0", "")  # two bytes a letter


def test_a_style_file_of_ones_own_is_taken(runs, tmp_path):
    (tmp_path / "own.mplstyle").write_text("axes.facecolor: ffeecc\nfont.size: 30\n")
    look = make_look({"style": str(tmp_path / "own.mplstyle"), "size": 7})
    axes = drawn("roc", runs, look).axes[0]
    assert matplotlib.colors.to_hex(axes.get_facecolor()) == "#ffeecc"
    assert axes.xaxis.label.get_size() == 7  # an option wins
    assert matplotlib.rcParams["axes.facecolor"] == "white"  # as it was, outside


# ---------------------------------------------------------------------------------- the ground


def test_the_drawn_bar_has_that_length_on_paper(runs):
    """Its outline, in mm of the sheet, against the map's own scale."""
    look = Look(width_mm=90)
    figure = drawn("susceptibility", runs[:1], look)
    sheet = next(a for a in figure.axes if a.get_label() == "sheet")
    outline = next(p for p in sheet.patches if p.get_gid() == "scale bar")
    named = [t.get_text() for t in sheet.texts if re.fullmatch(r"[\d.]+ k?m", t.get_text())]
    value, unit = named[0].split()
    metres = float(value) * (1000 if unit == "km" else 1)
    left, right = figure.axes[0].get_xlim()
    map_mm = figure.axes[0].get_position().width * 90
    on_ground = outline.get_width() / map_mm * (right - left) / 0.99989  # UTM's scale there
    assert on_ground == pytest.approx(metres, rel=0.01)


def test_a_map_shows_its_numbers_in_their_place(runs):
    """Without relief every cell has the colour of its value, at its coordinates; NaN is clear."""
    look = QUIET.model_copy(update={"dpi": 300})
    figure = drawn("susceptibility", runs[:1], look)
    image = figure.axes[0].images[0]
    with rasterio.open(runs[0].map_path) as source:
        values, bounds = source.read(1), source.bounds
    left, right, bottom, top = image.get_extent()
    assert (left, bottom, right, top) == pytest.approx(tuple(bounds))
    rgba = np.asarray(image.get_array())
    assert rgba.shape[:2] == values.shape  # no finer than the raster, no coarser than the paper
    here = np.isfinite(values)
    assert (rgba[..., 3] > 0).tolist() == here.tolist()
    expected = (colormaps["viridis"](values[here]) * 255).round()
    assert np.abs(rgba[here].astype(int) - expected).max() <= 1


def test_a_raster_is_read_no_finer_than_the_paper_shows(runs):
    look = QUIET.model_copy(update={"width_mm": 30, "dpi": 50})
    image = drawn("zones", runs[:1], look).axes[0].images[0]
    assert max(np.asarray(image.get_array()).shape) < min(GRID.shape)


UNEQUAL, FIFTHS = [0, 0.1, 0.35, 0.5, 0.6, 1], [0, 0.2, 0.4, 0.6, 0.8, 1]


@pytest.mark.parametrize(("breaks", "limits"), [("natural", UNEQUAL), ("equal 0.2", FIFTHS)])
def test_classes_of_a_map_are_those_of_the_breaks(runs, tmp_path, breaks, limits):
    run = open_run(shutil.copytree(runs[0].path, tmp_path / "run"))
    table = run.density_table
    natural = (table["breaks"] == "natural") & (table["where"] == "whole map")
    table.loc[natural, "from"], table.loc[natural, "to"] = UNEQUAL[:-1], UNEQUAL[1:]
    table.to_csv(run.path / "density_table.csv", index=False)
    figure = drawn("zones", [open_run(run.path)], QUIET.model_copy(update={"breaks": breaks}))
    with rasterio.open(run.map_path) as source:
        values = source.read(1)
    here = np.isfinite(values)
    expected = np.digitize(values[here], limits[1:-1])
    colours = np.array([to_rgb(colour) for colour in level_colours(5)]) * 255
    rgba = np.asarray(figure.axes[0].images[0].get_array())[here]
    assert np.abs(rgba[:, :3] - colours[expected]).max() <= 1
    words = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert ("Very high, 0.8–1" in words) == (breaks == "equal 0.2")


def test_breaks_that_a_run_does_not_count_by_are_named(runs):
    with pytest.raises(RunError, match=r"no classes by .tenths.; it has .*natural"):
        drawn("zones", runs[:1], QUIET.model_copy(update={"breaks": "tenths"}))


def test_landslides_lie_at_their_places(workspace, runs):
    figure = drawn("zones", runs[:1], Look(inset=False, graticule=False))
    dots = figure.axes[0].lines[0]
    places = print_maps._places(runs[0])
    np.testing.assert_allclose(dots.get_xdata(), places[0])
    np.testing.assert_allclose(dots.get_ydata(), places[1])
    outlined = drawn("zones", runs[:1], Look(inset=False, graticule=False, landslides="polygons"))
    assert not outlined.axes[0].collections  # this inventory has points only: dots again
    assert len(outlined.axes[0].lines[0].get_xdata()) == len(places[0])


# ------------------------------------------------------------------------------------- numbers


def test_curves_are_those_of_the_run(runs):
    figure = drawn("curves", runs, Look(width_mm=190))
    precision_recall, roc = figure.axes[:2]
    for i, run in enumerate(runs):
        line = roc.lines[i]
        area = np.trapezoid(line.get_ydata(), line.get_xdata())
        assert area == pytest.approx(run.metrics["roc_auc"], abs=1e-6)
        assert f"AUC {run.metrics['roc_auc']:.3f}" in line.get_label()
        step = precision_recall.lines[i]
        recall, precision = step.get_xdata(), step.get_ydata()
        average = np.sum(np.diff(recall) * precision[1:])
        assert average == pytest.approx(run.metrics["average_precision"], abs=1e-6)


def test_density_bars_and_table_say_what_the_run_says(runs):
    look = Look(breaks="equal 0.2", where="test blocks", language="es")
    figure = drawn("density", runs, look)
    table = runs[1].density_table
    own = table[(table["breaks"] == "equal 0.2") & (table["where"] == "test blocks")]
    heights = [bar.get_height() for bar in figure.axes[1].containers[1]]
    assert heights == pytest.approx(own.sort_values("zone")["density"].tolist())
    assert figure.axes[0].get_xticklabels()[0].get_text() == "Muy baja\n0–0.2"
    assert figure.axes[1].get_ylabel().endswith("(Deslizamientos / Celdas)")
    printed = drawn("density_table", runs, look)
    texts = [t.get_text() for t in printed.axes[0].texts]
    assert f"{own['cells'].iloc[0]:,}" in texts


def test_limits_stand_below_classes_where_all_runs_have_the_same():
    table = pd.DataFrame({"class": ["Low", "High"] * 2, "from": [0, 0.31] * 2, "to": [0.31, 1] * 2})
    assert print_panels._ticks(table, ["Low", "High"]) == ["Low\n0–0.31", "High\n0.31–1"]
    table.loc[2, "to"] = 0.4
    assert print_panels._ticks(table, ["Low", "High"]) == ["Low", "High"]


def test_histograms_beside_each_other_have_one_scale(runs):
    figure = drawn("histogram", runs, Look(width_mm=190))
    one, other = (axes.get_ylim() for axes in figure.axes)
    assert one == other
    shares = [np.asarray(run.metrics["histogram"]["count"], float) for run in runs]
    assert one[1] >= max(100 * share.max() / share.sum() for share in shares)


@pytest.mark.parametrize("width", [60, 190])
def test_every_map_says_its_run_and_protocol(runs, width):
    figure = drawn("zones", runs, QUIET.model_copy(update={"width_mm": width}))
    titles = [axes.get_title("left") for axes in figure.axes if axes.get_title("left")]
    assert [" ".join(title.split()) for title in titles] == [
        "(a) CNN, honest protocol", "(b) LSGH, honest protocol",
    ]  # fmt: skip
    assert max(title.count("\n") for title in titles) == (width == 60)


def test_classes_that_a_run_has_not_are_told(runs):
    with pytest.raises(
        RunError, match=r"no zoning table by 'quantile'.*it has .*natural / whole map"
    ):
        print_panels.density_rows(runs, Look(breaks="quantile"))


def test_importance_is_what_the_run_was_explained_by(workspace, runs, tmp_path):
    rows = [
        {"factor": "slope", "ap_drop": 0.2, "ap_low": 0.15, "ap_high": 0.22},
        {"factor": "twi", "ap_drop": 0.05, "ap_low": 0.04, "ap_high": 0.06},
    ]
    path = runs[0].path / "explanation.json"
    path.write_text(json.dumps({"importance": rows}))
    try:
        axes = drawn("importance", runs[:1], Look(language="it")).axes[0]
    finally:
        path.unlink()
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.05, 0.2])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["TWI", "Pendenza"]
    assert axes.get_xlabel() == "Calo della precisione media (95 %)"


def test_runs_that_learnt_from_the_same_places_share_the_panel_of_a_forest(runs, monkeypatch):
    heights = np.random.default_rng(1).normal(size=40)
    label = (heights + np.tile([0.2, -0.2], 20) > 0).astype(int)
    ground = pd.DataFrame({"elevation": heights, "slope": heights[::-1]})
    monkeypatch.setattr(print_factors, "_training_table", lambda run: (ground, [], label))
    (panel,) = drawn("importance", runs, Look()).axes
    title = " ".join(panel.get_title("left").split())
    assert title == "Random forest on the training places of CNN, LSGH, honest protocol"
    assert panel.get_xlabel() == "Accuracy lost when shuffled (95 %)"
    tables = iter([ground, ground[["elevation"]]] * 2)
    monkeypatch.setattr(print_factors, "_training_table", lambda run: (next(tables), [], label))
    assert len(drawn("importance", runs, Look()).axes) == 2


def test_correlation_asks_for_training_places(runs):
    with pytest.raises((RunError, Exception), match=r"samples\.parquet|encoder"):
        print_factors.correlation_table(runs[0])


def test_of_different_grids_no_figure_is_made(runs, tmp_path, workspace):
    from lsm_core.grid import Grid

    aside = Grid(GRID.shape, GRID.transform.translation(900, 0) * GRID.transform, GRID.crs)
    area = make_area(tmp_path, "aside", aside)
    other = make_run(area, tmp_path / "runs", "aside", grid=aside)
    with pytest.raises(RunError, match="different areas or grids"):
        print_maps.map_figure([runs[0], other], "zones", Look())


def test_check_letters_sees_titles(runs):
    look = Look()
    with styled(look):
        figure = publication.draw("roc", runs, look)
        figure.axes[0].set_title("山")
        with pytest.raises(RecipeError, match="山"):
            check_letters(figure, look)
