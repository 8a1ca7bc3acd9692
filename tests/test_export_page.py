"""The export page: what is chosen is what is made, previewed and told as a command."""

import io
import shlex
import sys
import time

import panel as pn
import pytest
from PIL import Image
from test_figures import make_area, make_run
from typer.testing import CliRunner

from lsm_app import exports_route, preview, print_form
from lsm_app.pages import export
from lsm_app.session import Session
from lsm_core import cli, errands, export_bundle
from lsm_core.print_style import Look, arguments_of, make_look
from lsm_core.publication import FIGURES


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    area = make_area(tmp_path)
    for i, name in enumerate(("cnn", "lsgh")):
        make_run(area, tmp_path / "runs", name, seed=i)
    make_run(area, tmp_path / "runs", "broken", state="failed")
    return tmp_path


@pytest.fixture
def drawn(monkeypatch):
    """What previews were asked for; nothing is drawn."""
    asked = []
    monkeypatch.setattr(preview, "draw", lambda one: asked.append(one) or (b"", "not now"))
    return asked


def png():
    """A white picture of 110 x 110 dots."""
    with io.BytesIO() as file:
        Image.new("L", (110, 110), 255).save(file, "png")
        return file.getvalue()


def waited(true):
    """Until it is true, at most two seconds."""
    for _ in range(100):
        if true():
            return
        time.sleep(0.02)
    raise TimeoutError("it never was")


@pytest.fixture
def started(monkeypatch):
    """Arguments of the commands that would have been started."""
    calls = []

    def start(arguments, title, subject="", steps=0):
        calls.append(list(arguments))
        raise export.RunError("started")

    monkeypatch.setattr(errands, "start", start)
    return calls


def test_only_finished_runs_are_offered(workspace, drawn):
    page = export.ExportPage(Session(page="Export"))
    assert page.view.get_root()
    assert len(page.choice.options) == 2
    assert all("broken" not in label for label in page.choice.options)


def test_the_command_of_the_page_makes_the_zip(workspace, drawn, monkeypatch):
    ids = sorted(path.name for path in (workspace / "runs").iterdir() if "broken" not in path.name)
    visitor = Session(
        page="Export", runs=ids, figures=["roc"], formats=["svg"], parts=["figures", "tables"],
        printed={"width_mm": 60.0, "language": "de", "dpi": 150},
    )  # fmt: skip
    page = export.ExportPage(visitor)
    words = shlex.split(page.command.object.split(">", 1)[1].split("<")[0].replace("&#x27;", "'"))
    assert words[:2] == ["lsm", "export"]
    assert set(words[2:4]) == set(ids)
    monkeypatch.chdir(workspace)
    call = CliRunner().invoke(cli.app, words[1:])
    assert call.exit_code == 0, call.output
    names = export_bundle.read_manifest(workspace / "valley-2-runs.zip")
    assert {"figures/roc.svg", "figures/roc.json", "tables/scores.tex"} <= set(names)
    assert not any(name.endswith(".tif") for name in names)


def test_the_button_starts_what_is_chosen_in_a_place_nobody_guesses(workspace, drawn, started):
    page = export.ExportPage(Session(page="Export"))
    page.figures.value = ["zones"]
    page.parts.value = ["figures", "model"]
    page.form.widgets["width_mm"].value = 190
    page.form.widgets["inset"].value = False
    page.make.clicks += 1
    (words,) = started
    assert words[0] == "export"
    assert [words[i + 1] for i, w in enumerate(words) if w == "--part"] == ["figures", "model"]
    assert [words[i + 1] for i, w in enumerate(words) if w == "--figure"] == ["zones"]
    assert words[words.index("--width-mm") + 1] == "190"
    assert "--no-inset" in words
    to = words[words.index("--to") + 1]
    folder, name = to.split("/")[-2:]
    assert exports_route.re.fullmatch(exports_route.PLACE, f"{folder}/{name}")
    assert "started" in page.wrong[0].object  # the core's sentence is shown


def test_what_is_chosen_is_in_the_session_and_an_address_shows_it(workspace, drawn):
    visitor = Session(page="Export")
    page = export.ExportPage(visitor)
    page.form.widgets["language"].value = "fr"
    page.form.widgets["size"].value = 9.5
    page.formats.value = ["tiff"]
    assert visitor.printed == {"language": "fr", "size": 9.5}
    assert visitor.formats == ["tiff"]
    again = export.ExportPage(Session(page="Export", printed=dict(visitor.printed)))
    assert again.form.look == make_look({"language": "fr", "size": 9.5})


def test_each_change_asks_for_a_preview_of_that(workspace, drawn):
    page = export.ExportPage(Session(page="Export"))
    page.shown.value = "roc"
    page.form.widgets["size"].value = 11.0
    waited(lambda: drawn and drawn[-1].look.size == 11.0)
    assert (drawn[-1].figure, drawn[-1].look.size) == ("roc", 11.0)
    page.preview.look()
    assert page.preview.wrong.object == "not now"


def test_what_only_the_paper_shows_is_not_drawn_anew(monkeypatch):
    monkeypatch.setattr(preview, "draw", lambda asked: asks.append(asked) or answers[len(asks) - 1])
    picture = (png(), "")
    asks, answers, one = [], [(b"", "no room"), picture, picture], preview.Preview()
    for asked, wanted in [(300, 1), (600, 2), (150, 2)]:  # a refusal is asked for again
        one.ask(preview.Asked(("run",), "roc", Look(dpi=asked)))
        waited(lambda: one._answer is not None)
        assert len(asks) == wanted
        one.look()
    assert "at 150 dpi" in one.words.object
    one.ask(preview.Asked(("run",), "roc", Look(dpi=150, size=11)))
    waited(lambda: len(asks) == 3)
    assert {asked.look.dpi for asked in asks} == {preview.DPI}


def test_a_preview_is_the_figure_at_its_size(workspace):
    run = next(path for path in (workspace / "runs").iterdir() if "cnn" in path.name)
    look = Look(width_mm=60, height_mm=50, dpi=preview.DPI)
    content, wrong = preview.draw(preview.Asked((str(run),), "roc", look))
    assert wrong == ""
    with Image.open(io.BytesIO(content)) as image:
        assert image.width == int(60 / 25.4 * preview.DPI)
    asked = preview.Asked((str(run),), "roc", Look(width_mm=60, height_mm=50))
    assert "60 x 50 mm, at 300 dpi 7" in preview._words(asked, content)
    content, wrong = preview.draw(preview.Asked((str(run),), "correlation", look))
    assert content == b""
    assert "samples.parquet" in wrong or "encoder.json" in wrong


def test_options_go_to_the_command_line_and_back(workspace):
    look = Look(
        width_mm=120, fonts=("DejaVu Serif", "DejaVu Sans"), titles=False, breaks="equal 0.2"
    )
    words = arguments_of(look)
    assert words == [
        *("--width-mm", "120", "--font", "DejaVu Serif, DejaVu Sans", "--no-titles"),
        *("--breaks", "equal 0.2"),
    ]
    assert set(print_form.LABELS) <= set(Look.model_fields)


def test_a_small_zip_comes_by_the_page_and_a_large_one_by_the_route(workspace, monkeypatch):
    place = export_bundle.new_place("a b/../c & runs")
    assert place.name == "a-b-..-c-runs.zip"
    place.write_bytes(b"x" * 10)
    assert export.download_of(place).filename == place.name
    monkeypatch.setattr(export, "SMALL_FILE", 5)
    assert "--plugins lsm_app.exports_route" in export.download_of(place).object
    monkeypatch.setattr(export, "served", lambda: True)
    assert export.ROUTE in sys.modules
    link = export.download_of(place).object
    assert f"exports/{place.parent.name}/{place.name}" in link
    place.unlink()
    assert "make it again" in export.download_of(place).object


@pytest.mark.parametrize(
    "path",
    [
        "../areas/valley/area.zarr",
        "a" * 32 + "/../../x.zip",
        "a" * 31 + "/x.zip",
        "a" * 32 + "/x.tif",
    ],
)
def test_the_route_gives_zips_of_its_folders_only(path):
    assert not exports_route.re.fullmatch(exports_route.PLACE, path)


def test_old_exports_go(workspace, monkeypatch):
    monkeypatch.setattr(export_bundle, "MOST_KEPT", 2)
    made = [export_bundle.new_place(f"run {i}") for i in range(4)]
    assert len(list(export_bundle.exports_folder().iterdir())) <= 3
    assert made[-1].parent.is_dir()


def test_without_runs_it_says_how_to_get_some(tmp_path, monkeypatch, drawn):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path))
    page = export.ExportPage(Session(page="Export"))
    assert "lsm demo" in page.body[0][0].object
    assert not drawn


def test_every_figure_can_be_previewed(workspace, drawn):
    page = export.ExportPage(Session(page="Export"))
    assert set(page.shown.options.values()) == set(FIGURES)
    assert isinstance(page.view, pn.Column)
