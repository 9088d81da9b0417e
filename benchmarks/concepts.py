"""Measure what the chapter on large models prints: ``python -m benchmarks.concepts``.

With ``--record`` the values go into the ledger. It takes about two minutes on one core. The
notebooks of the chapter measure most values again; the tables they draw are measured here alone.
"""

import functools
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.command import Measured, Table, run
from companion.classifier.batches import pad
from companion.classifier.corpus import Splits, load_corpus, split_corpus
from companion.classifier.text import Vocabulary, tokenize
from companion.concepts.experiments import (
    few_label_runs,
    learning_rate_runs,
    noise_runs,
    scaling_runs,
    shift_runs,
    tfidf,
    typo_runs,
)
from companion.concepts.explanation import compare_explanations, train_attention_classifier
from companion.concepts.language import (
    HIDDEN_ID,
    draw_windows,
    held_out_loss,
    hidden_accuracy,
    last_accuracy,
    train_decoder,
    train_encoder,
)
from companion.concepts.ngram import character_ids, perplexity, plain_characters
from companion.concepts.rules import NEWS_WORDS, KeywordRules
from companion.concepts.scale import draw_per_class, fit_power_law

COMMAND = "python -m benchmarks.concepts --record"


def characters(splits: Splits) -> tuple[np.ndarray, np.ndarray]:
    """The first million characters of the training texts, and 40,000 of the test texts, as ids."""
    train = plain_characters(splits.train["text"])[:1_000_000]
    return character_ids(train), character_ids(plain_characters(splits.test["text"])[:40_000])


def measure_language(splits: Splits) -> Measured:
    """The decoder and the encoder of the notebooks on background and concepts."""
    train, test = characters(splits)
    decoder = train_decoder(train)
    encoder = train_encoder(train)
    windows = draw_windows(test, 2000, 32, np.random.default_rng(0))
    left_only = windows.clone()
    left_only[:, 17:] = HIDDEN_ID
    return {
        "concepts.decoder.perplexity": (perplexity(held_out_loss(decoder, test)), 0.15),
        "concepts.hidden.decoder": (last_accuracy(decoder, windows, 16), 0.025),
        "concepts.hidden.encoder": (hidden_accuracy(encoder, windows, 16), 0.025),
        "concepts.hidden.encoder_left_only": (
            hidden_accuracy(encoder, left_only, 16, windows),
            0.03,
        ),
    }


def measure_explanation(splits: Splits) -> Measured:
    """Other attention weights for a classifier of articles."""
    tokens = [tokenize(text)[:200] for text in splits.train["text"]]
    vocabulary = Vocabulary.build(tokens)
    classes = sorted(splits.train["label"].unique())
    model = train_attention_classifier(
        [vocabulary.encode(document) for document in tokens],
        [classes.index(label) for label in splits.train["label"]],
        len(vocabulary),
    )
    documents = [vocabulary.encode(tokenize(text)[:200]) for text in splits.test["text"]]
    with torch.inference_mode():
        answers = model(*pad(documents)).argmax(dim=1).tolist()
    right = np.array([classes[answer] for answer in answers]) == splits.test["label"].to_numpy()
    compared = compare_explanations(model, documents[:100]).mean()
    return {
        "concepts.explanation.accuracy": (float(right.mean()), 0.02),
        "concepts.explanation.even": (compared["even"], 0.1),
        "concepts.explanation.shuffled": (compared["shuffled"], 0.1),
        "concepts.explanation.moved": (compared["equivalent"], 0.05),
    }


def scaling() -> pd.DataFrame:
    """Train the decoder in four sizes, three times each."""
    return scaling_runs(*characters(news()))


def summarise_scaling(runs: pd.DataFrame) -> Measured:
    """The loss of each size, the power law, and what the smaller sizes predict for the largest."""
    law = fit_power_law(runs["parameters"].tolist(), runs["loss"].tolist())
    loss = runs.groupby("width")["loss"].mean()
    small, large = runs[runs["width"] < 64], runs[runs["width"] == 64]
    small_law = fit_power_law(small["parameters"].tolist(), small["loss"].tolist())
    values = {f"concepts.scaling.loss_{width}": (float(loss[width]), 0.05) for width in loss.index}
    values["concepts.scaling.exponent"] = (law.exponent, 0.02)
    predicted = small_law(float(large["parameters"].iloc[0]))
    return values | {"concepts.scaling.predicted_64": (predicted, 0.05)}


def rates() -> pd.DataFrame:
    """Train the decoder with five learning rates."""
    return learning_rate_runs(*characters(news()))


def summarise_rates(runs: pd.DataFrame) -> Measured:
    """The lowest loss, and that of the smallest rate."""
    means = runs.groupby("learning_rate")["loss"].mean()
    return {
        "concepts.rates.best": (float(means.min()), 0.06),
        "concepts.rates.smallest": (float(means.iloc[0]), 0.03),
    }


def few_labels() -> pd.DataFrame:
    """Train on few headlines, with and without pretraining."""
    return few_label_runs(news())


def summarise_few_labels(runs: pd.DataFrame) -> Measured:
    """The mean accuracy of each model with each number of labels."""
    means = runs.groupby(["model", "labels"])["accuracy"].mean()
    return {
        f"concepts.headlines.{name}.{labels}": (float(means[model, labels]), 0.012)
        for model, name in (("MiniLM", "minilm"), ("TF-IDF", "tfidf"))
        for labels in means[model].index
    }


def wrong_labels() -> pd.DataFrame:
    """Train on articles of which a share have a wrong label."""
    return noise_runs(news())


def summarise_wrong_labels(runs: pd.DataFrame) -> Measured:
    """The mean accuracy at each share."""
    means = runs.groupby("share")["accuracy"].mean()
    return {
        f"concepts.noise.{100 * float(str(share)):.0f}": (float(mean), 0.015)
        for share, mean in means.items()
    }


@functools.cache
def news() -> Splits:
    """The BBC news, always split in the same way."""
    return split_corpus(load_corpus("bbc"))


def measure_data(splits: Splits) -> Measured:
    """Other texts, typing errors, and rules."""
    values = {}
    for trained, row in shift_runs(splits).iterrows():
        for tested, accuracy in row.items():
            values[f"concepts.shift.{trained}.{tested}"] = (accuracy, 0.006)
    for share, part in typo_runs(splits).groupby("share"):
        values[f"concepts.typos.{100 * float(str(share)):.0f}"] = (part["accuracy"].mean(), 0.015)
    rules = np.array(KeywordRules(NEWS_WORDS, "sports").predict(splits.test["text"].tolist()))
    values["concepts.rules.test_accuracy"] = (float((rules == splits.test["label"]).mean()), 0.001)
    draws = [draw_per_class(splits.train, 20, seed) for seed in range(5)]
    scores = [
        tfidf().fit(each["text"], each["label"]).score(splits.test["text"], splits.test["label"])
        for each in draws
    ]
    values["concepts.tfidf.20.test_accuracy"] = (float(np.mean(scores)), 0.006)
    return values


MEASUREMENTS = {
    "language": measure_language,
    "explanation": measure_explanation,
    "data": measure_data,
}
TABLES = {
    "concepts.scaling": Table(scaling, summarise_scaling),
    "concepts.rates": Table(rates, summarise_rates),
    "concepts.few_labels": Table(few_labels, summarise_few_labels),
    "concepts.wrong_labels": Table(wrong_labels, summarise_wrong_labels),
}


def main() -> None:
    """Measure all or some, print, and record if asked to."""
    groups: dict[str, Any] = {
        name: functools.partial(measure, news()) for name, measure in MEASUREMENTS.items()
    }
    run(__doc__, COMMAND, groups | TABLES)


if __name__ == "__main__":
    main()
