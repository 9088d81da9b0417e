"""Train on the BBC news and measure what the project chapter prints: ``python -m benchmarks.bbc``.

With ``--record`` the values go into the ledger. It takes some minutes on one core.

Measured are the recommended configuration and its baselines, and the same configuration with one
choice taken back at a time, each over three seeds of split and model; and the article's
configuration over one.
"""

import dataclasses
import functools

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from benchmarks.command import Measured, run
from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.corpus import Splits, load_corpus, split_corpus
from companion.classifier.evaluation import baselines, evaluate
from companion.classifier.text import tokenize
from companion.classifier.training import TrainingRun, train

SEEDS = (0, 1, 2)
BFLOAT16 = "bfloat16"  # the recommended configuration, with products in half the bits
RECOMMENDED = CONFIGURATIONS["recommended"]
# What is measured, over which seeds, and how far a mean may drift between processors.
VARIANTS: dict[str, tuple[Configuration, tuple[int, ...], float]] = {
    "recommended": (RECOMMENDED, SEEDS, 0.008),
    "random_vectors": (dataclasses.replace(RECOMMENDED, vectors="random"), SEEDS, 0.01),
    "first_words": (
        dataclasses.replace(RECOMMENDED, maximum_words=RECOMMENDED.training_words),
        SEEDS,
        0.01,
    ),
    "one_direction": (dataclasses.replace(RECOMMENDED, bidirectional=False), SEEDS, 0.01),
    "no_smoothing": (dataclasses.replace(RECOMMENDED, label_smoothing=0.0), SEEDS, 0.01),
    BFLOAT16: (RECOMMENDED, SEEDS, 0.01),
    "article": (CONFIGURATIONS["article"], (0,), 0.12),  # far from converged, so it drifts most
}
NAMES = ("baselines", "seed_0", *VARIANTS)
COMMAND = "python -m benchmarks.bbc --record"


def splits_of(seed: int) -> Splits:
    """Split the BBC news as the variants of one seed share them."""
    return split_corpus(load_corpus("bbc"), seed=seed)


@functools.cache
def train_recommended(seed: int) -> TrainingRun:
    """Train the recommended configuration on the split of a seed, once for all that ask for it."""
    splits = splits_of(seed)
    chosen = dataclasses.replace(RECOMMENDED, seed=seed)
    return train(splits.train, splits.validation, chosen, device="cpu")


def measure_lstm(name: str) -> pd.DataFrame:
    """Train a variant on each of its seeds; a row a seed with the test metrics."""
    configuration, seeds, _ = VARIANTS[name]
    rows = {}
    for seed in seeds:
        splits = splits_of(seed)
        chosen = dataclasses.replace(configuration, seed=seed)
        run = (
            train_recommended(seed)
            if name == "recommended"
            else train(
                splits.train,
                splits.validation,
                chosen,
                device="cpu",
                precision="bfloat16" if name == BFLOAT16 else "float32",
            )
        )
        rows[seed] = evaluate(run.classifier, splits.test).metrics
    return pd.DataFrame(rows).T


def measure_baselines() -> dict[str, float]:
    """Measure the baselines over the same splits; the mean accuracy of each."""
    rows = []
    for seed in SEEDS:
        splits = splits_of(seed)
        table = baselines(splits.train, splits.test)["accuracy"]
        svc = make_pipeline(
            TfidfVectorizer(analyzer=tokenize, sublinear_tf=True, min_df=2),
            LinearSVC(random_state=0),
        )
        svc.fit(splits.train["text"], splits.train["label"])
        linear_svc = svc.score(splits.test["text"], splits.test["label"])
        rows.append([table.iloc[0], table.iloc[1], linear_svc])
    return dict(
        zip(["majority", "tfidf", "tfidf_svc"], np.mean(rows, axis=0).tolist(), strict=True)
    )


def measure_seed_0() -> Measured:
    """Train one classifier as the notebooks do, and measure what they print of it."""
    splits = splits_of(0)
    run = train_recommended(0)
    test = evaluate(run.classifier, splits.test)
    shuffled = evaluate(
        run.classifier, splits.test.assign(text=splits.test["text"].map(shuffle_words))
    )
    return {
        "bbc.seed_0.validation_accuracy": (float(run.history["validation_accuracy"].max()), 0.02),
        "bbc.seed_0.test_accuracy": (float(test.metrics["accuracy"]), 0.015),
        "bbc.seed_0.macro_f1": (float(test.metrics["macro_f1"]), 0.015),
        "bbc.seed_0.mcc": (float(test.metrics["mcc"]), 0.02),
        "bbc.seed_0.interval_low": (float(test.intervals["low"]["accuracy"]), 0.02),
        "bbc.seed_0.interval_high": (float(test.intervals["high"]["accuracy"]), 0.015),
        "bbc.seed_0.calibration_error": (float(test.metrics["calibration_error"]), 0.02),
        "bbc.seed_0.shuffled_words.test_accuracy": (float(shuffled.metrics["accuracy"]), 0.02),
    }


def shuffle_words(text: str) -> str:
    """Give the words of a text in a random order, which is the same each time."""
    words = tokenize(text)
    return " ".join(np.random.default_rng(0).permutation(words))


def results(name: str) -> Measured:
    """Measure a variant, ``"baselines"`` or ``"seed_0"``: value and tolerance by ledger name."""
    if name == "baselines":
        return {
            f"bbc.{baseline}.test_accuracy": (value, 0.003)
            for baseline, value in measure_baselines().items()
        }
    if name == "seed_0":
        return measure_seed_0()
    table, tolerance = measure_lstm(name), VARIANTS[name][2]
    measured = {f"bbc.{name}.test_accuracy": (float(table["accuracy"].mean()), tolerance)}
    if name in ("recommended", "no_smoothing"):
        measured[f"bbc.{name}.calibration_error"] = (float(table["calibration_error"].mean()), 0.02)
    if name == "recommended":
        measured |= {
            "bbc.recommended.lowest": (float(table["accuracy"].min()), 0.015),
            "bbc.recommended.highest": (float(table["accuracy"].max()), 0.015),
            "bbc.recommended.macro_f1": (float(table["macro_f1"].mean()), tolerance),
        }
    return measured


def main() -> None:
    """Measure all or some, print, and record if asked to."""
    run(__doc__, COMMAND, {name: functools.partial(results, name) for name in NAMES})


if __name__ == "__main__":
    main()
