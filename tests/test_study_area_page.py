"""The page of study areas without a browser: files, a draft, a build."""

import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import panel as pn
import pytest
from boxes import cells, frame
from page_text import texts
from sources import write_raster
from test_figures import make_area

from lsm_app import errand_view, own_files, session
from lsm_app.pages import study_area
from lsm_core import errands
from lsm_core.area_draft import save_draft
from lsm_core.catalog import load_catalog
from lsm_core.own_sources import add_source, entries
from lsm_core.preparation import prepare
from lsm_core.study_area import area_path
from lsm_core.uploads import uploads_folder

pn.extension("filedropper")


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path / "ws"))
    monkeypatch.setenv("LSM_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "ws"


@pytest.fixture
def valley(workspace):
    return make_area(workspace)


@pytest.fixture
def files(workspace):
    """A DEM, landslides, faults and points that lie on the machine."""
    data = workspace.parent / "data"
    rows, cols = np.indices((60, 80))
    write_raster(data / "dem.tif", (1500 + 10 * rows + 40 * np.sin(cols / 5)).astype("float32"))
    frame(cells(11, 11, 2, 2), cells(30, 20, 3, 3)).to_file(data / "slides.gpkg")
    frame(cells(5, 5, 9, 9).boundary).to_file(data / "faults.gpkg")
    (data / "points.csv").write_text("x,y\n500010,3999980\n")
    return data


def press(page, label):
    next(b for b in page.view.select() if getattr(b, "label", "") == label).clicks += 1


# ---------------------------------------------------------------------------------- files, draft


def test_a_better_guess_at_the_inventory_takes_the_place_of_one_but_not_of_a_choice(files):
    page = study_area.StudyArea(session.Session(page="Study area", look="New area"))
    rocks = frame(cells(1, 1, 40, 40), cells(45, 20, 9, 9))
    rocks.to_file(files / "geology.gpkg")
    rocks.to_file(files / "landslides_2005.gpkg")

    def drop(name):
        page.files.receive(name, (files / name).read_bytes(), first=True, last=True)

    drop("dem.tif")
    drop("geology.gpkg")
    assert page.form.inventory.value == "geology"  # all there is
    drop("slides.gpkg")
    assert page.form.inventory.value == "slides"
    page.form.inventory.value = "geology"
    drop("landslides_2005.gpkg")
    assert page.form.inventory.value == "geology"


def test_dropped_files_are_drafted_and_built_on_screen_alone(files, workspace, monkeypatch):
    page = study_area.StudyArea(session.Session(page="Study area", look="New area"))
    for name in ("dem.tif", "slides.gpkg", "faults.gpkg"):
        data = (files / name).read_bytes()
        half = len(data) // 2
        page.files.receive(name, data[:half], first=True, last=False)
        assert page.form.draft.disabled  # while a file is half here
        page.files.receive(name, data[half:], first=False, last=True)
    assert (page.form.dem.value, page.form.inventory.value) == ("dem", "slides")
    assert page.form.more.value == ["faults"]
    assert "a polygon takes the cells whose centre it holds" in texts(page.form.view)
    press(page, "Draft the area")
    page.form.name.value = "hills"
    assert "10 factors on the DEM&#x27;s own cells" in page.form.text.object
    asked = []
    monkeypatch.setattr(errands, "start", lambda *words: asked.append(words) or done(workspace))
    press(page, "Build this area")
    assert "top of this page" in texts(page.form.answer)
    assert asked == [
        (["prepare", str(area_path("hills")) + ".yaml"], "Building area hills", "hills", 15)
    ]
    assert page.view.get_root()


def done(folder, name="20260101-000000-ab", subject="valley", **changed):
    """An errand that has ended well."""
    path = folder / "errands" / name
    path.mkdir(parents=True, exist_ok=True)
    about = {"title": f"Building {subject}", "subject": subject, "steps": 4, "arguments": []}
    about |= {"pid": 1, "process_started": -1, "started": time.time()} | changed
    errands.write_json(path / "errand.json", about)
    errands.write_json(path / "ended.json", {"status": 0})
    return errands.Errand(path)


def test_fields_change_the_file_and_what_is_wrong_is_said(files, workspace):
    for name in ("dem.tif", "slides.gpkg", "faults.gpkg"):
        add_source(files / name)
    page = study_area.StudyArea(session.Session(page="Study area", look="New area"))
    press(page, "Draft the area")
    form = page.form
    form.cell.value = 25.0
    form.radius.value = 90.0
    form.rows[0].name.value = "to_faults"
    form.rows[0].use.value = "density of it"
    made = form.content()
    assert made["grid"] == {"crs": "EPSG:32643", "resolution": 25.0}
    by_name = {factor["name"]: factor for factor in made["factors"]}
    assert by_name["tpi"]["radius"] == 90
    assert by_name["to_faults"] == {"name": "to_faults", "density_of": "faults", "radius": 1000.0}
    form.name.value = "my area"
    assert form.build.disabled
    assert "name" in form.text.object
    form.name.value = "balakot"
    assert form.build.disabled
    assert "that of a shipped area" in form.name.helper_text
    form.name.value = "hills"
    assert (form.build.disabled, form.name.helper_text) == (False, "")
    form.name.value = "mine"
    form.crs.value = "north"
    assert "is no coordinate reference system" in form.text.object
    form.crs.value = "32642"
    assert form.content()["grid"]["crs"] == "EPSG:32642"
    assert not form.build.disabled


def test_an_area_gets_an_image_by_form_fields(files, workspace):
    write_raster(files / "scene.tif", *(np.full((60, 80), 1000 * b, "uint16") for b in range(1, 5)))
    for name in ("dem.tif", "slides.gpkg", "scene.tif"):
        add_source(files / name)
    page = study_area.StudyArea(session.Session(page="Study area", look="New area"))
    page.form.dem.value = "dem"
    press(page, "Draft the area")
    image = page.form.image
    image.source.value = "scene"
    assert (image.bands.value, image.scale.value) == ("red=1, green=2, blue=3, nir=4", 0.0001)
    image.bands.value = "red"
    assert page.form.build.disabled
    assert "written as name=band" in image.bands.helper_text
    image.bands.value = "red=3, nir=4"
    assert not page.form.build.disabled
    ds = prepare(save_draft(page.form.content()), load_catalog())
    assert ds["band"].values.tolist() == ["red", "nir"]
    assert float(ds["image"].sel(band="nir").median()) == pytest.approx(0.4)


def test_a_table_waits_for_its_crs_and_other_files_are_refused_with_the_sentence(files):
    part = own_files.OwnFiles(lambda: None)
    part.chosen.value = ["points.csv"]
    part.use.clicks += 1
    assert "EPSG number" in texts(part.words)
    assert part.crs.visible
    part.crs.value = "32643"
    assert [e.name for e in entries().values() if e.own] == ["points"]
    assert not part.crs.visible
    part.receive("a.vrt", b"<VRTDataset/>", first=True, last=True)
    assert "of no kind that is taken" in texts(part.words)
    part.remove.value = "points"
    part.take_out.clicks += 1
    assert not [e for e in entries().values() if e.own]


def test_what_is_wrong_is_said_below_the_field_that_it_is_in(files, workspace):
    for name in ("dem.tif", "slides.gpkg", "faults.gpkg"):
        add_source(files / name)
    page = study_area.StudyArea(session.Session(page="Study area", look="New area"))
    press(page, "Draft the area")
    form = page.form
    form.rows[0].use.value = "density of it"
    wrong = {
        form.name: ("my area!", "takes letters, digits, - and _, got 'my area!'"),
        form.cell: (-5.0, "takes numbers above 0, got -5.0"),
        form.radius: (0.0, "takes numbers above 0, got 0.0"),
        form.window: (1, "takes numbers above 1, got 1"),
        form.streams: (-1.0, "takes numbers above 0, got -1.0"),
        form.crs: (
            "north",
            "'north' is no coordinate reference system: give its EPSG number, such as 32643",
        ),
        form.rows[0].radius: (-1.0, "takes numbers above 0, got -1.0"),
    }
    for field, (value, words) in wrong.items():
        before = field.value
        field.value = value
        assert (field.error_state, field.helper_text) == (True, words)
        assert form.build.disabled
        field.value = before
        assert (field.error_state, field.helper_text) == (False, "")
        assert not form.build.disabled


def test_each_file_gets_its_line_and_a_second_drop_completes_the_shapefile(files):
    frame(cells(11, 11, 2, 2), cells(30, 20, 3, 3)).to_file(files / "walls.shp")
    page = study_area.StudyArea(session.Session(page="Study area", look="New area"))

    def drop(*names):
        for name in names:
            data = (files / name).read_bytes()
            page.files.receive(name, data, first=True, last=True)

    (files / "README.md").write_text("read me")
    (files / "lie.tif").write_text("no map")
    drop("README.md", "lie.tif", "walls.shp")
    words = page.files.list.object
    assert "<b>refused</b> README.md: README.md is of no kind that is taken" in words
    assert "<b>refused</b> lie.tif: lie.tif is not what its name says" in words
    assert "<b>waiting</b> walls.shp: here, waits for walls.shx, walls.dbf" in words
    assert (page.form.draft.disabled, page.form.dem.value) == (True, None)
    assert page.form.draft.label == "Draft the area: choose a DEM first"
    drop("walls.dbf", "walls.shx", "walls.shp", "walls.prj", "dem.tif")
    words = page.files.list.object
    assert "waiting" not in words
    assert "<b>taken</b> walls.prj: part of walls" in words
    assert "<b>taken</b> walls.shp: source walls" in words
    assert not page.form.draft.disabled
    page.form.inventory.value = None
    assert page.form.draft.label == "Draft the area: choose landslides first"


def drop_piece(dropper, number, name="a.tif", of=3, content=None):
    content = b"%d" % number if content is None else content
    data = {"name": name, "chunk": number, "total_chunks": of, "data": content}
    dropper._process_event(SimpleNamespace(event_name="upload_event", data=data))


def test_pieces_are_put_together_in_their_order_whichever_thread_is_first():
    heard = []
    dropper = own_files.Dropper(
        lambda name, piece, **at: heard.append((name, piece, at["last"])), print
    )
    piece = partial(drop_piece, dropper)
    for number in (2, 1, 3, 1, 2, 3):
        piece(number)
    piece(1, "b.tif", of=1)
    once = [("a.tif", b"1", False), ("a.tif", b"2", False), ("a.tif", b"3", True)]
    assert heard == [*once, *once, ("b.tif", b"1", True)]


def test_pieces_without_a_first_one_are_not_kept_for_ever(files, workspace, monkeypatch):
    monkeypatch.setattr(own_files, "MOST_FILES", 3)
    page = own_files.OwnFiles(lambda: None)
    piece = partial(drop_piece, page.dropper)
    for number in range(2, 1000):
        piece(number, of=1000)
        assert len(page.dropper._early) <= own_files.MOST_EARLY
    assert "<b>refused</b> a.tif: a.tif: its pieces come out of order" in page.list.object
    for number in range(2, 9):
        piece(number, f"{number}.tif", content=bytes(own_files.CHUNK * own_files.MOST_EARLY // 3))
        held = sum(len(data["data"]) for data in page.dropper._early.values())
        assert held <= own_files.CHUNK * own_files.MOST_EARLY
    for number in range(3):
        piece(1, f"begun_{number}.tif", of=2, content=b"II*")
    piece(1, "more.tif", of=2, content=b"II*")
    assert "more.tif: 3 files are half here: end some first" in page.list.object
    assert "begun" not in page.list.object
    assert len(page.dropper._next) == 3


def test_a_file_that_comes_out_of_order_leaves_nothing_and_comes_again(files, workspace):
    coming = []
    page = own_files.OwnFiles(lambda: None, coming.append)
    piece = partial(drop_piece, page.dropper, of=30)
    piece(1)
    for number in range(3, 25):
        piece(number)
    assert coming[-1] is False
    assert not [p for p in uploads_folder().rglob("*") if p.is_file()]
    content = (files / "dem.tif").read_bytes()
    drop_piece(page.dropper, 1, of=1, content=content)
    assert "<b>taken</b> a.tif" in page.list.object


def test_a_copy_of_an_area_file_keeps_what_the_form_does_not_know(files, workspace):
    for name in ("dem.tif", "slides.gpkg"):
        add_source(files / name)
    factors = [{"name": "slope", "derive": "slope"}]
    factors += [{"name": "near", "distance_to": "slides", "edges": [100.0, 300.0]}]
    grid = {"like": "dem", "extent": [500000.0, 3999500.0, 500500.0, 4000000.0]}
    inventory = {"source": "slides", "where": {"kind": "debris"}}
    first = {"name": "first", "title": "First", "grid": grid, "dem": "dem"}
    clouds = {"band": 1, "classes": [9]}
    first |= {"image": {"source": "dem", "bands": {"red": 1}, "scale": 0.5, "clouds": clouds}}
    save_draft(first | {"inventory": inventory, "factors": factors})
    page = study_area.StudyArea(session.Session(page="Study area", look="Build"))
    page.edit("first")
    made = page.form.content()
    assert made == first | {"name": "first_mine", "inventory": inventory, "factors": factors}
    page.edit("nagaland")
    assert "no DEM and grid" in texts(page.notes)


# ------------------------------------------------------------------------------ what is built


def test_an_empty_workspace_offers_the_sample_and_its_runs(workspace, monkeypatch):
    page = study_area.StudyArea(session.Session(page="Study area"))
    assert "There is no study area" in texts(page.view)
    asked = []
    monkeypatch.setattr(errands, "start", lambda *words: asked.append(words[0]) or done(workspace))
    buttons = [b for b in page.offer.select() if getattr(b, "label", "").startswith("Sample area")]
    for button in buttons:
        button.clicks += 1
    assert asked == [["demo", "--no-serve"], ["sample"]]
    own = study_area.StudyArea(session.Session(page="Study area", look="New area"))
    assert not own.offer.visible  # nor does it stand above what somebody makes of their own


def test_a_failed_build_says_the_cores_sentence_and_the_page_lives_on(valley):
    page = study_area.StudyArea(session.Session(page="Study area", look="Build"))
    page.start(["prepare", "atlantis"], "area atlantis", "atlantis", 5)
    until = time.time() + 60
    while "failed" not in texts(page.errands.view):
        assert time.time() < until
        time.sleep(0.1)
        page.look()
    assert "no area file atlantis" in texts(page.errands.view)
    page.session.look = "Checks"
    assert "EPSG:32643" in str(page.body.select(pn.pane.DataFrame)[0].object.data)


def test_what_was_built_joins_the_list_and_is_shown_to_who_asked(workspace, monkeypatch):
    for mine in (True, False):
        make_area(workspace, "other")
        page = study_area.StudyArea(session.Session(page="Study area", look="Build", area="other"))
        errand = done(workspace)
        if mine:
            page.mine.add(errand.id)
        make_area(workspace)
        page.done(errand)
        assert "valley" in page.choice.options
        assert (page.session.area, page.session.look) == (
            ("valley", "Map") if mine else ("other", "Build")
        )


def test_a_new_visitor_sees_what_is_being_built(workspace):
    import os

    from lsm_core.run_status import process_start

    pid = os.getpid()
    errand = done(workspace, subject="hills", pid=pid, process_started=process_start(pid))
    (errand.path / "ended.json").unlink()
    (errand.path / "said.txt").write_text("grid: 9 rows\nslope: derived\n")
    page = study_area.StudyArea(session.Session(page="Study area"))
    page.look()
    assert "Building hills: being worked on" in texts(page.errands.view)
    view = errand_view.ErrandView(errand)
    assert not view.look()
    assert view.bar.visible
    assert 'value="50"' in view.bar.object  # two of four steps
    errands.write_json(errand.path / "ended.json", {"status": 0})
    assert view.look()
    assert not view.bar.visible


def test_sources_of_every_shipped_area_file_are_found():
    from lsm_app.area_list import listed

    known = {item.name: item for item in listed()}
    assert known["balakot"].steps == 16
    assert known["balakot"].made_of == "11 factors of 5 sources"
    assert {item.name for item in known.values()} >= {"hongkong", "nagaland", "emilia_change"}
