"""Area files, catalogues and recipes that strangers wrote."""

from functools import partial

import yaml
from strangers import add, refused, right

from lsm_core.area_file import read_area_file
from lsm_core.catalog import load_catalog, source
from lsm_core.own_recipes import keep_recipe
from lsm_core.recipe import load_recipe, make_recipe
from lsm_core.runs import create_run

LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
TAGS = {
    "run_a_command": "!!python/object/apply:os.system ['touch pwned']",
    "make_an_object": "!!python/object:subprocess.Popen {args: touch pwned}",
    "import_a_module": "!!python/module:os",
    "name_a_function": "!!python/name:os.system",
    "of_nobody": "!secret abc",
}
PLAIN = {"name": "rf", "model": {"name": "random_forest"}}
AREA = {
    "name": "nowhere", "grid": {"like": "dem"}, "dem": "dem",
    "inventory": {"source": "slides"}, "factors": ["slope"],
}  # fmt: skip
NO_YAML = "is not readable YAML|is not YAML|holds"


def _of_area(place, content):
    path = place.write("area.yaml", content)
    return lambda: read_area_file(path)


def _of_recipe(place, content):
    path = place.write("recipe.yaml", content)
    return lambda: load_recipe(path)


def _of_catalog(place, content):
    path = place.write("catalog.yaml", content)
    return lambda: source(load_catalog(path), "dem")


READERS = {"area_file": _of_area, "recipe": _of_recipe, "catalogue": _of_catalog}
TEXTS = {  # what is wrong with any of them, and the words that say so
    "that_is_empty": ("", NO_YAML + "|valid dictionary"),
    "that_is_a_list": ("- 1\n- 2\n", NO_YAML + "|valid dictionary"),
    "that_is_a_word": ("hello", NO_YAML + "|valid dictionary"),
    "that_is_cut": ("name: [1, 2", NO_YAML),
    "with_tabs": ("name:\n\t- 1", NO_YAML),
    "of_noise": (bytes(range(128, 256)), NO_YAML),
    "with_a_nul": ("name: a\0b", NO_YAML),
    "of_a_billion_laughs": (LAUGHS, "aliases repeat"),
    "that_is_its_own_part": ("name: &a [*a]\n", "an alias stands inside"),
    "nested_a_hundred_thousand_deep": ("name: " + "[" * 100_000, NO_YAML),
    "nested_two_thousand_deep": ("name: " + "[" * 2000 + "]" * 2000, NO_YAML),
    "of_a_number_of_5000_digits": ("name: " + "9" * 5000, NO_YAML + "|string|character"),
    "of_a_date_that_is_none": ("name: 2023-13-45", NO_YAML),
    "of_two_documents": ("name: a\n---\nname: b\n", NO_YAML),
    "with_a_key_that_is_a_list": ("? [1, 2]\n: 3\n", NO_YAML),
    "with_a_key_twice": ("name: a\nname: b\n", "twice"),
    "of_a_megabyte": ("name: " + "a" * 1_000_000, "larger than 300 kB"),
} | {f"whose_tag_would_{words}": (f"name: {tag}\n", NO_YAML) for words, tag in TAGS.items()}

for _reader, _of in READERS.items():
    for _what, (_content, _words) in TEXTS.items():
        _long = "nested" in _what or "megabyte" in _what
        add(f"{_reader}_{_what}", partial(_of, content=_content), _words, torture=_long)


# -------------------------------------------------------------------------------- area files


def area(place, **changes):
    return _of_area(place, yaml.safe_dump(AREA | changes))


AREAS = {
    "that_is_called_up": ({"name": "../up"}, "name takes letters, digits"),
    "that_is_called_by_a_path": ({"name": "/etc/cron.d/x"}, "name takes letters, digits"),
    "that_is_called_nothing": ({"name": ""}, "name takes letters, digits"),
    "that_is_called_by_line_ends": ({"name": "a\n"}, "name takes letters, digits"),
    "that_is_called_by_300_letters": ({"name": "a" * 300}, "name takes at most"),
    "that_is_called_by_a_number": ({"name": 5}, "name: Input should be a valid string"),
    "of_an_unknown_key": ({"tilte": "x"}, "unknown key 'tilte'"),
    "of_cells_of_no_size": ({"grid": {"crs": 32643, "resolution": 0}}, "resolution"),
    "of_cells_below_nothing": ({"grid": {"crs": 32643, "resolution": -5}}, "resolution"),
    "of_endless_cells": ({"grid": {"crs": 32643, "resolution": float("inf")}}, "resolution"),
    "of_cells_that_are_no_number": (
        {"grid": {"crs": 32643, "resolution": float("nan")}}, "resolution",
    ),
    "of_an_extent_turned_round": ({"grid": {"like": "dem", "extent": [9, 9, 0, 0]}}, "extent"),
    "of_an_extent_that_is_no_number": (
        {"grid": {"like": "dem", "extent": [float("nan")] * 4}}, "extent",
    ),
    "of_an_endless_extent": (
        {"grid": {"like": "dem", "extent": [float("-inf"), 0, float("inf"), 9]}}, "extent",
    ),
    "of_three_corners": ({"grid": {"like": "dem", "extent": [1, 2, 3]}}, "extent"),
    "of_no_factor": ({"factors": []}, "factors"),
    "of_a_factor_twice": ({"factors": ["slope", "slope"]}, "two factors are called slope"),
    "of_a_factor_called_up": ({"factors": [{"name": "../x", "source": "dem"}]}, "name"),
    "of_a_factor_called_by_line_ends": ({"factors": [{"name": "x\n", "source": "dem"}]}, "name"),
    "of_a_factor_of_an_endless_radius": (
        {"factors": [{"name": "a", "derive": "tpi", "radius": float("inf")}]}, "radius",
    ),
    "of_a_window_of_a_billion_cells": (
        {"factors": [{"name": "a", "derive": "relief", "window": 10**9}]}, "window",
    ),
    "of_a_factor_that_is_a_mapping_of_nothing": ({"factors": [{}]}, "factors"),
    "of_factors_that_are_a_word": ({"factors": "slope"}, "factors"),
    "of_a_class_that_is_a_word": (
        {"factors": [{"name": "a", "source": "r", "kind": "categorical",
                      "categories": {"one": "x"}}]}, "categories",
    ),
    "of_a_source_that_is_a_list": ({"dem": ["a", "b"]}, "dem"),
}  # fmt: skip

for _what, (_changes, _words) in AREAS.items():
    add(f"an_area_{_what}", partial(area, **_changes), _words)


@refused("no area file")
def an_area_file_that_is_a_folder(place):
    return lambda: read_area_file(place.beside)


@refused("no area file")
def an_area_file_with_a_nul_in_its_name(place):
    return lambda: read_area_file("a\0b")


@refused("no area file")
def an_area_file_of_5000_letters(place):
    return lambda: read_area_file("a" * 5000)


@right
def an_area_file_with_a_byte_order_mark(place):
    read = _of_area(place, b"\xef\xbb\xbf" + yaml.safe_dump(AREA).encode())
    return lambda: _is(read().name, "nowhere")


@right
def an_area_whose_title_is_every_letter(place):
    title = "".join(map(chr, range(32, 0x2FF))) + "⛰️\u202e<script>alert(1)</script>=1+1"
    read = area(place, title=title)
    return lambda: _is(read().title, title)


def _is(got, wanted):
    assert got == wanted


# --------------------------------------------------------------------------------- catalogues


def catalog(place, **entry):
    about = {"data_type": "RasterDataset", "driver": "rasterio", "uri": "dem.tif"}
    text = yaml.safe_dump({"dem": {k: v for k, v in (about | entry).items() if v is not None}})
    path = place.write("catalog.yaml", text)

    def opened():
        from lsm_core.rasters import open_raster

        return open_raster(load_catalog(path), "dem").values

    return opened


@refused("is no valid catalogue|cannot be read|no file")
def a_source_without_a_file(place):
    return catalog(place, uri=None)


@refused("is no valid catalogue")
def a_source_of_an_unknown_kind(place):
    return catalog(place, data_type="Rumour")


@refused("is no valid catalogue")
def a_source_read_by_an_unknown_reader(place):
    return catalog(place, driver="os.system")


@refused("no file at")
def a_source_whose_file_is_not_there(place):
    return catalog(place, uri="../nowhere/dem.tif")


@refused("cannot be read")
def a_source_on_a_server_that_is_not_there(place):
    return catalog(place, uri="http://127.0.0.1:9/dem.tif")


@refused("is not what its name says")
def a_source_that_is_another_users_file(place):
    path = place.beside / "dem.tif"
    path.write_text("root:x:0:0")
    return catalog(place, uri=str(path))


@refused("cannot be read|is no valid catalogue|no coordinate")
def a_source_of_a_crs_that_is_none(place):
    place.raster(crs=None)
    return catalog(place, metadata={"crs": "the usual one"})


@refused("is no valid catalogue|holds no entries|cannot be read")
def a_source_that_is_a_number(place):
    path = place.write("catalog.yaml", "dem: 5\n")
    return lambda: source(load_catalog(path), "dem")


@refused("is no valid catalogue|cannot be read|unit")
def a_source_whose_unit_is_a_word(place):
    place.raster()
    return catalog(place, data_adapter={"unit_mult": {"dem": "feet"}})


@refused("the catalogue has no '../../etc/passwd'")
def a_source_called_by_a_path(place):
    place.raster()
    path = place.write("catalog.yaml", yaml.safe_dump(
        {"dem": {"data_type": "RasterDataset", "driver": "rasterio", "uri": "dem.tif"}}
    ))  # fmt: skip
    return lambda: source(load_catalog(path), "../../etc/passwd")


# ------------------------------------------------------------------------------------ recipes

RECIPES = {  # settings on top of a sound recipe, and the words
    "of_an_unknown_key": ({"epochs": 3}, "epochs is not a setting"),
    "of_an_unknown_key_in_training": ({"training": {"epoch": 3}}, "did you mean epochs"),
    "without_a_model": ({"model": None}, "model"),
    "of_an_unknown_protocol": ({"protocol": "fair"}, "protocol"),
    "of_no_epoch": ({"training": {"epochs": 0}}, "training.epochs"),
    "of_half_an_epoch": ({"training": {"epochs": 2.5}}, "training.epochs"),
    "of_epochs_below_nothing": ({"training": {"epochs": -1}}, "training.epochs"),
    "of_a_rate_of_nothing": ({"training": {"learning_rate": 0}}, "learning_rate"),
    "of_an_endless_rate": ({"training": {"learning_rate": float("inf")}}, "learning_rate"),
    "of_a_rate_that_is_no_number": ({"training": {"learning_rate": float("nan")}}, "learning_rate"),
    "of_an_empty_batch": ({"training": {"batch": 0}}, "training.batch"),
    "of_a_word_for_a_number": ({"training": {"epochs": "many"}}, "training.epochs"),
    "of_an_alpha_of_two": ({"training": {"alpha": 2}}, "training.alpha"),
    "of_an_endless_gamma": ({"training": {"gamma": float("inf")}}, "training.gamma"),
    "of_an_unknown_optimizer": ({"training": {"optimizer": "prayer"}}, "training.optimizer"),
    "of_an_unknown_form": ({"input": {"form": "smell"}}, "input.form"),
    "of_a_window_of_nothing": ({"input": {"form": "window", "size": 0}}, "input.size"),
    "of_a_window_of_a_billion": ({"input": {"form": "window", "size": 10**9}}, "input.size"),
    "of_one_class": ({"input": {"quantiles": 1}}, "input.quantiles"),
    "of_a_billion_classes": ({"input": {"quantiles": 10**9}}, "input.quantiles"),
    "of_windows_twice": ({"input": {"form": "window", "sizes": [7, 7]}}, "different windows"),
    "of_windows_of_a_table": ({"input": {"sizes": [7, 9]}}, "are of windows"),
    "of_a_split_unknown": ({"split": {"method": "tarot"}}, "split.method"),
    "of_a_test_share_above_all": ({"split": {"test": 1.5}}, "split.test"),
    "of_a_test_share_of_nan": ({"split": {"test": float("nan")}}, "split.test"),
    "of_blocks_of_no_size": ({"split": {"block": 0}}, "split.block"),
    "of_endless_blocks": ({"split": {"block": float("inf")}}, "split.block"),
    "of_places_too_near": ({"split": {"apart": 0}}, "raise split.apart|split.apart"),
    "of_a_heat_of_no_width": ({"samples": {"heatmap": {"diameter": 0}}}, "diameter"),
    "of_an_endless_heat": ({"samples": {"heatmap": {"diameter": float("inf")}}}, "diameter"),
    "of_a_ratio_below_nothing": ({"samples": {"ratio": -1}}, "ratio"),
    "of_zones_of_one": ({"zoning": {"k": 1}}, "zoning.k"),
    "of_breaks_that_fall": (
        {"zoning": {"method": "manual", "breaks": [0, 0.5, 0.2, 1]}}, "must rise",
    ),
    "of_shares_above_one": ({"zoning": {"method": "target", "shares": [0.9, 0.9]}}, "add up to 1"),
    "of_breaks_that_are_no_number": (
        {"zoning": {"method": "manual", "breaks": [0, float("nan"), 1]}}, "finite number",
    ),
    "of_a_seed_that_is_a_word": ({"seed": "lucky"}, "seed"),
    "of_a_seed_below_nothing": ({"seed": -1}, "seed"),
    "of_a_seed_of_a_hundred_digits": ({"seed": 10**100}, "seed"),
    "of_sizes_that_are_a_number": ({"sizes": 5}, "sizes"),
    "of_sizes_that_are_a_list": ({"sizes": ["bench"]}, "sizes"),
    "of_a_size_that_is_a_number": ({"sizes": {"bench": 5}}, "sizes"),
    "of_an_unknown_size": ({"size": "huge", "sizes": {"bench": {}}}, "size 'huge' is not one of"),
    "of_a_size_that_is_a_list": ({"size": ["a"], "sizes": {"bench": {}}}, "size"),
    "of_a_section_that_is_a_word": ({"training": "long"}, "training"),
    "of_a_section_that_is_a_list": ({"training": [1]}, "training"),
    "called_up": ({"name": "../../up"}, "name"),
    "called_by_a_path": ({"name": "/tmp/x"}, "name"),
    "called_nothing": ({"name": ""}, "name"),
    "called_by_a_nul": ({"name": "a\0b"}, "name"),
    "called_by_line_ends": ({"name": "a\nb"}, "name"),
    "called_by_300_letters": ({"name": "a" * 300}, "name"),
    "that_is_hidden": ({"name": ".hidden"}, "name"),
    "of_an_area_that_climbs": ({"area": "../../beside"}, "area"),
    "of_an_area_with_a_nul": ({"area": "a\0b"}, "area"),
}  # fmt: skip


def made(place, changes, line=()):
    return lambda: make_recipe(PLAIN | changes, line)


for _what, (_changes, _words) in RECIPES.items():
    add(f"a_recipe_{_what}", partial(made, changes=_changes), _words)

CHANGES = {
    "without_a_value": ("training.epochs", "takes key=value"),
    "without_a_key": ("=3", "takes key=value"),
    "of_dots_only": ("...=3", "is not a setting"),
    "that_is_no_yaml": ("training.epochs=[1", "is no value|not YAML|takes key=value"),
    "with_a_tag": ("name=!!python/object/apply:os.system ['touch pwned']", "is no value|not YAML"),
    "of_laughs": ("name={a: &a [x], b: [*a, *a]}", "name|is no value"),
    "nested_deep": ("name=" + "[" * 50_000, "is no value|not YAML"),
    "below_a_number": ("seed.more=3", "seed"),
    "of_an_unknown_section": ("trainign.epochs=3", "did you mean training"),
}

for _what, (_text, _words) in CHANGES.items():
    add(f"a_change_{_what}", partial(made, changes={}, line=[_text]), _words)


@refused("no recipe at")
def a_recipe_that_is_a_folder(place):
    return lambda: load_recipe(place.beside)


@refused("no recipe at")
def a_recipe_with_a_nul_in_its_path(place):
    return lambda: load_recipe("a\0b.yaml")


@refused("cannot be called")
def a_kept_recipe_that_climbs(place):
    base = place.write("base.yaml", yaml.safe_dump(PLAIN))
    return lambda: keep_recipe("../../up", base, {})


@refused("cannot be called")
def a_kept_recipe_of_line_ends(place):
    base = place.write("base.yaml", yaml.safe_dump(PLAIN))
    return lambda: keep_recipe("up\n", base, {})


@refused("is not a folder name|name")
def a_run_of_an_area_that_climbs(place):
    recipe = make_recipe(PLAIN)
    return lambda: create_run(recipe, {"name": "../../up", "path": "."}, place.workspace / "runs")


@right
def a_recipe_whose_title_is_every_letter(place):
    title = "".join(map(chr, range(32, 0x2FF))) + "⛰️\u202e<script>=1+1"
    return lambda: _is(make_recipe(PLAIN | {"title": title}).title, title)


@right
def a_recipe_whose_aliases_are_few(place):
    text = "name: rf\nmodel: {name: random_forest}\ntraining: &t {epochs: 3}\nvariants: {a: *t}\n"
    read = _of_recipe(place, text)
    return lambda: _is(read().training.epochs, 3)
