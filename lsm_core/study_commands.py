"""`lsm study`: a recipe, its variants and their seeds, run where not done yet, and in tables."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lsm_core.errors import RecipeError, RunError


def study(
    recipe: Annotated[str, typer.Argument(help="A recipe with variants: a file, or its name.")],
    area: Annotated[str | None, typer.Option(help="Study area to run on.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each, from the recipe's up.")] = 5,
    only: Annotated[
        list[str] | None, typer.Option(help="A variant, as often as needed; all by default.")
    ] = None,
    maps: Annotated[
        str, typer.Option(help="Which seeds map the area: `first`, `all` or `none`.")
    ] = "first",
    into: Annotated[Path | None, typer.Option(help="Folder for runs; the workspace's.")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder for tables and figures.")] = None,
    run: Annotated[bool, typer.Option("--run/--no-run", help="Or only tell what is done.")] = True,
    draws: Annotated[int, typer.Option(min=0, help="Bootstrap samples; 0: no intervals.")] = 300,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, in every variant.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")] = False,
) -> None:
    """Run a recipe and its variants with several seeds, and print the tables of a paper.

    What is finished is not run again, so a study that was stopped goes on where it was.
    """
    import numpy as np

    from lsm_core import at_hand, comparison_report, studies, study_report
    from lsm_core.foreground import quiet_networks, work
    from lsm_core.runs import runs_folder

    if maps not in at_hand.MAPS:
        raise RecipeError(f"--maps takes {', '.join(at_hand.MAPS)}, got {maps!r}")
    quiet_networks()
    folder = into or runs_folder()
    made = at_hand.recipes_of(recipe, area, changes or [], only or [])
    made = {n: at_hand.with_detection(one, folder, run, as_json) for n, one in made.items()}
    if run:
        tell = at_hand.silent if as_json else typer.echo
        carry = partial(work, as_json=as_json)
        at_hand.run_missing(made, seeds, maps, folder, tell=tell, carry=carry)
    found = at_hand.finished(made, seeds, folder)
    tables = studies.tables(found, draws=draws, rng=np.random.default_rng(1))
    words = study_report.study_in_words(found, tables, draws)
    text = {name: comparison_report.records(table) for name, table in tables.items()}
    if to:
        study_report.write_study(to, found, tables, words)
    typer.echo(json.dumps(text, indent=1) if as_json else words)
    missing = {name: seeds - len(found.runs.get(name, [])) for name in made}
    if run and any(missing.values()):
        words = ", ".join(f"{n} of {name}" for name, n in missing.items() if n)
        raise RunError(f"not all of the study is done, runs missing: {words}")
