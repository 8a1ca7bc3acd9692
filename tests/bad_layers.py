"""Layers of a study area that are not what they say, brought to `lsm prepare`."""

import numpy as np
from affine import Affine
from bad_rasters import HEIGHT, LIE, VRT, WIDTH
from strangers import PLACE, SIDE, equal, hills, refused, replaced, right, with_tag


@refused(LIE)
def prepare_a_dem_that_is_a_vrt_called_tif(place):
    place.country.catalog()
    inner = place.raster("private.tif").rename(place.beside / "private.tif")
    place.write("dem.tif", VRT.format(relative=0, of=inner))
    return place.prepare()


@refused("has no coordinate reference system")
def prepare_a_dem_without_crs(place):
    place.country.raster("dem", hills(), crs=None)
    return place.prepare()


@refused("does not overlap|no landslide lies in the study area")
def prepare_a_dem_in_the_wrong_zone(place):
    place.country.raster("dem", hills(), crs="EPSG:32717")
    return place.prepare()


@refused("in degrees")
def prepare_a_grid_in_degrees(place):
    place.country.raster(
        "dem", hills(), crs="EPSG:4326", transform=Affine(2e-4, 0, 75, 0, -2e-4, 36.14)
    )
    return place.prepare()


@refused("rotated|no straight")
def prepare_a_rotated_grid(place):
    place.country.raster("dem", hills(), transform=PLACE * Affine.rotation(15))
    return place.prepare()


@right(torture=True)
def prepare_a_south_up_grid(place):
    south_up = PLACE * Affine.translation(0, SIDE) * Affine.scale(1, -1)
    place.country.raster("dem", hills()[::-1], transform=south_up)
    build = place.prepare()

    def check():
        ds = build()
        np.testing.assert_allclose(ds["elevation"], hills())

    return check


@refused("1 x 1 cells: two each way are the least")
def prepare_a_dem_of_one_cell(place):
    place.country.raster("dem", np.float32([[7]]))
    return place.prepare()


@refused("no cell has data|holds elevations from nan|no data")
def prepare_a_dem_of_nothing_but_nodata(place):
    place.country.raster("dem", np.full((SIDE, SIDE), -9999, "float32"), -9999)
    return place.prepare()


@right
def prepare_a_dem_with_nan_and_infinity(place):
    values = hills()
    values[0, :3] = np.nan, np.inf, -np.inf
    place.country.raster("dem", values)
    build = place.prepare()
    return lambda: equal(int((~build()["valid"]).sum()), 3)


@refused("holds elevations from")
def prepare_a_dem_whose_nodata_is_stated_beyond_its_type(place):
    values = np.full((SIDE, SIDE), 700, "int16")
    values[0, 0] = -9999
    place.country.raster("dem", values, -9999)
    replaced(place.files / "dem.tif", b"-9999\0", b"99999\0")
    return place.prepare()


@refused("GB of memory|cannot be read|cells")
def prepare_a_dem_that_claims_a_million_by_a_million(place):
    place.country.raster("dem", hills())
    path = with_tag(place.files / "dem.tif", WIDTH, 1_000_000)
    with_tag(path, HEIGHT, 1_000_000)
    return place.prepare()


@refused("dem cannot be read to its end")
def prepare_a_dem_cut_short(place):
    place.country.raster("dem", np.tile(hills(), (4, 4)))
    path = place.files / "dem.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return place.prepare(inventory={"source": "slides"})


@refused(LIE)
def prepare_a_dem_that_is_text(place):
    place.write("dem.tif", "ncols 20")
    build = place.prepare()
    place.write("dem.tif", "ncols 20")
    return build


@refused("no raster of classes")
def prepare_classes_that_are_fractions(place):
    place.country.raster("rock", hills() + 0.5)
    return place.prepare(factors=[{"name": "rock", "source": "rock", "kind": "categorical"}])


@refused("no raster of classes|a class is")
def prepare_classes_beyond_16_bits(place):
    place.country.raster("rock", np.full((SIDE, SIDE), 70_000, "int32"))
    return place.prepare(factors=[{"name": "rock", "source": "rock", "kind": "categorical"}])


@right
def prepare_classes_outside_the_legend(place):
    rock = np.ones((SIDE, SIDE), "uint8")
    rock[0, 0] = 9
    place.country.raster("rock", rock)
    part = {"name": "rock", "source": "rock", "kind": "categorical", "categories": {1: "sand"}}
    build = place.prepare(factors=["elevation", part])

    def check():
        ds = build()
        assert ds["rock"].attrs["flag_meanings"] == "sand class_9"
        assert "no name is known for 1 of 2 codes: [9]" in ds.attrs["prepared"]

    return check


@right(torture=True)
def prepare_a_legend_of_odd_names(place):
    place.country.raster("rock", np.ones((SIDE, SIDE), "uint8"))
    odd = {1: "=cmd() <b>\n\t;é"}
    part = {"name": "rock", "source": "rock", "kind": "categorical", "categories": odd}
    build = place.prepare(factors=["elevation", part])
    return lambda: equal(build()["rock"].attrs["flag_meanings"], "=cmd()_<b>_;é")


@refused("does not overlap the study area")
def prepare_a_factor_of_elsewhere(place):
    place.country.raster("rain", hills(), transform=Affine(20, 0, 700000, 0, -20, 4000000))
    return place.prepare(factors=[{"name": "rain", "source": "rain"}])


@refused("no cell has data in every raster")
def prepare_a_factor_of_nothing_but_nodata(place):
    place.country.raster("rain", np.full((SIDE, SIDE), np.nan, "float32"))
    return place.prepare(factors=["elevation", {"name": "rain", "source": "rain"}])


@refused("has no band 7")
def prepare_a_band_that_is_not_there(place):
    return place.prepare(factors=[{"name": "rain", "source": "dem", "band": 7}])


@refused("has no time axis")
def prepare_a_date_of_a_raster_without_dates(place):
    return place.prepare(factors=[{"name": "rain", "source": "dem", "time": "2023-04-28"}])


@refused("holds complex numbers|complex")
def prepare_a_factor_of_complex_numbers(place):
    place.country.raster("rain", hills().astype("complex64"))
    return place.prepare(factors=[{"name": "rain", "source": "rain"}])


@refused("a landslide is a cell that is not 0")
def prepare_a_mask_without_a_landslide(place):
    place.country.raster("mask", np.zeros((SIDE, SIDE), "uint8"))
    return place.prepare(inventory={"source": "mask"})


@refused("one class only|mask")
def prepare_a_mask_that_is_all_landslide(place):
    place.country.raster("mask", np.ones((SIDE, SIDE), "uint8"))
    return place.prepare(inventory={"source": "mask"})
