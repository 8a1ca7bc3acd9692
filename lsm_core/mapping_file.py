"""The mapping file: what a person knows to be the same in two areas.

factors:
  slope: slope_deg                                # the source's name: the target's
  elevation: {from: elev_ft, times: 0.3048}       # target value x times + plus, in source units
  lithology: {from: rock, codes: {1: 4, 2: 1, 9: missing}}     # target's code: the source's
  land_use: {codes: same}                         # the codes mean the same in both
  soil: {codes: names}                            # go by the names, whatever their codes
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lsm_core.errors import RecipeError
from lsm_core.plain_yaml import read_yaml

GAP = "FILL_IN"  # of a draft: what only a person knows


class FactorMapping(BaseModel):
    """Where the target has one of the source's factors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    name: str | None = Field(None, alias="from")
    times: float | None = None
    plus: float = 0.0
    codes: dict[int, int | Literal["missing"]] | Literal["same", "names"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"from": value} if isinstance(value, str) else value


class MappingFile(BaseModel):
    """A mapping file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    factors: dict[str, FactorMapping] = Field(min_length=1)


def load_mapping(path: Path | str) -> dict[str, FactorMapping]:
    """Read a mapping file (see above).

    Raises
    ------
    RecipeError : no such file, no YAML, or a key that is not known.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(f"no mapping file at {path}: give the path of a YAML file")
    try:
        return dict(MappingFile.model_validate(read_yaml(path, RecipeError)).factors)
    except ValidationError as error:
        first = error.errors()[0]
        if first.get("input") == GAP:
            raise RecipeError(f"{path}: {_gap(first['loc'])}") from error
        where = ".".join(str(part) for part in first["loc"])
        raise RecipeError(
            f"{path}: {where}: {first['msg']}; a mapping is `factors: {{slope: slope_deg}}` or "
            "{from:, times:, plus:, codes:}"
        ) from error


def _gap(where: tuple[int | str, ...]) -> str:
    """What a person has still to say, by the place of the first gap in the file."""
    factor, key = where[1:3]
    if key != "codes":
        return f"{GAP} stands at {factor}, {key}: fill in a number"
    code = next(part for part in where if isinstance(part, int))
    return (
        f"{GAP} stands at {factor}, code {code} of the target: fill in the code of the source "
        "that is the same thing, or `missing`"
    )
