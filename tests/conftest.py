"""What several test files share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; a test that needs it is skipped, with the reason, without it."""
    root = Path(os.environ.get("LSM_DATA", "../shared/data"))
    if not root.is_dir():
        pytest.skip(f"no real data: {root} is not a folder (set LSM_DATA)")
    return root.resolve()
