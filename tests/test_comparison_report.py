"""What `lsm compare` prints: terms and leakage with every table, intervals, tests, statements."""

import json

import pandas as pd
import pytest
from test_scoreboard import new_run

from lsm_core import runs
from lsm_core.comparison_report import (
    differences_in_words,
    protocols_in_words,
    records,
    tables_in_words,
    write_leakage,
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    null = {"slope": {"average_precision": 0.61, "roc_auc": 0.62}}
    two = [new_run(folder, "good", 1.2, nulls=null), new_run(folder, "poor", 0.2, noise=2)]
    return runs.compare(two, draws=50)


def test_every_table_says_protocol_and_overlap(tables):
    heads = [part.splitlines()[0] for part in tables_in_words(tables, 50).split("\n\n")]
    titles = [h for h in heads if not h.startswith("leakage")]
    assert len(titles) == 5
    assert all("honest protocol, no test window overlaps a training window" in h for h in titles)
    assert "leakage, all runs: as it is" in heads


def test_intervals_nulls_tests_and_statements_are_printed(tables):
    text = tables_in_words(tables, 50)
    good = tables["models"].iloc[0]
    assert f"{good['ap']:.4f} [{good['ap low']:.4f}, {good['ap high']:.4f}]" in text
    assert "slope alone" in text
    assert "0.6100" in text
    assert "good - poor" in text
    assert "decide by the bootstrap" in text
    assert "youden" in text
    assert "good: not reasonable: " in text
    assert "Wilcoxon" not in text.split("Pairs")[1].splitlines()[1]


def test_overlap_is_said_where_there_is_some(tmp_path):
    one = new_run(tmp_path, "a", 1.0, "protocol=paper")
    text = tables_in_words(runs.compare([one]))
    assert "paper protocol, 25.0% of test windows overlap training windows" in text
    assert "Pairs" not in text


@pytest.mark.parametrize(
    ("protocol", "words"),
    [("honest", "no test unit is trained on"), ("paper", "25.0% of test units are trained on")],
)
def test_overlap_of_runs_on_units_speaks_of_units(protocol, words, tmp_path):
    tables = runs.compare([new_run(tmp_path, "a", 1.0, f"protocol={protocol}")])
    tables["zones"]["counted"] = "units"
    text = tables_in_words(tables)
    assert f"{protocol} protocol, {words}" in text
    assert "window" not in text.split("leakage")[0]


def _pair(ap=0.1, ap_p=0.01, auc=-0.02, auc_p=0.3, delong=0.5):
    row = {"a": "cnn", "b": "forest"}
    for name, gap, p in (("ap", ap, ap_p), ("auc", auc, auc_p)):
        row |= {f"{name} difference": gap, f"{name} low": gap - 0.05, f"{name} high": gap + 0.05}
        row[f"{name} p holm"] = p
    return (
        row
        | dict.fromkeys(("mcnemar p holm", "wilcoxon p holm", "corrected t p holm"))
        | {"delong p holm": delong}
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "cnn has the higher AP; no difference in AUC can be told from chance"),
        ({"ap": -0.1, "auc_p": 0.02}, "forest has the higher AP and AUC"),
        ({"ap_p": 0.2}, "no difference in AP or AUC can be told from chance"),
        ({"ap_p": 0.2, "delong": 0.001}, "do not rely on it"),
        ({"ap_p": float("nan")}, "no interval can be had"),
    ],
)
def test_differences_in_words_go_by_the_bootstrap(changes, words):
    shown = differences_in_words(pd.DataFrame([_pair(**changes)])).iloc[0]
    assert words in shown["in words"]
    assert shown["pair"] == "cnn − forest"
    assert "Wilcoxon p (AP)" not in shown  # nobody could have it
    ap = changes.get("ap", 0.1)
    assert shown["AP difference"] == f"{ap:+.3f} [{ap - 0.05:+.3f}, {ap + 0.05:+.3f}]"


def test_json_has_no_number_that_is_none(tables):
    text = {name: records(table) for name, table in tables.items()}
    again = json.loads(json.dumps(text, allow_nan=False))
    assert again["pairs"][0]["wilcoxon p"] is None
    assert again["models"][0]["ap"] == tables["models"]["ap"].iloc[0]
    assert records(pd.DataFrame({"x": [float("inf"), 1.5]})) == [{"x": None}, {"x": 1.5}]


def test_protocols_in_words(tmp_path):
    null = {"distance": {"average_precision": 0.9, "roc_auc": 0.9}}
    pair = [
        new_run(tmp_path, "a", 1.5, "protocol=paper", nulls=null),
        new_run(tmp_path, "a", 0.5, nulls=null),
    ]
    table = runs.compare_protocols(pair, draws=50)
    text = protocols_in_words(table, 50)
    row = table.iloc[0]
    assert f"{row['gap']:.3f} [{row['gap low']:.3f}, {row['gap high']:.3f}]" in text
    assert "25.0%" in text
    assert "nearness to training landslides alone" in text
    assert "nan" not in text


def test_half_is_warned_of_where_landslides_are_few(tables):
    scores = tables["scores"].assign(prevalence=0.05)
    assert "warning: threshold 0.5 on places of which 5.0%" in tables_in_words(
        tables | {"scores": scores}
    )
    assert "warning" not in tables_in_words(tables)


def test_leakage_is_written_as_a_table_and_a_picture(tmp_path):
    distances = {"edges": [0, 10, 20], "test": [1, 3], "map": [4, 4]}
    meter = {"share": 0.1, "window": 5, "verdict": "leaks: a bit", "unit": "cells"}
    two = [new_run(tmp_path, name, 1.0) for name in ("new", "old")]
    for run, more in zip(two, ({"distances": distances}, {}), strict=True):
        runs.write_json(run.path / "metrics.json", run.metrics | {"overlap": meter | more})
    again = [runs.Run(run.path) for run in two]
    write_leakage(tmp_path, again)
    table = pd.read_csv(tmp_path / "leakage.csv")
    assert table["model"].tolist() == ["new", "new", "old"]
    assert table.loc[1, ["from", "to", "test places", "map cells"]].tolist() == [10, 20, 3, 4]
    assert table.loc[2, ["from", "test places"]].isna().all()
    assert set(table["verdict"]) == {"leaks: a bit"}
    assert "<title>leakage</title>" in (tmp_path / "leakage.html").read_text()


def test_no_picture_where_no_distances_were_stored(tmp_path):
    run = new_run(tmp_path, "old", 1.0)
    write_leakage(tmp_path, [run])
    assert (tmp_path / "leakage.csv").is_file()
    assert not (tmp_path / "leakage.html").exists()
