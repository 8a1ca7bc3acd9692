"""Factors of two areas, matched by name and by meaning; nothing is joined in silence.

A model carried to another area reads its factors there. One of the same name may be in other units,
of another kind, or number its categories otherwise, and then the model reads nonsense without a
complaint. Here such clashes are found. What a person knows to be the same is said in a
`mapping_file`, by which `as_source` gives the area in the terms of the source.
"""

import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from lsm_core.errors import AreaError, RecipeError
from lsm_core.grid import INTEGER_NODATA, grid_of
from lsm_core.mapping_file import FactorMapping as FactorMapping
from lsm_core.mapping_file import load_mapping as load_mapping
from lsm_core.study_area import categories, factors, flags, is_units

UNNAMED = re.compile(r"(class|code|category|value)?[ _-]*\d+$", re.IGNORECASE)
FAR, MOST = 4.0, 0.5  # deviations from the source's mean; share of the target beyond that is said
COARSER = 1.5  # times the cell size from which terrain is not the same


@dataclass(frozen=True)
class Known:
    """What the source knows of a factor."""

    name: str
    kind: str
    units: str
    legend: dict[int, str] = field(default_factory=dict)
    mean: float = 0.0
    std: float | None = None


@dataclass(frozen=True)
class Match:
    """What came of it: pairs of names (source's, target's), and what stands against it."""

    pairs: dict[str, str]
    clashes: dict[str, str]  # factor to why it is not the same
    missing: dict[str, str]  # factors of the source that the target lacks
    unused: tuple[str, ...]  # factors of the target that the source does not know
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not (self.clashes or self.missing)


def known_of(ds: xr.Dataset, names: Any = None) -> dict[str, Known]:
    """What an area knows of its factors, all of them by default."""
    return {
        name: Known(
            name,
            str(ds[name].attrs["kind"]),
            str(ds[name].attrs.get("units", "")),
            categories(ds[name]) if ds[name].attrs["kind"] == "categorical" else {},
        )
        for name in (factors(ds) if names is None else names)
    }


def known_of_encoder(encoder: Any) -> dict[str, Known]:
    """What a trained model's encoder knows of its factors."""
    return {
        f.name: Known(
            f.name,
            f.kind,
            f.units,
            dict(zip(f.codes, f.names, strict=True)),
            f.mean,
            f.std if f.kind == "continuous" else None,
        )
        for f in encoder.factors
    }


# ------------------------------------------------------------------------------------ matching


def match(
    source: Mapping[str, Known],
    target: xr.Dataset,
    mapping: Mapping[str, FactorMapping] | None = None,
    *,
    same_origin: bool = False,
) -> Match:
    """Hold the source's factors against an area's, by name, kind, units and categories.

    Parameters
    ----------
    source : of `known_of` or `known_of_encoder`.
    target : study area, of a grid or of units. Labels are not looked at.
    mapping : of `mapping_file.load_mapping`; factors it does not name go by their own.
    same_origin : both were made from one file, so that codes without a name mean the same.

    A category clashes where one code has two names, one name has two codes, a code is in the target
    that the source has never seen, or where codes have no names at all (tables say `class 3`) and
    the areas are of different files: that a number is the same says nothing about the rock.

    Raises
    ------
    RecipeError : the mapping names a factor that the source, or the target, does not have.
    """
    mapping = dict(mapping or {})
    have = factors(target)
    _check_names(mapping, source, have)
    pairs, clashes, missing, notes = {}, {}, {}, []
    for name, known in source.items():
        said = mapping.get(name, FactorMapping())
        there = said.name or name
        if there not in have:
            missing[name] = _near(name, have, source)
            continue
        why = _clash(known, target[there], said, same_origin)
        if why:
            clashes[name] = why
            continue
        pairs[name] = there
        notes += _note(known, target, there, said, same_origin)
    unused = tuple(n for n in have if n not in pairs.values() and n not in clashes)
    return Match(pairs, clashes, missing, unused, tuple(notes))


def shared_origin(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two areas (their `fingerprints`) were made from a file with the same content."""
    return bool({v for v in one.values() if v} & {v for v in other.values() if v})


def fingerprints_of(ds: xr.Dataset) -> dict[str, str]:
    """Source name to SHA-256 of the files an area was made from."""
    return dict(json.loads(ds.attrs.get("fingerprints", "{}")))


def in_words(found: Match, source: str, target: str) -> str:
    """What matches, what does not and why, one line each."""
    lines = [f"{source} to {target}: {len(found.pairs)} factors match"]
    lines += [f"  {a}" if a == b else f"  {a} is {b} there" for a, b in found.pairs.items()]
    lines += [f"CLASH {name}: {why}" for name, why in found.clashes.items()]
    lines += [f"MISSING in {target}: {name}{why}" for name, why in found.missing.items()]
    if found.unused:
        lines.append(f"only in {target}, not used: {', '.join(found.unused)}")
    return "\n".join(lines + [f"MIND: {note}" for note in found.notes])


def refuse(found: Match, source: str, target: str, *, listed: bool = False) -> None:
    """AreaError where anything clashes or is missing, with all of it (unless listed already)."""
    if found.whole:
        return
    said = [f"{name}: {why}" for name, why in found.clashes.items()]
    said += [f"{name} is missing{why}" for name, why in found.missing.items()]
    what = f"factors that do not match: {len(said)}" if listed else "; ".join(said)
    raise AreaError(
        f"{source} cannot be carried to {target}: {what}. Say in a mapping file what is the same "
        f"(--mapping FILE; `lsm transfer match {source} {target} --draft FILE` begins one), "
        "prepare both areas alike, or train the source without these factors (input.factors)"
    )


# ------------------------------------------------------------------------------------- mapping


def as_source(
    target: xr.Dataset, source: Mapping[str, Known], mapping: Mapping[str, FactorMapping]
) -> xr.Dataset:
    """An area in the terms of the source: its names, units and codes, its factors in their order.

    Factors that were not matched are left out. A code that the mapping calls missing, or a value
    that is missing, is missing. Refuse first: what does not match is not checked here.
    """
    found: dict[str, xr.DataArray] = {}
    for name, known in source.items():
        said = mapping.get(name, FactorMapping())
        da = target[said.name or name]
        if known.kind == "categorical":
            found[name] = _recoded(da, known, said)
        elif said.times is not None or said.plus:
            values = da * np.float32(said.times or 1) + np.float32(said.plus)
            found[name] = values.astype("float32").assign_attrs(da.attrs)
        else:
            found[name] = da
        found[name] = found[name].assign_attrs(units=known.units)
    rest = target.drop_vars(factors(target))
    made = rest.assign({name: da.rename(name) for name, da in found.items()})
    return made[[*found, *rest.data_vars]].assign_attrs(target.attrs)


def stamp(source: Mapping[str, Known], mapping: Mapping[str, FactorMapping], made_of: Any) -> str:
    """A fingerprint of what a mapped area depends on."""
    text = json.dumps(
        [
            {n: [k.kind, k.units, sorted(k.legend.items())] for n, k in source.items()},
            {n: m.model_dump(mode="json") for n, m in mapping.items()},
            made_of,
        ],
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# -------------------------------------------------------------------------------------- behind


def _check_names(
    mapping: Mapping[str, FactorMapping], source: Mapping[str, Known], have: list[str]
) -> None:
    for name, said in mapping.items():
        if name not in source:
            raise RecipeError(
                f"the mapping names {name!r}, no factor of the source{_near(name, source)}"
            )
        if said.name is not None and said.name not in have:
            raise RecipeError(
                f"the mapping takes {name} from {said.name!r}, which the area lacks"
                f"{_near(said.name, have)}"
            )
    taken = [said.name or name for name, said in mapping.items()]
    twice = sorted({name for name in taken if taken.count(name) > 1})
    if twice:
        raise RecipeError(f"the mapping takes two factors from {twice[0]!r}: one each")


def near_names(name: str, have: Iterable[str], beside: Iterable[str] = ()) -> list[str]:
    """Up to two names that look like one, the most alike first.

    An ending that half of the names or more share says nothing, be it of those there (`have`) or of
    those that stand beside the name.

    >>> near_names("relief_upper07", ["slope_19b", "relief_19b"], ["slope_upper07"])
    ['relief_19b']
    """
    asked = _bare({name, *beside})[name]
    real = {bare: n for n, bare in _bare(have).items()}
    return [real[n] for n in difflib.get_close_matches(asked, real, n=2, cutoff=0.6)]


def _bare(names: Iterable[str]) -> dict[str, str]:
    """Names in lower case, without a last word that half of them, and two at least, share.

    `slope_mean` and `slope_std` stay as they are: without it they would be one.
    """
    split = {n: re.fullmatch(r"(.+?)([_ .-][^_ .-]+)?", n.lower()) for n in names}
    ends = Counter(found[2] for found in split.values() if found and found[2])
    often = {end for end, count in ends.items() if count >= max(2, len(split) / 2)}
    bare = {n: m[1] if m and m[2] in often else n.lower() for n, m in split.items()}
    return bare if len(set(bare.values())) == len(bare) else {n: n.lower() for n in bare}


def _near(name: str, have: Iterable[str], beside: Iterable[str] = ()) -> str:
    real = near_names(name, have, beside)
    return f" (it has {' and '.join(real)}: the same? then map it)" if real else ""


def _clash(known: Known, da: xr.DataArray, said: FactorMapping, same_origin: bool) -> str | None:
    kind, units = str(da.attrs["kind"]), str(da.attrs.get("units", ""))
    if kind != known.kind:
        return f"kind is {known.kind!r} in the source, {kind!r} in the target"
    if kind == "categorical":
        if said.times is not None or said.plus:
            return "categories cannot be multiplied: map its `codes`"
        return _legend_clash(known, da, said, same_origin)
    if said.codes is not None:
        return f"{kind} factors have no codes to map"
    if units != known.units and said.times is None:
        return (
            f"units are {known.units!r} in the source, {units!r} in the target; `times:` converts"
        )
    return None


def _legend_clash(
    known: Known, da: xr.DataArray, said: FactorMapping, same_origin: bool
) -> str | None:
    here, there = known.legend, categories(da)
    present = codes_in(da)
    if isinstance(said.codes, dict):
        return _mapped_clash(here, said.codes, present)
    if said.codes == "names":
        lost = [there.get(c, str(c)) for c in present if not _by_name(there.get(c, ""), here)]
        unnamed = [n for n in (*here.values(), *there.values()) if UNNAMED.fullmatch(n)]
        if unnamed:
            return f"`codes: names` needs names, but one is called {unnamed[0]!r}"
        return f"the source has no {', '.join(lost)}: map their codes" if lost else None
    strange = [c for c in present if c not in here]
    if strange:
        listed = ", ".join(f"{c} ({there.get(c, 'no name')})" for c in strange)
        return f"the source has never seen code {listed}; it knows {_listed(here)}"
    if said.codes == "same":
        return None
    for code, name in there.items():
        if code in here and here[code] != name:
            return f"code {code} is {here[code]!r} in the source, {name!r} in the target"
    for code, name in there.items():
        other = _by_name(name, here)
        if other and code not in other:
            return f"{name!r} is code {other[0]} in the source, {code} in the target"
    unnamed = [n for c, n in there.items() if c in present and UNNAMED.fullmatch(n)]
    if unnamed and not same_origin:
        return (
            f"codes have no names ({', '.join(unnamed)}), and the areas are of different files: "
            "the same number may be another thing. Name them in both area files (`categories`), or "
            "map them (`codes: same`, or code by code)"
        )
    return None


def _mapped_clash(
    here: Mapping[int, str], codes: Mapping[int, int | str], present: list[int]
) -> str | None:
    unmapped = [c for c in present if c not in codes]
    if unmapped:
        return f"the mapping says nothing of the target's code {', '.join(map(str, unmapped))}"
    unknown = [c for c in codes.values() if c != "missing" and c not in here]
    if unknown:
        return f"the mapping leads to code {unknown[0]}, but the source knows {_listed(here)}"
    return None


def _by_name(name: str, legend: Mapping[int, str]) -> list[int]:
    return [code for code, n in legend.items() if plain_name(n) == plain_name(name)]


def plain_name(name: str) -> str:
    """A category's name without what two legends write differently."""
    return " ".join(name.replace("_", " ").lower().split())


def _listed(legend: Mapping[int, str]) -> str:
    return ", ".join(f"{code} ({name})" for code, name in legend.items())


def codes_in(da: xr.DataArray) -> list[int]:
    """Codes of a categorical factor that are there, nodata left out."""
    found = np.unique(da.to_numpy())
    return [int(c) for c in found if c != da.attrs.get("nodata")]


def _recoded(da: xr.DataArray, known: Known, said: FactorMapping) -> xr.DataArray:
    nodata = da.attrs.get("nodata", INTEGER_NODATA)
    codes: dict[int, int | str] = {c: c for c in codes_in(da)}
    if isinstance(said.codes, dict):
        codes = dict(said.codes)
    elif said.codes == "names":
        there = categories(da)
        codes = {c: _by_name(there[c], known.legend)[0] for c in codes}
    values = da.to_numpy()
    made = np.full(values.shape, nodata, dtype="int16")
    for old, new in codes.items():
        made[values == old] = nodata if new == "missing" else new
    attrs = da.attrs | {"nodata": nodata} | flags(known.legend)
    return xr.DataArray(made, da.coords, da.dims, attrs=attrs)


def _note(
    known: Known, target: xr.Dataset, there: str, said: FactorMapping, same_origin: bool
) -> list[str]:
    if known.kind == "categorical" or same_origin:
        return []
    notes = []
    if known.units in ("", "1"):
        notes.append(f"{known.name} states no units in either area: make sure they are the same")
    if known.std:
        values = target[there].to_numpy().astype(float) * (said.times or 1) + said.plus
        values = values[np.isfinite(values)]
        beyond = np.abs(values - known.mean) > FAR * known.std
        if values.size and beyond.mean() > MOST:
            notes.append(
                f"{beyond.mean():.0%} of {there} lie over {FAR:g} deviations from the mean of the "
                f"source, {known.mean:.4g}: are these the same units?"
            )
    return notes


def cell_size_note(source: xr.Dataset, target: xr.Dataset) -> list[str]:
    """A line where one grid is so much coarser that its slopes and windows are not the same."""
    if is_units(source) or is_units(target):
        return []
    here, there = (grid_of(ds).cell_size for ds in (source, target))
    if max(here, there) / min(here, there) <= COARSER:
        return []
    return [
        f"cells of {here:.4g} m in the source, {there:.4g} m in the target: slopes and curvatures "
        "of finer cells are steeper, and a window covers other ground"
    ]
