"""Make and measure the classifier of the live page: ``python -m benchmarks.live``.

With ``--record`` the values go into the ledger, the script into ``book/_scripts/model.js`` and the
picture that stands in for it into ``book/project/live.png``. It takes about a minute on one core.

The recommended classifier has too many word vectors for a page, so this one has fewer and shorter
ones, and is otherwise the same. Both are measured over three seeds of split and model, on whole
articles and on their headlines, and this one also with the 8-bit weights that the page has.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from companion import ledger, plots
from companion.classifier.configuration import CONFIGURATIONS
from companion.classifier.corpus import load_corpus, split_corpus
from companion.classifier.export import export_web, quantize_rows
from companion.classifier.inference import TextClassifier
from companion.classifier.text import tokenize
from companion.classifier.training import train
from companion.concepts.scale import headline
from companion.plots.classifier import answer_and_effects

SEEDS = (0, 1, 2)
COMMAND = "python -m benchmarks.live --record"
RECOMMENDED = CONFIGURATIONS["recommended"]
# As many words as fit into a megabyte, by how often the training documents have them.
SMALL = dataclasses.replace(RECOMMENDED, embedding_size=40, maximum_vocabulary=12_000)
BOOK = Path(__file__).parents[1] / "book"
EXAMPLE = "Shares rose after the bank raised its profit forecast"


def accuracy(classifier: TextClassifier, documents: pd.DataFrame) -> float:
    """Give the share of the documents that get their label."""
    return float(np.mean(classifier.predict(documents["text"].tolist()) == documents["label"]))


def measure(seed: int) -> tuple[dict[str, float], TextClassifier]:
    """Train both classifiers on one split; the metrics, and the small one."""
    splits = split_corpus(load_corpus("bbc"), seed=seed)
    headlines = splits.test.assign(text=splits.test["text"].map(headline))
    trained = {}
    for name, configuration in {"recommended": RECOMMENDED, "small": SMALL}.items():
        chosen = dataclasses.replace(configuration, seed=seed)
        trained[name] = train(
            splits.train, splits.validation, chosen, device="cpu", progress=False
        ).classifier
    small, page = trained["small"], quantize_rows(trained["small"])
    texts = splits.test["text"].tolist()
    change = np.abs(page.predict_proba(texts) - small.predict_proba(texts)).max()
    return {
        "test_accuracy": accuracy(page, splits.test),
        "headline_accuracy": accuracy(page, headlines),
        "whole_weights": accuracy(small, splits.test),
        "largest_change": float(change),
        "recommended": accuracy(trained["recommended"], splits.test),
        "recommended_headline": accuracy(trained["recommended"], headlines),
        "words": float(len(trained["recommended"].vocabulary)),
    }, small


def results() -> tuple[dict[str, tuple[float, float]], TextClassifier]:
    """Measure all seeds; value and tolerance by ledger name, and the classifier of seed 0."""
    runs = [measure(seed) for seed in SEEDS]
    table = pd.DataFrame([metrics for metrics, _ in runs])
    classifier = runs[0][1]
    with tempfile.TemporaryDirectory() as folder:
        size = export_web(classifier, Path(folder) / "model.js").stat().st_size
    means = table.mean()
    return {
        "live.test_accuracy": (float(means["test_accuracy"]), 0.01),
        "live.lowest": (float(table["test_accuracy"].min()), 0.015),
        "live.highest": (float(table["test_accuracy"].max()), 0.015),
        "live.seed_0": (float(table["test_accuracy"][0]), 0.015),
        "live.headline_accuracy": (float(means["headline_accuracy"]), 0.03),
        "live.int8_accuracy_loss": (float(means["whole_weights"] - means["test_accuracy"]), 0.005),
        "live.int8_largest_change": (float(table["largest_change"].max()), 0.1),
        "live.recommended.test_accuracy": (float(means["recommended"]), 0.01),
        "live.recommended.headline_accuracy": (float(means["recommended_headline"]), 0.03),
        "live.recommended.vocabulary": (float(table["words"][0]), 0.0),
        "live.megabytes": (size / 1e6, 0.01),
    }, classifier


def draw(classifier: TextClassifier, path: Path) -> None:
    """Draw what the page shows for one sentence."""
    words = tokenize(EXAMPLE)
    without = [" ".join(words[:place] + words[place + 1 :]) for place in range(len(words))]
    rows = classifier.predict_proba([EXAMPLE, *without])
    best = int(rows[0].argmax())
    probabilities = pd.Series(rows[0], index=classifier.labels)
    effects = pd.Series(rows[0, best] - rows[1:, best], index=words)
    plots.use_style()
    answer_and_effects(probabilities, effects)
    plt.savefig(path, dpi=100, metadata={"Software": None})


def main() -> None:
    """Measure, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--record", action="store_true", help="write the values, the script and the picture"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    measured, classifier = results()
    for name, (value, tolerance) in measured.items():
        print(f"{name} = {value:.4f}")
        if arguments.record:
            ledger.record(name, value, tolerance=tolerance, command=COMMAND)
    if arguments.record:
        export_web(classifier, BOOK / "_scripts" / "model.js")
        draw(quantize_rows(classifier), BOOK / "project" / "live.png")


if __name__ == "__main__":
    main()
