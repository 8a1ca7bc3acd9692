"""What several test files share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; a test that needs it is skipped, with the reason, without it."""
    root = Path(os.environ.get("LSM_DATA", "../shared/data"))
    if not root.is_dir():
        pytest.skip(f"no real data: {root} is not a folder (set LSM_DATA)")
    return root.resolve()


@pytest.fixture(scope="session")
def sample_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace that holds the sample area, coarse and quick, as `sample`."""
    from lsm_core import sample_area, study_area

    folder = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSM_WORKSPACE", str(folder))
        sample = sample_area.build(resolution=180.0)
        study_area.save_area(
            sample.ds, study_area.area_path(sample_area.NAME), inventory=sample.inventory
        )
        yield folder
