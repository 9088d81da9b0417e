"""Measure what the section on finance prints: ``python -m benchmarks.finance [--record]``.

It takes half a minute. The notebook ``book/applications/finance`` measures all of it again.
"""

from statistics import mean, stdev

from benchmarks.command import Measured, run
from companion.applications.finance import (
    compare_detectors,
    compare_scores,
    load_default,
    load_sp500,
    next_day_accuracy,
    search_study,
    shuffled_prices,
)

COMMAND = "python -m benchmarks.finance --record"
KEYS = {
    "nobody is a fraud": "majority",
    "logistic regression": "logistic",
    "gradient boosting": "boosting",
    "neural network": "network",
}


def fraud() -> Measured:
    """Measure the detectors: means over five splits, and the spread of the best."""
    table = compare_detectors(load_default(), miss=500, alarm=25)
    groups = table.groupby("detector")
    means, spreads = groups.mean(), groups["average_precision"].std()
    measured: Measured = {}
    for detector, key in KEYS.items():
        for column, tolerance in [("accuracy", 0.002), ("average_precision", 0.015), ("cost", 0.3)]:
            measured[f"finance.fraud.{key}.{column}"] = (float(means[column][detector]), tolerance)
        measured[f"finance.fraud.{key}.spread"] = (float(spreads[detector]), 0.015)
    seconds = float(means["seconds"]["logistic regression"])
    return measured | {"finance.fraud.seconds": (seconds, 4 * seconds)}


def credit() -> Measured:
    """Measure the scorecard beside the regression it replaces, over three splits."""
    table = compare_scores(load_default())
    means, spreads = table.mean(), table.std()
    return {
        "finance.credit.scorecard.auc": (float(means["scorecard"]), 0.003),
        "finance.credit.scorecard.spread": (float(spreads["scorecard"]), 0.003),
        "finance.credit.regression.auc": (float(means["regression"]), 0.003),
        "finance.credit.seconds": (float(means["seconds"]), 4 * float(means["seconds"])),
    }


def investment() -> Measured:
    """Measure the search over strategies, on the index and on shuffled ones."""
    prices = load_sp500()
    study = search_study(prices)
    shuffled = [search_study(shuffled_prices(prices, seed)) for seed in range(10)]
    days = next_day_accuracy(prices)
    return {
        "finance.investment.best_past": (study.best_past, 0.01),
        "finance.investment.best_future": (study.best_future, 0.01),
        "finance.investment.hold_past": (study.hold_past, 0.01),
        "finance.investment.hold_future": (study.hold_future, 0.01),
        "finance.investment.luck": (study.luck, 0.01),
        "finance.investment.deflated": (study.deflated, 0.01),
        "finance.investment.walk": (study.walk, 0.01),
        "finance.investment.walk_hold": (study.walk_hold, 0.01),
        "finance.investment.shuffled_gain_past": (
            mean(each.best_past - each.hold_past for each in shuffled),
            0.01,
        ),
        "finance.investment.shuffled_gain_future": (
            mean(each.best_future - each.hold_future for each in shuffled),
            0.01,
        ),
        "finance.investment.shuffled_walk": (
            mean(each.walk - each.walk_hold for each in shuffled),
            0.01,
        ),
        "finance.investment.shuffled_walk_spread": (
            stdev(each.walk - each.walk_hold for each in shuffled),
            0.01,
        ),
        "finance.investment.boosting": (days["gradient boosting"].mean(), 0.01),
        "finance.investment.boosting_spread": (days["gradient boosting"].std(), 0.01),
        "finance.investment.always_up": (days["always up"].mean(), 0.01),
    }


def main() -> None:
    """Measure all or some, print, and record if asked to."""
    run(__doc__, COMMAND, {"fraud": fraud, "credit": credit, "investment": investment})


if __name__ == "__main__":
    main()
