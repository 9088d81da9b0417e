"""Power laws, draws, errors of typing and of labels."""

import numpy as np
import pandas as pd
import pytest

from companion.concepts.rules import KeywordRules
from companion.concepts.scale import (
    draw_per_class,
    fit_power_law,
    headline,
    swap_letters,
    with_wrong_labels,
)
from companion.errors import DataError
from tests.conftest import news


def test_a_power_law_is_found_again() -> None:
    sizes = [10.0, 100.0, 1000.0]
    law = fit_power_law(sizes, [3 * size**-0.25 for size in sizes])
    assert law.factor == pytest.approx(3)
    assert law.exponent == pytest.approx(0.25)
    assert law(10_000) == pytest.approx(0.3)
    assert (law.smallest, law.largest) == (10, 1000)
    with pytest.raises(DataError, match="two different sizes"):
        fit_power_law([1, 1], [2, 3])


def test_each_class_gives_as_many() -> None:
    drawn = draw_per_class(news(20), 7, seed=0)
    assert set(drawn["label"].value_counts()) == {7}
    assert not drawn.equals(draw_per_class(news(20), 7, seed=1))
    with pytest.raises(DataError, match="ask for fewer than 21"):
        draw_per_class(news(20), 21, seed=0)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_exactly_the_share_of_labels_is_wrong(share: float) -> None:
    labels = pd.Series(list("abc") * 40)
    assert (with_wrong_labels(labels, share, 0) != labels).mean() == share


def test_bad_noise() -> None:
    with pytest.raises(DataError, match="two classes"):
        with_wrong_labels(pd.Series(["a", "a"]), 0.5, 0)


def test_swapping_keeps_the_letters() -> None:
    text = "Profits rose, and so did the shares." * 20
    spoilt = swap_letters(text, 0.3, seed=0)
    assert sorted(spoilt) == sorted(text)
    assert spoilt != text
    assert swap_letters(text, 0.0, seed=0) == text
    assert [i for i, c in enumerate(spoilt) if c == ","] == [
        i for i, c in enumerate(text) if c == ","
    ]


def test_headline_and_rules() -> None:
    assert headline("First\n\nrest") == "First"
    rules = KeywordRules({"a": "one two", "b": "three"}, otherwise="b")
    assert rules.predict(["One, two!", "three one two", "nothing", "three"]) == ["a", "a", "b", "b"]
    with pytest.raises(DataError, match="classes"):
        KeywordRules({"a": "one"}, otherwise="c")


def test_the_pretrained_encoder_knows_neighbours() -> None:
    pytest.importorskip("transformers")
    from companion.concepts.scale import sentence_vectors

    vectors = sentence_vectors(["The striker scored", "A goal by the forward", "Oil prices fell"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1
