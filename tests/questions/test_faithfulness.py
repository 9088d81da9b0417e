"""The tests of explanations pass and fail where they should."""

import numpy as np
import pytest

from companion.classifier.inference import TextClassifier
from companion.errors import DataError
from companion.questions.explain import Explanation
from companion.questions.faithfulness import agreement, agreements, deletion, randomised
from tests.questions.test_explain import classifier

__all__ = ["classifier"]

TEXTS = ["the bank a profit", "a goal the coach", "the a profit a"]


def explanation(scores: list[float]) -> Explanation:
    words = [f"word{number}" for number in range(len(scores))]
    return Explanation(words, np.array(scores), "x", sum(scores))


def test_agreement_is_of_ranks_word_by_word() -> None:
    first = explanation([0.1, 0.2, 5.0])
    assert agreement(first, explanation([1.0, 2.0, 3.0])) == pytest.approx(1)
    assert agreement(first, explanation([3.0, 2.0, 1.0])) == pytest.approx(-1)
    with pytest.raises(DataError, match="different texts"):
        agreement(first, explanation([1.0, 2.0]))


def test_the_telling_words_matter_more_than_chance(classifier: TextClassifier) -> None:
    curves = deletion(classifier, TEXTS, words=2)
    assert curves.index.tolist() == [0, 1, 2]
    assert curves.loc[0, "telling"] == pytest.approx(curves.loc[0, "chance"])
    assert curves.loc[2, "telling"] < curves.loc[2, "chance"] - 0.1
    with pytest.raises(DataError, match="has 2 words; take out fewer"):
        deletion(classifier, ["the goal"], words=2)


def test_a_randomised_copy_keeps_its_vectors_and_forgets_the_rest(
    classifier: TextClassifier,
) -> None:
    before = {name: value.clone() for name, value in classifier.model.state_dict().items()}
    stranger = randomised(classifier).model.state_dict()
    for name, value in classifier.model.state_dict().items():
        assert np.array_equal(value, before[name]), "the classifier itself is left alone"
        assert np.array_equal(value, stranger[name]) == name.startswith("embedding"), name


def test_methods_agree_more_than_models(classifier: TextClassifier) -> None:
    table = agreements(classifier, randomised(classifier), TEXTS)
    assert table.columns.tolist() == ["methods", "seeds", "models"]
    assert table["methods"].mean() > table["models"].mean()
    assert table["seeds"].mean() > 0.5
