"""Where built areas and runs live."""

import os
from pathlib import Path


def workspace() -> Path:
    """Folder of built areas and runs: `LSM_WORKSPACE`, else `./workspace`."""
    return Path(os.environ.get("LSM_WORKSPACE", "workspace"))


def area_path(name: str) -> Path:
    """Where the built area of this name lies in the workspace."""
    return workspace() / "areas" / name
