"""Honest places keep their distance; every recipe of one split has the same test places."""

import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401
import xarray as xr

from lsm_core import protocol, sampling
from lsm_core.errors import SampleError
from lsm_core.inner_folds import nested_splits
from lsm_core.protocol import block_metres, draw_places, scored
from lsm_core.recipe import make_recipe
from lsm_core.splits import overlap_report

CELL = 30.0


def area(n=400, rows=300, cols=280, seed=0) -> xr.Dataset:
    """A flat area with landslides of one cell at random."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(rows * cols, n, replace=False)
    row, col = np.unravel_index(cells, (rows, cols))
    ids = np.zeros((rows, cols), "int32")
    ids[row, col] = np.arange(1, n + 1)
    x = 500000 + CELL * (np.arange(cols) + 0.5)
    y = 4000000 - CELL * (np.arange(rows) + 0.5)
    ds = xr.Dataset(
        {
            "landslide": (("y", "x"), (ids > 0).astype("uint8")),
            "landslide_id": (("y", "x"), ids),
            "valid": (("y", "x"), np.ones(ids.shape, bool)),
            "place_x": ("place", x[col]),
            "place_y": ("place", y[row]),
        },
        coords={"y": y, "x": x, "place": np.arange(1, n + 1, dtype="int32")},
        attrs={"name": "flat"},
    )
    return ds.rio.write_crs(32643)


def recipe(*changes, **sections):
    settings = {
        "name": "r",
        "model": {"name": "random_forest"},
        "split": {"block": 1500.0, "apart": 20},
        "input": {"form": "window", "size": 13},
    }
    return make_recipe(settings | sections, changes)


HEAT = {"heatmap": {"diameter": 13, "per_interval": 0.3}}


def test_no_window_of_training_meets_a_window_of_test():
    ds = area()
    samples, ground, counts = draw_places(ds, recipe(samples=HEAT))
    report = overlap_report(samples, 13, ds)
    assert (report["share"], report["shared_landslides"]) == (0.0, 0)
    hard = samples[samples["label"] >= 0]
    assert overlap_report(hard, 20)["share"] == 0.0
    assert counts["landslides too near the test set"] > 0
    slides = samples[samples["label"] == 1]
    assert len(slides) + counts["landslides too near the test set"] == counts["landslides"] == 400
    test = scored(samples, "test")
    assert ground[test["row"], test["col"]].all()
    assert not ground[hard["row"], hard["col"]][hard["split"] != "test"].any()


def test_soft_samples_train_and_know_their_training_parent():
    ds = area()
    samples = draw_places(ds, recipe(samples=HEAT)).samples
    soft = samples[samples["label"] == -1]
    train = samples[(samples["label"] == 1) & (samples["split"] == "train")]
    assert set(soft["split"]) == {"train"}
    assert (scored(samples, "train")["label"] >= 0).all()
    assert set(soft["landslide_id"]) <= set(train["landslide_id"])
    assert (ds["landslide"].to_numpy()[soft["row"], soft["col"]] == 0).all()
    own = train.set_index("landslide_id").loc[soft["landslide_id"]]
    distance = np.hypot(soft["x"].to_numpy() - own["x"], soft["y"].to_numpy() - own["y"])
    sigma = 6.5 * CELL / np.sqrt(2 * np.log(10))
    np.testing.assert_allclose(soft["target"], np.exp(-(distance**2) / (2 * sigma**2)), rtol=1e-4)
    per_interval = soft.groupby("origin").size()
    assert per_interval.tolist() == [round(0.3 * len(train))] * 3


@pytest.mark.parametrize("kind", ["honest", "paper"])
def test_soft_samples_come_from_the_intervals_the_recipe_takes(kind):
    ds = area()
    heat = HEAT["heatmap"] | {"intervals": 4, "take": [2]}
    samples = draw_places(ds, recipe(f"protocol={kind}", samples={"heatmap": heat})).samples
    soft = samples[samples["label"] == -1]
    assert set(soft["origin"]) == {"heat 0.5-0.75"}
    assert soft["target"].between(0.5, 0.75, inclusive="left").all()


def test_cold_negatives_under_honest_and_as_drawn_under_paper():
    ds = area()

    def nearest_landslide(samples):
        cold = samples[(samples["origin"] == "negative") & (samples["split"] == "train")]
        slides = samples[(samples["label"] == 1) & (samples["split"] == "train")]
        x = cold["x"].to_numpy()[:, None] - slides["x"].to_numpy()
        y = cold["y"].to_numpy()[:, None] - slides["y"].to_numpy()
        return np.hypot(x, y).min(axis=1)

    honest = draw_places(ds, recipe(samples=HEAT)).samples
    paper = draw_places(ds, recipe("protocol=paper", samples=HEAT)).samples
    assert nearest_landslide(honest).min() > 6.5 * CELL
    assert nearest_landslide(paper).min() < 6.5 * CELL


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_test_places_follow_the_split_alone(protocol):
    ds = area()

    def tested(*changes, **sections):
        chosen = recipe(f"protocol={protocol}", *changes, **sections)
        return scored(draw_places(ds, chosen).samples, "test")[["row", "col", "label"]]

    plain = tested()
    pd.testing.assert_frame_equal(
        plain.reset_index(drop=True), tested(samples=HEAT).reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(
        plain.reset_index(drop=True), tested("seed=9", "input.form=table").reset_index(drop=True)
    )
    other = tested("split.seed=2")
    assert not plain.reset_index(drop=True).equals(other.reset_index(drop=True))


@pytest.mark.parametrize("protocol", ["honest", "paper"])
@pytest.mark.parametrize(
    "strategy",
    [
        {"strategy": "beyond_buffer", "metres": 120},
        {"strategy": "low_heat", "diameter": 5},
        {"strategy": "below_slope", "degrees": 20},
        {"strategy": "matched", "factor": "rock"},
        "own",
    ],
    ids=str,
)
def test_another_strategy_of_negatives_changes_training_and_no_test_place(
    protocol, strategy, tmp_path
):
    rng = np.random.default_rng(3)
    ds = area()
    shape = ds["valid"].shape
    ds["slope"] = ("y", "x"), rng.uniform(0, 40, shape), {"kind": "continuous"}
    ds["rock"] = ("y", "x"), rng.integers(0, 3, shape).astype("int16"), {"kind": "categorical"}
    if strategy == "own":
        points = {"x": rng.uniform(500000, 508400, 900), "y": rng.uniform(3991000, 4000000, 900)}
        pd.DataFrame(points).to_csv(tmp_path / "stable.csv", index=False)
        strategy = {"strategy": "own", "file": str(tmp_path / "stable.csv")}
    usual = recipe(f"protocol={protocol}")
    other = recipe(f"protocol={protocol}", samples={"negatives": strategy})
    more = recipe(f"protocol={protocol}", "samples.negatives_per_landslide=2")
    one, two, three = (draw_places(ds, r).samples for r in (usual, other, more))

    def part(samples, name, label=None):
        own = scored(samples, name)
        own = own if label is None else own[own["label"] == label]
        return own[["row", "col", "label"]].reset_index(drop=True)

    pd.testing.assert_frame_equal(part(one, "test"), part(two, "test"))
    pd.testing.assert_frame_equal(part(one, "test"), part(three, "test"))
    for name in ("train", "validation"):
        pd.testing.assert_frame_equal(part(one, name, 1), part(two, name, 1))
        assert not part(one, name, 0).equals(part(two, name, 0))
        assert len(part(three, name, 0)) == 2 * len(part(three, name, 1))
    assert overlap_report(two, 1)["same_cell"] == 0
    assert not two[two["label"] == 0].duplicated(["row", "col"]).any()


@pytest.mark.parametrize("kind", ["honest", "paper"])
def test_negatives_to_learn_from_know_no_landslide_of_the_test(kind, monkeypatch):
    known = []

    def spy(*given, **options):
        known.append(options.get("landslides"))
        return sampling.negatives(*given, **options)

    monkeypatch.setattr(protocol, "negatives", spy)
    buffer = {"negatives": {"strategy": "beyond_buffer", "metres": 120}}
    samples = draw_places(area(), recipe(f"protocol={kind}", samples=buffer)).samples
    slides = samples[samples["label"] == 1]
    seen = slides[slides["split"] != "test"]
    assert len(known) == 3
    assert known[0] is None  # those of the test are drawn at random
    for given in known[1:]:
        assert sorted(given["landslide_id"]) == sorted(seen["landslide_id"])


def test_negatives_that_could_not_be_drawn_are_counted():
    ds = area()
    ds["slope"] = ("y", "x"), np.full(ds["valid"].shape, 50.0), {"kind": "continuous"}
    ds["slope"][:, ::40] = 1.0
    chosen = recipe(
        "samples.negatives={strategy: below_slope}", "samples.negatives_per_landslide=9"
    )
    samples, _, counts = draw_places(ds, chosen)
    for name in ("train", "validation"):
        drawn = scored(samples, name)["label"].value_counts()
        assert counts[f"{name}: negatives that could not be drawn"] == 9 * drawn[1] - drawn[0] > 0


def test_same_recipe_same_places_and_other_seed_other_training():
    ds = area()
    one, again = (draw_places(ds, recipe(samples=HEAT)).samples for _ in range(2))
    pd.testing.assert_frame_equal(one, again)
    other = draw_places(ds, recipe("seed=2", samples=HEAT)).samples
    assert not one.equals(other)
    for kind in ("negative", "heat 0.2-0.4"):
        cells = [
            s[(s["split"] == "train") & (s["origin"] == kind)][["row", "col"]].to_numpy().tolist()
            for s in (one, other)
        ]
        assert cells[0] != cells[1]


def test_a_paper_split_is_seven_to_three_and_says_what_it_left_out():
    samples, ground, counts = draw_places(area(), recipe("protocol=paper", samples=HEAT))
    hard = samples[samples["label"] >= 0]
    assert (hard["split"] == "test").mean() == pytest.approx(0.3)
    soft = (samples["label"] == -1).sum()
    assert soft + counts["soft samples in the test share, left out"] == 3 * 120
    assert ground is None


def test_the_side_of_a_block_follows_the_area_not_the_model():
    ds = area()  # 9 by 8.4 km
    plain = make_recipe({"name": "r", "model": {"name": "x"}})
    assert block_metres(ds, plain) == 2000  # three gaps of 20 cells: 1,800 m
    assert block_metres(ds, recipe("split.block=null", "split.apart=20")) == 2000
    assert block_metres(ds, recipe("split.block=null", "input.form=table", "split.apart=1")) == 1000
    assert block_metres(ds, recipe("split.block=null", "split.apart=25")) == 3000  # from 2,250 m
    assert block_metres(ds, recipe()) == 1500


def test_too_few_landslides_and_a_gap_that_leaves_nobody():
    with pytest.raises(SampleError, match="5 landslides lie on valid cells of flat: at least 10"):
        draw_places(area(n=5), recipe())
    with pytest.raises(
        SampleError, match=r"no landslide is left for validation: .* split\.block larger"
    ):
        draw_places(area(), recipe("split.apart=200"))


def test_more_negatives_than_cells():
    with pytest.raises(SampleError, match="places without a landslide were asked for"):
        draw_places(
            area(rows=60, cols=60), recipe("samples.negatives_per_landslide=50", "protocol=paper")
        )


@pytest.mark.parametrize("kind", ["honest", "paper"])
def test_smoothing_moves_the_targets_of_hard_training_places_and_nothing_else(kind):
    ds = area()
    plain = draw_places(ds, recipe(f"protocol={kind}", samples=HEAT)).samples
    chosen = recipe(f"protocol={kind}", samples=HEAT | {"smoothing": 0.2})
    soft = draw_places(ds, chosen).samples
    pd.testing.assert_frame_equal(plain.drop(columns="target"), soft.drop(columns="target"))
    hard = (plain["label"] >= 0) & (plain["split"] == "train")
    np.testing.assert_array_equal(soft["target"][~hard], plain["target"][~hard])
    wanted = plain["label"].map({0: 0.1, 1: 0.9})
    np.testing.assert_allclose(soft["target"][hard], wanted[hard], rtol=1e-6)
    for frame in nested_splits(ds, chosen, soft, 3):  # who checks is not the same here
        check = frame[frame["split"] == "validation"]
        np.testing.assert_array_equal(check["target"], check["label"])
        train = frame[(frame["split"] == "train") & (frame["label"] >= 0)]
        np.testing.assert_allclose(train["target"], 0.1 + 0.8 * train["label"], rtol=1e-6)


@pytest.mark.parametrize("kind", ["honest", "paper"])
def test_shuffled_heat_is_the_same_heat_at_other_places(kind):
    ds = area()
    real = draw_places(ds, recipe(f"protocol={kind}", samples=HEAT)).samples
    shuffled = {"heatmap": HEAT["heatmap"] | {"shuffled": True}}
    chosen = recipe(f"protocol={kind}", samples=shuffled)
    dealt = draw_places(ds, chosen).samples
    warm, other = (frame[frame["label"] == -1] for frame in (real, dealt))
    rest = (frame[frame["label"] >= 0] for frame in (real, dealt))
    pd.testing.assert_frame_equal(*rest)  # landslides and negatives are those of the heat's recipe
    np.testing.assert_array_equal(np.sort(warm["target"]), np.sort(other["target"]))
    assert set(other["origin"]) == {f"shuffled {name}" for name in set(warm["origin"])}
    assert set(other["split"]) == {"train"}
    assert (other["landslide_id"] == 0).all()
    cell = ds["landslide"].to_numpy()[other["row"], other["col"]]
    assert (cell == 0).all()
    assert not other.duplicated(["row", "col"]).any()

    slides = real[(real["label"] == 1) & (real["split"] == "train")]

    def related(frame):
        """Correlation of heat with the distance from the nearest training landslide."""
        near = np.hypot(*(frame[c].to_numpy()[:, None] - slides[c].to_numpy() for c in "xy"))
        return np.corrcoef(frame["target"], near.min(axis=1))[0, 1]

    assert abs(related(other)) < 0.2
    if kind == "honest":
        assert related(warm) < -0.9
        assert overlap_report(dealt, 13, ds)["share"] == 0.0
        for frame in nested_splits(ds, chosen, dealt, 3):
            as_test = frame.assign(split=frame["split"].replace("validation", "test"))
            assert (as_test["label"] < 0).any()
            assert overlap_report(as_test, 13)["share"] == 0.0
