"""A first draft of a mapping file, for a person to check: what looks alike, and what is open.

Names that look alike are no proof, so nothing goes by a draft that nobody has read: what cannot be
known is left to be filled in, and a file with such a gap is refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import xarray as xr
import yaml

from lsm_core.mapping_file import GAP, FactorMapping
from lsm_core.matching import UNNAMED, Known, Match, codes_in, near_names, plain_name
from lsm_core.study_area import categories, factors

FOOT = 0.3048
TIMES = {("m", "ft"): FOOT, ("m", "feet"): FOOT, ("m", "km"): 1000.0, ("km", "m"): 0.001}
TIMES |= {("ft", "m"): 1 / FOOT, ("feet", "m"): 1 / FOOT, ("m", "cm"): 0.01, ("cm", "m"): 100.0}


def draft(
    source: Mapping[str, Known],
    target: xr.Dataset,
    found: Match,
    mapping: Mapping[str, FactorMapping] | None = None,
) -> str:
    """The text of a mapping file for what `found` (of `matching.match`) says does not match.

    A factor that the target lacks is taken from the one there whose name is most alike; units that
    are known are converted, categories of the same name paired. The rest says FILL_IN, or is a
    comment. What a `mapping` says already is kept.
    """
    mapping = mapping or {}
    lines = [
        "# A draft: check every line. Names that look alike are no proof.",
        f"# {GAP} must be filled in: a number for `times`, a code of the source or `missing`.",
        "factors:",
    ]
    taken = {*found.pairs.values(), *(own.name for own in mapping.values())}
    free = [name for name in factors(target) if name not in taken]
    for name, known in source.items():
        own = mapping.get(name, FactorMapping())
        if name in found.pairs:
            lines += [f"  {name}: {_kept(own)}"] if name in mapping else []
            continue
        there = own.name or (name if name in free else None)
        there = there or next(iter(near_names(name, free, source)), None)
        if there is None:
            lines.append(f"  # {name}: nothing there is called like it; {{from: one of these}}")
            lines.append(f"  #   {', '.join(free) or 'none is left'}")
            continue
        free = [other for other in free if other != there]
        said, why = _said(known, target[there], own)
        whole = ", ".join([f"from: {there}", *said])
        lines.append(f"  {name}: {{{whole}}}{why}")
    return "\n".join(lines) + "\n"


def _kept(own: FactorMapping) -> str:
    said = own.model_dump(by_alias=True, exclude_defaults=True)
    return str(yaml.safe_dump(said, default_flow_style=True, sort_keys=False, width=10**6)).strip()


def _said(known: Known, da: xr.DataArray, own: FactorMapping) -> tuple[list[str], str]:
    """Further keys of a factor, and a remark."""
    kind, units = str(da.attrs["kind"]), str(da.attrs.get("units", ""))
    if kind != known.kind:
        return [], f"  # it is {kind} there, {known.kind} in the source: no mapping helps"
    if kind == "categorical":
        sure = own.codes if isinstance(own.codes, dict) else {}
        return _codes(known.legend, categories(da), codes_in(da), sure)
    if units != known.units:
        times: Any = TIMES.get((known.units, units), GAP)
        return [f"times: {times}"], f"  # from {units or 'no units'} to {known.units or 'no units'}"
    return [], ""


def _codes(
    here: Mapping[int, str],
    there: Mapping[int, str],
    present: Iterable[int],
    sure: Mapping[int, int | str],
) -> tuple[list[str], str]:
    """Pairs of codes said to be the same, or of one name; such as `class 3` says nothing."""
    named = {plain_name(n): code for code, n in here.items() if not UNNAMED.fullmatch(n)}
    pairs = {c: sure.get(c, named.get(plain_name(there.get(c, "")), GAP)) for c in present}
    remark = ", ".join(f"{c} is {there.get(c, 'without a name')}" for c in pairs)
    known = ", ".join(f"{c} {n}" for c, n in here.items())
    listed = ", ".join(f"{c}: {code}" for c, code in pairs.items())
    return [f"codes: {{{listed}}}"], f"  # there {remark}; in the source {known}"
