"""A run without a map: the same held-out numbers, sooner, and at home among runs with one."""

import pytest

from lsm_core import comparison_report, experiment, figures, repeats, runs
from lsm_core.errors import RunError
from lsm_core.recipe import make_recipe

FOREST = {
    "name": "forest",
    "area": "sample",
    "model": {"name": "random_forest", "options": {"n_estimators": 30}},
    "split": {"block": 6000.0},
}


@pytest.fixture(scope="module")
def both(sample_workspace, tmp_path_factory):
    """The same recipe with a map, and with the next seed without."""
    into = tmp_path_factory.mktemp("runs")
    made = [[], ["seed=2", "map=false"], ["map=false"]]
    return [experiment.run_experiment(make_recipe(FOREST, changes), into) for changes in made]


def test_its_places_are_judged_as_with_a_map(both):
    mapped, _, plain = both
    of_map = {"rates", "boyce", "histogram", "reasonableness", "zoning"}
    assert set(mapped.metrics) - set(plain.metrics) == of_map
    for name in ("average_precision", "roc_auc", "test_places", "thresholds", "validation"):
        assert plain.metrics[name] == mapped.metrics[name]
    assert not list(plain.path.glob("*.tif"))
    assert not (plain.path / "density_table.csv").exists()
    assert set(plain.metrics["seconds"]) == {"training", "evaluating"}


def test_it_is_compared_with_runs_that_made_one_and_counts_as_a_repeat(both):
    mapped, other, _ = both
    tables = runs.compare([mapped, other], draws=50)
    assert tables["models"]["runs"].tolist() == [2]
    assert set(tables["zones"]["run"]) == {mapped.id}
    alone = runs.compare([other])
    assert alone["zones"].empty
    assert "Scores" in comparison_report.tables_in_words(alone)


def test_what_needs_a_map_says_that_there_is_none(both):
    plain = both[2]
    assert not plain.has_map
    assert plain.counted == "cells"
    with pytest.raises(RunError, match=r"was run without a map \(map: false\)"):
        plain.map_path  # noqa: B018
    with pytest.raises(RunError, match="none of these runs made a map"):
        figures.density_frame([])
    with pytest.raises(RunError, match="without a map"):
        figures.rates_of([plain])


def test_a_run_with_a_map_serves_where_none_is_asked_for(both):
    mapped, other, _ = both
    into, area = mapped.path.parent, mapped.area
    assert repeats.finished(make_recipe(FOREST), area, into).path == mapped.path
    assert repeats.finished(make_recipe(FOREST, ["map=false"]), area, into) is not None
    assert repeats.finished(make_recipe(FOREST, ["seed=2"]), area, into) is None
    assert repeats.finished(other.recipe, area, into).path == other.path
