"""What several test files share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tally import pytest_terminal_summary as pytest_terminal_summary
from tally import tally as tally


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; a test that needs it is skipped, with the reason, without it."""
    root = Path(os.environ.get("LSM_DATA", "../shared/data"))
    if not root.is_dir():
        pytest.skip(f"no real data: {root} is not a folder (set LSM_DATA)")
    return root.resolve()


@pytest.fixture(autouse=True)
def no_choice_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The `--verbose` of a command is told to what it starts by the environment: not to tests."""
    monkeypatch.setenv("LSM_VERBOSE", "0")
    monkeypatch.setenv("LSM_LOG_FORMAT", "words")


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


@pytest.fixture
def workspace(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace that a test file has `made` once for all of its tests."""
    monkeypatch.setenv("LSM_WORKSPACE", str(made))
    return made


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's folder of data: catalogues find what lies beside them."""
    monkeypatch.delenv("LSM_DATA", raising=False)


@pytest.fixture
def country(tmp_path: Path) -> Any:
    """A country that no program has seen, in a folder of its own."""
    from country import Country

    return Country(tmp_path)


@pytest.fixture(scope="session")
def jacksboro() -> Any:
    """Real terrain, 344 x 403 whole metres, laid on 30 m cells; nobody may write into it."""
    from relief import real_terrain

    return real_terrain()


@pytest.fixture
def holed(jacksboro: Any) -> Any:
    """With a hole, a lone missing cell, and one beside the edge."""
    dem = jacksboro[:80, :90].copy()
    dem[30:33, 40:44] = dem[60, 7] = dem[1, 50] = float("nan")
    return dem


@pytest.fixture
def planted(tmp_path: Path) -> Callable[..., Any]:
    """A made-up run, ready to be explained: `slope` and the rock `shale` make landslides.

    `noise` and `aspect` have no say. `planted(form, model)` gives an `effects.Subject`; the model
    is one that scores, or a function from what is seen of training places and labels to one.
    """
    return lambda form, model, size=5: _planted(tmp_path, form, model, size)


def _planted(path: Path, form: str, model: Any, size: int) -> Any:
    import numpy as np
    import pandas as pd
    import rioxarray  # noqa: F401
    import xarray as xr

    from lsm_core.effects import Subject
    from lsm_core.encoding import fit_encoder
    from lsm_core.recipe import Input, make_recipe

    rng = np.random.default_rng(5)
    side = 60
    slope, noise = (rng.normal(20, 6, (side, side)).astype("float32") for _ in range(2))
    rock = rng.choice([1, 2, 7], (side, side)).astype("int16")
    aspect = rng.uniform(0, 360, (side, side)).astype("float32")
    chance = 1 / (1 + np.exp(-(0.5 * (slope - 20) + 3 * (rock == 2) - 1)))
    legend = {"flag_values": [1, 2, 7], "flag_meanings": "sand shale lime", "nodata": -32768}
    layers = {
        "noise": (noise, {"kind": "continuous", "units": "m"}),
        "slope": (slope, {"kind": "continuous", "units": "degrees"}),
        "rock": (rock, {"kind": "categorical", "units": "1"} | legend),
        "aspect": (aspect, {"kind": "cyclic", "units": "degrees"}),
        "landslide": ((rng.random((side, side)) < chance).astype("uint8"), {}),
        "valid": (rng.random((side, side)) > 0.05, {}),
    }
    coords = {"y": 30.0 * np.arange(side)[::-1], "x": 30.0 * np.arange(side)}
    ds = xr.Dataset({n: (("y", "x"), v, a) for n, (v, a) in layers.items()}, coords)
    ds = ds.rio.write_crs("EPSG:32643")
    rows, cols = np.nonzero(ds["valid"].to_numpy())
    some = rng.permutation(len(rows))[:1200]
    samples = pd.DataFrame({"row": rows[some], "col": cols[some]})
    samples["label"] = ds["landslide"].to_numpy()[samples["row"], samples["col"]].astype(int)
    samples["block"] = samples["row"] // 6 * 10 + samples["col"] // 6
    samples["split"] = np.where(
        samples["col"] < 30, "train", np.where(samples["col"] < 42, "validation", "test")
    )
    train = samples[samples["split"] == "train"]
    encoder = fit_encoder(ds, Input(form=form, size=size, quantiles=4), fit_on=train)  # type: ignore[arg-type]
    recipe = make_recipe({"name": "planted", "model": {"name": "random_forest"}})
    run = SimpleNamespace(
        id="planted", path=path, samples=samples, recipe=recipe, calibrator=np.asarray
    )
    subject = Subject(run, None, encoder, ds)  # type: ignore[arg-type]
    if not (hasattr(model, "predict_proba") or hasattr(model, "predict_on_batch")):
        model = model(subject.seen(train["row"], train["col"]), train["label"].to_numpy())
    subject.model = model
    scored = subject.score(subject.seen(samples["row"], samples["col"]))
    run.scores = samples.assign(score=scored)
    return subject


@pytest.fixture(scope="module")
def areas(tmp_path_factory):
    """A workspace with two regions of units between which models are carried."""
    from regions import save_regions

    folder = tmp_path_factory.mktemp("transfer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSM_WORKSPACE", str(folder))
        save_regions()
        yield folder
