"""Factors, splits and figures of one's own: the files that the how-tos show, used as they say."""

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import rasterio
from command import lsm
from matplotlib.figure import Figure
from test_figures import make_area, make_run

from lsm_core import area_draft, own_code, publication, runs
from lsm_core.errors import AreaError, RecipeError, RunError, SampleError
from lsm_core.experiment import run_experiment
from lsm_core.print_style import Look
from lsm_core.recipe import load_recipe
from lsm_core.report import plan_in_words
from lsm_core.study_area import open_area

ROOT = Path(__file__).parents[1]
FOREST = ROOT / "recipes" / "random_forest.yaml"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a file of one's own, or that of a how-to, and name it."""

    def write(text):
        path = tmp_path / "own.py"
        if text.endswith(".md"):
            page = (ROOT / "docs" / "howto" / text).read_text("utf-8")
            text = re.search(r"```python\n(# own\.py\n.*?)```", page, re.DOTALL)[1]
        path.write_text(text, "utf-8")
        own_code._parsed.cache_clear()
        own_code._functions_of.cache_clear()
        monkeypatch.setenv(own_code.VARIABLE, str(path))
        return path

    return write


# ------------------------------------------------------------------------------------- factors


def test_a_factor_of_ones_own_is_built_like_any_other(own, country):
    own("own_factor.md")
    deep = {"name": "depth", "derive": "valley_depth", "window": 5}
    country.area["factors"] = ["elevation", "northness", deep]
    with rasterio.open(country.folder / "dem.tif", "r+") as file:
        file.set_band_description(1, "what the DEM calls itself")
    ds = country.prepare()
    # The country rises by half a metre a metre to the east: it faces west, and two cells of 20 m
    # to the east the highest of five lies 20 m above.
    np.testing.assert_allclose(ds["northness"][:, 5:15], 0, atol=1e-5)
    np.testing.assert_allclose(ds["depth"][20:, 2:-2], 20, atol=1e-3)
    assert ds["northness"].attrs["long_name"] == "northness"
    assert ds["northness"].attrs["kind"] == "continuous"
    assert [ds["depth"].attrs[key] for key in ("kind", "units", "long_name")] == [
        *("continuous", "m", "depth")
    ]
    assert re.search(r"derived from dem by own\.py [0-9a-f]{12}$", ds["depth"].attrs["source"])
    choices = area_draft.terrain_choices(20.0)
    assert choices["northness"] == {"name": "northness", "derive": "northness"}
    assert choices["valley_depth"]["window"] == 11


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def steep(dem): return dem.values[1:]\n", "must give an xarray.DataArray on the DEM's"),
        ("def steep(dem): return dem[1:]\n", r"got DataArray of shape \(\d+, \d+\)"),
        ("def steep(dem): return dem.assign_attrs(kind='categorical')\n", "continuous or cyclic"),
        (
            "def steep(dem): return dem.assign_attrs(kind='cyclic')\n",
            "a cyclic factor is in degrees",
        ),
        ("def steep(dem):\n    return dem / nothing\n", r"own.py, line 2, fails: NameError"),
        ("def steeper(dem): return dem\n", "no factor 'steep' .* did you mean steeper"),
        ("def steep(dem, ds): return (\n", "own.py fails: SyntaxError"),
    ],
)
def test_a_factor_that_will_not_do_is_a_plain_error(own, country, text, says):
    own(text)
    country.area["factors"] = ["elevation", "steep"]
    with pytest.raises((AreaError, RecipeError), match=says):
        country.prepare()


def test_sizes_are_only_given_to_a_factor_that_takes_them(own, country):
    own("def steep(dem): return dem\n")
    country.area["factors"] = [{"name": "steep", "derive": "steep", "window": 5}]
    with pytest.raises(AreaError, match="steep takes neither radius nor window"):
        country.prepare()


# -------------------------------------------------------------------------------------- splits


def forest(workspace, *changes):
    usual = ("size=demo", "area=sample", "map=false", "model.options.n_estimators=20")
    return run_experiment(load_recipe(FOREST, [*usual, *changes]), into=workspace / "own_splits")


def test_a_split_of_ones_own_says_who_is_tested(own, sample_workspace, monkeypatch):
    own("own_split.md")
    done = forest(sample_workspace, "split.method=highest")
    height = open_area(sample_workspace / "areas" / "sample")["elevation"].to_numpy()
    slides = done.samples.query("label == 1")
    slides = slides.assign(height=height[slides["row"], slides["col"]])
    by_part = slides.groupby("split")["height"]
    assert by_part.min()["test"] > by_part.max()["validation"]
    assert by_part.min()["validation"] > by_part.max()["train"]
    assert done.metrics["overlap"]["share"] == 0
    assert "what highest (a split of one's own) holds out is tested" in plan_in_words(
        done.recipe, {}
    )
    assert (done.path / "own_code.py").read_text("utf-8") == own_code.own_file().read_text("utf-8")
    monkeypatch.delenv(own_code.VARIABLE)  # a stored run is read without the file, not run again
    assert runs.open_run(done.path).recipe.method == "highest"
    with pytest.raises(RecipeError, match=r"'highest' is no split\.method"):
        forest(sample_workspace, "split.method=highest")


@pytest.mark.parametrize(
    ("gives", "changes", "error", "says"),
    [
        ("places['x'] > 1e9", (), SampleError, "holds out 0 of"),
        ("places['x']", (), SampleError, "must give True or False for each of"),
        ("places['nowhere']", (), RecipeError, r"line 1, fails: KeyError: 'nowhere'"),
        ("places['x'] > 0", ("split.folds=3",), RecipeError, "makes one split"),
        ("places['x'] > 0", ("protocol=paper",), RecipeError, "is for the honest protocol"),
    ],
)
def test_a_split_that_will_not_do_is_a_plain_error(
    own, sample_workspace, gives, changes, error, says
):
    own(f"def mine(ds, places, share, rng): return {gives}\n")
    with pytest.raises(error, match=says):
        forest(sample_workspace, "split.method=mine", *changes)


def test_a_function_of_other_arguments_is_no_split(own):
    own("def mine(places, share): return places\n")
    with pytest.raises(RecipeError, match=r"'mine' is no split\.method"):
        load_recipe(FOREST, ["split.method=mine"])


# ------------------------------------------------------------------------------------- figures


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run; the sample's slope is its elevation here."""
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    return make_run(make_area(tmp_path), tmp_path / "runs")


HISTOGRAM = """
from matplotlib.figure import Figure


def colours(runs, look):
    '''How many runs there are.'''
    figure = Figure(figsize=(look.width_mm / 25.4, 1))
    figure.subplots().bar([0], [len(runs)])
    return figure
"""


def test_a_figure_of_ones_own_is_drawn_told_and_made_again(own, run, monkeypatch, capsys):
    own(HISTOGRAM)
    words = ("figures", run.id, "--to", "out", "--figure", "colours", "--width-mm", "60")
    monkeypatch.chdir(run.path)
    assert lsm(*words, monkeypatch=monkeypatch, capsys=capsys)[0] == 0
    told = json.loads(Path("out/colours.json").read_text())
    assert told["title"] == "How many runs there are"
    assert told["own_code"] == own_code.fingerprint()
    assert set(told["runs"][0]["data"]) == {"metrics.json", "susceptibility.tif"}
    before = Path("out/colours.png").read_bytes()
    again = ("figures", "--rebuild", "out/colours.json")
    assert lsm(*again, monkeypatch=monkeypatch, capsys=capsys)[0] == 0
    assert Path("out/colours.png").read_bytes() == before
    own(HISTOGRAM.replace("[0]", "[1]"))
    status, _, said = lsm(*again, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2
    assert "own.py" in said
    assert "the code that draws it" in said
    assert lsm(*again, "--anyway", monkeypatch=monkeypatch, capsys=capsys)[0] == 0


def test_the_figure_of_the_how_to_shows_the_places_of_a_run(own, sample_workspace):
    own("own_figure.md")
    done = forest(sample_workspace)
    figure = publication.draw("score_by_slope", [done], Look(width_mm=90))
    assert isinstance(figure, Figure)
    (line,) = figure.axes[0].lines
    assert len(line.get_xdata()) == (done.scores["split"] == "test").sum()
    assert figure.get_figwidth() * 25.4 == pytest.approx(90)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("def plain(runs, look): return 3\n", RunError, "must give a matplotlib Figure, got int"),
        ("def plain(runs, look): return runs[7]\n", RecipeError, "line 1, fails: IndexError"),
        ("def other(runs, look): return 3\n", RunError, "no figure 'plain'"),
    ],
)
def test_a_figure_that_will_not_do_is_a_plain_error(own, run, text, error, says):
    own(text)
    with pytest.raises(error, match=says):
        publication.draw("plain", [run], Look())


def test_names_of_the_program_win(own):
    own("def curves(runs, look): return 3\ndef slope(dem): return 3\n")
    assert publication.figures() == publication.FIGURES
    assert area_draft.terrain_choices(20.0)["slope"] == {"name": "slope", "derive": "slope"}


# ------------------------------------------------------------------------------------ on screen


def test_forms_offer_them_without_running_the_file(own, run):
    from lsm_app import recipe_form, sampling_controls
    from lsm_app.pages.export import ExportPage
    from lsm_app.session import Session

    own(
        "raise SystemError('run')\n"
        "def mine(runs, look): 'A picture.'\n"
        "def part(ds, places, share, rng): 'A split.'\n"
    )
    page = ExportPage(Session(page="Export"))
    assert page.figures.options["A picture"] == "mine"
    visitor = Session(page="Sampling", area="valley", split={"method": "part"})
    chosen = sampling_controls.split_controls(visitor, open_area(run.area_path))
    (method,) = [part for part in chosen[0] if part.label == "Split by"]
    assert method.value == "part"
    assert unescape(chosen[1].object) == "A split: a split of one's own."
    assert "part" in recipe_form.RecipeForm(visitor)._offered("split.method")
