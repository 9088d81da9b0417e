"""Fine-tune on the BBC news and measure what the chapter prints.

``python -m benchmarks.finetuning``; with ``--record`` the values go into the ledger. Every method
gets the same training documents, drawn by a seed from one split, and answers the same test
documents. MiniLM reads the first 48 tokens of a document (``frozen_128``: 128), TF-IDF and the LSTM
read all of it.

``--curves`` measures what the notebook of the chapter measures again.

The tests measure the cells of :data:`REPEATED` again. The others cost another five CPU-minutes:
``--slow`` measures them, and their records say so.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, f1_score
from transformers import BertModel

from benchmarks.command import Table
from companion import ledger
from companion.classifier.corpus import Splits, load_corpus, split_corpus
from companion.classifier.estimator import NewsClassifier
from companion.classifier.evaluation import tfidf_baseline
from companion.classifier.text import Vocabulary, tokenize
from companion.finetuning import curves
from companion.finetuning.estimator import TransformerClassifier
from companion.finetuning.evaluation import split_headlines
from companion.finetuning.model import EncoderClassifier, embed_documents
from companion.finetuning.pretrained import encode, load_pretrained
from companion.finetuning.training import fit_head

SIZES = {"20": 20, "100": 100, "all": 1_000_000}
SEEDS = (0, 1, 2)
LENGTH = 48
EPOCHS = {"20": 3, "100": 2, "all": 1}
COMMAND = "python -m benchmarks.finetuning --record"
CURVES_COMMAND = "python -m benchmarks.finetuning --curves --record"
ADAPTATIONS_COMMAND = "python -m benchmarks.finetuning --adaptations --record"
SLOW_COMMAND = "python -m benchmarks.finetuning --slow --record"
METHODS: dict[str, Callable[[str, int], Any]] = {
    "tfidf": lambda size, seed: tfidf_baseline(seed),
    "lstm": lambda size, seed: NewsClassifier(device="cpu", random_state=seed),
    "frozen": lambda size, seed: _minilm("frozen", size, seed),
    "frozen_128": lambda size, seed: _minilm("frozen", size, seed, maximum_length=128),
    "lora": lambda size, seed: _minilm("lora", size, seed),
    "full": lambda size, seed: _minilm("full", size, seed),
}
# What is measured: method, size, seed. The tests measure these again ...
REPEATED = (
    *(
        (method, size, seed)
        for method in ("tfidf", "lstm", "frozen")
        for size in SIZES
        for seed in SEEDS
        if size != "all" or seed == 0
    ),
    ("frozen_128", "100", 0),
    *((method, size, 0) for size in ("20", "100") for method in ("lora", "full")),
)
# ... and these only ``--slow`` does.
SLOW = (
    *((method, "all", 0) for method in ("lora", "full")),
    *(
        (method, size, seed)
        for size in ("20", "100")
        for seed in (1, 2)
        for method in ("lora", "full")
    ),
)
# From 20 documents the LSTM hardly learns, so it drifts most.
LSTM_TOLERANCE = {"20": 0.15, "100": 0.05, "all": 0.02}
ACCURACY_TOLERANCE = {
    "tfidf": 0.003,
    "frozen": 0.006,
    "frozen_128": 0.006,
    "lora": 0.025,
    "full": 0.025,
}

# The ways of the notebook: method, learning rate, reinitialised layers.
WAYS: dict[str, tuple[str, float, int]] = {
    "head": ("head", 1e-4, 0),
    "top": ("top", 1e-4, 0),
    "top_fresh": ("top", 1e-4, 2),
    "lora": ("lora", 2e-3, 0),
    "full_1e_5": ("full", 1e-5, 0),
    "full_1e_4": ("full", 1e-4, 0),
    "full_1e_3": ("full", 1e-3, 0),
}


@cache
def splits() -> Splits:
    """Split the BBC news, always in the same way."""
    return split_corpus(load_corpus("bbc"), seed=0)


def documents(size: str, seed: int) -> pd.DataFrame:
    """Draw the training documents: so many of each class, or all."""
    return curves.few_of_each(splits().train, SIZES[size], seed)


@cache
def measure(method: str, size: str, seed: int) -> dict[str, float]:
    """Train a method once, and test it.

    Returns:
        ``accuracy``, ``macro_f1``, the numbers trained as ``parameters``, and ``cpu_seconds`` of
        the training.
    """
    test = splits().test
    _warm_up()
    model, seconds = _train(method, size, seed)
    if seconds < 1:  # too short to be timed once
        seconds = min(seconds, *(_train(method, size, seed)[1] for _ in range(2)))
    predicted = model.predict(test["text"])
    return {
        "accuracy": float(accuracy_score(test["label"], predicted)),
        "macro_f1": float(f1_score(test["label"], predicted, average="macro")),
        "parameters": float(_trained_parameters(model)),
        "cpu_seconds": seconds,
    }


def results(method: str, size: str, seed: int) -> dict[str, tuple[float, float]]:
    """Measure a cell: value and tolerance by ledger name.

    The cost is the logarithm to base 10 of the CPU-seconds of the training over those of the LSTM
    on the same documents, measured in the same run.
    """
    measured = measure(method, size, seed)
    name = f"finetuning.{method}.{size}.seed_{seed}"
    tolerance = LSTM_TOLERANCE[size] if method == "lstm" else ACCURACY_TOLERANCE[method]
    found = {
        f"{name}.accuracy": (measured["accuracy"], tolerance),
        f"{name}.macro_f1": (measured["macro_f1"], tolerance),
    }
    if seed == 0:
        lstm = measure("lstm", size, 0)["cpu_seconds"]
        found |= {
            f"{name}.parameters": (measured["parameters"], 0.0),
            f"{name}.log_cost": (float(np.log10(measured["cpu_seconds"] / lstm)), 0.4),
        }
    return found


def adaptations() -> pd.DataFrame:
    """Fine-tune in each of the ways of the notebook: both tasks after each epoch."""
    tasks = curves.prepare_tasks(splits(), load_pretrained())
    histories = {
        way: curves.adapt(tasks, method, rate, reinitialise_layers=fresh)
        for way, (method, rate, fresh) in WAYS.items()
    }
    return pd.concat(histories, names=["way", "epoch"]).reset_index().fillna(0.0)


def summarise_adaptations(rows: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Both tasks after the last epoch."""
    found = {}
    for way, history in rows.groupby("way"):
        last = history.iloc[-1]
        found[f"finetuning.curves.{way}.new_task"] = (float(last["new_task"]), 0.05)
        found[f"finetuning.curves.{way}.old_task"] = (float(last["old_task"]), 0.08)
    return found


TABLES = {"finetuning.adaptations": Table(adaptations, summarise_adaptations)}


def measure_curves() -> dict[str, tuple[float, float]]:
    """What the notebook of the chapter measures again."""
    tasks = curves.prepare_tasks(splits(), load_pretrained())
    before = curves.scores(curves.untrained(tasks), tasks)
    found = {"finetuning.curves.before.old_task": (before["old_task"], 0.02)}
    return found | measure_damage() | measure_tokenizers() | measure_headlines()


def measure_damage() -> dict[str, tuple[float, float]]:
    """Resize or reset layers without any training: what is left of the old task."""
    tasks = curves.prepare_tasks(splits(), load_pretrained())
    found = {}
    for layers in (0, 1, 2, 4):
        score = curves.scores(curves.untrained(tasks, reinitialise_layers=layers), tasks)
        found[f"finetuning.curves.reset_{layers}.old_task"] = (score["old_task"], 0.03)
    torch.manual_seed(0)
    wide: Any = BertModel.from_pretrained(
        load_pretrained().folder, intermediate_size=2048, ignore_mismatched_sizes=True
    )
    score = curves.scores(EncoderClassifier(wide.eval(), 5), tasks)
    return found | {"finetuning.curves.resized.old_task": (score["old_task"], 0.03)}


def measure_tokenizers() -> dict[str, tuple[float, float]]:
    """Fit a head on the ids of one tokenizer and ask with those of another."""
    pretrained = load_pretrained()
    own = Vocabulary.build([tokenize(text) for text in splits().train["text"]])
    training = curves.few_of_each(splits().train, 20)
    development = curves.few_of_each(splits().validation, 20)
    tasks = curves.prepare_tasks(splits(), pretrained)

    def ids(frame: pd.DataFrame, is_own: bool) -> list[list[int]]:
        if is_own:
            return [own.encode(tokenize(text)[:LENGTH]) for text in frame["text"]]
        return encode(frame["text"].tolist(), pretrained.tokenizer, LENGTH)

    def accuracy(trained_on_own: bool, asked_with_own: bool) -> float:
        model = curves.untrained(tasks)
        labels = np.array([tasks.classes.index(label) for label in training["label"]])
        fit_head(model, ids(training, trained_on_own), labels)
        vectors = embed_documents(model, ids(development, asked_with_own))
        with torch.inference_mode():
            predicted = model.classify(torch.from_numpy(vectors)).argmax(dim=1).numpy()
        return float((np.array(tasks.classes)[predicted] == development["label"]).mean())

    return {
        "finetuning.tokenizer.right": (accuracy(False, False), 0.03),
        "finetuning.tokenizer.wrong": (accuracy(False, True), 0.03),
        "finetuning.tokenizer.wrong_twice": (accuracy(True, True), 0.03),
    }


def measure_headlines() -> dict[str, tuple[float, float]]:
    """Train and test on headlines alone."""
    training, test = splits().train, splits().test
    models = {
        "tfidf": tfidf_baseline(),
        "frozen": TransformerClassifier(maximum_length=24, device="cpu"),
    }
    found = {}
    for name, model in models.items():
        model.fit(split_headlines(training["text"].tolist())[0], training["label"])
        score = model.score(split_headlines(test["text"].tolist())[0], test["label"])
        found[f"finetuning.headlines.{name}.accuracy"] = (float(score), 0.006)
    return found


def _train(method: str, size: str, seed: int) -> tuple[Any, float]:
    """Train once: the model and the CPU-seconds it took."""
    training = documents(size, seed)
    model = METHODS[method](size, seed)
    start = time.process_time()
    model.fit(training["text"], training["label"])
    return model, time.process_time() - start


@cache
def _warm_up() -> None:
    """Train once for nothing: the first training of a process also pays for imports."""
    _train("tfidf", "20", 0)
    _train("lstm", "20", 0)


def _minilm(method: str, size: str, seed: int, maximum_length: int = LENGTH) -> Any:
    return TransformerClassifier(
        method=method,
        epochs=EPOCHS[size],
        maximum_length=maximum_length,
        device="cpu",
        random_state=seed,
    )


def _trained_parameters(model: Any) -> int:
    if isinstance(model, TransformerClassifier):
        return model.trained_parameters_
    if isinstance(model, NewsClassifier):
        return sum(each.numel() for each in model.text_classifier_.model.parameters())
    return int(model[-1].coef_.size + model[-1].intercept_.size)


def main() -> None:
    """Measure, print, and record if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--slow", action="store_true", help="measure the cells that no test repeats"
    )
    parser.add_argument(
        "--record", action="store_true", help="write the values into book/results/finetuning.json"
    )
    parser.add_argument("--curves", action="store_true", help="measure the notebook's curves")
    parser.add_argument("--adaptations", action="store_true", help="fine-tune in seven ways")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    command = COMMAND
    groups: Iterable[tuple[int, dict[str, tuple[float, float]]]]
    if arguments.curves:
        command, groups = CURVES_COMMAND, [(0, measure_curves())]
    elif arguments.adaptations:
        rows = adaptations()
        if arguments.record:
            ledger.record_table("finetuning.adaptations", rows, command=ADAPTATIONS_COMMAND)
            rows = ledger.table("finetuning.adaptations")
        command, groups = ADAPTATIONS_COMMAND, [(0, summarise_adaptations(rows))]
    elif arguments.slow:
        command, groups = SLOW_COMMAND, ((cell[2], results(*cell)) for cell in SLOW)
    else:
        groups = ((cell[2], results(*cell)) for cell in REPEATED)
    for seed, group in groups:
        for result, (value, tolerance) in group.items():
            print(f"{result} = {value:.4f}", flush=True)
            if arguments.record:
                ledger.record(result, value, tolerance=tolerance, command=command, seed=seed)


if __name__ == "__main__":
    main()
