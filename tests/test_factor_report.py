"""`lsm factors`: the statistics of an area as tables and words, against another, and by class."""

import json

import numpy as np
import pandas as pd
import pytest
from command import lsm

from lsm_core import factor_report, selection
from lsm_core.errors import RecipeError
from lsm_core.factor_tables import cyclic_of, factor_table
from lsm_core.recipe import Selection
from lsm_core.study_area import area_path, factors, open_area, save_area

QUICK = Selection(trees=30, pearson=0.6)


@pytest.fixture(scope="module")
def area(sample_workspace):
    return open_area(area_path("sample")).load()


@pytest.fixture(scope="module")
def made(area):
    return factor_report.examine(area, np.random.default_rng(1), rules=QUICK, other=area)


def test_every_factor_has_its_row_and_every_table_its_factors(area, made):
    rows = factor_report.factor_rows(made)
    assert set(rows.index) == set(factors(area))
    assert set(made.choice.kept) | set(made.choice.dropped) == set(factors(area))
    assert rows["impurity"].sum() == pytest.approx(1)
    assert (rows["decision"] == "kept").sum() == len(made.choice.kept)


def test_tables_are_those_of_the_functions_on_the_same_places(area, made):
    places = factor_report._labelled_places(area, np.random.default_rng(1))
    table = factor_table(area, places)
    expected = selection.vif(table, cyclic=cyclic_of(area)).table
    pd.testing.assert_frame_equal(made.tables["vif"], expected)
    assert made.facts["landslides"] == made.facts["places_without"] == len(places) / 2


def test_the_first_look_is_part_of_the_whole_one(area, made):
    first = factor_report.first_look(area, np.random.default_rng(1), QUICK)
    whole = factor_report.to_json(made)["tables"]
    assert {name: whole[name] for name in first["tables"]} == first["tables"]
    assert set(first["so_far"]) == set(factors(area))
    strongest = factor_report.pair_rows(made).query("measure == 'r'").iloc[0]
    words = first["so_far"][strongest["first"]]
    assert f"|r| {abs(strongest['value']):.2f} with {strongest['second']}" in words
    assert ("above 0.6" in words) == (abs(strongest["value"]) > 0.6)


def test_an_area_is_like_itself(made):
    """Two draws of its places: divergence is next to nothing, and nothing is missing."""
    assert made.tables["divergence"]["kl"].max() < 0.05
    assert made.not_shared == {}


def test_words_name_the_numbers_and_the_reasons(made):
    words = factor_report.in_words(made)
    for name, why in made.choice.dropped.items():
        assert f"{name} {why}" in words
    assert f"AUC {made.facts['oob_auc']:.3f}" in words
    assert "KL: from random places here" in words


def test_pairs_are_the_strong_ones_or_else_the_strongest(made):
    pairs = factor_report.pair_rows(made)
    for what, name in (("r", "pearson"), ("rho", "spearman")):
        own = pairs[pairs["measure"] == what]
        strong = selection.pairs_above(made.tables[name], 0.7)
        assert len(own) == (len(strong) or 3)


def test_a_limit_of_divergence_needs_an_area(area):
    rules = Selection(against="sample", divergence=0.5)
    with pytest.raises(RecipeError, match="needs another area"):
        factor_report.examine(area, np.random.default_rng(1), rules=rules)


def test_areas_without_a_common_factor_are_refused(area):
    other = area.rename({name: f"other_{name}" for name in factors(area)})
    with pytest.raises(RecipeError, match="shares no factor"):
        factor_report.examine(area, np.random.default_rng(1), rules=QUICK, other=other)


@pytest.fixture
def elsewhere(area, sample_workspace, monkeypatch):
    """The sample area again, higher up, its slope in other units, and one factor fewer."""
    monkeypatch.setenv("LSM_WORKSPACE", str(sample_workspace))
    other = area.copy(deep=True).assign_attrs(name="elsewhere")
    other["elevation"] = (
        (other["elevation"] + 800).astype("float32").assign_attrs(area["elevation"].attrs)
    )
    other["slope"].attrs["units"] = "percent"
    save_area(other.drop_vars("lithology"), area_path("elsewhere"))


def test_the_command_against_another_area(elsewhere, tmp_path, monkeypatch, capsys):
    words = ["factors", "sample", "--against", "elsewhere", "--set", "trees=20", "--json"]
    words += ["--set", "divergence=0.67", "--to", str(tmp_path / "out")]
    status, out, _ = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 0
    said = json.loads(out)
    assert said["not_shared"] == {
        "slope": "units are 'degrees' in the source, 'percent' in the target; `times:` converts",
        "lithology": "elsewhere has no factor of this name",
    }
    assert "KL divergence" in said["dropped"]["elevation"]
    assert "slope" in said["dropped"]
    table = pd.read_csv(tmp_path / "out" / "divergence.csv").set_index("factor")
    assert table["kl"].idxmax() == "elevation"
    decisions = pd.read_csv(tmp_path / "out" / "decision.csv").set_index("factor")["decision"]
    assert decisions["elevation"] == said["dropped"]["elevation"]
    names = {p.stem for p in (tmp_path / "out").iterdir()}
    assert names >= {"pearson", "spearman", "cramers_v", "vif", "importance", "logistic"}


def test_the_command_prints_a_table_of_classes(elsewhere, monkeypatch, capsys):
    words = ("factors", "sample", "--bivariate", "lithology")
    status, out, _ = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 0
    assert "frequency_ratio" in out
    assert "valid cells, for exploration" in out


def test_mistakes_are_one_line_and_status_2(elsewhere, monkeypatch, capsys):
    for words, complaint in (
        (("factors", "nowhere"), "no study area in"),
        (("factors", "sample", "--set", "persn=0.7"), "persn is not a setting"),
        (("factors", "sample", "--set", "divergence=0.7"), "needs selection.against"),
    ):
        status, _, err = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
        assert status == 2
        assert complaint in err
        assert len(err.strip().splitlines()) == 1
