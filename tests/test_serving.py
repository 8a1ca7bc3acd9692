"""Nobody reaches the dashboard from elsewhere without a login, nor any of its routes."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing, contextmanager
from http.client import HTTPConnection

import pytest
from command import lsm
from panel.io.server import get_server

from lsm_app import exports_route
from lsm_core import serve_commands, serving
from lsm_core.errors import ServeError
from lsm_core.serving import panel_options

ROUTES = (
    *("/", "/app", "/app/ws", "/app/metadata", "/app/autoload.js?bokeh-autoload-element=1"),
    *("/static/js/bokeh.min.js", "/app/static/js/bokeh.min.js", "/favicon.ico", "/nothing"),
    *("/static/extensions/panel/panel.min.js", "/components/panel.pane/Alert/_stylesheets/a.css"),
    f"/exports/{'0' * 32}/mine.zip",
)
PASSWORD = "correct horse"
NAME = "lsm.example.org"


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LSM_WORKSPACE", str(tmp_path / "ws"))
    for name in (*serving.PASSWORDLESS, "PANEL_OAUTH_PROVIDER", "PANEL_COOKIE_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def login(tmp_path):
    path = tmp_path / "people.json"
    path.write_text(json.dumps({"ana": PASSWORD}))
    path.chmod(0o600)
    return path


def test_it_listens_to_this_machine_unless_asked():
    options, told = panel_options()
    assert options == ["--address", "127.0.0.1"]
    assert told[serving.HOSTS] == "localhost,127.0.0.1,::1"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.7", "lab.example.org", ""])
def test_elsewhere_only_with_a_login_and_a_name(address, login):
    with pytest.raises(ServeError, match="give --login FILE"):
        panel_options(address, origins=[NAME])
    with pytest.raises(ServeError, match="by which name do people reach"):
        panel_options(address, login=login)
    options, told = panel_options(address, login=login, origins=[f"{NAME}:5006"])
    assert options[:4] == ["--address", address, "--allow-websocket-origin", f"{NAME}:5006"]
    assert told[serving.HOSTS].split(",")[-1] == NAME


def test_oauth_is_a_login_too_unless_guests_may_come(monkeypatch):
    more = ["--oauth-provider=github", "--oauth-key=abc", "--ssl-certfile=a.pem"]
    options, told = panel_options("0.0.0.0", origins=[NAME], more=more)
    assert options[-3:] == more
    assert len(told["PANEL_COOKIE_SECRET"]) == 64
    monkeypatch.setenv("PANEL_OAUTH_OPTIONAL", "true")
    with pytest.raises(ServeError, match="PANEL_OAUTH_OPTIONAL lets people in"):
        panel_options("0.0.0.0", origins=[NAME], more=more)


@pytest.mark.parametrize(
    "option",
    ["--address=0.0.0.0", "--oauth-optional", "--oauth-opt", "--oauth-guest-endpoints=/app",
     "/etc/passwd", "--static-dirs=x=/", "--oauth-provider", "--addr=::", "--admin"],
)  # fmt: skip
def test_options_that_would_open_the_door_are_not_passed_on(option):
    with pytest.raises(ServeError, match="is not passed on"):
        panel_options(more=[option])


def test_what_is_secret_is_not_taken_from_a_command_line():
    with pytest.raises(ServeError, match="set PANEL_OAUTH_SECRET in the environment"):
        panel_options(more=["--oauth-secret=abc"])


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("{}", 0o600, "names nobody"),
        ("[1]", 0o600, "names nobody"),
        ('{"ana": 5}', 0o600, "names nobody"),
        ("ana:secret", 0o600, "is no file of passwords"),
        ('{"ana": "short"}', 0o600, "password of ana .* shorter than 12"),
        ('{"ana": "correct horse"}', 0o644, "can be read or changed by others .*chmod 600"),
        (None, 0o600, "is no file of passwords"),
    ],
)
def test_files_of_passwords_that_do_not_protect(tmp_path, text, mode, words):
    path = tmp_path / "people.json"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(ServeError, match=words):
        panel_options(login=path)


@pytest.mark.parametrize("origin", ["*", "*.example.org", "", "http://a.org", "a.org/app"])
def test_names_that_are_none(origin):
    with pytest.raises(ServeError, match="--allow-origin takes a name"):
        panel_options(origins=[origin])


def test_the_secret_of_cookies_is_made_once_and_for_the_owner_only(tmp_path):
    first = serving.cookie_secret()
    path = tmp_path / "ws" / ".cookie_secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert serving.cookie_secret() == first
    path.chmod(0o640)
    with pytest.raises(ServeError, match="read or changed by others"):
        serving.cookie_secret()


def test_the_command_refuses_in_one_line(monkeypatch, capsys):
    status, _, complaint = lsm(
        "serve", "--address", "0.0.0.0", monkeypatch=monkeypatch, capsys=capsys
    )
    assert status == 2
    assert complaint.startswith("error: whoever reaches 0.0.0.0 could train, upload and delete")
    assert complaint.count("\n") == 1


def test_it_says_how_the_page_is_called(monkeypatch, capsys):
    serve_commands._serve_command(free_port(), [])
    assert re.fullmatch(r"the page, .*: http://localhost:\d+/app\n", capsys.readouterr().out)
    more = ["--ssl-certfile=a.pem", "--allow-websocket-origin", NAME]
    serve_commands._serve_command(free_port(), more)
    page, others = capsys.readouterr().out.splitlines()
    assert " https://localhost:" in page
    assert others == f"to others, as {NAME}"


def test_no_route_of_the_server_is_left_out_of_those_that_are_asked_below():
    server = get_server({"app": lambda: "hello"}, port=0, start=False, show=False)
    rules = server._tornado.wildcard_router.rules
    routes = [rule.matcher.regex for rule in rules] + [re.compile(exports_route.ROUTES[0][0])]
    asked = [path.partition("?")[0] for path in ROUTES]
    assert [r.pattern for r in routes if not any(map(r.fullmatch, asked))] == []
    assert len(routes) > 8


# ------------------------------------------------------------------------------- a real server


class Stay(urllib.request.HTTPRedirectHandler):
    """Does not follow."""

    def redirect_request(self, *_):
        return None


class Browser:
    """Asks a server, keeps its cookies."""

    def __init__(self, port):
        self.root = f"http://127.0.0.1:{port}"
        self.jar = urllib.request.HTTPCookieProcessor()
        self.opener = urllib.request.build_opener(Stay, self.jar)

    def ask(self, path, data=None, **headers):
        """Status and where it leads, or what it says."""
        data = urllib.parse.urlencode(data).encode() if data else None
        request = urllib.request.Request(self.root + path, data, headers)
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.status, answer.read(2000).decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("Location") or error.read().decode()

    def connect(self, origin):
        """Status of a request for a connection that stays, by a page of that origin."""
        cookies = "; ".join(f"{one.name}={one.value}" for one in self.jar.cookiejar)
        headers = {"Origin": origin, "Cookie": cookies, "Connection": "Upgrade"}
        headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        headers["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        with closing(HTTPConnection(self.root.removeprefix("http://"), timeout=60)) as line:
            line.request("GET", "/app/ws", headers=headers)
            return line.getresponse().status


@pytest.fixture(scope="module", params=["small", pytest.param("whole", marks=pytest.mark.torture)])
def port(tmp_path_factory, request):
    """A server with a login, as a process of its own: of a page of one word, or of the dashboard.

    It is the options and the plugins that guard, not the page.
    """
    folder = tmp_path_factory.mktemp("served")
    people = folder / "people.json"
    people.write_text(json.dumps({"ana": PASSWORD, "ben": PASSWORD[::-1]}))
    people.chmod(0o600)
    zips = folder / "ws" / "exports" / ("0" * 32)
    zips.mkdir(parents=True)
    (zips / "mine.zip").write_bytes(b"PK\5\6" + bytes(18))
    environment = {"LSM_WORKSPACE": str(folder / "ws")}
    command = ["lsm_core.cli", "serve", "--login", str(people), "--visitors", "1"]
    if request.param == "small":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LSM_WORKSPACE", str(folder / "ws"))
            command, told = small_page(folder, panel_options(login=people, visitors=1))
        environment |= told
    with listening(command, environment, free_port()) as number:
        yield number


def small_page(folder, how):
    """The command that serves a page of one word as `lsm serve` would, and its environment."""
    (folder / "app.py").write_text("import panel as pn\npn.panel('hello').servable()\n")
    plugins = ["--plugins", "lsm_app.exports_route", "--plugins", "lsm_app.guard"]
    options, told = how
    return ["panel", "serve", str(folder / "app.py"), *plugins, *options], told


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def listening(command, environment, number):
    """The port of a server that answers; it ends with the block."""
    server = subprocess.Popen(
        [sys.executable, "-m", *command, "--port", str(number)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            try:
                Browser(number).ask("/login")
                break
            except urllib.error.URLError:
                assert server.poll() is None
                time.sleep(0.2)
        yield number
    finally:
        server.terminate()
        server.wait(20)


def refused_everywhere(stranger):
    """No route answers: pages lead to the login, and all else is forbidden."""
    told = {path: stranger.ask(path) for path in ROUTES}
    for path in ("/", "/app", f"/exports/{'0' * 32}/mine.zip"):
        status, where = told.pop(path)
        assert status == 302, path
        assert "/login?next=" in where
    found = {path: status for path, (status, _) in told.items()}
    return found == dict.fromkeys(told, 403) | {"/nothing": 404}


def test_no_route_answers_who_has_not_logged_in(port):
    assert refused_everywhere(Browser(port))


def test_who_has_logged_in_gets_all_and_asks_no_other_host(port):
    ana = Browser(port)
    status, page = ana.ask("/login")
    assert status == 200
    assert "http" not in page  # nothing of another host, not even a picture
    assert ana.ask("/login", {"username": "ana", "password": PASSWORD})[0] == 302
    for path in ROUTES:
        if "static/js" in path or "extensions" in path or "exports" in path or "ico" in path:
            assert ana.ask(path)[0] == 200, path
    assert ana.ask("/app")[0] == 200
    assert ana.ask("/app") == (503, "Everybody is here already: try again in a minute.")


def test_each_of_two_people_has_a_password_of_their_own(port):
    ana, ben = Browser(port), Browser(port)
    assert "error=" in ben.ask("/login", {"username": "ben", "password": PASSWORD})[1]
    assert ben.ask("/favicon.ico")[0] == 403
    assert ben.ask("/login", {"username": "ben", "password": PASSWORD[::-1]})[0] == 302
    assert ben.ask("/favicon.ico")[0] == 200
    assert ana.ask("/favicon.ico")[0] == 403  # the one's login is not the other's


def test_a_page_of_elsewhere_opens_no_connection(port):
    """Its browser would send the visitor's own cookie along."""
    ana = Browser(port)
    ana.ask("/login", {"username": "ana", "password": PASSWORD})
    assert ana.connect("http://evil.example.org") == 403
    assert ana.connect(ana.root) == 101


def test_another_name_of_the_server_is_not_answered(port):
    """A page of elsewhere whose name is made to point to this machine."""
    assert Browser(port).ask("/login", Host="evil.example.org:80")[0] == 403
    assert Browser(port).ask("/login", Host="localhost:5006")[0] == 200


def test_who_guesses_passwords_is_not_heard_after_ten(port):
    guesser = Browser(port)
    for _ in range(10):
        guesser.ask("/login", {"username": "ana", "password": "correct hors"})
    assert "error=" in guesser.ask("/login", {"username": "ana", "password": PASSWORD})[1]
    assert guesser.ask("/app")[0] == 302
