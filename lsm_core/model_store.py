"""Models on disk: networks as weights and our own architecture file, others by skops or JSON.

scikit-learn models are read with a fixed list of types; nothing on disk can run code.
"""

import json
import logging
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile

from lsm_core import full_memory, models
from lsm_core.errors import LsmError, RunError
from lsm_core.run_files import check_inside

log = logging.getLogger(__name__)
ARCHITECTURE, WEIGHTS, ESTIMATOR = "architecture.json", "weights.weights.h5", "model.skops"
PLAIN = "model.json"  # of models of ours that are a few numbers
KEYS = {"model", "input_shape", "options"}  # of an architecture file
LARGEST_FILE = 100_000  # bytes of one
LARGEST_SIDE = 100_000  # cells of a side, or channels, of what a model sees
LONGEST_LIST = 100  # layers, say, that an option names
MOST_WEIGHTS = 250_000_000  # of a network: a gigabyte
TRUSTED = [  # beyond scikit-learn's own public types
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "lsm_core.models.baselines.HeatForest",
]


def save_model(
    model: Any, name: str, input_shape: tuple[int, ...], options: dict[str, Any], folder: Path
) -> None:
    """Store a trained model in a folder, made if need be; `load_model` gives it back.

    `architecture.json` says which entry of the menu it is and how it was built; it is written last,
    so a folder that has one is whole. Beside it lies `weights.weights.h5` or `model.skops`, or
    `model.json` of a model that has `to_json` and `from_json` itself. Of a search the model that it
    chose is stored.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if models.card(name).framework == "keras":
        # Keras takes no other ending than .weights.h5, so the unfinished file has it too.
        _replace(folder / WEIGHTS, folder / f"unfinished.{WEIGHTS}", model.save_weights)
    elif hasattr(model, "to_json"):
        plain = json.dumps(model.to_json(), allow_nan=False)
        path = folder / PLAIN
        _replace(path, folder / f"unfinished.{PLAIN}", lambda to: to.write_text(plain, "utf-8"))
    else:
        import skops.io

        chosen = getattr(model, "best_estimator_", model)
        path = folder / ESTIMATOR
        pack = partial(skops.io.dump, chosen, compression=ZIP_DEFLATED)  # a fifth of the size
        _replace(path, folder / f"unfinished.{ESTIMATOR}", pack)
    text = json.dumps({"model": name, "input_shape": list(input_shape), "options": options})
    path = folder / ARCHITECTURE
    _replace(path, folder / f"unfinished.{ARCHITECTURE}", lambda to: to.write_text(text, "utf-8"))


def load_model(folder: Path, seed: int | None = None) -> Any:
    """The model that `save_model` stored.

    `seed` is of what a network draws while it goes on learning, such as dropout; scores do not
    depend on it.

    Raises
    ------
    RunError : the folder holds no whole model, or a file that is not what `save_model` wrote.
    """
    for file in (ARCHITECTURE, WEIGHTS, ESTIMATOR, PLAIN):
        check_inside(folder / file)
    name, shape, options = _architecture(folder / ARCHITECTURE)
    build = partial(_built, folder / ARCHITECTURE, name, shape, options)
    if models.card(name).framework == "keras":
        return _load_network(folder / WEIGHTS, build(seed))
    if (folder / PLAIN).is_file():
        return _load_plain(folder / PLAIN, build())
    return _load_estimator(folder / ESTIMATOR)


def _architecture(path: Path) -> tuple[str, tuple[int, ...], dict[str, Any]]:
    """What `save_model` wrote of a model: its name, the shape of what it sees, its options."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE:,} bytes")
        stored = json.loads(path.read_text("utf-8"))
        name, shape, options = stored["model"], stored["input_shape"], stored["options"]
        _check_written(stored, shape, options)
        models.check_options(name, options)
    except FileNotFoundError as error:
        raise RunError(
            f"no model in {path.parent}: the run ended before one was trained"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError, OSError, AttributeError) as error:
        raise RunError(f"{path} was not written by this program: {error}") from error
    return name, tuple(shape), options


def _check_written(stored: dict[str, Any], shape: Any, options: dict[str, Any]) -> None:
    """ValueError where a key, a size or a list is none that `save_model` writes."""
    if stranger := set(stored) - KEYS:
        raise ValueError(f"it has {', '.join(sorted(stranger))[:99]}")
    sides = isinstance(shape, list) and [type(n) is int and 0 < n <= LARGEST_SIDE for n in shape]
    if not sides or not all(sides):
        raise ValueError(f"input_shape is {str(shape)[:99]}")
    for key, value in options.items():
        if isinstance(value, list) and len(value) > LONGEST_LIST:
            raise ValueError(f"option {key[:99]} lists {len(value):,} values")


def _built(
    path: Path, name: str, shape: tuple[int, ...], options: dict[str, Any], seed: int | None = None
) -> Any:
    """The model of an architecture file, once it is known that it is not too large to be built."""
    try:
        if models.card(name).framework == "keras" and not _is_own(name, options):
            _check_weights(name, shape, options)
        return models.build(name, shape, seed=seed, **options)
    except LsmError:
        raise
    except Exception as error:  # of Keras or scikit-learn, which check sizes in ways of their own
        if full_memory.ran_out(error):
            raise RunError(full_memory.full_in_words(error)) from error
        reason = next(iter(str(error).splitlines()), "")[:200]
        raise RunError(f"{path} tells of no model that can be built: {reason}") from error


def _is_own(name: str, options: dict[str, Any]) -> bool:
    """Whether code of the account's owner builds it, which may draw its weights as it likes."""
    return name not in models.MENU or options.get("block") is not None


def _check_weights(name: str, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    """Count what a network would hold before memory is taken for it.

    Keras forgets what it was to draw with the thread that put it off.
    """

    def count() -> int:
        import keras

        with keras.StatelessScope(initialize_variables=False):
            return int(models.build(name, shape, **options).count_params())

    with ThreadPoolExecutor(1) as apart:
        weights = apart.submit(count).result()
    if weights > MOST_WEIGHTS:
        raise ValueError(f"{weights:,} weights, and it may have {MOST_WEIGHTS:,}")


def _load_network(path: Path, model: Any) -> Any:
    try:
        with warnings.catch_warnings():
            # Keras only warns where it leaves a layer as it was first drawn.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (OSError, ValueError, KeyError, UserWarning) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path} does not fit its architecture.json: {reason}") from error
    return model


def _load_plain(path: Path, model: Any) -> Any:
    try:
        return model.from_json(json.loads(path.read_text("utf-8")))
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{path} was not written by this program: {error}") from error


def _load_estimator(path: Path) -> Any:
    import skops.io

    try:
        strange = set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED)
        if strange:
            raise RunError(
                f"{path} holds {', '.join(sorted(strange))}, which no model here is made of: "
                "it was not written by this program and is not opened"
            )
        return _of_any_version(path, lambda: skops.io.load(path, trusted=TRUSTED))
    except (OSError, BadZipFile, ValueError, TypeError, AttributeError, LookupError) as error:
        raise RunError(
            f"{path} is missing or damaged, or of a scikit-learn that this one cannot read "
            f"({error}): `lsm reproduce` runs it again"
        ) from error


def _of_any_version(path: Path, load: Callable[[], Any]) -> Any:
    """What is loaded; that another scikit-learn wrote it is said once, and not once a tree."""
    from sklearn import __version__
    from sklearn.exceptions import InconsistentVersionWarning

    from lsm_core.forest_threads import keep_warning_filters

    keep_warning_filters()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", InconsistentVersionWarning)
        model = load()
    for one in told:
        if not isinstance(one.message, InconsistentVersionWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    by = {
        w.message.original_sklearn_version
        for w in told
        if hasattr(w.message, "original_sklearn_version")
    }
    if by:
        words = "%s was written with scikit-learn %s, and this is %s: scores may differ a little"
        log.warning(words, path, " and ".join(sorted(by)), __version__)
    return model


def _replace(path: Path, unfinished: Path, write: Callable[[Path], Any]) -> None:
    """Write beside the place, then move there: a killed process leaves no broken file."""
    write(unfinished)
    os.replace(unfinished, path)
