"""Every method: parts add up, nothing overlaps, each landslide is tested once in its folds."""

import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401
import xarray as xr

from lsm_core import runs
from lsm_core.errors import LsmError, RecipeError, SampleError
from lsm_core.holdout import NOBODY, hold_out, too_near
from lsm_core.protocol import draw_places, scored
from lsm_core.recipe import make_recipe
from lsm_core.sampling import landslide_places
from lsm_core.splits import PARTS, blocks_of, overlap_report
from lsm_core.study_area import area_path, open_area

CELL = 30.0
HEAT = {"heatmap": {"diameter": 9, "per_interval": 0.2}}
WINDOW = {"form": "window", "size": 9}
FOLDING = ("random", "stratified", "blocks", "clusters", "knndm", "buffered", "area", "image")
METHODS = {
    **{name: {} for name in ("blocks", "clusters", "knndm", "random", "stratified")},
    "buffered": {"buffer": 400.0, "test": 0.02},
    "area": {"column": "place_district"},
    "image": {},
    "date": {"column": "place_date"},
    "column": {"column": "place_part"},
}
SPARSE = ("random", "stratified", "buffered", "knndm")  # few places tested, or nobody is left


def area(n=500, rows=300, cols=280, seed=0) -> xr.Dataset:
    """A flat area, landslides of one cell in heaps, with what inventories say about them."""
    rng = np.random.default_rng(seed)
    heaps = rng.uniform((20, 20), (rows - 20, cols - 20), (25, 2))
    at = (heaps[rng.integers(0, 25, 4 * n)] + rng.normal(0, 8, (4 * n, 2))).astype(int)
    at = np.unique(np.clip(at, 0, (rows - 1, cols - 1)), axis=0)
    row, col = at[rng.permutation(len(at))[:n]].T
    ids = np.zeros((rows, cols), "int32")
    ids[row, col] = np.arange(1, n + 1)
    x = 500000 + CELL * (np.arange(cols) + 0.5)
    y = 4000000 - CELL * (np.arange(rows) + 0.5)
    district = np.array(["north", "middle", "south", "far"])[np.minimum(row * 4 // rows, 3)]
    year = np.array([2000.0, 2005, 2006, 2010, 2014])[np.minimum(col * 5 // cols, 4)]
    date = [f"{int(v)}-0{1 + i % 9}-11" for i, v in enumerate(year)]
    part = np.where(row < 150, "training", np.where(row < 180, "val", "Test"))
    rock = np.broadcast_to((np.arange(cols) // 40).astype("int16"), ids.shape)
    ds = xr.Dataset(
        {
            "landslide": (("y", "x"), (ids > 0).astype("uint8")),
            "landslide_id": (("y", "x"), ids),
            "valid": (("y", "x"), np.ones(ids.shape, bool)),
            "rock": (("y", "x"), rock, {"kind": "categorical", "nodata": -32768}),
            "place_x": ("place", x[col]),
            "place_y": ("place", y[row]),
            "place_district": ("place", district),
            "place_Year_obs": ("place", year),
            "place_date": ("place", np.array(date)),
            "place_part": ("place", part),
        },
        coords={"y": y, "x": x, "place": np.arange(1, n + 1, dtype="int32")},
        attrs={"name": "flat"},
    )
    return ds.rio.write_crs(32643)


def recipe(method, *changes, **sections):
    """Few are tested by the methods that test scattered places: each clears its surroundings."""
    usual = {"test": 0.03} if method in SPARSE else {}
    split = {"method": method, "block": 1500.0} | usual | METHODS[method]
    settings = {"name": "r", "model": {"name": "random_forest"}, "split": split}
    return make_recipe(settings | sections, changes)


def check_parts_and_gap(ds, chosen, window):
    samples, ground, counts = draw_places(ds, chosen)
    slides = samples[samples["label"] == 1]
    removed = counts["landslides too near the test set"]
    nowhere = counts.get("landslides without a part in split.column", 0)
    assert len(slides) + removed + nowhere == counts["landslides"]
    assert set(slides["split"]) == set(PARTS)
    assert slides["landslide_id"].is_unique
    report = overlap_report(samples, window, ds)
    assert (report["share"], report["shared_landslides"]) == (0.0, 0)
    hard = samples[samples["label"] >= 0]
    assert overlap_report(hard, chosen.apart)["share"] == 0.0
    test = scored(samples, "test")
    assert ground[test["row"], test["col"]].all()
    assert (test["label"] == 0).sum() == (test["label"] == 1).sum()
    seen = hard[hard["split"] != "test"]
    assert not ground[seen["row"], seen["col"]].any()
    return samples


@pytest.mark.parametrize("method", METHODS)
def test_parts_add_up_and_no_window_of_training_meets_one_of_test(method):
    check_parts_and_gap(area(), recipe(method, samples=HEAT, input=WINDOW), 9)


@pytest.mark.parametrize("method", ["blocks", "clusters", "knndm", "random", "stratified"])
def test_no_overlap_on_the_sample_area(method, sample_workspace):
    ds = open_area(area_path("sample"))
    chosen = recipe(method, "split.block=6000", samples=HEAT, input=WINDOW)
    check_parts_and_gap(ds, chosen, 9)


@pytest.mark.parametrize(
    "split",
    [
        *({"method": m} for m in ("blocks", "clusters", "knndm", "image")),
        {"method": "date", "column": "place_Year_obs", "cutoff": 2006},
        {"method": "area", "column": "lithology"},
        *({"method": m, "test": 0.05} for m in ("random", "stratified", "buffered")),
    ],
    ids=lambda s: s["method"],
)
def test_no_overlap_at_balakot(split, balakot):
    settings = {"name": "r", "model": {"name": "x"}, "split": split, "input": WINDOW}
    check_parts_and_gap(balakot, make_recipe(settings | {"samples": HEAT}), 9)


@pytest.fixture(scope="module")
def balakot(shared_data):
    """The landslides of Balakot on its grid, from the source itself; lithology as it is."""
    import geopandas as gpd
    import rasterio

    from lsm_core.grid import Grid
    from lsm_core.inventory import lay_inventory

    with rasterio.open(shared_data / "balakot" / "Geology.tif") as source:
        grid = Grid(source.shape, source.transform, source.crs)
        rock = source.read(1).astype("int16")
    valid = np.ones(grid.shape, bool)
    laid = lay_inventory(gpd.read_file(shared_data / "balakot" / "landslides.shp"), grid, valid)
    n = len(laid.inventory)
    ds = xr.Dataset(
        {
            "landslide": (("y", "x"), (laid.landslide_id > 0).astype("uint8")),
            "landslide_id": (("y", "x"), laid.landslide_id),
            "valid": (("y", "x"), valid),
            "lithology": (("y", "x"), rock, {"kind": "categorical", "nodata": -32768}),
            "place_x": ("place", laid.x),
            "place_y": ("place", laid.y),
            "place_Year_obs": ("place", laid.inventory["Year_obs"].to_numpy(dtype=float)),
        },
        coords={"y": grid.y, "x": grid.x, "place": np.arange(1, n + 1, dtype="int32")},
        attrs={"name": "balakot"},
    )
    return ds.rio.write_crs(grid.crs)


def test_the_usual_honest_test_places_of_balakot_stay_what_they_were(balakot):
    """The fingerprint that runs before there were methods have in their metrics."""
    settings = {"name": "r", "model": {"name": "x"}, "split": {"seed": 1, "apart": 20}}
    samples = draw_places(balakot, make_recipe(settings)).samples
    assert runs.hash_places(scored(samples, "test"), "balakot") == "369e696cf73377eb"
    paper = draw_places(balakot, make_recipe(settings | {"protocol": "paper"})).samples
    assert runs.hash_places(scored(paper, "test"), "balakot") == "61563da0c388e61f"


@pytest.mark.parametrize("method", FOLDING)
def test_each_landslide_is_tested_in_exactly_one_fold(method):
    ds = area()
    tested = []
    slides = landslide_places(ds)
    for fold in range(1, 5):
        held = hold_out(ds, recipe(method, "split.folds=4", f"split.fold={fold}"), slides)
        tested += slides["landslide_id"][held.part == "test"].tolist()
        assert (held.part == "validation").any()
        assert (held.part == "train").any()
        share = (held.ground == PARTS.index("test")).mean()
        assert 0.05 < share < 0.5, share  # blocks without a landslide are dealt out too
    assert sorted(tested) == sorted(slides["landslide_id"])


def test_ground_without_a_landslide_is_dealt_to_a_fold_by_the_folds_share():
    """A quarter of the empty blocks of 210 m is tested; of the rest, the share that checks."""
    ds = area(n=60)
    slides = landslide_places(ds)
    changes = ("split.folds=4", "split.fold=2", "split.block=210", "split.validation=0.2")
    ground = hold_out(ds, recipe("blocks", *changes), slides).ground
    x, y = np.meshgrid(ds["x"], ds["y"])
    empty = ~np.isin(blocks_of(x, y, 210.0), blocks_of(slides["x"], slides["y"], 210.0))
    share = {name: (ground[empty] == i).mean() for i, name in enumerate(PARTS)}
    assert share["test"] == pytest.approx(1 / 4, abs=0.02)
    assert share["validation"] == pytest.approx(0.2 * 3 / 4, abs=0.02)


def test_a_paper_cross_validation_tests_each_landslide_once():
    tested = []
    for fold in range(1, 5):
        settings = {"name": "r", "protocol": "paper", "model": {"name": "x"},
                    "split": {"folds": 4, "fold": fold, "method": "stratified"}}  # fmt: skip
        test = scored(draw_places(area(), make_recipe(settings)).samples, "test")
        assert test["label"].mean() == pytest.approx(0.5, abs=0.01)
        tested += test["landslide_id"][test["label"] == 1].tolist()
    assert sorted(tested) == list(range(1, 501))


def test_the_ground_of_scattered_places_is_nearest_to_them():
    ds = area(n=60)
    slides = landslide_places(ds)
    held = hold_out(ds, recipe("image"), slides)
    r, c = np.indices(ds["valid"].shape)
    nearest = np.full(r.shape, np.inf)
    part = np.full(r.shape, -1)
    for row, col, name in zip(slides["row"], slides["col"], held.part, strict=True):
        distance = np.hypot(r - row, c - col)
        closer = distance < nearest
        nearest[closer], part[closer] = distance[closer], PARTS.index(name)
    assert (part == held.ground).mean() > 0.995  # ties fall either way


def test_whole_years_areas_and_dates_are_held():
    ds = area()
    slides = landslide_places(ds)

    def tested(values, *changes, method):
        part = hold_out(ds, recipe(method, *changes), slides).part
        return set(values[part == "test"]), set(values[part != "test"])

    year, district = ds["place_Year_obs"].values, ds["place_district"].values
    held, rest = tested(year, "split.hold=[2005, 2010]", method="image")
    assert (held, rest) == ({2005.0, 2010.0}, {2000.0, 2006.0, 2014.0})
    held, rest = tested(year, method="image")
    assert held
    assert not held & rest
    held, rest = tested(district, "split.hold=[far]", method="area")
    assert (held, rest) == ({"far"}, {"north", "middle", "south"})
    for cutoff in ("2006", "2006-12-31"):
        held, rest = tested(year, f"split.cutoff={cutoff}", method="date")
        assert (held, rest) == ({2010.0, 2014.0}, {2000.0, 2005.0, 2006.0})
    rocks = ds["rock"].values[slides["row"], slides["col"]]
    change = ("split.column=rock", "split.hold=[3]")
    assert tested(rocks, *change, method="area")[0] == {3}


def test_stated_parts_are_taken_and_what_is_not_said_has_no_part():
    ds = area()
    said = ds["place_part"].values.astype(object)
    said[:7] = None
    ds["place_part"] = ("place", said)
    slides = landslide_places(ds)
    held = hold_out(ds, recipe("column"), slides)
    words = {"training": "train", "val": "validation", "Test": "test", None: ""}
    assert held.part.tolist() == [words[w] for w in said]
    assert held.counts["landslides without a part in split.column"] == 7
    counts = draw_places(ds, recipe("column")).counts
    drawn = sum(counts[f"{p}: landslide"] for p in PARTS)
    assert drawn + counts["landslides too near the test set"] + 7 == 500
    ds["place_part"] = ("place", np.where(said == "val", "tset", said))
    with pytest.raises(SampleError, match=r"must say train and test .*, but it says tset"):
        hold_out(ds, recipe("column"), slides)


@pytest.mark.parametrize(
    ("method", "column", "nothing"),
    [
        ("area", "place_district", None),
        ("image", "place_Year_obs", np.nan),
        ("date", "place_date", None),
    ],
)
def test_landslides_the_column_says_nothing_about_have_no_part(method, column, nothing):
    ds = area()
    said = ds[column].values.astype(object if nothing is None else float)
    said[:7] = nothing
    ds[column] = ("place", said)
    held = hold_out(ds, recipe(method), landslide_places(ds))
    assert np.flatnonzero(held.part == "").tolist() == list(range(7))
    assert held.counts["landslides without a part in split.column"] == 7


@pytest.mark.parametrize("method", METHODS)
def test_parts_follow_the_seed_of_the_split(method):
    ds = area()
    slides = landslide_places(ds)
    folds = ([], ["split.folds=3"] if method in FOLDING else [])
    for more in folds:
        one, again, other = (
            hold_out(ds, recipe(method, f"split.seed={seed}", *more), slides).part.tolist()
            for seed in (1, 1, 2)
        )
        assert one == again
        if method not in ("column", "area", "image"):  # a few groups may be dealt out alike
            assert one != other


def test_a_column_without_validation_has_it_cut_from_training_by_block():
    ds = area()
    said = np.where(ds["place_part"].values == "Test", "test", "train")
    ds["place_part"] = ("place", said)
    slides = landslide_places(ds)
    part = hold_out(ds, recipe("column"), slides).part
    assert ((part == "test") == (said == "test")).all()
    block = blocks_of(slides["x"], slides["y"], 1500.0)
    assert 0 < (part == "validation").mean() < 0.2
    assert not set(block[part == "validation"]) & set(block[part == "train"])


def test_strata_of_a_column_have_their_shares():
    ds = area()
    slides = landslide_places(ds)
    part = hold_out(ds, recipe("stratified", "split.column=rock", "split.test=0.3"), slides).part
    rock = ds["rock"].values[slides["row"], slides["col"]]
    for code in np.unique(rock):
        own = rock == code
        assert (part[own] == "test").sum() == round(0.3 * own.sum())


def test_a_buffer_in_metres_counts_where_it_is_more_than_the_gap():
    ds = area()
    one = pd.DataFrame({"row": [100], "col": [100]})
    narrow, wide = (recipe("blocks", f"split.buffer={b}", "split.apart=5") for b in (90, 400))
    assert too_near(ds, narrow, one).sum() == 9**2
    assert too_near(ds, wide, one).sum() == 27**2  # 14 cells of 30 m reach 400 m
    assert too_near(ds, wide, one, 2).sum() == 9
    for metres in (200, 500):
        chosen = recipe("buffered", f"split.buffer={metres}")
        samples = draw_places(ds, chosen).samples
        assert overlap_report(samples, int(np.ceil(metres / CELL)))["share"] == 0.0


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (["split.method=block"], RecipeError, r"split: 'block' is no split.method; .*blocks"),
        (["split.folds=3", "split.fold=4"], RecipeError, "split.fold is 4, of 3 folds"),
        (["split.method=area"], RecipeError, "needs split.column"),
        (["split.method=date", "split.column=place_date", "split.folds=3"], RecipeError, "one"),
        (["split.hold=[2006]"], RecipeError, "set split.method to area or image"),
        (["protocol=paper", "split.method=blocks"], RecipeError, "random or stratified"),
        (["split.colum=x"], RecipeError, "split.colum is not a setting; did you mean column"),
        (["split.method=image", "split.column=place_Year"], RecipeError, "mean place_Year_obs"),
        (["split.method=image", "split.hold=[2007]"], SampleError, "holds 2000, 2005, 2006"),
        (["split.method=area", "split.column=place_district", "split.hold=[nort]"],
         SampleError, "holds far, middle, north, south"),
        (["split.method=clusters", "split.folds=900"], SampleError, "clusters were asked for"),
        (["split.method=image", "split.folds=9"], SampleError, "9 folds of 5 groups"),
        (["split.method=date", "split.column=place_date", "split.cutoff=1990"],
         SampleError, "500 of 500 landslides are later"),
        (["split.method=date", "split.column=place_district"], SampleError, "is not a date"),
        (["split.method=date", "split.column=place_Year_obs", "split.cutoff=May"],
         SampleError, "holds numbers"),
        (["split.method=random", "split.apart=60"], SampleError, "choose split.method blocks"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_cure(changes, error, words):
    with pytest.raises(LsmError, match=words) as caught:
        draw_places(area(), make_recipe({"name": "r", "model": {"name": "x"}}, changes))
    assert caught.type is error


def test_a_recipe_of_any_method_goes_to_json_and_back():
    from lsm_core.recipe import Recipe

    for method in METHODS:
        chosen = recipe(method, "samples.negatives={strategy: beyond_buffer, metres: 300}")
        assert Recipe.model_validate_json(chosen.model_dump_json()) == chosen
    old = {"seed": 1, "test": 0.3, "validation": 0.15, "block": None, "apart": 20}
    settings = {"name": "r", "model": {"name": "x"}, "split": old}
    assert make_recipe(settings).method == "blocks"
    assert make_recipe(settings | {"protocol": "paper"}).method == "random"


def test_nothing_belongs_to_nobody_where_every_landslide_has_a_part():
    ds = area()
    for method in METHODS:
        assert (hold_out(ds, recipe(method), landslide_places(ds)).ground != NOBODY).all()
