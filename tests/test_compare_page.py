"""The comparison page: tables that come late, maps subtracted, places picked, limits dragged."""

from types import SimpleNamespace

import holoviews as hv
import numpy as np
import pandas as pd
import panel as pn
import pytest
import rasterio
from bokeh.models import ColumnDataSource, Span
from page_text import texts
from test_figures import GRID, make_area, make_run

from lsm_app import (
    class_limits,
    compared,
    counted_maps,
    difference,
    map_view,
    picking,
    score_table,
    session,
    stored_classes,
)
from lsm_app.following import loaded
from lsm_app.pages import compare
from lsm_core import runs
from lsm_core.rezoning import count_map, zones_at

pn.extension()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs judged on the same places, with their scores, and one under the paper protocol."""
    root = tmp_path_factory.mktemp("workspace")
    area = make_area(root)
    for seed, name, places in ((1, "cnn", 1), (2, "forest", 1), (3, "paper", 2)):
        run = make_run(area, root / "runs", name, seed=seed, test_seed=places)
        runs.write_table(run.path / "scores.parquet", _scores(seed, places))
    recipe = runs.read_json(run.path / "recipe.json") | {"protocol": "paper"}
    runs.write_json(run.path / "recipe.json", recipe)
    return root


def _scores(seed, places):
    rng = np.random.default_rng(places)
    cells = rng.choice(GRID.shape[0] * GRID.shape[1], 300, replace=False)
    rows, cols = np.unravel_index(cells, GRID.shape)
    label = rng.integers(0, 2, 300)
    score = np.clip(0.3 * label + np.random.default_rng(seed).normal(0.35, 0.2, 300), 0, 1)
    parts = ["test"] * 200 + ["validation"] * 100
    slide = label * (1 + np.arange(300) // 3)  # some by several of their cells
    table = pd.DataFrame({"row": rows, "col": cols, "label": label, "landslide_id": slide})
    return table.assign(split=parts, block=rows // 15, score=score.astype("float32"))


@pytest.fixture
def workspace(made, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(made))
    pn.state.cache.clear()
    return made


def named(*names):
    return [next(r for r in runs.list_runs() if r.recipe.name == name) for name in names]


# --------------------------------------------------------------------------------------- scores


def test_intervals_and_ranks_join_the_scores_later(workspace):
    table = score_table.ScoreTable(named("cnn", "forest"))
    assert score_table.LATER in table.table.object.to_html()
    tables = table.judge()
    html = table.table.object.to_html()
    assert score_table.LATER not in html
    assert f"{tables['scores']['ap low'][0]:.3f} to" in html
    assert "AP rank" in html


def test_what_was_judged_once_is_there_for_the_next_visitor(workspace, monkeypatch):
    score_table.ScoreTable(named("cnn", "forest")).judge()
    monkeypatch.setattr(score_table, "compare", None)
    again = score_table.ScoreTable(named("cnn", "forest"))
    assert score_table.LATER not in again.table.object.to_html()


def test_scores_written_anew_are_judged_anew(workspace):
    first = score_table.ScoreTable(named("cnn", "forest")).judge()
    runs.write_table(named("cnn")[0].path / "scores.parquet", _scores(9, 1))
    second = score_table.ScoreTable([loaded(run) for run in named("cnn", "forest")]).judge()
    runs.write_table(named("cnn")[0].path / "scores.parquet", _scores(1, 1))
    assert first["scores"]["ap low"][0] != second["scores"]["ap low"][0]


def test_pairs_are_told_in_words(workspace):
    html = score_table.ScoreTable(named("cnn", "forest")).tests()[0].object.to_html()
    assert "cnn − forest" in html
    assert "McNemar" in html
    assert "chance" in html or "higher" in html
    alone = score_table.ScoreTable(named("cnn")).tests()
    assert "nothing to differ from" in texts(alone)


def test_model_recipe_and_factors_of_each_run_stand_below_the_scores(workspace):
    cnn, forest = named("cnn", "forest")
    runs.write_json(cnn.path / "encoder.json", {"factors": [{"name": "slope"}, {"name": "<b>"}]})
    words = texts(score_table.ScoreTable([loaded(cnn), loaded(forest)]).view)
    (cnn.path / "encoder.json").unlink()
    assert (
        "<b>CNN (honest)</b>: CNN, recipe cnn, size bench, table input of 2 factors: slope, &lt;b"
        in words
    )
    assert (
        "<b>FOREST (honest)</b>: CNN, recipe forest, size bench, table input of all factors"
        in words
    )


def test_runs_of_one_title_are_listed_with_their_recipes(workspace, tmp_path):
    area = workspace / "areas" / "valley"
    some = [make_run(area, tmp_path, name) for name in ("deep", "mining")]
    for run in some:
        about = runs.read_json(run.path / "recipe.json") | {"title": "ANN"}
        runs.write_json(run.path / "recipe.json", about)
    names = compare.names_of([runs.Run(run.path) for run in some])
    assert [name.split(",")[0] for name in names] == ["ANN (deep)", "ANN (mining)"]
    assert compare.names_of(named("cnn"))[0].startswith("CNN, valley")


def test_reliability_says_how_much_of_places_and_ground_are_landslides(workspace, tmp_path):
    (cnn,) = named("cnn")
    about = cnn.metrics | {"n": 2322, "landslides": 1161}
    about |= {"prior": {"sampled": 0.5, "area": 0.0123, "half_becomes": 0.01234}}
    words = compared.shares(SimpleNamespace(metrics=about, counted="cells"))
    assert (
        "Of the 2,322 test places 1,161 are landslides (50.0%), of the area's cells 1.2%" in words
    )
    assert "Where they say 0.5, about 0.012 of the ground would be landslides" in words
    plain = SimpleNamespace(metrics={"n": 10, "landslides": 4}, counted="cells")
    assert "Of the 10 test places 4 are landslides (40.0%)" in compared.shares(plain)
    judged = make_run(workspace / "areas" / "valley", tmp_path, "judged")
    curve = {"predicted": [0.2, 0.8], "observed": [0.1, 0.9], "error": 0.1}
    more = judged.metrics | {"reliability": {"test": curve}}
    runs.write_json(judged.path / "metrics.json", more)
    curves = compared.Group([runs.Run(judged.path)], session.Session()).curves()
    curves.active = 1
    assert compared.shares(judged) in texts(curves)


# ------------------------------------------------------------------------------------- protocols


def test_protocols_stand_beside_each_other_and_share_no_table(workspace):
    some = named("cnn", "forest", "paper")
    assert [[r.recipe.name for r in g] for g in compared.alike(some)] == [
        ["cnn", "forest"],
        ["paper"],
    ]
    page = compare.page(session.Session(runs=[run.id for run in some]))
    assert "tested on different places" in texts(page)
    assert "honest protocol, valley" in texts(page)
    assert "paper protocol, valley" in texts(page)
    tables = [p.object.to_html() for p in page.select(pn.pane.DataFrame) if p.object is not None]
    judged = [html for html in tables if "AUC 95%" in html]
    assert len(judged) == 2
    assert not any("FOREST (honest)" in html and "PAPER (paper)" in html for html in judged)


# ------------------------------------------------------------------------------------ difference


def test_the_difference_in_view_is_that_of_the_cells(workspace):
    one, other = (run.map_path for run in named("cnn", "forest"))
    left, top = GRID.bounds[0], GRID.bounds[3]
    where = (left + 300, left + 900), (top - 900, top - 300)
    found, bounds = difference.read_pair(one, other, one, *where)
    values = [difference.read_window(path, *where)[0] for path in (one, other)]
    np.testing.assert_allclose(found, values[0] - values[1])
    assert found.shape == (20, 20)
    assert bounds == difference.read_window(one, *where)[1]


def test_two_runs_are_chosen_for_the_difference_and_kept(workspace):
    visitor = session.Session()
    some = named("cnn", "forest", "paper")
    view = difference.differences(some, visitor)
    assert "on average" in texts(view)
    other = view[0][1]
    other.value = some[2].id
    assert visitor.against == [some[0].id, some[2].id]
    assert "PAPER" in texts(view)
    assert "Choose two runs" in texts(difference.differences(some[:1], visitor))


# --------------------------------------------------------------------------------------- picking


@pytest.fixture
def picked(workspace):
    return picking.Picked(named("cnn", "forest"), session.Session())


def test_picked_places_are_counted_for_every_run(picked):
    assert "All 200 test places" in picked.words.object
    some = [3, 5, 8, 13]
    picked.source.selected.indices = some
    assert "4 test places picked" in picked.words.object
    row = picked.table.object.data.iloc[1]
    label, score = picked.label[some], picked.scores[some, 1]
    assert row["found"] == ((label == 1) & (score >= 0.5)).sum()
    assert row["false alarms"] == ((label == 0) & (score >= 0.5)).sum()
    bars = picked.bars[1].data
    assert bars["picked slides"].sum() == label.sum()
    assert bars["picked others"].sum() == -(label == 0).sum()
    hit = label & (score >= 0.5)
    marks = picked.picked_marks.data
    assert marks["recall"][1] == pytest.approx(hit.sum() / label.sum())
    assert marks["mean score"][1] == pytest.approx(score.mean())
    assert marks["share of landslides"] == [label.mean()] * 2
    picked.source.selected.indices = []
    assert not any(len(column) for column in picked.picked_marks.data.values())


def test_a_threshold_is_in_every_view_and_in_the_address(picked):
    picked.view()
    picked.slider.value = 0.4
    assert picked.session.threshold == picked.slider.value == 0.4
    assert {span.location for span in picked.spans} == {0.4}
    hit = (picked.label == 1) & (picked.scores[:, 0] >= 0.4)
    assert picked.marks.data["recall"][0] == pytest.approx(hit.sum() / picked.label.sum())


def test_a_tap_on_a_curve_takes_the_threshold_there(picked):
    score = np.sort(picked.scores[:, 1])[::-1]
    t = float(score[60])
    said = picked.scores[:, 1] >= t
    recall = said[picked.label == 1].mean()
    precision = picked.label[said].mean()
    tapped = type("Tapped", (), {"x": recall, "y": precision})
    picked._tapped("pr", tapped)
    at = picked.session.threshold
    some = [(picked.scores[:, i] >= at)[picked.label == 1].mean() for i in (0, 1)]
    assert min(abs(one - recall) for one in some) < 1e-9


def test_maps_curves_and_histograms_draw_the_same_source(workspace):
    visitor = session.Session(runs=[run.id for run in named("cnn", "forest")])
    root = compare.page(visitor).get_root()
    sources = [s for s in root.select({"type": ColumnDataSource}) if "score 0" in s.data]
    assert len({s.id for s in sources}) == 1
    drawn = [r for r in root.references() if getattr(r, "data_source", None) is sources[0]]
    assert len(drawn) == 2 + 2  # maps and histograms


def test_the_picked_are_marked_on_curves_and_on_the_reliability_diagram(workspace, tmp_path):
    run = make_run(workspace / "areas" / "valley", tmp_path, "judged")
    runs.write_table(run.path / "scores.parquet", _scores(1, 1))
    curve = {"predicted": [0.2, 0.8], "observed": [0.1, 0.9], "error": 0.1}
    runs.write_json(run.path / "metrics.json", run.metrics | {"reliability": {"test": curve}})
    together = compared.Group([runs.Run(run.path)], session.Session())
    for drawn in (together._curve("pr"), together._reliability()):
        figure = hv.render(drawn, backend="bokeh")
        (mark,) = figure.select({"name": "of the picked"})
        assert mark.data_source is together.picked.picked_marks


def test_rate_curves_follow_the_threshold_and_the_picked(workspace, tmp_path):
    made = make_run(workspace / "areas" / "valley", tmp_path, "judged")
    runs.write_table(made.path / "scores.parquet", _scores(1, 1))
    curve = {"area": [0.0, 0.5, 1.0], "landslides": [0.0, 0.8, 1.0], "under": 0.65}
    rates = {"rates": {"prediction": curve, "success": curve}}
    runs.write_json(made.path / "metrics.json", made.metrics | rates)
    run = runs.Run(made.path)
    together = compared.Group([run], session.Session())
    figure = hv.render(together._rates("prediction"), backend="bokeh")
    (threshold,), (mark,) = (figure.select({"name": n}) for n in ("threshold", "of the picked"))
    with rasterio.open(run.map_path) as source:
        values = source.read(1, masked=True).compressed()
    for t in (0.5, 0.3):
        together.picked.slider.value = t
        above = np.mean(values >= np.float32(t))
        on = np.interp(above, curve["area"], curve["landslides"])
        assert threshold.data_source.data["x"] == pytest.approx([100 * above])
        assert threshold.data_source.data["y"] == pytest.approx([100 * on])
    assert len(mark.data_source.data["x"]) == 0
    slides = np.flatnonzero(together.picked.label == 1)[:5].tolist()
    together.picked.source.selected.indices = slides
    found = 100 * np.mean(together.picked.scores[slides, 0] >= 0.3)
    assert mark.data_source.data["y"] == pytest.approx([found])
    assert mark.data_source.data["x"] == threshold.data_source.data["x"]
    success = hv.render(together._rates("success"), backend="bokeh")
    (mark,) = success.select({"name": "of the picked"})
    assert len(mark.data_source.data["x"]) == 0  # test places say nothing of those of training


def test_runs_that_stored_no_scores_say_so(workspace, tmp_path):
    run = make_run(workspace / "areas" / "valley", tmp_path, "old")
    with pytest.raises(picking.LsmError, match=r"scores\.parquet"):
        picking.Picked([run], session.Session())


# ---------------------------------------------------------------------------------------- limits


def test_a_dragged_limit_moves_table_curve_and_address(workspace):
    visitor = session.Session()
    some = named("cnn", "forest")
    limits = class_limits.Limits(some, visitor)
    limits.view()
    limits.spans[1].location = 0.333
    assert limits.sliders[1].value == 0.33
    assert 0.33 in visitor.cuts
    ground = difference.ground_of(some[0].area_path)
    rows, cols = ground.grid.rowcol(ground.x, ground.y)
    expected = zones_at(count_map(some[1].map_path, rows, cols), visitor.cuts)
    shown = limits.table.object.data
    own = shown[shown["run"] == "FOREST (honest)"]
    assert own["cells"].tolist() == expected["cells"].tolist()
    assert own["landslides"].tolist() == expected["landslides"].tolist()
    above = 100 * expected["share_of_landslides"][2:].sum()
    assert limits.dots[1].data["y"][1] == pytest.approx(above)


def test_limits_start_at_those_of_the_run_or_of_the_address(workspace):
    own = class_limits.Limits(named("cnn"), session.Session())
    assert own.limits == [round(float(at), 2) for at in named("cnn")[0].limits.breaks[1:-1]]
    sent = class_limits.Limits(named("cnn"), session.Session(cuts=[0.3, 0.6]))
    assert sent.limits == [0.3, 0.6]
    assert all(isinstance(span, Span) for span in sent.spans)


def test_the_picture_has_the_colour_of_its_class():
    colours = class_limits._palette([0.25, 0.5], ["low", "middle", "high"])
    assert colours[24:26] == ["low", "middle"]
    assert colours[49:51] == ["middle", "high"]


def test_landslides_held_out_are_those_of_the_test(workspace):
    run = named("cnn")[0]
    test = run.scores[(run.scores["label"] == 1) & (run.scores["split"] == "test")]
    counted = counted_maps.counted_map(run, held_out=True)
    each = test["landslide_id"].nunique()
    assert counted.landslides.sum() + counted.left_out == each < len(test)


# -------------------------------------------------------------------------------------- address


def chosen_in(view):
    """What the fields of a view stand at, by their labels."""
    fields = view.select(lambda part: getattr(part, "label", None) in (*FIELDS, "Map shown"))
    return {part.label: part.value for part in fields}


def views(some, visitor):
    maps = map_view.linked_maps(some, session=visitor)
    classes = stored_classes.stored_classes(some, visitor)
    return pn.Column(maps, classes, class_limits.Limits(some, visitor).view())


FIELDS = {
    "Shown": map_view.ZONES, "Opacity over the hillshade": 0.25, "Landslides": False,
    "Classes cut by": "equal 0.2", "Landslides counted": class_limits.HELD,
    "Cells and landslides of": "test blocks",
}  # fmt: skip


def test_who_opens_the_same_address_sees_the_same_maps_and_classes(workspace):
    some, visitor = named("cnn", "forest"), session.Session()
    wanted = FIELDS | {"Map shown": some[1].id}
    view = views(some, visitor)
    assert not any(chosen_in(view)[label] == value for label, value in wanted.items())
    for field in view.select(lambda part: getattr(part, "label", None) in wanted):
        field.value = wanted[field.label]
        if field.label.startswith("Opacity"):
            field.value_throttled = wanted[field.label]
    kept = {name: visitor.param[name].serialize(getattr(visitor, name)) for name in session.KEPT}
    other = session.Session()
    other.param.update({n: other.param[n].deserialize(text) for n, text in kept.items()})
    assert chosen_in(views(some, other)) == wanted


def test_what_an_address_names_that_is_not_there_is_passed_over(workspace):
    some, tag = named("cnn"), "<img src=x onerror=alert(1)>"
    names = ("layer", "breaks", "where", "counted", "zoned")
    view = views(some, session.Session(**dict.fromkeys(names, tag)))
    assert chosen_in(view) == chosen_in(views(some, session.Session()))
    with pytest.raises(ValueError, match="opacity"):
        session.Session(opacity=7)
