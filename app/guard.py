"""What every request passes before it is answered (`lsm serve` has it: --plugins lsm_app.guard).

Is it meant for this server, by one of its names; has who asks logged in, where there is a login;
is there room for one more visitor? Panel itself asks for a login on its pages only: here each
route does, scripts, styles and whatever is added later too, save the login itself.
"""

import functools
import hmac
import inspect
import logging
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import panel.auth
from bokeh.server.tornado import BokehTornado
from bokeh.server.views.auth_request_handler import AuthRequestHandler
from bokeh.server.views.doc_handler import DocHandler
from bokeh.server.views.root_handler import RootHandler
from panel.auth import BasicLoginHandler, LogoutHandler, OAuthLoginHandler
from panel.io.server import AuthenticatedStaticFileHandler
from tornado.web import RequestHandler

from lsm_core import logs
from lsm_core.errors import ServeError
from lsm_core.serving import HOSTS, MOST_VISITORS, PASSWORDS, read_passwords

log = logging.getLogger(__name__)
ROUTES: list[Any] = []  # none of its own
OPEN = (BasicLoginHandler, OAuthLoginHandler, LogoutHandler)
PAGES = (DocHandler, RootHandler, AuthenticatedStaticFileHandler)  # lead to the login themselves
USUAL_HOSTS = "localhost,127.0.0.1,::1"
TRIES, FORGOTTEN = 10, 600  # wrong passwords from one address, in so many seconds
MOST_ADDRESSES = 10_000  # whose wrong passwords are remembered

_wrong: dict[str, list[float]] = defaultdict(list)


class Gate(RequestHandler):
    """Mixed into the handler of every route."""

    async def prepare(self) -> None:
        """Refuse, or let the handler go on."""
        name = self.request.host_name.strip("[]")
        if name not in os.environ.get(HOSTS, USUAL_HOSTS).split(","):
            self._refuse(403, f"This server is not called {name}: see --allow-origin.")
            return
        made = super().prepare()
        if inspect.isawaitable(made):
            await made
        if self._finished or isinstance(self, OPEN):
            return
        if not self.current_user:
            if not isinstance(self, PAGES):
                self._refuse(403, "Log in first.")
        elif isinstance(self, DocHandler) and _visitors(self.application) >= _most():
            self._refuse(503, "Everybody is here already: try again in a minute.")

    def _refuse(self, status: int, words: str) -> None:
        asked = f"{self.request.method} {self.request.path} from {self.request.remote_ip}"
        log.info("refused with %d, %s: %s", status, asked, words)
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(words)


@functools.cache
def gated(handler: type[RequestHandler]) -> type[RequestHandler]:
    """The handler behind the gate."""
    asks = () if issubclass(handler, AuthRequestHandler) else (AuthRequestHandler,)
    return type(f"Gated{handler.__name__}", (Gate, handler, *asks), {})


def _visitors(application: Any) -> int:
    return sum(len(application.get_sessions(path)) for path in application.app_paths)


def _most() -> int:
    return int(os.environ.get(MOST_VISITORS, "0")) or 2**31


def _is_password(self: BasicLoginHandler, name: str, password: str) -> bool:
    """Whether the file of passwords has it; of an address that guesses, nothing is."""
    now, address = time.monotonic(), str(self.request.remote_ip)
    if len(_wrong) > MOST_ADDRESSES:
        _wrong.clear()
    _wrong[address] = [then for then in _wrong[address] if now - then < FORGOTTEN]
    if len(_wrong[address]) >= TRIES:
        return False
    try:
        known = read_passwords(Path(os.environ[PASSWORDS]))
    except (ServeError, KeyError):
        return False
    right = hmac.compare_digest(known.get(name, "").encode(), password.encode())
    if right and known.get(name):
        log.info("%s has logged in, from %s", name, address)
        return True
    _wrong[address].append(now)
    log.warning("a wrong password from %s, the %d. of %d", address, len(_wrong[address]), TRIES)
    return False


def _delegate(self: BokehTornado, request: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
    return super(BokehTornado, self).get_handler_delegate(request, gated(target), *args, **kwargs)


logs.set_up()
BokehTornado.get_handler_delegate = _delegate  # every route of Tornado comes through here
if os.environ.get(PASSWORDS):
    panel.auth.BasicLoginHandler._validate = _is_password
