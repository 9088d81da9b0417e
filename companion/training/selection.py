"""What choosing on a test set does to its score.

Explained in :doc:`/training/evaluate`, "Tuning on the test set".
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

__all__ = ["candidate_answers", "optimism"]


def candidate_answers(
    train: pd.DataFrame, held_out: pd.DataFrame, *, candidates: int, words: int = 300, seed: int = 0
) -> npt.NDArray[np.bool_]:
    """Train classifiers that differ in nothing but the random words that each may see.

    No candidate has an idea that another lacks. What tells them apart is mostly luck.

    Args:
        train: The documents to train on: ``tokens``, a list each, and ``label``.
        held_out: The documents to answer, with the same columns.
        candidates: How many classifiers.
        words: How many words each may see.
        seed: Fixes the words.

    Returns:
        ``(candidates, documents)``: True where a candidate is right.
    """
    generator = np.random.default_rng(seed)
    vectorizer = CountVectorizer(analyzer=list, binary=True, min_df=2)
    known = vectorizer.fit_transform(train["tokens"]).tocsc()
    asked = vectorizer.transform(held_out["tokens"]).tocsc()
    right = []
    for _ in range(candidates):
        chosen = generator.choice(known.shape[1], min(words, known.shape[1]), replace=False)
        model = MultinomialNB().fit(known[:, chosen], train["label"])
        right.append(model.predict(asked[:, chosen]) == held_out["label"].to_numpy())
    return np.stack(right)


def optimism(
    frame: pd.DataFrame,
    *,
    counts: tuple[int, ...] = (1, 3, 10, 30),
    training: int = 150,
    tuning: int = 60,
    new_documents: int = 600,
    seeds: int = 12,
) -> pd.DataFrame:
    """Choose the best of some candidates on a small test set; score it there and elsewhere.

    Args:
        frame: All documents, with the columns ``tokens`` and ``label``.
        counts: How many candidates to choose from.
        training: The documents to train on.
        tuning: The documents of the test set that is tuned on.
        new_documents: The documents that nothing was chosen on.
        seeds: How many draws of the documents and the candidates.

    Returns:
        The columns ``candidates``, ``seed``, ``on the tuned test set``, ``on new documents``.
    """
    rows = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(frame))
        train = frame.iloc[order[:training]]
        rest = frame.iloc[order[training : training + tuning + new_documents]]
        right = candidate_answers(train, rest, candidates=max(counts), seed=seed)
        seen, new = right[:, :tuning].mean(axis=1), right[:, tuning:].mean(axis=1)
        for count in counts:
            best = int(seen[:count].argmax())
            rows.append((count, seed, seen[best], new[best]))
    columns = ["candidates", "seed", "on the tuned test set", "on new documents"]
    return pd.DataFrame(rows, columns=columns)
