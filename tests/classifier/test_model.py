"""Batches, word vectors and the network."""

import dataclasses

import numpy as np
import pytest
import torch

from companion.classifier.batches import batches_by_length, pad, shuffled_batches
from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.model import (
    LSTMClassifier,
    cut_windows,
    parameter_count,
    pool,
    reverse_padded,
)
from companion.classifier.vectors import neighbour_counts, positive_pmi, ppmi_vectors
from companion.errors import DataError, EmptyDocumentError


def test_padding_is_on_the_right() -> None:
    token_ids, lengths = pad([[5], [6, 7, 8]])
    assert token_ids.tolist() == [[5, 0, 0], [6, 7, 8]]
    assert lengths.tolist() == [1, 3]
    with pytest.raises(EmptyDocumentError, match="document 2"):
        pad([[5], []])


def test_every_document_is_in_one_batch() -> None:
    generator = np.random.default_rng(0)
    documents = [[number + 2] * int(generator.integers(1, 90)) for number in range(333)]
    for batches in (batches_by_length(documents, 32), shuffled_batches(documents, 32, generator)):
        seen = []
        for batch in batches:
            assert len(batch.rows) <= 32
            for row, token_ids, length in zip(
                batch.rows, batch.token_ids, batch.lengths, strict=True
            ):
                assert token_ids[:length].tolist() == documents[row]
            seen.extend(batch.rows)
        assert sorted(seen) == list(range(333))


def test_batches_of_long_documents_are_small() -> None:
    sizes = [batch.token_ids.numel() for batch in batches_by_length([[2] * 10_000] * 20, 64)]
    assert max(sizes) <= 65_536
    assert [len(batch.rows) for batch in batches_by_length([[2] * 100_000] * 2, 64)] == [1, 1]


def test_bucketing_saves_most_of_the_padding() -> None:
    generator = np.random.default_rng(0)
    documents = [[2] * int(generator.integers(1, 400)) for _ in range(2000)]
    real = sum(map(len, documents))
    padded = sum(batch.token_ids.numel() for batch in shuffled_batches(documents, 32, generator))
    assert padded / real < 1.1


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


def test_windows_hold_the_documents() -> None:
    token_ids, lengths = pad([[1, 2, 3, 4, 5], [6]])
    windows, window_lengths = cut_windows(token_ids, lengths, 2)
    assert windows.tolist() == [[1, 2], [3, 4], [5, 0], [6, 0], [0, 0], [0, 0]]
    assert window_lengths.tolist() == [2, 2, 1, 1, 0, 0]


def test_reversing_twice_changes_nothing() -> None:
    sequences, lengths = torch.arange(12.0).reshape(2, 6, 1), torch.tensor([6, 2])
    reverse = reverse_padded(sequences, lengths)
    assert reverse[1, :, 0].tolist() == [7, 6, 8, 9, 10, 11]
    assert torch.equal(reverse_padded(reverse, lengths), sequences)


def test_pooling_leaves_the_padding_out() -> None:
    hidden = torch.tensor([[[1.0], [-3.0], [100.0]]])
    pooled = pool(hidden, torch.tensor([2]), "last+max+mean")
    assert pooled.tolist() == [[-3.0, 1.0, -1.0]]


def test_the_article_network_has_its_parameters() -> None:
    """Two layers of 4(hi + h² + 2h), the embedding, and the head: as the book counts."""
    network = LSTMClassifier(10_000, 2, CONFIGURATIONS["article"])
    lstm = sum(4 * (256 * inputs + 256 * 256 + 2 * 256) for inputs in (100, 256))
    assert lstm == 892_928
    assert parameter_count(network) == 10_000 * 100 + lstm + 256 * 2 + 2 == 1_893_442


def test_every_parameter_gets_a_gradient() -> None:
    for configuration in CONFIGURATIONS.values():
        network = LSTMClassifier(20, 3, configuration)
        network(*pad([[2, 3, 4], [5, 6]])).sum().backward()
        assert all(
            parameter.grad is not None and parameter.grad.any()
            for parameter in network.parameters()
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_size", 0),
        ("hidden_size", 10**9),
        ("epochs", 1.5),
        ("dropout", "0.5"),
        ("dropout", float("nan")),
        ("pooling", "min"),
        ("bidirectional", 1),
        ("learning_rate", -1.0),
    ],
)
def test_a_wrong_choice_is_named(name: str, value: object) -> None:
    with pytest.raises(DataError, match=name):
        dataclasses.replace(Configuration(), **{name: value})  # type: ignore[arg-type]
