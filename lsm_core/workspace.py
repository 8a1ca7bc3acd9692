"""Where built areas and runs live."""

import os
from pathlib import Path


def workspace() -> Path:
    """Folder of built areas and runs: `LSM_WORKSPACE`, else `./workspace`."""
    return Path(os.environ.get("LSM_WORKSPACE", "workspace"))


def area_path(name: str) -> Path:
    """Where the built area of this name lies in the workspace."""
    return workspace() / "areas" / name


def own_catalog() -> Path:
    """The workspace's own data catalogue, of files somebody added; it need not be there."""
    return workspace() / "data_catalog.yaml"


def own_area_files() -> list[Path]:
    """Area files of the workspace: `areas/NAME.yaml`, beside the built area `areas/NAME`."""
    return sorted((workspace() / "areas").glob("*.yaml"))


def uploads_folder() -> Path:
    """Where uploaded files lie, each in a folder of its own under a name of its own."""
    return workspace() / "uploads"
