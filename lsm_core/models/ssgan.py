"""SSGAN: a discriminator that tells classes and fakes apart, and a generator that makes the fakes.

Source: the landslide recognition paper on a semi-supervised generative adversarial network
(Lanzhou). It states: windows of 13 x 13 cells; a discriminator of convolutions, pooling, LeakyReLU,
batch normalisation and a dense layer with three outputs (non-landslide, landslide, fake); a
generator from normal noise by reshaping, transposed convolutions, LeakyReLU and batch
normalisation. It is compared with the discriminator alone, two outputs. The idea of N + 1 classes
is Salimans et al. (2016).

It does not state, and we chose: three convolutions of 3 x 3, `width`, twice and four times as many
channels, max pooling after the first two and the mean over what is left; a slope of 0.2; a
generator that mirrors it and ends without an activation, as scaled factors and bands have no
bounds; moving means with a momentum of 0.9, as in LSGH-Net.
"""

from itertools import count
from typing import Any

import keras
from keras import layers, ops

from lsm_core.errors import RecipeError

SLOPE = 0.2
BN_MOMENTUM = 0.9
STEM = 4  # the generator begins with so many times `width` channels


@keras.saving.register_keras_serializable("lsm_core")
class Adversaries(keras.Model):
    """A discriminator asked for landslides, and the generator it was trained against.

    As a model it goes from (sample, side, side, channel) to (sample, 1): P(landslide) as a share of
    P(landslide) + P(non-landslide); what is fake takes no part. `generator` goes from (sample,
    noise) to such images; None of the discriminator alone.
    """

    def __init__(
        self,
        discriminator: keras.Model,
        generator: Any,  # a keras.Model, or None of the discriminator alone
        *,
        feature_matching: bool = False,
        gradient_penalty: float = 0.0,
        adversarial_weight: float = 1.0,
    ) -> None:
        super().__init__(name=discriminator.name)
        self.discriminator, self.generator = discriminator, generator
        self.feature_matching, self.gradient_penalty = feature_matching, gradient_penalty
        self.adversarial_weight = adversarial_weight
        self.build(discriminator.input_shape)

    def call(self, image: Any, training: bool = False) -> Any:
        logits = self.discriminator(image, training=training)
        return ops.sigmoid(logits[:, 1:2] - logits[:, 0:1])


def build(
    input_shape: tuple[int, ...],
    *,
    width: int = 32,
    noise: int = 100,
    feature_matching: bool = False,
    gradient_penalty: float = 0.0,
    adversarial_weight: float = 1.0,
    seed: int | None = None,
) -> Adversaries:
    """Discriminator of three outputs and generator, untrained; `adversarial.Game` plays them.

    Parameters
    ----------
    input_shape : (side, side, channel), side at least 5.
    width : channels of the discriminator's first convolution.
    noise : numbers that a generated image is made of.
    feature_matching : the generator learns to give the discriminator's last features the mean they
        have on real images (Salimans et al. 2016), instead of to be taken for real.
    gradient_penalty : weight of the penalty on the discriminator's slope at real images, see
        `adversarial.slope_penalty`; 0 for none.
    adversarial_weight : of telling real from fake, beside that of telling the classes apart.
    seed : of first weights; the same seed gives the same networks.
    """
    if min(gradient_penalty, adversarial_weight) < 0 or noise < 1:
        raise RecipeError(
            "ssgan: noise is at least 1, gradient_penalty at least 0 and adversarial_weight at "
            f"least 0, got {noise}, {gradient_penalty} and {adversarial_weight}"
        )
    seeds = count(seed) if seed is not None else None
    return Adversaries(
        _discriminator(input_shape, 3, width, seeds, "ssgan"),
        _generator(input_shape, width, noise, seeds),
        feature_matching=feature_matching,
        gradient_penalty=gradient_penalty,
        adversarial_weight=adversarial_weight,
    )


def discriminator_alone(
    input_shape: tuple[int, ...], *, width: int = 32, seed: int | None = None
) -> Adversaries:
    """What the paper compares with: the same discriminator with two outputs and no generator.

    Parameters
    ----------
    width : channels of the first convolution.
    """
    seeds = count(seed) if seed is not None else None
    return Adversaries(_discriminator(input_shape, 2, width, seeds, "ssgan_discriminator"), None)


def body_of(discriminator: keras.Model) -> keras.Model:
    """The part from image to features, (sample, 4 width), that the outputs stand on."""
    return discriminator.get_layer("body")


def _discriminator(
    input_shape: tuple[int, ...], outputs: int, width: int, seeds: count | None, name: str
) -> keras.Model:
    image = keras.Input(input_shape, name="image")
    x = image
    for stage in range(3):
        x = layers.Conv2D(
            width * 2**stage, 3, padding="same", use_bias=False, kernel_initializer=_first(seeds)
        )(x)
        x = layers.BatchNormalization(momentum=BN_MOMENTUM)(x)
        x = layers.LeakyReLU(SLOPE)(x)
        if stage < 2:
            x = layers.MaxPooling2D(2, padding="same")(x)
    body = keras.Model(image, layers.GlobalAveragePooling2D()(x), name="body")
    seen = keras.Input(input_shape, name="seen")
    logits = layers.Dense(outputs, dtype="float32", kernel_initializer=_first(seeds))(body(seen))
    return keras.Model(seen, logits, name=name)


def _generator(
    input_shape: tuple[int, ...], width: int, noise: int, seeds: count | None
) -> keras.Model:
    """Noise, reshaped to a quarter of the side, doubled twice, cropped to the side."""
    side, _, channels = input_shape
    start = -(-side // 4)
    z = keras.Input((noise,), name="noise")
    stem = start * start * STEM * width
    x = layers.Dense(stem, use_bias=False, kernel_initializer=_first(seeds))(z)
    x = layers.Reshape((start, start, STEM * width))(x)
    for maps in (STEM * width // 2, STEM * width // 4):
        x = layers.BatchNormalization(momentum=BN_MOMENTUM)(x)
        x = layers.LeakyReLU(SLOPE)(x)
        x = layers.Conv2DTranspose(
            maps, 4, 2, padding="same", use_bias=False, kernel_initializer=_first(seeds)
        )(x)
    x = layers.BatchNormalization(momentum=BN_MOMENTUM)(x)
    x = layers.LeakyReLU(SLOPE)(x)
    over = 4 * start - side
    x = layers.Cropping2D(((over // 2, over - over // 2),) * 2)(x) if over else x
    made = layers.Conv2D(channels, 3, padding="same", kernel_initializer=_first(seeds))(x)
    return keras.Model(z, made, name="generator")


def _first(seeds: count | None) -> keras.initializers.Initializer:
    """First weights from the next seed, so that no layer's depend on Keras' global state."""
    return keras.initializers.GlorotUniform(seed=None if seeds is None else next(seeds))
