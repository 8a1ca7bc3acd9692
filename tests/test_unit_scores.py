"""Scores of units as a table: who tested, what each zone holds of the ground."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from lsm_core.unit_scores import density_by_area, drawn, score_table


def units(**more):
    coords = {"unit": [11, 12, 13], "x": ("unit", [1.0, 2, 3]), "y": ("unit", [4.0, 5, 6])}
    ds = xr.Dataset({"landslide": ("unit", np.array([0, 1, 0], "uint8"))}, coords)
    return ds.assign({name: ("unit", values) for name, values in more.items()})


SAMPLES = pd.DataFrame({"row": [2, 0], "split": ["test", "train"]})


def test_every_unit_has_its_row():
    """Scores in the order of the units, whatever that of the samples."""
    table = score_table(units(), [[0.1], [0.7], [np.nan]], [[1], [4], [0]], SAMPLES)
    assert list(table) == ["unit", "x", "y", "label", "split", "score", "zone"]
    assert table["unit"].tolist() == [11, 12, 13]
    assert table["split"].tolist() == ["train", "", "test"]
    assert table["zone"].tolist() == [1, 4, 0]
    ds = units(landslide_count=[0, 3, 0], unit_area=[1e6, 2e6, 3e6])
    more = score_table(ds, [0] * 3, [1] * 3, SAMPLES)
    assert list(more)[3:6] == ["label", "landslide_count", "area_m2"]


def test_shapes_follow_the_number_of_the_unit(tmp_path):
    shapes = gpd.GeoDataFrame(
        {"unit": [13, 11, 12]}, geometry=[shapely.Point(i, 0) for i in (13, 11, 12)], crs=32643
    )
    shapes.to_file(tmp_path / "units.gpkg", layer="units")
    table = score_table(units(), [0.1, 0.7, 0.2], [1, 4, 2], SAMPLES)
    assert drawn(table, tmp_path).geometry.x.tolist() == [11, 12, 13]
    assert drawn(table, tmp_path / "nowhere") is None


def test_density_by_area_by_hand():
    """Landslides by number, invalid units out, an empty zone stays."""
    table = pd.DataFrame(
        {
            "zone": [1, 1, 3, 0],
            "area_m2": [1e6, 3e6, 4e6, 9e6],
            "label": [0, 1, 1, 1],
            "landslide_count": [0, 2, 6, 5],
        }
    )
    found = density_by_area(table, 3)
    assert found["units"].tolist() == [2, 0, 1]
    assert found["share_of_area"].tolist() == [0.5, 0, 0.5]
    assert found["share_of_landslides"].tolist() == [0.25, 0, 0.75]
    assert found["landslides_per_km2"].tolist() == pytest.approx([0.5, np.nan, 1.5], nan_ok=True)
    assert density_by_area(table.drop(columns="landslide_count"), 3)["landslides"].sum() == 2
