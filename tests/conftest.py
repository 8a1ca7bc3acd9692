"""What several test files share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped, with the reason, where it is missing."""
    root = Path(os.environ.get("LSM_DATA", "../shared/data"))
    if not root.is_dir():
        pytest.skip(f"no real data: {root} is not a folder (set LSM_DATA)")
    return root.resolve()
