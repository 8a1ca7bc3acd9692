"""`lsm serve` and `lsm demo`: the dashboard, and a first area with runs to look at."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from lsm_core import logs
from lsm_core.errors import RunError
from lsm_core.foreground import recipe_of
from lsm_core.progress_bars import follow_jobs

DEMO = ("random_forest", "cnn", "lsgh_net")


def demo(
    serve_page: Annotated[bool, typer.Option("--serve/--no-serve", help="Open the page.")] = True,
    port: int = 5006,
) -> None:
    """Build the sample area, train three models on it, and serve the page meanwhile."""
    import subprocess

    from lsm_core import jobs, sample_area
    from lsm_core.runs import list_runs, runs_folder
    from lsm_core.study_area import area_path, save_area

    path = area_path(sample_area.NAME)
    if not path.exists():
        typer.echo("building the sample area: real terrain, simulated landslides")
        built = sample_area.build()
        save_area(built.ds, path, inventory=built.inventory)
    server = subprocess.Popen(_serve_command(port, [])) if serve_page else None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: the page too
    there = [run.recipe for run in list_runs() if run.state in ("done", "queued", "running")]
    wanted = [recipe_of(name, sample_area.NAME, ["size=demo"]) for name in DEMO]
    queued = [jobs.start(recipe, runs_folder()) for recipe in wanted if recipe not in there]
    try:
        follow_jobs(queued)
        typer.echo("done: `lsm runs` lists them")
        if server:
            server.wait()
    except KeyboardInterrupt:
        typer.echo("the page is closed; runs that are not done go on (`lsm runs`, `lsm stop RUN`)")
    finally:
        if server:
            server.terminate()


def serve(
    port: int = 5006,
    show: Annotated[bool, typer.Option(help="Open a browser.")] = False,
    address: Annotated[str, typer.Option(help="Where to listen: this machine only.")] = "127.0.0.1",
    origins: Annotated[
        list[str] | None, typer.Option("--allow-origin", help="Name that people call it by.")
    ] = None,
    login: Annotated[
        Path | None, typer.Option(help='Names and passwords: JSON, {"ana": "..."}, mode 600.')
    ] = None,
    visitors: Annotated[int, typer.Option(min=1, help="Sessions at once.")] = 50,
    largest: Annotated[
        float | None, typer.Option("--largest-upload", min=0, help="Megabytes of one file.")
    ] = None,
    waiting: Annotated[
        int, typer.Option("--most-waiting", min=1, help="Runs that run or wait.")
    ] = 50,
    kept: Annotated[int, typer.Option("--most-runs", min=1, help="Runs kept in all.")] = 2000,
    disk: Annotated[
        float, typer.Option("--largest-workspace", min=0, help="Gigabytes of all that is kept.")
    ] = 500.0,
    more: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- [--oauth-...=...]", help="OAuth and HTTPS, as Panel names them."
        ),
    ] = None,
) -> None:
    """Serve the dashboard on http://localhost:5006/app, to this machine only unless asked.

    Elsewhere only with a login and a name: docs/security.md.
    """
    from lsm_core.serving import panel_options

    options, told = panel_options(
        address, origins=origins or (), login=login, visitors=visitors, largest=largest,
        waiting=waiting, kept=kept, disk=disk, more=more or (),
    )  # fmt: skip
    os.environ.update(told)
    command = _serve_command(port, options + ["--show"] * show)
    os.execv(command[0], command)  # the server takes this process's place, so both end together


def _serve_command(port: int, more: list[str]) -> list[str]:
    """`panel serve` on the installed app: loopback only, threads so that nobody waits."""
    import socket

    from lsm_core.catalog import shipped

    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise RunError(f"port {port} is taken: choose another one with --port")
    folder = shipped("app")  # pages are found by its name
    command = [sys.executable, "-m", "panel", "serve", str(folder), "--port", str(port)]
    command += ["--num-threads", "4", "--log-level", "info" if logs.is_verbose() else "warning"]
    command += ["--plugins", "lsm_app.exports_route"]  # the way to large files
    command += ["--plugins", "lsm_app.guard", *(more or ["--address", "127.0.0.1"])]
    scheme = "https" if any(word.startswith("--ssl-certfile") for word in more) else "http"
    names = [more[i + 1] for i, word in enumerate(more) if word == "--allow-websocket-origin"]
    typer.echo(f"the page, in some seconds: {scheme}://localhost:{port}/{folder.name}")
    if names:
        typer.echo(f"to others, as {' or '.join(names)}")
    return command
