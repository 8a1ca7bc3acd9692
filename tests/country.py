"""A country that no program has seen: files, catalogue and area file, for several test files."""

import geopandas as gpd
import numpy as np
import rasterio
import shapely
import yaml
from affine import Affine
from rasterio.crs import CRS

from lsm_core import preparation
from lsm_core.catalog import load_catalog

CENTRE = {"EPSG:2263": (990000, 200000), "+proj=laea +lat_0=30 +lon_0=95 +units=m": (0, 0)}
UTM = "EPSG:32643"


def write_raster(path, values, crs, transform, nodata=None):
    height, width = values.shape
    profile = {"height": height, "width": width, "count": 1, "dtype": values.dtype}
    profile |= {"crs": crs, "transform": transform, "nodata": nodata}
    with rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(values, 1)


class Country:
    """Files, a catalogue and an area file of a place that no program has seen, in one folder."""

    def __init__(self, folder, crs=UTM, cell=20.0, shape=(60, 80)):
        self.folder, self.crs, self.shape = folder, crs, shape
        self.entries = {}  # what the catalogue says of a source besides its file
        self.east, self.north = CENTRE.get(crs, (500000, 4000000))
        self.transform = Affine(cell, 0, self.east, 0, -cell, self.north)
        self.metres = CRS.from_user_input(crs).linear_units_factor[1]
        cols = np.arange(shape[1]) + 0.5
        # elevations in metres: rising by half a metre for each metre to the east
        rise = np.tile(500 + 0.5 * cols * cell * self.metres, (shape[0], 1)).astype("float32")
        rise[10:13, 20:24] = -9999
        self.raster("dem", rise, -9999)
        self.inventory([self.box(30, 30, 34, 33), self.box(50, 60, 53, 65)])
        self.area = {
            "name": "nowhere",
            "title": "Nowhere",
            "grid": {"like": "dem"},
            "dem": "dem",
            "inventory": {"source": "slides"},
            "factors": ["elevation", "slope"],
        }

    def box(self, row0, col0, row1, col1):
        """A polygon over these rows and columns, in the country's CRS."""
        left, top = self.transform * (col0, row0)
        right, bottom = self.transform * (col1, row1)
        return shapely.box(left, bottom, right, top)

    def raster(self, name, values, nodata=None, **place):
        where = {"crs": self.crs, "transform": self.transform} | place
        write_raster(self.folder / f"{name}.tif", values, nodata=nodata, **where)

    def inventory(self, shapes, name="slides", crs=4326):
        columns = {"year": range(len(shapes)), "x": [0.0] * len(shapes)}
        frame = gpd.GeoDataFrame(columns, geometry=shapes, crs=self.crs)
        frame.to_crs(crs).to_file(self.folder / f"{name}.gpkg")

    def catalog(self):
        """An entry for every file of the folder."""
        entries = {"meta": {"version": "v1"}}
        for path in self.folder.iterdir():
            if path.suffix == ".tif":
                entries[path.stem] = {"data_type": "RasterDataset", "driver": "rasterio"}
            elif path.suffix in (".gpkg", ".shp", ".geojson"):
                entries[path.stem] = {"data_type": "GeoDataFrame", "driver": "pyogrio"}
            elif path.suffix in (".nc", ".zarr"):
                entries[path.stem] = {"data_type": "RasterDataset", "driver": "raster_xarray"}
            elif path.suffix == ".csv":
                entries[path.stem] = {"data_type": "DataFrame", "driver": "pandas"}
            else:
                continue
            entries[path.stem] |= {"uri": path.name} | self.entries.get(path.stem, {})
        (self.folder / "catalog.yaml").write_text(yaml.safe_dump(entries))
        return load_catalog(self.folder / "catalog.yaml")

    def prepare(self, on_progress=None):
        path = self.folder / "area.yaml"
        path.write_text(yaml.safe_dump(self.area))
        return preparation.prepare(path, self.catalog(), on_progress=on_progress)
