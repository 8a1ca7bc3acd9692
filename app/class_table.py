"""The table of susceptibility classes, as the papers print it."""

from typing import Any

import pandas as pd


def class_table(table: pd.DataFrame, counted: str = "cells") -> Any:
    """One row a class and run, lowest class first: limits, cells, landslides, shares, density.

    `table` has the columns `class`, `zone` (its number), `run`, `from`, `to`, `cells`,
    `share_of_cells`, `landslides`, `share_of_landslides` and `density` (landslides a cell or unit).
    `counted` is what is counted: cells or units.
    """
    table = table.sort_values("zone", kind="stable", ignore_index=True)
    density = f"landslides per 1,000 {counted}"
    shown = pd.DataFrame(
        {
            "class": table["class"],
            "run": table["run"],
            "from": table["from"],
            "to": table["to"],
            counted: table["cells"],
            f"{counted} (%)": 100 * table["share_of_cells"],
            "landslides": table["landslides"],
            "landslides (%)": 100 * table["share_of_landslides"],
            density: 1000 * table["density"],
        }
    )
    return (
        shown.style.hide(axis="index")
        .format("{:,.2f}", subset=["from", "to", density], na_rep="none")
        .format("{:.1f}", subset=[f"{counted} (%)", "landslides (%)"], na_rep="none")
        .format("{:,.0f}", subset=[counted, "landslides"])
        .format(escape="html", subset=["run"])
    )
