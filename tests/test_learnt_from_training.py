"""Noise is scored at chance, and values at test places change nothing that is learnt."""

import numpy as np
import pytest
import xarray as xr

from lsm_core import evaluation, experiment, models, planning, prediction
from lsm_core.metrics import roc_auc
from lsm_core.models.baselines import fit_estimator
from lsm_core.protocol import scored
from lsm_core.recipe import make_recipe
from lsm_core.sampling import landslide_places
from lsm_core.splits import near
from lsm_core.study_area import area_path, factors, open_area

FOREST = {"name": "random_forest", "options": {"n_estimators": 60}}


def recipe(*changes, **sections):
    settings = {"name": "r", "area": "sample", "model": FOREST, "split": {"block": 6000.0}}
    return make_recipe(settings | sections, changes)


def judged(plan):
    model = models.build(plan.recipe.model.name, plan.encoder.input_shape, seed=1, n_estimators=60)
    train = scored(plan.samples, "train")
    x = prediction.gather(plan.encoder, plan.ds, train["row"], train["col"])
    fit_estimator(model, x(np.arange(len(train))), train["label"])
    return experiment._score(model, plan)


def shuffled(ds, seed):
    """The same ground, as many landslides, each on one valid cell at random."""
    n = ds.sizes["place"]
    rng = np.random.default_rng(seed)
    cells = rng.choice(np.flatnonzero(ds["valid"].to_numpy()), n, replace=False)
    row, col = np.unravel_index(cells, ds["valid"].shape)
    ids = np.zeros(ds["valid"].shape, "int32")
    ids[row, col] = ds["place"].to_numpy()
    return ds.assign(
        landslide=(("y", "x"), (ids > 0).astype("uint8")),
        landslide_id=(("y", "x"), ids),
        place_x=("place", ds["x"].to_numpy()[col]),
        place_y=("place", ds["y"].to_numpy()[row]),
    )


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_landslides_at_random_are_scored_at_chance(protocol, sample_workspace, monkeypatch):
    truth = open_area(area_path("sample")).load()
    aucs = []
    for seed in range(3):
        noise = shuffled(truth, seed)
        monkeypatch.setattr(planning, "open_area", lambda path, noise=noise, **how: noise)
        plan = experiment.plan_run(recipe(f"protocol={protocol}", f"split.seed={seed}"))
        test = judged(plan).query("split == 'test'")
        spread = np.sqrt(1 / (3 * len(test)))  # of the AUC of noise, with as many of each class
        aucs.append((roc_auc(test["label"], test["score"]) - 0.5) / spread)
    assert max(map(abs, aucs)) < 3.5
    assert abs(np.mean(aucs)) < 2.0


def test_the_truth_is_scored_well_above_chance(sample_workspace):
    plan = experiment.plan_run(recipe())
    test = judged(plan).query("split == 'test'")
    assert roc_auc(test["label"], test["score"]) > 0.7


def disturbed(ds, where):
    """Other values, far off, in some cells: numbers shifted, categories turned, some of it gone."""
    other = {}
    for name in factors(ds):
        value = ds[name].to_numpy()
        codes = np.atleast_1d(ds[name].attrs.get("flag_values", [])).tolist()
        if codes:
            wild = np.full_like(value, codes[0])
        else:
            wild = (value * -1e3 + 1e6).astype("float32")
            wild[::7] = np.nan
        other[name] = (("y", "x"), np.where(where, wild, value), ds[name].attrs)
    return ds.assign(other)


@pytest.mark.parametrize(
    "form",
    [
        {"form": "table"},
        {"form": "onehot", "size": 9},
        {"form": "onehot", "size": 9, "classes": {"slope": {"method": "natural", "k": 6}}},
        {"form": "window", "size": 9},
    ],
    ids=["table", "deciles", "natural", "window"],
)
@pytest.mark.parametrize("method", ["blocks", "knndm"])
def test_values_at_test_places_change_nothing_that_is_learnt(
    form, method, sample_workspace, monkeypatch
):
    ds = open_area(area_path("sample")).load()
    table = form["form"] == "table"
    model = FOREST if table else {"name": "cnn"}
    split = {"method": method, "block": 6000.0, "test": 0.1}
    more = {"selection": {"trees": 10}} if table else {}
    chosen = recipe(input=form, model=model, split=split, **more)
    plan = experiment.plan_run(chosen)
    test = scored(plan.samples, "test")
    reach = chosen.window // 2 + 1
    seen_by_test = near(test["row"], test["col"], ds["valid"].shape, reach)
    assert seen_by_test.sum() >= len(test[["row", "col"]].drop_duplicates())
    moved = disturbed(ds, seen_by_test)
    monkeypatch.setattr(planning, "open_area", lambda path, **how: moved)
    again = experiment.plan_run(chosen)
    assert again.encoder.to_json() == plan.encoder.to_json()
    assert again.selection == plan.selection
    assert again.samples.equals(plan.samples)
    if table:
        one, two = judged(plan), judged(again)
        same = (one["score"] == two["score"]).to_numpy()
        tested = (one["split"] == "test").to_numpy()
        assert same[~tested].all()
        assert not same[tested].all()
        first, second = (evaluation.judge_places(s)["thresholds"] for s in (one, two))
        assert {k: v["threshold"] for k, v in first.items()} == {
            k: v["threshold"] for k, v in second.items()
        }


def test_a_factor_made_from_the_inventory_and_trivial_negatives_are_named(
    sample_workspace, monkeypatch
):
    ds = open_area(area_path("sample")).load()
    slides = landslide_places(ds)
    there = np.zeros(ds["valid"].shape, "float32")
    there[slides["row"], slides["col"]] = 1
    deposit = xr.DataArray(there, dims=("y", "x"), attrs={"kind": "continuous", "units": "1"})
    monkeypatch.setattr(planning, "open_area", lambda path, **how: ds.assign(deposit=deposit))
    plan = experiment.plan_run(recipe())
    found = experiment._judge(judged(plan), plan)
    assert "deposit" in {flag["factor"] for flag in found["flags"]}
    assert any(line.startswith("deposit alone tells") for line in found["warnings"])
    assert set(found["null_models"]) == {"slope", "distance"}
    assert found["overlap"]["duplicates"] == 0
    steep = ds["slope"].where(there == 0, 89).astype("float32")
    slope = steep.assign_attrs(ds["slope"].attrs)
    monkeypatch.setattr(planning, "open_area", lambda path, **how: ds.assign(slope=slope))
    plan = experiment.plan_run(recipe("input.factors=[slope, twi]"))
    found = experiment._judge(judged(plan), plan)
    assert any(line.startswith("slope alone has AUC") for line in found["warnings"])
