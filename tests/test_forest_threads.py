"""Threads of a forest: filters of warnings stay, scikit-learn's settings come along."""

import warnings

import pytest
import sklearn
from sklearn.utils.parallel import Parallel, delayed

from lsm_core.forest_threads import keep_warning_filters


@pytest.fixture
def in_threads():
    keep_warning_filters()
    return lambda ask: Parallel(n_jobs=2, require="sharedmem")(delayed(ask)() for _ in range(4))


def test_a_thread_has_the_very_filters_of_its_process(in_threads):
    seen = in_threads(lambda: warnings.filters)
    assert all(filters is warnings.filters for filters in seen)


def test_a_thread_has_the_settings_of_who_called(in_threads):
    with sklearn.config_context(working_memory=7):
        seen = in_threads(sklearn.get_config)
    assert {settings["working_memory"] for settings in seen} == {7}
