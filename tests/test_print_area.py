"""Printed maps of the ground: who is tested, drawn where it lies; factors in their own colours."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from matplotlib import colormaps
from small_runs import small_run

from lsm_core import drawn_layers, print_area, publication
from lsm_core.errors import RunError
from lsm_core.layer_colours import Look as Colours
from lsm_core.layer_colours import look_of
from lsm_core.map_furniture import Box
from lsm_core.print_style import Look, styled, words_of
from lsm_core.study_area import open_area

FOREST = {
    "model": {"name": "random_forest", "options": {"n_estimators": 5}},
    "input": {"form": "table"},
    "map": False,
}
BARE = Look(width_mm=120, dpi=60, relief=0, graticule=False, inset=False)


@pytest.fixture(scope="module")
def runs(sample_workspace, tmp_path_factory):
    into = tmp_path_factory.mktemp("runs")
    return [small_run(into, **FOREST, protocol=name) for name in ("honest", "paper")]


def drawn(name, some, look=BARE):
    with styled(look):
        return publication.draw(name, some, look)


def maps_of(figure):
    return [axes for axes in figure.axes if axes.get_label() not in ("sheet", "inset")]


def texts_of(figure):
    (sheet,) = [axes for axes in figure.axes if axes.get_label() == "sheet"]
    return [text.get_text() for text in sheet.texts]


def test_every_landslide_is_drawn_in_the_part_it_has(runs):
    run = runs[0]
    ds = open_area(run.area_path)
    (axes,) = maps_of(drawn("area", [run]))
    known = run.samples[run.samples["label"] == 1]
    counts = {
        print_area.NAMES[split]: some["landslide_id"].nunique()
        for split, some in known.groupby("split")
    }
    assert sum(counts.values()) == ds.sizes["place"]
    found = {line.get_color(): len(line.get_xdata()) for line in axes.lines}
    assert found == {print_area.PARTS[name]: n for name, n in counts.items()}
    (tested,) = [one for one in axes.lines if one.get_color() == print_area.PARTS["test"]]
    ids = known[known["split"] == "test"]["landslide_id"].unique()
    there = ds.sel(place=np.sort(ids))
    assert sorted(tested.get_xdata()) == pytest.approx(sorted(there["place_x"].to_numpy()))


def test_landslides_in_no_part_are_left_out(runs):
    ds, samples = open_area(runs[0].area_path), runs[0].samples
    lost = samples.loc[samples["split"].eq("train") & samples["label"].eq(1), "landslide_id"][:7]
    rest = SimpleNamespace(samples=samples[~samples["landslide_id"].isin(lost)])
    gone = print_area._parts(rest, ds)["left_out"]
    there = ds.sel(place=np.sort(lost))
    assert sorted(gone["y"]) == pytest.approx(sorted(there["place_y"].to_numpy()))


def test_runs_that_share_a_split_share_a_map(runs):
    honest, paper = runs
    assert len(maps_of(drawn("area", [honest, honest]))) == 1
    both = drawn("area", [honest, paper, honest])
    titles = [" ".join(axes.get_title("left").split()) for axes in maps_of(both)]
    assert titles == [
        "(a) honest protocol, simulated landslides", "(b) paper protocol, simulated landslides",
    ]  # fmt: skip


def test_a_split_is_that_of_protocol_and_test_places():
    def run(protocol, places):
        about = {"metrics": {"test_places": places}, "id": object()}
        return SimpleNamespace(recipe=SimpleNamespace(protocol=protocol), **about)

    runs = [run("honest", "a"), run("honest", "a"), run("paper", "a"), run("honest", "b")]
    assert print_area._of_each_split(runs) == [runs[0], runs[2], runs[3]]


def test_the_legend_counts_where_it_has_room(runs):
    parts = [{"training": range(1200), "test": range(34)}]
    words = words_of("en")
    wide, narrow = (print_area._signs(parts, Box(0, 0, w, 20), BARE, words) for w in (80, 20))
    assert wide == {"training": "Training (1,200)", "test": "Test (34)"}
    assert narrow == {"training": "Training", "test": "Test"}
    assert print_area._signs(parts * 2, Box(0, 0, 80, 20), BARE, words) == narrow
    assert "Height (m)" in texts_of(drawn("area", runs[:1]))


def test_every_factor_of_the_run_has_its_map_classes_last(runs):
    run = runs[0]
    ds = open_area(run.area_path)
    figure = drawn("factors", [run])
    titles = [" ".join(axes.get_title("left").split()) for axes in maps_of(figure)]
    used = [factor["name"] for factor in run.encoder["factors"]]
    assert len(titles) == len(used)
    assert titles[0].startswith("(a) ")
    kinds = [ds[name].attrs["kind"] for name in print_area._used(run, ds)]
    assert kinds == sorted(kinds, key=lambda kind: kind == "categorical")
    assert kinds[-1] == "categorical"
    names = {
        name for name, _ in look_of(ds["lithology"], ds["lithology"].to_numpy()).codes.values()
    }
    assert names & set(texts_of(figure))


def test_a_cell_has_the_colour_of_its_value():
    numbers = Colours("h", "m", [], (0.0, 10.0), {})
    values = np.array([[0.0, 5.0, 10.0, 99.0, np.nan]], "float32")
    painted = print_area._painted(numbers, values, Look())
    scale = colormaps["viridis"]
    assert painted[0, 1, :3] == pytest.approx(scale(0.5)[:3])
    assert painted[0, 2] == pytest.approx(scale(1.0))
    assert painted[0, 3] == pytest.approx(scale(1.0))
    assert painted[0, 4, 3] == 0
    rocks = Colours("r", "", ["#ff0000", "#0000ff"], (-0.5, 1.5), {3: ("a", ""), 7: ("b", "")})
    codes = np.array([[7, 3]], "float32")
    assert print_area._painted(rocks, codes, Look())[0, :, :3].tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_key_says_between_which_values(runs):
    words = words_of("en")
    numbers = Colours("h", "m", [], (56.6, 9256.0), {})
    for values, said in (
        ([56.6, 9256.0], ["56.6", "9,256"]),
        ([0.0, 9256.0], ["≤ 56.6", "9,256"]),
        ([56.6, np.nan, 9300.0], ["56.6", "≥ 9,256"]),
    ):
        assert [t for _, t, _ in print_area._ends(numbers, np.array(values), words)] == said
    wheel = Colours("a", "degrees", [], (0.0, 360.0), {})
    ends = print_area._ends(wheel, np.array([0.0, 400.0]), words)
    assert [text for _, text, _ in ends] == ["N", "E", "S", "W", "N"]


def test_the_unit_stands_with_the_name_and_is_not_parted():
    slope = xr.DataArray(0.0).assign_attrs(kind="continuous", units="1/100 m")
    assert print_area._unit(slope) == " (1/100\u00a0m)"
    assert print_area._unit(slope.assign_attrs(units="1")) == ""
    assert print_area._unit(slope.assign_attrs(units="degrees")) == " (°)"
    assert print_area._unit(slope.assign_attrs(kind="cyclic")) == ""


def test_classes_beyond_ten_are_counted(runs):
    many = [f"class {i}" for i in range(3, 13)]
    assert _told(runs, 13) == [*many, "+ 3"]
    assert _told(runs, 11) == [f"class {i}" for i in range(11)]  # a line for it, not for "+ 1"


def _told(runs, n):
    codes = {i: (f"class {i}", "#ffffff") for i in range(n)}
    values = np.repeat(np.arange(n), np.arange(1, n + 1)).astype("float32")[None]
    with styled(BARE):
        figure = drawn("factors", runs[:1])
        (sheet,) = [axes for axes in figure.axes if axes.get_label() == "sheet"]
        before = len(sheet.texts)
        rocks = Colours("r", "", ["#ffffff"] * n, (-0.5, n - 0.5), codes)
        print_area._draw_classes(sheet, Box(0, 0, 60, 60), rocks, values, BARE)
    return [text.get_text() for text in sheet.texts[before:]]


def test_what_has_no_map_is_refused(runs, monkeypatch):
    with pytest.raises(RunError, match="name at least one run"):
        drawn("area", [])
    units = xr.Dataset(coords={"unit": [1, 2]})
    monkeypatch.setattr(print_area, "open_area", lambda path: units)
    with pytest.raises(RunError, match="table of units: there is no map"):
        drawn("factors", runs[:1])


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("area", {"elevation", "valid", "place_x", "place_y"}),
        ("factors", None),
        ("correlation", None),
        ("importance", None),
    ],
)
def test_what_a_figure_reads_of_the_area_stands_beside_it(runs, name, layers):
    told = publication.sidecar(name, runs[:1], BARE, [])["runs"][0]["area"]
    assert set(told["layers"]) == (layers or set(runs[0].factors))
    assert told["fingerprints"] == runs[0].area["fingerprints"]


def test_legend_that_changed_is_other_data(runs):
    ds = open_area(runs[0].area_path)
    (rock, *_) = [name for name in ds if ds[name].attrs.get("kind") == "categorical"]
    was, renamed = ds[rock], ds[rock].copy()
    renamed.attrs["flag_meanings"] = renamed.attrs["flag_meanings"].upper()
    assert drawn_layers._of_layer(was) != drawn_layers._of_layer(renamed)
