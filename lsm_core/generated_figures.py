"""Pictures of samples as a network sees them: one row a sample, one column a channel."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

REACH = 2.5  # deviations to either side of the training mean that colours tell apart
ACROSS = 0.55  # inches of one window


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
    wide, high = ACROSS * len(channels) + 1.4, ACROSS * len(rows) + 1.5
    figure = Figure((wide, high), dpi=110)
    axes = figure.subplots(len(rows), len(channels), squeeze=False)
    for (name, image), line in zip(rows, axes, strict=True):
        for channel, axis in enumerate(line):
            axis.imshow(image[..., channel], cmap="gray", vmin=-REACH, vmax=REACH)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7)
    for axis, name in zip(axes[0], channels, strict=True):
        axis.set_title(name, rotation=60, ha="left", va="bottom", fontsize=7)
    left, top = 0.85 / wide, 1 - 1.25 / high
    figure.subplots_adjust(left, 0.02, 0.98, top, wspace=0.08, hspace=0.08)
    figure.suptitle(title, x=0.01, y=0.99, ha="left", va="top", fontsize=8)
    told = io.BytesIO()
    figure.savefig(told, format="png")
    return told.getvalue()
