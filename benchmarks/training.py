"""Measure what the training chapter prints of the digits and the BBC news.

Run it as ``python -m benchmarks.training``. With ``--record`` the values go into the ledger. It
takes about two minutes on one core. The chapter's notebooks measure the same numbers again.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from benchmarks.command import Measured, run
from companion.classifier.corpus import load_corpus, split_corpus
from companion.classifier.text import Vocabulary
from companion.training import sweeps
from companion.training.diversity import diversity_scores, learn_and_score, repeat_few, with_tokens
from companion.training.embedding import MeanOfEmbeddings, train_embeddings
from companion.training.pretraining import pretraining_scores
from companion.training.selection import optimism

COMMAND = "python -m benchmarks.training --record"


def news() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give the training and the test documents of the BBC news, as tokens."""
    splits = split_corpus(load_corpus("bbc"))
    return with_tokens(splits.train), with_tokens(splits.test)


def measure_diversity() -> Measured:
    """Score narrow, varied and repeated training sets of one size."""
    train, test = news()
    means = diversity_scores(train, test).groupby("groups").mean()
    measured = {
        "diversity.narrow_like": (float(means["like the training set"][1]), 0.01),
        "diversity.narrow_all": (float(means["all kinds"][1]), 0.01),
        "diversity.varied_all": (float(means["all kinds"][8]), 0.01),
    }
    for distinct in (5, 25):
        scores = [
            learn_and_score(repeat_few(train, distinct=distinct, documents=25, seed=seed), test)[0]
            for seed in range(5)
        ]
        measured[f"diversity.distinct_{distinct}"] = (float(np.mean(scores)), 0.01)
    return measured


def measure_embedding() -> Measured:
    """Score the mean of learned word vectors."""
    train, test = news()
    vocabulary = Vocabulary.build(train["tokens"], minimum_count=5)
    classes = sorted(set(train["label"]))
    labels = torch.tensor([classes.index(label) for label in train["label"]])
    model = MeanOfEmbeddings(len(vocabulary), len(classes))
    train_embeddings(model, [vocabulary.encode(tokens) for tokens in train["tokens"]], labels)
    with torch.inference_mode():
        answers = model([vocabulary.encode(tokens) for tokens in test["tokens"]]).argmax(1)
    right = [classes[answer] == label for answer, label in zip(answers, test["label"], strict=True)]
    return {"embedding.test_accuracy": (float(np.mean(right)), 0.008)}


def measure_pretraining() -> Measured:
    """Score a random start and three pretrained ones."""
    means = pretraining_scores().mean()
    return {
        f"pretraining.{name.replace(' ', '_')}": (float(means[name]), 0.015) for name in means.index
    }


def measure_initialisation() -> Measured:
    """Score a deep network after five epochs from three starts."""
    names = {"N(0, 0.02)": "small", "Xavier": "xavier", "He": "he"}
    means = sweeps.sweep_initialisation(names).groupby("start")["accuracy"].mean()
    return {f"initialisation.{names[start]}": (float(means[start]), 0.03) for start in names}


def measure_optimizers() -> Measured:
    """Find the lowest mean validation loss of each optimiser over the learning rates."""
    table = sweeps.sweep_optimizers().groupby(["optimiser", "learning rate"])["loss"].mean()
    return {
        f"optimizers.{name.lower().replace(' ', '_')}": (float(table[name].min()), 0.02)
        for name in sweeps.OPTIMIZERS
    }


def measure_schedules() -> Measured:
    """Give the mean validation loss of a constant and a changing learning rate."""
    means = sweeps.sweep_schedules().groupby(["schedule", "highest rate"])["loss"].mean()
    return {
        "schedules.constant": (float(means["constant", 0.3]), 0.06),
        "schedules.linear": (float(means["linear decay", 1.0]), 0.01),
        "schedules.cosine": (float(means["warm-up and cosine", 1.0]), 0.01),
    }


def measure_stopping() -> Measured:
    """Give the test loss and accuracy with early stopping and without."""
    means = sweeps.sweep_stopping().mean()
    names = ["stopped loss", "last loss", "stopped accuracy", "last accuracy"]
    return {f"stopping.{name.replace(' ', '_')}": (float(means[name]), 0.015) for name in names}


def measure_selection() -> Measured:
    """Give the score of the best of 30 candidates where it was chosen, and on new documents."""
    means = optimism(with_tokens(load_corpus("bbc"))).groupby("candidates").mean()
    return {
        "selection.one_new": (float(means["on new documents"][1]), 0.01),
        "selection.best_tuned": (float(means["on the tuned test set"][30]), 0.01),
        "selection.best_new": (float(means["on new documents"][30]), 0.01),
    }


GROUPS: dict[str, Callable[[], Measured]] = {
    "diversity": measure_diversity,
    "embedding": measure_embedding,
    "pretraining": measure_pretraining,
    "initialisation": measure_initialisation,
    "optimizers": measure_optimizers,
    "schedules": measure_schedules,
    "stopping": measure_stopping,
    "selection": measure_selection,
}


def main() -> None:
    """Measure all or some, print, and record if asked to."""
    run(__doc__, COMMAND, GROUPS, prefix="training.")


if __name__ == "__main__":
    main()
