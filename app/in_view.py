"""What is in view of maps that move together."""

from typing import Any

from holoviews.plotting.bokeh.callbacks import Callback, RangeXYCallback
from holoviews.streams import RangeXY, Stream


class InView(RangeXY):
    """Eastings and northings in view of all maps that share it; None at first."""


class _Moved(RangeXYCallback):
    async def on_msg(self, msg: dict[str, Any]) -> None:
        """Bokeh walks through all models of the page after each plot drawn; here after all."""
        with self.plot.document.models.freeze():
            await super().on_msg(msg)


Stream._callbacks["bokeh"][InView] = _Moved  # HoloViews has no other way to be told


def forget_the_gone() -> None:
    """Let go of the maps of visitors who left: HoloViews keeps what it calls for good."""
    told = Callback._callbacks.items()
    Callback._callbacks = {key: one for key, one in told if not _gone(one.plot)}


def _gone(plot: Any) -> bool:
    document = plot.document if plot else None
    return document is not None and document.session_context is None
