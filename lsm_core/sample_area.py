"""The sample area: real terrain, everything else laid by rule, landslides drawn from a known truth.

The terrain is the Jacksboro DEM (Tennessee, 3 arc-seconds) that ships inside Matplotlib, so nothing
is downloaded. Two faults follow those that shape it; lithology, land cover and roads are laid by
rules; landslides start where a draw from `true_probability` says. Nothing but the relief is real:
the title says so.
"""

import json
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import rioxarray  # noqa: F401  (gives every DataArray its `.rio`)
import shapely
import xarray as xr
from affine import Affine
from matplotlib.cbook import get_sample_data
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.special import expit

from lsm_core import hydrology, terrain
from lsm_core.catalog import fingerprint
from lsm_core.distance import distance_to
from lsm_core.errors import AreaError
from lsm_core.grid import INTEGER_NODATA, Grid, How, align
from lsm_core.inventory import lay_inventory
from lsm_core.sample_legend import BANDS, FAULTS, LAND_COVER, LITHOLOGY, SCAR, STANDING
from lsm_core.study_area import check_area, flags

NAME = "sample"
TITLE = "Sample area: terrain of Jacksboro, Tennessee; landslides and all other layers simulated"
DEM_FILE = "jacksboro_fault_dem.npz"
EPSG = 32616
SEED = 20260101

LANDSLIDES = 700
STREAM_AREA = 1e6
POSITION_RADIUS = 500
TOWNS = 9
# Cells of DEM round the area, so that terrain at its border has true neighbours.
MARGIN = 8


class Sample(NamedTuple):
    """A study area and the inventory that belongs beside it, as `save_area` takes them."""

    ds: xr.Dataset
    inventory: gpd.GeoDataFrame


def build(
    *,
    resolution: float = 90.0,
    landslides: int = LANDSLIDES,
    name: str = NAME,
    rng: np.random.Generator | None = None,
) -> Sample:
    """The sample area in cells of `resolution` metres (30 to 300), UTM zone 16N.

    Twelve factors, the layers and places of the study-area contract, and two more that are no
    factors: `true_probability` (y, x), the chance that a landslide starts in a cell, which sums to
    their number, and `image` (band, y, x), reflectance 0 to 1 in blue, green, red and nir after the
    landslides, and in blue_before and so on before them. About 700 polygons of 1 to 12 hectares,
    longer downslope. Every cell is valid.

    Without `rng` it is the same area always; with one, other landslides, noise and image on the
    same terrain. The finer the cells the smoother the relief: its source has 75 x 93 m.

    `landslides` is how many are drawn (700 cover about 2 % of the area), `name` the area's name.

    Errors: a resolution or a number of landslides out of range (AreaError).

    >>> ds, inventory = build(resolution=300)
    >>> ds.attrs["simulated"], inventory.geom_type.unique().tolist()
    (True, ['Polygon'])
    """
    if not 30 <= resolution <= 300:
        raise AreaError(f"resolution={resolution} is out of range: give 30 to 300 metres")
    if not 1 <= landslides <= 2000:
        raise AreaError(f"landslides={landslides} is out of range: give 1 to 2000")
    rng = np.random.default_rng(SEED) if rng is None else rng
    dem, grid = _relief(resolution)
    ds = _terrain_factors(dem, grid)
    ds["distance_to_faults"] = distance_to(_faults(), grid).assign_attrs(
        long_name="distance to faults", source="two faults read off the relief"
    )
    streams = hydrology.streams(dem, STREAM_AREA)
    ds["distance_to_streams"] = distance_to(streams, grid).assign_attrs(
        long_name="distance to streams", source="streams of 1 km2 and more"
    )
    ds["distance_to_roads"] = distance_to(_roads(ds, grid), grid).assign_attrs(
        long_name="distance to roads", source="simulated roads"
    )
    ds["lithology"] = _lithology(ds, grid, rng)
    ds["land_cover"] = _land_cover(ds, grid, rng)
    ds["true_probability"] = _truth(ds, dem, grid, landslides, rng)
    features = _landslides(ds, grid, landslides, rng)
    laid = lay_inventory(features, grid, np.ones(grid.shape, dtype=bool))
    ds["landslide"] = (("y", "x"), (laid.landslide_id > 0).astype("uint8"))
    ds["landslide_id"] = (("y", "x"), laid.landslide_id)
    ds["valid"] = (("y", "x"), np.ones(grid.shape, dtype=bool))
    ds = ds.assign_coords(place=laid.inventory["landslide_id"].to_numpy("int32"))
    ds["place_x"], ds["place_y"] = ("place", laid.x), ("place", laid.y)
    ds["place_area_m2"] = ("place", laid.inventory["area_m2"].to_numpy())
    ds["image"] = _images(ds, grid, rng)
    ds.attrs = _about(laid.counts, grid) | {"name": name}
    check_area(ds)
    return Sample(ds, laid.inventory)


def _relief(resolution: float) -> tuple[xr.DataArray, Grid]:
    """The DEM with its margin, and the grid of the area: the largest box without a gap."""
    with np.load(get_sample_data(DEM_FILE, asfileobj=False)) as data:
        z, step = data["elevation"].astype("float32"), float(data["dx"])
        west, north = float(data["xmin"]), float(data["ymin"])  # its ymin is the greatest latitude
    lat = north - step * (np.arange(z.shape[0]) + 0.5)
    lon = west + step * (np.arange(z.shape[1]) + 0.5)
    dem = xr.DataArray(z, {"y": lat, "x": lon}, ("y", "x"), "elevation").rio.write_crs(4326)
    grid = _inner_grid(lon, lat, resolution)
    rows, cols = (size + 2 * MARGIN for size in grid.shape)
    wider = grid.transform * Affine.translation(-MARGIN, -MARGIN)
    how: How = "cubic" if resolution <= 120 else "average"
    wide = align(dem, Grid((rows, cols), wider, grid.crs), how)
    return wide.assign_attrs(source="Jacksboro DEM of Matplotlib (USGS, 3 arc-seconds)"), grid


def _inner_grid(lon: NDArray, lat: NDArray, resolution: float) -> Grid:
    """Whole cells in UTM inside the box of these centres, which UTM turns by two degrees."""

    def side(lon: NDArray, lat: NDArray) -> tuple[NDArray, NDArray]:
        x, y = transform("EPSG:4326", f"EPSG:{EPSG}", *np.broadcast_arrays(lon, lat))
        return np.array(x), np.array(y)

    left, right = side(lon[0], lat)[0].max(), side(lon[-1], lat)[0].min()
    bottom, top = side(lon, lat[-1])[1].max(), side(lon, lat[0])[1].min()
    # one cell to spare, for the neighbours that the interpolation asks for
    west, south = (np.ceil(edge / resolution + 1) for edge in (left, bottom))
    east, north = (np.floor(edge / resolution - 1) for edge in (right, top))
    lattice = Affine(resolution, 0, west * resolution, 0, -resolution, north * resolution)
    return Grid((int(north - south), int(east - west)), lattice, CRS.from_epsg(EPSG))


def _terrain_factors(dem: xr.DataArray, grid: Grid) -> xr.Dataset:
    """Elevation and what follows from it, on the area's grid, in the order of its factors."""
    names = ["slope", "aspect", "plan_curvature", "profile_curvature"]
    ds = terrain.derive(dem, names)
    ds["slope_position"] = terrain.slope_position(dem, POSITION_RADIUS)
    ds["twi"] = hydrology.twi(dem)
    elevation = dem.assign_attrs(units="m", kind="continuous", long_name="elevation")
    ds = xr.Dataset({"elevation": elevation, **ds.data_vars})
    inner = slice(MARGIN, -MARGIN)
    return ds.isel(y=inner, x=inner).assign_coords(y=grid.y, x=grid.x)


def _faults() -> gpd.GeoDataFrame:
    lines = [shapely.LineString(points) for points in FAULTS.values()]
    return gpd.GeoDataFrame({"name": list(FAULTS)}, geometry=lines, crs=4326)


def _roads(ds: xr.Dataset, grid: Grid) -> xr.DataArray:
    """Least-cost ways from towns on level ground to the first of them; steepness costs."""
    steep = ds.slope.values
    towns = _towns(steep, grid)
    per_metre = 1 + (steep / 4) ** 2
    _, back = dijkstra(_ways(per_metre, grid), indices=towns[0], return_predecessors=True)
    road = np.zeros(steep.size, dtype=bool)
    for cell in towns[1:]:
        while cell != towns[0]:
            road[cell] = True
            cell = back[cell]
    road[towns[0]] = True
    return ds.slope.copy(data=road.reshape(steep.shape))


def _towns(steep: NDArray, grid: Grid) -> list[int]:
    """Cells of towns: the first on the most level ground in the middle, each next far from all."""
    level = np.flatnonzero(gaussian_filter(steep, 500 / grid.cell_size).ravel() < 12)
    places = np.column_stack(np.unravel_index(level, steep.shape)).astype(float)
    middle = np.asarray(steep.shape) / 2
    towns = [int(np.hypot(*(places - middle).T).argmin())]
    for _ in range(TOWNS - 1):
        apart = np.min([np.hypot(*(places - places[town]).T) for town in towns], axis=0)
        towns.append(int(apart.argmax()))
    return level[towns].tolist()


def _ways(per_metre: NDArray, grid: Grid) -> coo_array:
    """Cost of going from each cell to its eight neighbours, as a graph."""
    number = np.arange(per_metre.size).reshape(per_metre.shape)
    start, end, cost = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, -down or None), slice(1, None) if right < 0 else slice(0, -right or None))
        there = (slice(down, None), slice(0, -1) if right < 0 else slice(right, None))
        length = np.hypot(down, right) * grid.cell_size
        price = length * (per_metre[here] + per_metre[there]) / 2
        start += [number[here].ravel(), number[there].ravel()]
        end += [number[there].ravel(), number[here].ravel()]
        cost += [price.ravel(), price.ravel()]
    edges = np.concatenate(cost), (np.concatenate(start), np.concatenate(end))
    return coo_array(edges, shape=(number.size, number.size)).tocsr()


def _lithology(ds: xr.Dataset, grid: Grid, rng: np.random.Generator) -> xr.DataArray:
    """Three blocks between the faults: beds by height on the plateaus, bands along strike below."""
    height = ds.elevation.values + 40 * _noise(grid, 1500, rng)
    x, y = np.meshgrid(grid.x, grid.y)
    valley, pine = (_right_of(name, x, y, grid) for name in ("Jacksboro", "Pine Mountain"))
    pine, valley = valley & ~pine, valley & pine
    code = np.select([height > 820, height > 640, height > 480], [7, 6, 5], 4)
    code[pine] = np.where(height > 560, 6, np.where(height > 420, 4, 5))[pine]
    # bands of the valley strike north-east, as its ridges do, and repeat every 4.2 km
    across = (x - y * np.tan(np.radians(50))) * np.cos(np.radians(50)) + 250 * _noise(
        grid, 900, rng
    )
    band = np.array([2, 2, 4, 3, 3, 5, 4])[((across // 600) % 7).astype(int)]
    code[valley] = band[valley]
    code[(ds.slope.values < 5) & (ds.distance_to_streams.values < 250)] = 1
    names = {key: name for key, (name, *_) in LITHOLOGY.items()}
    return _categories(ds, code, names, "lithology")


def _right_of(name: str, x: NDArray, y: NDArray, grid: Grid) -> NDArray[np.bool_]:
    """Cells east of, or below, a fault: what lies under its line drawn out to the border."""
    line = np.array(FAULTS[name])
    fx, fy = (np.array(a) for a in transform("EPSG:4326", grid.crs, line[:, 0], line[:, 1]))
    if name == "Jacksboro":
        order = np.argsort(fy)
        return x > np.interp(y, fy[order], fx[order])
    return y < np.interp(x, fx, fy)


def _land_cover(ds: xr.Dataset, grid: Grid, rng: np.random.Generator) -> xr.DataArray:
    """Fields and towns on level ground, shrub and bare patches among forest on slopes."""
    steep, height = ds.slope.values, ds.elevation.values
    patch, spot = _noise(grid, 700, rng), _noise(grid, 300, rng)
    code = np.full(steep.shape, 1)
    code[patch > 0.9] = 2
    code[(steep < 14) & (spot > 0.3)] = 3
    code[(steep < 7) & (patch < 0.2) & (height < 450)] = 4
    code[(steep < 9) & (ds.distance_to_roads.values < 700) & (spot > 0.7)] = 5
    code[(steep > 8) & (spot > 2.2)] = 6
    names = {key: name for key, (name, *_) in LAND_COVER.items()}
    return _categories(ds, code, names, "land cover")


def _truth(
    ds: xr.Dataset, dem: xr.DataArray, grid: Grid, landslides: int, rng: np.random.Generator
) -> xr.DataArray:
    """Chance that a landslide starts in a cell, from the safety of an infinite slope.

    Two metres of soil of 19 kN/m3; the share of it that is wet follows from upslope area and slope
    in steady flow (Montgomery and Dietrich 1994), more on slopes that look north. Cohesion is of
    rock and roots, halved on a fault; a road cut takes a tenth. Beyond 24 degrees there is no soil
    left to slide. What no factor shows: a field of weaker and stronger ground.
    """
    angle = np.radians(np.maximum(ds.slope.values, 0.5))
    inner = slice(MARGIN, -MARGIN)
    catchment = hydrology.flow_accumulation(dem).values[inner, inner] / grid.cell_size
    shade = 1 + 0.5 * np.nan_to_num(np.cos(np.radians(ds.aspect.values)))
    wet = np.minimum(1, shade * catchment / (700 * np.sin(angle)))
    rock, friction = (_look_up(ds.lithology, LITHOLOGY, k) for k in (1, 2))
    cohesion = rock * (1 - 0.5 * np.exp(-ds.distance_to_faults.values / 800))
    cohesion += _look_up(ds.land_cover, LAND_COVER, 1)
    holding = cohesion / (2 * 19) + np.cos(angle) ** 2 * (1 - wet * 9.81 / 19) * np.tan(
        np.radians(friction)
    )
    safety = holding / (np.sin(angle) * np.cos(angle))
    safety *= 1 - 0.1 * np.exp(-ds.distance_to_roads.values / 250)
    safety += 0.25 * _noise(grid, 1000, rng)
    chance = expit((1 - safety) / 0.2) * expit((24 - ds.slope.values) / 1.5)
    chance *= landslides / chance.sum()
    attrs = {
        "units": "1",
        "long_name": "true probability that a landslide starts",
        "truth": "simulated",
    }
    return xr.DataArray(
        np.minimum(chance, 1).astype("float32"), ds.slope.coords, ("y", "x"), attrs=attrs
    )


def _landslides(
    ds: xr.Dataset, grid: Grid, landslides: int, rng: np.random.Generator
) -> gpd.GeoDataFrame:
    """Polygons that start in cells drawn from the truth, run downslope and do not touch."""
    chance = ds.true_probability.values.ravel().astype(float)
    draw = min(4 * landslides, int(np.count_nonzero(chance)))
    starts = rng.choice(chance.size, draw, replace=False, p=chance / chance.sum())
    frame = shapely.box(*grid.bounds)
    found: list[shapely.Polygon] = []
    for start in starts:
        row, col = divmod(int(start), grid.shape[1])
        outline = _outline_of(ds, row, col, grid, rng)
        if frame.covers(outline) and not shapely.intersects(outline, found).any():
            found.append(outline)
        if len(found) == landslides:
            break
    areas = [polygon.area for polygon in found]
    return gpd.GeoDataFrame({"area_m2": areas}, geometry=found, crs=grid.crs.to_wkt())


def _outline_of(
    ds: xr.Dataset, row: int, col: int, grid: Grid, rng: np.random.Generator
) -> shapely.Polygon:
    """A rough ellipse round its start, longer down the slope and broader at the toe."""
    area = np.clip(rng.lognormal(np.log(22_000), 0.6), 8_000, 100_000)
    longer = rng.uniform(1.4, 3.0)
    width = np.sqrt(4 * area / (np.pi * longer))
    azimuth = np.radians(np.nan_to_num(ds.aspect.values[row, col]) + rng.normal(0, 12))
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    rough = rng.uniform(0.88, 1.12, turn.size)
    along = 0.5 * width * longer * rough * np.cos(turn)
    across = 0.5 * width * rough * np.sin(turn) * (1 + 0.3 * np.cos(turn))
    x = grid.x[col] + rng.uniform(-0.5, 0.5) * grid.cell_size
    y = grid.y[row] + rng.uniform(-0.5, 0.5) * grid.cell_size
    east = x + along * np.sin(azimuth) + across * np.cos(azimuth)
    north = y + along * np.cos(azimuth) - across * np.sin(azimuth)
    return shapely.Polygon(np.column_stack([east, north]))


def _images(ds: xr.Dataset, grid: Grid, rng: np.random.Generator) -> xr.DataArray:
    """Reflectance after the landslides, scars more or less overgrown, and before them.

    Before, under an earlier sun and in paler leaves, crops stood on some fields.
    """
    fresh = np.concatenate([[0], rng.uniform(0.35, 1, ds.sizes["place"])])[ds.landslide_id.values]
    after = _bands(ds, fresh, SCAR, 135, 50, rng)
    standing = (ds.land_cover.values == 4) & (_noise(grid, 500, rng) > 0.3)
    before = 0.96 * _bands(ds, standing.astype(float), STANDING, 120, 40, rng)
    attrs = {"units": "1", "long_name": "surface reflectance", "source": "simulated"}
    names = [*BANDS, *(f"{band}_before" for band in BANDS)]
    values = np.concatenate([after, before]).astype("float32")
    return xr.DataArray(
        values, {"band": names, "y": ds.y, "x": ds.x}, ("band", "y", "x"), attrs=attrs
    )


def _bands(
    ds: xr.Dataset,
    share: NDArray,
    patch: tuple[float, ...],
    azimuth: float,
    altitude: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Each band of the land cover, a share of every cell taken by another ground."""
    elevation = ds.elevation.rio.write_crs(EPSG)
    shade = terrain.hillshade(elevation, azimuth=azimuth, altitude=altitude).values
    light = 0.5 + 0.5 * shade / 200
    bands = []
    for k in range(len(BANDS)):
        cover = np.vectorize({code: entry[2][k] for code, entry in LAND_COVER.items()}.get)
        ground = (1 - share) * cover(ds.land_cover.values) + share * patch[k]
        grain = rng.normal(1, 0.08, ground.shape)
        bands.append(np.clip(ground * grain * light + rng.normal(0, 0.004, ground.shape), 0, 1))
    return np.stack(bands)


def _noise(grid: Grid, metres: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A random field of mean 0 and deviation 1 that is alike over `metres`."""
    field = gaussian_filter(rng.standard_normal(grid.shape), metres / grid.cell_size / 2)
    return (field - field.mean()) / field.std()


def _categories(ds: xr.Dataset, code: NDArray, names: dict[int, str], title: str) -> xr.DataArray:
    attrs: dict[str, object] = {"units": "1", "kind": "categorical", "long_name": title}
    attrs |= {"source": "simulated", "nodata": INTEGER_NODATA, **flags(names)}
    return xr.DataArray(code.astype("int16"), ds.slope.coords, ("y", "x"), attrs=attrs)


def _look_up(codes: xr.DataArray, table: dict[int, tuple], k: int) -> NDArray[np.float64]:
    values = np.array([float(table[code][k]) if code in table else np.nan for code in range(8)])
    return values[codes.values]


def _about(counts: dict[str, int], grid: Grid) -> dict[str, object]:
    path = get_sample_data(DEM_FILE, asfileobj=False)
    line = (
        f"{counts['kept']} landslides drawn from true_probability; all but the relief is simulated"
    )
    cells = grid.shape[0] * grid.shape[1]
    about = {"lines": [line], "counts": {"cells": cells, "valid_cells": cells, **counts}}
    return {
        "name": NAME,
        "title": TITLE,
        "simulated": True,
        "prepared": json.dumps(about),
        "fingerprints": json.dumps({DEM_FILE: fingerprint(path)}),
    }
