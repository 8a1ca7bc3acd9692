"""Runs on units: every room takes a table, under both protocols; nothing pretends to be a map."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from rasterio.crs import CRS

from lsm_core import experiment, prediction, runs, study_area, unit_prediction
from lsm_core.comparison_report import tables_in_words
from lsm_core.errors import RecipeError, RunError, SampleError, SourceError
from lsm_core.metrics import average_precision, roc_auc
from lsm_core.recipe import make_recipe

N = 900
FOREST = {
    "name": "forest",
    "model": {"name": "random_forest", "options": {"n_estimators": 40}},
    "split": {"apart": 8},
}


def table(places=True, count=False):
    """Units over 9 x 9 km whose landslides follow slope and rock, a third of all."""
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 9000, (2, N))
    slope = rng.uniform(0, 60, N).astype("float32")
    rock = rng.integers(1, 4, N).astype("int16")
    label = (slope + 10 * (rock == 2) + rng.normal(0, 12, N) > 42).astype("uint8")
    slope[::50] = np.nan
    rocks = {"kind": "categorical", "units": "1", "nodata": -32768}
    rocks |= study_area.flags({1: "Hard", 2: "Soft", 3: "Loose"})
    ds = xr.Dataset(
        {
            "slope": ("unit", slope, {"kind": "continuous", "units": "degrees"}),
            "rock": ("unit", rock, rocks),
            "noise": (
                "unit",
                rng.random(N).astype("float32"),
                {"kind": "continuous", "units": "1"},
            ),
            "landslide": ("unit", label),
            "valid": ("unit", np.arange(N) != 7),
        },
        {"unit": np.arange(1, N + 1, dtype="int32")},
        {"name": "table", "title": "A table"},
    )
    if count:
        ds["landslide_count"] = ("unit", (label * (1 + np.arange(N) % 3)).astype("int32"))
        ds["unit_area"] = ("unit", rng.uniform(1e5, 1e6, N))
    if places:
        ds = ds.assign_coords(x=("unit", x), y=("unit", y)).rio.write_crs(CRS.from_epsg(32643))
    return ds


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("units")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSM_WORKSPACE", str(folder))
        study_area.save_area(table(), study_area.area_path("table"))
        counted = table(count=True).assign_attrs(name="counted")
        squares = [
            shapely.box(x, y, x + 9, y + 9)
            for x, y in zip(counted.x.values, counted.y.values, strict=True)
        ]
        shapes = gpd.GeoDataFrame({"unit": counted["unit"].values}, geometry=squares, crs=32643)
        study_area.save_area(counted, study_area.area_path("counted"), inventory=shapes)
        bare = table(places=False).assign_attrs(name="bare")
        study_area.save_area(bare, study_area.area_path("bare"))
        yield folder


def run(area, into, *changes, settings=FOREST):
    recipe = make_recipe(settings, [f"area={area}", *changes])
    return experiment.run_experiment(recipe, into)


@pytest.fixture(scope="module")
def honest(tables):
    return run("table", tables / "runs")


def test_a_run_on_units_is_a_table_and_no_map(honest):
    """Every unit once, the invalid one without a score; curves, zones and numbers as ever."""
    names = {p.name for p in honest.path.iterdir()}
    assert {"susceptibility.csv", "susceptibility.gpkg", "zones.json", "metrics.json"} <= names
    assert not {n for n in names if n.endswith((".tif", ".qml"))}
    assert not honest.has_map
    scored = honest.unit_scores
    assert scored["unit"].tolist() == list(range(1, N + 1))
    assert scored["score"].isna().tolist() == [i == 7 for i in range(N)]
    assert (scored["zone"] == 0).sum() == 1
    points = gpd.read_file(honest.path / "susceptibility.gpkg")
    np.testing.assert_allclose(points.geometry.x, scored["x"])
    places = honest.scores
    np.testing.assert_allclose(scored["score"][places["row"]], places["score"], atol=1e-6)
    with pytest.raises(RunError, match=r"has no susceptibility\.tif"):
        _ = honest.map_path


def test_all_units_without_a_landslide_take_part(honest, tables):
    """Under both protocols every valid unit trains, checks or tests, once."""
    paper = run("table", tables / "runs", "protocol=paper")
    for done in (honest, paper):
        samples = done.samples
        assert sorted(samples["row"]) == [i for i in range(N) if i != 7]
        np.testing.assert_array_equal(samples["label"], table()["landslide"].values[samples["row"]])
        test = done.scores[done.scores["split"] == "test"]
        assert done.metrics["roc_auc"] == pytest.approx(roc_auc(test["label"], test["score"]))
        assert done.metrics["roc_auc"] > 0.8
    split = pd.Series(paper.samples["split"])
    assert (split == "test").mean() == pytest.approx(0.3, abs=0.01)
    block = honest.samples.groupby("block")["split"].nunique()
    assert (block == 1).all()


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_training_units_can_be_sampled_and_test_units_stay(honest, tables, protocol):
    """As many without a landslide as asked for; test places are those of the recipe without."""
    sampled = ["samples.units=sampled", "samples.negatives_per_landslide=0.5"]
    one, all_units = (
        run("table", tables / "runs", f"protocol={protocol}", *more) for more in (sampled, [])
    )
    assert one.metrics["test_places"] == all_units.metrics["test_places"]
    train = one.samples[one.samples["split"] == "train"]["label"]
    assert (train == 0).sum() == round((train == 1).sum() * 0.5)


def test_runs_on_one_table_are_compared(honest, tables):
    logistic = run("table", tables / "runs", "model.name=logistic_regression", "model.options={}")
    compared = runs.compare([honest, logistic])
    assert len(compared["scores"]) == 2
    assert (compared["scores"]["auc"] > 0.8).all()
    zones = [
        p for p in tables_in_words(compared).split("\n\n") if p.startswith("Zoning by natural")
    ]
    assert all(part.count("% of the units, ") == 2 for part in zones)
    assert zones
    told = honest.metrics["reasonableness"]["whole map"]["words"]
    assert "% of the units, " in told
    assert "% of the area, " not in told
    assert "window" not in honest.metrics["overlap"]["verdict"]
    whole = honest.density_table.query("where == 'whole map' and breaks == 'natural'")
    assert whole["cells"].sum() == N - 1
    assert whole["landslides"].sum() == honest.samples["label"].sum()
    assert (np.diff(whole["density"]) > 0).all()


def test_counts_and_areas_count_in_the_zones(tables):
    done = run("counted", tables / "runs")
    ds = table(count=True)
    slides = int(ds["landslide_count"][ds["valid"]].sum())
    whole = done.density_table.query("where == 'whole map' and breaks == 'natural'")
    assert whole["landslides"].sum() == slides
    ground = pd.read_csv(done.path / "density_by_area.csv")
    assert ground["landslides"].sum() == slides
    assert ground["area_km2"].sum() == pytest.approx(ds["unit_area"][ds["valid"]].sum() / 1e6)
    assert gpd.read_file(done.path / "susceptibility.gpkg").geom_type.unique() == ["Polygon"]


def test_a_table_without_coordinates_is_split_at_random(tables):
    done = run("bare", tables / "runs", "protocol=paper")
    assert done.metrics["roc_auc"] > 0.8
    assert not (done.path / "susceptibility.gpkg").exists()
    with pytest.raises(SampleError, match="coordinates"):
        run("bare", tables / "runs")


def test_what_needs_a_map_is_refused_before_a_folder_is_made(tables, tmp_path):
    window = {"name": "net", "model": {"name": "cnn"}, "input": {"form": "window"}}
    with pytest.raises(RecipeError, match="table is made of units, which have no cells around"):
        run("table", tmp_path, settings=window)
    heat = window | {"input": {"form": "onehot"}, "samples": {"heatmap": {"diameter": 7}}}
    with pytest.raises(RecipeError, match=r"made of units: leave samples\.heatmap out"):
        run("table", tmp_path, settings=heat)
    with pytest.raises(SampleError, match="the validation part has"):
        run("table", tmp_path, "protocol=paper", "split.validation=0.001")
    assert not list(tmp_path.iterdir())


@pytest.mark.torture
def test_a_one_hot_network_runs_on_units(tables):
    """Its image is that of one cell, so it needs no neighbours."""
    settings = {
        "name": "cnn",
        "model": {"name": "cnn"},
        "input": {"form": "onehot", "size": 7},
        "training": {"epochs": 1, "batch": 64},
    }
    done = run("table", tables / "runs", settings=settings)
    assert np.isfinite(done.unit_scores["score"]).sum() == N - 1


def test_factors_that_know_the_label_are_flagged(tables, tmp_path):
    ds = table()
    leak = (ds["landslide"].values + 0.1 * ds["noise"].values).astype("float32")
    ds["rate"] = ("unit", leak, {"kind": "continuous", "units": "1"})
    twice = ds.assign_attrs(name="leaky")
    study_area.save_area(twice, study_area.area_path("leaky"))
    done = run("leaky", tables / "runs")
    assert [(f["what"], f["factor"]) for f in done.metrics["flags"]] == [("leak", "rate")]
    assert any("rate alone tells landslides" in line for line in done.metrics["warnings"])
    without = run("leaky", tables / "runs", "input.factors=[slope, rock]")
    assert without.metrics["flags"] == []


def test_copies_across_the_split_are_counted(tables):
    ds = table()
    order = np.r_[np.arange(N), np.arange(100, 200)]
    doubled = ds.isel(unit=order).assign_coords(unit=np.arange(1, N + 101, dtype="int32"))
    doubled = doubled.assign_attrs(name="doubled")
    study_area.save_area(doubled, study_area.area_path("doubled"))
    done = run("doubled", tables / "runs", "protocol=paper")
    copies = done.metrics["overlap"]["duplicates"]
    by_unit = pd.Series(done.samples["split"].values, index=done.samples["row"])
    wanted = sum(
        (by_unit[i] == "test") != (by_unit[N + i - 100] == "test") for i in range(100, 200)
    )
    assert copies == wanted > 20


def test_calibrated_scores_are_calibrated_once(tables, tmp_path):
    """In the run's own table, its places, and where its model is used again."""
    done = run("table", tables / "runs", "calibration=platt")
    ds = study_area.open_area(done.area_path)
    again = unit_prediction.predict_table(done, ds, done.area_path, tmp_path / "scores.csv")
    np.testing.assert_allclose(again["score"], done.unit_scores["score"], atol=1e-6)
    np.testing.assert_allclose(again["score"][done.scores["row"]], done.scores["score"], atol=1e-6)


def test_a_stored_run_scores_units_again(honest, tables, tmp_path):
    ds = study_area.open_area(honest.area_path)
    again = prediction.predict_map(honest, ds)
    assert again.dims == ("unit",)
    np.testing.assert_allclose(again, honest.unit_scores["score"], atol=1e-6)
    for name in ("scores.csv", "scores.gpkg"):
        written = unit_prediction.predict_table(honest, ds, honest.area_path, tmp_path / name)
        np.testing.assert_allclose(written["score"], again)
        assert written["zone"].tolist() == honest.unit_scores["zone"].tolist()
    assert len(gpd.read_file(tmp_path / "scores.gpkg")) == N
    with pytest.raises(SourceError, match="units have no map"):
        unit_prediction.predict_table(honest, ds, honest.area_path, tmp_path / "scores.tif")
    bare = study_area.open_area(study_area.area_path("bare"))
    with pytest.raises(RunError, match="no coordinates to draw"):
        unit_prediction.predict_table(
            honest, bare, study_area.area_path("bare"), tmp_path / "bare.gpkg"
        )


def test_a_map_is_summed_up_by_polygons(sample_workspace, tmp_path, monkeypatch):
    """Held-out units are judged apart; the table is what was written."""
    monkeypatch.setenv("LSM_WORKSPACE", str(sample_workspace))  # this file has its own, too
    settings = FOREST | {"split": {"block": 6000.0}}
    done = run("sample", tmp_path, settings=settings)
    ds = study_area.open_area(done.area_path)
    left, bottom, right, top = (float(v) for v in ds.rio.bounds())
    step = 1500.0
    boxes = [
        shapely.box(x, y, x + step, y + step)
        for x in np.arange(left, right, step)
        for y in np.arange(bottom, top, step)
    ]
    outside = shapely.box(right + 1e5, top, right + 2e5, top + 1)
    polygons = gpd.GeoDataFrame(geometry=[*boxes, outside], crs=ds.rio.crs.to_wkt())
    judged = unit_prediction.predict_polygons(done, ds, polygons, tmp_path / "u.gpkg")
    written = gpd.read_file(tmp_path / "u.gpkg")
    assert len(written) == len(polygons)
    assert written["cells"].iloc[-1] == 0
    assert written["cells"].sum() == int(ds["valid"].sum())
    assert written["landslides"].sum() == ds.sizes["place"]
    for name, rows in (("all units", written), ("held-out units", written[written["held"] == 1])):
        rows = rows[np.isfinite(rows["score_mean"])]
        first = judged[name].set_index("score").loc["mean"]
        label = rows["landslides"] > 0
        assert first["average_precision"] == pytest.approx(
            average_precision(label, rows["score_mean"])
        )
        assert first["units"] == len(rows)
    assert judged["held-out units"]["units"].iloc[0] < judged["all units"]["units"].iloc[0]
    text = json.dumps({n: t.to_dict("records") for n, t in judged.items()})
    assert "maximum" in text
