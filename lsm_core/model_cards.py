"""The cards of the menu: every model a recipe may name. No library is loaded to read them."""

from dataclasses import dataclass


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


IMAGES, TABLE, CLASSES = ("onehot", "window"), ("table",), ("classes",)
OWN = "own"  # the builder of a card that is not on the menu
ADVERSARIAL = "lsm_core.semi_supervised:fit_adversaries"  # a trainer
LOSSES = ("mse", "binary_crossentropy", "focal")  # of networks, beside those of one's own

MENU: dict[str, Card] = {
    card.name: card
    for card in (
        Card(
            name="lsgh_net",
            title="LSGH-Net",
            framework="keras",
            eats=IMAGES,
            builder="lsm_core.models.lsgh_net:build",
            smallest=7,
            note="five convolutions with scSE attention; trained on Gaussian heatmap samples",
        ),
        Card(
            name="cnn",
            title="CNN",
            framework="keras",
            eats=IMAGES,
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
            eats=TABLE,
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
            trainer=ADVERSARIAL,
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
            trainer=ADVERSARIAL,
        ),
        Card(
            name="random_forest",
            title="Random forest",
            framework="sklearn",
            eats=TABLE,
            builder="lsm_core.models.baselines:random_forest",
            smallest=1,
            note="trees on the values of the cell itself",
        ),
        Card(
            name="random_forest_heat",
            title="Random forest on heat",
            framework="sklearn",
            eats=TABLE,
            builder="lsm_core.models.baselines:random_forest_heat",
            smallest=1,
            note="regression trees on heat samples: a control of LSGH-Net",
            soft=True,
        ),
        Card(
            name="random_forest_grid",
            title="Random forest by grid search",
            framework="sklearn",
            eats=TABLE,
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
            eats=TABLE,
            builder="lsm_core.models.baselines:logistic_regression",
            smallest=1,
            note="on the standardised values of the cell itself",
        ),
        Card(
            name="gradient_boosting",
            title="Gradient boosting",
            framework="sklearn",
            eats=TABLE,
            builder="lsm_core.models.baselines:gradient_boosting",
            smallest=1,
            note="boosted trees on the binned values of the cell itself",
        ),
        Card(
            name="gbdt_lr",
            title="GBDT + logistic regression",
            framework="sklearn",
            eats=TABLE,
            builder="lsm_core.models.boosted_leaves:gbdt_lr",
            smallest=1,
            note="logistic regression on the leaves of boosted trees",
        ),
        Card(
            name="svm",
            title="Support vector machine",
            framework="sklearn",
            eats=TABLE,
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
                eats=CLASSES,
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
