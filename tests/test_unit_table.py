"""From a table to a study area of units: what is read, left out, refused and said."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import yaml

from lsm_core import preparation, study_area
from lsm_core.catalog import load_catalog
from lsm_core.errors import AreaError, InventoryError, SourceError
from lsm_core.unit_table import label_of

TABLE = pd.DataFrame(
    {
        "X": [0.0, 10, 20, 30, 0, 40],
        "Y": [0.0, 10, 20, 30, 0, 50],
        "slope": [5.0, 30, 12, np.nan, 5, 41],
        "aspect": [-1.0, 90, 180, 270, -1, 10],
        "rock type": [1, 2, 2, 1, 1, 3],
        "rate": [0.1, 0.2, 0.3, 0.4, 0.1, 0.5],
        "label": [0, 1, 0, 1, 0, 1],
    }
)
AREA = {
    "name": "hill",
    "units": {"source": "samples", "label": "label", "leave_out": ["rate"]},
    "factors": [
        {"name": "slope", "units": "degrees"},
        {"name": "aspect", "kind": "cyclic", "units": "degrees", "missing": [-1]},
        {
            "name": "rock",
            "column": "rock type",
            "kind": "categorical",
            "categories": {1: "granite"},
        },
    ],
}


def prepared(folder, table=TABLE, area=AREA, crs=2326, **units):
    """Write table, catalogue and area file, and prepare."""
    entry = {"data_type": "DataFrame", "uri": "t.csv", "driver": "pandas"}
    entry["metadata"] = {"x": "X", "y": "Y"} | ({"crs": crs} if crs else {})
    if isinstance(table, gpd.GeoDataFrame):
        table.to_file(folder / "t.gpkg")
        entry |= {"data_type": "GeoDataFrame", "uri": "t.gpkg", "driver": "pyogrio"}
    else:
        table.to_csv(folder / "t.csv", index=False, encoding="utf-8-sig")  # with a byte-order mark
    content = {"meta": {"version": "v1", "root": str(folder)}, "samples": entry}
    (folder / "c.yaml").write_text(yaml.safe_dump(content))
    area = area | {"units": area["units"] | units}
    (folder / "a.yaml").write_text(yaml.safe_dump(area))
    return preparation.prepare_with_inventory(folder / "a.yaml", load_catalog(folder / "c.yaml"))


@pytest.fixture(autouse=True)
def no_data_root(monkeypatch):
    monkeypatch.delenv("LSM_DATA", raising=False)


def lines(ds):
    return "\n".join(json.loads(ds.attrs["prepared"])["lines"])


def test_a_table_becomes_a_study_area(tmp_path):
    """Factors in order, categories with names, -1 is flat, the copy left out and said."""
    ds = prepared(tmp_path).ds
    assert study_area.is_units(ds)
    assert study_area.shape_of(ds) == (5, 1)
    assert study_area.factors(ds) == ["slope", "aspect", "rock"]
    assert ds["unit"].values.tolist() == [1, 2, 3, 4, 6]
    assert ds["landslide"].values.tolist() == [0, 1, 0, 1, 1]
    assert np.isnan(ds["slope"].values).tolist() == [False, False, False, True, False]
    assert np.isnan(ds["aspect"].values[0])
    assert study_area.categories(ds["rock"]) == {1: "granite", 2: "class 2", 3: "class 3"}
    assert ds["x"].values.tolist() == [0, 10, 20, 30, 40]
    assert ds.rio.crs.to_epsg() == 2326
    assert "1 rows are exact copies of another row: left out" in lines(ds)
    assert "left out by the area file: rate" in lines(ds)
    assert "slope: 1 of 5 values are missing" in lines(ds)
    assert json.loads(ds.attrs["prepared"])["counts"]["copies"] == 1
    assert len(json.loads(ds.attrs["fingerprints"])["samples"]) == 64


def test_copies_can_be_kept(tmp_path):
    ds = prepared(tmp_path, duplicates="keep").ds
    assert ds.sizes["unit"] == 6
    assert "exact copies of another row: kept" in lines(ds)
    assert "1 units lie at the very place of another one" in lines(ds)


def test_saved_and_reopened_is_identical(tmp_path):
    built = prepared(tmp_path)
    path = study_area.save_area(built.ds, tmp_path / "areas" / "hill", inventory=built.inventory)
    again = study_area.open_area(path)
    assert again.identical(built.ds)
    assert study_area.units_of(path)["unit"].tolist() == [1, 2, 3, 4, 6]


def test_a_table_without_coordinates(tmp_path):
    built = prepared(tmp_path, crs=None)
    assert "x" not in built.ds.coords
    assert "no coordinates" in lines(built.ds)
    path = study_area.save_area(built.ds, tmp_path / "areas" / "hill")
    assert study_area.open_area(path).identical(built.ds)
    with pytest.raises(AreaError, match="no units in"):
        study_area.units_of(path)


def test_degrees_are_taken_to_metres(tmp_path):
    table = TABLE.assign(X=114 + TABLE["X"] / 1000, Y=22 + TABLE["Y"] / 1000)
    ds = prepared(tmp_path, table, crs=4326).ds
    assert ds.rio.crs.to_epsg() in (32649, 32650)
    assert "coordinates in degrees were taken to EPSG:326" in lines(ds)
    assert np.hypot(*np.diff(np.stack([ds["x"], ds["y"]]), axis=1)[:, 0]) == pytest.approx(
        1512, 0.01
    )


def polygons():
    """Four slope units with counts; the second is a bow-tie."""
    bow = shapely.Polygon([(10, 0), (20, 10), (20, 0), (10, 10)])
    shapes = [shapely.box(0, 0, 10, 10), bow, shapely.box(20, 0, 30, 20), shapely.box(0, 20, 5, 30)]
    columns = {"slope": [10.0, 20, 30, 40], "y": [0.0, 3, 0, 1], "cat": [11, 12, 13, 14]}
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=32643)


UNITS = {
    "name": "slopes",
    "units": {"source": "samples", "label": "y", "count": True, "id": "cat"},
    "factors": [{"name": "slope", "units": "degrees"}],
}


def test_slope_units_count_their_landslides(tmp_path):
    """A count above 0 is a landslide unit; polygons are measured, repaired and kept."""
    built = prepared(tmp_path, polygons(), UNITS)
    ds = built.ds
    assert ds["landslide"].values.tolist() == [0, 1, 0, 1]
    assert ds["landslide_count"].values.tolist() == [0, 3, 0, 1]
    assert ds["unit"].values.tolist() == [11, 12, 13, 14]
    assert ds["unit_area"].values.tolist() == [100, 50, 200, 50]
    assert "1 invalid polygons were repaired" in lines(ds)
    path = study_area.save_area(ds, tmp_path / "areas" / "slopes", inventory=built.inventory)
    shapes = study_area.units_of(path)
    points = shapely.points(np.column_stack([ds["x"], ds["y"]]))
    assert shapely.contains(shapes.geometry.to_numpy(), points).all()


def test_a_rate_is_no_label(tmp_path):
    area = AREA | {"units": AREA["units"] | {"leave_out": []}}
    words = r"rate is no label: 5 of 5 rows hold 0.1, 0.2, 0.3, \.\.\."
    with pytest.raises(AreaError, match=words):
        prepared(tmp_path, TABLE, area, label="rate")
    with pytest.raises(AreaError, match="a number of landslides is needed"):
        label_of(pd.Series([1.0, -2.0], name="y"), count=True)


def test_other_mistakes_are_named(tmp_path):
    with pytest.raises(InventoryError, match="one class only: all 3 rows"):
        prepared(tmp_path, TABLE[TABLE["label"] == 1])
    with pytest.raises(SourceError, match="no column 'lable': did you mean label"):
        prepared(tmp_path, label="lable")
    with pytest.raises(SourceError, match="no numbers, such as 'granite'"):
        prepared(tmp_path, TABLE.assign(**{"rock type": "granite"}))
    with pytest.raises(SourceError, match=r"rock is no column of categories: it holds \[1.5\]"):
        prepared(tmp_path, TABLE.assign(**{"rock type": 1.5}))
    with pytest.raises(AreaError, match="label is a factor and the label"):
        prepared(tmp_path, area=AREA | {"factors": ["label"]})
    with pytest.raises(AreaError, match=r"unknown key 'units\.sorce': did you mean source"):
        prepared(tmp_path, sorce="x")
    with pytest.raises(AreaError, match="does not number the units"):
        prepared(tmp_path, polygons().assign(cat=1), UNITS)


def test_rows_without_a_label_are_left_out_and_wild_values_said(tmp_path):
    table = pd.concat([TABLE.drop_duplicates()] * 3, ignore_index=True)
    table["slope"] = np.arange(len(table), dtype=float)
    table.loc[0, "label"], table.loc[1, "slope"] = None, 1e6
    ds = prepared(tmp_path, table).ds
    assert ds.sizes["unit"] == 14
    assert "1 rows have no label and are left out" in lines(ds)
    assert "slope: 1 values are wild (1e+06 to 1e+06" in lines(ds)
    factors = [{"name": "slope", "units": "degrees", "limits": [0, 90]}, *AREA["factors"][1:]]
    cut = prepared(tmp_path, table, AREA | {"factors": factors}).ds
    assert "slope: 1 values outside 0 to 90 count as missing" in lines(cut)
    assert np.isnan(cut["slope"].values).sum() == 1


def test_words_for_yes_and_no():
    words = pd.Series(["TRUE", "false", " 1 ", "0.0", None, True])
    np.testing.assert_array_equal(label_of(words), [1, 0, 1, 0, np.nan, 1])


def test_shipped_tables(shared_data, monkeypatch):
    """Hong Kong, Ecuador's points, Nagaland, as their READMEs count them."""
    monkeypatch.setenv("LSM_DATA", str(shared_data))
    catalog = load_catalog()
    expected = {"hongkong": (16660, 8459, 433), "ecuador_points": (350, 175, 1)}
    expected["nagaland"] = (832, 115, 0)
    for name, (units, landslides, copies) in expected.items():
        ds = preparation.prepare(name, catalog)
        counts = json.loads(ds.attrs["prepared"])["counts"]
        assert (counts["units"], counts["landslide_units"], counts["copies"]) == (
            units, landslides, copies,
        )  # fmt: skip
    assert int(ds["landslide_count"].sum()) == 206
