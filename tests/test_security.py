"""Nothing that is opened is run, nothing told is a secret, nothing shown is a tag."""

import ast
import json
import os
import pickle
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import sound_folders
from strangers import Place

import lsm_app
import lsm_core
from lsm_core import model_options, own_sources, run_files, runs
from lsm_core.catalog import load_catalog, without_secrets
from lsm_core.errors import LsmError, RunError, SourceError
from lsm_core.model_store import load_model
from lsm_core.safe_tables import csv_of
from lsm_core.uploads import Uploads

FOLDERS = [Path(module.__file__).parent for module in (lsm_core, lsm_app)]
SOURCES = sorted(path for folder in FOLDERS for path in folder.rglob("*.py"))
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "tarfile"}
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load",
    "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.safe_load", "pd.read_pickle",
    "pandas.read_pickle", "torch.load", "keras.models.load_model", "keras.saving.load_model",
    "keras.layers.Lambda", "shutil.unpack_archive", "exec_module", "extractall", "extract",
    "read_pickle", "from_config", "deserialize",
}  # fmt: skip
# What each may: their own files of the program, and the file that a person names in LSM_OWN.
MAY = {
    ("print_style.py", "yaml.safe_load"), ("published.py", "yaml.safe_load"),
    ("own_code.py", "spec.loader.exec_module"),
    ("dropout.py", "kind.from_config"),  # of layers that it has just built
}  # fmt: skip


def _called(node):
    """The dotted name of what is called."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    first = node.id if isinstance(node, ast.Name) else ""
    return ".".join([first, *reversed(parts)])


def _offences(text):
    """What a source imports or calls that could run what it reads."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            yield from (name for name in names if name.split(".")[0] in MODULES)
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name | ast.Attribute):
            name = _called(node.func)
            if name in CALLS or name.split(".")[-1] in CALLS - {"compile", "extract", "eval"}:
                yield name
        for word in node.keywords:
            if word.arg in ("allow_pickle", "shell") and getattr(word.value, "value", 1):
                yield f"{word.arg}=True"
            if word.arg == "safe_mode":
                yield "safe_mode"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_source_runs_what_it_reads(path):
    found = {name for name in _offences(path.read_text("utf-8")) if (path.name, name) not in MAY}
    assert not found


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from joblib import load", "eval('1')", "x = yaml.load(t, L)",
     "np.load(f, allow_pickle=True)", "subprocess.run(c, shell=True)", "z.extractall()",
     "keras.models.load_model(p)", "import torch\ntorch.load(f)", "pd.read_pickle(p)"],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(text):
    assert list(_offences(text))


def test_types_of_ones_own_options_are_read_and_not_run(tmp_path):
    made = tmp_path / "pwned"
    told = f"__import__('pathlib').Path({str(made)!r}).touch()"
    for text, wanted in (("int | None", int | None), ("list[str]", list[str]), (told, None)):
        node = ast.parse(text, mode="eval").body
        found = model_options._type(node)
        assert wanted is None or found == wanted
    assert not made.exists()


# --------------------------------------------------------------------- files that would run code


class Bomb:
    """A pickle of it leaves a file where it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def place(tmp_path, monkeypatch):
    made = Place(tmp_path)
    monkeypatch.setenv("LSM_WORKSPACE", str(made.workspace))
    return made


@pytest.mark.parametrize("ending", ["keras", "h5", "npz", "joblib", "pkl", "zip", "py", "skops"])
def test_no_model_and_no_archive_is_taken_as_a_file_of_data(place, ending):
    with pytest.raises(SourceError, match="is of no kind that is taken"):
        Uploads().receive(f"model.{ending}", b"x", first=True, last=True)


STRANGERS = ["model.keras", "model.h5", "model.joblib", "model.pkl"]


def _only_file(folder, name, place):
    """What a model learnt is gone, and another program's file lies there; whether that was run."""
    for path in folder.iterdir():
        if path.name != "architecture.json":
            path.unlink()
    pwned = place.beside / "pwned"
    (folder / name).write_bytes(pickle.dumps(Bomb(pwned)))
    return pwned


@pytest.mark.parametrize("name", STRANGERS)
def test_a_forest_whose_trees_are_another_programs_has_none(place, name):
    folder = sound_folders.run(place) / "model"
    pwned = _only_file(folder, name, place)
    with pytest.raises(RunError, match=r"model\.skops is missing"):
        load_model(folder)
    assert not pwned.exists()


@pytest.mark.torture
@pytest.mark.parametrize("name", STRANGERS)
def test_a_network_whose_weights_are_another_programs_has_none(place, name):
    folder = _network(place)
    pwned = _only_file(folder, name, place)
    with pytest.raises(RunError, match=r"weights\.weights\.h5 does not fit its architecture"):
        load_model(folder)
    assert not pwned.exists()


def test_blocks_of_a_map_that_are_pickles_are_refused(place):
    from lsm_core.large_map import _kept

    path, pwned = place.files / "row0_column0.npy", place.beside / "pwned"
    np.save(path, np.array([Bomb(pwned)], dtype=object), allow_pickle=True)
    with pytest.raises(RunError, match=r"cannot be read .*delete"):
        _kept(path)
    assert not pwned.exists()


LAMBDA = {
    "class_name": "Sequential",
    "config": {"layers": [{"class_name": "Lambda", "config": {"function": "os.system"}}]},
}


def _network(place, **stored):
    """A folder of a network as this program writes it, for one to spoil."""
    from lsm_core import models
    from lsm_core.model_store import save_model

    folder = place.files / "model"
    save_model(models.build("lsgh_net", (9, 9, 1)), "lsgh_net", (9, 9, 1), {}, folder)
    path = folder / "architecture.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | stored))
    return folder


UNKNOWN = r"architecture\.json was not written by this program: "
MANY = r"tells of no model that can be built: .* weights, and it may have"
ARCHITECTURES = {
    "a lambda": (LAMBDA, f"{UNKNOWN}it has class_name, config"),
    "code to run": ({"code": "import os"}, f"{UNKNOWN}it has code"),
    "a layer of Keras": ({"model": "keras.layers.Lambda"}, r"no model 'keras\.layers\.Lambda'"),
    "a path": ({"model": "../../evil"}, r"no model '\.\./\.\./evil'"),
    "a list for a name": ({"model": ["cnn"]}, UNKNOWN),
    "code for an option": ({"options": {"scse": "__import__('os')"}}, "option scse takes bool"),
    "a lambda for options": ({"options": LAMBDA}, "has no option 'class_name'"),
    "no options": ({"options": [1]}, UNKNOWN),
    "words for a shape": ({"input_shape": ["a", "a", "b"]}, f"{UNKNOWN}input_shape is"),
    "a word for a shape": ({"input_shape": "991"}, f"{UNKNOWN}input_shape is 991"),
    "truth for a shape": ({"input_shape": [True, True, 1]}, f"{UNKNOWN}input_shape is"),
    "a shape below nothing": ({"input_shape": [-9, -9, 1]}, f"{UNKNOWN}input_shape is"),
    "a million by a million": ({"input_shape": [10**6, 10**6, 1]}, f"{UNKNOWN}input_shape is"),
    "wide images": ({"input_shape": [9999, 9999, 1]}, MANY),
    "a shape of five": ({"input_shape": [9, 9, 9, 9, 1]}, "takes square images"),
    "units without end": (
        {"model": "ann", "input_shape": [9], "options": {"hidden": [10**12]}}, MANY),
    "units that are words": (
        {"model": "ann", "input_shape": [9], "options": {"hidden": ["a"]}}, "hidden lists the"),
    "a kernel below nothing": (
        {"model": "cnn3d", "input_shape": [9, 9, 2], "options": {"kernel": -1}},
        "tells of no model that can be built"),
    "layers without end": (
        {"model": "ann", "input_shape": [9], "options": {"hidden": [8] * 10**4}}, "lists 10,000"),
    "a file without end": ({"options": {"a" * 10**6: 1}}, f"{UNKNOWN}it is larger than 100,000"),
}  # fmt: skip


@pytest.mark.torture  # it waits for the library of networks
@pytest.mark.parametrize("what", ARCHITECTURES)
def test_an_architecture_that_no_program_of_ours_wrote_is_refused(place, what):
    """Its weights are sound, so nothing but the architecture can be what is refused."""
    stored, words = ARCHITECTURES[what]
    folder = _network(place, **stored)
    with pytest.raises(LsmError, match=words):
        load_model(folder)


@pytest.mark.torture
def test_a_network_that_was_not_spoilt_is_read(place):
    assert load_model(_network(place)).count_params() > 0


@pytest.mark.torture
@pytest.mark.parametrize("kind", ["pickle", "whole model", "other weights", "zip", "cut"])
def test_weights_that_are_something_else_are_refused(place, kind):
    import h5py

    folder = _network(place)
    path, pwned = folder / "weights.weights.h5", place.beside / "pwned"
    if kind in ("pickle", "zip", "cut"):
        text = {"pickle": pickle.dumps(Bomb(pwned)), "zip": b"PK\3\4", "cut": b"\x89HDF\r\n\x1a\n"}
        path.write_bytes(text[kind])
    else:
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps(LAMBDA)
            if kind == "other weights":
                file.create_dataset("layers/dense/vars/0", data=np.zeros((2, 2)))
    with pytest.raises(RunError, match=r"does not fit its architecture\.json"):
        load_model(folder)
    assert not pwned.exists()


def test_no_link_of_a_run_goes_into_an_export(place):
    from lsm_core.export_bundle import _maps, _provenance

    run = runs.open_run(sound_folders.run(place))
    private = place.beside / "private.txt"
    for file in ("metrics.json", "model/model.skops"):
        kept = (run.path / file).read_bytes()
        (run.path / file).unlink()
        (run.path / file).symlink_to(private)
        with pytest.raises(RunError, match="leads out of the run's folder"):
            _provenance(run, place.files / "out", ("model",))
        (run.path / file).unlink()
        (run.path / file).write_bytes(kept)
        shutil.rmtree(place.files / "out")
    (run.path / "map.tif").symlink_to(private)
    with pytest.raises(RunError, match="leads out of the run's folder"):
        _maps(run, place.files, print)


# ------------------------------------------------------------------------------ what is written

FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "%0A=1"]


@pytest.mark.parametrize("words", FORMULAS)
def test_no_csv_holds_a_formula_of_a_stranger(tmp_path, words):
    table = pd.DataFrame({"name": [words, "slide"], words: [-1.5, 2.0]})
    run_files.write_table(tmp_path / "a.csv", table)
    for text in (csv_of(table), (tmp_path / "a.csv").read_text()):
        back = pd.read_csv(pd.io.common.StringIO(text))
        told = "'" + words.replace("\r", " ")  # a line end that parts rows in some programs
        assert str(back.columns[1]) == told
        assert str(back["name"][0]) == told
        assert back.iloc[:, 1].tolist() == [-1.5, 2.0]


def test_every_csv_is_written_by_the_one_function_that_is_safe():
    found = [p.name for p in SOURCES if ".to_csv(" in p.read_text("utf-8")]
    assert found == ["safe_tables.py"]
    own = [p.name for p in SOURCES if "csv.writer" in p.read_text("utf-8")]
    assert not own


TAG = "<img src=x onerror=alert(1)>"


def test_names_of_strangers_are_no_tags_on_the_page(place):
    from lsm_app import own_files
    from lsm_app.session import said

    path = place.raster()
    own_sources.add_source(path, file=f"{TAG}.tif")
    html = own_files._table([e for e in own_sources.entries().values() if e.own]).to_html()
    assert "<img" not in html
    assert "&lt;img" in html
    assert "<img" not in said(SourceError(f"{TAG} is wrong")).object


def test_names_of_strangers_are_no_tags_in_a_report():
    from lsm_core.paper_kit import _html_table

    html = str(_html_table(pd.DataFrame({TAG: [TAG], "x": [0.5]})))
    assert "<img" not in html
    assert html.count("&lt;img") == 2


# ------------------------------------------------------------------------------------- secrets

SECRET = "5ecret-of-nobody"


def test_no_secret_of_the_environment_is_kept_with_a_run(place, monkeypatch, capsys, caplog):
    from lsm_core.experiment import run_experiment
    from lsm_core.recipe import make_recipe

    for name in ("AWS_SECRET_ACCESS_KEY", "LSM_TOKEN", "PANEL_COOKIE_SECRET", "PANEL_OAUTH_SECRET"):
        monkeypatch.setenv(name, SECRET)
    shutil.copytree(sound_folders.sound_area(), place.workspace / "areas" / "tiny")
    recipe = make_recipe(sound_folders.RECIPE)
    with caplog.at_level("DEBUG", logger="lsm_core"):
        path = run_experiment(recipe, place.workspace / "runs").path
    files = [p for p in path.rglob("*") if p.is_file()]
    assert len(files) > 8
    assert not [p for p in files if SECRET.encode() in p.read_bytes()]
    assert SECRET not in caplog.text + "".join(capsys.readouterr())
    assert not [p for p in files if os.environ.get("USER", "\0nobody").encode() in p.name.encode()]


def test_keys_in_addresses_are_not_kept_nor_said(place):
    from lsm_core.catalog import fingerprints
    from lsm_core.rasters import open_raster

    url = f"http://ana:{SECRET}@127.0.0.1:9/dem.tif?token={SECRET}&sig={SECRET}"
    entry = f"{{data_type: RasterDataset, driver: rasterio, uri: '{url}'}}"
    catalog = load_catalog(place.write("catalog.yaml", f"meta: {{version: v1}}\ndem: {entry}\n"))
    assert SECRET not in json.dumps(fingerprints(catalog, ["dem"], print))
    with pytest.raises(SourceError) as told:
        open_raster(catalog, "dem")
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("s3://bucket/key.tif", "s3://bucket/key.tif"),
        ("https://u:p@h/x?a=1&b=2 is gone", "https://h/x?a=***&b=*** is gone"),
        ("ftp://u@h/x", "ftp://h/x"),
        ("what? a=1", "what? a=1"),
    ],
)
def test_what_counts_as_a_secret(text, wanted):
    assert without_secrets(text) == wanted


def test_nothing_private_is_written_for_others_to_read(place):
    """A shapefile's parts, say: those of an upload lie in a folder of random name."""
    frame = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 9, 9)], crs=32643)
    path = place.files / "slides.gpkg"
    frame.to_file(path)
    entry = place.upload(path)()
    assert len(entry.path.parent.name) == 32
    assert entry.path.name == "data.gpkg"
