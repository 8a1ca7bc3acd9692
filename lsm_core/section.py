"""What every section of a recipe is: fixed once read, no unknown key, no number beyond reason."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# More would be a slip of the hand, or somebody who wants the machine to stand still.
WIDEST, MOST_CLASSES, LAST_SEED = 1024, 1000, 2**32 - 1

Cells = Annotated[int, Field(ge=1, le=WIDEST)]


class Section(BaseModel):
    """A mapping of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
