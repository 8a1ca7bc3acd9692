"""Studies: variants tested on the same places, run once, and the tables of a paper."""

import json
import os
import signal
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from statsmodels.stats.contingency_tables import mcnemar

from lsm_core import cli, comparison, experiment, foreground, runs, studies, study_figures
from lsm_core.errors import RecipeError, RunError, Stopped
from lsm_core.foreground import shipped_recipes
from lsm_core.recipe import read_settings

OTHERS = {"forest": {"name": "forest", "model": {"name": "random_forest"}, "seed": 9}}
STUDY = {
    "name": "regression",
    "seed": 4,
    "model": {"name": "logistic_regression", "options": {"C": 1.0}},
    "split": {"block": 6000.0, "apart": 2},
    "sizes": {"bench": {"training": {"epochs": 7}}},
    "variants": {
        "stiff": {"model": {"options": {"C": 0.001}}},
        "forest": {"from": "forest", "model": {"options": {"n_estimators": 30}}},
    },
}


def test_a_variant_changes_what_it_says_and_shares_the_rest():
    made = studies.variant_recipes(STUDY, OTHERS, ["protocol=paper", "area=hill"])
    assert list(made) == ["regression", "stiff", "forest"]
    assert [r.name for r in made.values()] == list(made)
    assert made["stiff"].model.options == {"C": 0.001}
    assert made["forest"].model.name == "random_forest"
    assert made["forest"].model.options == {"n_estimators": 30}
    assert {(r.seed, r.protocol, r.area, r.split, r.size) for r in made.values()} == {
        (4, "paper", "hill", made["regression"].split, "bench")
    }
    assert made["stiff"].training.epochs == 7  # of the size
    assert list(studies.variant_recipes(STUDY, OTHERS, only=["forest"])) == ["forest"]


def test_a_variant_nobody_asks_for_need_not_go_with_the_changes():
    study = STUDY | {"variants": {"wide": {"input": {"form": "window", "size": 13}}, "stiff": {}}}
    changes = ["split.apart=4", "protocol=honest"]
    assert list(studies.variant_recipes(study, OTHERS, changes, only=["stiff"])) == ["stiff"]
    with pytest.raises(RecipeError, match=r"wide: split\.apart is 4 cells, but a window of 13"):
        studies.variant_recipes(study, OTHERS, changes)


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ({}, "no variants to study"),
        ({"a": {"split": {"test": 0.2}}}, "variant a changes split, which all of a study share"),
        ({"a": {"seed": 3}}, "changes seed"),
        ({"a": {"from": "nobody"}}, "starts from 'nobody', which is no recipe"),
        ({"a": {"modle": {}, "input": {"frm": "table"}}}, "variant a: input.frm is not a setting"),
    ],
)
def test_what_is_no_study_is_refused(variants, words):
    with pytest.raises(RecipeError, match=words):
        studies.variant_recipes(STUDY | {"variants": variants}, OTHERS)


def test_an_unknown_variant_is_told_the_names():
    with pytest.raises(RecipeError, match="no variant 'soft' of regression; there are: regression"):
        studies.variant_recipes(STUDY, OTHERS, only=["soft"])


def test_every_study_that_is_shipped_can_be_run_under_both_protocols():
    settings = {name: read_settings(path) for name, path in shipped_recipes().items()}
    with_variants = [name for name, text in settings.items() if text.get("variants")]
    assert {"lsgh_net", "multiscale_cnn3d"} <= set(with_variants)
    for name in with_variants:
        for size in ("bench", "paper"):  # demo windows are others
            for protocol in ("paper", "honest"):
                changes = [f"protocol={protocol}", f"size={size}"]
                made = studies.variant_recipes(settings[name], settings, changes)
                assert len({r.split for r in made.values()}) == 1


# ------------------------------------------------------------------------------------ as a whole


@pytest.fixture(scope="module")
def done(sample_workspace, tmp_path_factory):
    """The study run by its command with two seeds; stopped once on the way."""
    into = tmp_path_factory.mktemp("study")
    file = into / "regression.yaml"
    file.write_text(yaml.safe_dump(STUDY | {"variants": {"stiff": STUDY["variants"]["stiff"]}}))
    words = [str(file), "--area", "sample", "--seeds", "2", "--draws", "40"]
    words += ["--into", str(into / "runs"), "--to", str(into / "out"), "--json"]
    carry_out, told = experiment.carry_out, []

    def stops_in_the_third(*given):
        told.append(given)
        if len(told) == 3:
            raise Stopped("stopped in training")
        return carry_out(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lsm", "study", *words])
        patch.setattr(experiment, "carry_out", stops_in_the_third)
        with pytest.raises(SystemExit, match="130"):
            cli.main()
        with pytest.raises(SystemExit, match="0"):
            cli.main()
    return into


def of_study(done):
    found = {}
    for run in runs.list_runs(done / "runs"):
        if run.state == "done":
            found.setdefault(run.recipe.name, []).append(run)
    return studies.Study(found)


def test_a_study_that_was_stopped_goes_on_and_maps_the_first_seed(done):
    found = of_study(done).runs
    told = {name: [(r.recipe.seed, r.recipe.map) for r in some] for name, some in found.items()}
    assert told == {name: [(4, True), (5, False)] for name in ("regression", "stiff")}


def test_scores_are_means_over_seeds_with_limits_by_block(done):
    study = of_study(done)
    table = studies.score_table(study, draws=60, rng=np.random.default_rng(3)).set_index("variant")
    for name, some in study.runs.items():
        stored = pd.DataFrame([run.metrics["scores"] for run in some])
        for score in ("accuracy", "f1", "kappa", "miou", "mse"):
            assert table.loc[name, score] == pytest.approx(stored[score].mean(), abs=1e-9)
            assert table.loc[name, f"{score} sd"] == pytest.approx(stored[score].std(), abs=1e-9)
        aucs = [run.metrics["roc_auc"] for run in some]
        assert table.loc[name, "auc"] == pytest.approx(np.mean(aucs), abs=1e-9)
    one = studies.Study({"stiff": study.runs["stiff"][:1]})
    row = studies.score_table(one, draws=60, rng=np.random.default_rng(3)).iloc[0]
    test = studies._places(one.runs["stiff"][0])
    arrays = (test[name].to_numpy() for name in ("label", "score", "block"))
    label, score, block = arrays
    wanted = comparison.block_bootstrap(
        label, score, block, studies.AREAS["ap"], n=60, rng=np.random.default_rng(3)
    )
    assert (row["ap low"], row["ap high"]) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    assert np.isnan(row["ap sd"])
    none = studies.score_table(study, draws=0, rng=np.random.default_rng(3))
    assert none[["ap low", "f1 high"]].isna().all(axis=None)
    assert none["f1"].tolist() == pytest.approx(table["f1"].tolist())


def test_zones_and_spread_are_those_of_the_maps(done):
    study = of_study(done)
    run = study.runs["stiff"][0]
    zones, spread = studies.zone_table(study), studies.spread_table(study)
    keys = ["breaks", "where", "zone"]
    own = zones[zones["variant"] == "stiff"].set_index(keys)["share_of_cells"]
    wanted = run.density_table.set_index(keys)["share_of_cells"]
    pd.testing.assert_series_equal(own, wanted)
    assert zones["maps"].eq(1).all()
    row = spread.set_index("variant").loc["stiff"]
    count = np.array(run.metrics["histogram"]["count"])
    assert row["below 0.1"] == pytest.approx(count[:5].sum() / count.sum())
    assert row["from 0.9"] == pytest.approx(count[45:].sum() / count.sum())
    table = run.density_table[run.density_table["where"] == "whole map"].set_index(keys)
    upper = table.loc["natural"].loc["whole map"].loc[[4, 5], "share_of_landslides"].sum()
    assert row["high and very high, landslides"] == pytest.approx(upper)
    soft = study.runs["regression"][0]  # some of its cells lie above 0.8
    top = soft.density_table.set_index(keys).loc[("equal 0.2", "whole map", 5), "density"]
    assert top > 0
    assert spread.set_index("variant").loc["regression", "density from 0.8"] == top
    unmapped = studies.Study({"stiff": study.runs["stiff"][1:]})
    assert studies.zone_table(unmapped).empty
    assert studies.spread_table(unmapped).empty


def test_mcnemar_is_of_the_same_seed(done):
    study = of_study(done)
    row = studies.mcnemar_table(study).iloc[0]
    a, b = (studies._places(study.runs[name][0]) for name in ("regression", "stiff"))
    right = [(p["score"] >= 0.5) == (p["label"] == 1) for p in (a, b)]
    table = pd.crosstab(right[0].to_numpy(), right[1].to_numpy())
    few = table.loc[True, False] + table.loc[False, True] < comparison.FEW
    wanted = mcnemar(table, exact=bool(few), correction=True)
    assert row["p_value"] == pytest.approx(wanted.pvalue)
    assert row["only_variant"] == table.loc[True, False]
    assert row["only_against"] == table.loc[False, True]


def test_the_command_writes_tables_words_and_figures(done):
    out = done / "out"
    assert {p.name for p in out.iterdir()} == {
        *("scores.csv", "zones.csv", "spread.csv", "mcnemar.csv", "study.txt", "study.html")
    }
    words = (out / "study.txt").read_text()
    assert "honest protocol" in words
    assert "no test window overlaps a training window" in words
    assert "Zones by equal intervals of 0.2" in words
    head = words.splitlines()[1].split()
    assert head.index("kappa") + 1 == head.index("mIoU") < head.index("MSE")
    assert head[(at := head.index("kappa", 8)) : at + 4] == ["kappa", "95%", "kappa", "sd"]
    assert len(pd.read_csv(out / "scores.csv")) == 2


def test_a_sign_to_stop_is_heard_between_two_runs_too(done, monkeypatch):
    """A run takes it down and ends cleanly; what comes after it is ended by it as any program."""
    run, heard = next(iter(of_study(done).runs.values()))[0], []
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    def carried(plan, path, follow, should_stop):
        os.kill(os.getpid(), signal.SIGTERM)
        heard.append(should_stop())
        return run

    monkeypatch.setattr(experiment, "carry_out", carried)
    assert foreground.work(None, run.path, as_json=True) is run
    assert heard == [True]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_only_telling_runs_nothing_and_says_what_is_not_there(done, monkeypatch, capsys, tmp_path):
    words = ["study", str(done / "regression.yaml"), "--area", "sample", "--no-run"]
    words += ["--draws", "0", "--json", "--seeds", "3"]
    monkeypatch.setattr(sys, "argv", ["lsm", *words, "--into", str(done / "runs")])
    before = len(list((done / "runs").iterdir()))
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    told = json.loads(capsys.readouterr().out)
    assert [row["seeds"] for row in told["scores"]] == [2, 2]
    assert len(list((done / "runs").iterdir())) == before
    monkeypatch.setattr(sys, "argv", ["lsm", *words, "--into", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "no run of this study is finished" in capsys.readouterr().err


def test_scores_are_drawn_in_the_order_of_the_study(done):
    table = studies.score_table(of_study(done), draws=20, rng=np.random.default_rng(1))
    drawn = study_figures.scores_of(table, "auc")
    dots = drawn.get(1).data if hasattr(drawn, "get") else drawn
    assert dots["variant"].tolist() == table["variant"].tolist()[::-1]
    assert dots["auc"].tolist() == table["auc"].tolist()[::-1]
    with pytest.raises(RunError, match="no score 'aux'"):
        study_figures.scores_of(table, "aux")
