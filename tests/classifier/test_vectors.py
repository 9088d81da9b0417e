"""Word vectors: the counts, their information, and the directions that are kept."""

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from companion.classifier.vectors import neighbour_counts, positive_pmi, ppmi_vectors


def test_neighbours_are_counted_by_distance() -> None:
    counts = neighbour_counts([[2, 3, 4], [2, 1, 3]], vocabulary_size=5, window=2).toarray()
    assert counts[2, 3] == counts[3, 2] == 1 + 1 / 2
    assert counts[2, 4] == 1 / 2
    assert not counts[0].any()
    assert not counts[1].any()


def test_positive_pmi_equals_its_formula() -> None:
    counts = neighbour_counts([[2, 3, 4, 3], [4, 5, 2, 5]], vocabulary_size=6, window=2)
    dense = counts.toarray().astype(float)
    words = dense.sum(axis=1)
    contexts = words**0.75 / (words**0.75).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.log(dense / words[:, None] / contexts[None, :])
    expected[~np.isfinite(expected) | (expected < 0)] = 0
    np.testing.assert_allclose(positive_pmi(counts).toarray(), expected, atol=1e-6)


def test_words_of_one_topic_get_similar_vectors() -> None:
    generator = np.random.default_rng(0)
    documents = [generator.integers(2, 12, 20).tolist() for _ in range(50)]
    documents += [generator.integers(12, 22, 20).tolist() for _ in range(50)]
    vectors = ppmi_vectors(documents, vocabulary_size=22, size=4)
    unit = vectors[2:] / np.linalg.norm(vectors[2:], axis=1, keepdims=True)
    similarity = unit @ unit.T
    assert similarity[:10, :10].mean() > similarity[:10, 10:].mean() + 0.3
    assert not vectors[0].any()


def test_a_tiny_vocabulary_has_vectors_of_the_asked_size() -> None:
    vectors = ppmi_vectors([[2, 3]], vocabulary_size=4, size=10)
    assert vectors.shape == (4, 10)
    assert np.isfinite(vectors).all()


def test_the_vectors_have_a_mean_square_of_one() -> None:
    generator = np.random.default_rng(0)
    documents = [generator.integers(2, 30, 40).tolist() for _ in range(30)]
    vectors = ppmi_vectors(documents, vocabulary_size=30, size=5)
    assert vectors.dtype == np.float32
    assert np.mean(vectors**2) == pytest.approx(1, rel=1e-5)


def test_the_vectors_are_the_largest_directions_of_the_information() -> None:
    """``U · sqrt(S)`` of a full decomposition, up to the sign of a column and the scale."""
    generator = np.random.default_rng(1)
    documents = [generator.integers(2, 15, 40).tolist() for _ in range(20)]
    matrix = positive_pmi(neighbour_counts(documents, 15, window=8)).toarray()
    left, strength, _ = np.linalg.svd(matrix)
    expected = np.abs(left[:, :3] * np.sqrt(strength[:3]))
    expected[0] = 0
    vectors = np.abs(ppmi_vectors(documents, vocabulary_size=15, size=3))
    np.testing.assert_allclose(vectors, expected / np.sqrt(np.mean(expected**2)), atol=2e-2)


def test_the_seed_fixes_the_vectors_and_the_window_changes_them() -> None:
    generator = np.random.default_rng(2)
    documents = [generator.integers(2, 90, 40).tolist() for _ in range(20)]
    default = ppmi_vectors(documents, 90, 3)
    assert np.array_equal(default, ppmi_vectors(documents, 90, 3, window=8, seed=0))
    assert not np.array_equal(default, ppmi_vectors(documents, 90, 3, seed=1))
    assert not np.allclose(default, ppmi_vectors(documents, 90, 3, window=9), atol=1e-3)


def test_as_many_directions_as_the_vocabulary_allows() -> None:
    documents = [[2, 3, 4], [3, 4, 2], [4, 4, 2]]
    vectors = ppmi_vectors(documents, vocabulary_size=5, size=10)
    strength = np.linalg.svd(positive_pmi(neighbour_counts(documents, 5, 8)).toarray())[1]
    kept = (np.abs(vectors) > 1e-3).any(axis=0).sum()
    assert kept == (strength > 1e-6).sum()


def test_text_without_neighbours_gives_vectors_of_zero() -> None:
    vectors = ppmi_vectors([[2], [3]], vocabulary_size=4, size=2)
    assert not vectors.any()


def test_counts_and_information_are_in_single_precision() -> None:
    """The matrix of a large vocabulary is what fills the memory."""
    counts = neighbour_counts([[2, 3, 4]], 5, window=2)
    assert counts.dtype == positive_pmi(counts).dtype == np.float32


def test_neighbours_do_not_reach_into_the_next_document() -> None:
    apart = neighbour_counts([[2, 3], [4, 5]], 6, window=3).toarray()
    assert apart[3, 4] == apart[2, 4] == apart[3, 5] == 0
    assert apart[2, 3] == 1


def test_information_of_a_tiny_table_of_counts() -> None:
    """Counts so small that a floor under the sum of the contexts would show."""
    counts = sparse.csr_array(np.array([[0, 1e-3], [1e-3, 0]], dtype=np.float32))
    words = np.full(2, np.float32(1e-3), dtype=np.float64)
    expected = np.log(1e-3 / (words[0] * 0.5))
    assert positive_pmi(counts).toarray()[0, 1] == pytest.approx(expected, rel=1e-4)


def test_the_vectors_fit_into_a_network() -> None:
    assert torch.from_numpy(ppmi_vectors([[2, 3, 2]], 4, 3)).dtype == torch.float32
