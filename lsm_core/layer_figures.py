"""Maps of a study area's own layers: a factor in colours that suit its kind, and its legend."""

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # without it there is no backend to style for
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lsm_core.grid import Bounds, grid_of
from lsm_core.layer_colours import CLASSES, Look, look_of
from lsm_core.windows import cut

__all__ = ["CLASSES", "Look", "layer_image", "look_of", "windows_of"]

WINDOW = 200  # pixels across a window


def layer_image(
    look: Look, values: NDArray, bounds: Bounds, kdims: Sequence[Any] = ("x", "y")
) -> hv.Image:
    """Values of a layer (y, x), north up, NaN clear; codes of classes become their place in `look`.

    A code that the look does not know is clear.
    """
    if look.codes:
        places = np.full(values.shape, np.nan, "float32")
        for place, code in enumerate(look.codes):
            places[values == code] = place
        values = places
    image = hv.Image(values, bounds=bounds, kdims=list(kdims), vdims=["value"])
    return image.opts(cmap=look.colours, clim=look.limits, backend="bokeh")


def windows_of(layer: xr.DataArray, row: int, col: int, sizes: Sequence[int]) -> hv.Layout:
    """What a network sees of a layer round one place: its window at each size, beside each other.

    Parameters
    ----------
    layer : factor (y, x) of a study area. row, col : of the place. sizes : cells across.

    All are drawn as large, in the colours that the layer has over the whole area, and mirrored
    where they leave it, as in training.
    """
    values = layer.to_numpy().astype("float32")
    look, length = look_of(layer, values), grid_of(layer).cell_size
    images = []
    for size in sizes:
        seen = cut(values[..., None], [row], [col], size)[0, ..., 0]
        image = layer_image(look, seen, (0.0, 0.0, float(size), float(size)), ("across", "up"))
        size_words = f"{size} x {size} cells, {size * length:,.0f} m"
        frame = {"frame_width": WINDOW, "frame_height": WINDOW, "xaxis": None, "yaxis": None}
        images.append(image.opts(title=size_words, toolbar=None, **frame, backend="bokeh"))
    return hv.Layout(images).opts(shared_axes=False, backend="bokeh")
