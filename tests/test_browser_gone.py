"""Browsers that go without a word under a server that stays: it lets go of all they had."""

import asyncio
import os
import time

import pytest
from test_load import complaints
from test_server_killed import gone, visit

from benchmarks.serving import served
from lsm_core import sample_area, study_area

pytestmark = pytest.mark.torture
VISITORS = 8
PORT = 5098
LONGEST = 90.0  # seconds until the server has noticed: Bokeh looks for sessions nobody uses
CAME, WENT = "a visitor came", "a visitor went"


@pytest.fixture
def workspace(tmp_path):
    made = sample_area.build(resolution=180.0)
    study_area.save_area(made.ds, tmp_path / "areas" / "sample", inventory=made.inventory)
    return tmp_path


async def come_and_go(address):
    """All are there, half of them are just being answered, and then none is."""
    visitors, _ = await visit(address, VISITORS)
    for visitor in visitors[::2]:
        await visitor._say("PULL-DOC-REQ", {})  # the whole page once more
    gone(visitors)


def test_sessions_of_browsers_that_went_are_released(workspace, tally):
    environment = os.environ | {"LSM_WORKSPACE": str(workspace), "OMP_NUM_THREADS": "1"}
    log = workspace / "log"
    with (
        open(log, "wb") as file,
        served(environment | {"LSM_VERBOSE": "1"}, PORT, file) as (address, _),
    ):
        asyncio.run(come_and_go(address))
        assert log.read_text().count(CAME) == VISITORS
        began = time.monotonic()
        while log.read_text().count(WENT) < VISITORS:
            assert time.monotonic() < began + LONGEST, log.read_text()
            time.sleep(0.5)
        tally.seconds("a visitor whose browser went, forgotten", time.monotonic() - began)
        asyncio.run(come_and_go(address))  # it serves others as before
    said = log.read_text()
    assert complaints(said) == [], said
    assert said.count(CAME) == 2 * VISITORS
    tally.count("browsers gone without a word under a server that stays", 2 * VISITORS)
