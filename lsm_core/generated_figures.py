"""Pictures of samples as a network sees them: one row a sample, one column a channel."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

REACH = 2.5  # deviations to either side of the training mean that colours tell apart
ACROSS = 0.55  # inches of one window
GAP = 1  # cells between two windows


def samples_png(
    samples: Mapping[str, NDArray[np.float32]], channels: Sequence[str], title: str = ""
) -> bytes:
    """Windows by group, for instance generated above real ones, as a PNG.

    Parameters
    ----------
    samples : name of a group to (sample, side, side, channel), scaled channels.
    channels : their names, which stand over the columns.

    Grey runs from 2.5 deviations below the mean of training (black) to 2.5 above (white) in every
    channel, so that pictures of all epochs can be held beside each other.
    """
    rows = [(name, image) for name, group in samples.items() for image in group]
    sheet = _sheet([image for _, image in rows])
    wide, high = ACROSS * len(channels) + 1.4, ACROSS * len(rows) + 1.5
    figure = Figure((wide, high), dpi=110)
    axis = figure.add_axes(
        (0.85 / wide, 0.15 / high, ACROSS * len(channels) / wide, ACROSS * len(rows) / high)
    )
    axis.imshow(sheet, cmap="gray", vmin=-REACH, vmax=REACH, interpolation="nearest")
    side = rows[0][1].shape[0] + GAP
    middles = [np.arange(n) * side + (side - GAP - 1) / 2 for n in (len(channels), len(rows))]
    axis.set_xticks(middles[0], channels, rotation=60, ha="left", va="bottom", fontsize=7)
    axis.set_yticks(middles[1], [name for name, _ in rows], fontsize=7)
    axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axis.spines[:].set_visible(False)
    figure.suptitle(title, x=0.01, y=0.99, ha="left", va="top", fontsize=8)
    told = io.BytesIO()
    figure.savefig(told, format="png")
    return told.getvalue()


def _sheet(images: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """One image of them all, a row each and its channels side by side, with gaps that are NaN.

    A figure of one image is drawn in a hundredth of the time of one for each window.

    >>> _sheet([np.ones((1, 1, 2), "f4"), np.zeros((1, 1, 2), "f4")])
    array([[ 1., nan,  1.],
           [nan, nan, nan],
           [ 0., nan,  0.]], dtype=float32)
    """
    side, _, channels = images[0].shape
    step = side + GAP
    sheet = np.full((len(images), step, channels, step), np.nan, np.float32)
    sheet[:, :side, :, :side] = np.stack(images).transpose(0, 1, 3, 2)
    return sheet.reshape(len(images) * step, channels * step)[:-GAP, :-GAP]
