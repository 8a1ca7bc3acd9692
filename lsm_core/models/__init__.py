"""The menu: every model a recipe may name, what it eats, and how it is built.

A model's file is imported only when the model is built or its options are checked, so that the
random forest never loads a network library, and the networks never load scikit-learn.
"""

import difflib
import importlib
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lsm_core import device, own_code
from lsm_core.errors import RecipeError


@dataclass(frozen=True)
class Card:
    """One line of the menu.

    `eats` lists the input forms of a recipe it takes; `smallest` is the side, in cells, below
    which its images are refused; `builder` is "module:function"; `weighs` says whether it can be
    told that some places count more than others; `trainer`, "module:function", fits what does not
    learn from places alone, with the arguments of `fitting.fit_model`.
    """

    name: str
    title: str
    framework: str
    eats: tuple[str, ...]
    builder: str
    smallest: int
    note: str
    weighs: bool = True
    soft: bool = False  # learns from targets between 0 and 1, as all networks do
    trainer: str | None = None


_IMAGES, _TABLE, _CLASSES = ("onehot", "window"), ("table",), ("classes",)
OWN = "own"  # the builder of a card that is not on the menu

MENU: dict[str, Card] = {
    card.name: card
    for card in (
        Card(
            name="lsgh_net",
            title="LSGH-Net",
            framework="keras",
            eats=_IMAGES,
            builder="lsm_core.models.lsgh_net:build",
            smallest=7,
            note="five convolutions with scSE attention; trained on Gaussian heatmap samples",
        ),
        Card(
            name="cnn",
            title="CNN",
            framework="keras",
            eats=_IMAGES,
            builder="lsm_core.models.lsgh_net:build",
            smallest=7,
            note="the network of LSGH-Net, for recipes without heatmap samples",
        ),
        Card(
            name="cnn3d",
            title="3D-CNN",
            framework="keras",
            eats=("window",),
            builder="lsm_core.models.cnn3d:build",
            smallest=4,
            note="convolutions over factor, row and column together",
        ),
        Card(
            name="attention_unet",
            title="Attention U-Net",
            framework="keras",
            eats=("chip",),
            builder="lsm_core.models.attention_unet:build",
            smallest=16,
            note="an image in, a score for every cell out; landslides from images",
            weighs=False,
            trainer="lsm_core.detection:fit_on_chips",
        ),
        Card(
            name="ann",
            title="ANN",
            framework="keras",
            eats=_TABLE,
            builder="lsm_core.models.ann:build",
            smallest=1,
            note="dense layers on the standardised values of the cell itself",
        ),
        Card(
            name="ssgan",
            title="SSGAN",
            framework="keras",
            eats=("window",),
            builder="lsm_core.models.ssgan:build",
            smallest=5,
            note="a discriminator of three classes against a generator; learns without labels too",
            weighs=False,
            trainer="lsm_core.semi_supervised:fit_adversaries",
        ),
        Card(
            name="ssgan_discriminator",
            title="SSGAN's discriminator alone",
            framework="keras",
            eats=("window",),
            builder="lsm_core.models.ssgan:discriminator_alone",
            smallest=5,
            note="the same network with two outputs, from labelled places only",
            weighs=False,
            trainer="lsm_core.semi_supervised:fit_adversaries",
        ),
        Card(
            name="random_forest",
            title="Random forest",
            framework="sklearn",
            eats=_TABLE,
            builder="lsm_core.models.baselines:random_forest",
            smallest=1,
            note="trees on the values of the cell itself",
        ),
        Card(
            name="random_forest_heat",
            title="Random forest on heat",
            framework="sklearn",
            eats=_TABLE,
            builder="lsm_core.models.baselines:random_forest_heat",
            smallest=1,
            note="regression trees on heat samples: a control of LSGH-Net",
            soft=True,
        ),
        Card(
            name="random_forest_grid",
            title="Random forest by grid search",
            framework="sklearn",
            eats=_TABLE,
            builder="lsm_core.models.baselines:random_forest_grid",
            smallest=1,
            note="options chosen by folds of the training places",
            weighs=False,
            trainer="lsm_core.forest_search:fit_by_search",
        ),
        Card(
            name="logistic_regression",
            title="Logistic regression",
            framework="sklearn",
            eats=_TABLE,
            builder="lsm_core.models.baselines:logistic_regression",
            smallest=1,
            note="on the standardised values of the cell itself",
        ),
        Card(
            name="gradient_boosting",
            title="Gradient boosting",
            framework="sklearn",
            eats=_TABLE,
            builder="lsm_core.models.baselines:gradient_boosting",
            smallest=1,
            note="boosted trees on the binned values of the cell itself",
        ),
        Card(
            name="gbdt_lr",
            title="GBDT + logistic regression",
            framework="sklearn",
            eats=_TABLE,
            builder="lsm_core.models.boosted_leaves:gbdt_lr",
            smallest=1,
            note="logistic regression on the leaves of boosted trees",
        ),
        Card(
            name="svm",
            title="Support vector machine",
            framework="sklearn",
            eats=_TABLE,
            builder="lsm_core.models.support_vectors:svm",
            smallest=1,
            note="radial kernel on the standardised values of the cell; Platt's probability",
            weighs=False,
        ),
        *(
            Card(
                name=name,
                title=title,
                framework="sklearn",
                eats=_CLASSES,
                builder=f"lsm_core.models.bivariate:{name}",
                smallest=1,
                note=note,
                weighs=False,
            )
            for name, title, note in (
                ("frequency_ratio", "Frequency ratio", "mean ratio of the cell's classes"),
                ("information_value", "Information value", "sum over the cell's classes"),
                ("certainty_factor", "Certainty factor", "combined over the cell's classes"),
                ("weights_of_evidence", "Weights of evidence", "posterior of the cell's classes"),
            )
        ),
    )
}


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
        eats=_TABLE if estimator else (*_IMAGES, *_TABLE),
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
    if model.eats in (_TABLE, _CLASSES):
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
