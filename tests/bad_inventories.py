"""Inventories that are not what they say, brought to `lsm prepare`."""

import json
import warnings

import geopandas as gpd
import numpy as np
import shapely
from bad_rasters import LIE
from strangers import SIDE, equal, hills, refused, right

from lsm_core import preparation


def inventory(place, *shapes, crs="EPSG:32643"):
    frame = gpd.GeoDataFrame({"n": range(len(shapes))}, geometry=list(shapes), crs=crs)
    place.country  # noqa: B018  (its own inventory is laid first)
    frame.to_file(place.files / "slides.gpkg", layer="slides")
    return place.prepare()


@refused("no landslide lies in the study area")
def prepare_an_inventory_of_elsewhere(place):
    return inventory(place, shapely.box(600000, 3999000, 600100, 3999100))


@refused("no landslide lies in the study area")
def prepare_an_inventory_in_degrees_called_metres(place):
    return inventory(place, shapely.box(75.0, 36.1, 75.1, 36.2))


@refused("is empty")
def prepare_an_empty_inventory(place):
    return inventory(place)


@refused("has no coordinate reference system")
def prepare_an_inventory_without_crs(place):
    with warnings.catch_warnings(action="ignore"):
        return inventory(place, place.box(3, 3, 5, 6), crs=None)


@refused("one class only")
def prepare_an_inventory_of_everything(place):
    return inventory(place, place.box(-1, -1, SIDE + 1, SIDE + 1))


@refused("is a point or a polygon")
def prepare_an_inventory_of_lines(place):
    return inventory(place, place.box(3, 3, 5, 6).boundary)


@refused("is a point or a polygon")
def prepare_an_inventory_of_nothing_drawn(place):
    return inventory(place, None, shapely.Polygon())


@right
def prepare_mixed_shapes(place):
    build = inventory(
        place, place.box(3, 3, 5, 6), place.box(9, 9, 11, 11).boundary, None,
        place.box(12, 10, 15, 13).centroid,
        shapely.GeometryCollection([place.box(7, 7, 8, 8), place.box(7, 7, 8, 8).boundary]),
    )  # fmt: skip

    def check():
        about = json.loads(build().attrs["prepared"])["counts"]
        assert (about["read"], about["lines"], about["without_geometry"]) == (5, 1, 1)
        assert about["kept"] == 3

    return check


@right(torture=True)
def prepare_a_bow_tie_is_repaired(place):
    x, y = place.country.transform * (5, 5)
    tie = shapely.Polygon([(x, y), (x + 80, y - 80), (x + 80, y), (x, y - 80)])
    build = inventory(place, tie)
    return lambda: equal(json.loads(build().attrs["prepared"])["counts"]["repaired"], 1)


@right(torture=True)
def prepare_duplicates_are_counted(place):
    box = place.box(3, 3, 5, 6)
    build = inventory(place, box, box, box)
    return lambda: equal(json.loads(build().attrs["prepared"])["counts"]["copies"], 2)


@right(torture=True)
def prepare_heights_are_left_aside(place):
    build = inventory(place, shapely.force_3d(place.box(3, 3, 5, 6), 5))
    return lambda: equal(int(build()["landslide"].sum()), 6)


@right(torture=True)
def prepare_an_outline_of_half_a_million_corners(place):
    x, y = place.country.transform * (10, 10)
    angle = np.linspace(0, 2 * np.pi, 500_000)
    around = np.column_stack([x + 60 * np.cos(angle), y + 60 * np.sin(angle)])
    build = inventory(place, shapely.Polygon(around))
    return lambda: equal(int(build()["landslide"].sum()) in range(24, 33), True)


@right(torture=True)
def prepare_a_shape_as_large_as_the_world(place):
    build = inventory(
        place, place.box(3, 3, 5, 6),
        shapely.box(-1e9, 3999800, 1e9, 3999860),
    )  # fmt: skip
    return lambda: equal(json.loads(build().attrs["prepared"])["counts"]["over_the_edge"], 1)


@refused("has coordinates that are no numbers|no landslide|is a point or a polygon")
def prepare_corners_that_are_no_numbers(place):
    return inventory(place, shapely.Point(np.nan, np.nan), shapely.Point(np.inf, 0))


@right(torture=True)
def prepare_columns_that_are_ours(place):
    place.country  # noqa: B018
    names = ("landslide_id", "valid", "x", "place", "=1+1")
    frame = gpd.GeoDataFrame(
        {name: [1, 2] for name in names},
        geometry=[place.box(3, 3, 5, 6), place.box(12, 10, 15, 13)], crs=32643,
    )  # fmt: skip
    frame.to_file(place.files / "slides.gpkg", layer="slides")
    build = place.prepare()
    return lambda: equal(build()["place"].values.tolist(), [1, 2])


@refused("holds the layers")
def prepare_several_layers_of_which_none_is_named(place):
    place.country  # noqa: B018
    more = gpd.GeoDataFrame(geometry=[place.box(1, 1, 2, 2)], crs=32643)
    more.to_file(place.files / "slides.gpkg", layer="others")
    return place.prepare()


@refused(LIE)
def prepare_an_inventory_that_is_a_list_of_another_file(place):
    place.country  # noqa: B018
    place.write("slides.gpkg", "<OGRVRTDataSource/>")
    return place.prepare()


@refused("has no field 'year_of'")
def prepare_a_field_that_is_not_there(place):
    return place.prepare(inventory={"source": "slides", "where": {"year_of": 2005}})


@refused("the inventory is empty|no feature")
def prepare_a_choice_that_leaves_none(place):
    return place.prepare(inventory={"source": "slides", "where": {"year": 1999}})


@refused("no column 'x'|no column")
def prepare_a_table_without_coordinates(place):
    place.country.entries["points"] = {"metadata": {"crs": 32643}}
    place.write("points.csv", "east,north\n500100,3999900\n")
    return place.prepare(inventory={"source": "points"})


@refused("points has no CRS")
def prepare_a_table_without_crs(place):
    place.country  # noqa: B018
    place.write("points.csv", "x,y\n500100,3999900\n")
    return place.prepare(inventory={"source": "points"})


@refused("none of the 2 features is a point or a polygon")
def prepare_a_table_with_decimal_commas(place):
    place.country.entries["points"] = {"metadata": {"crs": 32643}}
    place.write("points.csv", 'x,y\n"500100,5","3999900,5"\n"500101,5","3999901,5"\n')
    return place.prepare(inventory={"source": "points"})


@right
def prepare_a_table_with_a_byte_order_mark(place):
    place.country.entries["points"] = {"metadata": {"crs": 32643}}
    place.write("points.csv", b"\xef\xbb\xbfx,y\n500100,3999900\n500150,3999800\n")
    build = place.prepare(inventory={"source": "points"})
    return lambda: equal(int(build()["landslide"].sum()), 2)


@refused("one class only|samples|both")
def prepare_units_of_one_class(place):
    rows = "\n".join(f"{i},{i * 2},0" for i in range(30))
    place.write("units.csv", f"unit,slope,slid\n{rows}\n")
    return _units(place)


@refused("units.csv is not what its name says|cannot be read|is empty|no column|no row")
def prepare_units_of_an_empty_table(place):
    place.write("units.csv", "")
    return _units(place)


@refused("slid is no label")
def prepare_units_whose_label_is_a_word(place):
    rows = "\n".join(f"{i},{i * 2},{'slid' if i % 2 else 'stood'}" for i in range(30))
    place.write("units.csv", f"unit,slope,slid\n{rows}\n")
    return _units(place)


@refused("slope")
def prepare_units_whose_factor_is_a_word(place):
    rows = "\n".join(f"{i},steep{i},{i % 2}" for i in range(30))
    place.write("units.csv", f"unit,slope,slid\n{rows}\n")
    return _units(place)


def _units(place):
    import yaml

    path = place.files / "units_area.yaml"
    about = {"name": "units", "units": {"source": "units", "label": "slid"}, "factors": ["slope"]}
    path.write_text(yaml.safe_dump(about))
    catalog = place.country.catalog()
    return lambda: preparation.prepare(path, catalog)


@refused("elevations|unit_mult")
def prepare_a_unit_that_is_no_number(place):
    place.country.raster("dem", hills() * 100)
    return place.prepare()
