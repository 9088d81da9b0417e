"""Measure what the bugs of the article's listing cost, and record it in the results ledger.

``python -m benchmarks.listing_effects [--record]``, about five minutes on one core. The page that
prints the numbers is ``book/project/listing``.
"""

import argparse
from statistics import mean, stdev

import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from companion import ledger
from companion.classifier.corpus import Splits
from companion.classifier.listing import (
    EFFECTS,
    Effect,
    Fitted,
    fit,
    predict,
    set_order,
    share_correct,
    short_news,
)

COMMAND = "python -m benchmarks.listing_effects --record"
SEEDS = range(5)
RUNS = range(12)  # each with its own split and its own seed of the network
STUDENT = 2.201  # the 97.5 % quantile of Student's t with 11 degrees of freedom


def effects() -> dict[str, float]:
    """Measure the mean accuracy with one bug at a time, and its difference to runs without it."""
    splits = [short_news(seed=seed) for seed in RUNS]
    accuracies = {
        name: [
            share_correct(fit(split.train, effect, seed=run), split.test)
            for run, split in enumerate(splits)
        ]
        for name, effect in EFFECTS.items()
    }
    accuracies |= {"baseline": list(map(baseline, splits)), "majority": list(map(majority, splits))}
    results = {f"listing.effect.{name}": mean(values) for name, values in accuracies.items()}
    for name, values in accuracies.items():
        differences = [
            value - right for value, right in zip(values, accuracies["right"], strict=True)
        ]
        results[f"listing.difference.{name}"] = mean(differences)
        results[f"listing.half_width.{name}"] = STUDENT * stdev(differences) / len(RUNS) ** 0.5
    return results


def baseline(split: Splits) -> float:
    """Measure TF-IDF with logistic regression on one split."""
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    pipeline.fit(split.train["text"], split.train["label"])
    return float(pipeline.score(split.test["text"], split.test["label"]))


def majority(split: Splits) -> float:
    """Measure the answer that is always the larger class of the training documents."""
    return float((split.test["label"] == split.train["label"].mode()[0]).mean())


def single_runs() -> dict[str, float]:
    """Measure what the page measures again each time it runs."""
    news = short_news()
    runs = {name: fit(news.train, effect, seed=0) for name, effect in EFFECTS.items()}
    results = {
        f"listing.one_run.{name}": share_correct(run, news.test) for name, run in runs.items()
    }
    right = runs["right"]
    words = list(right.ids)
    orders = [
        {word: i for i, word in enumerate(set_order(words, seed), start=1)} for seed in (1, 2, 3)
    ]
    accuracies = [share_correct(fit(news.train, Effect(), seed=seed), news.test) for seed in SEEDS]
    losses = validation_losses(news)
    return results | {
        "listing.order.same_process": share_correct(right, news.test),
        "listing.order.later_processes": mean(
            share_correct(right, news.test, ids) for ids in orders
        ),
        "listing.seeds.lowest": min(accuracies),
        "listing.seeds.highest": max(accuracies),
        "listing.overfitting.best_loss": min(losses),
        "listing.overfitting.last_loss": losses[-1],
    }


def validation_losses(news: Splits) -> list[float]:
    """Measure the loss on the validation documents after each of 25 epochs."""
    losses: list[float] = []

    def measure(fitted: Fitted) -> None:
        right = torch.tensor([fitted.classes.index(label) for label in news.validation["label"]])
        logits = predict(fitted, news.validation["text"].tolist())
        losses.append(torch.nn.functional.cross_entropy(logits, right).item())

    fit(news.train, Effect(), seed=0, epochs=25, after=measure)
    return losses


def results() -> dict[str, float]:
    """Measure everything: the value of each name of the ledger."""
    return single_runs() | effects()


def main() -> None:
    """Measure all, print, and record if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--record", action="store_true", help="write the values into book/results/listing.json"
    )
    record = parser.parse_args().record
    torch.set_num_threads(1)
    for name, value in results().items():
        print(f"{name} = {value:.4f}", flush=True)
        if record:
            tolerance = 0.1 if "loss" in name else 0.03
            seed = 0 if "one_run" in name else None
            ledger.record(name, value, tolerance=tolerance, command=COMMAND, seed=seed)


if __name__ == "__main__":
    main()
