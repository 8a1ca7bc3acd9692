"""The menu: every model a recipe may name, what it eats, and how it is built.

A model's file is imported only when the model is built or its options are checked, so that the
random forest never loads a network library, and the networks never load scikit-learn.
"""

import difflib
import importlib
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from lsm_core import device, own_code
from lsm_core.errors import RecipeError
from lsm_core.model_cards import CLASSES, IMAGES, OWN, TABLE, Card
from lsm_core.model_cards import MENU as MENU


def build(
    name: str, input_shape: tuple[int, ...], *, seed: int | None = None, **options: Any
) -> Any:
    """A new, untrained model.

    Parameters
    ----------
    name : a key of `MENU`.
    input_shape : of one sample: (side, side, channel) for images, (channel,) for a table.
    seed : of the first weights, dropout or trees: the same seed builds the same model. Every
        builder takes it; it is the recipe's seed and no option of its own.
    options : the builder's own, see its signature.

    Returns
    -------
    A Keras model (not compiled), or an unfitted scikit-learn estimator: see the card's `framework`.

    Raises
    ------
    RecipeError : unknown model or option, or a shape that the model does not take.

    >>> build("random_forest", (14,), seed=1, n_estimators=10).n_estimators
    10
    """
    check_options(name, options)
    check_shape(card(name), tuple(input_shape))
    model = _builder(name)(tuple(input_shape), seed=seed, **options)
    if card(name).builder == OWN and card(name).framework == "keras":
        _check_scores(name, model)
    return model


def _check_scores(name: str, model: Any) -> None:
    """A network of one's own is from samples to one score each."""
    shape = getattr(model, "output_shape", None)
    if shape != (None, 1):
        raise RecipeError(
            f"{name} must return a keras.Model from samples to scores in (0, 1), shape (None, 1); "
            f"got {type(model).__name__} of shape {shape}: end it with Dense(1, 'sigmoid')"
        )


def learn_scale(model: Any, x: Any) -> None:
    """Let a network that standardises its own input take means and deviations from training places.

    `x` : what it sees of them, (sample, ...). A network without such a layer is left as it is.
    """
    for layer in model.layers:
        if hasattr(layer, "learn_scale"):
            layer.learn_scale(x)


def scales_itself(model: Any) -> bool:
    """Whether a network has a layer for `learn_scale`."""
    return any(hasattr(layer, "learn_scale") for layer in model.layers)


def card(name: str) -> Card:
    """The card of a model; an unknown name is a RecipeError that lists near ones."""
    if name in MENU:
        return MENU[name]
    own = own_code.functions()
    if name not in own:
        raise RecipeError(f"no model {name!r}; {_near(name, MENU | own)}")
    return _own_card(name, own[name])


def _own_card(name: str, builder: Callable[..., Any]) -> Card:
    """Of a model of one's own: an estimator if its builder says that it returns one."""
    names = inspect.signature(builder).parameters
    if "input_shape" not in names or "seed" not in names:
        raise RecipeError(
            f"{name} in {own_code.own_file()} is no builder of models: "
            f"write def {name}(input_shape, *, seed=None), got {name}({', '.join(names)})"
        )
    returns = typing.get_type_hints(builder).get("return")
    estimator = hasattr(returns, "predict_proba")
    return Card(
        name=name,
        title=name.replace("_", " "),
        framework="sklearn" if estimator else "keras",
        eats=TABLE if estimator else (*IMAGES, *TABLE),
        builder=OWN,
        smallest=1,
        note=(inspect.getdoc(builder) or "of your own").splitlines()[0],
        weighs=not estimator,
    )


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Check a recipe's model options against the names and types of the builder's signature.

    Raises
    ------
    RecipeError : the model or an option is unknown, or a value is of the wrong type.
    """
    known = options_of(name)
    for key, value in options.items():
        if key == "seed":
            raise RecipeError("seed is not a model option: set the recipe's own seed")
        if key not in known:
            raise RecipeError(f"{name} has no option {key!r}; {_near(key, known)}")
        if not _fits(value, known[key]):
            wanted = _in_words(known[key])
            raise RecipeError(f"{name}: option {key} takes {wanted}, got {value!r}")


def options_of(name: str) -> dict[str, Any]:
    """Names and types of the options a builder takes; `Any` where one of one's own says no type."""
    builder = _builder(name)
    hints = typing.get_type_hints(builder)
    names = inspect.signature(builder).parameters
    return {key: hints.get(key, Any) for key in names if key not in ("input_shape", "seed")}


def trainer_of(name: str) -> Callable[..., Any] | None:
    """What fits a model that does not learn from places alone, or None."""
    trainer = card(name).trainer
    return _named(trainer) if trainer else None


def _builder(name: str) -> Callable[..., Any]:
    if card(name).framework == "keras":
        device.prepare()
    if card(name).builder == OWN:
        return own_code.functions()[name]
    return _named(card(name).builder)


def _named(place: str) -> Callable[..., Any]:
    module, function = place.split(":")
    return getattr(importlib.import_module(module), function)


def check_shape(model: Card, shape: tuple[int, ...]) -> None:
    if len(shape) == 1 and "table" in model.eats:
        return
    if model.eats in (TABLE, CLASSES):
        if len(shape) != 1:
            raise RecipeError(
                f"{model.name} takes a table, shape (channel,), got {shape}: "
                f"set input.form to {model.eats[0]}"
            )
    elif len(shape) != 3 or shape[0] != shape[1] or shape[0] < model.smallest:
        raise RecipeError(
            f"{model.name} takes square images of at least {model.smallest} cells, shape "
            f"(side, side, channel), got {shape}: "
            "set input.form to onehot or window, and input.size"
        )


def _in_words(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    return getattr(hint, "__name__", str(hint))


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    allowed = typing.get_args(hint) or (hint,)
    if typing.get_origin(hint) is typing.Literal:
        return value in allowed
    if isinstance(value, bool):  # Python takes True for the number 1; a recipe should not
        return bool in allowed
    return isinstance(value, allowed) or (isinstance(value, int) and float in allowed)


def _near(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=2)
    return f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known)}"
