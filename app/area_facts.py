"""What is to be said of a built area: checks in words, what was left out and why, its sources."""

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui
import xarray as xr
import yaml

from lsm_app.layout import heading, note
from lsm_app.session import html_table, remember
from lsm_core import area_report
from lsm_core.own_sources import entries

MISSING = (
    "Missing counts valid cells without a value: networks and forests get the median of training "
    "cells there, classes none; a cell without aspect is flat."
)
NONE_OUT = "Nothing was left out and nothing had to be put right."
SHA = (
    "SHA-256 is the fingerprint of a file's bytes: who has the same file has the same number. A "
    "licence is as the catalogue states it."
)


def facts(path: Path, ds: xr.Dataset) -> pn.Column:
    """Tables of one area, of its folder and its opened Dataset."""
    key = ("factor rows", str(path.resolve()), (path / "area.zarr").stat().st_mtime_ns)
    rows = remember(key, lambda: area_report.factor_rows(ds), "facts", 24)
    counts = {"missing": "{:,}"}
    flags = [flag["words"] for flag in area_report.prepared(ds)["flags"]]
    warned = [
        pmui.Alert(object=escape(words), severity="warning", margin=(2, 10)) for words in flags
    ]
    return pn.Column(
        heading("Checks"),
        _table(area_report.checks(ds)),
        *warned,
        heading("Factors"),
        _table(rows, counts),
        note(MISSING),
        heading("Left out, or put right"),
        *_left_out(ds),
        heading("Sources"),
        _table(area_report.source_rows(ds, entries()).drop(columns="SHA-256 when built")),
        note(SHA),
        pn.pane.HTML(_details(ds), sizing_mode="stretch_width"),
        sizing_mode="stretch_width",
    )


def _left_out(ds: xr.Dataset) -> list[Any]:
    table = area_report.left_out(ds)
    if table.empty:
        return [pmui.Typography(NONE_OUT, variant="body2")]
    return [_table(table, {"n": "{:,}"})]


def _table(table: pd.DataFrame, formats: dict[str, str] | None = None) -> pn.pane.DataFrame:
    styled = table.style.hide(axis="index").format(escape="html")
    for name, form in (formats or {}).items():  # given together they would take the others' places
        styled = styled.format(form, subset=[name])
    style = [{"selector": "td, th", "props": "text-align: left"}]
    return html_table(styled.set_table_styles(style))


def _details(ds: xr.Dataset) -> str:
    """What was said while it was built, its area file and the fingerprints, folded."""
    about = area_report.prepared(ds)
    area = about["area_file"]
    text = yaml.safe_dump(area, sort_keys=False, allow_unicode=True, width=100) if area else ""
    prints = area_report.source_rows(ds, {})
    digests = "\n".join(
        f"{d}  {s}" for s, d in zip(prints["source"], prints.iloc[:, 4], strict=True)
    )
    parts = {
        "What was said while it was built": "\n".join(about["lines"]),
        "Its area file": text,
        "Fingerprints (SHA-256) of its sources": digests,
    }
    style = "font-size:12px;max-height:300px;overflow:auto;white-space:pre-wrap"
    return "".join(
        f'<details style="margin:4px 10px"><summary>{title}</summary>'
        f'<pre tabindex="0" style="{style}">{escape(words)}</pre></details>'
        for title, words in parts.items()
        if words
    )
