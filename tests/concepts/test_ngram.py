"""The model that counts."""

import math

import pytest

from companion.concepts.ngram import (
    ALPHABET,
    CharacterCounts,
    character_ids,
    perplexity,
    plain_characters,
)
from companion.errors import DataError


@pytest.mark.parametrize("context", ["", "a", "ab", "zz", "never seen "])
def test_the_probabilities_add_up_to_one(context: str) -> None:
    counts = CharacterCounts("abracadabra, said the bard.", 3)
    total = sum(counts.probability(context, character) for character in ALPHABET)
    assert math.isclose(total, 1, rel_tol=1e-12)


def test_witten_bell_by_hand() -> None:
    """In "aab", a follows a once of two times, b the other; two kinds after a."""
    counts = CharacterCounts("aab", 2)
    alone = (2 + 2 / 32) / (3 + 2)
    assert math.isclose(counts.probability("a", "a"), (1 + 2 * alone) / (2 + 2))


def test_loss_falls_on_what_was_counted() -> None:
    text = "to be or not to be, that is the question. " * 5
    losses = [CharacterCounts(text, order).loss(text) for order in (1, 2, 4)]
    assert losses == sorted(losses, reverse=True)
    assert perplexity(math.log(32)) == pytest.approx(32)


def test_characters() -> None:
    assert plain_characters(["Sales rose 25%!", "Ça va"]) == "sales rose 00 \n a va"
    assert character_ids("\n a").tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="plain_characters"):
        character_ids("A")
    with pytest.raises(DataError, match="order"):
        CharacterCounts("ab", 3)
