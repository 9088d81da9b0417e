"""Costs, scorecards, groups and back-tests, held against formulas and small cases."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from companion.applications.finance import (
    TRADING_DAYS,
    Scorecard,
    compare_detectors,
    compare_scores,
    cost_curve,
    credit_study,
    crossover_positions,
    crossover_returns,
    deflated_sharpe,
    expected_best_sharpe,
    group_rates,
    load_default,
    load_sp500,
    next_day_accuracy,
    search_study,
    sharpe,
    shuffled_prices,
    walk_forward,
)
from companion.errors import DataError


def test_the_customers_are_the_ten_thousand_of_the_book() -> None:
    frame = load_default()
    assert len(frame) == 10_000
    assert frame["default"].sum() == 333
    assert frame["student"].sum() == 2_944
    assert frame.columns.tolist() == ["default", "student", "balance", "income"]


def test_the_index_has_its_days() -> None:
    prices = load_sp500()
    assert len(prices) == 5_031
    assert str(prices.index[0].date()) == "1999-01-04"
    assert str(prices.index[-1].date()) == "2018-12-31"
    assert prices.index.is_monotonic_increasing
    assert prices.iloc[0] == pytest.approx(1228.10)


def test_the_cost_of_three_thresholds_counted_by_hand() -> None:
    """Four cases, two positives; a miss costs 10, an alarm 1."""
    curve = cost_curve([True, False, True, False], [0.9, 0.6, 0.3, 0.1], miss=10, alarm=1)
    by_threshold = curve.set_index(curve["threshold"].round(2))
    assert by_threshold.loc[0.0, ["cost", "caught", "alarms"]].tolist() == [1.0, 1.0, 1.0]
    assert by_threshold.loc[0.5, ["cost", "caught", "alarms"]].tolist() == [3.0, 0.5, 0.5]
    assert by_threshold.loc[1.0, ["cost", "caught", "alarms"]].tolist() == [5.0, 0.0, 0.0]


def test_the_cheapest_threshold_of_true_probabilities_is_the_ratio_of_the_costs() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.uniform(size=400_000)
    truth = generator.uniform(size=400_000) < probabilities
    curve = cost_curve(truth, probabilities, miss=10, alarm=2)
    assert curve.loc[curve["cost"].idxmin(), "threshold"] == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(("truth", "scores"), [([False, False], [0.1, 0.2]), ([True], [0.1, 0.2])])
def test_a_curve_without_positives_is_refused(truth: list[bool], scores: list[float]) -> None:
    with pytest.raises(DataError, match="one probability a case"):
        cost_curve(truth, scores, miss=1, alarm=1)


@pytest.fixture(scope="module")
def card() -> tuple[Scorecard, pd.DataFrame]:
    frame = load_default()
    features = frame[["balance", "student"]]
    return Scorecard.fit(features, frame["default"], {"balance": [1000, 1500, 2000]}), frame


def test_the_points_add_up_to_the_score(card: tuple[Scorecard, pd.DataFrame]) -> None:
    scorecard, frame = card
    applicants = frame.loc[[0, 1], ["balance", "student"]]
    points = scorecard.points.set_index(["feature", "bin"])["points"]
    expected = [
        points["balance", "under 1000"] + points["student", "False"],
        points["balance", "under 1000"] + points["student", "True"],
    ]
    assert applicants["balance"].max() < 1000
    assert scorecard.score(applicants).tolist() == expected
    assert scorecard.points["points"].dtype.kind == "i"


def test_a_border_belongs_to_the_bin_above_it(card: tuple[Scorecard, pd.DataFrame]) -> None:
    scorecard, _ = card
    three = pd.DataFrame({"balance": [1499.99, 1500.0, 1e9], "student": [False] * 3})
    points = scorecard.points.set_index(["feature", "bin"])["points"]["balance"]
    assert scorecard.explain(three)["balance"].tolist() == [
        points["1000 to 1500"], points["1500 to 2000"], points["from 2000"]
    ]  # fmt: skip


def test_points_mean_odds(card: tuple[Scorecard, pd.DataFrame]) -> None:
    """In each bin, the mean probability of the score is the share that defaulted."""
    scorecard, frame = card
    features = frame[["balance", "student"]]
    predicted = scorecard.probability_of_default(features)
    bins = pd.cut(frame["balance"], [-1, 1000, 1500, 2000, 1e6], right=False)
    table = pd.DataFrame({"predicted": predicted, "default": frame["default"]}).groupby(
        bins, observed=True
    )
    means = table.mean()
    np.testing.assert_allclose(means["predicted"], means["default"], atol=0.02)
    at_base = scorecard.probability_of_default(features)[scorecard.score(features) == 600]
    assert (at_base.round(6) == round(1 / 51, 6)).all()


def test_the_reason_is_what_costs_the_most_points(card: tuple[Scorecard, pd.DataFrame]) -> None:
    scorecard, _ = card
    two = pd.DataFrame({"balance": [2500.0, 10.0], "student": [True, True]})
    worst = scorecard.points.groupby("feature")["points"].agg(lambda each: each.max() - each.min())
    assert worst["balance"] > worst["student"]
    assert scorecard.reasons(two).iloc[0] == "balance"


def test_an_answer_that_was_never_seen_is_refused() -> None:
    features = pd.DataFrame({"region": ["north", "south"] * 20})
    scorecard = Scorecard.fit(features, [True, False] * 20, {})
    with pytest.raises(DataError, match="region: east was not among"):
        scorecard.score(pd.DataFrame({"region": ["east"]}))


def test_the_rates_of_two_groups_counted_by_hand() -> None:
    rates = group_rates(
        [True, False, False, True, True],
        [True, True, False, False, True],
        ["a", "a", "a", "b", "b"],
    )
    assert rates.loc["a"].tolist() == pytest.approx([3, 1 / 3, 2 / 3, 1 / 2, 0])
    assert rates.loc["b", ["applicants", "bad", "refused", "bad accepted"]].tolist() == [
        2, 1, 0.5, 0.5
    ]  # fmt: skip
    assert np.isnan(rates.loc["b", "good refused"])


PRICES = pd.Series([10.0, 11, 12, 13, 9, 8, 7, 12, 15, 18])


def test_a_position_knows_nothing_of_its_own_day() -> None:
    """Changing the last price changes no position: it is decided the evening before."""
    changed = PRICES.copy()
    changed.iloc[-1] = 1.0
    assert crossover_positions(PRICES, 1, 3).equals(crossover_positions(changed, 1, 3))
    assert crossover_positions(PRICES, 1, 3).tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 1, 1]


def test_returns_are_earned_only_while_holding() -> None:
    returns = crossover_returns(PRICES, 1, 3)
    expected = [0, 0, 0, 13 / 12 - 1, 9 / 13 - 1, 0, 0, 0, 15 / 12 - 1, 18 / 15 - 1]
    np.testing.assert_allclose(returns, expected)
    paid = returns - crossover_returns(PRICES, 1, 3, cost=0.01)
    np.testing.assert_allclose(paid, [0, 0, 0, 0.01, 0, 0.01, 0, 0, 0.01, 0], atol=1e-15)


def test_the_sharpe_ratio_is_the_mean_over_the_deviation_a_year() -> None:
    returns = pd.Series([0.01, -0.005, 0.002, 0.003])
    expected = returns.mean() / returns.std(ddof=1) * np.sqrt(252)
    assert sharpe(returns) == pytest.approx(expected)
    assert sharpe(pd.Series([0.0, 0.0])) == 0.0


def test_the_best_of_many_worthless_strategies_is_as_expected() -> None:
    """The formula against the mean of the highest of 200 normal draws."""
    draws = np.random.default_rng(0).normal(scale=0.5, size=(4000, 200)).max(axis=1)
    assert expected_best_sharpe(200, 0.5) == pytest.approx(draws.mean(), rel=0.02)
    assert expected_best_sharpe(1, 0.5) == 0.0


def test_one_trial_of_normal_returns_has_the_plain_probability() -> None:
    """With one trial nothing is deflated: Lo's standard error for normal returns."""
    returns = pd.Series(np.random.default_rng(1).normal(0.0005, 0.01, 2_000))
    daily = sharpe(returns) / np.sqrt(TRADING_DAYS)
    plain = norm.cdf(daily / np.sqrt((1 + daily**2 / 2) / 1_999))
    assert deflated_sharpe(returns, [sharpe(returns)]) == pytest.approx(plain, abs=0.01)


def test_more_trials_deflate_more() -> None:
    generator = np.random.default_rng(2)
    strategies = pd.DataFrame(generator.normal(0, 0.01, (1_000, 300)))
    ratios = strategies.apply(sharpe)
    best = strategies[ratios.idxmax()]
    assert deflated_sharpe(best, ratios[:2]) > 0.9
    assert deflated_sharpe(best, ratios) < 0.8


def test_the_walk_chooses_on_the_past_alone() -> None:
    """Strategy a is good first and bad later; the walk holds it until the past shows that."""
    generator = np.random.default_rng(3)
    noise = generator.normal(0, 0.001, (400, 2))
    returns = pd.DataFrame(noise, columns=["a", "b"])
    returns.loc[:199, "a"] += 0.01
    returns.loc[200:, "b"] += 0.01
    used, chosen = walk_forward(returns, training_days=100, test_days=100)
    assert chosen == ["a", "a", "b"]
    assert used.index.tolist() == list(range(100, 400))
    assert used.loc[200:299].equals(returns["a"].loc[200:299].rename(used.name))
    with pytest.raises(DataError, match="400 days of returns"):
        walk_forward(returns, training_days=400, test_days=10)


def test_every_detector_is_measured_on_every_split() -> None:
    frame = load_default().iloc[:3_000]
    table = compare_detectors(frame, miss=500, alarm=25, seeds=(0,))
    assert table.index.get_level_values("detector").tolist()[0] == "nobody is a fraud"
    assert len(table) == 4
    nobody, logistic = table.iloc[0], table.loc[("logistic regression", 0)]
    assert nobody["average_precision"] == pytest.approx(1 - nobody["accuracy"], abs=1e-6)
    assert logistic["average_precision"] > 0.3
    assert logistic["cost"] < nobody["cost"]


def test_a_score_is_measured_on_customers_that_it_has_not_seen() -> None:
    study = credit_study(load_default(), features=("balance", "student"))
    assert len(study.testing) == 3_000
    assert set(study.scorecard.points["feature"]) == {"balance", "student"}
    table = compare_scores(load_default(), seeds=(0,))
    assert 0.9 < table["scorecard"][0] < 1
    assert table["regression"][0] == pytest.approx(table["scorecard"][0], abs=0.03)


def test_a_search_follows_the_best_of_the_past() -> None:
    changes = np.random.default_rng(0).normal(0.0003, 0.01, 1_400)
    prices = pd.Series(100 * np.cumprod(1 + changes), index=pd.bdate_range("2000", periods=1_400))
    study = search_study(prices)
    assert study.past[study.best] == study.best_past == study.past.max()
    assert study.future[study.best] == study.best_future
    assert study.middle == prices.index[700]
    assert 0 <= study.deflated <= 1
    assert study.returns.shape == (1_400, 462)


def test_shuffled_prices_keep_their_returns_and_lose_their_order() -> None:
    prices = load_sp500()
    shuffled = shuffled_prices(prices, seed=0)
    assert shuffled.index.equals(prices.index)
    assert shuffled.iloc[0] == prices.iloc[0]
    np.testing.assert_allclose(
        np.sort(shuffled.pct_change().to_numpy()[1:]), np.sort(prices.pct_change().to_numpy()[1:])
    )
    assert not np.allclose(shuffled, prices)


def test_the_next_day_is_predicted_from_the_past_alone() -> None:
    """Days that alternate are foreseen; the baseline is right half of the time."""
    prices = pd.Series(100 * np.cumprod(np.where(np.arange(400) % 2, 1.01, 0.995)))
    table = next_day_accuracy(prices, lags=2, folds=2)
    assert table["gradient boosting"].min() > 0.95
    assert table["always up"].tolist() == pytest.approx([0.5, 0.5], abs=0.02)
