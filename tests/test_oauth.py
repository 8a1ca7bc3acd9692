"""Login by OAuth, with a provider of our own on this machine: who comes, and who does not."""

import json
import threading
import urllib.error
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from test_serving import Browser, free_port, listening, refused_everywhere, small_page

from lsm_core.serving import panel_options

CODE, TOKEN, KEY = "code-of-ana", "token-of-ana", "key-of-the-workbench"
SECRET = "a secret between provider and server"


class Provider(BaseHTTPRequestHandler):
    """Sends who comes back with a code, gives a token for it, and says whose token it is."""

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        asked = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/user":
            known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            self.say({"email": "ana@example.org"} if known else {"error": "who?"})
            return
        back = urllib.parse.urlencode({"code": CODE, "state": asked["state"]})
        self.send_response(302)
        self.send_header("Location", f"{asked['redirect_uri']}?{back}")
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = dict(urllib.parse.parse_qsl(body))
        right = (asked["code"], asked["client_id"], asked["client_secret"]) == (CODE, KEY, SECRET)
        self.say({"access_token": TOKEN} if right else {"error": "invalid_grant"})

    def say(self, what):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(what).encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def provider():
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def served(provider, tmp_path_factory):
    folder, number = tmp_path_factory.mktemp("oauth"), free_port()
    more = ["--oauth-provider=generic", f"--oauth-key={KEY}"]
    more += [f"--oauth-redirect-uri=http://127.0.0.1:{number}/login"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSM_WORKSPACE", str(folder / "ws"))
        command, told = small_page(folder, panel_options(more=more))
    told |= {"LSM_WORKSPACE": str(folder / "ws"), "PANEL_OAUTH_SECRET": SECRET}
    told |= {f"PANEL_OAUTH_{n.upper()}_URL": f"{provider}/{n}" for n in ("authorize", "user")}
    told |= {"PANEL_OAUTH_TOKEN_URL": f"{provider}/token", "PANEL_USER_KEY": "email"}
    with listening(command, told, number):
        yield number


def follow(browser, provider):
    """Log in as a browser does: to the provider, and back with its code."""
    _, there = browser.ask("/login")
    assert there.startswith(f"{provider}/authorize?")
    assert SECRET not in there
    _, back = Browser(urllib.parse.urlsplit(there).port).ask(there.removeprefix(provider))
    return back.removeprefix(browser.root)


def test_nothing_is_answered_before_the_provider_has_said_who_it_is(served):
    assert refused_everywhere(Browser(served))


def test_who_comes_back_from_the_provider_is_let_in(served, provider):
    ana = Browser(served)
    status, where = ana.ask(follow(ana, provider))
    assert status == 302, where
    assert ana.ask("/app")[0] == 200
    assert ana.ask("/static/js/bokeh.min.js")[0] == 200


@pytest.mark.parametrize("forged", [{"code": "guessed"}, {"state": "c3RhdGU="}])
def test_a_code_that_is_guessed_or_of_another_visit_lets_nobody_in(served, provider, forged):
    ben = Browser(served)
    path, _, query = follow(ben, provider).partition("?")
    asked = dict(urllib.parse.parse_qsl(query)) | forged
    ben.ask(f"{path}?{urllib.parse.urlencode(asked)}")
    assert ben.ask("/static/js/bokeh.min.js")[0] == 403
    assert ben.ask("/app")[0] == 302
