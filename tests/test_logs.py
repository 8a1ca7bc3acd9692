"""Logs one can read, for people and for machines, with nothing secret in them."""

import json
import logging
import os
import socket
import subprocess
import sys
import time
import urllib.error
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from command import lsm
from first_release import MODELS, SETTINGS, tiny
from test_serving import Browser

from lsm_core import logs, runs, serving
from lsm_core.study_area import save_area

SECRET = "5ecret-of-nobody"
PASSWORD = "correct horse battery"
RECIPE = {"name": "small", "map": False} | SETTINGS | MODELS["forest"]


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch, tmp_path):
    """What a command sets up is undone."""
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path / "ws"))
    for name in (logs.VERBOSE, logs.FORM):
        monkeypatch.setenv(name, os.environ.get(name, ""))
        monkeypatch.delenv(name)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    for name in (*logs.OURS, *logs.SERVERS):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logs._hidden.clear()


@pytest.fixture
def area(tmp_path):
    return save_area(tiny(), tmp_path / "ws" / "areas" / "tiny")


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.json"
    path.write_text(json.dumps(RECIPE))
    return str(path)


def objects(text):
    """Every line is an object of its own."""
    return [json.loads(line) for line in text.splitlines()]


# ---------------------------------------------------------------------------------- the forms


def test_by_itself_only_what_needs_somebody_is_said(capsys):
    logs.begin(False, "words")
    logging.getLogger("lsm_core.runs").info("a step")
    logging.getLogger("lsm_core.runs").warning("left out: %s", "x")
    logging.getLogger("somebody.else").warning("chatter")
    logging.getLogger("bokeh").setLevel(logging.INFO)  # as dask's scheduler does when it is loaded
    logging.getLogger("bokeh.server").info("chatter")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" WARNING lsm_core.runs: left out: x")
    assert line[:4].isdigit()


def test_what_went_wrong_is_one_object_too(capsys):
    logs.begin(True, "json")
    try:
        raise ValueError(f"two\nlines of {SECRET}")
    except ValueError:
        logs.hide(SECRET)
        logging.getLogger("lsm_app.layout").exception("a part of the page")
    (told,) = objects(capsys.readouterr().err)
    assert told["message"] == "a part of the page"
    assert told["level"] == "error"
    assert "two\nlines of ***" in told["error"]


def test_a_line_is_said_once_however_often_it_is_set_up(capsys):
    root = logging.getLogger()
    root.addHandler(logging.StreamHandler())  # as a server's library does
    for _ in range(3):
        logs.begin(True, "words")
    logging.getLogger("lsm_core").info("a step")
    assert capsys.readouterr().err.count("a step") == 1


# ----------------------------------------------------------------------------------- commands


def left_twice():
    """A visitor of whom Bokeh knows already is said by the socket to have gone."""
    from bokeh.server.connection import ServerConnection
    from bokeh.server.views.ws import WSHandler

    connection = ServerConnection(None, None, None, MagicMock())
    connection.detach_session()
    try:
        WSHandler.on_close(SimpleNamespace(connection=connection, close_code=1, close_reason=""))
    except AssertionError:
        logging.getLogger("tornado.application").exception("Uncaught exception")


def test_a_visitor_who_went_is_no_error(capsys):
    from tornado.websocket import WebSocketClosedError

    logs.begin(True, "words")
    gone = WebSocketClosedError()
    logging.getLogger("asyncio").error("never retrieved", exc_info=(type(gone), gone, None))
    logging.getLogger("bokeh.server.views.ws").warning(
        "Failed sending message as connection was closed"
    )
    left_twice()
    logging.getLogger("asyncio").error("something else")
    closed, line = capsys.readouterr().err.splitlines()
    assert "WebSocket connection closed" in closed
    assert line.endswith("something else")


@pytest.mark.parametrize("before", [True, False])
def test_a_run_says_its_steps_to_machines(area, recipe, before, monkeypatch, capsys):
    ours, command = ["--verbose", "--log-format", "json"], ["run", recipe]
    words = [*ours, *command] if before else [*command, *ours]
    status, printed, said = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 0
    assert "accuracy" in printed
    told = objects(said)
    stages = [line["event"]["stage"] for line in told if "event" in line]
    assert stages[0] == "training"
    assert "evaluating" in stages
    assert any(line["message"].endswith(" is done") for line in told)


def test_a_mistake_is_an_object_too(monkeypatch, capsys):
    words = ("--log-format=json", "run", "nothing")
    status, _, said = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2
    assert objects(said)[-1]["message"].startswith("error: no file nothing")


def test_another_form_is_refused(monkeypatch, capsys):
    status, _, said = lsm("runs", "--log-format", "xml", monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2
    assert said == "error: --log-format is words or json, got 'xml'\n"


def test_what_is_built_is_said_too(monkeypatch, capsys):
    words = ("--verbose", "prepare", "atlantis", "--log-format", "json")
    _, _, said = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert "no area file atlantis" in objects(said)[-1]["message"]


@pytest.mark.torture
def test_a_job_keeps_its_log_with_its_run(area, monkeypatch):
    from lsm_core import jobs
    from lsm_core.recipe import make_recipe

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    run = jobs.start(make_recipe(RECIPE), area.parent.parent / "runs")
    until = time.monotonic() + 90
    while run.state in ("queued", "running") and time.monotonic() < until:
        time.sleep(0.1)
    kept = (run.path / "log.txt").read_text()
    assert run.state == "done", kept
    assert f"INFO    lsm_core.run_status: {run.id}, training: " in kept
    assert kept.count(f"{run.id} is done") == 1
    assert SECRET not in kept


# ------------------------------------------------------------------------------------ secrets


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("302 GET /login?code=abc&state=d 2ms", "302 GET /login?code=***&state=*** 2ms"),
        ("https://ana:pw@host/x?sig=1", "https://host/x?sig=***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('{"password": "abc", "name": "ana"}', '{"password": "***", "name": "ana"}'),
        ("the cookie=a; b", "the cookie=***; b"),
        ("epoch 3 of 9: loss 0.1", "epoch 3 of 9: loss 0.1"),
        ("tokens of a word", "tokens of a word"),
    ],
)  # fmt: skip
def test_what_is_secret_is_known_by_its_place(text, wanted):
    assert logs.discreet(text) == wanted


@pytest.mark.parametrize(
    "name", ["PANEL_COOKIE_SECRET", "AWS_SECRET_ACCESS_KEY", "LSM_TOKEN", "MY_PASSWORD", "API_KEY"]
)
def test_what_is_secret_is_known_by_the_environment(name, monkeypatch):
    monkeypatch.setenv(name, SECRET)
    assert logs.discreet(f"it is {SECRET}!") == "it is ***!"
    monkeypatch.setenv(name, "of")
    assert logs.discreet("of course") == "of course"


def test_passwords_and_the_key_of_cookies_are_never_said(tmp_path):
    people = tmp_path / "people.json"
    people.write_text(json.dumps({"ana": PASSWORD}))
    people.chmod(0o600)
    serving.read_passwords(people)
    key = serving.cookie_secret()
    assert logs.discreet(f"{PASSWORD} {key}") == "*** ***"
    logs._hidden.clear()
    assert serving.cookie_secret() == key  # read, not made
    assert logs.discreet(key) == "***"


def test_an_event_tells_machines_no_secret(monkeypatch, capsys):
    monkeypatch.setenv("LSM_TOKEN", SECRET)
    logs.begin(True, "json")
    event = {"event": "stage", "message": f"at https://ana:pw@host/x?sig={SECRET}", "n": 3}
    event |= {"tried": [f"key {SECRET}", {"password": "abc"}], "from": os.PathLike}
    logging.getLogger("lsm_core.runs").info("a step", extra={"event": event})
    (told,) = objects(capsys.readouterr().err)
    assert told["event"]["message"] == "at https://host/x?sig=***"
    assert told["event"]["tried"] == ["key ***", {"password": "***"}]
    assert (told["event"]["n"], told["event"]["from"]) == (3, str(os.PathLike))


@pytest.mark.parametrize("form", logs.FORMS)
def test_a_run_that_fails_tells_no_secret(area, recipe, form, monkeypatch, capsys):
    """Whatever a library says of its address and key: neither in the folder nor on the screen."""
    from lsm_core import experiment

    def fail(*_):
        raise ConnectionError(f"no answer from https://ana:pw@host/x?sig=1, key {SECRET}")

    def break_down(*_):
        raise RuntimeError(f"refused: {SECRET}")

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    for broken, kind in ((fail, "ConnectionError"), (break_down, "RuntimeError")):
        monkeypatch.setattr(experiment, "fit_model", broken)
        words = ("--log-format", form, "run", recipe)
        status, printed, said = lsm(*words, monkeypatch=monkeypatch, capsys=capsys)
        assert status in (1, 2)
        assert SECRET not in printed + said
        assert "***" in said
        made = max(runs.list_runs(), key=lambda run: run.status["created"])
        assert made.state == "failed"
        assert made.status["message"].startswith(f"{kind}: ")
        assert made.status["message"].endswith("***")
        kept = [p.read_text(errors="replace") for p in made.path.rglob("*") if p.is_file()]
        assert not [text for text in kept if SECRET in text or "ana:pw" in text]


WANTED = (
    *("the server listens", "a wrong password from 127.0.0.1, the 1. of 10"),
    *("ana has logged in, from 127.0.0.1", "/login?next=***", "a visitor came"),
)


@pytest.mark.torture
@pytest.mark.parametrize("form", logs.FORMS)
def test_no_secret_is_in_the_log_of_a_server_nor_in_what_it_keeps(area, form, tmp_path):
    """The dashboard, with a login, of which one visitor guesses and one comes in and trains."""
    people = tmp_path / "people.json"
    people.write_text(json.dumps({"ana": PASSWORD}))
    people.chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"LSM_TOKEN": SECRET, "OMP_NUM_THREADS": "1"}
    words = ["serve", "--login", str(people), "--port", str(port), "--verbose"]
    command = [sys.executable, "-m", "lsm_core.cli", *words, "--log-format", form]
    with open(tmp_path / "log", "wb") as file:
        server = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
        try:
            _visit(Browser(port), server)
        finally:
            server.terminate()
            server.wait(20)
    said = (tmp_path / "log").read_text()
    for wanted in WANTED:
        assert wanted in said, said
    if form == "json":
        lines = said.splitlines()[1:]  # the first says the address, the last who ended it
        lines = [line for line in lines if not line.startswith("Received signal")]
        assert len(objects("\n".join(lines))) > 5
    key = (tmp_path / "ws" / ".cookie_secret").read_text()
    kept = [p.read_bytes() for p in (tmp_path / "ws").rglob("*") if p.is_file()]
    for secret in (PASSWORD, SECRET, "guessed-wrong"):
        assert secret not in said
        assert not [text for text in kept if secret.encode() in text]
    assert key not in said
    assert sum(key.encode() in text for text in kept) == 1


def _visit(browser, server):
    for _ in range(600):
        try:
            browser.ask(f"/login?next=/app&token={SECRET}")
            break
        except urllib.error.URLError:
            assert server.poll() is None
            time.sleep(0.2)
    browser.ask("/login", {"username": "ana", "password": "guessed-wrong"})
    browser.ask("/login", {"username": "ana", "password": PASSWORD})
    assert browser.ask(f"/app?area=tiny&token={SECRET}")[0] == 200
