"""Measure the recommended classifier on a corpus of news: ``python -m benchmarks.news r8``.

``--csv TRAIN.csv TEST.csv`` measures your own, AG News for one: the columns ``text`` and ``label``,
or others by ``--text title,description --label class``. Without ``TEST.csv`` a fifth is held out.
``--examples 39000`` trains on so many. Printed are, for each seed, the accuracy on the validation
documents and on the test documents and the CPU-seconds of the training, beside TF-IDF with logistic
regression and with LinearSVC on the same documents.

``--choices '{"word_dropout": 0.3}'`` measures other choices than the recommended ones.
Choose by the validation documents, which are cut from the training part: ``--validation`` leaves
the test documents alone.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.corpus import Splits, load_corpus, read_table, split_corpus
from companion.classifier.evaluation import tfidf_baseline
from companion.classifier.text import tokenize
from companion.classifier.training import train

CORPORA = ("bbc", "r8", "r52", "20newsgroups")
Predict = Callable[[list[str]], Any]


def read_csv(paths: list[Path], *, text: str, label: str) -> pd.DataFrame:
    """Read one table, or a training table and a test table into one that says which is which."""
    frames = [read_table(path, text=text, label=label) for path in paths]
    if len(frames) == 1:
        return frames[0]
    parts = zip(frames, ("train", "test"), strict=True)
    return pd.concat([frame.assign(split=part) for frame, part in parts], ignore_index=True)


def some_of(splits: Splits, examples: int | None, seed: int) -> Splits:
    """Keep at most ``examples`` of the training documents."""
    if examples is None or examples >= len(splits.train):
        return splits
    return dataclasses.replace(splits, train=splits.train.sample(examples, random_state=seed))


def lstm(splits: Splits, configuration: Configuration) -> Predict:
    """Train ours."""
    run = train(splits.train, splits.validation, configuration, device="cpu", progress=False)
    return run.classifier.predict


def linear(splits: Splits, name: str) -> Predict:
    """Fit a linear model over TF-IDF to the same training documents."""
    texts = TfidfVectorizer(analyzer=tokenize, sublinear_tf=True, min_df=2)
    model: Any = (
        tfidf_baseline() if name == "tfidf_lr" else make_pipeline(texts, LinearSVC(random_state=0))
    )
    model.fit(splits.train["text"], splits.train["label"])
    return lambda documents: model.predict(documents)


def measure(splits: Splits, fit: Callable[[Splits], Predict], parts: list[str]) -> dict[str, float]:
    """Fit once; the accuracy on each part and the CPU-seconds."""
    start = time.process_time()
    predict = fit(splits)
    row = {"cpu_seconds": time.process_time() - start}
    for part in parts:
        documents = getattr(splits, part)
        answers = np.asarray(predict(documents["text"].tolist()), dtype=object)
        row[part] = float((answers == documents["label"].to_numpy(dtype=object)).mean())
    return row


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", nargs="?", choices=CORPORA, default="r8")
    parser.add_argument("--csv", nargs="+", type=Path, help="TRAIN.csv and perhaps TEST.csv")
    parser.add_argument("--text", default="text", help="the columns of the text, by commas")
    parser.add_argument("--label", default="label")
    parser.add_argument("--examples", type=int, help="train on so many")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--choices", type=json.loads, default={})
    parser.add_argument("--validation", action="store_true", help="do not look at the test part")
    arguments = parser.parse_args()
    if arguments.csv and len(arguments.csv) > 2:
        parser.error("--csv takes one or two tables")
    return arguments


def main() -> None:
    """Measure each method over the seeds and print a row each, then the means."""
    arguments = _arguments()
    torch.set_num_threads(1)
    if arguments.csv:
        frame = read_csv(arguments.csv, text=arguments.text, label=arguments.label)
    else:
        frame = load_corpus(arguments.corpus)
    parts = ["validation"] if arguments.validation else ["validation", "test"]
    rows = []
    for seed in arguments.seeds:
        splits = some_of(split_corpus(frame, seed=seed), arguments.examples, seed)
        chosen = dataclasses.replace(CONFIGURATIONS["recommended"], seed=seed, **arguments.choices)
        methods: dict[str, Callable[[Splits], Predict]] = {
            "lstm": partial(lstm, configuration=chosen),
            "tfidf_lr": partial(linear, name="tfidf_lr"),
            "tfidf_svc": partial(linear, name="tfidf_svc"),
        }
        for method, fit in methods.items():
            rows.append({"method": method, "seed": seed, **measure(splits, fit, parts)})
            print(json.dumps(rows[-1]), flush=True)
    table = pd.DataFrame(rows).drop(columns="seed").groupby("method", sort=False)
    print(table.agg(["mean", "min", "max"]).round(4).T.to_string())


if __name__ == "__main__":
    main()
