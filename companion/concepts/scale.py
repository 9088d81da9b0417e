"""What scale, pretraining, a change of the texts and wrong labels do to a result.

Explained in :doc:`/scale`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from companion.errors import DataError
from companion.finetuning.model import EncoderClassifier, embed_documents
from companion.finetuning.pretrained import encode, load_pretrained

__all__ = [
    "PowerLaw",
    "draw_per_class",
    "fit_power_law",
    "headline",
    "sentence_vectors",
    "swap_letters",
    "with_wrong_labels",
]


@dataclass(frozen=True)
class PowerLaw:
    """A straight line on doubly logarithmic axes: ``factor · x ** -exponent``.

    Attributes:
        factor: The value at x = 1.
        exponent: How fast it falls: with 10 times x it is divided by 10 to this power.
        smallest: The smallest x that it was fitted on.
        largest: The largest x that it was fitted on.
    """

    factor: float
    exponent: float
    smallest: float
    largest: float

    def __call__(self, x: float) -> float:
        """Give the value of the line at x, inside the fitted range or not."""
        return float(self.factor * x**-self.exponent)


def fit_power_law(x: Sequence[float], y: Sequence[float]) -> PowerLaw:
    """Fit a power law by least squares on the logarithms.

    Args:
        x: Sizes, all positive, at least two different ones.
        y: What was measured at each, positive.

    Returns:
        The line.

    Raises:
        DataError: If a number is not positive or all sizes are equal.
    """
    sizes, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if min(sizes.min(), values.min()) <= 0 or len(set(sizes.tolist())) < 2:
        raise DataError("a power law needs positive numbers at two different sizes or more")
    slope, intercept = np.polyfit(np.log(sizes), np.log(values), 1)
    return PowerLaw(float(np.exp(intercept)), float(-slope), float(sizes.min()), float(sizes.max()))


def headline(text: str) -> str:
    """Give the first line of a text."""
    return text.split("\n", 1)[0]


def draw_per_class(frame: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Draw as many documents of each ``label``.

    Args:
        frame: The column ``label`` and any others.
        count: How many of each class.
        seed: Fixes the draw.

    Returns:
        The drawn rows, with their index.

    Raises:
        DataError: If a class has fewer.
    """
    smallest = frame["label"].value_counts()
    if smallest.iloc[-1] < count:
        raise DataError(
            f"the class {smallest.index[-1]!r} has {smallest.iloc[-1]} documents; "
            f"ask for fewer than {count}"
        )
    return frame.groupby("label").sample(count, random_state=seed)


def with_wrong_labels(labels: pd.Series, share: float, seed: int) -> pd.Series:
    """Change a share of the labels into another class, drawn at random.

    Args:
        labels: The right labels, of at least two classes.
        share: The part to change, from 0 to 1.
        seed: Fixes which, and to what.

    Returns:
        The labels with so many errors.

    Raises:
        DataError: If the share is no share or there is one class only.
    """
    classes = sorted(labels.unique())
    if not 0 <= share <= 1 or len(classes) < 2:
        raise DataError("give a share from 0 to 1, and labels of at least two classes")
    generator = np.random.default_rng(seed)
    changed = labels.copy()
    for row in generator.permutation(len(labels))[: round(share * len(labels))]:
        others = [name for name in classes if name != labels.iloc[row]]
        changed.iloc[row] = others[generator.integers(len(others))]
    return changed


def swap_letters(text: str, share: float, seed: int) -> str:
    """Make typing errors: swap a share of the pairs of neighbouring letters.

    Args:
        text: Any text.
        share: The chance that a letter changes places with the next.
        seed: Fixes which.

    Returns:
        A text of the same length.
    """
    generator = np.random.default_rng(seed)
    letters, place = list(text), 0
    chances = generator.random(len(letters))
    while place < len(letters) - 1:
        if letters[place].isalpha() and letters[place + 1].isalpha() and chances[place] < share:
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
            place += 1
        place += 1
    return "".join(letters)


def sentence_vectors(texts: Sequence[str], *, maximum_tokens: int = 64) -> NDArray[np.float32]:
    """Turn texts into vectors by MiniLM, a pretrained encoder, without training anything.

    Args:
        texts: Short texts.
        maximum_tokens: Where a longer text is cut.

    Returns:
        ``(texts, 384)`` the mean of each text's token states, of length 1, in the order given.

    Raises:
        DataError: If a text has no letter, digit or emoji.
        MissingPackageError: If transformers or the package with the weights is not installed.
    """
    minilm = load_pretrained()
    documents = encode(texts, minilm.tokenizer, maximum_tokens)
    return embed_documents(EncoderClassifier(minilm.encoder, classes=1), documents)
