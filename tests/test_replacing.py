"""A folder is replaced whole or not at all, at whatever moment its process ends."""

import pytest

from lsm_core.errors import AreaError
from lsm_core.replacing import bring_back, replacing


def put(path, text):
    with replacing(path) as folder:
        (folder / "what").write_text(text)


@pytest.fixture
def area(tmp_path):
    put(tmp_path / "areas" / "hills", "first")
    return tmp_path / "areas" / "hills"


def whole(area, text):
    assert (area / "what").read_text() == text
    assert [path.name for path in area.parent.iterdir()] == [area.name]


def test_it_is_replaced(area):
    put(area, "second")
    whole(area, "second")


def test_what_fails_leaves_what_was_there(area):
    with pytest.raises(ZeroDivisionError), replacing(area) as folder:
        _ = (folder / "what").write_text("half") / 0
    whole(area, "first")


def test_what_cannot_be_written_is_said(area):
    with pytest.raises(AreaError, match="No space left"), replacing(area):
        raise OSError(28, "No space left on device")
    whole(area, "first")


def killed_between_two_moves(area):
    area.rename(area.with_name(".hills.old"))
    area.with_name(".hills.new").mkdir()
    (area.with_name(".hills.new") / "what").write_text("second")


def test_who_opens_it_after_a_kill_finds_the_old_one(area):
    killed_between_two_moves(area)
    bring_back(area)
    assert (area / "what").read_text() == "first"
    bring_back(area)  # once more does nothing


def test_who_writes_it_after_a_kill_clears_up(area):
    killed_between_two_moves(area)
    with pytest.raises(ZeroDivisionError), replacing(area):
        _ = 1 / 0
    whole(area, "first")
    area.with_name(".hills.old").mkdir()  # killed while it was removed
    put(area, "third")
    whole(area, "third")


def test_of_two_at_once_one_is_told(area):
    with replacing(area) as folder:
        (folder / "what").write_text("second")
        with pytest.raises(AreaError, match=r"another process is writing .*hills: wait"):
            put(area, "third")
    whole(area, "second")
