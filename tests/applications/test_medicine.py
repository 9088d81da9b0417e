"""Diagnoses, base rates and decision curves, held against cases counted by hand."""

import numpy as np
import pytest
from sklearn.metrics import precision_score

from companion.applications.medicine import (
    compare_diagnoses,
    decision_curve,
    load_tumours,
    predictive_value,
)
from companion.errors import DataError


def test_the_tumours_are_those_of_the_book() -> None:
    features, is_ill = load_tumours()
    assert features.shape == (569, 30)
    assert is_ill.sum() == 212
    assert features.loc[is_ill, "mean radius"].mean() > features.loc[~is_ill, "mean radius"].mean()


def test_bayes_rule_is_the_precision_at_the_base_rate_of_the_data() -> None:
    truth = np.array([True] * 4 + [False] * 6)
    answer = np.array([True, True, True, False, True, False, False, False, False, False])
    assert predictive_value(3 / 4, 5 / 6, 0.4) == pytest.approx(precision_score(truth, answer))
    assert predictive_value(0.9, 0.9, 0.01) == pytest.approx(9 / 108)


@pytest.mark.parametrize(
    ("shares", "message"), [((1.2, 1, 0.1), "shares"), ((0, 1, 0.1), "no ans")]
)
def test_impossible_shares_are_refused(shares: tuple[float, float, float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        predictive_value(*shares)


def test_the_net_benefit_of_four_persons_counted_by_hand() -> None:
    """At 0.5 an alarm weighs as much as a hit: one of each; at 0.2 a quarter of a hit."""
    curve = decision_curve([True, False, True, False], [0.9, 0.6, 0.3, 0.1])
    at = curve.set_index(curve["threshold"].round(2))
    assert at.loc[0.5].tolist() == pytest.approx([0.5, 0.0, 0.0])
    assert at.loc[0.2].tolist() == pytest.approx([0.2, (2 - 0.25) / 4, 0.5 - 0.125])
    with pytest.raises(DataError, match="4 persons"):
        decision_curve([True, False, True, False], [0.9])


def test_the_baselines_are_beaten() -> None:
    table = compare_diagnoses(*load_tumours(), seeds=[0])
    balanced = table["balanced"].droplevel("seed")
    assert balanced["nobody is ill"] == 0.5
    assert balanced["nobody is ill"] < balanced["one measurement"] < balanced["logistic regression"]
    mean = table[["sensitivity", "specificity"]].mean(axis=1)
    np.testing.assert_allclose(mean, table["balanced"])
