"""The factors page without a browser: limits, classes, the study, ticks and reasons, the recipe."""

import json
import threading
import time

import numpy as np
import panel as pn
import pytest
from page_text import texts
from test_figures import make_area

from lsm_app import factor_study, limits_view
from lsm_app.factor_study import Study
from lsm_app.factor_ticks import UNSAID, chosen_factors
from lsm_app.pages import factors
from lsm_app.session import Session
from lsm_core import factor_report
from lsm_core.bivariate import factor_classes
from lsm_core.own_recipes import own_recipes, replaced
from lsm_core.recipe import Input, Selection, load_recipe, make_recipe
from lsm_core.study_area import area_path, open_area, save_area
from lsm_core.terrain import slope

pn.extension()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two areas: slope, what says the same as slope, and a rock with names."""
    root = tmp_path_factory.mktemp("workspace")
    for name in ("valley", "beyond"):
        area = make_area(root, name, places=60)
        ds = open_area(area).load()
        number = {"kind": "continuous", "units": "degrees", "long_name": "", "source": "made"}
        steep = slope(ds["elevation"]).assign_attrs(number)
        rock = (np.indices(steep.shape)[1] // 30 + 1).astype("int16")
        legend = {"flag_values": [1, 2, 3], "flag_meanings": "marl shale lime", "nodata": -32768}
        legend |= {"kind": "categorical", "units": "1", "long_name": "", "source": "made"}
        more = {"slope": steep, "twice": (2 * steep).assign_attrs(number)}
        save_area(ds.assign(more | {"rock": (("y", "x"), rock, legend)}), area)
    return root


@pytest.fixture
def workspace(made, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(made))
    monkeypatch.setattr(Study, "_ask", lambda study: examined(study))
    monkeypatch.setattr(Study, "_ask_first", lambda study: looked(study))
    return made


def looked(study):
    """What the process would say first."""
    rng = np.random.default_rng(1)
    return factor_report.first_look(open_area(area_path("valley")), rng, Selection())


def examined(study):
    """What the process would say, found here with few trees."""
    against = "--against" in study.words
    other = open_area(area_path("beyond")) if against else None
    rng = np.random.default_rng(1)
    report = factor_report.examine(
        open_area(area_path("valley")), rng, rules=Selection(trees=20), other=other
    )
    return json.loads(json.dumps(factor_report.to_json(report)))


def visitor(**chosen):
    return Session(**{"area": "valley", "page": "Factors", "recipe": "random_forest"} | chosen)


def labelled(page, label):
    return next(part for part in page.select() if getattr(part, "label", "") == label)


def tables(page):
    return [p.object.data for p in page.select(pn.pane.DataFrame) if p.object is not None]


def looked_at(page):
    """The page's own view of the limits, from its figures."""
    return next(t for t in tables(page) if "frequency_ratio" in t)


def opened(session):
    """The page, and the part of it that looks for what was found."""
    view = factors.Factors(session, session.area)
    view.look()
    view.study.thread.join()
    view.look()
    return view


# ------------------------------------------------------------------------------------ limits


def test_a_dragged_limit_is_counted_and_written(workspace):
    session = visitor(limits={"slope": [10.0, 20.0]})
    view = factors.Factors(session, "valley")
    assert [len(t) for t in tables(view.view) if "frequency_ratio" in t] == [3]
    view.drawn.told.data = {"x": [8.0001, 15.0, 25.0]}  # what the browser tells of moved lines
    assert session.limits == {"slope": [8.0, 15.0, 25.0]}
    assert labelled(view.view, "Limits (degrees)").value == "8, 15, 25"
    shown = looked_at(view.view)
    heads = " ".join(p.object.to_html() for p in view.view.select(pn.pane.DataFrame) if p.object)
    assert "from (degrees)" in heads
    assert "to (degrees)" in heads
    classes = {"slope": (8.0, 15.0, 25.0)}
    counted = factor_classes(view.ds, "slope", fit_on=None, specs=Input(classes=classes))
    assert shown["cells"].tolist() == counted["cells"].tolist()
    assert shown["w_plus"].tolist() == pytest.approx(counted["w_plus"].tolist())
    drawn = view.drawn.bars.data
    assert list(drawn["top"]) == shown["frequency_ratio"].tolist()
    assert list(drawn["right"][:3]) == [8, 15, 25]


def test_written_limits_move_lines_bars_and_map(workspace):
    session = visitor(limits={"slope": [10.0, 20.0]})
    view = factors.Factors(session, "valley")
    labelled(view.view, "Limits (degrees)").value = "12; 30"
    assert view.drawn.lines.data["x"] == [12.0, 30.0]
    assert session.limits["slope"] == [12.0, 30.0]
    assert view.drawn.mapper.palette == limits_view.palette(view.drawn.level, [12.0, 30.0])
    labelled(view.view, "Limits (degrees)").value = "30, 12"
    assert "must be finite and rise" in texts(view.view)
    labelled(view.view, "Limits (degrees)").value = "steep"
    assert "limits are numbers" in texts(view.view)
    assert session.limits["slope"] == [12.0, 30.0]


def test_a_level_of_the_map_has_the_colour_of_its_class():
    level = np.array([1.0, 5.0, 9.99, 10.0, 25.0])
    colours = limits_view.palette(level, [5.0, 10.0])
    low, middle, high = limits_view.colours_of(3)
    assert colours == [low, middle, middle, high, high]


def test_levels_hold_the_map_as_it_is(workspace):
    view = factors.Factors(visitor(), "valley").drawn
    image = next(r for r in view.map.renderers if r.glyph.__class__.__name__ == "Image" and
                 r.glyph.color_mapper is view.mapper)  # fmt: skip
    at = np.flipud(image.data_source.data["image"][0])
    value = open_area(area_path("valley"))["slope"].to_numpy()
    different = np.unique(view.level)
    assert (different[at] <= value).all()
    above = np.append(different, np.inf)[at + 1]
    assert (value < above).all()


def test_limits_by_a_method_are_laid(workspace):
    session = visitor()
    view = factors.Factors(session, "valley")
    labelled(view.view, "Find limits by").value = "equal"
    labelled(view.view, "Classes").value = 4
    labelled(view.view, "Lay these limits").clicks += 1
    steps = np.diff(session.limits["slope"])
    assert len(steps) == 2
    assert steps[0] == pytest.approx(steps[1], rel=1e-3)


@pytest.mark.parametrize("name", ["rock"])
def test_categories_have_bars_of_their_own(workspace, name):
    view = factors.Factors(visitor(classed=name), "valley")
    assert view.drawn.names == ["marl", "shale", "lime"]
    counted = factor_classes(view.ds, name, fit_on=None)
    assert list(view.drawn.source.data["value"]) == counted["frequency_ratio"].tolist()
    view.statistic.value = "contrast"
    assert list(view.drawn.source.data["value"]) == counted["contrast"].tolist()
    assert "no limits to drag" in texts(view.view)


def test_the_statistic_of_the_bars_is_chosen(workspace):
    session = visitor(limits={"slope": [10.0, 20.0]})
    view = factors.Factors(session, "valley")
    view.statistic.value = "information_value"
    assert list(view.drawn.bars.data["top"]) == view.drawn.table["information_value"].tolist()
    assert session.statistic == "information_value"


# ------------------------------------------------------------------------------- study, ticks


def test_the_rules_say_what_they_would_drop_and_ticks_follow(workspace):
    session = visitor()
    view = opened(session)
    assert not view.waiting.visible
    dropped = next(iter(view.ticks.dropped))
    assert dropped in ("slope", "twice")
    assert "|r| = 1.00" in view.ticks.said[dropped].object
    assert "the rules keep it" in view.ticks.said["rock"].object
    view.ticks.follow.clicks += 1
    assert dropped in session.left_out
    assert session.left_out[dropped].startswith("|r| = 1.00 with")
    assert not view.ticks.boxes[dropped].value


def test_a_reason_of_ones_own_is_kept(workspace):
    session = visitor()
    ticks = factors.Factors(session, "valley").ticks
    assert not ticks.reasons["twice"].visible
    ticks.boxes["twice"].value = False
    assert session.left_out == {"twice": UNSAID}
    assert ticks.reasons["twice"].visible
    ticks.reasons["twice"].value = "is slope, doubled"
    assert session.left_out == {"twice": "is slope, doubled"}
    assert "3 of 4 factors are ticked" in ticks.count.object
    ticks.every.clicks += 1
    assert session.left_out == {}


def test_all_that_was_found_can_be_looked_at(workspace):
    view = opened(visitor(second="beyond"))
    tabs = view.found[0]
    for i in range(len(tabs)):
        tabs.active = i
        assert tabs[i].get_root()
    said = texts(tabs)
    assert "Variance inflation" in said
    assert "random places of valley to those of beyond" in said
    numbers = next(t for t in tables(tabs) if "VIF" in t).set_index("factor")
    assert numbers.loc["slope", "KL"] == pytest.approx(0, abs=0.05)
    assert set(numbers.index) == {"elevation", "slope", "twice", "rock"}


def test_what_needs_no_forest_is_shown_before_it(workspace, monkeypatch):
    grown = threading.Event()
    monkeypatch.setattr(Study, "_ask", lambda study: grown.wait(60) and examined(study))
    view = factors.Factors(visitor(rules={"pearson": 0.6}), "valley")
    view.look()
    while view.study.first is None:
        time.sleep(0.01)
    view.look()
    assert view.waiting.object == factors.FOREST
    tabs = view.found[0]
    tabs.active = 2
    assert next(t for t in tables(tabs) if "VIF" in t or "vif" in t) is not None
    assert "with slope, above 0.7 (verdict to come)" in view.ticks.said["twice"].object
    assert view.ticks.follow.disabled
    grown.set()
    view.study.thread.join()
    view.look()
    assert not view.waiting.visible
    assert view.found[0].active == 2
    assert not view.ticks.follow.disabled


def test_without_a_second_area_it_says_what_to_do(workspace):
    tabs = opened(visitor()).found[0]
    tabs.active = 4
    assert factor_study.NO_SECOND in texts(tabs)


def test_an_error_of_the_study_is_its_sentence(workspace, monkeypatch):
    def refuse(study):
        raise factor_study.LsmError("beyond shares no factor with valley")

    monkeypatch.setattr(Study, "_ask", refuse)
    view = opened(visitor(rules={"pearson": 0.5}))
    assert "beyond shares no factor with valley" in view.waiting.object
    assert view.ticks.said["slope"].object.endswith("(no verdict, see above)")
    assert labelled(view.view, "Limits (degrees)").value


@pytest.mark.torture
def test_the_process_says_what_the_core_says(made, monkeypatch):
    """The command itself, once: what it prints is what the page reads."""
    monkeypatch.setenv("LSM_WORKSPACE", str(made))
    study = Study("valley", "", factor_study.RULES)
    found = study._ask()
    assert set(found["kept"]) | set(found["dropped"]) == {"elevation", "slope", "twice", "rock"}
    assert factor_study.numbers_of(found)["vif"]["twice"] == np.inf
    first = study._ask_first()
    assert first["tables"]["pearson"] == found["tables"]["pearson"]
    assert "importance" not in first["tables"]
    lost = Study("valley", "atlantis", factor_study.RULES)
    lost._work()
    assert "no study area in" in lost.wrong


# -------------------------------------------------------------------------------------- kept


def test_ticks_reasons_and_limits_are_kept_as_a_recipe(workspace):
    session = visitor(limits={"slope": [10.0, 20.0], "twice": [3.0]})
    view = factors.Factors(session, "valley")
    view.ticks.boxes["twice"].value = False
    view.ticks.reasons["twice"].value = "is slope, doubled"
    labelled(view.view, "Keep as").value = "my_factors"
    labelled(view.view, "Keep as a recipe").clicks += 1
    kept = load_recipe(own_recipes()["my_factors"])
    assert kept.input.factors == ("elevation", "slope", "rock")
    assert kept.input.left_out == {"twice": "is slope, doubled"}
    assert kept.input.classes == {"slope": (10.0, 20.0)}
    assert session.recipe == "mine: my_factors"


def test_limits_of_the_recipe_stay_for_factors_that_are_kept():
    base = make_recipe({
        "name": "r", "model": {"name": "cnn"},
        "input": {"form": "onehot", "classes": {"slope": [5, 9], "relief": [1], "far": [2]}},
    })  # fmt: skip
    chosen = chosen_factors(base, ["slope", "relief"], {"relief": "no"}, {"slope": [7.0]})
    assert chosen["input.classes"] == {"slope": [7.0]}
    assert replaced(base, chosen).input.left_out == {"relief": "no"}


def test_an_area_that_is_not_there_is_said(workspace):
    assert "no study area in" in texts(factors.page(visitor(area="atlantis")))
    assert "Pearson" not in texts(factors.page(visitor(area="atlantis")))


def test_the_page_builds_and_asks_by_itself(workspace):
    page = factors.page(visitor())
    assert page.get_root()
    assert "Classes are closed on the left" in texts(page)
