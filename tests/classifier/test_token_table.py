"""One flat array of token ids: what goes in comes out, from memory and from disk."""

from pathlib import Path

import numpy as np
import pytest

from companion.classifier.token_table import TokenTable
from companion.errors import EmptyDocumentError

DOCUMENTS = [[5, 6, 7, 8], [9], [10, 11, 12]]


def test_what_goes_in_comes_out() -> None:
    table = TokenTable.of(DOCUMENTS)
    assert [document.tolist() for document in table] == DOCUMENTS
    assert (len(table), table.token_ids.dtype) == (3, np.int32)
    assert TokenTable.of(table) is table
    assert len(TokenTable.of([])) == 0


def test_the_first_words_of_each_document() -> None:
    assert [each.tolist() for each in TokenTable.of(DOCUMENTS).first(2)] == [[5, 6], [9], [10, 11]]


def test_a_stretch_is_a_run_of_its_document_and_all_runs_are_drawn() -> None:
    generator = np.random.default_rng(0)
    table = TokenTable.of(DOCUMENTS)
    drawn = [[each.tolist() for each in table.stretches(2, generator)] for _ in range(60)]
    assert {tuple(run[0]) for run in drawn} == {(5, 6), (6, 7), (7, 8)}
    assert {tuple(run[1]) for run in drawn} == {(9,)}
    assert {tuple(run[2]) for run in drawn} == {(10, 11), (11, 12)}


def test_stretches_draw_as_one_call_for_each_document_would() -> None:
    """So that a training gives the same weights as before there were tables."""
    generator = np.random.default_rng(3)
    highs = [max(0, len(document) - 2) + 1 for document in DOCUMENTS * 50]
    starts = [int(generator.integers(0, high)) for high in highs]
    table = TokenTable.of(DOCUMENTS * 50)
    stretches = table.stretches(2, np.random.default_rng(3))
    assert (stretches.starts - table.starts).tolist() == starts


def test_documents_are_padded_on_the_right() -> None:
    token_ids, lengths = TokenTable.of(DOCUMENTS).padded(np.array([2, 1]), padding_id=4)
    assert token_ids.tolist() == [[10, 11, 12], [9, 4, 4]]
    assert lengths.tolist() == [3, 1]


def test_an_empty_document_is_named() -> None:
    table = TokenTable.of([[1], [], [2]])
    with pytest.raises(EmptyDocumentError, match="document 2 of the batch has no token"):
        table.padded(np.array([2, 1, 0]))
    with pytest.raises(EmptyDocumentError, match="document 1 of the batch has no token"):
        table.padded(np.array([], dtype=np.int64))


def test_the_ids_may_lie_on_disk(tmp_path: Path) -> None:
    table = TokenTable.of(DOCUMENTS)
    table.token_ids.tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", dtype=np.int32, mode="r")
    on_disk = TokenTable(mapped, table.starts, table.lengths)
    rows = np.array([1, 2, 0])
    assert on_disk.padded(rows)[0].tolist() == table.padded(rows)[0].tolist()
    assert isinstance(on_disk[0], np.memmap)
