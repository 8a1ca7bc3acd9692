"""Area folders and run folders that strangers made, opened and mapped with."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
from sound_folders import area, changed, run, sound_area, sound_run
from strangers import SIDE, Bomb, add, bomb, equal, refused, right

from lsm_core import study_area

# ------------------------------------------------------------------------------------ areas


def opened(path: Path):
    """Everything of an area is read."""

    def attempt():
        ds = study_area.open_area(path).load()
        study_area.factor_table(ds, [0], [0])
        study_area.inventory(path)
        return ds

    return attempt


@right
def a_sound_area_opens(place):
    attempt = opened(area(place))
    return lambda: equal(study_area.factors(attempt()), ["elevation", "rock"])


DAMAGE = {
    "is_missing": lambda path: path.unlink(),
    "is_empty": lambda path: path.write_bytes(b""),
    "is_cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "is_noise": lambda path: path.write_bytes(np.random.default_rng(1).bytes(300)),
    "is_a_list": lambda path: path.write_text("[1, 2]"),
    "is_a_number": lambda path: path.write_text("5"),
    "is_empty_braces": lambda path: path.write_text("{}"),
    "is_nested_deep": lambda path: path.write_text("[" * 100_000),
    "is_a_folder": lambda path: (path.unlink(), path.mkdir()),
}
DAILY = ("is_cut", "is_a_list")
SAID = (
    "no study area in|is not what its name says|cannot be read|was not written by this program|"
    "has no |no inventory in"
)
AREA_FILES = {
    "group": "area.zarr/zarr.json",
    "array": "area.zarr/elevation/zarr.json",
    "block": "area.zarr/elevation/c/0/0",
    "order": "variables.json",
    "inventory": "inventory.gpkg",
}

SOUND = (
    *(("block", "is_missing"), ("block", "is_a_folder")),  # it holds nodata then: see below
    ("order", "is_a_list"),  # of other names: the store's own order is taken
)


def damaged_area(place, file, damage):
    path = area(place)
    damage(path / file)
    return opened(path)


for _part, _file in AREA_FILES.items():
    for _what, _damage in DAMAGE.items():
        if (_part, _what) not in SOUND:
            _make = partial(damaged_area, file=_file, damage=_damage)
            add(f"an_area_whose_{_part}_{_what}", _make, SAID, torture=_what not in DAILY)


@right
def an_area_of_which_a_block_is_missing_has_nodata_there(place):
    path = area(place)
    (path / "area.zarr/elevation/c/0/0").unlink()
    attempt = opened(path)
    return lambda: equal(bool(np.isnan(attempt()["elevation"]).all()), True)


@refused("claims 1,000,000 x 1,000,000 values")
def an_area_that_claims_a_million_by_a_million(place):
    path = area(place)
    for name in ("elevation", "rock", "landslide", "landslide_id", "valid"):
        changed(path / "area.zarr" / name / "zarr.json", shape=[10**6, 10**6])
    for name in ("x", "y"):
        changed(path / "area.zarr" / name / "zarr.json", shape=[10**6])
    return opened(path)


@refused("of Zarr's older form")
def an_area_packed_by_what_runs_code(place):
    """Zarr's older form lets numcodecs unpickle: whatever the file holds is then run."""
    path = area(place)
    folder = path / "area.zarr" / "elevation"
    shutil.rmtree(folder)
    folder.mkdir()
    about = {
        "zarr_format": 2, "shape": [SIDE, SIDE], "chunks": [SIDE, SIDE], "dtype": "<f4",
        "order": "C", "fill_value": 0, "compressor": None, "filters": [{"id": "pickle"}],
    }  # fmt: skip
    (folder / ".zarray").write_text(json.dumps(about))
    (folder / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": ["y", "x"]}))
    (folder / "0.0").write_bytes(bomb(place))
    (path / "area.zarr/zarr.json").unlink()
    (path / "area.zarr/.zgroup").write_text('{"zarr_format": 2}')
    return opened(path)


@refused("is packed by numcodecs.pickle")
def an_array_packed_by_what_nobody_knows(place):
    path = area(place)
    changed(path / "area.zarr/elevation/zarr.json", codecs=[{"name": "numcodecs.pickle"}])
    return opened(path)


@refused("leads out of")
def an_area_of_which_a_block_lies_elsewhere(place):
    path = area(place)
    block = path / "area.zarr/elevation/c/0/0"
    shutil.move(block, place.beside / "block")
    block.symlink_to(place.beside / "block")
    return opened(path)


@refused("which is gone|no study area in|was not written by this program|leads out of")
def an_area_that_stands_on_another_users_folder(place):
    path = area(place)
    (path / "over.json").write_text(json.dumps(str(place.beside)))
    return opened(path)


@refused("stands on another")
def an_area_that_stands_on_itself(place):
    path = area(place)
    (path / "over.json").write_text(json.dumps(str(path)))
    return opened(path)


ARRAYS = {
    "a_factor_of_another_type": ("elevation", {"data_type": "uint8", "fill_value": 0}),
    "another_size_of_a_factor": ("elevation", {"shape": [SIDE, 5]}),
    "another_name_of_a_dimension": ("elevation", {"dimension_names": ["y", "z"]}),
    "a_factor_of_no_kind": ("elevation", {"attributes": {"kind": "odd", "units": "m"}}),
    "a_factor_without_units": ("elevation", {"attributes": {"kind": "continuous"}}),
    "a_legend_of_other_length": (
        "rock", {"attributes": {"kind": "categorical", "units": "1", "flag_values": [1],
                                "flag_meanings": "a b"}},
    ),
    "chunks_of_nothing": (
        "elevation", {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 0]}}},
    ),
    "sizes_below_nothing": ("elevation", {"shape": [-1, -1]}),
    "a_crs_that_is_none": ("spatial_ref", {"attributes": {"crs_wkt": "PROJCS[["}}),
}  # fmt: skip

OTHER = "elevation|rock|cannot be read|flag_|states no units|is of kind|CRS|coordinate reference"


def changed_array(place, name, changes):
    path = area(place)
    changed(path / "area.zarr" / name / "zarr.json", **changes)
    return opened(path)


for _what, (_name, _changes) in ARRAYS.items():
    _make = partial(changed_array, name=_name, changes=_changes)
    add(f"an_area_with_{_what}", _make, OTHER)


# ------------------------------------------------------------------------------------- runs


def used(path: Path):
    """Everything of a run is read, and a map is made by it."""

    def attempt():
        from lsm_core import prediction, runs

        found = runs.open_run(path)
        for name in (
            "recipe",
            "area_path",
            "metrics",
            "encoder",
            "samples",
            "scores",
            "calibrator",
        ):
            getattr(found, name)
        assert found.state == "done"
        return prediction.predict_map(found, study_area.open_area(sound_area()))

    return attempt


@right(torture=True)
def a_sound_run_maps(place):
    attempt = used(run(place))
    attempt()  # what is compiled at the first call is not what is measured
    return lambda: equal(attempt().shape, (SIDE, SIDE))


RUN_FILES = (
    *("status.json", "recipe.json", "area.json", "metrics.json", "encoder.json"),
    *("samples.parquet", "scores.parquet", "model/architecture.json", "model/model.skops"),
)

RUN_SAID = (
    "no run at|did not finish|is not JSON|was not written by this program|"
    "is missing or damaged|no model in|cannot be read"
)


def damaged_run(place, file, damage):
    path = run(place)
    damage(path / file)
    return used(path)


def worded(file):
    return file.replace("/", "_").replace(".", "_")


for _file in RUN_FILES:
    for _what, _damage in DAMAGE.items():
        _make = partial(damaged_run, file=_file, damage=_damage)
        _name = f"a_run_whose_{worded(_file)}_{_what}"
        add(_name, _make, RUN_SAID, torture=_what not in DAILY)

STATUS = {
    "of_another_state": {"state": "dreaming"},
    "whose_process_is_a_word": {"state": "running", "pid": "one"},
    "whose_format_is_a_word": {"format": "new"},
    "of_the_future": {"format": 99},
}

STRANGE = "was not written by this program|newer version|is not JSON"


def changed_status(place, changes):
    path = run(place)
    changed(path / "status.json", **changes)
    return used(path)


for _what, _changes in STATUS.items():
    add(f"a_run_{_what}", partial(changed_status, changes=_changes), STRANGE)


@refused("was not written by this program|is not a setting|RecipeError|recipe")
def a_run_whose_recipe_is_of_another_program(place):
    path = run(place)
    changed(path / "recipe.json", model={"name": "random_forest", "secret": 1})
    return used(path)


@refused("no study area|was not written by this program|leads")
def a_run_whose_area_is_another_users_folder(place):
    path = run(place)
    changed(path / "area.json", path=str(place.beside))

    def attempt():
        from lsm_core import runs

        study_area.open_area(runs.open_run(path).area_path)

    return attempt


@refused("no model|did you mean|known|was not written by this program")
def a_run_of_a_model_that_is_not_on_the_menu(place):
    path = run(place)
    changed(path / "model/architecture.json", model="os.system")
    return used(path)


@refused("option|was not written by this program|does not")
def a_run_of_options_that_no_model_has(place):
    path = run(place)
    changed(path / "model/architecture.json", options={"code": "import os"})
    return used(path)


@refused("which no model here is made of")
def a_forest_that_runs_code(place):
    import pickle
    import zipfile

    path = run(place)
    schema = {
        "__class__": "partial", "__module__": "functools", "__loader__": "ReduceNode",
        "__reduce__": {"args": []}, "__id__": 1, "_skops_version": "0.11", "protocol": 2,
    }  # fmt: skip
    with zipfile.ZipFile(path / "model/model.skops", "w") as archive:
        archive.writestr("schema.json", json.dumps(_object_of(schema)))
        archive.writestr("x.pkl", pickle.dumps(Bomb(place.beside / "pwned")))
    return used(path)


def _object_of(schema):
    """As skops writes an object of a class of elsewhere."""
    return {
        "__class__": "Popen", "__module__": "subprocess", "__loader__": "ObjectNode",
        "content": {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode",
                    "content": {}, "key_types": {"__class__": "list", "__module__": "builtins",
                                                 "__loader__": "ListNode", "content": [],
                                                 "__id__": 3}, "__id__": 2},
        "__id__": 1, "_skops_version": "0.11", "protocol": 2,
    }  # fmt: skip


@refused("is missing or damaged|which no model here is made of")
def a_forest_that_is_a_pickle(place):
    path = run(place)
    (path / "model/model.skops").write_bytes(bomb(place))
    return used(path)


@right
def a_broken_run_does_not_hide_the_others(place):
    from lsm_core import runs

    folder = place.workspace / "runs"
    folder.mkdir(parents=True)
    shutil.copytree(sound_run(), folder / "whole")
    for damage in ("is_empty", "is_a_list", "is_noise", "is_empty_braces"):
        path = shutil.copytree(sound_run(), folder / damage)
        DAMAGE[damage](path / "status.json")
    return lambda: equal("whole" in [found.id for found in runs.list_runs(folder)], True)


@right
def a_run_whose_process_is_below_nothing_is_lost(place):
    from lsm_core import runs

    path = run(place)
    changed(path / "status.json", state="running", pid=-1)
    return lambda: equal(runs.open_run(path).state, "lost")


def compared(path: Path):
    def attempt():
        from lsm_core import runs

        return runs.compare([runs.open_run(path)], draws=0)

    return attempt


METRICS = {
    "empty": {},
    "a_word_for_scores": {"scores": "good"},
    "scores_of_words": {"scores": {"accuracy": "high"}},
}


def of_metrics(place, metrics):
    path = run(place)
    (path / "metrics.json").write_text(json.dumps(metrics))
    return compared(path)


for _what, _metrics in METRICS.items():
    _make = partial(of_metrics, metrics=_metrics)
    add(f"a_comparison_of_metrics_of_{_what}", _make, "was not written by this program")


LINKS = ("recipe.json", "metrics.json", "samples.parquet", "model/model.skops", "encoder.json")


def linked_out(place, file):
    path = run(place)
    outside = place.beside / Path(file).name
    shutil.move(path / file, outside)
    (path / file).symlink_to(outside)
    return used(path)


for _file in LINKS:
    _make = partial(linked_out, file=_file)
    add(f"a_run_whose_{worded(_file)}_is_a_link_out", _make, "leads out of the run's folder")
