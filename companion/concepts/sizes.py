"""How large a model is: parameters counted from its architecture, bytes, and operations.

Explained in :doc:`/background`, "How large is large?".
"""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from companion.errors import DataError

__all__ = [
    "NAMED_SYSTEMS",
    "NamedSystem",
    "alphago_policy_parameters",
    "convolution_parameters",
    "forward_flop",
    "googlenet_parameters",
    "listing_parameters",
    "named_systems_table",
    "ssd300_parameters",
    "transformer_parameters",
    "translation_transformer_parameters",
    "weight_bytes",
    "yolo_parameters",
]


def transformer_parameters(
    layers: int,
    width: int,
    vocabulary_size: int,
    positions: int,
    *,
    kind: Literal["gpt", "bert"] = "gpt",
) -> int:
    """Count the weights and biases of a decoder like GPT-2 or an encoder like BERT.

    Attention has four ``width × width`` matrices and the feed-forward part two of
    ``width × 4 width``: together 12·width² a layer. The rest is biases, normalisation, and the
    vectors of tokens and positions. BERT has two segment vectors, one more normalisation and one
    more matrix (the pooler); GPT normalises once more at its end.

    Args:
        layers: The number of blocks.
        width: The length of a token's vector.
        vocabulary_size: The number of tokens.
        positions: The longest text, in tokens.
        kind: ``"gpt"`` or ``"bert"``.

    Returns:
        The number of parameters.

    >>> transformer_parameters(12, 768, 50257, 1024)
    124439808
    """
    block = 12 * width**2 + 13 * width
    shared = layers * block + (vocabulary_size + positions) * width + 2 * width
    if kind == "gpt":
        return shared
    return shared + 2 * width + width**2 + width


def translation_transformer_parameters(
    layers: int, width: int, inner: int, vocabulary_size: int
) -> int:
    """Count the matrices of the encoder-decoder Transformer of 2017, without biases and norms.

    Args:
        layers: Blocks of the encoder, and again of the decoder.
        width: The length of a token's vector.
        inner: The inner width of the feed-forward part.
        vocabulary_size: The tokens, which both sides and the output share.

    Returns:
        The number of parameters.
    """
    encoder = 4 * width**2 + 2 * width * inner
    decoder = 8 * width**2 + 2 * width * inner  # it attends twice: to itself and to the source
    return layers * (encoder + decoder) + vocabulary_size * width


def convolution_parameters(inputs: int, outputs: int, size: int) -> int:
    """Count the weights and biases of a convolution with ``size × size`` windows."""
    return size * size * inputs * outputs + outputs


# Table 1 of the paper: input channels, then 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5, pool projection.
_INCEPTION = [
    (192, 64, 96, 128, 16, 32, 32),
    (256, 128, 128, 192, 32, 96, 64),
    (480, 192, 96, 208, 16, 48, 64),
    (512, 160, 112, 224, 24, 64, 64),
    (512, 128, 128, 256, 24, 64, 64),
    (512, 112, 144, 288, 32, 64, 64),
    (528, 256, 160, 320, 32, 128, 128),
    (832, 256, 160, 320, 32, 128, 128),
    (832, 384, 192, 384, 48, 128, 128),
]


def googlenet_parameters() -> int:
    """Count GoogLeNet, the first Inception, without its two training-time helpers."""
    count = convolution_parameters(3, 64, 7)
    count += convolution_parameters(64, 64, 1) + convolution_parameters(64, 192, 3)
    for inputs, one, three_in, three, five_in, five, pooled in _INCEPTION:
        count += convolution_parameters(inputs, one, 1)
        count += convolution_parameters(inputs, three_in, 1)
        count += convolution_parameters(three_in, three, 3)
        count += convolution_parameters(inputs, five_in, 1)
        count += convolution_parameters(five_in, five, 5)
        count += convolution_parameters(inputs, pooled, 1)
    return count + 1024 * 1000 + 1000


def yolo_parameters() -> int:
    """Count the first YOLO: 24 convolutions and two dense layers, which hold most of it."""
    layers = [(3, 64, 7), (64, 192, 3), (192, 128, 1), (128, 256, 3), (256, 256, 1), (256, 512, 3)]
    layers += [(512, 256, 1), (256, 512, 3)] * 4 + [(512, 512, 1), (512, 1024, 3)]
    layers += [(1024, 512, 1), (512, 1024, 3)] * 2 + [(1024, 1024, 3)] * 4
    dense = (7 * 7 * 1024 + 1) * 4096 + (4096 + 1) * 7 * 7 * 30
    return sum(convolution_parameters(*layer) for layer in layers) + dense


def ssd300_parameters(classes: int = 21) -> int:
    """Count SSD with 300 × 300 pixels on VGG-16.

    Args:
        classes: The kinds of object, the background included; 21 for Pascal VOC.

    Returns:
        The number of parameters.
    """
    vgg = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)]
    vgg += [(256, 512)] + [(512, 512)] * 5
    count = sum(convolution_parameters(*pair, 3) for pair in vgg)
    extra = [(512, 1024, 3), (1024, 1024, 1), (1024, 256, 1), (256, 512, 3), (512, 128, 1)]
    extra += [(128, 256, 3)] + [(256, 128, 1), (128, 256, 3)] * 2
    count += sum(convolution_parameters(*layer) for layer in extra)
    channels, boxes = (512, 1024, 512, 256, 256, 256), (4, 6, 6, 6, 4, 4)
    for inputs, default_boxes in zip(channels, boxes, strict=True):
        count += convolution_parameters(inputs, default_boxes * (4 + classes), 3)
    return count + 512  # the scale of the first feature map


def alphago_policy_parameters() -> int:
    """Count AlphaGo's policy network: 13 convolutions over 48 planes of a 19 × 19 board."""
    first, middle = convolution_parameters(48, 192, 5), 11 * convolution_parameters(192, 192, 3)
    return first + middle + 192 + 19 * 19  # the last layer has a bias for each point


def listing_parameters(vocabulary_size: int) -> int:
    """Count the article's own classifier: 100 numbers a word, an LSTM of 2 × 256, two classes."""
    lstm = sum(4 * (inputs * 256 + 256 * 256 + 2 * 256) for inputs in (100, 256))
    return vocabulary_size * 100 + lstm + 2 * 256 + 2


def weight_bytes(parameters: int, bytes_a_parameter: float = 2) -> float:
    """Give the bytes that the weights take: 4 a parameter as float32, 2 as bfloat16, 0.5 as int4.

    Args:
        parameters: How many there are.
        bytes_a_parameter: The size of one.

    Returns:
        The bytes, without activations or the memory of past tokens.

    Raises:
        DataError: If a number is not positive.
    """
    if parameters <= 0 or bytes_a_parameter <= 0:
        raise DataError("the number of parameters and the bytes of each must be positive")
    return parameters * bytes_a_parameter


def forward_flop(parameters: int, tokens: int = 1) -> int:
    """Estimate the operations of a forward pass: a multiplication and an addition a weight.

    It counts the matrices alone. A token vector is looked up, not multiplied, and attention over a
    long text comes on top, so for a small model with a large vocabulary it is too high, and for
    very long texts too low.

    Args:
        parameters: The weights that each token meets.
        tokens: How many tokens are read or written.

    Returns:
        The floating-point operations.
    """
    return 2 * parameters * tokens


@dataclass(frozen=True)
class NamedSystem:
    """A model or product that the article names.

    Attributes:
        name: Its name in the article, with the version that is meant.
        parameters: How many it has, or None where no size is published.
        basis: How we know it: ``"counted"``, ``"published"`` or ``"none"``.
        source: The keys of references.bib that give the architecture or the number.
        kind: What it is, in a few words.
    """

    name: str
    parameters: int | None
    basis: Literal["counted", "published", "none"]
    source: tuple[str, ...]
    kind: str


NAMED_SYSTEMS: tuple[NamedSystem, ...] = (
    NamedSystem(
        "GPT-3",
        transformer_parameters(96, 12288, 50257, 2048),
        "counted",
        ("brown2020",),
        "decoder-only transformer",
    ),
    NamedSystem("DALL-E", 12_000_000_000, "published", ("ramesh2021",), "decoder-only transformer"),
    NamedSystem(
        "BERT-large",
        transformer_parameters(24, 1024, 30522, 512, kind="bert"),
        "counted",
        ("devlin2019",),
        "encoder-only transformer",
    ),
    NamedSystem(
        "Google Translate (GNMT)", 278_000_000, "published", ("shazeer2017", "wu2016"), "LSTM"
    ),
    NamedSystem("YOLO (first)", yolo_parameters(), "counted", ("redmon2016",), "convolutions"),
    NamedSystem(
        "Transformer (big)",
        translation_transformer_parameters(6, 1024, 4096, 37000),
        "counted",
        ("vaswani2017",),
        "encoder-decoder transformer",
    ),
    NamedSystem("SSD300", ssd300_parameters(), "counted", ("liu2016",), "convolutions"),
    NamedSystem(
        "Inception (GoogLeNet)", googlenet_parameters(), "counted", ("szegedy2015",), "convolutions"
    ),
    NamedSystem(
        "AlphaGo (policy net)",
        alphago_policy_parameters(),
        "counted",
        ("silver2016",),
        "convolutions",
    ),
    NamedSystem("the article's classifier", listing_parameters(10_000), "counted", (), "LSTM"),
    *(
        NamedSystem(name, None, "none", (), kind)
        for name, kind in [
            ("BigGAN", "generator of images; no size that we could check"),
            ("Microsoft Translator", "product"),
            ("SpamAssassin", "rules and word counts"),
            ("IBM Watson", "product name for many methods"),
            ("Amazon", "product"),
            ("Taobao", "product"),
            ("Spotify", "product"),
            ("Apple Music", "product"),
            ("Netflix", "product"),
            ("YouTube", "product"),
            ("Siri", "product"),
            ("Google Assistant", "product"),
        ]
    ),
)


def named_systems_table(threshold: int = 1_000_000_000) -> pd.DataFrame:
    """List every named system with a known size, the largest first.

    Args:
        threshold: From how many parameters on a model counts as large.

    Returns:
        A row a system: ``parameters``, ``gigabytes`` at two bytes a parameter, ``basis``, ``kind``
        and ``is_large``; the index is the name.
    """
    known = sorted(
        (each for each in NAMED_SYSTEMS if each.parameters),
        key=lambda each: -(each.parameters or 0),
    )
    return pd.DataFrame(
        {
            "parameters": [each.parameters for each in known],
            "gigabytes": [weight_bytes(each.parameters or 1) / 1e9 for each in known],
            "basis": [each.basis for each in known],
            "kind": [each.kind for each in known],
            "is_large": [(each.parameters or 0) >= threshold for each in known],
        },
        index=pd.Index([each.name for each in known], name="name"),
    )
