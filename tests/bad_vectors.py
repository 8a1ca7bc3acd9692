"""Inventories, CRS and names that are not what they say, brought to the upload page."""

import json
import sqlite3
import struct
from contextlib import closing
from functools import partial

import geopandas as gpd
from bad_rasters import LIE
from strangers import add, equal, refused, right

from lsm_core.intake import crs_of
from lsm_core.own_sources import add_source

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
    return lambda: equal(place.upload(path)().look().layers, (name,))


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
    return lambda: equal(send().look().features, 1)


@right
def a_shapefile_of_which_a_part_is_missing_waits(place):
    send = shapefile(place, lambda path: path.with_suffix(".shx").unlink())
    return lambda: equal(send(), None)


# ---------------------------------------------------------------------------------- GeoJSON


GEOJSON = {  # the words, and what the file holds
    "an_empty_geojson": (LIE, ""),
    "a_geojson_that_is_a_list_of_another_file": (LIE, "<OGRVRTDataSource/>"),
    "a_geojson_that_ends_too_soon": ("cannot be read", HEAD + '{"type": "Feature"'),
    "a_geojson_of_another_kind_of_json": (
        "cannot be read|holds no layer|is a ",
        '{"type": "Topology", "objects": {}, "arcs": []}',
    ),
    "a_json_of_anything": (
        "cannot be read|holds no layer|is a ",
        '{"name": "slides", "values": [1, 2, 3]}',
    ),
}

for _name, (_words, _content) in GEOJSON.items():
    add(_name, partial(geojson, text=_content), _words)


@refused("cannot be read|holds no layer")
def a_geojson_nested_a_hundred_thousand_deep(place):
    deep = '{"type": "GeometryCollection", "geometries": [' * 100_000
    return geojson(place, HEAD + '{"type": "Feature", "geometry": ' + deep)


@right
def a_geojson_without_features_has_none(place):
    send = geojson(place, HEAD + "]}")
    return lambda: equal(send().look().features, 0)


@right
def a_geojson_of_null_geometry(place):
    send = geojson(place, features(SQUARE, None))
    return lambda: equal(send().look().features, 2)


@right
def a_geojson_of_coordinates_beyond_the_world(place):
    far = {"type": "Point", "coordinates": [1e300, -1e300]}
    send = geojson(place, features(far))
    return lambda: equal(send().look().middle, None)


@right
def a_geojson_whose_crs_is_an_address_asks_nobody(place):
    """Port 9 would be refused at once; a real one would hear of it."""
    link = {"type": "name", "properties": {"name": "http://127.0.0.1:9/epsg/32643"}}
    send = geojson(place, features(SQUARE, crs=link))
    return lambda: equal(send().look().features, 1)


@right
def a_geojson_of_mixed_shapes(place):
    point = {"type": "Point", "coordinates": [73, 34]}
    line = {"type": "LineString", "coordinates": [[73, 34], [74, 35]]}
    send = geojson(place, features(point, line, SQUARE))
    return lambda: equal(send().look().features, 3)


# -------------------------------------------------------------------------------- CRS in words


CRS_IN_WORDS = {  # the words of the error, and those given
    "a_crs_that_is_an_address": ("is no coordinate reference system", "http://127.0.0.1:9/epsg"),
    "a_crs_of_99999999": ("is no coordinate reference system", "99999999999999999999"),
    "a_crs_that_is_a_pipeline": (
        "is no coordinate reference system",
        "+proj=pipeline +step +proj=axisswap +order=2,1",
    ),
}


def _crs(place, words):
    return lambda: crs_of(words)


for _name, (_words, _content) in CRS_IN_WORDS.items():
    add(_name, partial(_crs, words=_content), _words)


@refused("is no coordinate reference system")
def a_crs_that_is_a_file(place):
    return lambda: crs_of(str(place.beside / "private.txt"))


@right
def a_crs_without_a_number_of_its_own_is_kept_whole(place):
    own = "+proj=laea +lat_0=36.1 +lon_0=75 +units=m +datum=WGS84"
    path = place.write("points.csv", "x,y\n0,0\n10,10\n")

    def add():
        entry = add_source(path, crs=own)
        assert crs_of(entry.crs).to_dict()["lat_0"] == 36.1

    return add


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


def taken(place, name):
    """It is kept under a name of ours, in the workspace."""
    send = called(place, name)

    def sent():
        entry = send()
        assert entry.path.name == "data.tif"
        assert entry.path.is_relative_to(place.workspace.resolve())
        assert entry.name.isidentifier()

    return sent


for _words, _name in NAMES.items():
    add(f"a_name_{_words}", partial(taken, name=_name))


NO_KIND = {  # the words, and the name
    "a_name_that_is_an_ending_only": ("is of no kind that is taken", ".tif"),
    "a_name_that_is_nothing": ("is of no kind that is taken", ""),
    "a_name_of_a_program": ("is of no kind that is taken", "dem.tif.exe"),
}

for _name, (_words, _content) in NO_KIND.items():
    add(_name, partial(called, name=_content), _words)


@refused("is of no kind that is taken")
def an_upload_of_a_vrt(place):
    return place.upload(place.write("dem.vrt", "<VRTDataset/>"))


@refused("is of no kind that is taken")
def an_upload_of_an_archive(place):
    return place.upload(place.write("slides.zip", b"PK\3\4"))
