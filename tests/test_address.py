"""All that a visitor chooses is in the address, and comes back from it whole."""

from functools import partial

import panel as pn
import pytest
from panel.io.location import Location

from lsm_app import frame
from lsm_app.session import KEPT, Session

CHOSEN = {
    "page": "Sampling", "area": "valley", "look": "Checks", "factor": "slope",
    "at": "[350000.5, 3830000.0]", "runs": ["cnn-1", "forest-2"], "against": ["cnn-1"],
    "layer": "doubt.tif", "opacity": 0.3, "places": False, "breaks": "equal", "where": "test",
    "counted": "all", "zoned": "cnn-1", "threshold": 0.43, "cuts": [0.1, 0.25], "run": "20261122",
    "recipe": "run: cnn-1", "changes": ["size=demo", "input.factors=[a, b]"], "part": "Runs",
    "source": "cnn-1", "target": "hills", "matched": "12", "printed": {"width_mm": 90},
    "figures": ["zones"], "formats": ["pdf"], "parts": ["maps"], "export": "20261122-165000-1e",
    "detector": "1e5", "review": "007", "step": "Chips", "mapping": "20261122", "radius": 356.9,
    "soft": False, "heat": {"intervals": 4}, "sizes": [13, 22], "negatives": {"strategy": "far"},
    "ratio": 2.0, "protocol": "paper", "split": {"method": "blocks"}, "layers": ["heat"],
    "second": "hills", "classed": "slope", "limits": {"slope": [5.0, 12.5]},
    "statistic": "contrast", "rules": {"vif": 5.0}, "left_out": {"twi": "repeats slope, R&D = 1"},
}  # fmt: skip


def come(search, monkeypatch):
    """A visitor with this address."""
    location = Location(search=search)
    monkeypatch.setattr(pn.state, "_location", location)
    visitor = Session()
    location.sync(visitor, KEPT, partial(frame.take_singly, visitor))
    return visitor


def address_of(visitor):
    location = Location()
    location.sync(visitor, KEPT)
    return location.search


@pytest.mark.parametrize("together", [True, False])
def test_what_was_chosen_comes_back(together, monkeypatch):
    assert set(CHOSEN) == set(KEPT)
    for name, value in CHOSEN.items():
        chosen = CHOSEN if together else {name: value}
        back = come(address_of(Session(**chosen)), monkeypatch)
        assert getattr(back, name) == value
        assert not back.refused


def test_what_is_nothing_is_told_and_all_else_is_taken(monkeypatch):
    visitor = come("?threshold=9&page=Training&area=valley&runs=3&recipe=cnn", monkeypatch)
    assert (visitor.page, visitor.area, visitor.recipe) == ("Training", "valley", "cnn")
    assert (visitor.threshold, visitor.runs) == (0.5, [])
    assert "of the address is nothing that is known here" in visitor.refused
