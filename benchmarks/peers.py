"""Measure the pipeline beside its peers: ``python -m benchmarks.peers``.

It prints a row for each method: accuracy and macro F1 on the test documents (with a spread where
more than one seed is measured), CPU-seconds and peak memory of the training, tokens a CPU-second,
documents a CPU-second one by one and in bulk, and the bytes of the saved model. Every measurement
has a process of its own; the methods take turns, seed by seed.

``--csv FILE`` measures your own table, ``--corpora`` and ``--methods`` choose, ``--seeds``,
``--epochs`` and ``--words`` make it cheaper. ``--figure FILE`` draws accuracy against CPU-seconds.
``--record`` writes the table into the ledger; ``python -m benchmarks.speed`` has the ratios.
"""

import argparse
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from benchmarks.rivals import (
    FastText,
    Keras,
    Network,
    glued_words,
    listing_epoch,
    listing_network,
)
from companion import ledger
from companion.classifier.checkpoint import save_classifier
from companion.classifier.corpus import Splits, load_corpus, read_table, split_corpus
from companion.classifier.estimator import NewsClassifier
from companion.classifier.evaluation import tfidf_baseline
from companion.classifier.text import tokenize

COMMAND = "python -m benchmarks.peers --methods tfidf_lr tfidf_svc --record"
SLOW_COMMAND = "python -m benchmarks.peers --record"  # which no test repeats
WORDS = 128  # of a text that the rivals' networks read
CORPORA = ("bbc", "r8", "20newsgroups")
# The methods that are cheap enough for the tests to measure again, with their seeds.
REPEATED = {"tfidf_lr": (0, 1, 2), "tfidf_svc": (0, 1, 2)}
# What takes minutes for each training is measured with one seed, unless ``--seeds`` says another.
EXPENSIVE_METHODS = {"listing", "tutorial", "keras", "minilm_lr", "minilm_tuned"}
EXPENSIVE_CORPORA = {"20newsgroups"}
_SINGLE_ANSWERS = 40


def _tfidf_svc(seed: int) -> Any:
    return make_pipeline(
        TfidfVectorizer(analyzer=tokenize, sublinear_tf=True, min_df=2),
        LinearSVC(random_state=seed),
    )


def _three(seed: int) -> VotingClassifier:
    """Three of ours with other seeds, of which each holds other texts out: the mean decides."""
    return VotingClassifier(
        [
            (f"seed_{each}", NewsClassifier(device="cpu", random_state=each))
            for each in range(100 * seed, 100 * seed + 3)
        ],
        voting="soft",
    )


def _minilm(method: str, seed: int) -> Any:
    from companion.finetuning.estimator import TransformerClassifier

    return TransformerClassifier(
        method=method, epochs=1, maximum_length=48, device="cpu", random_state=seed
    )


METHODS: dict[str, Callable[[int], Any]] = {
    "lstm": lambda seed: NewsClassifier(device="cpu", random_state=seed),
    "lstm_three": _three,
    "listing": lambda seed: Network(glued_words, listing_network, listing_epoch, seed=seed),
    "tutorial": lambda seed: Network(epochs=5, seed=seed),
    "keras": lambda seed: Keras(seed=seed),
    "tfidf_lr": tfidf_baseline,
    "tfidf_svc": _tfidf_svc,
    "fasttext": lambda seed: FastText(seed=seed),
    "minilm_lr": partial(_minilm, "frozen"),
    "minilm_tuned": partial(_minilm, "full"),
}
# The columns that are ratios to our LSTM, as logarithms to base 10, and what they are made of.
RATIOS = {
    "log_cost": "cpu_seconds",
    "log_single": "documents_a_second_single",
    "log_bulk": "documents_a_second_bulk",
}
# How far each value may lie from a new measurement.
TOLERANCES = {
    "accuracy": 0.02,
    "spread": 0.03,
    "macro_f1": 0.03,
    "log_cost": 0.4,
    "log_single": 0.4,
    "log_bulk": 0.5,
    "peak_mb": 300.0,
    "saved_mb": 1.0,
    "seeds": 0.0,
}


def splits_of(corpus: str, seed: int) -> Splits:
    """Split a corpus by a seed; one that comes with a test set keeps it, and is split once."""
    frame = load_corpus(corpus) if corpus in CORPORA else read_table(corpus)
    return split_corpus(frame, seed=seed)


def measure(corpus: str, method: str, seed: int, options: dict[str, int]) -> dict[str, float]:
    """Train a method once and measure it, in this process."""
    torch.set_num_threads(1)
    splits = splits_of(corpus, seed)
    texts, labels = splits.train["text"].tolist(), splits.train["label"].tolist()
    test = splits.test["text"].tolist()
    _warm_up(method, texts, labels)
    model = METHODS[method](seed)
    for name, value in options.items():
        if hasattr(model, name):
            setattr(model, name, value)
    curve: list[float] = []
    fit = model.fit
    if hasattr(model, "seconds"):
        held_out = splits.validation["text"].tolist()
        fit = partial(
            model.fit,
            after=lambda: curve.append(
                accuracy_score(splits.validation["label"], model.predict(held_out))
            ),
        )
    start = time.process_time()
    fit(texts, labels)
    seconds = model.seconds[-1] if hasattr(model, "seconds") else time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    first = seconds
    if isinstance(model, NewsClassifier):
        _, first = _timed(clone(model).set_params(epochs=1).fit, [texts], labels)
    answers, bulk = _timed(model.predict, [test])
    single = _timed(lambda text: model.predict([text]), test[:_SINGLE_ANSWERS])[1]
    if isinstance(model, NewsClassifier):
        curve = model.history_["validation_accuracy"].tolist()
    words = _words_trained(model, texts)
    return {
        "accuracy": float(accuracy_score(splits.test["label"], answers)),
        "macro_f1": float(f1_score(splits.test["label"], answers, average="macro")),
        "cpu_seconds": seconds,
        "first_epoch_seconds": first,
        "tokens_a_second": words / seconds,
        "documents_a_second_single": _SINGLE_ANSWERS / single,
        "documents_a_second_bulk": len(test) / bulk,
        "peak_mb": peak,
        "saved_mb": _saved_bytes(model) / 1e6,
        "validation_by_epoch": curve,  # type: ignore[dict-item]
    }


def _warm_up(method: str, texts: Sequence[str], labels: Sequence[str]) -> None:
    """Train on a few texts for nothing: the first training of a process also pays for imports."""
    chosen = [labels.index(label) for label in sorted(set(labels))] * 4
    small = METHODS[method](0)
    if hasattr(small, "epochs"):
        small.epochs = 1
    small.fit([texts[row] for row in chosen], [labels[row] for row in chosen])
    small.predict(texts[:2])


def _timed(
    function: Callable[..., Any], arguments: Sequence[Any], *others: Any
) -> tuple[Any, float]:
    """Call a function with each argument: the last result and the CPU-seconds of all."""
    result = None
    start = time.process_time()
    for argument in arguments:
        result = function(argument, *others)
    return result, time.process_time() - start


def _words_trained(model: Any, texts: Sequence[str]) -> float:
    """Count the tokens that the epochs went over; for a method without epochs, all of them once."""
    if isinstance(model, Network | Keras):
        return float(model.trained_words * model.epochs)
    if isinstance(model, VotingClassifier):
        return sum(_words_trained(each, texts) for each in model.estimators_)
    if isinstance(model, NewsClassifier):
        most = min(model.training_words, model.maximum_words)
        return float(sum(min(most, len(tokenize(text))) for text in texts) * model.n_iter_)
    most = getattr(model, "maximum_length", sys.maxsize)
    words = sum(min(most, len(tokenize(text))) for text in texts)
    return float(words * getattr(model, "epochs", 1))


def _saved_bytes(model: Any) -> int:
    """Save a model the way its users do, and count the bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if isinstance(model, NewsClassifier):
            save_classifier(model.text_classifier_, folder / "model")
        elif hasattr(model, "save"):
            model.save(folder)
        elif hasattr(model, "model_"):
            encoder = model.model_
            return sum(each.numel() * each.element_size() for each in encoder.parameters())
        else:
            (folder / "model.pickle").write_bytes(pickle.dumps(model))
        return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def measure_apart(
    corpus: str, method: str, seed: int, options: dict[str, int]
) -> dict[str, Any] | None:
    """Measure in a new process, so that memory and imports are its own; None if it fails."""
    arguments = [corpus, method, str(seed), json.dumps(options)]
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", "--one", *arguments],
        capture_output=True,
        text=True,
    )
    if run.returncode:
        print(f"{corpus} {method} {seed}: {run.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return dict(json.loads(run.stdout.splitlines()[-1]))


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Give a row a corpus and method: means over the seeds, and the range of the accuracies."""
    numbers = rows.drop(columns=["seed", "validation_by_epoch", "first_epoch_seconds"])
    groups = numbers.groupby(["corpus", "method"], sort=False)
    table = groups.mean()
    table.insert(1, "spread", groups["accuracy"].max() - groups["accuracy"].min())
    table["seeds"] = groups.size()
    table = table.reset_index()
    ours = table[table["method"] == "lstm"].set_index("corpus")
    for name, column in RATIOS.items():
        table[name] = np.log10(table[column] / table["corpus"].map(ours[column]))
    return table


def speed_up(rows: pd.DataFrame, corpus: str) -> float:
    """Give the CPU-seconds that the listing takes over those that ours takes to be as accurate.

    Ours is as accurate from the first epoch on whose validation accuracy is not below the test
    accuracy of the trained listing. Its time is that of a training of one epoch, which reads the
    texts and makes the word vectors, and for each further epoch its share of the rest.
    """
    row = {
        method: rows[(rows["corpus"] == corpus) & (rows["method"] == method)].iloc[0]
        for method in ("lstm", "listing")
    }
    by_epoch = np.array(row["lstm"]["validation_by_epoch"])
    is_as_accurate = by_epoch >= row["listing"]["accuracy"]
    if not is_as_accurate.any():
        raise ValueError(f"on {corpus} ours is never as accurate as the listing")
    first = row["lstm"]["first_epoch_seconds"]
    further = (row["lstm"]["cpu_seconds"] - first) / (len(by_epoch) - 1)
    return float(row["listing"]["cpu_seconds"] / (first + int(is_as_accurate.argmax()) * further))


def record(rows: pd.DataFrame) -> None:
    """Write the table into the ledger."""
    for row in summarise(rows).to_dict("records"):
        for name, tolerance in TOLERANCES.items():
            is_repeated = row["method"] in REPEATED and name in ("accuracy", "macro_f1")
            ledger.record(
                f"peers.{row['corpus']}.{row['method']}.{name}",
                float(row[name]),
                tolerance=tolerance,
                command=COMMAND if is_repeated else SLOW_COMMAND,
            )
    for corpus in rows.loc[rows["method"] == "listing", "corpus"].unique():
        ledger.record(
            f"peers.{corpus}.speed_up",
            speed_up(rows, corpus),
            tolerance=20.0,
            command=SLOW_COMMAND,
        )


def results(corpus: str, method: str) -> dict[str, float]:
    """Measure a cheap method again, as the tests do: its accuracy and macro F1 by ledger name."""
    rows = [measure(corpus, method, seed, {}) for seed in REPEATED[method]]
    return {
        f"peers.{corpus}.{method}.{name}": float(np.mean([row[name] for row in rows]))
        for name in ("accuracy", "macro_f1")
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=CORPORA)
    parser.add_argument("--csv", help="a table with the columns text and label, in their place")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, help="of each; else 3, and 1 where it takes minutes")
    parser.add_argument("--epochs", type=int, help="of the methods that have any")
    parser.add_argument(
        "--words", type=int, default=WORDS, help="of a text that the rivals' networks read"
    )
    parser.add_argument(
        "--json",
        type=Path,
        help="keeps each measurement, a line each; what it has already is not measured again",
    )
    parser.add_argument("--figure", type=Path, help="where to draw accuracy against CPU-seconds")
    parser.add_argument("--record", action="store_true", help="write book/results/peers.json")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    is_changed = arguments.csv or arguments.epochs or arguments.words != WORDS
    if arguments.record and is_changed:
        parser.error(
            "--record is for the book's own comparison: leave out --csv, --epochs, --words"
        )
    return arguments


def main() -> None:
    """Measure, print, draw, and record if asked to."""
    arguments = _arguments()
    if arguments.one:
        corpus, method, seed, options = arguments.one
        print(json.dumps(measure(corpus, method, int(seed), json.loads(options))))
        return
    named = {"epochs": arguments.epochs, "words": arguments.words}
    options = {name: value for name, value in named.items() if value is not None}
    rows = _measured_before(arguments.json)
    done = {(row["corpus"], row["method"], row["seed"]) for row in rows}
    for corpus in [arguments.csv] if arguments.csv else arguments.corpora:
        for seed in range(arguments.seeds or 3):
            for method in arguments.methods:
                is_expensive = method in EXPENSIVE_METHODS or corpus in EXPENSIVE_CORPORA
                if seed and is_expensive and not arguments.seeds:
                    continue
                if (corpus, method, seed) in done:
                    continue
                measured = measure_apart(corpus, method, seed, options)
                if measured is None:
                    continue
                rows.append({"corpus": corpus, "method": method, "seed": seed, **measured})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
                if arguments.json:
                    with arguments.json.open("a") as lines:
                        lines.write(json.dumps(rows[-1]) + "\n")
    table = summarise(pd.DataFrame(rows))
    print(table.round(3).to_string())
    if arguments.figure:
        _draw(table, arguments.figure)
    if arguments.record:
        record(pd.DataFrame(rows))


def _measured_before(path: Path | None) -> list[dict[str, Any]]:
    """Read what an earlier run has measured, so that a stopped one goes on where it was."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _draw(table: pd.DataFrame, path: Path) -> None:
    import matplotlib.pyplot as plt

    from companion.plots.benchmarks import PEERS, accuracy_against_cost

    frame = table.assign(title=table["method"].map(PEERS))
    axes = plt.subplots(figsize=(9, 4.5))[1]
    accuracy_against_cost(frame, axes)
    plt.savefig(path)


if __name__ == "__main__":
    main()
