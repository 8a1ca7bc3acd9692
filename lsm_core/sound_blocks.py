"""Blocks of a stored area that cannot be unpacked, in words.

A large area is opened lazily: a damaged block is met wherever its values are first needed. Zarr
lets one put one's own unpacking in place of its own, so it is said there, once for all.
"""

from collections.abc import Iterable
from typing import Any

import zarr
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.registry import register_pipeline

from lsm_core.errors import AreaError
from lsm_core.full_memory import ran_out


class SoundBlocks(BatchedCodecPipeline):
    """Zarr's own unpacking; what goes wrong in it is an AreaError."""

    async def read(self, batch_info: Iterable[Any], *rest: Any, **more: Any) -> Any:
        """Values of some blocks."""
        try:
            return await super().read(batch_info, *rest, **more)
        except OSError:  # a disk, not what lies on it
            raise
        except Exception as error:  # packers raise whatever they like
            if ran_out(error):
                raise
            words = " ".join(str(error).split())[:200]
            raise AreaError(
                f"a block of a study area cannot be read ({words}): build the area again with "
                "`lsm prepare`"
            ) from error


register_pipeline(SoundBlocks)
PIPELINE = {"codec_pipeline.path": f"{SoundBlocks.__module__}.{SoundBlocks.__qualname__}"}


def sound_blocks() -> Any:
    """A context in which arrays are opened whose blocks say what is wrong with them."""
    return zarr.config.set(PIPELINE)
