"""The recipe of a forest on the sample area, for several test files."""

from typing import Any


def forest(**options: Any) -> dict[str, Any]:
    """Settings for `make_recipe`: blocks of 6 km, and a forest with these options."""
    return {
        "name": "forest",
        "model": {"name": "random_forest", "options": options},
        "split": {"block": 6000.0},
        "area": "sample",
    }
