"""Whatever comes in by a door gives a result or one of our errors, and never anything else.

200 examples a door in `make test`; 10,000 with HYPOTHESIS_PROFILE=nightly.
"""

import csv
import hashlib
import json
import math
import shutil
import struct
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import parquet

from companion.classifier.checkpoint import load_classifier, read_description, save_classifier
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import (
    iterate_texts,
    read_table,
    read_texts,
    remove_duplicates,
    split_corpus,
    validate_corpus,
)
from companion.classifier.inference import TextClassifier, encode
from companion.classifier.model import LSTMClassifier
from companion.classifier.text import Vocabulary, has_tokens, is_encodable, tokenize
from companion.errors import CompanionError

ANY_TEXT = st.text(st.characters())  # lone surrogates included
REAL_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ANY_TEXT
    | st.just(10**4000)
    | st.just("")
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner), max_leaves=8
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("doors")


def check_table(path: Path) -> None:
    """Read a file by every door; the doors must agree with each other."""
    texts: list[str] | None = None
    try:
        texts = read_texts(path)
    except CompanionError as error:
        check_message(error)
    try:
        parts = list(iterate_texts(path, rows=3))
    except CompanionError as error:
        check_message(error)
        assert texts is None
    else:
        assert [text for part in parts for text in part] == texts
        assert all(1 <= len(part) <= 3 for part in parts)
    try:
        frame = read_table(path)
    except CompanionError as error:
        check_message(error)
    else:
        assert frame["text"].tolist() == texts
        check_corpus(frame)


def check_corpus(frame: pd.DataFrame) -> None:
    assert all(has_tokens(text) for text in frame["text"])
    assert all(isinstance(label, str) and label.strip() for label in frame["label"])
    try:
        splits = split_corpus(remove_duplicates(frame))
    except CompanionError as error:
        check_message(error)
    else:
        assert min(map(len, (splits.train, splits.validation, splits.test))) >= 1


def check_message(error: CompanionError) -> None:
    """An error can be printed, and is not as long as the file."""
    assert len(str(error)) < 5_000
    assert is_encodable(str(error))


@given(ANY_TEXT)
@example("\ud83d")
@example("a" + "\u0300\u0315" * 2000)
def test_any_text_gives_tokens(text: str) -> None:
    tokens = tokenize(text)
    assert has_tokens(text) == bool(tokens)
    assert all(token and is_encodable(token) for token in tokens)


@given(st.lists(SCALARS, max_size=4))
def test_any_list_is_encoded_or_refused(texts: list[Any]) -> None:
    vocabulary = Vocabulary(["<pad>", "<unk>", "a"])
    try:
        documents = encode(texts, vocabulary, maximum_words=5)
    except CompanionError:
        assert not all(isinstance(text, str) and has_tokens(text) for text in texts)
    else:
        assert all(1 <= len(document) <= 5 for document in documents)
        assert all(0 <= token_id < 3 for document in documents for token_id in document)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@given(content=st.binary() | ANY_TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_table_or_refused(suffix: str, content: bytes, folder: Path) -> None:
    path = folder / f"bytes{suffix}"
    path.write_bytes(content)
    check_table(path)


CELLS = st.text(st.sampled_from("ab,;\"'\n\r\t \ufeffé大😀=")) | REAL_TEXT


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@given(rows=st.lists(st.lists(CELLS, max_size=4), max_size=5), end=st.sampled_from(["\n", "\r\n"]))
def test_any_shape_of_csv_is_a_table_or_refused(
    suffix: str, rows: list[list[str]], end: str, folder: Path
) -> None:
    path = folder / f"shape{suffix}"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator=end).writerows([["text", "label"], *rows])
    check_table(path)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_what_is_written_as_csv_is_read_unchanged(
    suffix: str, rows: list[tuple[str, ...]], folder: Path
) -> None:
    path = folder / f"written{suffix}"
    with path.open("w", encoding="utf-8", newline="") as file:
        separator = "\t" if suffix == ".tsv" else ","
        csv.writer(file, delimiter=separator).writerows([("number", "text", "b"), *rows])
    assert read_texts(path) == [text for _, text, _ in rows]
    assert read_texts(path, text="b,text") == [f"{b}\n{text}" for _, text, b in rows]


@given(
    rows=st.lists(st.dictionaries(st.sampled_from(["text", "label", "x"]), JSON) | JSON, max_size=5)
)
def test_any_json_is_a_table_or_refused(rows: list[Any], folder: Path) -> None:
    path = folder / "values.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    check_table(path)


@given(texts=st.lists(REAL_TEXT, min_size=1, max_size=5), ensure_ascii=st.booleans())
def test_what_is_written_as_json_is_read_unchanged(
    texts: list[str], ensure_ascii: bool, folder: Path
) -> None:
    path = folder / "written.jsonl"
    lines = [json.dumps({"text": text}, ensure_ascii=ensure_ascii) for text in texts]
    path.write_text("\n".join(lines), "utf-8", newline="")
    assert read_texts(path) == texts


ARROW_TYPES = [
    (pa.string(), REAL_TEXT),
    (pa.large_string(), REAL_TEXT),
    (pa.dictionary(pa.int32(), pa.string()), REAL_TEXT),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.binary(), st.binary()),
    (pa.list_(pa.string()), st.lists(REAL_TEXT)),
    (pa.struct([("a", pa.string())]), st.just({"a": "b"})),
    (pa.date32(), st.dates()),
    (pa.timestamp("us"), st.datetimes()),
    (pa.null(), st.none()),
]


@st.composite
def arrow_tables(draw: st.DrawFn) -> pa.Table:
    names = draw(st.permutations(["text", "label", "text.x"]).map(lambda names: names[:2]))
    rows = draw(st.integers(0, 5))
    columns = {}
    for name in [*names, "label"]:
        kind, values = draw(st.sampled_from(ARROW_TYPES))
        cells = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        columns[name] = pa.array(cells, type=kind)
    return pa.table(columns)


@given(
    table=arrow_tables(),
    compression=st.sampled_from(["snappy", "zstd", "none"]),
    use_dictionary=st.booleans(),
)
def test_any_parquet_is_a_table_or_refused(
    table: pa.Table, compression: str, use_dictionary: bool, folder: Path
) -> None:
    path = folder / "values.parquet"
    parquet.write_table(
        table, path, compression=compression, use_dictionary=use_dictionary, row_group_size=2
    )
    check_table(path)


@given(rows=st.lists(st.tuples(REAL_TEXT, st.none() | REAL_TEXT), min_size=1, max_size=6))
def test_what_is_written_as_parquet_is_read_unchanged(
    rows: list[tuple[str, str | None]], folder: Path
) -> None:
    path = folder / "written.parquet"
    first, second = map(list, zip(*rows, strict=True))
    table = pa.table(
        {"x.y": pa.array(first), "b": pa.array(second, pa.string()).dictionary_encode()}
    )
    parquet.write_table(table, path, row_group_size=4)
    expected = [f"{x}\n{b or ''}" for x, b in rows]
    assert read_texts(path, text="x.y,b") == expected


CHANGES = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=6)


def changed(content: bytes, changes: list[tuple[int, int]], end: int) -> bytes:
    mutable = bytearray(content)
    for place, byte in changes:
        mutable[place % len(mutable)] = byte
    return bytes(mutable[: len(mutable) - end])


PARQUET = pa.table({"text": ["one", "two", "one"], "label": ["a", "b", "a"]})


@given(changes=CHANGES, end=st.just(0) | st.integers(0, 100), extra=st.integers(0, 1))
def test_a_damaged_parquet_is_a_table_or_refused(
    changes: list[tuple[int, int]], end: int, extra: int, folder: Path
) -> None:
    path = folder / "damaged.parquet"
    sink = pa.BufferOutputStream()
    parquet.write_table(PARQUET, sink, compression="none", store_schema=extra % 2 == 0)
    path.write_bytes(changed(sink.getvalue().to_pybytes(), changes, end))
    try:
        assert all(isinstance(text, str) for text in read_texts(path))
    except CompanionError as error:
        check_message(error)


COLUMNS = st.lists(st.sampled_from(["text", "label", "split", 0, None]), max_size=4)


@given(st.data())
def test_any_frame_is_a_corpus_or_refused(data: st.DataObject) -> None:
    columns = data.draw(COLUMNS)
    cells = st.lists(SCALARS | st.sampled_from(["train", "test"]) | st.lists(st.none()))
    rows = data.draw(st.integers(0, 6))
    column = cells.map(lambda values: (values * rows)[:rows] if values else [None] * rows)
    frame = pd.DataFrame({place: data.draw(column) for place in range(len(columns))}, dtype=object)
    frame.columns = pd.Index(columns, dtype=object)
    frame.index = pd.Index(data.draw(st.lists(st.integers(), min_size=rows, max_size=rows)))
    try:
        valid = validate_corpus(frame)
    except CompanionError as error:
        check_message(error)
    else:
        assert len(valid) == rows
        check_corpus(valid)


CONFIGURATION = Configuration(embedding_size=2, hidden_size=2, bidirectional=False)
TOKENS = ["<pad>", "<unk>", "word"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], bytes]:
    path = tmp_path_factory.mktemp("checkpoint") / "model"
    model = LSTMClassifier(len(TOKENS), 2, CONFIGURATION)
    save_classifier(TextClassifier(model, Vocabulary(TOKENS), ["a", "b"], CONFIGURATION), path)
    description = read_description(path)
    return path, description, (path / description["weights"]).read_bytes()


Saved = tuple[Path, dict[str, Any], bytes]


def check_classifier(path: Path, description: bytes, weights: bytes) -> None:
    digest = hashlib.sha256(weights).hexdigest()
    shutil.rmtree(path)
    path.mkdir()
    (path / "classifier.json").write_bytes(description)
    (path / f"weights-{digest[:16]}.safetensors").write_bytes(weights)
    try:
        probabilities = load_classifier(path, device="cpu").predict_proba(["word", "other"])
    except CompanionError as error:
        check_message(error)
    else:
        assert probabilities.shape == (2, 2)


def described(description: dict[str, Any], weights: bytes) -> bytes:
    digest = hashlib.sha256(weights).hexdigest()
    names = {"weights": f"weights-{digest[:16]}.safetensors", "weights_sha256": digest}
    return json.dumps(description | names).encode()


@given(content=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_description_or_refused(content: bytes, saved: Saved) -> None:
    path, _, weights = saved
    check_classifier(path, content, weights)


FIELDS = ["format_version", "configuration", "labels", "vocabulary", "provenance", "companion"]


@given(
    changes=st.dictionaries(
        st.sampled_from([*FIELDS, "weights", "weights_sha256"]), JSON, min_size=1, max_size=2
    ),
    options=st.dictionaries(
        st.sampled_from(list(CONFIGURATION.__dict__)) | ANY_TEXT, JSON, max_size=2
    ),
)
def test_any_values_are_a_description_or_refused(
    changes: dict[str, Any], options: dict[str, Any], saved: Saved
) -> None:
    path, description, weights = saved
    configuration = description["configuration"] | options
    whole = json.loads(described(description | {"configuration": configuration}, weights))
    check_classifier(path, json.dumps(whole).encode(), weights)
    check_classifier(path, json.dumps(whole | changes).encode(), weights)


@given(
    vocabulary=st.lists(st.sampled_from(TOKENS) | JSON, max_size=4),
    labels=st.lists(JSON, max_size=3),
)
def test_any_vocabulary_is_read_or_refused(
    vocabulary: list[Any], labels: list[Any], saved: Saved
) -> None:
    path, description, weights = saved
    changes = {"vocabulary": vocabulary, "labels": labels}
    check_classifier(path, described(description | changes, weights), weights)


@given(changes=CHANGES, end=st.just(0) | st.integers(0, 100))
def test_damaged_weights_are_read_or_refused(
    changes: list[tuple[int, int]], end: int, saved: Saved
) -> None:
    path, description, weights = saved
    damaged = changed(weights, changes, end)
    check_classifier(path, described(description, damaged), damaged)


@given(
    changes=st.dictionaries(
        st.sampled_from(["head.bias", "head.weight", "embedding.weight", "__metadata__", "x"]),
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "F64", "F16", "I64", "BOOL", "F4", "C64"]) | JSON,
                "shape": st.lists(st.integers(-1, 2**64), max_size=3) | JSON,
                "data_offsets": st.lists(st.integers(0, 2**64), max_size=3) | JSON,
            }
        )
        | JSON,
    ),
    length=st.none() | st.integers(0, 2**64 - 1),
)
def test_any_header_of_weights_is_read_or_refused(
    changes: dict[str, Any], length: int | None, saved: Saved
) -> None:
    path, description, weights = saved
    end = 8 + int.from_bytes(weights[:8], "little")
    header = json.dumps(json.loads(weights[8:end]) | changes).encode()
    size = len(header) if length is None else length
    crafted = size.to_bytes(8, "little") + header + weights[end:]
    check_classifier(path, described(description, crafted), crafted)


@given(value=st.sampled_from([math.nan, math.inf, -math.inf]), place=st.integers(0, 1000))
def test_weights_that_are_no_numbers_are_refused(value: float, place: int, saved: Saved) -> None:
    path, description, weights = saved
    end = 8 + int.from_bytes(weights[:8], "little")
    start = end + 4 * (place % ((len(weights) - end) // 4))
    crafted = weights[:start] + struct.pack("<f", value) + weights[start + 4 :]
    shutil.rmtree(path)
    path.mkdir()
    digest = hashlib.sha256(crafted).hexdigest()
    (path / f"weights-{digest[:16]}.safetensors").write_bytes(crafted)
    (path / "classifier.json").write_bytes(described(description, crafted))
    with pytest.raises(CompanionError, match="no finite numbers"):
        load_classifier(path, device="cpu")
