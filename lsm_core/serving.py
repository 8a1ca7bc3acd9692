"""Who may reach the dashboard: where it listens, who logs in, how many, how much they bring.

Without a login it is served to this machine only. What is secret goes by the environment or a
file that nobody else can read, never by a command line, which every user of a machine can.
"""

import ipaddress
import json
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from lsm_core import logs, room
from lsm_core.errors import ServeError
from lsm_core.workspace import workspace

LOOPBACK = "127.0.0.1"
VISITORS = 50  # at once; each keeps some tens of megabytes of the server's memory
SHORTEST = 12  # letters of a password: whoever is on the net can have a machine guess
OAUTH = (
    *("--oauth-provider", "--oauth-key", "--oauth-redirect-uri", "--oauth-extra-params"),
    *("--oauth-jwt-user", "--oauth-expiry-days", "--oauth-refresh-tokens"),
)
HTTPS = ("--ssl-certfile", "--ssl-keyfile", "--use-xheaders")
BY_ENVIRONMENT = {
    "--oauth-secret": "PANEL_OAUTH_SECRET",
    "--oauth-encryption-key": "PANEL_OAUTH_ENCRYPTION",
    "--cookie-secret": "PANEL_COOKIE_SECRET",
}
PASSWORDLESS = ("PANEL_OAUTH_OPTIONAL", "PANEL_OAUTH_GUEST_ENDPOINTS")  # of Panel: guests come in
HOSTS, PASSWORDS, MOST_VISITORS = "LSM_HOSTS", "LSM_LOGIN", "LSM_VISITORS"  # told to the server
LARGEST_UPLOAD = "LSM_LARGEST_UPLOAD"
RUNS_WAITING, RUNS_KEPT, GIGABYTES = 50, 2000, 500.0  # each that waits has a process of its own


def panel_options(
    address: str = LOOPBACK,
    *,
    origins: Sequence[str] = (),
    login: Path | None = None,
    visitors: int = VISITORS,
    largest: float | None = None,
    waiting: int = RUNS_WAITING,
    kept: int = RUNS_KEPT,
    disk: float = GIGABYTES,
    more: Sequence[str] = (),
) -> tuple[list[str], dict[str, str]]:
    """Options of `panel serve`, and what its environment must say besides.

    Parameters
    ----------
    origins : names, with a port if need be, by which people call the server in their browsers.
    login : JSON file of names and passwords, `{"ana": "..."}`, readable by its owner only.
    visitors : sessions at once. largest : megabytes of one upload; the usual limit without.
    waiting : runs that run or wait. kept : runs in all. disk : gigabytes of the workspace.
    more : options of `panel serve`, each `--name=value`: those of OAuth and HTTPS.

    Raises
    ------
    ServeError : another address than this machine's own without a login or without a name, a file
        of passwords that others can read or guess, an option that is not passed on.
    """
    by_oauth = _checked(more) or bool(os.environ.get("PANEL_OAUTH_PROVIDER"))
    hosts = [_host(origin) for origin in origins]
    if not is_loopback(address):
        _check_open(address, bool(login) or by_oauth, origins)
    options = ["--address", address]
    for origin in origins:
        options += ["--allow-websocket-origin", origin]
    # a page of elsewhere may call itself by this machine's number: only these names are answered
    told = {HOSTS: ",".join(["localhost", LOOPBACK, "::1", *hosts]), MOST_VISITORS: str(visitors)}
    told |= {room.WAITING: str(waiting), room.KEPT: str(kept), room.BYTES: str(disk * 1e9)}
    if largest is not None:
        told[LARGEST_UPLOAD] = str(round(largest * 1e6))
    if login is not None:
        _check_passwords(login)
        options += ["--basic-auth", str(login.resolve()), *_pages()]
        told[PASSWORDS] = str(login.resolve())
    if login is not None or by_oauth:
        told["PANEL_COOKIE_SECRET"] = os.environ.get("PANEL_COOKIE_SECRET") or cookie_secret()
    return [*options, *more], told


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach it.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def cookie_secret() -> str:
    """What signs the cookies of logins: made once, kept in the workspace for its owner only."""
    path = workspace() / ".cookie_secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        _check_private(path)
        logs.hide(found := path.read_text("utf-8"))
        return found
    logs.hide(made := secrets.token_hex(32))
    with os.fdopen(handle, "w") as file:
        file.write(made)
    return made


def read_passwords(path: Path) -> dict[str, str]:
    """Names and passwords of a file; ServeError if it is none.

    It is read at each login, so that a name can be taken out while the server runs.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ServeError(f"{path} is no file of passwords ({error}): {_EXAMPLE}") from None
    if not (isinstance(found, dict) and found and all(isinstance(v, str) for v in found.values())):
        raise ServeError(f"{path} names nobody with a password: {_EXAMPLE}")
    logs.hide(*found.values())
    return found


_EXAMPLE = 'give a JSON file such as {"ana": "a long password"}'


def _check_passwords(path: Path) -> None:
    found = read_passwords(path)
    _check_private(path)
    short = [name for name, password in found.items() if len(password) < SHORTEST]
    if short:
        raise ServeError(
            f"the password of {', '.join(short)} in {path} is shorter than {SHORTEST} letters: "
            "whoever reaches the server can have a machine guess it; give a longer one"
        )


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        raise ServeError(
            f"{path} can be read or changed by others (mode {mode:o}): `chmod 600 {path}`"
        )


def _check_open(address: str, has_login: bool, origins: Sequence[str]) -> None:
    if not has_login:
        raise ServeError(
            f"whoever reaches {address} could train, upload and delete: give --login FILE (names "
            "and passwords), or OAuth options after --; or leave --address out"
        )
    guests = [name for name in PASSWORDLESS if os.environ.get(name)]
    if guests:
        raise ServeError(f"{guests[0]} lets people in without a login: unset it")
    if not origins:
        raise ServeError(
            f"by which name do people reach {address}? state it, --allow-origin lsm.example.org "
            "(with the port if it is not the usual one)"
        )


def _host(origin: str) -> str:
    host = urlsplit(f"//{origin}").hostname
    if not host or "*" in origin or "/" in origin:
        raise ServeError(
            f"--allow-origin takes a name, such as lsm.example.org or lsm.example.org:5006; got "
            f"{origin!r}"
        )
    return host


def _checked(more: Sequence[str]) -> bool:
    """Refuse what is not to be passed on; whether OAuth is among it."""
    for option in more:
        name, equals, _ = option.partition("=")
        if name in BY_ENVIRONMENT:
            raise ServeError(
                f"{name} on a command line can be read by every user of this machine: set "
                f"{BY_ENVIRONMENT[name]} in the environment instead"
            )
        if name not in (*OAUTH, *HTTPS) or (not equals and name in OAUTH[:-1]):
            raise ServeError(
                f"{option!r} is not passed on: after -- come --name=value, of "
                f"{', '.join((*OAUTH, *HTTPS))}"
            )
    return any(option.startswith("--oauth-provider=") for option in more)


def _pages() -> list[str]:
    """Pages to log in and out by that ask nothing of any other host."""
    import importlib.util

    spec = importlib.util.find_spec("lsm_app")
    if spec is None or spec.origin is None:
        raise ServeError("the dashboard is not installed: reinstall lsm-workbench")
    folder = Path(spec.origin).parent
    return [
        *("--basic-login-template", str(folder / "login.html")),
        *("--logout-template", str(folder / "logout.html")),
    ]
