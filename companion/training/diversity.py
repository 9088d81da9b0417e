"""How varied a training set is, and what that is worth.

Explained in :doc:`/training/data`, "Step 1: data preparation".
"""

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline

from companion.classifier.text import tokenize
from companion.errors import DataError

__all__ = [
    "assign_topics",
    "choose_narrow",
    "diversity_scores",
    "learn_and_score",
    "repeat_few",
    "with_tokens",
]


def with_tokens(frame: pd.DataFrame) -> pd.DataFrame:
    """Cut the ``text`` of each document into ``tokens``, once, and keep its ``label``."""
    return pd.DataFrame({"tokens": frame["text"].map(tokenize), "label": frame["label"]})


def assign_topics(frame: pd.DataFrame, topics: int = 8, *, seed: int = 0) -> pd.Series:
    """Find groups of similar documents inside each class, without any label of such groups.

    Args:
        frame: The columns ``tokens`` and ``label``.
        topics: The number of groups in each class.
        seed: Fixes the decomposition and the clusters.

    Returns:
        A group number, from 0, for each row.
    """
    words = TfidfVectorizer(analyzer=list, min_df=2, sublinear_tf=True)
    points = TruncatedSVD(50, random_state=seed).fit_transform(words.fit_transform(frame["tokens"]))
    found = np.zeros(len(frame), dtype=np.int64)
    for label in frame["label"].unique():
        rows = np.flatnonzero(frame["label"] == label)
        found[rows] = KMeans(topics, n_init=4, random_state=seed).fit_predict(points[rows])
    return pd.Series(found, index=frame.index, name="topic")


def choose_narrow(
    frame: pd.DataFrame, topics: pd.Series, *, count: int, documents: int, seed: int = 0
) -> pd.DataFrame:
    """Draw the same number of documents from each class, out of only a few of its groups.

    Args:
        frame: The columns ``tokens`` and ``label``.
        topics: The group of each row, from :func:`assign_topics`.
        count: How many groups of each class to draw from.
        documents: How many documents of each class to draw.
        seed: Fixes which groups and which documents.

    Returns:
        The drawn rows. Groups that are too small to fill the quota together with the other chosen
        ones are passed over.

    Raises:
        DataError: If no choice of ``count`` groups of a class holds that many documents.
    """
    generator = np.random.default_rng(seed)
    parts = []
    for label, rows in topics.groupby(frame["label"]):
        sizes = rows.value_counts()
        for _ in range(200):
            chosen = generator.choice(sizes.index.to_numpy(), count, replace=False)
            if sizes[chosen].sum() >= documents:
                break
        else:
            raise DataError(
                f"{count} group(s) of the class {label!r} hold fewer than {documents} documents; "
                "ask for fewer documents or more groups"
            )
        candidates = rows.index[rows.isin(chosen)]
        parts.append(generator.choice(candidates, documents, replace=False))
    return frame.loc[np.concatenate(parts)]


def repeat_few(
    frame: pd.DataFrame, *, distinct: int, documents: int, seed: int = 0
) -> pd.DataFrame:
    """Draw ``distinct`` documents of each class and repeat them until there are ``documents``."""
    generator = np.random.default_rng(seed)
    parts = [
        np.resize(generator.choice(rows, distinct, replace=False), documents)
        for rows in frame.groupby("label").groups.values()
    ]
    return frame.loc[np.concatenate(parts)]


def learn_and_score(train: pd.DataFrame, *tests: pd.DataFrame) -> list[float]:
    """Train TF-IDF with logistic regression on one table; give its accuracy on each other one.

    The tables have the columns ``tokens`` and ``label``.
    """
    pipeline = make_pipeline(
        TfidfVectorizer(analyzer=list, sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000),
    )
    pipeline.fit(train["tokens"], train["label"])
    return [
        float(accuracy_score(test["label"], pipeline.predict(test["tokens"]))) for test in tests
    ]


def diversity_scores(
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    counts: tuple[int, ...] = (1, 2, 4, 8),
    documents: int = 25,
    seeds: int = 5,
) -> pd.DataFrame:
    """Measure the accuracy of equally large training sets that differ in how varied they are.

    Args:
        train: The documents to draw from, with the columns ``tokens`` and ``label``.
        test: The documents to score on, which are as varied as they come.
        counts: How many of the groups of each class to draw from; the largest is their number.
        documents: The documents of each class in every training set.
        seeds: How many draws.

    Returns:
        The columns ``groups`` and ``seed``, and two accuracies: on other documents of the same
        groups (``like the training set``), and on ``test`` (``all kinds``).
    """
    topics = assign_topics(train, max(counts))
    rows = []
    for count in counts:
        for seed in range(seeds):
            chosen = choose_narrow(train, topics, count=count, documents=documents, seed=seed)
            similar = _same_groups(train, topics, chosen)
            rows.append((count, seed, *learn_and_score(chosen, similar, test)))
    return pd.DataFrame(rows, columns=["groups", "seed", "like the training set", "all kinds"])


def _same_groups(frame: pd.DataFrame, topics: pd.Series, chosen: pd.DataFrame) -> pd.DataFrame:
    """Give the other documents of the groups that the chosen documents come from."""
    group = frame["label"] + " " + topics.astype(str)
    others = ~frame.index.isin(chosen.index) & group.isin(group[chosen.index])
    return frame[others]
