"""Runs in the foreground, as commands do them: found, waited for, shown, stopped cleanly."""

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lsm_core.errors import RecipeError, RunError, Stopped
from lsm_core.progress_bars import bars

if TYPE_CHECKING:
    from lsm_core.recipe import Recipe
    from lsm_core.runs import Run


def recipe_of(name: str, area: str | None, changes: list[str] | None) -> "Recipe":
    """A recipe by file or by name, on an area, with changes; checked by itself."""
    from lsm_core.recipe import load_recipe
    from lsm_core.recipe_check import check_recipe

    more = [f"area={area}"] if area else []
    recipe = load_recipe(recipe_file(name), [*more, *(changes or [])])
    check_recipe(recipe)
    return recipe


def recipe_file(name: str) -> Path:
    """A file of the user's, or one that comes with the program: `cnn` or `recipes/cnn.yaml`."""
    from lsm_core.catalog import did_you_mean

    ours = shipped_recipes()
    own = Path(name)
    if own.is_file():
        return own
    if own.stem in ours and str(own.parent) in (".", "recipes"):
        return ours[own.stem]
    near = did_you_mean(name, sorted(ours))
    raise RecipeError(f"no file {name}, and no recipe of that name comes with the program; {near}")


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with the program, by name."""
    from lsm_core.catalog import shipped

    return {path.stem: path for path in sorted(shipped("recipes").glob("*.yaml"))}


def work(plan: Any, path: Path, as_json: bool) -> "Run":
    """Wait for the device, carry the plan out, stop cleanly on SIGTERM or Ctrl-C."""
    from lsm_core import experiment, jobs
    from lsm_core.runs import set_status

    quiet_networks()
    asked: list[int] = []

    def note(sign: int, frame: Any) -> None:
        if asked:  # the second time: at once
            raise KeyboardInterrupt
        asked.append(sign)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        wait = (lambda: None) if as_json else (lambda: typer.echo("waiting for its turn"))
        with jobs.turn(path, lambda: bool(asked), wait), bars(as_json) as follow:
            return experiment.carry_out(plan, path, follow, lambda: bool(asked))
    except Stopped as stopped:
        set_status(path, "stopped", str(stopped))
        raise
    finally:  # between two runs nobody would hear a sign noted here
        for number, handler in before.items():
            signal.signal(number, handler)


def carry_out_queued(path: Path) -> "Run":
    """Wait for a queued run's turn and carry it out; what is wrong with it, it says itself."""
    from lsm_core import jobs
    from lsm_core.runs import set_status

    quiet_networks()
    set_status(path, "queued", "waiting for its turn")  # who started it may be gone already
    jobs.stand_in_line(path)
    return go_on(str(path), as_json=True)


def go_on_with(names: list[str] | None, folder: Path | None, as_json: bool) -> None:
    """Go on with these runs, or, where none is named, with all of the folder that were cut off."""
    from lsm_core import report
    from lsm_core.runs import list_runs

    cut_off = names or [str(run.path) for run in list_runs(folder) if run.state == "lost"]
    if not cut_off and not as_json:
        typer.echo("no run was cut off: there is nothing to go on with")
    for name in cut_off:
        done = go_on(name, as_json)
        tell(done, as_json, report.result_in_words(done))


def no_more_epochs(names: list[str], as_json: bool) -> None:
    """Say of stopped runs that what they have learnt is enough."""
    from lsm_core.jobs import enough
    from lsm_core.runs import open_run

    for name in names:
        epochs = enough(open_run(name))
        if not as_json:
            typer.echo(f"{name} has learnt for {epochs} epochs: the best of them is judged")


def go_on(name: str, as_json: bool) -> "Run":
    """Take a run up that was cut off, stopped or failed, and carry it to its end.

    A network learns on from its checkpoint; what else was computed is computed again. A run that is
    done is given back as it is.

    Raises
    ------
    RunError : the run is running, or its area or the way its places are drawn has changed.
    """
    from lsm_core import experiment, resumption
    from lsm_core.run_files import alone
    from lsm_core.run_status import ALIVE
    from lsm_core.runs import open_run, set_status

    quiet_networks()
    run = open_run(name)
    busy = f"another process goes on with {run.id}: wait until it has ended"
    with alone(run.path / ".lock", busy):
        if run.state == "done":
            return run
        if run.state in ALIVE and run.status["pid"] != os.getpid():
            raise RunError(f"{run.id} is {run.state}: its process is at work, `lsm stop` ends it")
        set_status(run.path, "queued", "waiting for its turn")
        try:
            plan = experiment.plan_run(settle_queued(run.path))
            resumption.clear(run, plan)
        except BaseException as error:
            ended = isinstance(error, (Stopped, KeyboardInterrupt))
            set_status(run.path, "stopped" if ended else "failed", str(error))
            raise
        return work(plan, run.path, as_json)


def settle(recipe: "Recipe", folder: Path, as_json: bool) -> "Recipe":
    """The recipe, after the detection that its inventory comes from, if any, has been run."""
    from lsm_core import experiment, report
    from lsm_core.detected_area import settled
    from lsm_core.runs import create_run

    def carry(first: "Recipe") -> "Run":
        plan = experiment.plan_run(first)
        if not as_json:
            typer.echo(
                f"first the detection, {first.name}\n{report.plan_in_words(first, plan.counts)}"
            )
        done = work(plan, create_run(first, plan.area, folder), as_json)
        if not as_json:
            typer.echo(report.result_in_words(done))
        return done

    return settled(recipe, folder, carry)


def settle_queued(path: Path) -> "Recipe":
    """The recipe of a queued run, its detection done first; the run's folder keeps what it became.

    Meanwhile the run is not queued: its detection, which is younger, would wait for it.
    """
    from lsm_core.runs import Run, set_status, write_json

    recipe = Run(path).recipe
    if recipe.inventory is None or recipe.inventory.run is not None:
        return recipe
    set_status(path, "running", "its landslides are detected first")
    try:
        ready = settle(recipe, path.parent, as_json=True)
    except Stopped as stopped:
        set_status(path, "stopped", str(stopped))
        raise
    write_json(path / "recipe.json", ready.model_dump(mode="json"))
    set_status(path, "queued", "waiting for its turn")
    return ready


def tell(done: "Run", as_json: bool, words: str) -> None:
    """A finished run on standard output: in words, or its folder and scores as JSON."""
    result = {"run": str(done.path), "scores": done.metrics["scores"]} if as_json else None
    typer.echo(json.dumps(result) if result else words)


def quiet_networks() -> None:
    """TensorFlow's start-up chatter is not for users; its sums are to be the same every time."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
