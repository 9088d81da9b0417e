"""Predict the next character by counting.

Explained in :doc:`/background`, "A model that counts and a model that learns".
"""

import math
import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from companion.errors import DataError

__all__ = ["ALPHABET", "CharacterCounts", "character_ids", "perplexity", "plain_characters"]

ALPHABET = "\n abcdefghijklmnopqrstuvwxyz0.,'"
_IDS = {character: number for number, character in enumerate(ALPHABET)}
_OTHER = re.compile(r"[^a-z0-9.,'\n]+")


def plain_characters(texts: Iterable[str]) -> str:
    """Bring texts to the 32 characters of :data:`ALPHABET`, and join them by line breaks.

    Letters become small, digits become 0, and everything else becomes a space.

    Args:
        texts: Any texts.

    Returns:
        One long text.

    >>> plain_characters(["Sales rose 2%!"])
    'sales rose 0 '
    """
    text = "\n".join(texts).lower()
    return re.sub(r"\d", "0", _OTHER.sub(" ", text))


def character_ids(text: str) -> NDArray[np.int64]:
    """Give the number of each character in :data:`ALPHABET`.

    Raises:
        DataError: If a character is not in it; :func:`plain_characters` brings a text there.
    """
    try:
        return np.array([_IDS[character] for character in text], dtype=np.int64)
    except KeyError as error:
        raise DataError(
            f"the character {error.args[0]!r} is not in the alphabet; use plain_characters first"
        ) from error


class CharacterCounts:
    """An n-gram model: it counts which character follows which few characters.

    A context that was seen often is trusted; a rare one falls back to a context that is one
    character shorter (Witten and Bell's interpolation), down to equal chances for every character.

    Args:
        text: What to count, of the characters of :data:`ALPHABET`.
        order: How many characters are looked at, the predicted one included; at least 1.

    Raises:
        DataError: If the order is below 1 or the text is shorter than the order.
    """

    def __init__(self, text: str, order: int) -> None:
        if order < 1 or len(text) < order:
            raise DataError(
                f"order {order} needs to be at least 1 and at most the {len(text)} characters given"
            )
        self.order = order
        self.counts: list[Counter[str]] = [
            Counter(text[start : start + size] for start in range(len(text) - size + 1))
            for size in range(1, order + 1)
        ]
        # How often a context was followed by anything, and by how many different characters.
        self.totals: list[Counter[str]] = []
        self.kinds: list[Counter[str]] = []
        for table in self.counts:
            totals, kinds = Counter[str](), Counter[str]()
            for sequence, count in table.items():
                totals[sequence[:-1]] += count
                kinds[sequence[:-1]] += 1
            self.totals.append(totals)
            self.kinds.append(kinds)

    @property
    def stored(self) -> int:
        """How many different sequences are stored, which is the size of the model."""
        return sum(len(table) for table in self.counts)

    def probability(self, context: str, character: str) -> float:
        """Give the probability that a character follows a context of any length."""
        probability = 1 / len(ALPHABET)
        for size in range(self.order):
            seen = context[len(context) - size :] if size <= len(context) else None
            if seen is None or not self.totals[size][seen]:
                break
            kinds = self.kinds[size][seen]
            count = self.counts[size][seen + character]
            probability = (count + kinds * probability) / (self.totals[size][seen] + kinds)
        return probability

    def loss(self, text: str) -> float:
        """Give the mean negative logarithm of the probability of each character, in nats."""
        reach = self.order - 1
        return -sum(
            math.log(self.probability(text[max(0, place - reach) : place], text[place]))
            for place in range(len(text))
        ) / len(text)


def perplexity(loss: float) -> float:
    """Turn a mean loss in nats into a perplexity: among how many equals the model hesitates."""
    return math.exp(loss)
