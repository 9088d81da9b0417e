"""Only whole tables are mapped."""

from pathlib import Path

import numpy as np
import pytest

from companion.classifier.encoded_corpus import LabelledTable
from companion.errors import DataError


def write(folder: Path) -> None:
    np.save(folder / "token_ids.npy", np.array([1, 2, 3, 4, 5], dtype=np.int32))
    np.save(folder / "offsets.npy", np.array([0, 3, 5]))
    np.save(folder / "labels.npy", np.array([0, 1]))


def test_mapped_files_are_the_table(tmp_path: Path) -> None:
    write(tmp_path)
    table = LabelledTable.open(tmp_path)
    assert [ids.tolist() for ids in table.tokens] == [[1, 2, 3], [4, 5]]
    assert isinstance(table.tokens.token_ids, np.memmap)
    assert table.labels.tolist() == [0, 1]
    assert len(table) == 2


def test_one_document_of_one_token_is_a_table(tmp_path: Path) -> None:
    np.save(tmp_path / "token_ids.npy", np.array([7], dtype=np.int32))
    np.save(tmp_path / "offsets.npy", np.array([0, 1]))
    np.save(tmp_path / "labels.npy", np.array([0]))
    assert [ids.tolist() for ids in LabelledTable.open(tmp_path).tokens] == [[7]]


def test_a_pickle_is_named_and_not_loaded(tmp_path: Path) -> None:
    write(tmp_path)
    np.save(tmp_path / "labels.npy", np.array([None, {}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"labels\.npy.*allow_pickle=False"):
        LabelledTable.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("token_ids.npy", np.arange(5, dtype=np.int64)),
        ("offsets.npy", np.array([0, 5, 5])),
        ("offsets.npy", np.array([0, 3, 99])),
        ("offsets.npy", np.array([0])),
        ("offsets.npy", np.array([-1, 3, 5])),
        ("offsets.npy", np.array([0, 5])),
        ("labels.npy", np.array([0, 1, 0])),
        ("labels.npy", np.array([0.0, 1.0])),
        ("labels.npy", np.array([None, {}], dtype=object)),
    ],
)
def test_damaged_files_are_refused(name: str, content: np.ndarray, tmp_path: Path) -> None:
    write(tmp_path)
    np.save(tmp_path / name, content, allow_pickle=True)
    with pytest.raises(DataError, match=r"again|companion encode"):
        LabelledTable.open(tmp_path)


def test_a_missing_or_cut_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="companion encode"):
        LabelledTable.open(tmp_path)
    write(tmp_path)
    path = tmp_path / "token_ids.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match="cannot be read"):
        LabelledTable.open(tmp_path)
