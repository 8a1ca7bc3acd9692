"""Models side by side: the same draws for all, runs of one model as one, ranks where they part."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lsm_core import runs, scoreboard
from lsm_core.comparison import delong, mcnemar, paired_block_bootstrap
from lsm_core.errors import RunError
from lsm_core.metrics import average_precision, roc_auc
from lsm_core.recipe import make_recipe
from lsm_core.threshold import choose_threshold

N, BLOCKS = 400, 20


def places(fold=0, n=N):
    """Test places of a fold: 20 blocks of 20, half of them landslides."""
    rng = np.random.default_rng(100 + fold)
    table = pd.DataFrame({"row": np.arange(n), "col": fold, "label": rng.integers(0, 2, n)})
    return table.assign(block=np.arange(n) // (n // BLOCKS), split="test", landslide_id=0)


def new_run(folder, name, skill, *changes, noise=1, nulls=None):
    """A finished run whose scores know the label by `skill`; fold and seed from its recipe."""
    recipe = make_recipe({"name": name, "model": {"name": "cnn"}}, list(changes))
    fold = recipe.split.fold if recipe.split.folds else 0
    spot = places(fold + 50 * (recipe.protocol == "paper"))
    rng = np.random.default_rng([noise, recipe.seed, fold])
    score = 1 / (1 + np.exp(-(skill * (2 * spot["label"] - 1) + rng.normal(0, 1, N))))
    check = spot.iloc[:80].assign(split="validation", row=spot["row"] + 1000)
    train = spot.assign(split="train", row=spot["row"] + 2000)
    table = pd.concat([spot, check, train]).assign(score=np.concatenate([score, score[:80], score]))
    path = runs.create_run(recipe, {"name": "hill", "path": "hill"}, folder)
    runs.write_table(path / "scores.parquet", table.sample(frac=1, random_state=noise))
    label = spot["label"]
    names = ("accuracy", "precision", "specificity", "recall", "f1", "kappa", "miou", "mse")
    metrics = {
        "n": N,
        "test_places": runs.hash_places(spot, "hill"),
        "scores": {n: 0.5 + i / 50 for i, n in enumerate(names)} | {"prevalence": label.mean()},
        "average_precision": average_precision(label, score),
        "roc_auc": roc_auc(label, score),
        "overlap": {"share": 0.25 * (recipe.protocol == "paper"), "verdict": "as it is"},
        "null_models": nulls or {},
    }
    runs.write_json(path / "metrics.json", json.loads(json.dumps(metrics)))
    zones = {"breaks": ["natural"], "where": "whole map", "zone": 1, "from": 0.0, "to": 1.0}
    zones |= {"cells": 10, "share_of_cells": 1.0, "landslides": 2, "share_of_landslides": 1.0}
    runs.write_table(path / "density_table.csv", pd.DataFrame(zones | {"density": 0.2}))
    runs.set_status(path, "done")
    return runs.open_run(path)


def test_pairs_are_those_of_the_tests_they_name(tmp_path):
    """The table holds what comparison's functions give on the same places and draws."""
    a, b = new_run(tmp_path, "a", 1.0), new_run(tmp_path, "b", 0.4, noise=2)
    tables = runs.compare([a, b], draws=200, seed=5)
    row = tables["pairs"].iloc[0]
    test = [r.scores[r.scores["split"] == "test"].sort_values(["row", "col"]) for r in (a, b)]
    y, x, z = test[0]["label"], test[0]["score"], test[1]["score"]
    found = paired_block_bootstrap(
        y, x, z, test[0]["block"], average_precision, 200, np.random.default_rng(5)
    )
    assert (row["ap difference"], row["ap low"], row["ap high"], row["ap p"]) == pytest.approx(
        (found.value, found.low, found.high, found.p_value)
    )
    assert (row["delong z"], row["delong p"]) == pytest.approx(delong(y, x, z)[:2])
    said = mcnemar(y, x >= 0.5, z >= 0.5)
    assert (row["mcnemar statistic"], row["mcnemar p"]) == pytest.approx(said[:2])
    assert np.isnan(row["wilcoxon p"])
    assert np.isnan(row["corrected t p holm"])


def test_ranks_and_holm_over_three_models(tmp_path):
    """Two equally good models share a rank, a clearly worse one comes third."""
    three = [
        new_run(tmp_path, name, skill, noise=i)
        for i, (name, skill) in enumerate([("poor", 0.1), ("good", 1.2), ("fine", 1.15)])
    ]
    tables = runs.compare(three, draws=200)
    assert tables["models"]["auc rank"].tolist() == [3, 1, 1]
    low, value, high = (tables["models"][c] for c in ("auc low", "auc", "auc high"))
    assert ((low < value) & (value < high)).all()
    np.testing.assert_allclose(tables["scores"]["auc low"], low)
    pairs = tables["pairs"]
    assert len(pairs) == 3
    assert (pairs["ap p holm"] >= pairs["ap p"]).all()
    assert (pairs["ap p holm"] > pairs["ap p"]).any()


def test_each_metric_has_ranks_of_its_own():
    """AP parts the two models, AUC does not."""
    spread = np.linspace(-0.05, 0.05, 100)
    two = [
        scoreboard.Judged(
            name, (SimpleNamespace(values=at),), at, {"ap": at["ap"] + spread, "auc": 0.7 + auc}
        )
        for name, at, auc in (
            ("a", {"ap": 0.9, "auc": 0.7}, spread),
            ("b", {"ap": 0.5, "auc": 0.69}, spread[::-1]),
        )
    ]
    table = scoreboard.model_table(two)
    assert table["ap rank"].tolist() == [1, 2]
    assert table["auc rank"].tolist() == [1, 1]


def test_same_seed_same_tables_and_other_seed_other_limits(tmp_path):
    two = [new_run(tmp_path, "a", 1.0), new_run(tmp_path, "b", 0.4, noise=2)]
    first, again, other = (runs.compare(two, draws=50, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first["models"], again["models"])
    assert not first["models"]["ap low"].equals(other["models"]["ap low"])


def test_without_draws_there_are_the_papers_tables_alone(tmp_path):
    run = new_run(tmp_path, "a", 1.0)
    tables = runs.compare([run])
    assert set(tables) == {"scores", "zones"}
    assert "ap low" not in tables["scores"]
    row, stored = tables["scores"].iloc[0], run.metrics["scores"]
    assert {name: row[name] for name in stored if name != "recall"} == {
        name: value for name, value in stored.items() if name != "recall"
    }
    assert row["sensitivity"] == stored["recall"]


def test_runs_that_differ_in_seed_or_fold_alone_are_one_model(tmp_path):
    """Their mean and spread; tests over folds; and still one row each in the table of scores."""
    folds = [f"split={{folds: 4, fold: {i}}}" for i in (1, 2, 3, 4)]
    good = [new_run(tmp_path, "good", 1.0, f) for f in folds]
    good += [new_run(tmp_path, "good", 1.0, f, "seed=2") for f in folds]
    poor = [new_run(tmp_path, "poor", 0.3, f, noise=3) for f in folds]
    tables = runs.compare([*good, *poor], draws=100)
    models = tables["models"].set_index("model")
    assert models["runs"].to_dict() == {"good": 8, "poor": 4}
    ap = [run.metrics["average_precision"] for run in good]
    assert models.loc["good", "ap"] == pytest.approx(np.mean(ap))
    assert models.loc["good", "ap sd"] == pytest.approx(np.std(ap, ddof=1))
    pair = tables["pairs"].iloc[0]
    assert np.isnan(pair["delong p"])
    assert pair["wilcoxon p"] == pytest.approx(2 / 2**4)
    gaps = np.array(ap[:4]) - [run.metrics["average_precision"] for run in poor]
    t = gaps.mean() / np.sqrt((1 / 4 + 1) * gaps.var(ddof=1))  # as many tested as trained on
    assert pair["corrected t p"] == pytest.approx(2 * stats.t.sf(abs(t), 3))
    assert len(tables["scores"]) == 12
    single = runs.compare(good[:1] + poor[:1], draws=100)["models"].set_index("model")
    width = [m.loc["good", "ap high"] - m.loc["good", "ap low"] for m in (models, single)]
    assert width[0] < width[1]


def test_folds_that_others_lack_are_refused(tmp_path):
    folds = [f"split={{folds: 2, fold: {i}}}" for i in (1, 2)]
    good = [new_run(tmp_path, "good", 1.0, f) for f in folds]
    poor = new_run(tmp_path, "poor", 0.3, folds[0])
    with pytest.raises(RunError, match="poor was not run on fold 2"):
        runs.compare([*good, poor])


def test_recipes_of_one_name_that_differ_otherwise_stay_two(tmp_path):
    one = new_run(tmp_path, "a", 1.0)
    two = new_run(tmp_path, "a", 1.0, "training.epochs=3")
    assert runs.compare([one, two], draws=20)["models"]["model"].tolist() == [one.id, two.id]


def test_a_run_without_scores_has_no_interval(tmp_path):
    one, two = new_run(tmp_path, "a", 1.0), new_run(tmp_path, "b", 0.5)
    (two.path / "scores.parquet").unlink()
    tables = runs.compare([one, runs.open_run(two.path)], draws=20)
    assert np.isfinite(tables["models"]["ap low"]).tolist() == [True, False]
    assert np.isnan(tables["pairs"][["ap p", "ap p holm", "delong p"]].to_numpy(float)).all()


def test_null_models_stand_beside(tmp_path):
    nulls = [{"slope": {"average_precision": v, "roc_auc": v}} for v in (0.6, 0.7)]
    two = [
        new_run(tmp_path, "a", 1.0, nulls=nulls[0]),
        new_run(tmp_path, "b", 0.5, nulls=nulls[1]),
    ]
    table = runs.compare(two, draws=20)["nulls"]
    assert table["null model"].tolist() == ["slope alone"]
    assert table[["ap", "ap least", "ap most"]].iloc[0].tolist() == pytest.approx([0.65, 0.6, 0.7])


def test_thresholds_come_from_validation_places(tmp_path):
    run = new_run(tmp_path, "a", 1.0)
    table = runs.compare([run], draws=20)["thresholds"]
    assert table["rule"].tolist() == ["half", "youden", "f1", "cost", "share"]
    assert table["threshold"].iloc[0] == 0.5
    parts = (run.scores[run.scores["split"] == name] for name in ("validation", "test"))
    check, test = (choose_threshold(p["label"], p["score"], "f1").threshold for p in parts)
    assert table.set_index("rule").loc["f1", "threshold"] == check != test


def test_protocols_side_by_side_with_the_gap(tmp_path):
    """The gap is the difference of the means; its interval is wider than that of either alone."""
    null = {"distance": {"average_precision": 0.9, "roc_auc": 0.9}}
    paper = [
        new_run(tmp_path, n, s, "protocol=paper", nulls=null) for n, s in (("a", 1.5), ("b", 1.0))
    ]
    far = {"distance": {"average_precision": 0.5, "roc_auc": 0.55}}
    honest = [new_run(tmp_path, n, s, nulls=far) for n, s in (("a", 0.5), ("c", 0.5))]
    table = runs.compare_protocols([*paper, *honest], draws=200)
    own = table[table["model"] == "a"].set_index("metric").loc["auc"]
    assert own["method"] == "blocks"
    assert own["random"] == paper[0].metrics["roc_auc"]
    assert own["spatial"] == honest[0].metrics["roc_auc"]
    assert own["gap"] == pytest.approx(own["random"] - own["spatial"])
    assert own["gap low"] < own["gap"] < own["gap high"]
    widths = [own[f"{s} high"] - own[f"{s} low"] for s in ("random", "spatial", "gap")]
    assert widths[2] == pytest.approx(np.hypot(*widths[:2]), rel=0.25)
    assert (own["random overlap"], own["spatial overlap"]) == (0.25, 0.0)
    assert set(table["model"]) == {"a", "nearness to training landslides alone"}
    null_row = table[(table["model"] != "a") & (table["metric"] == "auc")].iloc[0]
    assert null_row["gap"] == pytest.approx(0.35)


def test_each_spatial_split_has_a_gap_of_its_own(tmp_path):
    values = {"protocol=paper": 0.9, "split.method=blocks": 0.5, "split.method=clusters": 0.6}
    three = [
        new_run(tmp_path, "a", 1.0, change, noise=i,
                nulls={"slope": {"average_precision": v, "roc_auc": v}})
        for i, (change, v) in enumerate(values.items())
    ]  # fmt: skip
    table = runs.compare_protocols(three, draws=20).query("metric == 'auc'")
    rows = table.set_index(["model", "method"])
    for run, method, gap in ((three[1], "blocks", 0.4), (three[2], "clusters", 0.3)):
        assert rows.loc[("a", method), "spatial"] == run.metrics["roc_auc"]
        assert rows.loc[("slope alone", method), "gap"] == pytest.approx(gap)
    assert len(rows) == 4


def test_protocols_that_cannot_be_put_side_by_side_are_refused(tmp_path):
    one, two = new_run(tmp_path, "a", 1.0), new_run(tmp_path, "b", 0.5, "protocol=paper")
    with pytest.raises(RunError, match="no model was run under both protocols"):
        runs.compare_protocols([one, two])
    with pytest.raises(RunError, match="name at least one run"):
        runs.compare_protocols([])
    elsewhere = new_run(tmp_path, "a", 1.0, "protocol=paper")
    runs.write_json(elsewhere.path / "area.json", elsewhere.area | {"name": "dale"})
    with pytest.raises(RunError, match="runs on dale and hill: compare protocols on one area"):
        runs.compare_protocols([one, runs.open_run(elsewhere.path)])


def test_two_recipes_of_one_name_are_told_apart_under_both_protocols(tmp_path):
    paper = new_run(tmp_path, "a", 1.0, "protocol=paper")
    honest = [new_run(tmp_path, "a", 0.5), new_run(tmp_path, "a", 0.4, "training.epochs=3")]
    table = runs.compare_protocols([paper, *honest], draws=20)
    assert table["model"].unique().tolist() == [f"a, {run.id}" for run in honest]
