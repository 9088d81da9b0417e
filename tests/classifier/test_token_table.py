"""The flat table gives the batches that the lists give, on any device."""

from pathlib import Path

import numpy as np
import pytest
import torch

from companion.classifier.batches import batches_by_length, shuffled_batches
from companion.classifier.token_table import LabelledTable, TokenTable
from companion.errors import DataError, EmptyDocumentError


def documents(count: int = 300, seed: int = 0) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [
        generator.integers(1, 1000, length).tolist() for length in generator.integers(1, 60, count)
    ]


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_the_batches_of_an_epoch_are_those_of_the_lists(batch_size: int) -> None:
    lists, words = documents(), 20
    theirs, ours = np.random.default_rng(3), np.random.default_rng(3)
    cut = []
    for document in lists:
        start = theirs.integers(0, max(0, len(document) - words) + 1)
        cut.append(document[start : start + words])
    expected = list(shuffled_batches(cut, batch_size, theirs))
    given = list(TokenTable.of(lists).shuffled_batches(batch_size, words, ours))
    assert len(given) == len(expected) == -(-len(lists) // batch_size)
    for one, other in zip(given, expected, strict=True):
        for part in ("token_ids", "lengths", "rows"):
            assert torch.equal(getattr(one, part), getattr(other, part)), part
    assert ours.bit_generator.state == theirs.bit_generator.state


def test_the_batches_for_prediction_are_those_of_the_lists() -> None:
    lists = [*documents(), [5] * 70_000, [6] * 70_000]
    expected = list(batches_by_length(lists, 32))
    given = list(TokenTable.of(lists).batches_by_length(32))
    assert len(given) == len(expected)
    for one, other in zip(given, expected, strict=True):
        assert torch.equal(one.token_ids, other.token_ids)
        assert torch.equal(one.rows, other.rows)


def test_a_share_of_the_documents() -> None:
    table = TokenTable.of(documents(11))
    rows = [row for batch in table.batches_by_length(2, slice(1, None, 3)) for row in batch.rows]
    assert sorted(map(int, rows)) == [1, 4, 7, 10]


def test_a_document_of_the_table() -> None:
    lists = documents(20)
    table = TokenTable.of(lists)
    assert len(table) == 20
    assert [table[row].tolist() for row in range(20)] == lists
    assert table.token_ids.dtype == torch.int32
    assert table.to(torch.device("cpu")).token_ids is table.token_ids


def test_no_document_may_be_empty() -> None:
    with pytest.raises(EmptyDocumentError, match="document 2 has no token"):
        TokenTable.of([[1], [], [2]])


def write(folder: Path, table: TokenTable, labels: list[int]) -> None:
    np.save(folder / "token_ids.npy", table.token_ids.numpy())
    np.save(folder / "offsets.npy", table.offsets.numpy())
    np.save(folder / "labels.npy", np.array(labels, dtype=np.int64))


def test_mapped_files_are_the_table_in_memory(tmp_path: Path) -> None:
    table = TokenTable.of(documents(50))
    write(tmp_path, table, [1, 0] * 25)
    mapped = LabelledTable.open(tmp_path)
    assert torch.equal(mapped.tokens.token_ids, table.token_ids)
    assert mapped.labels.tolist() == [1, 0] * 25
    for one, other in zip(
        mapped.tokens.shuffled_batches(8, 20, np.random.default_rng(0)),
        table.shuffled_batches(8, 20, np.random.default_rng(0)),
        strict=True,
    ):
        assert torch.equal(one.token_ids, other.token_ids)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("token_ids.npy", np.arange(5, dtype=np.int64)),
        ("offsets.npy", np.array([0, 3, 3, 5])),
        ("offsets.npy", np.array([0, 3, 99])),
        ("offsets.npy", np.array([0])),
        ("offsets.npy", np.array([-1, 5])),
        ("labels.npy", np.array([0, 1, 0])),
        ("labels.npy", np.array([0.0, 1.0])),
        ("labels.npy", np.array([None, {}], dtype=object)),
    ],
)
def test_damaged_files_are_refused(name: str, content: np.ndarray, tmp_path: Path) -> None:
    write(tmp_path, TokenTable.of([[1, 2, 3], [4, 5]]), [0, 1])
    LabelledTable.open(tmp_path)
    np.save(tmp_path / name, content, allow_pickle=True)
    with pytest.raises(DataError, match=r"again|companion encode"):
        LabelledTable.open(tmp_path)


def test_a_missing_or_cut_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="companion encode"):
        LabelledTable.open(tmp_path)
    write(tmp_path, TokenTable.of([[1, 2, 3], [4, 5]]), [0, 1])
    path = tmp_path / "token_ids.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match="cannot be read"):
        LabelledTable.open(tmp_path)
