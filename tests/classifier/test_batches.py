"""Batches: every document once, like beside like, in an order that can be repeated."""

import numpy as np
import pytest
import torch

from companion.classifier import batches
from companion.classifier.batches import Batch, batches_by_length, pad, shuffled_batches
from companion.errors import EmptyDocumentError


def documents_of(lengths: list[int]) -> list[list[int]]:
    """A document of each length; its first token names its row."""
    return [[1000 + row] + [2] * (length - 1) for row, length in enumerate(lengths)]


def rows_of(made: list[Batch]) -> list[int]:
    return [int(row) for batch in made for row in batch.rows]


def test_pad_fills_with_the_id_that_is_asked_for() -> None:
    token_ids, lengths = pad([[5], [6, 7, 8]], padding_id=9)
    assert token_ids.tolist() == [[5, 9, 9], [6, 7, 8]]
    assert lengths.tolist() == [1, 3]
    assert token_ids.dtype == lengths.dtype == torch.int64


@pytest.mark.parametrize(
    ("documents", "number"), [([], 1), ([[]], 1), ([[3], [4], []], 3), ([[3], [], []], 2)]
)
def test_the_first_empty_document_is_named(documents: list[list[int]], number: int) -> None:
    with pytest.raises(EmptyDocumentError, match=f"^document {number} of the batch has no token$"):
        pad(documents)


def test_documents_of_one_length_keep_their_order() -> None:
    """An unstable sort would give other batches on another version of NumPy."""
    lengths = np.random.default_rng(0).integers(1, 3, size=500).tolist()
    order = sorted(range(500), key=lambda row: lengths[row])
    assert rows_of(list(batches_by_length(documents_of(lengths), 7))) == order


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100])
def test_batches_are_full_but_for_the_last(batch_size: int) -> None:
    sizes = [len(batch.rows) for batch in batches_by_length(documents_of([2] * 10), batch_size)]
    full, rest = divmod(10, batch_size)
    assert sizes == [batch_size] * full + [rest] * (rest > 0)


def test_a_batch_holds_the_documents_that_it_names() -> None:
    for batch in batches_by_length(documents_of([4, 1, 3]), 2):
        assert (batch.token_ids[:, 0] - 1000).tolist() == batch.rows.tolist()
        assert ((batch.token_ids != 0).sum(dim=1) == batch.lengths).all()


def test_a_batch_may_have_exactly_the_limit_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_TOKENS_A_BATCH", 12)
    made = list(batches_by_length(documents_of([3] * 9 + [4] * 6 + [13]), 64))
    assert [tuple(batch.token_ids.shape) for batch in made] == [
        (4, 3), (4, 3), (3, 4), (3, 4), (1, 4), (1, 13)
    ]  # fmt: skip


def test_a_block_is_sorted_stably_and_the_batches_are_shuffled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same order, written down a second time from the description."""
    monkeypatch.setattr(batches, "_BATCHES_A_BLOCK", 16)
    lengths = np.random.default_rng(1).integers(1, 4, size=150).tolist()
    made = list(shuffled_batches(documents_of(lengths), 4, np.random.default_rng(5)))
    generator = np.random.default_rng(5)
    order = generator.permutation(150).tolist()
    groups = []
    for block in (order[:64], order[64:128], order[128:]):
        by_length = sorted(block, key=lambda row: lengths[row])
        groups += [by_length[start : start + 4] for start in range(0, len(by_length), 4)]
    expected = [groups[number] for number in generator.permutation(len(groups))]
    assert [batch.rows.tolist() for batch in made] == expected


def test_another_generator_gives_another_order() -> None:
    documents = documents_of([1, 2, 3] * 20)
    orders = [
        rows_of(list(shuffled_batches(documents, 4, np.random.default_rng(seed))))
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[2]) == list(range(60))


def test_every_document_is_in_one_batch() -> None:
    generator = np.random.default_rng(0)
    documents = [[number + 2] * int(generator.integers(1, 90)) for number in range(333)]
    for made in (batches_by_length(documents, 32), shuffled_batches(documents, 32, generator)):
        seen = []
        for batch in made:
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
    """Short news: 38 words on average, and one in a thousand over 90."""
    generator = np.random.default_rng(0)
    lengths = generator.lognormal(np.log(37), 0.28, 10_000).clip(8, 150).astype(int)
    documents = [[2] * int(length) for length in lengths]
    padded = sum(batch.token_ids.numel() for batch in shuffled_batches(documents, 32, generator))
    assert padded / lengths.sum() < 1.03


def test_the_parts_of_a_batch_are_no_wider_than_their_longest_documents() -> None:
    documents = [[2], [3, 4], [5, 6, 7], [8, 9, 2, 3], [4, 5, 6, 7, 8]]
    (batch,) = batches_by_length(documents, 5)
    assert [part.token_ids.shape for part in batch.parts(2)] == [(2, 2), (2, 4), (1, 5)]
    rows = [
        ids[: int(length)].tolist()
        for part in batch.parts(2)
        for ids, length in zip(part.token_ids, part.lengths, strict=True)
    ]
    assert rows == documents
    assert np.concatenate([part.rows for part in batch.parts(2)]).tolist() == [0, 1, 2, 3, 4]
    assert next(batch.parts(5)) is batch
