"""Other weights, the same answer."""

import numpy as np
import pytest

from companion.concepts.explanation import (
    compare_explanations,
    other_weights,
    total_variation,
    train_attention_classifier,
)
from companion.errors import DataError


def test_other_weights_give_the_same_output() -> None:
    generator = np.random.default_rng(0)
    weights, values = generator.dirichlet(np.ones(60)), generator.normal(size=(60, 4))
    others = other_weights(weights, values)
    assert np.allclose(others @ values, weights @ values, atol=1e-8)
    assert others.min() >= 0
    assert np.isclose(others.sum(), 1)
    assert total_variation(weights, others) > 0.5


def test_where_the_output_fixes_the_weights_nothing_moves() -> None:
    weights = np.array([0.2, 0.3, 0.5])
    assert np.allclose(other_weights(weights, np.eye(3)), weights)


def test_bad_weights() -> None:
    with pytest.raises(DataError, match="add up"):
        other_weights(np.array([0.5, 0.6]), np.eye(2))
    with pytest.raises(DataError, match="shape"):
        other_weights(np.array([0.5, 0.5]), np.eye(3))


def test_the_classifier_learns_and_is_compared() -> None:
    generator = np.random.default_rng(0)
    labels = [row % 2 for row in range(80)]
    documents = [[2 + label, *generator.integers(4, 40, size=30)] for label in labels]
    model = train_attention_classifier(documents, labels, 40, epochs=30)
    compared = compare_explanations(model, documents[:10])
    assert compared["change"].max() < 1e-5
    assert (compared["equivalent"] >= 0).all()
