"""Word vectors from the training text alone, in a few seconds and without training.

Explained in :doc:`/project/model`, "Word vectors from your own text". Words that stand near the
same words get similar vectors: count the pairs of neighbours, take the positive pointwise mutual
information of each pair, and keep the largest directions of that matrix (Levy, Goldberg and Dagan,
2015).
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from companion.classifier.text import PADDING_ID, UNKNOWN_ID
from companion.classifier.token_table import TokenTable

__all__ = ["neighbour_counts", "positive_pmi", "ppmi_vectors"]

_CONTEXT_POWER = 0.75


def ppmi_vectors(
    documents: TokenTable | Sequence[Sequence[int]],
    vocabulary_size: int,
    size: int,
    *,
    window: int = 8,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Make word vectors from the documents' own neighbourhoods.

    Args:
        documents: The token ids of the training documents.
        vocabulary_size: The number of token ids.
        size: Numbers in a vector.
        window: How many words to each side are neighbours.
        seed: Fixes the randomised decomposition.

    Returns:
        ``(vocabulary_size, size)`` vectors with mean square 1; the padding's is zero. Where the
        text gives fewer directions than asked for, the other columns are zero.
    """
    matrix = positive_pmi(neighbour_counts(documents, vocabulary_size, window))
    rank = min(size, vocabulary_size - 1)
    left, strength, _ = randomized_svd(matrix, rank, n_iter=4, random_state=seed)
    vectors = np.zeros((vocabulary_size, size), dtype=np.float32)
    vectors[:, :rank] = left * np.sqrt(strength)
    vectors[PADDING_ID] = 0
    root_mean_square = np.sqrt(np.mean(vectors**2))
    return vectors / root_mean_square if root_mean_square > 0 else vectors


def neighbour_counts(
    documents: TokenTable | Sequence[Sequence[int]], vocabulary_size: int, window: int
) -> "sparse.csr_array[np.float32]":
    """Count how often two words stand near each other; a pair at distance ``d`` counts ``1/d``.

    Args:
        documents: The token ids of the documents.
        vocabulary_size: The number of token ids.
        window: The greatest distance.

    Returns:
        ``(vocabulary_size, vocabulary_size)`` symmetric counts. Padding and unknown words have
        none.
    """
    gap = np.full(window, PADDING_ID, dtype=np.int32)
    tokens = np.concatenate([part for document in documents for part in (document, gap)])
    is_word = (tokens != PADDING_ID) & (tokens != UNKNOWN_ID)
    counts = sparse.csr_array((vocabulary_size, vocabulary_size), dtype=np.float32)
    for distance in range(1, window + 1):
        both = is_word[:-distance] & is_word[distance:]
        pairs = tokens[:-distance][both], tokens[distance:][both]
        weights = np.full(both.sum(), 1 / distance, dtype=np.float32)
        counts = counts + sparse.coo_array((weights, pairs), shape=counts.shape).tocsr()
    return counts + counts.T


def positive_pmi(counts: "sparse.csr_array[np.float32]") -> "sparse.csr_array[np.float32]":
    """Turn counts of pairs into how much more often they meet than chance would have it.

    Args:
        counts: ``(words, words)`` symmetric counts.

    Returns:
        ``max(0, log(p(a, b) / (p(a) · p(b)^0.75)))``, with the powers of ``b`` made to add up to 1.
        The power damps the rare words, whose information is the least certain.
    """
    words = np.asarray(counts.sum(axis=1)).ravel()
    contexts = words**_CONTEXT_POWER
    pairs = counts.tocoo()
    expected = words[pairs.row] * contexts[pairs.col] / max(contexts.sum(), 1e-12)
    information = np.maximum(np.log(pairs.data / expected), 0).astype(np.float32)
    matrix = sparse.csr_array((information, (pairs.row, pairs.col)), shape=counts.shape)
    matrix.eliminate_zeros()
    return matrix
