"""Runs of the workspace and how far each has come, read on from the last look."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsm_app.session import remember
from lsm_core.errors import LsmError, RunError
from lsm_core.runs import ALIVE, Run, read_progress, runs_folder

log = logging.getLogger(__name__)
MOST_RUNS = 2000  # runs kept in memory by name and state
MOST_LOADED = 24  # runs kept in memory with their numbers, about 2 MB each


@dataclass
class Follower:
    """One run's progress, read on from where the last look ended."""

    path: Path
    offset: int = 0
    epochs: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)
    first: dict[str, Any] = field(default_factory=dict)  # of the map that is being made
    kept: str = ""  # which weights were kept, once training is over

    def look(self) -> "Follower":
        """Read the lines written since; returns itself."""
        events, self.offset = read_progress(self.path, self.offset)
        self.epochs += [event for event in events if event["event"] == "epoch"]
        for event in events:
            self.first = (self.first or event) if event["event"] == "map" else {}
            self.kept = str(event["message"]) if event.get("kept") else self.kept
        self.last = events[-1] if events else self.last
        return self

    @property
    def learns(self) -> bool:
        """Whether a network has finished an epoch, and is not yet judged."""
        at = self.last.get("event"), self.last.get("stage", "training")
        return bool(self.epochs) and at[0] != "map" and at[1] == "training"

    @property
    def percent(self) -> int:
        """Of the training, or of the map, that is done; -1 where nobody can say."""
        done, total = self.last.get("done"), self.last.get("total")
        if self.last.get("event") in ("epoch", "batch"):
            done, total = self.last.get("epoch"), self.last.get("epochs")
        return round(100 * done / total) if done is not None and total else -1

    @property
    def words(self) -> str:
        """Where the run stands: stage, epoch, losses, score and time left, as far as known."""
        if self.last.get("event") == "map":
            return f"mapping: row block {self.last['done']} of {self.last['total']}{self._left}"
        if self.last.get("event") == "stage":
            return str(self.last.get("message") or self.last.get("stage"))
        if not self.epochs:
            return "starting"
        epoch = self.epochs[-1]
        said = [f"epoch {epoch['epoch']} of at most {epoch['epochs']}"]
        names = {"loss": "loss", "val_loss": "validation loss", "val_average_precision": "AP"}
        said += [f"{name} {epoch[k]:.3f}" for k, name in names.items() if epoch.get(k) is not None]
        if epoch.get("eta") is not None:
            said.append(f"{in_words(epoch['eta'])} left at most")
        return ", ".join(said)

    @property
    def _left(self) -> str:
        """Time the map may still take, at the pace of its row blocks so far."""
        made = self.last["done"] - self.first["done"]
        if made < 1:
            return ""
        pace = (self.last["time"] - self.first["time"]) / made
        return f", about {in_words(pace * (self.last['total'] - self.last['done']))} left"


def in_words(seconds: float) -> str:
    """A duration for people.

    >>> in_words(8), in_words(130), in_words(7300)
    ('8 s', '2 min 10 s', '2 h 1 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def known_runs() -> list[tuple[Run, str]]:
    """Runs of the workspace with their states, newest first.

    A run is read once for all visitors, and anew when its status was written anew. These objects
    are for what is short; ask `loaded` for one whose numbers are wanted.
    """
    found = [_known(path) for path in runs_folder().glob("*/status.json")]
    known = sorted((run for run in found if run), key=lambda run: (run[2], run[0].id), reverse=True)
    return [(run, run.state if state in ALIVE else state) for run, state, _ in known]


def _known(path: Path) -> tuple[Run, str, str] | None:
    """A run, its state and when it was made, as its status says; None of what is not a run."""
    try:
        key = ("run", str(path), path.stat().st_mtime_ns)
        return remember(key, lambda: _read(path.parent), "runs", MOST_RUNS)
    except OSError:  # deleted between two looks
        return None


def _read(folder: Path) -> tuple[Run, str, str] | None:
    if folder.name.startswith(".") or not (folder / "recipe.json").is_file():  # or being made
        return None
    run = Run(folder.resolve())
    try:
        status = run.status
    except RunError as error:
        log.warning("left out of the list: %s", error)
        return None
    return run, status["state"], status["created"]


def loaded(run: Run) -> Run:
    """The same run, its numbers read once for all visitors; the last few are kept in memory."""
    changed = [_changed(run.path / name) for name in ("metrics.json", "scores.parquet")]
    return remember(
        ("loaded", str(run.path), *changed), lambda: Run(run.path), "loaded", MOST_LOADED
    )


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def places_of(run: Run) -> str | None:
    """The fingerprint of a run's test places; None of a folder that somebody emptied by hand."""
    path = run.path / "metrics.json"
    try:
        key = ("places", str(path), path.stat().st_mtime_ns)
        return remember(key, lambda: str(Run(run.path).metrics["test_places"]), "runs", MOST_RUNS)
    except (LsmError, OSError):
        return None
