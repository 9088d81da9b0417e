"""Make and measure the classifier of the live page: ``python -m benchmarks.live``.

With ``--record`` the values go into the ledger, the script into ``book/_scripts/model.js`` and the
picture that stands in for it into ``book/project/live.png``. It takes about a minute on one core.

The recommended classifier has more word vectors than a page should carry. It is made smaller in two
steps, and measured after each over three seeds of split and training, on whole articles and on
their headlines alone.
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
from companion.classifier.export import export_web, quantize_rows, shrink_vectors
from companion.classifier.inference import TextClassifier
from companion.classifier.text import tokenize
from companion.classifier.training import train
from companion.concepts.scale import headline
from companion.plots.classifier import answer_and_effects

SEEDS = (0, 1, 2)
COMMAND = "python -m benchmarks.live --record"
RECOMMENDED = CONFIGURATIONS["recommended"]
# As many words and numbers as fit into a megabyte.
WORDS, SIZE = 10_000, 40
BOOK = Path(__file__).parents[1] / "book"
EXAMPLE = "Shares rose after the bank raised its profit forecast"


def accuracy(classifier: TextClassifier, documents: pd.DataFrame) -> float:
    """Give the share of the documents that get their label."""
    return float(np.mean(classifier.predict(documents["text"].tolist()) == documents["label"]))


def measure(seed: int) -> tuple[dict[str, float], TextClassifier]:
    """Train on one split and make it smaller; the metrics, and the classifier before the 8 bits."""
    splits = split_corpus(load_corpus("bbc"), seed=seed)
    headlines = splits.test.assign(text=splits.test["text"].map(headline))
    chosen = dataclasses.replace(RECOMMENDED, seed=seed)
    recommended = train(
        splits.train, splits.validation, chosen, device="cpu", progress=False
    ).classifier
    small = shrink_vectors(recommended, words=WORDS, size=SIZE)
    page = quantize_rows(small)
    steps = {"recommended": recommended, "small": small, "page": page}
    metrics = {"vocabulary": float(len(recommended.vocabulary))}
    for name, classifier in steps.items():
        metrics[f"{name}.test_accuracy"] = accuracy(classifier, splits.test)
        metrics[f"{name}.headline_accuracy"] = accuracy(classifier, headlines)
    texts = splits.test["text"].tolist()
    answers = [each.predict_proba(texts) for each in steps.values()]
    metrics["page.largest_change"] = float(np.abs(answers[2] - answers[0]).max())
    metrics["page.int8_largest_change"] = float(np.abs(answers[2] - answers[1]).max())
    metrics["page.same_answers"] = float(
        np.mean(answers[2].argmax(axis=1) == answers[0].argmax(axis=1))
    )
    return metrics, small


def results() -> tuple[dict[str, tuple[float, float]], TextClassifier]:
    """Measure all seeds; value and tolerance by ledger name, and the classifier of seed 0."""
    runs = [measure(seed) for seed in SEEDS]
    table = pd.DataFrame([metrics for metrics, _ in runs])
    classifier = runs[0][1]
    with tempfile.TemporaryDirectory() as folder:
        size = export_web(classifier, Path(folder) / "model.js").stat().st_size
    page = table["page.test_accuracy"]
    measured = {
        "live.recommended.vocabulary": (float(table["vocabulary"][0]), 0.0),
        "live.page.lowest": (float(page.min()), 0.015),
        "live.page.highest": (float(page.max()), 0.015),
        "live.page.seed_0": (float(page[0]), 0.015),
        "live.page.same_answers": (float(table["page.same_answers"].min()), 0.01),
        "live.page.largest_change": (float(table["page.largest_change"].max()), 0.1),
        "live.page.int8_largest_change": (float(table["page.int8_largest_change"].max()), 0.05),
        "live.page.megabytes": (size / 1e6, 0.01),
    }
    for name in ("recommended", "small", "page"):
        for what, tolerance in (("test_accuracy", 0.01), ("headline_accuracy", 0.03)):
            key = f"{name}.{what}"
            measured[f"live.{key}"] = (float(table[key].mean()), tolerance)
    return measured, classifier


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
