"""The transfer page without a browser: factors matched, ways started, runs and curves shown."""

import json
import types

import pandas as pd
import panel as pn
import pytest
from page_text import texts
from test_figures import make_area, make_run

from lsm_app import carried_runs, factor_match, learning_view, session
from lsm_app.pages import transfer
from lsm_core import jobs, learning_curves, runs
from lsm_core.errors import RecipeError

pn.extension()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two areas, a source on one, and runs carried to the other on the same test places."""
    root = tmp_path_factory.mktemp("workspace")
    here, there = make_area(root, "here"), make_area(root, "there")
    source = make_run(here, root / "runs", "forest")
    for seed, (how, labels) in enumerate((("direct", None), ("scratch", 30), ("inductive", 30))):
        run = make_run(there, root / "runs", how, seed=seed)
        path = run.path / "recipe.json"
        settings = {"how": how, "source": str(source.path), "labels": labels}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"transfer": settings}))
    return root


@pytest.fixture
def pair(workspace):
    source = next(run for run in runs.list_runs() if run.recipe.name == "forest")
    return session.Session(page="Transfer", source=source.id, target="there")


def html_of(view):
    tables = [pane.object for pane in view.select(pn.pane.DataFrame) if pane.object is not None]
    return " ".join(table.to_html() for table in tables)


def test_the_page_offers_sources_and_other_areas(pair):
    page = transfer.page(pair)
    source, target = page[1]
    assert list(source.options.values()) == [pair.source]  # carried runs are no sources
    assert target.options == ["there"]
    assert target.value == "there"


def test_the_page_opens_with_its_choices(pair, monkeypatch):
    """What comes while a browser draws a page, the browser misses."""
    monkeypatch.setattr(transfer, "poll", lambda *_: None)
    for choice in transfer.page(pair)[1]:
        assert choice.value in list(choice.values)


def test_another_area_is_taken_by_itself_and_an_address_of_none_is_told(pair):
    assert (
        transfer.page(session.Session(page="Transfer", source=pair.source))[1][1].value == "there"
    )
    page = transfer.page(session.Session(page="Transfer", source=pair.source, target="<i>gone"))
    assert page[1][1].value is None
    assert "&lt;i&gt;gone is no built area" in texts(page)
    assert not page[-1].visible
    page[1][1].value = "there"
    assert page[-1].visible
    assert "no built area" not in texts(page)


def test_without_a_run_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    assert "lsm demo" in texts(transfer.page(session.Session(page="Transfer")))


# ---------------------------------------------------------------------------------- the factors


FOUND = {
    "pairs": {"slope": "slope_deg", "elevation": "elevation"},
    "clashes": {"lithology": "code 3 is 'marl' in the source, 'shale' in the target"},
    "missing": {"relief": ""},
    "unused": ["ndvi"],
    "notes": ["slope states no units"],
    "divergence": {
        "slope": {"kl": 0.25, "kl_back": 0.5, "source_typical": 20.0, "target_typical": 12.0},
        "elevation": {"kl": 1.75, "kl_back": 2.0, "source_typical": 900.0, "target_typical": 40.0},
    },
    "units": {"slope": "1", "elevation": "m"},
    "draft": "factors:\n  lithology: {from: lithology, codes: {3: FILL_IN}}\n",
}


def test_a_look_that_finds_nothing_new_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    looks = []
    monkeypatch.setattr(transfer, "poll", lambda _, part, look: looks.append(look))
    view = transfer.page(session.Session(page="Transfer"))
    looks[0]()
    changes, before = [], view.select(lambda part: True)
    for part in before:
        part.param.watch(changes.append, list(part.param))
    looks[0]()
    assert view.select(lambda part: True) == before
    assert changes == []


def test_factors_stand_with_their_divergence_and_what_is_against_them(pair):
    view = factor_match.FactorMatch(pair)
    view.show(FOUND)
    table = factor_match.rows_of(FOUND)
    assert table["factor"].tolist() == ["elevation", "slope", "lithology", "relief"]
    html = html_of(view.view)
    assert "slope_deg" in html
    assert "1.75" in html
    assert table["median, source"].tolist()[:2] == ["900 m", 20.0]
    assert ">40 m<" in html
    assert ">12<" in html
    assert "code 3 is &#x27;marl&#x27;" in html or "code 3 is &#39;marl&#39;" in html
    words = texts(view.words)
    assert "2 factors match. 2 do not" in words
    assert "Mind: slope states no units" in words
    assert view.mapped.visible
    assert "FILL_IN" in view.text.value


def test_a_mapping_is_kept_used_and_refused_with_a_gap(pair, monkeypatch):
    asked = []
    monkeypatch.setattr(
        factor_match.errands, "start",
        lambda arguments, title: asked.append(arguments) or types.SimpleNamespace(state="running"),
    )  # fmt: skip
    view = factor_match.FactorMatch(pair)
    view.text.value = FOUND["draft"]
    view.check.clicks += 1
    assert "FILL_IN stands at lithology" in texts(view.words)
    view.text.value = "factors:\n  slope: slope_deg\n"
    view.name.value = "../up"
    view.check.clicks += 1
    assert "cannot be called" in texts(view.words)
    view.name.value = "mine"
    view.check.clicks += 1
    assert pair.matched == "mine"
    assert asked[-1][:4] == ["transfer", "match", pair.source, "there"]
    assert asked[-1][-1].endswith("mappings/mine.yaml")
    recipe = carried_runs.CarriedRuns(pair).recipe("direct")
    assert recipe.transfer.mapping.endswith("mappings/mine.yaml")


def test_the_answer_of_the_program_is_shown_also_where_it_refuses(pair):
    view = factor_match.FactorMatch(pair)
    lines = json.dumps(FOUND, indent=1).splitlines()
    view.asked = types.SimpleNamespace(state="failed", lines=lines, error="3 do not match")
    view.look()
    assert "2 factors match" in texts(view.words)
    view.asked = types.SimpleNamespace(state="failed", lines=[], error="no area there")
    view.look()
    assert "no area there" in texts(view.words)


# ------------------------------------------------------------------------------------- the ways


def test_all_four_are_queued_and_one_that_cannot_is_said(pair, monkeypatch):
    made = []

    def start(recipe, into, *, on=None):
        if recipe.transfer.how == "self":
            raise RecipeError("not so")
        made.append(recipe)

    monkeypatch.setattr(jobs, "start", start)
    view = carried_runs.CarriedRuns(pair)
    view.fields["transfer.labels"].widget.value = "50"
    view.all.clicks += 1
    assert [(r.transfer.how, r.transfer.labels) for r in made] == [
        ("direct", None), ("inductive", 50), ("scratch", 50)
    ]  # fmt: skip
    assert {r.area for r in made} == {"there"}
    assert not made[0].map
    assert "self: not so" in texts(view.told)


def test_settings_of_a_transfer_come_from_the_schema(pair):
    view = carried_runs.CarriedRuns(pair)
    assert {"transfer.freeze", "transfer.rate", "transfer.rounds"} <= set(view.fields)
    assert "above 0.5, below 1" in view.fields["transfer.confidence"].hint.object


def test_runs_of_the_pair_stand_side_by_side(pair):
    view = carried_runs.CarriedRuns(pair)
    view.look()
    html = html_of(view.content)
    order = [html.index(f"{way} labels") for way in ("direct, no", "inductive, 30", "scratch, 30")]
    assert order == sorted(order)
    assert "honest" in html
    assert "test places" in html
    assert len(view.content.select(pn.pane.HoloViews)) == 2
    button = next(b for b in view.content if getattr(b, "label", "").startswith("Open these"))
    button.clicks += 1
    assert pair.page == "Compare"
    assert len(pair.runs) == 3


def test_the_classes_of_the_ways_stand_in_the_order_of_the_runs(pair):
    found = {run.recipe.name: run for run in runs.list_runs()}
    for run in found.values():
        run.metrics["zoning"] = "natural"
    for names in (["scratch", "direct", "inductive"], ["direct", "inductive", "scratch"]):
        table = carried_runs.zones_of([found[name] for name in names]).object.data
        assert [way.split(",")[0] for way in table["way"]] == names
        shares = table.filter(like="area (%)")
        assert shares.shape == (3, 5)
        assert shares.sum(axis=1).tolist() == pytest.approx([100] * 3)


def test_another_source_has_runs_of_its_own(pair):
    assert len(carried_runs.carried_of(pair.source, "there")) == 3
    assert carried_runs.carried_of("another", "there") == []
    assert carried_runs.carried_of(pair.source, "here") == []


# -------------------------------------------------------------------------------------- curves


def study(folder, about=None):
    rows = [
        {"how": how, "scale": None, "labels": labels, "draw": draw, "run": "gone", "n": 9}
        | dict.fromkeys(learning_curves.METRICS, 0.5 + 0.01 * draw)
        for draw in range(2)
        for how, labels in (("direct", None), ("scratch", 10), ("scratch", 100))
    ]
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(folder / "runs.csv")
    learning_curves.summary(pd.DataFrame(rows)).to_csv(folder / "learning_curves.csv", index=False)
    if about:
        (folder / "study.json").write_text(json.dumps(about))


def test_curves_of_a_study_are_drawn_with_their_protocol(pair, workspace):
    about = {"recipe": "Forest", "source": "here", "target": "there", "protocol": "honest"}
    study(workspace / "studies" / "one", about)
    view = learning_view.LearningView(pair)
    view.look()
    plot = view.body.select(pn.pane.HoloViews)[0].object
    title = plot.opts.get("plot", backend="bokeh").kwargs["title"]
    assert title == "Forest, here to there (honest)"
    assert "0.505 (" in html_of(view.body)
    study(workspace / "studies" / "two")
    view.look()
    view.choice.value = "two"
    title = view.body.select(pn.pane.HoloViews)[0].object.opts.get("plot", backend="bokeh").kwargs
    assert "protocol not recorded" in title["title"]


def test_a_study_is_started_with_the_recipe_of_the_source(pair, monkeypatch):
    asked = []

    def start(arguments, title, subject, steps):
        asked.append((arguments, steps))
        raise RecipeError("enough")

    monkeypatch.setattr(learning_view.errands, "start", start)
    view = learning_view.LearningView(pair)
    view.start.clicks += 1
    arguments, steps = asked[0]
    assert arguments[:2] == ["transfer", "study"]
    assert arguments[2].endswith("recipe.json")
    assert arguments[arguments.index("--source") + 1] == "here"
    assert arguments[arguments.index("--area") + 1] == "there"
    assert steps == 3 * (1 + 2 * 3)  # direct once; two ways with three numbers of labels
    assert "enough" in texts(view.told)
