"""Rasters that are not what they say, brought to the upload page and to `lsm prepare`."""

import warnings
from functools import partial

import numpy as np
import rasterio
import rasterio.enums
from affine import Affine
from strangers import (
    PLACE,
    SIDE,
    add,
    equal,
    hills,
    refused,
    replaced,
    right,
    with_doubles,
    with_tag,
)

WIDTH, HEIGHT, BITS, COMPRESSION, STRIP_OFFSETS, STRIP_BYTES = 256, 257, 258, 259, 273, 279
PIXEL_SCALE, TIE_POINT = 33550, 33922
VRT = """<VRTDataset rasterXSize="20" rasterYSize="20"><SRS>EPSG:32643</SRS>
<GeoTransform>500000, 20, 0, 4000000, 0, -20</GeoTransform><VRTRasterBand dataType="Float32"
band="1"><SimpleSource><SourceFilename relativeToVRT="{relative}">{of}</SourceFilename>
<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""
LIE = "is not what its name says"
UNREADABLE = "cannot be read as a GeoTIFF"

# ------------------------------------------------------------------ files that are no GeoTIFF


def _sent(place, content):
    return place.upload(place.write("dem.tif", content))


NO_TIFF = {  # files called dem.tif: the words, and what they hold
    "an_empty_tif": (LIE, b""),
    "a_tif_of_one_byte": (LIE, b"I"),
    "a_tif_that_is_text": (LIE, "ncols 20\nnrows 20\n"),
    "a_tif_that_is_an_hdf5": (LIE, b"\x89HDF\r\n\x1a\n" + bytes(200)),
    "a_tif_that_is_a_zip": (LIE, b"PK\3\4" + bytes(200)),
    "a_tif_that_is_a_vrt_of_an_address": (
        LIE,
        VRT.format(relative=0, of="/vsicurl/http://127.0.0.1:9/x.tif"),
    ),
    "a_tif_that_is_a_vrt_of_a_relative_path": (
        LIE,
        VRT.format(relative=1, of="../../beside/private.txt"),
    ),
    "a_tif_that_is_its_first_bytes_only": (UNREADABLE, b"II*\0"),
    "a_tif_of_a_header_only": (UNREADABLE, b"II*\0\10\0\0\0"),
    "a_tif_whose_directory_is_beyond_its_end": (UNREADABLE, b"II*\0\xff\xff\xff\x7f" + bytes(100)),
    "a_tif_whose_directory_is_empty": (UNREADABLE, b"II*\0\10\0\0\0" + bytes(100)),
    "a_tif_whose_directory_leads_to_itself": (
        UNREADABLE,
        b"II*\0\10\0\0\0\0\0\10\0\0\0" + bytes(100),
    ),
    "a_tif_of_65535_tags_that_are_not_there": (UNREADABLE, b"II*\0\10\0\0\0\xff\xff" + bytes(500)),
    "a_big_tiff_cut_at_its_header": (UNREADABLE, b"II+\0\10\0\0\0" + b"\xff" * 8),
}

for _name, (_words, _content) in NO_TIFF.items():
    add(_name, partial(_sent, content=_content), _words)


@refused(LIE)
def a_tif_that_is_a_png(place):
    return place.upload(place.raster("dem.tif", np.zeros((20, 20), "uint8"), driver="PNG"))


@refused(LIE)
def a_tif_that_is_a_vrt_of_another_users_file(place):
    text = VRT.format(relative=0, of=place.beside / "private.txt")
    return place.upload(place.write("dem.tif", text))


@refused(LIE)
def a_tif_whose_first_byte_is_another(place):
    path = place.raster()
    path.write_bytes(b"X" + path.read_bytes()[1:])
    return place.upload(path)


@refused(UNREADABLE)
def a_tif_cut_in_half(place):
    path = place.raster(values=np.tile(hills(), (4, 4)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return place.upload(path)


@refused(UNREADABLE)
def a_tif_whose_packed_data_are_noise(place):
    path = place.raster(values=np.tile(hills(), (4, 4)), compress="deflate")
    data = bytearray(path.read_bytes())
    data[-3000:] = np.random.default_rng(1).bytes(3000)
    path.write_bytes(data)
    return place.upload(path)


@refused(UNREADABLE)
def a_tif_of_an_unknown_compression(place):
    return place.upload(with_tag(place.raster(compress="deflate"), COMPRESSION, 65000))


@refused("cannot be read as a GeoTIFF|is of a kind of number")
def a_tif_of_numbers_of_7777_bits(place):
    return place.upload(with_tag(place.raster(), BITS, 7777))


@refused(UNREADABLE)
def a_tif_whose_data_lie_beyond_its_end(place):
    return place.upload(with_tag(place.raster(), STRIP_OFFSETS, 0x7FFFFFFF))


# ------------------------------------------------------------------------------ claims of size


@refused("1,000,000 x 1,000,000 cells .* more than is taken")
def a_header_that_claims_a_million_by_a_million_cells(place):
    path = place.raster(SPARSE_OK=True)
    with_tag(path, WIDTH, 1_000_000)
    return place.upload(with_tag(path, HEIGHT, 1_000_000))


@refused("100,000 x 100,000 cells .* more than is taken")
def a_tif_of_holes_100000_cells_across(place):
    return place.upload(_holes(place, 100_000, blockxsize=512, blockysize=512))


@refused("in blocks of 100,000,000")
def a_bomb_one_block_of_which_unpacks_to_400_megabytes(place):
    return place.upload(_holes(place, 20_000, blockxsize=20_000, blockysize=20_000))


@right(torture=True)
def a_large_raster_without_overviews_is_looked_at_in_parts(place):
    path = _holes(place, 60_000, dtype="uint8", blockxsize=256, blockysize=256)

    def look():
        found = place.upload(path)().look()
        assert found.shape == (60_000, 60_000)
        assert (found.low, found.high) == (0, 0)

    return look


def _holes(place, side, dtype="uint8", **profile):
    """A GeoTIFF that claims cells of which none is stored: all zero."""
    path = place.files / "dem.tif"
    about = {"height": side, "width": side, "count": 1, "dtype": dtype, "tiled": True}
    about |= {"crs": "EPSG:32643", "transform": PLACE, "SPARSE_OK": True, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", **about | profile):
        pass
    return path


@refused("is not what its name says|cannot be read as a GeoTIFF|holds no cell")
def a_raster_of_no_cell(place):
    path = with_tag(place.raster(), WIDTH, 0)
    return place.upload(with_tag(path, HEIGHT, 0))


@right
def a_raster_of_one_cell_is_one(place):
    path = place.raster(values=np.float32([[7]]))
    return lambda: equal(place.upload(path)().look().shape, (1, 1))


@right
def more_bands_than_anybody_has(place):
    path = place.raster(values=np.zeros((300, 4, 4), "uint8"), count=300)
    return lambda: equal(len(place.upload(path)().look().bands), 300)


# ------------------------------------------------------------------------------- where it lies


@refused("does not state the coordinate reference system")
def no_crs(place):
    return place.upload(place.raster(crs=None))


@refused("does not say where on Earth it lies")
def no_georeference(place):
    with warnings.catch_warnings(action="ignore"):
        return place.upload(place.raster(transform=Affine.identity(), crs=None))


@right
def degrees_are_said(place):
    path = place.raster(crs="EPSG:4326", transform=Affine(0.001, 0, 75, 0, -0.001, 36))
    return lambda: equal(place.upload(path)().look().projected, False)


@refused("cells of no size|does not say where on Earth")
def cells_of_no_width(place):
    return place.upload(with_doubles(place.raster(), PIXEL_SCALE, 0.0, 0.0))


@refused("cells of no size|does not say where on Earth")
def cells_of_nan_width(place):
    return place.upload(with_doubles(place.raster(), PIXEL_SCALE, np.nan, np.nan))


@refused("cells of no size|does not say where on Earth")
def cells_of_endless_width(place):
    return place.upload(with_doubles(place.raster(), PIXEL_SCALE, np.inf, np.inf))


@refused("cells of no size|does not say where on Earth")
def a_corner_that_is_no_number(place):
    return place.upload(with_doubles(place.raster(), TIE_POINT, 0.0, 0.0, 0.0, np.nan, np.nan, 0.0))


@right
def a_corner_beyond_the_world_has_no_place_on_a_globe(place):
    path = place.raster(transform=Affine(20, 0, 1e30, 0, -20, 1e30))
    return lambda: equal(place.upload(path)().look().middle, None)


@refused("a CRS of no place on Earth")
def a_local_crs(place):
    local = 'LOCAL_CS["mine",UNIT["metre",1]]'
    return place.upload(place.raster(crs=rasterio.CRS.from_wkt(local)))


@refused("a CRS of no place on Earth")
def a_crs_by_a_number_that_is_none(place):
    return place.upload(replaced(place.raster(), b"\x00\x0c\x00\x00\x01\x00\x83\x7f",
                                 b"\x00\x0c\x00\x00\x01\x00\xe8\xfd"))  # fmt: skip


# ------------------------------------------------------------------------------------- values


@right
def nothing_but_nodata_is_said(place):
    path = place.raster(values=np.full((SIDE, SIDE), -9999, "float32"), nodata=-9999)
    return lambda: equal("no value" in place.upload(path)().look().words, True)


@right
def nan_and_infinity_are_no_values(place):
    values = hills()
    values[0, :3] = np.nan, np.inf, -np.inf
    path = place.raster(values=values)

    def look():
        found = place.upload(path)().look()
        assert 900 < found.low < found.high < 1300

    return look


@right
def a_nodata_that_the_type_cannot_hold_is_none(place):
    values = np.arange(400, dtype="int16").reshape(SIDE, SIDE)
    path = replaced(place.raster(values=values, nodata=-9999), b"-9999\0", b"99999\0")
    return lambda: equal(place.upload(path)().look().high, 399)


@right
def a_nodata_that_is_a_word_is_none(place):
    values = np.arange(400, dtype="int16").reshape(SIDE, SIDE)
    path = replaced(place.raster(values=values, nodata=-9999), b"-9999\0", b"none!\0")
    return lambda: equal(place.upload(path)().look().high, 399)


@refused("holds complex numbers")
def complex_numbers(place):
    return place.upload(place.raster(values=hills().astype("complex64")))


@right
def numbers_of_one_bit(place):
    path = place.raster(values=np.eye(SIDE, dtype="uint8"), nbits=1)
    return lambda: equal(place.upload(path)().look().classes, True)


@right
def numbers_of_64_bits(place):
    values = np.arange(400, dtype="uint64").reshape(SIDE, SIDE) + 2**63
    path = place.raster(values=values)
    return lambda: equal(place.upload(path)().look().low > 9e18, True)


@right
def values_of_the_largest_float_do_not_overflow(place):
    values = hills()
    values[0, 0], values[0, 1] = np.finfo("float32").max, np.finfo("float32").min
    path = place.raster(values=values)
    return lambda: equal(place.upload(path)().look().high > 3e38, True)


# ------------------------------------------------------------------------- what lies beside it

ELSEWHERE = """<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{of}</MDI>
</Metadata><PAMRasterBand band="1"><CategoryNames><Category>water</Category></CategoryNames>
</PAMRasterBand></PAMDataset>"""
LAUGHS = """<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<PAMDataset>&b;</PAMDataset>"""


@refused("dem.tif.aux.xml .* names other files")
def a_legend_that_leads_to_another_users_file(place):
    text = ELSEWHERE.format(of=_private(place))
    return place.upload(place.write("dem.tif.aux.xml", text))


@refused("has its overviews in another file")
def overviews_in_another_users_file(place):
    """GDAL opens whatever file or address a GeoTIFF names so, and gives its 666 for the 5 here."""
    dem = place.raster(values=np.full((1600, 1600), 5, "float32"))
    with rasterio.open(dem, "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(_private(place)))
    return place.upload(dem)


def _private(place):
    made = place.raster("private.tif", np.full((400, 400), 666, "float32"))
    return made.rename(place.beside / "private.tif")


@refused("declares a document type or entities")
def a_legend_of_a_billion_laughs(place):
    dem = place.raster(values=np.ones((SIDE, SIDE), "uint8"))
    beside = place.write("dem.tif.aux.xml", LAUGHS)
    return _legend(place, dem, beside)


@refused("is not readable XML")
def a_legend_that_is_no_xml(place):
    dem = place.raster(values=np.ones((SIDE, SIDE), "uint8"))
    return _legend(place, dem, place.write("dem.tif.aux.xml", "<PAMDataset>"))


@refused("is no colour file")
def colours_that_are_words(place):
    dem = place.raster(values=np.ones((SIDE, SIDE), "uint8"))
    return _legend(place, dem, place.write("dem.clr", "one red green blue\n"))


@refused("is no attribute table|is not readable XML|lacks VALUE")
def a_legend_whose_table_has_short_rows(place):
    dem = place.raster(values=np.ones((SIDE, SIDE), "uint8"))
    text = """<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable>
    <FieldDefn index="0"><Name>VALUE</Name><Type>0</Type></FieldDefn>
    <FieldDefn index="1"><Name>NAME</Name><Type>2</Type></FieldDefn>
    <Row index="0"><F>1</F></Row></GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"""
    return _legend(place, dem, place.write("dem.tif.aux.xml", text))


@refused("is no attribute table|is not readable XML|lacks VALUE")
def a_legend_whose_codes_are_words(place):
    dem = place.raster(values=np.ones((SIDE, SIDE), "uint8"))
    text = """<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable>
    <FieldDefn index="0"><Name>VALUE</Name><Type>0</Type></FieldDefn>
    <FieldDefn index="1"><Name>NAME</Name><Type>2</Type></FieldDefn>
    <Row index="0"><F>one</F><F>water</F></Row></GDALRasterAttributeTable></PAMRasterBand>
    </PAMDataset>"""
    return _legend(place, dem, place.write("dem.tif.aux.xml", text))


def _legend(place, dem, beside):
    from lsm_core.legend import legend_of

    return lambda: legend_of(dem)
