"""The recipe of a run that is carried to another area."""

from typing import Any

from lsm_core.recipe import Recipe, changes_of, make_recipe
from lsm_core.runs import Run


def carried(source: Run, area: str, how: str, given: dict[str, Any], changes: list[str]) -> Recipe:
    """The recipe of a transferred run: the source's own, on another area.

    `given` : more of the section `transfer`; None is left out. The source's labels, if it had a
    number of them, and its choice of factors are its own.
    """
    plain = source.recipe.model_dump(mode="json", exclude={"transfer", "selection"})
    plain["name"] = f"{source.recipe.name}_{how}"
    plain["title"] = f"{source.recipe.title or source.recipe.name}, {how}"
    settings = {key: value for key, value in given.items() if value is not None}
    settings |= {"how": how, "source": str(source.path)}
    return make_recipe(plain, [f"area={area}", *changes_of({"transfer": settings}), *changes])
