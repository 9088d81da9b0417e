"""Fraud, credit and investment: rare events, decisions that must be explained, and back-tests.

Explained in :doc:`/applications/finance`.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kurtosis, norm, skew
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import TimeSeriesSplit, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from companion.errors import DataError
from companion.packages import find_in_package

__all__ = [
    "TRADING_DAYS",
    "CreditStudy",
    "Scorecard",
    "SearchStudy",
    "compare_detectors",
    "compare_scores",
    "cost_curve",
    "credit_study",
    "crossover_grid",
    "crossover_positions",
    "crossover_returns",
    "deflated_sharpe",
    "detectors",
    "expected_best_sharpe",
    "group_rates",
    "load_default",
    "load_sp500",
    "next_day_accuracy",
    "search_study",
    "sharpe",
    "shuffled_prices",
    "walk_forward",
]

TRADING_DAYS = 252  # in a year, by the usual convention


def load_default() -> pd.DataFrame:
    """Read the simulated credit card customers of James et al., 10,000 rows.

    Returns:
        The columns ``default`` and ``student`` (bool), ``balance`` and ``income`` (US dollars).

    Raises:
        MissingPackageError: If the package ISLP is not installed.
    """
    path = find_in_package(
        "ISLP", "ISLP/data/Default.csv", install="pip install --no-deps ISLP==0.6.0"
    )
    frame = pd.read_csv(path)
    return frame.assign(default=frame["default"] == "Yes", student=frame["student"] == "Yes")


def load_sp500() -> "pd.Series[float]":
    """Read the closing values of the S&P 500 index, 1999 to 2018, 5,031 trading days.

    Raises:
        MissingPackageError: If the package arch is not installed.
    """
    path = find_in_package("arch", "arch/data/sp500/sp500.csv.gz", install="pip install arch")
    frame = pd.read_csv(path, parse_dates=["Date"], date_format="%m/%d/%Y", index_col="Date")
    return frame["Adj Close"].rename("S&P 500")


def detectors(seed: int = 0) -> dict[str, Any]:
    """Make the classifiers that the fraud section compares, untrained; the first is the baseline.

    Args:
        seed: Fixes those that draw.
    """
    return {
        "nobody is a fraud": DummyClassifier(strategy="prior"),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
        "gradient boosting": HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=8, random_state=seed
        ),
        "neural network": make_pipeline(
            StandardScaler(),
            MLPClassifier((32, 32), alpha=1e-3, early_stopping=True, random_state=seed),
        ),
    }


def compare_detectors(
    frame: pd.DataFrame, *, miss: float, alarm: float, seeds: Iterable[int] = range(5)
) -> pd.DataFrame:
    """Train and test each of :func:`detectors` on the same random splits.

    Args:
        frame: Features and the column ``default``, which plays the fraud.
        miss: The cost of a positive that is let through.
        alarm: The cost of a case that is held up.
        seeds: A split each; 30 % of the cases are tested on.

    Returns:
        A row for each detector and seed: ``accuracy`` at a half, ``average_precision``, ``cost`` (a
        case, at the threshold ``alarm / miss``) and ``seconds`` (of processor time for training).
    """
    features, truth = frame.drop(columns="default").astype(float), frame["default"]
    rows = []
    for seed in seeds:
        training, testing = train_test_split(
            np.arange(len(frame)), test_size=0.3, stratify=truth, random_state=seed
        )
        for name, detector in detectors(seed).items():
            start = time.process_time()
            detector.fit(features.iloc[training], truth.iloc[training])
            seconds = time.process_time() - start
            probabilities = detector.predict_proba(features.iloc[testing])[:, 1]
            measured = _measure(truth.iloc[testing], probabilities, miss, alarm)
            rows.append({"detector": name, "seed": seed, **measured, "seconds": seconds})
    return pd.DataFrame(rows).set_index(["detector", "seed"])


def _measure(
    truth: "pd.Series[bool]", probabilities: NDArray[np.float64], miss: float, alarm: float
) -> dict[str, float]:
    """Measure one detector on one test set."""
    held = probabilities >= alarm / miss
    return {
        "accuracy": float(((probabilities >= 0.5) == truth).mean()),
        "average_precision": float(average_precision_score(truth, probabilities)),
        "cost": float(miss * (~held & truth).mean() + alarm * held.mean()),
    }


def cost_curve(
    is_positive: ArrayLike, probabilities: ArrayLike, *, miss: float, alarm: float
) -> pd.DataFrame:
    """Say what each threshold costs: a miss for each positive below it, an alarm for the others.

    Args:
        is_positive: ``(cases,)`` truth values.
        probabilities: ``(cases,)`` of being positive.
        miss: The cost of a positive that is let through.
        alarm: The cost of a case that is held up, positive or not.

    Returns:
        A row for each threshold from 0 to 1 in steps of 0.01: ``threshold``, ``cost`` (a case),
        ``caught`` (the share of the positives) and ``alarms`` (the share of all cases).

    Raises:
        DataError: If the two differ in length, or there is no positive.
    """
    truth, scores = np.asarray(is_positive, dtype=bool), np.asarray(probabilities, dtype=float)
    if truth.shape != scores.shape or not truth.any():
        raise DataError(
            f"{truth.sum()} positives in {len(truth)} cases, and {len(scores)} probabilities; "
            "give one probability a case, and at least one positive"
        )
    thresholds = np.linspace(0, 1, 101)
    held = scores >= thresholds[:, None]  # (thresholds, cases)
    missed, alarms = (~held & truth).mean(axis=1), held.mean(axis=1)
    return pd.DataFrame(
        {
            "threshold": thresholds,
            "cost": miss * missed + alarm * alarms,
            "caught": 1 - missed / truth.mean(),
            "alarms": alarms,
        }
    )


@dataclass(frozen=True)
class Scorecard:
    """Points for each answer on an application form; they add up to a score.

    It is a logistic regression over bins. ``points_to_double`` more points mean that the odds of
    paying back double; a score of ``base`` means odds of ``base_odds`` to one.

    Attributes:
        edges: The inner borders of the bins of each feature that is cut into bins.
        points: A row for each feature and bin: columns ``feature``, ``bin``, ``points``.
        base: The score of an applicant with the odds ``base_odds``.
        base_odds: Odds of paying back.
        points_to_double: The points that double the odds.
    """

    edges: Mapping[str, Sequence[float]]
    points: pd.DataFrame
    base: float = 600.0
    base_odds: float = 50.0
    points_to_double: float = 20.0

    @classmethod
    def fit(
        cls,
        features: pd.DataFrame,
        is_bad: ArrayLike,
        edges: Mapping[str, Sequence[float]],
        *,
        points_to_double: float = 20.0,
        base: float = 600.0,
        base_odds: float = 50.0,
    ) -> "Scorecard":
        """Fit the points.

        Args:
            features: A column a question; those without edges are taken as categories.
            is_bad: ``(applicants,)`` whether each did not pay back.
            edges: The inner borders of the bins of each numeric feature, rising.
            points_to_double: The points that double the odds of paying back.
            base: The score at the odds ``base_odds``.
            base_odds: Odds of paying back, to one.

        Returns:
            The scorecard. Its points are whole numbers, as on paper.
        """
        indicators = _indicators(features, edges)
        model = LogisticRegression(C=100, max_iter=1000).fit(
            indicators.to_numpy(dtype=float), ~np.asarray(is_bad, dtype=bool)
        )
        factor = points_to_double / np.log(2)
        offset = base - factor * np.log(base_odds)
        share = (offset + factor * model.intercept_[0]) / features.shape[1]
        points = pd.DataFrame(
            [name.split(": ", 1) for name in indicators.columns], columns=["feature", "bin"]
        ).assign(points=np.round(factor * model.coef_[0] + share).astype(int))
        return cls(edges, points, base, base_odds, points_to_double)

    def explain(self, features: pd.DataFrame) -> pd.DataFrame:
        """Give the points of each applicant for each feature; a row adds up to the score."""
        by_bin = {
            f"{feature}: {name}": points
            for feature, name, points in self.points.itertuples(index=False)
        }
        indicators = _indicators(features, self.edges)
        table = pd.DataFrame(0, index=features.index, columns=features.columns)
        for column in indicators.columns[indicators.any()]:
            if column not in by_bin:
                raise DataError(f"{column} was not among the applicants it was fitted on")
            table[column.split(": ", 1)[0]] += indicators[column] * by_bin[column]
        return table

    def score(self, features: pd.DataFrame) -> "pd.Series[int]":
        """Give the score of each applicant."""
        return self.explain(features).sum(axis=1)

    def probability_of_default(self, features: pd.DataFrame) -> "pd.Series[float]":
        """Turn the scores back into probabilities of not paying back."""
        log_odds = (self.score(features) - self.base) * np.log(2) / self.points_to_double
        return pd.Series(1 / (1 + self.base_odds * np.exp(log_odds)), index=features.index)

    def reasons(self, features: pd.DataFrame) -> "pd.Series[str]":
        """Name the feature that costs each applicant the most points against the best bin."""
        best = self.points.groupby("feature")["points"].max()
        lost = best[features.columns] - self.explain(features)
        return pd.Series([str(name) for name in lost.idxmax(axis=1)], index=features.index)


def _indicators(features: pd.DataFrame, edges: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Give a column of truth values for each feature and bin, as ``balance: 500 to 1000``."""
    binned = {}
    for name, column in features.items():
        if borders := edges.get(str(name)):
            labels = [
                f"under {borders[0]:g}",
                *(f"{low:g} to {high:g}" for low, high in pairwise(borders)),
                f"from {borders[-1]:g}",
            ]
            bins = pd.cut(column, [-np.inf, *borders, np.inf], right=False, labels=labels)
            binned[name] = bins
        else:
            binned[name] = column.astype("category")
    return pd.get_dummies(pd.DataFrame(binned), prefix_sep=": ")


def group_rates(is_bad: ArrayLike, is_refused: ArrayLike, group: ArrayLike) -> pd.DataFrame:
    """Measure how a decision treats groups.

    Args:
        is_bad: Whether each applicant does not pay back.
        is_refused: Whether each is refused.
        group: The group of each.

    Returns:
        A row a group: ``applicants``, ``bad`` and ``refused`` (shares), ``good refused``
        (the share of those who pay back) and ``bad accepted`` (of those who do not).
    """
    table = pd.DataFrame(
        {
            "bad": np.asarray(is_bad, dtype=bool),
            "refused": np.asarray(is_refused, dtype=bool),
            "group": np.asarray(group),
        }
    )
    groups = table.groupby("group")
    return pd.DataFrame(
        {
            "applicants": groups.size(),
            "bad": groups["bad"].mean(),
            "refused": groups["refused"].mean(),
            "good refused": table[~table["bad"]].groupby("group")["refused"].mean(),
            "bad accepted": 1 - table[table["bad"]].groupby("group")["refused"].mean(),
        }
    )


def crossover_positions(prices: "pd.Series[float]", fast: int, slow: int) -> "pd.Series[float]":
    """Hold the index on the days after its fast moving average stood above the slow one.

    Args:
        prices: Closing prices.
        fast: Days of the fast average.
        slow: Days of the slow average.

    Returns:
        The position of each day, 1 or 0. It is decided on the evening before: nothing of the day
        itself is known.
    """
    above = prices.rolling(fast).mean() > prices.rolling(slow).mean()
    return above.astype(float).shift(1, fill_value=0.0)


def crossover_returns(
    prices: "pd.Series[float]", fast: int, slow: int, *, cost: float = 0.0
) -> "pd.Series[float]":
    """Give the daily returns of :func:`crossover_positions`.

    Args:
        prices: Closing prices.
        fast: Days of the fast average.
        slow: Days of the slow average.
        cost: The share of the amount that a purchase or a sale costs.
    """
    positions = crossover_positions(prices, fast, slow)
    trades = positions.diff().abs().fillna(positions)
    return positions * prices.pct_change().fillna(0.0) - cost * trades


def crossover_grid(prices: "pd.Series[float]", *, cost: float = 0.0005) -> pd.DataFrame:
    """Give the daily returns of 462 crossover strategies; a column each, named ``fast / slow``."""
    pairs = [(fast, slow) for fast in range(2, 42, 2) for slow in range(20, 260, 10) if fast < slow]
    return pd.DataFrame(
        {
            f"{fast} / {slow}": crossover_returns(prices, fast, slow, cost=cost)
            for fast, slow in pairs
        }
    )


def shuffled_prices(prices: "pd.Series[float]", seed: int) -> "pd.Series[float]":
    """Make an index with the same daily returns in a random order: nothing in it can be foreseen.

    Args:
        prices: Closing prices.
        seed: Fixes the order.
    """
    changes = np.random.default_rng(seed).permutation(prices.pct_change().to_numpy()[1:])
    path = np.concatenate([[1.0], np.cumprod(1 + changes)])
    return pd.Series(float(prices.iloc[0]) * path, index=prices.index)


def next_day_accuracy(
    prices: "pd.Series[float]", *, lags: int = 10, folds: int = 5
) -> pd.DataFrame:
    """Predict from the last days whether the next one rises, always trained on the past alone.

    Args:
        prices: Closing prices.
        lags: How many past daily returns the model reads.
        folds: How many stretches are predicted, each by a model trained on all days before it.

    Returns:
        A row a stretch: the accuracy of ``gradient boosting`` and of ``always up``.
    """
    returns = prices.pct_change()
    features = pd.DataFrame({f"lag {lag}": returns.shift(lag) for lag in range(1, lags + 1)})
    known = features.notna().all(axis=1)
    features, rises = features[known], (returns[known] > 0)
    rows = []
    for training, testing in TimeSeriesSplit(n_splits=folds).split(features):
        model = HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=8, random_state=0)
        model.fit(features.iloc[training], rises.iloc[training])
        rows.append(
            {
                "gradient boosting": model.score(features.iloc[testing], rises.iloc[testing]),
                "always up": float(rises.iloc[testing].mean()),
            }
        )
    return pd.DataFrame(rows)


def sharpe(returns: "pd.Series[float]") -> float:
    """Give the annual Sharpe ratio of daily returns, over an interest rate of zero.

    It is 0 where the returns do not vary.
    """
    deviation = float(returns.std())
    return float(returns.mean()) / deviation * TRADING_DAYS**0.5 if deviation > 0 else 0.0


def expected_best_sharpe(trials: int, spread: float) -> float:
    """Say how good the best of many worthless strategies looks (Bailey & López de Prado, 2014).

    Args:
        trials: How many were tried.
        spread: The standard deviation of their Sharpe ratios.

    Returns:
        The expected highest Sharpe ratio, in the unit of ``spread``.
    """
    if trials < 2:
        return 0.0
    euler = np.euler_gamma
    return float(
        spread
        * ((1 - euler) * norm.ppf(1 - 1 / trials) + euler * norm.ppf(1 - 1 / (trials * np.e)))
    )


def deflated_sharpe(
    returns: "pd.Series[float]", tried: Iterable[float], benchmark: float = 0.0
) -> float:
    """Give the probability that a strategy's true Sharpe ratio beats what luck alone would show.

    Args:
        returns: The daily returns of the strategy that was chosen.
        tried: The annual Sharpe ratios of all strategies that it was chosen from.
        benchmark: An annual Sharpe ratio that is to be beaten besides.

    Returns:
        The deflated Sharpe ratio of Bailey and López de Prado (2014): a probability. The strategies
        are taken as independent; where they resemble each other, it is too strict.
    """
    ratios = np.asarray(list(tried)) / TRADING_DAYS**0.5
    luck = expected_best_sharpe(len(ratios), float(ratios.std(ddof=1)) if len(ratios) > 1 else 0.0)
    daily = sharpe(returns) / TRADING_DAYS**0.5
    error = np.sqrt(
        (
            1
            - float(skew(returns)) * daily
            + (float(kurtosis(returns, fisher=False)) - 1) / 4 * daily**2
        )
        / (len(returns) - 1)
    )
    return float(norm.cdf((daily - luck - benchmark / TRADING_DAYS**0.5) / error))


def walk_forward(
    returns: pd.DataFrame, *, training_days: int, test_days: int
) -> tuple["pd.Series[float]", list[object]]:
    """Choose the best strategy on a stretch of the past, live with it for the next stretch, repeat.

    Args:
        returns: A column of daily returns a strategy.
        training_days: The stretch on which the strategy with the best Sharpe ratio is chosen.
        test_days: How long it is then used.

    Returns:
        The daily returns of what was used, and the strategy chosen in each stretch.

    Raises:
        DataError: If there are too few days for one choice.
    """
    if len(returns) <= training_days:
        raise DataError(
            f"{len(returns)} days of returns, and {training_days} to choose on; give more days"
        )
    used, chosen = [], []
    for start in range(training_days, len(returns), test_days):
        best = returns.iloc[start - training_days : start].apply(sharpe).idxmax()
        chosen.append(best)
        used.append(returns[best].iloc[start : start + test_days])
    return pd.concat(used), chosen


@dataclass(frozen=True)
class CreditStudy:
    """A scorecard and a logistic regression, fitted on the same customers, asked about others.

    Attributes:
        scorecard: The scorecard.
        testing: The customers that neither has seen, 30 % of all.
        scorecard_default: The probability of default of each, by the scorecard.
        regression_default: The same by logistic regression on the plain numbers.
    """

    scorecard: Scorecard
    testing: pd.DataFrame
    scorecard_default: "pd.Series[float]"
    regression_default: "pd.Series[float]"


def credit_study(
    frame: pd.DataFrame, *, features: Sequence[str] = ("balance", "income"), seed: int = 0
) -> CreditStudy:
    """Fit a scorecard and a logistic regression on 70 % of the customers.

    Args:
        frame: The customers of :func:`load_default`.
        features: What both may look at.
        seed: Fixes the split.
    """
    names = list(features)
    training, testing = train_test_split(
        frame, test_size=0.3, stratify=frame["default"], random_state=seed
    )
    edges = {"balance": [500, 1000, 1250, 1500, 1750, 2000], "income": [20_000, 40_000]}
    scorecard = Scorecard.fit(
        training[names], training["default"], {name: edges[name] for name in names if name in edges}
    )
    regression = make_pipeline(StandardScaler(), LogisticRegression())
    regression.fit(training[names], training["default"])
    return CreditStudy(
        scorecard,
        testing,
        scorecard.probability_of_default(testing[names]),
        pd.Series(regression.predict_proba(testing[names])[:, 1], index=testing.index),
    )


def compare_scores(frame: pd.DataFrame, *, seeds: Iterable[int] = range(3)) -> pd.DataFrame:
    """Measure the area under the ROC curve of :func:`credit_study`, a row a split.

    Args:
        frame: The customers of :func:`load_default`.
        seeds: A split each.

    Returns:
        The columns ``scorecard``, ``regression`` and ``seconds``, the processor time of both.
    """
    rows = []
    for seed in seeds:
        start = time.process_time()
        study = credit_study(frame, seed=seed)
        seconds = time.process_time() - start
        truth = study.testing["default"]
        rows.append(
            {
                "scorecard": float(roc_auc_score(truth, study.scorecard_default)),
                "regression": float(roc_auc_score(truth, study.regression_default)),
                "seconds": seconds,
            }
        )
    return pd.DataFrame(rows, index=pd.Index(list(seeds), name="seed"))


@dataclass(frozen=True)
class SearchStudy:
    """What a search over strategies found in the first half of the days, and what became of it.

    All ratios are annual Sharpe ratios.

    Attributes:
        returns: The daily returns of each strategy, with the cost of trading.
        hold: The daily returns of holding the index.
        middle: The first day of the second half.
        past: The ratio of each strategy in the first half.
        future: The same in the second.
        best: The strategy with the highest ratio in the first half.
        best_past: Its ratio in the first half.
        best_future: Its ratio in the second.
        hold_past: The ratio of holding the index in the first half.
        hold_future: The same in the second.
        luck: The ratio that the best of as many worthless strategies is expected to show.
        deflated: The probability that ``best`` is better than luck, judged on the first half.
        walk: The ratio of choosing anew each quarter on the last three years.
        walk_hold: The ratio of holding the index on the same days.
    """

    returns: pd.DataFrame
    hold: "pd.Series[float]"
    middle: pd.Timestamp
    past: "pd.Series[float]"
    future: "pd.Series[float]"
    best: str
    best_past: float
    best_future: float
    hold_past: float
    hold_future: float
    luck: float
    deflated: float
    walk: float
    walk_hold: float


def search_study(prices: "pd.Series[float]") -> SearchStudy:
    """Choose the best of 462 crossover strategies on the first half, and follow it.

    Args:
        prices: Closing prices.
    """
    returns, hold = crossover_grid(prices), prices.pct_change().fillna(0.0)
    half = len(returns) // 2
    past, future = returns.iloc[:half].apply(sharpe), returns.iloc[half:].apply(sharpe)
    best = str(past.idxmax())
    walk, _ = walk_forward(returns, training_days=3 * TRADING_DAYS, test_days=TRADING_DAYS // 4)
    return SearchStudy(
        returns=returns,
        hold=hold,
        middle=returns.index[half],
        past=past,
        future=future,
        best=best,
        best_past=float(past[best]),
        best_future=float(future[best]),
        hold_past=sharpe(hold.iloc[:half]),
        hold_future=sharpe(hold.iloc[half:]),
        luck=expected_best_sharpe(len(past), float(past.std())),
        deflated=deflated_sharpe(returns[best].iloc[:half], past),
        walk=sharpe(walk),
        walk_hold=sharpe(hold.loc[walk.index]),
    )
