"""The sampling page without a browser: heat, windows, places, the meter, and what is kept."""

import numpy as np
import panel as pn
import panel_material_ui as pmui
import pytest
import xarray as xr
from page_text import texts
from test_figures import GRID, make_area

from lsm_app import drawn_places, heat_view, places_view
from lsm_app.ground import ground_of
from lsm_app.pages import sampling
from lsm_app.places_view import PlacesLayer
from lsm_app.session import Session
from lsm_core.own_recipes import own_recipes, replaced
from lsm_core.protocol import draw_places
from lsm_core.recipe import Heatmap, load_recipe
from lsm_core.sampling import gaussian_heatmap
from lsm_core.study_area import area_path, open_area, save_area
from lsm_core.terrain import slope

pn.extension()

SMALL = {"block": 450.0, "test": 0.3}  # blocks of the small area


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("workspace")
    area = make_area(root, places=60)
    ds = open_area(area).load()
    attrs = {"kind": "continuous", "units": "degrees", "long_name": "slope", "source": "made"}
    save_area(ds.assign(slope=slope(ds["elevation"]).assign_attrs(attrs)), area)
    return root


@pytest.fixture
def ground(workspace):
    return ground_of(area_path("valley"))


def visitor(**chosen):
    usual = {"area": "valley", "radius": 90.0, "sizes": [3], "page": "Sampling"}
    return Session(**usual | {"protocol": "paper", "recipe": "lsgh_net"} | chosen)


def meter(page):
    """The table of the meter, a row a protocol."""
    tables = [p.object for p in page.select(pn.pane.DataFrame) if p.object is not None]
    return next(t.data for t in tables if "protocol" in t.data).set_index("protocol")


def labelled(page, label):
    return next(part for part in page.select() if getattr(part, "label", "") == label)


# ------------------------------------------------------------------------------------- heat


def test_recoloured_distances_are_the_heatmap(ground):
    """What the slider shows is the core's heat, to a step of the colours."""
    widest = 600.0
    levels = np.flipud(heat_view.distances(ground, widest)).astype(float)
    for radius in (105.0, 195.0, 600.0):
        heat = gaussian_heatmap(np.column_stack([ground.x, ground.y]), GRID, radius).values
        shown = 10.0 ** -((levels * widest / (heat_view.LEVELS - 1) / radius) ** 2)
        shown[shown < 0.0999] = 0
        edge = np.abs(levels * widest / (heat_view.LEVELS - 1) - radius) < 1
        assert np.abs(shown - heat)[~edge].max() < 0.02
        assert edge.mean() < 0.02
        colours = heat_view.palette(radius, widest)
        clear = colours.index(heat_view.CLEAR) if heat_view.CLEAR in colours else len(colours)
        assert clear == int(radius / widest * (heat_view.LEVELS - 1)) + 1


def test_a_level_has_the_colour_of_its_heat():
    colours = heat_view.palette(300.0, 600.0, Heatmap(intervals=2, take=(0, 1)))
    assert colours[0] == heat_view.COLOURS[255]
    assert colours[256] == heat_view.COLOURS[round(255 * 10 ** -((256 * 600 / 1023 / 300) ** 2))]


def test_intervals_that_are_not_sampled_are_faint():
    colours = heat_view.palette(300.0, 600.0, Heatmap(intervals=4, take=(2,)))
    bright = [i for i, c in enumerate(colours) if len(c) == 7]
    heat = 10.0 ** -((np.arange(1024) * 600 / 1023 / 300) ** 2)
    assert bright == np.flatnonzero((heat >= 0.5) & (heat < 0.75)).tolist()
    assert colours[0].endswith(heat_view.FAINT)


def test_warm_cells_are_counted_by_interval(ground):
    warmth = heat_view.warmth_of(ground, 90.0, Heatmap(per_interval=0.3))
    heat = gaussian_heatmap(np.column_stack([ground.x, ground.y]), GRID, 90.0).values
    assert warmth.warm == (heat > 0).sum() == warmth.table["cells"].sum()
    top = heat >= np.float32(0.8)
    assert warmth.table["cells"][4] == top.sum()
    assert warmth.table["without landslide"][4] == (top & ground.free).sum() < top.sum()
    assert warmth.table["samples drawn"].tolist() == [0, 18, 18, 18, 0]
    two = heat_view.warmth_of(ground, 90.0, Heatmap(intervals=2, take=(1,), per_interval=0.1))
    assert two.table["cells"].tolist() == [((heat > 0) & (heat < 0.5)).sum(), (heat >= 0.5).sum()]
    assert two.table["samples drawn"].tolist() == [0, 6]


def test_intervals_are_closed_on_the_left(ground, monkeypatch):
    heat = np.zeros(GRID.shape, "float32")
    heat[0, :5] = 0.1, 0.2, 0.4, 0.6, 0.8
    made = xr.DataArray(heat, dims=("y", "x"))
    monkeypatch.setattr(heat_view, "gaussian_heatmap", lambda *_: made)
    assert heat_view.warmth_of(ground, 90.0, Heatmap()).table["cells"].tolist() == [1] * 5


def test_the_heat_follows_the_session_and_the_buttons(workspace):
    session = visitor(radius=195.0)
    page = sampling.page(session)
    assert "diameter **13 cells** of 30 m" in texts(page)
    labelled(page, "19 cells").clicks += 1
    assert session.radius == 285
    assert "diameter **19 cells**" in texts(page)


def test_a_number_that_will_not_do_is_said_below_its_field_and_above_them_all(workspace):
    page = sampling.page(visitor())
    rate = labelled(page, "Samples per interval and landslide")
    rate.value = -3.0
    assert (rate.error_state, rate.helper_text) == (True, "takes numbers above 0, got -3.0")
    assert "per_interval takes numbers above 0, got -3.0" in texts(page)
    rate.value = 0.3
    assert (rate.error_state, rate.helper_text) == (False, "")
    assert "got -3.0" not in texts(page)
    apart = labelled(page, "Cells apart (0: as needed)")
    apart.value = -2
    assert apart.helper_text == "takes numbers from 0, got -2"


def test_soft_samples_are_not_kept_for_a_model_of_hard_labels(workspace):
    session = visitor(recipe="random_forest")
    page = sampling.page(session)
    labelled(page, "Keep as a recipe").clicks += 1
    assert "random_forest learns from hard labels: leave samples.heatmap out" in texts(page)
    assert session.recipe == "random_forest"
    labelled(page, "Soft samples (off: hard labels only)").value = False
    labelled(page, "Keep as a recipe").clicks += 1
    assert session.recipe == "mine: my_random_forest"


def test_intervals_by_slider_are_what_a_recipe_takes(workspace):
    session = visitor()
    page = sampling.page(session)
    parts, limits = (
        labelled(page, "Equal intervals of heat"),
        labelled(page, "Heat that is sampled"),
    )
    with pn.param.edit_constant(parts):
        parts.param.update(value=4, value_throttled=4)
    with pn.param.edit_constant(limits):
        limits.param.update(value=(0.5, 1.0), value_throttled=(0.5, 1.0))
    assert session.heat["intervals"] == 4
    assert session.heat["take"] == [2, 3]
    assert limits.step == 0.25


# ----------------------------------------------------------------------------------- places


def test_the_map_shows_the_places_a_run_would_have(workspace, ground):
    session = visitor()
    ds = open_area(area_path("valley"))
    base = load_recipe(sampling.recipe_path("lsgh_net"))
    recipe = drawn_places.recipe_under(session, base, 30.0, "paper")
    samples, test_ground, _ = draw_places(ds, recipe)
    plot = heat_view.heat_figure(ground, heat_view.colour_mapper(90.0, 600.0), 600.0)
    layer = PlacesLayer(plot, ground, [3, 0, 0])
    layer.show(samples, test_ground)
    drawn = layer.sources["landslides", "test"].data
    own = samples[(samples["split"] == "test") & (samples["label"] == 1)]
    assert drawn["x"].tolist() == own["x"].tolist()
    assert len(layer.sources["soft", "train"].data["x"]) == (samples["label"] == -1).sum() > 0
    layer.only(["negatives"])
    assert [r.visible for r in layer.drawn["landslides"]] == [False] * 3
    assert [r.visible for r in layer.drawn["negatives"]] == [True] * 3
    assert f"test landslides: {len(own):,}" in places_view.legend(samples, [3])


def test_windows_are_squares_of_so_many_cells(ground):
    data = places_view.window_data(ground, [13, 0])
    assert data["side"] == [13 * 30.0, 0.0]
    assert (data["x"][0], data["y"][0]) in set(zip(ground.x, ground.y, strict=True))


def test_the_meter_holds_both_protocols_beside_each_other(workspace):
    page = sampling.page(visitor(protocol="honest", split=SMALL))
    table = meter(page)
    assert table.loc["honest", "overlap (%)"] == 0
    assert table.loc["paper", "overlap (%)"] > 0
    assert table.loc["paper", "split"] == "random"
    wider = sampling.page(visitor(protocol="honest", split=SMALL, sizes=[3, 5]))
    assert meter(wider)["window"].tolist() == [5, 5]
    assert meter(wider).loc["paper", "overlap (%)"] > table.loc["paper", "overlap (%)"]
    assert "Leakage under honest, windows of 3 cells" in texts(page)


def test_negatives_that_slope_alone_tells_are_warned_of(workspace):
    session = visitor()
    page = sampling.page(session)
    assert "Negatives too easy" not in texts(page)
    session.negatives = {"strategy": "below_slope", "degrees": 15.0, "factor": "slope"}
    assert "Negatives too easy: slope alone tells these places" in texts(page)
    assert meter(page).loc["paper", "slope-only AUC, training"] > 0.9


def test_a_strategy_has_its_sentence_and_its_options(workspace):
    session = visitor()
    page = sampling.page(session)
    assert "each with the same chance" in texts(page)
    labelled(page, "Drawn").value = "beyond_buffer"
    assert session.negatives == {"strategy": "beyond_buffer"}
    assert "farther than so many metres" in texts(page)
    slider = labelled(page, "Farther than, metres")
    with pn.param.edit_constant(slider):
        slider.value_throttled = 60.0
    assert session.negatives == {"strategy": "beyond_buffer", "metres": 60.0}


def test_a_split_that_cannot_be_is_said_and_the_page_lives_on(workspace):
    session = visitor(protocol="honest", split={"block": 1e6})
    page = sampling.page(session)
    assert "make split.block smaller" in texts(page)
    session.split = SMALL
    assert "make split.block smaller" not in texts(page)
    assert "Leakage under honest" in texts(page)


def test_another_protocol_has_its_own_methods(workspace):
    session = visitor(protocol="honest", split=SMALL | {"method": "clusters"})
    page = sampling.page(session)
    assert labelled(page, "Clusters (0: 20)").visible
    assert not labelled(page, "Side of a block, m (0: by area)").visible
    labelled(page, "Protocol").value = "paper"
    assert session.protocol == "paper"
    assert "method" not in session.split
    assert labelled(page, "Split by").options == ["random", "stratified"]


def test_an_area_left_is_followed_no_longer(workspace, tmp_path):
    session = visitor()
    page = sampling.page(session)
    session.area = "atlantis"
    assert "no study area in" in texts(page)
    session.area = "valley"
    assert len(page[-1]) == 1
    watching = session.param.watchers["sizes"]["value"]
    assert len(watching) == 1


def test_an_area_that_is_not_there_is_said(workspace):
    assert "no study area in" in texts(sampling.page(visitor(area="atlantis")))


# ------------------------------------------------------------------------------------- kept


def test_what_is_chosen_is_kept_as_a_recipe(workspace):
    session = visitor(
        sizes=[7, 9], split={"method": "stratified", "seed": 4}, radius=60.0,
        heat={"intervals": 4, "take": [1, 2], "per_interval": 0.2},
        negatives={"strategy": "low_heat", "heat": 0.3, "diameter": 4},
    )  # fmt: skip
    page = sampling.page(session)
    labelled(page, "Keep as").value = "my_places"
    labelled(page, "Keep as a recipe").clicks += 1
    assert "Kept as **my_places**" in texts(page)
    kept = load_recipe(own_recipes()["my_places"])
    assert kept.samples.heatmap == Heatmap(diameter=4, intervals=4, take=(1, 2), per_interval=0.2)
    assert kept.samples.negatives == {"strategy": "low_heat", "heat": 0.3, "diameter": 4}
    assert (kept.input.form, kept.input.sizes, kept.window) == ("window", (7, 9), 9)
    assert (kept.protocol, kept.method, kept.split.seed) == ("paper", "stratified", 4)
    assert session.recipe == "mine: my_places"
    shown = drawn_places.recipe_under(
        session, load_recipe(own_recipes()["my_places"]), 30.0, "paper"
    )
    assert shown == replaced(kept, {"name": "my_places"})  # what is looked at is what would run


def test_another_recipe_of_the_name_is_written_over_only_when_asked_again(workspace):
    page = sampling.page(visitor(sizes=[7]))
    labelled(page, "Keep as").value = "twice"
    labelled(page, "Keep as a recipe").clicks += 1
    before = own_recipes()["twice"].read_text()
    page = sampling.page(visitor(sizes=[9]))  # begun with lsgh_net, not with what is kept
    labelled(page, "Keep as").value = "twice"
    labelled(page, "Keep as a recipe").clicks += 1
    assert "There is a recipe twice already" in texts(page)
    assert own_recipes()["twice"].read_text() == before
    labelled(page, "Keep as a recipe").clicks += 1
    assert "Kept as **twice**" in texts(page)
    assert own_recipes()["twice"].read_text() != before
    labelled(page, "Keep as a recipe").clicks += 1  # it is the one begun with now
    assert "Kept as **twice**" in texts(page)


def test_recipes_of_tables_keep_their_form(workspace):
    session = visitor(recipe="random_forest", soft=False)
    base = load_recipe(sampling.recipe_path("random_forest"))
    made = replaced(base, drawn_places.chosen(session, base, 30.0))
    assert (made.input.form, made.window, made.samples.heatmap) == ("table", 1, None)


@pytest.mark.parametrize(("name", "words"), [("../up", "cannot be called"), ("", "cannot be")])
def test_a_name_no_file_can_have_is_said(workspace, name, words):
    page = sampling.page(visitor())
    labelled(page, "Keep as").value = name
    labelled(page, "Keep as a recipe").clicks += 1
    assert words in texts(page)


def test_a_recipe_that_is_not_there_is_said(workspace):
    assert "did you mean lsgh_net" in texts(sampling.page(visitor(recipe="lsgh_nett")))


def test_a_recipe_of_chips_is_no_recipe_of_places(workspace):
    assert "attention_unet draws chips" in texts(sampling.page(visitor(recipe="attention_unet")))


def test_an_address_with_nonsense_is_said(workspace):
    nonsense = {"heat": {"take": [9]}, "negatives": {"strategy": "at_night"}}
    page = sampling.page(visitor(**nonsense))
    alerts = [p.object for p in page.select(pmui.Alert)]
    assert any("take" in a for a in alerts)
    page = sampling.page(visitor(negatives={"strategy": "at_night"}))
    assert "no way to draw negatives is called" in texts(page)
