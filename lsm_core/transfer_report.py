"""What the paper on landslides in mining areas prints of its transferred models.

Landslides and share of the area by class (its Table 5); and of the places each model learnt from,
a logistic regression on each factor alone, tolerance and variance inflation (its section 5.1).

Source: Front. Earth Sci. 2023, 11, 1105985.
"""

from collections.abc import Sequence

import pandas as pd

from lsm_core.association import vif
from lsm_core.encoder import Encoder
from lsm_core.errors import RunError
from lsm_core.factor_tables import cyclic_of, factor_table
from lsm_core.labelling import UNLABELLED
from lsm_core.logistic import univariate_logistic
from lsm_core.runs import Run, open_run
from lsm_core.study_area import open_area
from lsm_core.zoning import level_names

COUNTS = ("landslides", "share_of_cells", "share_of_landslides", "density")


def zone_table(runs: Sequence[Run], where: str = "whole map") -> pd.DataFrame:
    """Landslides and share of the area by class, of each run's own zones: one row a run and class.

    Columns `run`, `how`, `zone` (its name), `landslides`, `share_of_cells`, `share_of_landslides`,
    `density` (landslides a cell, or unit). `where` is "whole map" or "test blocks"; of the whole
    map the landslides learnt from count too, as in the paper.

    Raises
    ------
    RunError : no run, or one without zones (run with `map: false`).
    """
    if not runs:
        raise RunError("no run to make a table of: name at least one")
    made = []
    for run in runs:
        if run.metrics.get("zoning") is None:
            raise RunError(f"{run.id} made no map: run it without map=false")
        table = run.density_table
        own = table[(table["breaks"] == run.metrics["zoning"]) & (table["where"] == where)]
        if own.empty:
            raise RunError(f"{run.id} has no zones of {where}")
        names = level_names(len(own))
        rows = own[list(COUNTS)].assign(zone=list(names), how=_how(run), run=run.id)
        made.append(rows[["run", "how", "zone", *COUNTS]])
    return pd.concat(made, ignore_index=True)


def training_table(run: Run) -> pd.DataFrame:
    """Each factor at the places a model learnt from: VIF, tolerance, p of a regression on it alone.

    Of a carried model these are the source's training places, and those of its own area that had a
    label; of fine-tuning the latter alone, as the source's are not seen again.

    Returns
    -------
    One row a factor: `vif`, `tolerance`, `odds_ratio`, `p_value`; `places` in `frame.attrs`.
    """
    names = [factor.name for factor in Encoder.from_json(run.encoder).factors]
    parts = [_places(run, names)]
    transfer = run.recipe.transfer
    if transfer is not None and transfer.how in ("direct", "self", "pooled"):
        parts.insert(0, _places(open_run(str(transfer.source)), names))
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    for name in table.columns[:-1]:
        if table[name].dtype == object:  # two areas' categories, put together
            table[name] = table[name].astype("category")
    label = table.pop("label").to_numpy()
    ds = open_area(run.area_path)
    cyclic = [name for name in cyclic_of(ds) if name in names]
    found = vif(table, cyclic=cyclic).table[["vif", "tolerance"]]
    alone = univariate_logistic(table, label, cyclic=cyclic)[["odds_ratio", "p_value"]]
    made = found.join(alone)
    made.attrs["places"] = len(table)
    return made


def in_words(runs: Sequence[Run], zones: pd.DataFrame | None) -> str:
    """Both tables, as the command line prints them."""
    lines = []
    if zones is not None:
        counts = zones.pivot(index=["run", "how"], columns="zone", values="landslides")
        shares = zones.pivot(index=["run", "how"], columns="zone", values="share_of_cells")
        order = list(dict.fromkeys(zones["zone"]))
        lines += ["landslides by class", counts[order].to_string(), ""]
        lines += ["share of the area", shares[order].to_string(float_format="{:.1%}".format), ""]
    for run in runs:
        table = training_table(run)
        lines += [f"{run.id}: factors at its {table.attrs['places']:,} training places"]
        lines += [table.to_string(float_format="{:.3g}".format), ""]
    return "\n".join(lines)


def _how(run: Run) -> str:
    return "its own" if run.recipe.transfer is None else run.recipe.transfer.how


def _places(run: Run, names: list[str]) -> pd.DataFrame:
    """Factors and label of a run's training places with a label."""
    samples = run.samples
    own = samples[(samples["split"] == "train") & (samples["label"] >= 0)]
    own = own[own["origin"] != UNLABELLED]
    if own.empty:
        return pd.DataFrame()
    return factor_table(open_area(run.area_path), own, names).assign(label=own["label"])
