"""Maps of runs counted by susceptibility, once for all visitors."""

from lsm_app.ground import ground_of
from lsm_app.session import remember
from lsm_core.rezoning import MapCount, count_map
from lsm_core.runs import Run

MOST_COUNTED = 64  # counted maps kept in memory, 16 kB each


def counted_map(run: Run, held_out: bool) -> MapCount:
    """A run's map counted once for all visitors, with all landslides or those of the test."""
    path = run.map_path
    key = ("counted", str(path), path.stat().st_mtime_ns, held_out)
    return remember(key, lambda: _count(run, held_out), "counted", MOST_COUNTED)


def _count(run: Run, held_out: bool) -> MapCount:
    if held_out:
        test = run.scores[(run.scores["split"] == "test") & (run.scores["label"] == 1)]
        each = test.drop_duplicates("landslide_id")  # a run may judge several cells of one
        return count_map(run.map_path, each["row"], each["col"])
    ground = ground_of(run.area_path)
    rows, cols = ground.grid.rowcol(ground.x, ground.y)
    return count_map(run.map_path, rows, cols)
