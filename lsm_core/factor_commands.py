"""`lsm factors`: what a study area's factors are worth, and which ones the rules keep."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import xarray as xr


def factors(
    area: Annotated[str, typer.Argument(help="A built study area (see `lsm prepare`).")],
    against: Annotated[
        str | None, typer.Option(help="Another built area, to hold the factors against.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="File that says which factors and codes are the same.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="A folder to write the tables to, CSV.")] = None,
    bivariate: Annotated[
        str | None, typer.Option(help="A factor: print the table of its classes alone.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="rule=value, such as pearson=0.8 or vif=4.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only what needs no forest, and so without a choice.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the places drawn and of the forest.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")] = False,
) -> None:
    """Correlation, inflation, importance, regression, information, divergence; and the choice."""
    import numpy as np

    from lsm_core import factor_report
    from lsm_core.recipe import make_recipe
    from lsm_core.runs import write_table
    from lsm_core.study_area import area_path, open_area

    ds = open_area(area_path(area))
    if bivariate is not None:
        _print_classes(ds, bivariate, to, as_json)
        return
    rules = [f"selection.{change}" for change in changes or []]
    if against is not None:
        rules.append(f"selection.against={against}")
    if mapping is not None:
        rules.append(f"selection.mapping={mapping}")
    base = {"name": "factors", "model": {"name": "random_forest"}, "selection": {}}
    chosen = make_recipe(base, rules, where="--set").selection
    if quick:
        found = factor_report.first_look(ds, np.random.default_rng(seed), chosen)
        words = "\n".join(f"{name}: {words}" for name, words in found["so_far"].items())
        typer.echo(json.dumps(found, indent=1) if as_json else words)
        return
    other = open_area(area_path(against)) if against else None
    report = factor_report.examine(ds, np.random.default_rng(seed), rules=chosen, other=other)
    if to:
        to.mkdir(parents=True, exist_ok=True)
        for name, table in factor_report.with_names(report).items():
            write_table(to / f"{name}.csv", table)
    typer.echo(
        json.dumps(factor_report.to_json(report), indent=1)
        if as_json
        else factor_report.in_words(report)
    )


def _print_classes(ds: "xr.Dataset", name: str, to: Path | None, as_json: bool) -> None:
    """Frequency ratio, information value, certainty factor and weights of evidence by class."""
    from lsm_core.bivariate import factor_classes
    from lsm_core.runs import write_table
    from lsm_core.study_area import is_units

    table = factor_classes(ds, name, fit_on=None)
    if to:
        to.mkdir(parents=True, exist_ok=True)
        write_table(to / f"classes_{name}.csv", table)
    if as_json:
        typer.echo(table.to_json(orient="records", indent=1))
        return
    counted = "units" if is_units(ds) else "cells"
    typer.echo(f"{name}, counted on {table.attrs['counted'].replace('cells', counted)}")
    shown = table.drop(columns="factor").rename(columns={"cells": counted})
    typer.echo(shown.to_string(index=False, float_format="{:.4g}".format, na_rep=""))
