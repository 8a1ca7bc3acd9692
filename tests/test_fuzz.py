"""Small sound files with bytes changed, cut and spliced: each ends in an error of ours or is right.

The reader is a process of its own: where GDAL itself breaks down, that is counted apart, and must
be rare. `LSM_FUZZ` is the number of files of each kind.
"""

import collections
import os
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import sound_folders
import yaml
from bad_texts import AREA, PLAIN
from strangers import Place, hills

pytestmark = pytest.mark.torture
EACH = int(os.environ.get("LSM_FUZZ", "200"))
READER = Path(__file__).with_name("fuzz_reader.py")
WHOLE = "undamaged"
MOST_LOST = 0.02  # share of files at which the libraries below may break down


def damaged(data, rng):
    """Other bytes, cut, spliced or doubled."""
    kind = rng.integers(4)
    many = bytearray(data)
    if kind == 0:
        for at in rng.integers(0, len(many), rng.integers(1, 9)):
            many[at] = rng.integers(256)
    elif kind == 1:
        del many[rng.integers(len(many)) :]
    else:
        first, second = sorted(rng.integers(0, len(many), 2))
        piece = many[first:second] if kind == 2 else bytearray(rng.bytes(second - first))
        at = rng.integers(len(many))
        many[at : at + len(piece)] = piece
    return bytes(many)


def sound(place):
    """A small file of each kind, by the name that its damaged ones have."""
    shapes = gpd.GeoDataFrame({"a": [1, 2]}, geometry=[place.box(1, 1, 2, 2)] * 2, crs=32643)
    shapes.to_file(place.files / "shapes.gpkg")
    shapes.to_crs(4326).to_file(place.files / "shapes.geojson")
    return {
        "a.tif": place.raster("a.tif"),
        "packed.tif": place.raster("packed.tif", np.tile(hills(), (4, 4)), compress="deflate"),
        "a.gpkg": place.files / "shapes.gpkg",
        "a.geojson": place.files / "shapes.geojson",
        "a.csv": place.write("a.csv", "x,y,n\n500010,3999990,1\n500050,3999950,2\n" * 9),
        "recipe.yaml": place.write("recipe.yaml", yaml.safe_dump(PLAIN | {"seed": 3})),
        "area.yaml": place.write("area.yaml", yaml.safe_dump(AREA)),
    }


def spoilt(place, rng):
    """Damaged files of each kind, and areas with one damaged file of Zarr's."""
    for name, path in sound(place).items():
        yield WHOLE, path
        for i in range(EACH):
            yield name, place.write(f"{i}_{name}", damaged(path.read_bytes(), rng))
    files = [p.relative_to(sound_folders.sound_area()) for p in
             sound_folders.sound_area().rglob("zarr.json")]  # fmt: skip
    yield WHOLE, sound_folders.sound_area()
    for i in range(EACH):
        folder = shutil.copytree(sound_folders.sound_area(), place.files / f"{i}_area")
        file = folder / files[rng.integers(len(files))]
        file.write_bytes(damaged(file.read_bytes(), rng))
        yield "zarr.json", folder


def test_damaged_files(tmp_path, tally):
    place = Place(tmp_path)
    made = list(spoilt(place, np.random.default_rng(1)))
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(str(path) for _, path in made))
    told = {}
    while len(told) < len(made):
        told |= _read_from(listed, len(told))
    counts = collections.Counter((made[i][0], words) for i, words in told.items())
    tally.count("damaged files that were read", sum(name != WHOLE for name, _ in made))
    for name in dict.fromkeys(name for name, _ in made):
        ends = {words: n for (of, words), n in sorted(counts.items()) if of == name}
        tally.told(f"read, {name}", ", ".join(f"{words} {n}" for words, n in ends.items()))
    assert counts[WHOLE, "right"] == sum(name == WHOLE for name, _ in made)
    ours = {i: w for i, w in told.items() if w not in ("right", "refused") and "lost" not in w}
    assert not {made[i]: words for i, words in ours.items()}
    lost = sum("lost" in words for words in told.values())
    assert lost <= MOST_LOST * len(made)


def _read_from(listed, first):
    """What became of each file until the reader was done, or was lost."""
    command = [sys.executable, str(READER), str(listed), str(first)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    told = {int(n): words for n, words in lines if words != "begun"}
    begun = [int(n) for n, words in lines if words == "begun"]
    assert begun, done.stderr
    if begun[-1] not in told:
        told[begun[-1]] = f"lost with {done.returncode}"
    return told
