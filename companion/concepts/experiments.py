"""The measurements of the chapter; each gives a table with a row a run.

Explained in :doc:`/scale` and :doc:`/business`. The notebooks call these, and so does the benchmark
that records their results.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from companion.classifier.corpus import Splits
from companion.classifier.model import parameter_count
from companion.classifier.text import tokenize
from companion.concepts.language import held_out_loss, train_decoder
from companion.concepts.scale import (
    draw_per_class,
    headline,
    sentence_vectors,
    swap_letters,
    with_wrong_labels,
)

__all__ = [
    "few_label_runs",
    "headlines_of",
    "learning_rate_runs",
    "noise_runs",
    "scaling_runs",
    "shift_runs",
    "tfidf",
    "typo_runs",
]


def tfidf() -> Pipeline:
    """TF-IDF with logistic regression that keeps words seen once: with few texts, most are."""
    return make_pipeline(
        TfidfVectorizer(analyzer=tokenize, sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000),
    )


def headlines_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the first line of each ``text``."""
    return frame.assign(text=frame["text"].map(headline))


def scaling_runs(
    text_ids: NDArray[np.int64],
    held_out_ids: NDArray[np.int64],
    *,
    widths: Sequence[int] = (8, 16, 32, 64),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 300,
) -> pd.DataFrame:
    """Train decoders of several sizes on the same number of characters.

    Args:
        text_ids: The training text.
        held_out_ids: The text on which the loss is measured.
        widths: The lengths of a token's vector.
        seeds: A run for each, at each width.
        steps: The batches of each run.

    Returns:
        The columns ``width``, ``seed``, ``parameters`` and ``loss``, in nats a character.
    """
    rows = []
    for width in widths:
        for seed in seeds:
            model = train_decoder(text_ids, width=width, steps=steps, seed=seed)
            loss = held_out_loss(model, held_out_ids)
            rows.append((width, seed, parameter_count(model), loss))
    return pd.DataFrame(rows, columns=["width", "seed", "parameters", "loss"])


def learning_rate_runs(
    text_ids: NDArray[np.int64],
    held_out_ids: NDArray[np.int64],
    *,
    rates: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    seeds: Sequence[int] = (0, 1),
    steps: int = 150,
) -> pd.DataFrame:
    """Train one decoder at several learning rates, everything else being equal.

    Args:
        text_ids: The training text.
        held_out_ids: The text on which the loss is measured.
        rates: The learning rates.
        seeds: A run for each, at each rate.
        steps: The batches of each run.

    Returns:
        The columns ``learning_rate``, ``seed`` and ``loss``, in nats a character.
    """
    rows = []
    for rate in rates:
        for seed in seeds:
            model = train_decoder(text_ids, width=16, steps=steps, learning_rate=rate, seed=seed)
            rows.append((rate, seed, held_out_loss(model, held_out_ids)))
    return pd.DataFrame(rows, columns=["learning_rate", "seed", "loss"])


def few_label_runs(
    splits: Splits,
    *,
    counts: Sequence[int] = (5, 20, 100),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> pd.DataFrame:
    """Classify headlines from few labels, with a pretrained encoder and without.

    The encoder is not trained: its vectors go into a logistic regression. Both see the same
    headlines, drawn anew for each seed from 120 a class.

    Args:
        splits: Documents, of which the headlines are used.
        counts: How many labels of each class.
        seeds: A draw for each.

    Returns:
        The columns ``labels``, ``seed``, ``model`` and ``accuracy``.
    """
    pool = draw_per_class(headlines_of(splits.train), 120, seed=0)
    test = headlines_of(splits.test)
    vectors = pd.DataFrame(sentence_vectors(pool["text"].tolist()), index=pool.index)
    test_vectors = sentence_vectors(test["text"].tolist())
    rows = []
    for count in counts:
        for seed in seeds:
            drawn = draw_per_class(pool, count, seed)
            words = tfidf().fit(drawn["text"], drawn["label"])
            rows.append((count, seed, "TF-IDF", words.score(test["text"], test["label"])))
            meaning = LogisticRegression(C=10, max_iter=1000)
            meaning.fit(vectors.loc[drawn.index].to_numpy(), drawn["label"])
            rows.append((count, seed, "MiniLM", meaning.score(test_vectors, test["label"])))
    return pd.DataFrame(rows, columns=["labels", "seed", "model", "accuracy"])


def shift_runs(splits: Splits) -> pd.DataFrame:
    """Train TF-IDF on one kind of text, and test it on that kind and on another.

    Args:
        splits: Documents; the other kind are their headlines.

    Returns:
        Accuracies, a row for what was trained on and a column for what was tested on.
    """
    training = {"articles": splits.train, "headlines": headlines_of(splits.train)}
    test = {"articles": splits.test, "headlines": headlines_of(splits.test)}
    rows = {}
    for name, frame in training.items():
        model = tfidf().fit(frame["text"], frame["label"])
        rows[name] = {kind: model.score(each["text"], each["label"]) for kind, each in test.items()}
    table = pd.DataFrame(rows).T
    return table.rename_axis(index="trained on", columns="tested on")


def typo_runs(
    splits: Splits,
    *,
    shares: Sequence[float] = (0.0, 0.1, 0.2, 0.4),
    seeds: Sequence[int] = (0, 1, 2),
) -> pd.DataFrame:
    """Train TF-IDF on clean articles, and test it on articles with swapped letters.

    Args:
        splits: Documents.
        shares: The chance that a letter changes places with the next.
        seeds: Errors are drawn for each.

    Returns:
        The columns ``share``, ``seed`` and ``accuracy``.
    """
    model = tfidf().fit(splits.train["text"], splits.train["label"])
    rows = []
    for share in shares:
        for seed in seeds:
            spoilt = [
                swap_letters(text, share, seed + 10 * row)
                for row, text in enumerate(splits.test["text"])
            ]
            rows.append((share, seed, model.score(spoilt, splits.test["label"])))
    return pd.DataFrame(rows, columns=["share", "seed", "accuracy"])


def noise_runs(
    splits: Splits,
    *,
    shares: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8),
    seeds: Sequence[int] = (0, 1, 2),
    spoil: Callable[[pd.Series, float, int], pd.Series] = with_wrong_labels,
) -> pd.DataFrame:
    """Train TF-IDF with wrong labels, and test it with right ones.

    Args:
        splits: Documents.
        shares: The share of training labels that is wrong.
        seeds: Errors are drawn for each.
        spoil: Makes the errors.

    Returns:
        The columns ``share``, ``seed`` and ``accuracy``.
    """
    features = TfidfVectorizer(analyzer=tokenize, sublinear_tf=True, min_df=5)
    train = features.fit_transform(splits.train["text"])
    test = features.transform(splits.test["text"])
    rows = []
    for share in shares:
        for seed in seeds:
            labels = spoil(splits.train["label"], share, seed)
            model = LogisticRegression(C=10, max_iter=1000).fit(train, labels)
            rows.append((share, seed, model.score(test, splits.test["label"])))
    return pd.DataFrame(rows, columns=["share", "seed", "accuracy"])
