"""Inventories, lines and tables that are not what they say, brought to upload and `lsm prepare`."""

import json
import sqlite3
import struct
import warnings
from contextlib import closing

import geopandas as gpd
import numpy as np
import shapely
from strangers import SIDE, hills, refused, right

from lsm_core import inventory as inventories
from lsm_core import preparation
from lsm_core.intake import crs_of
from lsm_core.own_sources import add_source

LIE = "is not what its name says"
HEAD = '{"type": "FeatureCollection", "features": ['


def features(*geometries, **more):
    shapes = [
        {"type": "Feature", "properties": {}, "geometry": geometry} for geometry in geometries
    ]
    return json.dumps({"type": "FeatureCollection", "features": shapes} | more)


def ring(*corners):
    return {"type": "Polygon", "coordinates": [list(corners)]}


SQUARE = ring([73, 34], [73.1, 34], [73.1, 34.1], [73, 34.1], [73, 34])


def geojson(place, text):
    return place.upload(place.write("slides.geojson", text))


def gpkg(place, *shapes):
    frame = gpd.GeoDataFrame(geometry=list(shapes), crs="EPSG:32643")
    path = place.files / "slides.gpkg"
    frame.to_file(path, layer="slides")
    return path


def sql(path, *words):
    with closing(sqlite3.connect(path)) as file:
        for line in words:
            file.execute(line)
        file.commit()
    return path


# ------------------------------------------------------------------------------- GeoPackage


@refused(LIE)
def an_empty_geopackage(place):
    return place.upload(place.write("slides.gpkg", b""))


@refused(LIE)
def a_geopackage_that_is_a_list_of_another_file(place):
    text = f"<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>{place.beside}/private.txt"
    return place.upload(
        place.write("slides.gpkg", text + "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>")
    )


@refused("slides.gpkg cannot be read")
def a_geopackage_of_its_first_bytes_only(place):
    return place.upload(place.write("slides.gpkg", b"SQLite format 3\0" + bytes(84)))


@refused("slides.gpkg cannot be read")
def a_geopackage_cut_in_half(place):
    path = gpkg(place, place.box(3, 3, 5, 6))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return place.upload(path)


@refused("slides.gpkg cannot be read")
def a_database_that_is_no_geopackage(place):
    path = place.files / "slides.gpkg"
    return place.upload(sql(path, "CREATE TABLE a (b)", "INSERT INTO a VALUES (1)"))


@refused("holds no layer with a geometry")
def a_geopackage_of_a_table_without_geometry(place):
    import pandas as pd
    import pyogrio

    path = place.files / "slides.gpkg"
    pyogrio.write_dataframe(pd.DataFrame({"a": [1]}), path, layer="a")
    return place.upload(path)


@refused("is a query, which may never end")
def a_layer_that_is_an_endless_query(place):
    path = gpkg(place, place.box(3, 3, 5, 6))
    endless = (
        "CREATE VIEW slides AS WITH RECURSIVE n(fid) AS (SELECT 1 UNION ALL SELECT fid + 1 FROM n)"
        " SELECT n.fid, s.geom FROM n, old s"
    )
    return place.upload(sql(path, "ALTER TABLE slides RENAME TO old", endless,
                            "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type) "
                            "VALUES ('slides', 'features')"))  # fmt: skip


@refused("is a query, which may never end|cannot be read")
def a_layer_that_stands_for_another_file(place):
    path = gpkg(place, place.box(3, 3, 5, 6))
    schema = (
        "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('table', 'out', "
        f"'out', 0, 'CREATE VIRTUAL TABLE out USING VirtualOGR(''{place.beside}/private.txt'')')"
    )
    return place.upload(sql(path, "PRAGMA writable_schema=ON", schema,
                            "INSERT INTO gpkg_contents (table_name, data_type) "
                            "VALUES ('out', 'features')"))  # fmt: skip


@right
def a_layer_called_like_a_command(place):
    path = place.files / "odd.gpkg"
    name = "a'; DROP TABLE gpkg_contents; --"
    frame = gpd.GeoDataFrame(geometry=[place.box(3, 3, 5, 6)], crs=32643)
    frame.to_file(path, layer=name)
    return lambda: _is(place.upload(path)().look().layers, (name,))


def _is(got, wanted):
    assert got == wanted


# -------------------------------------------------------------------------------- shapefile


def shapefile(place, change=lambda path: None):
    """All parts of one, after a change; what is tried is to send them."""
    path = place.files / "slides.shp"
    gpd.GeoDataFrame({"a": [1]}, geometry=[place.box(3, 3, 5, 6)], crs=32643).to_file(path)
    change(path)
    parts = [path.with_suffix(e) for e in (".prj", ".dbf", ".shx", ".shp")]
    return place.upload(*[part for part in parts if part.exists()])


@refused("does not state the coordinate reference system")
def a_shapefile_without_prj_says_so(place):
    def change(path):
        path.with_suffix(".prj").write_text(" ")

    return shapefile(place, change)


@refused("cannot be read|no coordinate reference system|does not state")
def a_shapefile_whose_prj_is_noise(place):
    return shapefile(place, lambda path: path.with_suffix(".prj").write_text('PROJCS["x",[[[['))


@refused(LIE)
def a_shapefile_of_other_first_bytes(place):
    return shapefile(place, lambda path: path.write_bytes(b"\0" * 200))


@right
def a_shapefile_that_claims_two_billion_rows_has_as_many_as_shapes(place):
    def change(path):
        data = bytearray(path.with_suffix(".dbf").read_bytes())
        struct.pack_into("<I", data, 4, 2_000_000_000)
        path.with_suffix(".dbf").write_bytes(data)

    send = shapefile(place, change)
    return lambda: _is(send().look().features, 1)


@right
def a_shapefile_of_which_a_part_is_missing_waits(place):
    send = shapefile(place, lambda path: path.with_suffix(".shx").unlink())
    return lambda: _is(send(), None)


# ---------------------------------------------------------------------------------- GeoJSON


@refused(LIE)
def an_empty_geojson(place):
    return geojson(place, "")


@refused(LIE)
def a_geojson_that_is_a_list_of_another_file(place):
    return geojson(place, "<OGRVRTDataSource/>")


@refused("cannot be read")
def a_geojson_that_ends_too_soon(place):
    return geojson(place, HEAD + '{"type": "Feature"')


@refused("cannot be read|holds no layer|is a ")
def a_geojson_of_another_kind_of_json(place):
    return geojson(place, '{"type": "Topology", "objects": {}, "arcs": []}')


@refused("cannot be read|holds no layer|is a ")
def a_json_of_anything(place):
    return geojson(place, '{"name": "slides", "values": [1, 2, 3]}')


@refused("cannot be read|holds no layer")
def a_geojson_nested_a_hundred_thousand_deep(place):
    deep = '{"type": "GeometryCollection", "geometries": [' * 100_000
    return geojson(place, HEAD + '{"type": "Feature", "geometry": ' + deep)


@right
def a_geojson_without_features_has_none(place):
    send = geojson(place, HEAD + "]}")
    return lambda: _is(send().look().features, 0)


@right
def a_geojson_of_null_geometry(place):
    send = geojson(place, features(SQUARE, None))
    return lambda: _is(send().look().features, 2)


@right
def a_geojson_of_coordinates_beyond_the_world(place):
    far = {"type": "Point", "coordinates": [1e300, -1e300]}
    send = geojson(place, features(far))
    return lambda: _is(send().look().middle, None)


@right
def a_geojson_whose_crs_is_an_address_asks_nobody(place):
    """Port 9 would be refused at once; a real one would hear of it."""
    link = {"type": "name", "properties": {"name": "http://127.0.0.1:9/epsg/32643"}}
    send = geojson(place, features(SQUARE, crs=link))
    return lambda: _is(send().look().features, 1)


@right
def a_geojson_of_mixed_shapes(place):
    point = {"type": "Point", "coordinates": [73, 34]}
    line = {"type": "LineString", "coordinates": [[73, 34], [74, 35]]}
    send = geojson(place, features(point, line, SQUARE))
    return lambda: _is(send().look().features, 3)


# -------------------------------------------------------------------------------- CRS in words


@refused("is no coordinate reference system")
def a_crs_that_is_an_address(place):
    return lambda: crs_of("http://127.0.0.1:9/epsg")


@refused("is no coordinate reference system")
def a_crs_that_is_a_file(place):
    return lambda: crs_of(str(place.beside / "private.txt"))


@refused("is no coordinate reference system")
def a_crs_of_99999999(place):
    return lambda: crs_of("99999999999999999999")


@refused("is no coordinate reference system")
def a_crs_that_is_a_pipeline(place):
    return lambda: crs_of("+proj=pipeline +step +proj=axisswap +order=2,1")


@right
def a_crs_without_a_number_of_its_own_is_kept_whole(place):
    own = "+proj=laea +lat_0=36.1 +lon_0=75 +units=m +datum=WGS84"
    path = place.write("points.csv", "x,y\n0,0\n10,10\n")

    def add():
        entry = add_source(path, crs=own)
        assert crs_of(entry.crs).to_dict()["lat_0"] == 36.1

    return add


# ------------------------------------------------------------------------------------- tables


def table(place, text):
    """A table that comes, and is told its CRS."""
    path = place.write("points.csv", text)
    return lambda: add_source(path, crs="32643")


@refused(LIE)
def an_empty_table(place):
    return table(place, "")


@refused(LIE)
def a_table_of_a_byte_order_mark_only(place):
    return table(place, b"\xef\xbb\xbf")


@refused("1 columns .* parted by commas")
def a_table_of_one_column(place):
    return table(place, "x\n1\n")


@refused("1 columns .* parted by commas")
def a_table_parted_by_semicolons(place):
    return table(place, "x;y\n1,5;2,5\n")


@refused("1,000,000 columns|first line of points.csv is longer")
def a_table_of_a_million_columns(place):
    return table(place, ",".join(map(str, range(1_000_000))) + "\n")


@refused("3,000 columns")
def a_table_of_three_thousand_columns(place):
    return table(place, ",".join(f"c{i}" for i in range(3000)) + "\n1,2\n")


@refused("first line of points.csv is longer")
def a_table_without_line_ends(place):
    return table(place, "1,2," * 400_000)


@refused("cannot be read as a CSV in UTF-8")
def a_table_in_latin_1(place):
    return table(place, "x,y,größe\n1,2,3\n".encode("latin-1"))


@refused(LIE)
def a_table_in_utf_16(place):
    return table(place, "x,y\n1,2\n".encode("utf-16"))


@refused(LIE)
def a_table_with_nul_bytes(place):
    return table(place, b"x,y\n1,\0\n")


@right
def a_table_with_a_byte_order_mark(place):
    add = table(place, b"\xef\xbb\xbfx,y\n1,2\n")
    return lambda: _is(add().look().fields, ("x", "y"))


@right
def a_table_whose_last_line_does_not_end(place):
    add = table(place, "x,y\n1,2\n3,4")
    return lambda: _is(add().look().features, 2)


@refused("points.csv cannot be read|no readable row|no point|no finite|cannot be read")
def points_with_decimal_commas(place):
    path = place.write("points.csv", 'x,y\n"500010,5","3999990,5"\n')
    return lambda: inventories.read_points(path, crs_of("32643"))


@refused("cannot be read")
def points_whose_quote_never_ends(place):
    path = place.write("points.csv", 'x,y\n"500010,3999990\n1,2\n')
    return lambda: inventories.read_points(path, crs_of("32643"))


@right
def points_that_are_nowhere_are_counted(place):
    path = place.write("points.csv", "x,y\n1,2\ninf,2\nnan,1\n-,1\n")
    return lambda: _is(inventories.read_points(path, crs_of("32643")).attrs["left_out"], 3)


@refused(LIE)
def points_that_are_a_list_of_another_file(place):
    path = place.write("points.gpkg", "<OGRVRTDataSource/>")
    return lambda: inventories.read_points(path, crs_of("32643"))


# ------------------------------------------------------------------------- names that are sent


def called(place, name):
    return place.upload(place.raster("dem.tif"), called=name)


NAMES = {
    "that_climbs": "../../../../etc/cron.d/dem.tif",
    "of_windows": "C:\\Windows\\System32\\dem.tif",
    "with_a_nul": "a\0b.tif",
    "with_line_ends": "a\nb\r.tif",
    "of_a_formula": "=HYPERLINK(1).tif",
    "of_a_tag": "<img src=x onerror=alert(1)>.tif",
    "of_5000_letters": "a" * 5000 + ".tif",
    "written_from_right_to_left": "\u202egnp.tif",
    "of_emoji": "⛰️🏔.tif",
    "that_is_a_device": "CON.tif",
    "of_dots": "....tif",
    "of_blanks": "   .tif",
    "with_quotes": "';\"`$(reboot).tif",
    "of_half_a_letter": "\ud800.tif",
}


def _of_name(name):
    def make(place):
        send = called(place, name)

        def sent():
            entry = send()
            assert entry.path.name == "data.tif"
            assert entry.path.is_relative_to(place.workspace.resolve())
            assert entry.name.isidentifier()

        return sent

    return make


for _words, _name in NAMES.items():
    _case = _of_name(_name)
    _case.__name__ = f"a_name_{_words}"
    right(_case)


@refused("is of no kind that is taken")
def a_name_that_is_an_ending_only(place):
    return called(place, ".tif")


@refused("is of no kind that is taken")
def a_name_that_is_nothing(place):
    return called(place, "")


@refused("is of no kind that is taken")
def a_name_of_a_program(place):
    return called(place, "dem.tif.exe")


@refused("is of no kind that is taken")
def an_upload_of_a_vrt(place):
    return place.upload(place.write("dem.vrt", "<VRTDataset/>"))


@refused("is of no kind that is taken")
def an_upload_of_an_archive(place):
    return place.upload(place.write("slides.zip", b"PK\3\4"))


# ------------------------------------------------------------------------ to `lsm prepare`


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
    return lambda: _is(json.loads(build().attrs["prepared"])["counts"]["repaired"], 1)


@right(torture=True)
def prepare_duplicates_are_counted(place):
    box = place.box(3, 3, 5, 6)
    build = inventory(place, box, box, box)
    return lambda: _is(json.loads(build().attrs["prepared"])["counts"]["copies"], 2)


@right(torture=True)
def prepare_heights_are_left_aside(place):
    build = inventory(place, shapely.force_3d(place.box(3, 3, 5, 6), 5))
    return lambda: _is(int(build()["landslide"].sum()), 6)


@right(torture=True)
def prepare_an_outline_of_half_a_million_corners(place):
    x, y = place.country.transform * (10, 10)
    angle = np.linspace(0, 2 * np.pi, 500_000)
    around = np.column_stack([x + 60 * np.cos(angle), y + 60 * np.sin(angle)])
    build = inventory(place, shapely.Polygon(around))
    return lambda: _is(int(build()["landslide"].sum()) in range(24, 33), True)


@right(torture=True)
def prepare_a_shape_as_large_as_the_world(place):
    build = inventory(
        place, place.box(3, 3, 5, 6),
        shapely.box(-1e9, 3999800, 1e9, 3999860),
    )  # fmt: skip
    return lambda: _is(json.loads(build().attrs["prepared"])["counts"]["over_the_edge"], 1)


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
    return lambda: _is(build()["place"].values.tolist(), [1, 2])


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
    return lambda: _is(int(build()["landslide"].sum()), 2)


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
