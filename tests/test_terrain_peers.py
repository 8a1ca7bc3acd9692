"""Terrain factors against gdaldem, xarray-spatial and xDEM, on real terrain, both ways round."""

import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import rioxarray
import xarray as xr

from lsm_core import terrain


@pytest.fixture(scope="module")
def balakot(shared_data: Path) -> xr.DataArray:
    path = shared_data / "balakot" / "AW3D30.tif"
    return rioxarray.open_rasterio(path, masked=True).squeeze(drop=True)


# gdaldem 3.6.2 on the array of the `jacksboro` fixture:
#   gdaldem slope|aspect|TPI|roughness|hillshade in.tif out.tif
#   gdaldem TRI -alg Riley in.tif out.tif
CELLS = [(1, 1), (50, 60), (120, 300), (200, 200), (342, 401), (300, 17)]
GDALDEM = {
    "slope": [10.924911, 34.362957, 3.631394, 35.591187, 9.136946, 39.945824],
    "aspect": [256.263733, 313.518555, 113.198593, 117.758545, 286.557068, 312.580505],
    "tpi": [1.375, -11.125, -2.5, -0.375, 2.25, -1.75],
    "tri": [14.798649, 64.784256, 9.899495, 51.739735, 14.764823, 62.625874],
    "roughness": [16.0, 58.0, 8.0, 55.0, 15.0, 72.0],
    "hillshade": [195.0, 251.0, 170.0, 47.0, 203.0, 254.0],
}
# gdaldem slope|aspect in.tif out.tif -alg ZevenbergenThorne
GDALDEM_ZEVENBERGEN_THORNE = {
    "slope": [13.262676, 34.369896, 5.385977, 37.534904, 8.735691, 39.703796],
    "aspect": [261.869904, 313.025085, 135.0, 114.341087, 282.528809, 308.480194],
}
# gdaldem 3.6.2 slope|aspect|TPI AW3D30.tif out.tif, which sums in float32
BALAKOT_CELLS = [(1, 1), (100, 700), (300, 250), (500, 400), (800, 90), (985, 824)]
GDALDEM_BALAKOT = {
    "slope": [19.471342, 36.318054, 20.965538, 36.478645, 32.969349, 9.170312],
    "aspect": [270.189819, 185.238831, 300.673706, 107.470459, 7.783226, 181.230591],
    "tpi": [-8.134033, 2.881104, -1.572754, -0.783325, -0.052979, 5.592773],
}
COMMANDS = {
    "slope": ["slope"],
    "aspect": ["aspect"],
    "tpi": ["TPI"],
    "tri": ["TRI", "-alg", "Riley"],
    "roughness": ["roughness"],
    "hillshade": ["hillshade"],
}


@pytest.mark.parametrize("name", GDALDEM)
def test_stored_gdaldem_values(jacksboro: xr.DataArray, name: str) -> None:
    found = terrain.derive(jacksboro, [name])[name].values[tuple(np.transpose(CELLS))]
    # gdaldem rounds hillshade to whole numbers
    np.testing.assert_allclose(found, GDALDEM[name], atol=0.51 if name == "hillshade" else 1e-4)


@pytest.mark.parametrize("name", GDALDEM_ZEVENBERGEN_THORNE)
def test_stored_gdaldem_values_of_zevenbergen_thorne(jacksboro: xr.DataArray, name: str) -> None:
    found = terrain.derive(jacksboro, [name], method="zevenbergen-thorne")[name].values
    expected = GDALDEM_ZEVENBERGEN_THORNE[name]
    np.testing.assert_allclose(found[tuple(np.transpose(CELLS))], expected, atol=1e-4)


@pytest.mark.parametrize("name", GDALDEM_BALAKOT)
def test_stored_gdaldem_values_of_balakot(balakot: xr.DataArray, name: str) -> None:
    found = terrain.derive(balakot, [name])[name].values[tuple(np.transpose(BALAKOT_CELLS))]
    np.testing.assert_allclose(found, GDALDEM_BALAKOT[name], atol=1e-3)


def gdaldem(dem: xr.DataArray, command: list[str], folder: Path) -> np.ndarray:
    if not shutil.which("gdaldem"):
        pytest.skip("gdaldem is not installed; the stored values are checked above")
    dem.rio.write_nodata(-9999.0, encoded=True).rio.to_raster(folder / "in.tif")
    command = ["gdaldem", command[0], "in.tif", "out.tif", "-q", *command[1:]]
    subprocess.run(command, cwd=folder, check=True)
    with rasterio.open(folder / "out.tif") as file:
        values = file.read(1)
        return np.where(values == file.nodata, np.nan, values.astype(float))


def agree(ours: np.ndarray, theirs: np.ndarray, tolerance: float, period: float = 0) -> None:
    """Equal within tolerance where the other program has a value, and we have one there too."""
    has = np.isfinite(theirs)
    assert has.mean() > 0.9
    off = np.abs(ours.astype(float) - theirs)[has]
    off = np.minimum(off, period - off) if period else off
    assert off.max() <= tolerance  # a NaN of ours fails here too


@pytest.fixture(params=["jacksboro", "holed", "balakot"])
def dem(request: pytest.FixtureRequest) -> xr.DataArray:
    """Elevations in steps of 1/64 m: gdaldem sums in float32, where no such sum is rounded."""
    relief = request.getfixturevalue(request.param)
    return relief.copy(data=np.round(relief.values * 64) / 64)


CHOICES = [(name, "horn") for name in GDALDEM]
CHOICES += [(name, "zevenbergen-thorne") for name in ("slope", "aspect", "hillshade")]


@pytest.mark.parametrize(("name", "method"), CHOICES)
def test_gdaldem_on_real_terrain(dem: xr.DataArray, name: str, method: str, tmp_path: Path) -> None:
    """Two-sided: what gdaldem leaves empty is the rim of the raster, of holes, or (aspect) flat."""
    command = COMMANDS[name] + ["-alg", "ZevenbergenThorne"] * (method != "horn")
    ours = terrain.derive(dem, [name], method=method)[name].values
    theirs = gdaldem(dem, command, tmp_path)
    tolerance = {"hillshade": 0.501, "aspect": 1e-4}.get(name, 1e-5)
    agree(ours, theirs, tolerance, 360 if name == "aspect" else 0)
    full = np.isfinite(dem.rolling(y=3, x=3, center=True).sum(skipna=False).values)
    np.testing.assert_array_equal(np.isfinite(theirs), full & np.isfinite(ours))


@pytest.mark.parametrize("name", ["slope", "aspect", "curvature"])
def test_xarray_spatial_agrees(dem: xr.DataArray, name: str) -> None:
    """Its rim of NaN is one cell round edges and holes; its flat aspect is -1.

    Horn's weights leave the centre out, so it has a slope in the middle of a lone gap.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports
        xrspatial = pytest.importorskip("xrspatial")
        theirs = getattr(xrspatial, name)(dem).values.astype(float)
    ours = getattr(terrain, name)(dem).values
    if name == "aspect":
        theirs[theirs == -1] = np.nan
    theirs[dem.isnull().values] = np.nan
    agree(ours, theirs, 1e-4, 360 if name == "aspect" else 0)


# xDEM 0.2.3 on the arrays of the fixtures `jacksboro` (30 m) and `balakot` (28.554923494199286 m),
# at 60 places each drawn by numpy.random.default_rng(0), each column from
#   xdem.terrain.get_terrain_attribute(z, column, resolution=cell,
#       surface_fit="ZevenbergThorne", curv_method="directional")
XDEM = Path(__file__).parent / "reference" / "xdem.csv"


@pytest.mark.parametrize("place", ["jacksboro", "balakot"])
def test_xdem_with_zevenbergen_thorne(place: str, request: pytest.FixtureRequest) -> None:
    """Its profile curvature has the other sign, its "tangential" is our plan curvature."""
    theirs = pd.read_csv(XDEM).query("dem == @place")
    names = ["slope", "aspect", "profile_curvature", "plan_curvature"]
    ds = terrain.derive(request.getfixturevalue(place), names, method="zevenbergen-thorne")
    ours = {name: ds[name].values[theirs["row"], theirs["col"]] for name in names}
    assert len(theirs) == 60
    np.testing.assert_allclose(ours["slope"], theirs["slope"], atol=2e-5)
    np.testing.assert_allclose(ours["aspect"], theirs["aspect"], atol=2e-4)
    np.testing.assert_allclose(-ours["profile_curvature"], theirs["profile_curvature"], atol=5e-6)
    np.testing.assert_allclose(ours["plan_curvature"], theirs["tangential_curvature"], atol=5e-6)
