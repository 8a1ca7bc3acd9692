"""Points and polygons as a GeoPackage; where GDAL finds no room, that is an error of the disk."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import geopandas as gpd


def save_layer(path: Path, shapes: "gpd.GeoDataFrame", layer: str) -> None:
    """Write a new file of one layer, in its place. Errors: it cannot (OSError)."""
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        shapes.to_file(path, layer=layer, driver="GPKG")
    except (DataLayerError, DataSourceError) as error:  # a full disk, which GDAL does not name
        words = " ".join(str(error).split())[:200]
        raise OSError(f"{path.name} could not be written ({words})") from error
