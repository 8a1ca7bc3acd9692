"""`lsm sample` leaves an area that runs can name, and never replaces one."""

from command import lsm

from lsm_core.study_area import area_path, open_area


def test_it_builds_the_area_that_was_asked_for(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    words = ("sample", "--name", "few", "--resolution", "200", "--landslides", "60")
    status, said, _ = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 0
    assert "60 landslides on 0.3% of them" in said
    ds = open_area(area_path("few"))
    assert (ds.attrs["name"], ds.sizes["place"]) == ("few", 60)
    status, _, complaint = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2
    assert "give another --name" in complaint
