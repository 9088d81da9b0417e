"""One test a vector: a hostile file cannot run code, leave its folder, or take unbounded memory.

All are read in one process that may take 1 GB more than it has after its imports. A device or a
pipe would make it wait for ever, and it has a minute.
"""

import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from companion.classifier.checkpoint import read_description, save_classifier
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import read_table, read_texts
from companion.classifier.inference import TextClassifier
from companion.classifier.model import LSTMClassifier
from companion.classifier.text import Vocabulary, tokenize
from companion.errors import DataError
from companion.safety import LIMITS
from tests.safety.limited import outcome

MEGABYTES = 1000
GIGABYTE = 10**9

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="limits its memory as Linux does"
)


class Payload:
    """What a pickle would do to whoever loads it: leave a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def sparse(path: Path, start: bytes, size: int) -> None:
    """A file that is as long as we like and takes no room on the disk."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)


def bomb(path: Path) -> None:
    """1.1 GB in one row group, in a file of a few kilobytes."""
    texts = pa.chunked_array([pa.array(["a" * 10**8])] * 11)  # one text, and no copy of it
    table = pa.table({"text": texts, "label": ["x"] * 11})
    parquet.write_table(table, path, compression="zstd", use_dictionary=False)
    assert parquet.read_metadata(path).num_row_groups == 1
    assert path.stat().st_size < 10**6


def dictionary_bomb(path: Path) -> None:
    """A text of 8 MB that stands in 100,000 rows: 800 GB for whoever writes it out."""
    values = pa.DictionaryArray.from_arrays(
        pa.array([0] * 100_000, pa.int32()), ["word " * 1_600_000]
    )
    table = pa.table({"text": values, "label": pa.array(["x"] * 100_000)})
    parquet.write_table(table, path, compression="zstd", dictionary_pagesize_limit=10**8)
    assert path.stat().st_size < 10**6


def lying_bomb(path: Path) -> None:
    """The same, and the file says that it holds one byte."""
    honest = path.with_name("bomb.parquet")  # it takes seconds to write
    content = honest.read_bytes()
    size = parquet.read_metadata(honest).row_group(0).total_byte_size
    encoded = varint(size)
    assert content.count(encoded) >= 1
    path.write_bytes(content.replace(encoded, b"\x82" + b"\x80" * (len(encoded) - 2) + b"\0"))
    assert parquet.read_metadata(path).row_group(0).total_byte_size == 1


def varint(number: int) -> bytes:
    """A number as Parquet's metadata has it: zigzag, seven bits a byte, the lowest first."""
    rest, encoded = number * 2, b""
    while rest >= 128:
        rest, encoded = rest >> 7, encoded + bytes([rest & 127 | 128])
    return encoded + bytes([rest])


def abort(path: Path) -> None:
    """One byte: the column is not optional any more. Found by atheris; it ended the process."""
    sink = pa.BufferOutputStream()
    table = pa.table({"text": ["one"], "label": ["a"]})
    parquet.write_table(table, sink, compression="none", store_schema=False)
    content = sink.getvalue().to_pybytes()
    assert content.count(b"\x25\x02\x18\x04text") == 1
    path.write_bytes(content.replace(b"\x25\x02\x18\x04text", b"\x25\x00\x18\x04text"))


def extension(path: Path) -> None:
    """A column that says it is a pickled Python type, which pyarrow before 14 would load."""
    field = pa.field(
        "text",
        pa.string(),
        metadata={
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": pickle.dumps(Payload(path.parent / "trace")),
        },
    )
    table = pa.Table.from_arrays(
        [pa.array(["a"]), pa.array(["b"])],
        schema=pa.schema([field, pa.field("label", pa.string())]),
    )
    parquet.write_table(table, path)


TABLES: dict[str, tuple[Callable[[Path], object], str]] = {
    "gigabytes-in-a-field.csv": (
        lambda path: sparse(path, b'text,label\n"', 3 * GIGABYTE),
        "line 2: not a proper table: a row of more than 10,000,000 bytes",
    ),
    "gigabytes-in-a-header.csv": (
        lambda path: sparse(path, b"text", 3 * GIGABYTE),
        "line 1: not a proper table: a row of more than",
    ),
    "gigabytes-of-json.jsonl": (
        lambda path: sparse(path, b'{"text": "', 3 * GIGABYTE),
        "line 1: not a proper table: a row of more than",
    ),
    "quote-never-closed.csv": (
        lambda path: path.write_bytes(b'text,label\na,b\n"c,d\n' + b"line\n" * 2_500_000),
        "line 3: not a proper table: a row of more than",
    ),
    "open-quote.csv": (
        lambda path: path.write_bytes(b'text,label\na,b\n\n"c,d\nmore\n'),
        "line 4: not a proper table: unexpected end of data",
    ),
    "millions-of-columns.csv": (
        lambda path: path.write_bytes(b"c," * 3_000_000 + b"text,label\nx\n"),
        "3,000,002 columns; remove those",
    ),
    "millions-of-fields.csv": (
        lambda path: path.write_bytes(b"text,label\n" + b"," * 4_000_000),
        "line 2: not a proper table: 4,000,001 fields, and the header has 2",
    ),
    "zero-byte.csv": (
        lambda path: path.write_bytes(b"text,label\na,b\na\0,b\n"),
        "line 3: a zero byte",
    ),
    "mixed-encodings.csv": (
        lambda path: path.write_bytes("text,label\ncafé,b\n".encode() + b"caf\xe9,b\n"),
        "line 3: the byte 0xe9 is not UTF-8",
    ),
    "utf-16.csv": (
        lambda path: path.write_bytes("text,label\na,b\n".encode("utf-16")),
        "line 1: the byte 0xff is not UTF-8",
    ),
    "column-twice.csv": (
        lambda path: path.write_bytes(b"text,text,label\na,b,c\n"),
        "the column 'text' stands there 2 times",
    ),
    "only-line-ends.csv": (lambda path: path.write_bytes(b"\n" * 1000), "the file is empty"),
    "zeros.csv": (lambda path: path.symlink_to("/dev/zero"), "is no file"),
    "pipe.csv": (lambda path: os.mkfifo(path), "is no file"),
    "pipe.parquet": (lambda path: os.mkfifo(path), "is no file"),
    "folder.jsonl": (lambda path: path.mkdir(), "is a folder"),
    "loop.csv": (lambda path: path.symlink_to(path), "no such file"),
    "compressed.csv.gz": (
        lambda path: path.write_bytes(b"\x1f\x8b"),
        "the ending '.gz' is not known; decompress it first, or use one of .csv",
    ),
    "pickle.parquet": (
        lambda path: path.write_bytes(pickle.dumps(Payload(path.parent / "trace"))),
        "not a Parquet file",
    ),
    "pickle.csv": (
        lambda path: path.write_bytes(pickle.dumps(Payload(path.parent / "trace"))),
        "line 1: the byte 0x80 is not UTF-8",
    ),
    "pickle.pkl": (
        lambda path: path.write_bytes(pickle.dumps(Payload(path.parent / "trace"))),
        "the ending '.pkl' is not known; use one of",
    ),
    "bomb.parquet": (bomb, "row group 1 holds 1,100,00"),
    "lying-bomb.parquet": (lying_bomb, "row 1: a text of 100,000,000 characters"),
    "abort.parquet": (abort, "not a Parquet file that can be read: Definition level histogram"),
    # Found by atheris: asking pyarrow for a dictionary of a column that is not there is a KeyError.
    "column-renamed.parquet": (
        lambda path: parquet.write_table(pa.table({"text": ["a"], "l\x9f\x98el": ["b"]}), path),
        "no column 'label'; the columns are 'text', 'l\\x9f\\x98el'",
    ),
    "many-columns.parquet": (
        lambda path: parquet.write_table(pa.table({f"c{n}": [1] for n in range(10_001)}), path),
        "10,001 columns; remove those",
    ),
    "long-text.parquet": (
        lambda path: parquet.write_table(pa.table({"text": ["a" * 10_000_001]}), path),
        "row 1: a text of 10,000,001 characters",
    ),
    "dictionary-bomb.parquet": (dictionary_bomb, "takes more than 4,294,967,296 bytes in memory"),
    "extension.parquet": (extension, ""),
    "deep.jsonl": (lambda path: path.write_bytes(b'{"a":' * 1_000_000), "line 1: not JSON"),
    "wide.jsonl": (
        lambda path: path.write_bytes(b'{"text": [' + b"{}," * 3_000_000 + b"{}]}"),
        "row 1: not a text",
    ),
    "digits.jsonl": (
        lambda path: path.write_bytes(b'{"text": "a", "label": 1' + b"0" * 5000 + b"}"),
        "line 1: not JSON (Exceeds the limit",
    ),
    "infinite.jsonl": (
        lambda path: path.write_bytes(b'{"text": "a", "label": 1e999}'),
        "row 1: the label is neither a text nor a whole number",
    ),
    "enormous.jsonl": (
        lambda path: path.write_bytes(b'{"text": "a", "label": 1e300}'),
        "row 1: the label is neither a text nor a whole number",
    ),
    "key-twice.jsonl": (
        lambda path: path.write_bytes(b'{"text": "a", "text": "b", "label": "c"}'),
        "line 1: not JSON (a key stands twice in one object)",
    ),
    "half-a-pair.jsonl": (
        lambda path: path.write_bytes(b'{"text": "\\ud83d", "label": "c"}'),
        "line 1: a text holds half of a surrogate pair",
    ),
    "constructor.jsonl": (
        lambda path: path.write_bytes(b'{"py/object": "os.system", "text": "a"}'),
        "no column 'label'; the columns are 'py/object', 'text'",
    ),
}

CONFIGURATION = Configuration(embedding_size=2, hidden_size=2, bidirectional=False)


class Model:
    """A saved classifier to be spoilt."""

    def __init__(self, folder: Path) -> None:
        network = LSTMClassifier(3, 2, CONFIGURATION)
        vocabulary = Vocabulary(["<pad>", "<unk>", "word"])
        save_classifier(TextClassifier(network, vocabulary, ["a", "b"], CONFIGURATION), folder)
        self.folder = folder
        self.json = folder / "classifier.json"
        self.description = read_description(folder)
        self.path = folder / self.description["weights"]
        self.weights = self.path.read_bytes()
        self.start = 8 + int.from_bytes(self.weights[:8], "little")
        self.header: dict[str, Any] = json.loads(self.weights[8 : self.start])

    def describe(self, **changes: object) -> None:
        self.json.write_text(json.dumps(self.description | changes))

    def configure(self, **changes: object) -> None:
        self.describe(configuration=self.description["configuration"] | changes)

    def replace(self, weights: bytes) -> None:
        """Put other weights in, under a checksum that is right."""
        digest = hashlib.sha256(weights).hexdigest()
        name = f"weights-{digest[:16]}.safetensors"
        self.path.unlink()
        (self.folder / name).write_bytes(weights)
        self.describe(weights=name, weights_sha256=digest)

    def head(self, **changes: object) -> None:
        """Change what the header says of one tensor."""
        self.write_header(self.header | {"head.bias": self.header["head.bias"] | changes})

    def write_header(self, header: object) -> None:
        text = json.dumps(header).encode()
        self.replace(len(text).to_bytes(8, "little") + text + self.weights[self.start :])

    def move_out(self, path: Path) -> None:
        outside = self.folder.with_name(f"{self.folder.name}-{path.name}")
        path.rename(outside)
        path.symlink_to(outside)


def enormous_sparse(model: Model) -> None:
    sparse(model.path, model.weights, 100 * GIGABYTE)


def large_and_sparse(model: Model) -> None:
    """Sizes that the configuration allows, and weights that are there, and take no room."""
    model.configure(hidden_size=8192, layers=16)
    sparse(model.path, model.weights, 40 * GIGABYTE)


def replaced_by(make: Callable[[Path], object], path: Path) -> None:
    path.unlink()
    make(path)


MODELS: dict[str, tuple[Callable[[Model], object], str]] = {
    "untouched": (lambda model: None, ""),
    "header-length": (
        lambda model: model.replace((2**63).to_bytes(8, "little") + model.weights[8:]),
        "the header is too long",
    ),
    "header-beyond-end": (
        lambda model: model.replace((900_000).to_bytes(8, "little") + model.weights[8:]),
        "not a safetensors file",
    ),
    "header-deep": (
        lambda model: model.replace((500_000).to_bytes(8, "little") + b"[" * 500_000),
        "not a safetensors file",
    ),
    "header-list": (lambda model: model.write_header([]), "the header is no list of tensors"),
    "shape-gigantic": (lambda model: model.head(shape=[2**62, 2]), "do not fit"),
    "shape-negative": (lambda model: model.head(shape=[-2]), "do not fit"),
    "shape-of-text": (lambda model: model.head(shape="2"), "do not fit"),
    "type-wrong": (lambda model: model.head(dtype="F64"), "do not fit"),
    "type-unknown": (lambda model: model.head(dtype="PICKLE"), "do not fit"),
    "offsets-huge": (
        lambda model: model.head(data_offsets=[0, 2**63]),
        "not a safetensors file",
    ),
    "offsets-overlap": (
        lambda model: model.head(data_offsets=model.header["embedding.weight"]["data_offsets"]),
        "not a safetensors file",
    ),
    "tensor-more": (
        lambda model: model.write_header(model.header | {"x": model.header["head.bias"]}),
        "do not fit",
    ),
    "tensor-less": (
        lambda model: model.write_header({"head.bias": model.header["head.bias"]}),
        "do not fit",
    ),
    "not-a-number": (
        lambda model: model.replace(model.weights[:-4] + struct.pack("<f", float("nan"))),
        "some weights are no finite numbers",
    ),
    "pickle-as-weights": (
        lambda model: model.replace(pickle.dumps(Payload(model.folder.parent / "trace"))),
        "not a safetensors file",
    ),
    "weights-of-100-gigabytes": (enormous_sparse, "do not fit"),
    "weights-of-40-gigabytes": (large_and_sparse, "raise companion.safety.LIMITS.weights_bytes"),
    "weights-a-pipe": (lambda model: replaced_by(os.mkfifo, model.path), "is no file"),
    "weights-linked-out": (
        lambda model: model.move_out(model.path),
        "a link that leaves its folder",
    ),
    "weights-linked-to-zeros": (
        lambda model: replaced_by(lambda path: path.symlink_to("/dev/zero"), model.path),
        "a link that leaves its folder",
    ),
    "weights-linked-to-themselves": (
        lambda model: replaced_by(lambda path: path.symlink_to(path), model.path),
        "cannot be read",
    ),
    "weights-above": (lambda model: model.describe(weights="../x"), "damaged at weights"),
    "weights-absolute": (lambda model: model.describe(weights="/etc/passwd"), "damaged at weights"),
    "json-linked-out": (
        lambda model: model.move_out(model.json),
        "a link that leaves its folder",
    ),
    "json-a-pipe": (lambda model: replaced_by(os.mkfifo, model.json), "no saved classifier"),
    "json-of-5-gigabytes": (
        lambda model: sparse(model.json, b'{"format": "', 5 * GIGABYTE),
        "longer than 16,777,216 bytes; if you trust it, raise",
    ),
    "json-wide": (
        lambda model: model.json.write_bytes(b"[" + b"{}," * 5_500_000 + b"{}]"),
        "not written by this package",
    ),
    "json-deep": (lambda model: model.json.write_bytes(b'{"a":' * 1_000_000), "damaged"),
    "json-of-digits": (lambda model: model.json.write_bytes(b"1" * 5000), "Exceeds the limit"),
    "json-not-utf-8": (lambda model: model.json.write_bytes(b"\xff"), "damaged"),
    "version-of-text": (
        lambda model: model.describe(format_version="\x1b]0;owned\x07" * 1000),
        "format version \\x1b]0;owned\\x07",
    ),
    "version-true": (lambda model: model.describe(format_version=True), "format version True"),
    "option-steers": (
        lambda model: model.configure(**{"\x1b[2J\u202e": 1}),
        "\\x1b[2J\\u202e",
    ),
    "option-path": (lambda model: model.configure(pooling="../../x"), "choose one of last"),
    "hidden-beyond": (lambda model: model.configure(hidden_size=2**62), "hidden_size"),
    "vocabulary-of-numbers": (
        lambda model: model.describe(vocabulary=["<pad>", "<unk>", 7]),
        "a token of the vocabulary is no text",
    ),
    "vocabulary-of-lists": (
        lambda model: model.describe(vocabulary=["<pad>", "<unk>", []]),
        "a token of the vocabulary is no text",
    ),
    "vocabulary-huge": (
        lambda model: model.describe(vocabulary=["<pad>", "<unk>", *map(str, range(1_000_000))]),
        "do not fit",
    ),
    "vocabulary-twice": (
        lambda model: model.describe(vocabulary=["<pad>", "<unk>", "<unk>"]),
        "names every token once",
    ),
    "labels-of-objects": (
        lambda model: model.describe(labels=["a", {"__reduce__": "os.system"}]),
        "a label is no text",
    ),
    "labels-twice": (lambda model: model.describe(labels=["a", "a"]), "a label stands there twice"),
    "labels-half-a-pair": (
        lambda model: model.describe(labels=["a", "\ud83d"]),
        "a label is no text",
    ),
}

# Those that take seconds to read are read once, under the limit of memory.
EXPENSIVE = {
    "dictionary-bomb.parquet",
    "json-wide",
    "lying-bomb.parquet",
    "quote-never-closed.csv",
    "vocabulary-huge",
    "wide.jsonl",
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for name, (make, _) in TABLES.items():
        make(folder / name)
    for name, (spoil, _) in MODELS.items():
        spoil(Model(folder / name))
    return folder


@pytest.fixture(scope="module")
def outcomes(hostile: Path) -> dict[str, dict[str, Any]]:
    paths = [str(hostile / name) for name in [*TABLES, *MODELS]]
    done = subprocess.run(
        [sys.executable, "-m", "tests.safety.limited", str(MEGABYTES)],
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", [*TABLES, *MODELS])
def test_a_hostile_file_is_refused(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    message = {**TABLES, **MODELS}[name][1]
    answer = outcomes[name]["outcome"]
    if not message:
        assert answer == "read"
        return
    assert answer.startswith("DataError" if name in TABLES else "CheckpointError")
    assert message in answer
    assert answer.isprintable()
    assert len(answer) < 1000
    assert outcomes[name]["seconds"] < 20


@pytest.mark.parametrize("name", [name for name in [*TABLES, *MODELS] if name not in EXPENSIVE])
def test_it_is_refused_in_this_process_too(
    name: str, hostile: Path, outcomes: dict[str, dict[str, Any]]
) -> None:
    """Safetensors names one of several faults, not always the same; our words stay."""
    message = {**TABLES, **MODELS}[name][1]
    answer = outcome(hostile / name)
    assert message in answer
    assert answer.partition(":")[0] == outcomes[name]["outcome"].partition(":")[0]


def test_nothing_was_run(hostile: Path, outcomes: dict[str, dict[str, Any]]) -> None:
    assert not (hostile / "trace").exists()
    assert len(outcomes) == len(TABLES) + len(MODELS)


def test_the_payload_of_these_tests_would_run(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "trace")))  # noqa: S301
    assert (tmp_path / "trace").exists()


def test_combining_marks_take_no_time_that_grows_with_their_square() -> None:
    """Two million marks in a row; NFKC alone would take more than half an hour."""
    program = (
        "from companion.classifier.text import tokenize; "
        "print(len(tokenize('a' + '\\u0315\\u0300' * 1_000_000 + ' b')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "2"


def test_thirty_marks_stay_and_short_texts_are_untouched() -> None:
    marks = "\u0300\u0315" * 15
    long = "word " * 300
    assert len(tokenize(long + "x" + marks)[-1]) == 31
    assert tokenize(long + "x" + marks + "\u0300") == tokenize(long + "x" + marks)
    assert len(tokenize("x" + marks + "\u0300")[-1]) == 32


def test_limits_are_there_to_be_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_text("text,label\nhello world,a\nsecond,b\n")
    row = len("hello world,a\n")
    monkeypatch.setattr(LIMITS, "row_bytes", row)
    assert read_texts(path) == ["hello world", "second"]
    monkeypatch.setattr(LIMITS, "row_bytes", row - 1)
    with pytest.raises(DataError, match=r"line 2: .* more than 13 bytes; .*LIMITS.row_bytes"):
        read_texts(path)
    monkeypatch.undo()
    monkeypatch.setattr(LIMITS, "columns", 2)
    assert len(read_table(path)) == 2
    monkeypatch.setattr(LIMITS, "columns", 1)
    with pytest.raises(DataError, match=r"2 columns; .*LIMITS.columns"):
        read_table(path)
    monkeypatch.undo()
    parquet.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "table.parquet")
    monkeypatch.setattr(LIMITS, "row_group_bytes", 50)
    with pytest.raises(DataError, match=r"row group 1 holds \d+ bytes.*LIMITS.row_group_bytes"):
        read_texts(tmp_path / "table.parquet")
    monkeypatch.undo()
    monkeypatch.setattr(LIMITS, "table_bytes", 145)
    assert read_texts(path) == ["hello world", "second"]
    monkeypatch.setattr(LIMITS, "table_bytes", 144)
    with pytest.raises(DataError, match=r"more than 144 bytes in memory; .*LIMITS.table_bytes"):
        read_texts(path)
