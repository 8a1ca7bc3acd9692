"""Files that come in pieces end up whole on disk, under names of ours, or not at all."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from boxes import cells, frame
from sources import write_raster

from lsm_core import own_sources, room, uploads
from lsm_core.errors import CatalogError, CrsError, SourceError
from lsm_core.own_sources import entries
from lsm_core.uploads import FORGOTTEN, Uploads, forget_unfinished, uploads_folder

TABLE = """<PAMDataset><PAMRasterBand band="1"><CategoryNames><Category>water</Category>
</CategoryNames></PAMRasterBand></PAMDataset>"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path / "ws"))
    return tmp_path


def send(uploads, path, pieces=3, file=None):
    """A file in pieces; what came of the last."""
    data = path.read_bytes()
    size = -(-len(data) // pieces)
    for i in range(pieces):
        piece = data[i * size : (i + 1) * size]
        result = uploads.receive(file or path.name, piece, first=i == 0, last=i == pieces - 1)
    return result


def raster(folder, name="hills.tif"):
    values = np.linspace(900, 4000, 48, dtype="float32").reshape(6, 8)
    write_raster(folder / name, values)
    return folder / name


def test_a_file_in_pieces_is_the_file_and_its_name_is_no_path(place):
    path = raster(place)
    entry = send(Uploads(), path, pieces=5, file="../../../etc/hills.tif")
    assert entry.path.read_bytes() == path.read_bytes()
    assert entry.path.name == "data.tif"
    assert uploads_folder().resolve() in entry.path.parents
    assert (entry.name, entry.file) == ("hills", "hills.tif")


def test_the_parts_of_a_shapefile_find_each_other_in_any_order(place):
    frame(cells(1, 1), cells(3, 2)).to_file(place / "slides.shp")
    uploads = Uploads()
    for ending in ("prj", "dbf", "shp"):
        assert send(uploads, place / f"slides.{ending}") is None
    entry = send(uploads, place / "slides.shx")
    assert (entry.name, entry.look().features, entry.crs) == ("slides", 2, "EPSG:32643")
    before = entry.sha256
    assert send(uploads, place / "slides.cpg").sha256 != before
    assert len(entries()) == len({**entries()})
    assert [e.name for e in entries().values() if e.own] == ["slides"]


def test_a_part_dropped_alone_is_told_what_it_waits_for_and_dropped_again_is_taken(place):
    frame(cells(1, 1), cells(3, 2)).to_file(place / "slides.shp")
    uploads = Uploads()
    send(uploads, place / "slides.shp", file="Slides.shp")
    assert uploads.missing("Slides.shp") == ["Slides.shx", "Slides.dbf"]
    for ending in ("dbf", "shp", "shx"):
        assert send(uploads, place / f"slides.{ending}") is None
    assert uploads.missing("slides.dbf") == ["slides.prj"]
    assert send(uploads, place / "slides.prj").look().features == 2
    assert uploads.missing("slides.shp") == []
    assert not uploads.coming


def test_a_shapefile_without_a_crs_is_whole_once_it_is_given(place):
    frame(cells(1, 1)).to_file(place / "slides.shp")
    uploads = Uploads()
    for ending in ("shp", "shx", "dbf"):
        send(uploads, place / f"slides.{ending}")
    assert [entry.name for entry in uploads.with_crs("32643")] == ["slides"]
    assert uploads.missing("slides.dbf") == []


def test_a_file_that_cannot_be_kept_is_said_and_no_longer_comes(place):
    uploads = Uploads()
    uploads.receive("a.tif", b"II", first=True, last=False)
    (folder,) = uploads_folder().iterdir()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(SourceError, match=r"a\.tif could not be kept here \(No such file"):
        uploads.receive("a.tif", b"II", first=False, last=True)
    assert not uploads.coming


def test_a_legend_comes_to_lie_beside_its_raster_before_or_after(place):
    write_raster(place / "rock.tif", np.ones((6, 8), "uint8"))
    (place / "rock.tif.aux.xml").write_text(TABLE)
    for order in (("rock.tif", "rock.tif.aux.xml"), ("rock.tif.aux.xml", "rock.tif")):
        uploads = Uploads()
        for name in order:
            send(uploads, place / name)
        path = entries()["rock"].path
        assert path.with_name("data.tif.aux.xml").read_text() == TABLE
        own_sources.remove_source("rock")


def test_a_table_waits_for_its_crs(place):
    (place / "points.csv").write_text("x,y\n500010,3999980\n")
    uploads = Uploads()
    with pytest.raises(CrsError, match="EPSG number"):
        send(uploads, place / "points.csv")
    with pytest.raises(CrsError, match="is no coordinate reference system"):
        uploads.with_crs("north")
    assert list(uploads.pending) == ["points.csv"]
    assert [entry.name for entry in uploads.with_crs("32643")] == ["points"]
    assert not uploads.pending


def test_what_is_too_large_or_no_source_leaves_nothing(place):
    path = raster(place)
    with pytest.raises(SourceError, match="larger than"):
        send(Uploads(largest=100), path)
    (place / "lie.tif").write_text("<VRTDataset/>")
    with pytest.raises(SourceError, match="not what its name says"):
        send(Uploads(), place / "lie.tif")
    with pytest.raises(SourceError, match="of no kind that is taken"):
        send(Uploads(), path, file="hills.vrt")
    assert not [p for p in uploads_folder().rglob("*") if p.is_file()]


def test_the_size_of_a_first_piece_is_asked_before_it_is_written(place, monkeypatch):
    written = []
    monkeypatch.setattr(uploads._disk, "write", lambda path, data, anew: written.append(len(data)))
    with pytest.raises(SourceError, match="larger than"):
        Uploads(largest=100).receive("a.tif", b"0" * 101, first=True, last=True)
    Uploads(largest=100).receive("a.tif", b"0" * 100, first=True, last=False)
    assert written == [100]


def bytes_kept():
    return sum(p.stat().st_size for p in uploads_folder().rglob("*") if p.is_file())


@pytest.mark.parametrize("limit", ["of uploads", "of the workspace"])
def test_several_that_come_side_by_side_take_no_more_than_there_is_room_for(
    place, monkeypatch, limit
):
    """Each is asked at each piece, so that none of them begins with room and ends without."""
    if limit == "of uploads":
        monkeypatch.setattr(uploads, "MOST", 100)
        words = "uploads hold 0.0 GB of the 0 GB there is room for"
    else:
        monkeypatch.setenv(room.BYTES, "101")
        words = "the workspace holds 0.0 GB"
    one, other = Uploads(), Uploads()
    one.receive("a.tif", b"0" * 40, first=True, last=False)
    other.receive("b.tif", b"0" * 40, first=True, last=False)
    one.receive("a.tif", b"0" * 20, first=False, last=False)
    with pytest.raises(SourceError, match=words):
        other.receive("b.tif", b"0", first=False, last=False)
    assert (bytes_kept(), one.coming, other.coming) == (60, True, False)
    with pytest.raises(SourceError, match=words):
        one.receive("a.tif", b"0" * 41, first=False, last=True)
    assert bytes_kept() == 0


def test_what_else_grows_meanwhile_is_seen_at_a_later_piece(place, monkeypatch):
    monkeypatch.setenv(room.BYTES, "1000")
    monkeypatch.setattr(uploads, "LOOK", -1.0)
    uploads_folder().parent.mkdir()
    one = Uploads()
    one.receive("a.tif", b"0" * 40, first=True, last=False)
    (place / "ws" / "map.tif").write_bytes(b"0" * 999)
    with pytest.raises(SourceError, match="the workspace holds"):
        one.receive("a.tif", b"0" * 40, first=False, last=False)


def test_no_more_than_twenty_gigabytes_are_kept(place):
    uploads_folder().mkdir(parents=True)
    with open(uploads_folder() / "large.tif", "wb") as file:
        file.truncate(20_000_000_000)  # it takes no room
    with pytest.raises(
        SourceError, match=r"uploads hold 20\.0 GB of the 20 GB .* take sources out"
    ):
        Uploads().receive("a.tif", b"II*", first=True, last=False)
    assert [p.name for p in uploads_folder().iterdir()] == ["large.tif"]
    with open(uploads_folder() / "large.tif", "r+b") as file:
        file.truncate(19_999_999_997)
    assert Uploads().receive("a.tif", b"II*", first=True, last=False) is None


# `lsm serve`, whose place is taken not by the server but by who looks at what it was told.
SERVE = """
import os, sys
from lsm_core import cli
code = "from lsm_core.uploads import Uploads; print(Uploads().largest)"
take_place = os.execv
os.execv = lambda *_: take_place(sys.executable, [sys.executable, "-c", code])
sys.argv = ["lsm", "serve", "--largest-upload", "3", "--port", "5093"]
cli.main()
"""


def test_the_largest_upload_is_as_the_server_is_told(place):
    done = subprocess.run([sys.executable, "-c", SERVE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "3000000"


def test_a_file_that_is_there_already_is_not_kept_twice(place):
    path = raster(place)
    first, second = send(Uploads(), path), send(Uploads(), path)
    assert first == second
    assert len(list(uploads_folder().iterdir())) == 1
    path.write_bytes(path.read_bytes() + b"\0")
    assert send(Uploads(), path).name == "hills_2"


def test_pieces_after_a_refusal_are_ignored(place):
    uploads = Uploads(largest=100)
    with pytest.raises(SourceError):
        uploads.receive("a.tif", b"0" * 101, first=True, last=False)
    assert uploads.receive("a.tif", b"0" * 50, first=False, last=True) is None
    assert not uploads.coming


def grow_old(folder, seconds):
    """As if nothing had come to it for so long."""
    for path in (*folder.iterdir(), folder):
        os.utime(path, times=(then := time.time() - seconds, then))


def test_what_became_no_source_is_removed_after_a_day_by_the_next_upload(place):
    """A file cut off, one that waits for its CRS, a legend alone; no source, nothing that comes."""
    kept = send(Uploads(), raster(place))
    (place / "points.csv").write_text("x,y\n500010,3999980\n")
    visitor = Uploads()
    visitor.receive("cut.tif", b"II*", first=True, last=False)
    with pytest.raises(CrsError):
        send(visitor, place / "points.csv")
    visitor.receive("rock.qml", b"<qgis/>", first=True, last=True)
    mine = uploads_folder() / "notes"
    mine.mkdir()
    left = [p for p in uploads_folder().iterdir() if p.name not in (kept.path.parent.name, "notes")]
    assert len(left) == 3
    for folder in uploads_folder().iterdir():
        grow_old(folder, FORGOTTEN - 60)
    assert forget_unfinished() == []
    for folder in uploads_folder().iterdir():
        grow_old(folder, FORGOTTEN + 60)
    visitor.receive("cut.tif", b"II*", first=False, last=False)  # it goes on
    coming = next(p for p in left if time.time() - max(f.stat().st_mtime for f in p.iterdir()) < 60)
    new = send(Uploads(), raster(place, "other.tif"))
    there = {p.name for p in uploads_folder().iterdir()}
    assert there == {kept.path.parent.name, "notes", coming.name, new.path.parent.name}


def test_nothing_is_removed_while_nobody_can_tell_what_is_a_source(place):
    kept = send(Uploads(), raster(place))
    grow_old(kept.path.parent, FORGOTTEN + 60)
    own_sources.own_catalog().write_text("a: [")
    with pytest.raises(CatalogError):
        forget_unfinished()
    own_sources.own_catalog().unlink()
    assert forget_unfinished() == []
    assert kept.path.is_file()


def test_a_server_that_starts_removes_them_too(place, monkeypatch):
    from lsm_app import app_hooks

    send(Uploads(), raster(place))
    Uploads().receive("cut.tif", b"II*", first=True, last=False)
    cut = next(p.parent for p in uploads_folder().glob("*/data.tif") if p.stat().st_size == 3)
    grow_old(cut, FORGOTTEN + 60)
    monkeypatch.setattr(app_hooks, "_read", lambda: None)
    app_hooks.get_ready()
    assert not cut.exists()
