"""Measure what the section on recommendation prints.

``python -m benchmarks.recommendation [--record]`` takes half a minute. The notebook
``book/applications/recommendation`` measures all of it again.
"""

from statistics import mean

from benchmarks.command import Measured, run
from companion.applications.recommendation import (
    RatingFactors,
    cold_start,
    compare_recommenders,
    load_movielens,
    rare_items,
    root_mean_square_error,
    split_by_time,
)

COMMAND = "python -m benchmarks.recommendation --record"
KEYS = {
    "popularity": "popularity",
    "item-item": "item_item",
    "implicit factors": "implicit",
    "two towers": "towers",
    "genres alone": "genres",
}


def results() -> Measured:
    """Measure everything: value and tolerance by ledger name."""
    data = load_movielens()
    groups = compare_recommenders(data).groupby("recommender")
    means, spreads = groups.mean(), groups["recall"].std()
    measured: Measured = {}
    for name, key in KEYS.items():
        for column in ("recall", "ndcg", "coverage"):
            measured[f"recommendation.{key}.{column}"] = (float(means[column][name]), 0.02)
        measured[f"recommendation.{key}.spread"] = (float(spreads[name]), 0.01)
        seconds = max(float(means["seconds"][name]), 0.01)
        measured[f"recommendation.{key}.seconds"] = (seconds, 4 * seconds)
    cold, rare = cold_start(data), rare_items(data)
    for name, key in list(KEYS.items())[:4]:
        measured[f"recommendation.cold.{key}.one_like"] = (float(cold[name][1]), 0.02)
        measured[f"recommendation.cold.{key}.twenty_likes"] = (float(cold[name][20]), 0.02)
        measured[f"recommendation.rare.{key}"] = (float(rare[name].iloc[0]), 0.02)
    measured["recommendation.rare.genres"] = (float(rare["genres alone"].iloc[0]), 0.02)
    training, test = split_by_time(data.ratings)
    constant = (test["rating"] - training["rating"].mean()).pow(2).mean() ** 0.5
    measured["recommendation.rating.constant"] = (float(constant), 0.001)
    for name, factors in [("biases", 0), ("factors", 16)]:
        errors = [
            root_mean_square_error(
                RatingFactors.fit(training, data.shape, factors=factors, seed=seed), test
            )
            for seed in range(3)
        ]
        measured[f"recommendation.rating.{name}"] = (mean(errors), 0.005)
    return measured


def main() -> None:
    """Measure all or some, print, and record if asked to."""
    run(__doc__, COMMAND, {"all": results})


if __name__ == "__main__":
    main()
