"""What the program does, line by line: for people, or as JSON for machines; nothing secret in it.

Lines go to standard error, or where that leads: a job's `log.txt`, the journal of a server. By
itself only what somebody should look at is said, `lsm --verbose` says every step. Whatever process
a command starts goes by the same choice, which the environment tells it.
"""

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TextIO

from lsm_core.full_memory import ran_out

VERBOSE, FORM = "LSM_VERBOSE", "LSM_LOG_FORMAT"
FORMS = ("words", "json")
OURS = ("lsm_core", "lsm_app")
SERVERS = ("bokeh", "panel", "tornado", "asyncio")  # what visitors ask, a line each
SECRET_NAMES = re.compile("SECRET|PASSWORD|PASSWD|TOKEN|ENCRYPTION|_KEY$", re.IGNORECASE)
SECRET_VALUES = re.compile(
    r"""((?:password|passwd|secret|token|api_?key|authorization|cookie)["']?\s*[:=]\s*["']?"""
    r"""(?:bearer\s+|basic\s+)?)[^\s"',;&]+""",
    re.IGNORECASE,
)
SHORTEST = 6  # letters of a secret; what is shorter stands in many words
_hidden: set[str] = set()


def begin(verbose: bool, form: str) -> None:
    """Set up this process and those that it starts."""
    os.environ[VERBOSE], os.environ[FORM] = str(int(verbose)), form
    set_up()


def set_up() -> None:
    """Set this process up as the environment says; again, if it was before."""
    root = logging.getLogger()
    # a server's library has put one there, whose lines would come twice
    kept = [h for h in root.handlers if type(h) is not logging.StreamHandler]
    root.handlers[:] = [h for h in kept if not isinstance(h, _Stderr)] + [_Stderr(_formatter())]
    level = logging.INFO if is_verbose() else logging.WARNING
    root.setLevel(logging.WARNING)
    for name in (*OURS, *SERVERS):
        one = logging.getLogger(name)
        one.setLevel(level)
        one.handlers[:], one.propagate = [], True  # Panel's goes to standard output by itself


def _is_said(record: logging.LogRecord) -> bool:
    """Whether a line goes out. A library may have set a level of its own, so levels do not decide.

    What other libraries complain of, the program says in a sentence of its own.
    """
    if _is_goodbye(record):
        return False
    known = record.name.split(".")[0] in (*OURS, *SERVERS)
    usual = logging.WARNING if known else logging.CRITICAL
    return record.levelno >= (usual - 10 if is_verbose() else usual)


def _is_goodbye(record: logging.LogRecord) -> bool:
    """Whether a server only says that a visitor went, before an answer came or while it looked."""
    if record.msg == "Failed sending message as connection was closed":
        return True
    kind, _, trace = record.exc_info or (None, None, None)
    if kind is None or kind.__name__ != "AssertionError":
        return kind is not None and kind.__name__ == "WebSocketClosedError"
    # Bokeh had noticed by itself, and is then told by the socket.
    return bool(trace) and "on_close" in (frame.name for frame in traceback.extract_tb(trace))


def is_verbose() -> bool:
    """Whether every step is said."""
    return os.environ.get(VERBOSE, "0") == "1"


def is_json() -> bool:
    """Whether lines are for machines."""
    return os.environ.get(FORM) == "json"


def hide(*secrets: str) -> None:
    """Have these never said, in whatever line they stand."""
    _hidden.update(secret for secret in secrets if len(secret) >= SHORTEST)


def without_secrets(text: str) -> str:
    """A text whose addresses hold no password and no key; areas and runs keep such texts.

    >>> without_secrets("https://ana:pw@host/dem.tif?token=abc&x=1")
    'https://host/dem.tif?token=***&x=***'
    """
    text = re.sub(r"(://)[^/@\s]+@", r"\1", text)
    return re.sub(r"([?&][\w.%-]+=)[^&\s'\")]+", r"\1***", text)


def discreet(text: str) -> str:
    """A text without secrets: of addresses, of the environment, of `hide`, and what is called so.

    >>> discreet("login of ana, password=abc, cookie: x1")
    'login of ana, password=***, cookie: ***'
    """
    of_environment = (v for k, v in os.environ.items() if SECRET_NAMES.search(k))
    for secret in sorted({*_hidden, *of_environment}, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, "***")
    return SECRET_VALUES.sub(r"\1***", without_secrets(text))


def all_discreet(told: Any) -> Any:
    """The same with every text in it `discreet`, and nothing said below a secret's name.

    >>> all_discreet({"message": "token=abc", "steps": [1, "cookie: x1"], "api_key": "abc"})
    {'message': 'token=***', 'steps': [1, 'cookie: ***'], 'api_key': '***'}
    """
    if isinstance(told, Mapping):
        return {
            discreet(str(key)): "***" if SECRET_NAMES.search(str(key)) else all_discreet(value)
            for key, value in told.items()
        }
    if isinstance(told, list | tuple | set):
        return [all_discreet(value) for value in told]
    plain = told is None or isinstance(told, bool | int | float)
    return told if plain else discreet(str(told))


class Words(logging.Formatter):
    """A line for people: when, how grave, where, what."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:<7} {name}: {message}", "%Y-%m-%d %H:%M:%S", "{")

    def format(self, record: logging.LogRecord) -> str:
        """With what went wrong below it."""
        return discreet(super().format(record))


class Json(logging.Formatter):
    """One object a line: `time`, `level`, `where`, `process`, `message`, and `event` or `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """Always one line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created)
            .astimezone()
            .isoformat("T", "milliseconds"),
            "level": record.levelname.lower(),
            "where": record.name,
            "process": record.process,
            "message": discreet(record.getMessage()),
        }
        if event := getattr(record, "event", None):
            told["event"] = all_discreet(event)
        if record.exc_info:
            told["error"] = discreet(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False)


def _formatter() -> logging.Formatter:
    return Json() if is_json() else Words()


class _Stderr(logging.StreamHandler[TextIO]):
    """Standard error as it is when a line is written: a progress bar takes its place for a time."""

    def __init__(self, formatter: logging.Formatter) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(formatter)
        self.addFilter(_is_said)

    def emit(self, record: logging.LogRecord) -> None:
        """A line; for want of memory without the steps that led there, which say nothing of it."""
        if record.exc_info and record.exc_info[1] and ran_out(record.exc_info[1]):
            record.exc_info = record.exc_text = None
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """What could not be said: nothing more for want of memory."""
        if not ((error := sys.exc_info()[1]) and ran_out(error)):
            super().handleError(record)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr
