"""Error rates by group, ways to make them more equal, and what each way costs.

Explained in :doc:`/outlook/responsibility`, "Fair to whom".
"""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from companion.errors import DataError, MissingPackageError

__all__ = ["disparities", "mitigation_runs"]

_FEATURES = ["balance", "income"]


def disparities(
    is_bad: NDArray[np.bool_],
    is_refused: NDArray[np.bool_],
    group: NDArray[Any],
    *,
    missed_costs: float = 20,
) -> dict[str, float]:
    """Measure a decision by group with ``fairlearn``, and what its errors cost.

    Args:
        is_bad: Whether each applicant does not pay back.
        is_refused: Whether each is refused.
        group: The group of each.
        missed_costs: What an accepted applicant who does not pay back costs, if a refused one who
            would have paid costs 1.

    Returns:
        ``refusals``: the largest difference of the share refused between groups; ``false alarms``:
        that of the share refused among those who pay back; ``missed``: that of the share accepted
        among those who do not; ``cost``: the mean cost an applicant.

    Raises:
        MissingPackageError: If ``fairlearn`` is not installed.
        DataError: If there is one group only.
    """
    try:
        from fairlearn import metrics
    except ImportError as error:
        raise MissingPackageError("fairness needs fairlearn: pip install fairlearn") from error
    if len(np.unique(group)) < 2:
        raise DataError("there is one group only; a difference needs two")
    frame = metrics.MetricFrame(
        metrics={
            "refusals": metrics.selection_rate,
            "false alarms": metrics.false_positive_rate,
            "missed": metrics.false_negative_rate,
        },
        y_true=is_bad,
        y_pred=is_refused,
        sensitive_features=group,
    )
    cost = missed_costs * (is_bad & ~is_refused) + (~is_bad & is_refused)
    return {**frame.difference().to_dict(), "cost": float(cost.mean())}


def mitigation_runs(
    customers: pd.DataFrame, *, missed_costs: float = 20, seeds: Iterable[int] = range(5)
) -> pd.DataFrame:
    """Decide on credit in six ways, and measure each by group.

    Args:
        customers: As :func:`companion.applications.finance.load_default` gives them.
        missed_costs: As in :func:`disparities`. It also sets the threshold: refuse where the
            probability of default is above 1 / (1 + missed_costs).
        seeds: A split in halves for each.

    Returns:
        A row for each ``way`` and ``seed`` with the columns of :func:`disparities`.
    """
    rows = []
    for seed in seeds:
        train, test = train_test_split(
            customers, test_size=0.5, stratify=customers["default"], random_state=seed
        )
        for way, refused in _decisions(train, test, missed_costs, seed):
            measured = disparities(
                test["default"].to_numpy(),
                np.asarray(refused).astype(bool),
                test["student"].to_numpy(),
                missed_costs=missed_costs,
            )
            rows.append({"way": way, "seed": seed, **measured})
    return pd.DataFrame(rows)


def _decisions(
    train: pd.DataFrame, test: pd.DataFrame, missed_costs: float, seed: int
) -> Iterator[tuple[str, Any]]:
    from fairlearn.postprocessing import ThresholdOptimizer
    from fairlearn.reductions import EqualizedOdds, ErrorRate, ExponentiatedGradient

    y, threshold = train["default"].to_numpy(), 1 / (1 + missed_costs)
    weights = np.where(y, missed_costs, 1.0)
    yield "accept everybody", np.zeros(len(test), dtype=bool)
    for way, names in (
        ("one threshold", _FEATURES),
        ("the group as a feature", [*_FEATURES, "student"]),
    ):
        scaler = StandardScaler().fit(train[names])
        model = LogisticRegression().fit(scaler.transform(train[names]), y)
        yield way, model.predict_proba(scaler.transform(test[names]))[:, 1] > threshold
    scaler = StandardScaler().fit(train[_FEATURES])
    x, x_test = scaler.transform(train[_FEATURES]), scaler.transform(test[_FEATURES])
    weighted = LogisticRegression().fit(x, y, sample_weight=weights)
    for way, constraint in (
        ("equal refusals", "demographic_parity"),
        ("equal errors", "equalized_odds"),
    ):
        rule = ThresholdOptimizer(
            estimator=weighted,
            constraints=constraint,
            objective="balanced_accuracy_score",
            prefit=True,
            predict_method="predict_proba",
        )
        _fit(rule, x, y, train["student"])
        yield way, rule.predict(x_test, sensitive_features=test["student"], random_state=seed)
    rule = ExponentiatedGradient(
        LogisticRegression(),
        EqualizedOdds(difference_bound=0.01),
        objective=ErrorRate(costs={"fp": threshold, "fn": 1 - threshold}),
        max_iter=30,
    )
    _fit(rule, x, y, train["student"])
    yield "equal errors, trained", rule.predict(x_test, random_state=seed)


def _fit(rule: Any, features: Any, is_bad: Any, group: Any) -> None:
    """Train one of fairlearn's rules, without its notes on what pandas will change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rule.fit(features, is_bad, sensitive_features=group)
