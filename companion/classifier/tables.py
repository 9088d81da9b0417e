"""Table files, read a row at a time: CSV, TSV, JSON Lines and Parquet.

Explained in :doc:`/project/data`. The files may come from anybody, so every size is checked before
memory is taken for it (:class:`companion.safety.Limits`), and whatever cannot be read is a
:class:`~companion.errors.DataError` that names the line or the row.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from companion.classifier.text import is_encodable
from companion.errors import CompanionError, DataError, MissingPackageError
from companion.safety import LIMITS, for_terminal

__all__ = ["Row", "iterate_table", "require_columns", "row_characters"]

Row = tuple[object, ...]

_ROWS_A_CHUNK = 10_000
_CHARACTERS_A_CHUNK = 16_000_000
_CHARACTERS_BESIDES = 64  # what an empty text takes in memory
_COLUMNS_NAMED = 20
_ROWS_A_BATCH = 100  # few: only when a text is decompressed is its length known
_LONE_RETURN = re.compile(r"(?<=\r)(?!\n)")


def iterate_table(path: str | Path, columns: Sequence[str]) -> Iterator[list[Row]]:
    """Read some columns of a table file, a part of the rows at a time.

    Args:
        path: The file; its ending says its format (``.csv``, ``.tsv``, ``.jsonl``, ``.parquet``).
        columns: The names of the columns.

    Yields:
        Rows, each with the values of the columns: at most 10,000 rows, and fewer where they are
        long. A value that is missing is None.

    Raises:
        DataError: If the file, a column or a row cannot be used. The message names the line, or the
            row, counted from 1 after the header.
        MissingPackageError: If a Parquet file is read without pyarrow.
    """
    path = Path(path)
    _require_file(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        hint = "decompress it first, or " if path.suffix.lower() in _COMPRESSED else ""
        raise DataError(
            f"{path}: the ending {path.suffix!r} is not known; "
            f"{hint}use one of {', '.join(_READERS)}"
        )
    is_empty = True
    try:
        for chunk in _chunks(reader(path, columns)):
            is_empty = False
            yield chunk
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if is_empty:
        raise DataError(
            f"{path}: there is a header and no row below it; add a row for each document"
        )


def require_columns(known: Iterable[object], columns: Sequence[str], source: str) -> None:
    """Raise a :class:`~companion.errors.DataError` if a column is missing, and name the others."""
    names = list(known)
    missing = [column for column in columns if column not in names]
    if missing:
        more = ", …" if len(names) > _COLUMNS_NAMED else ""
        raise DataError(
            f"{source}: no column {', '.join(map(repr, missing))}; the columns are "
            f"{', '.join(repr(str(name)[:60]) for name in names[:_COLUMNS_NAMED])}{more}. "
            "Choose with --text and --label"
        )


def _require_file(path: Path) -> None:
    """Refuse what is no regular file: reading a device or a pipe may never end."""
    try:
        is_file, is_empty = path.is_file(), path.is_file() and path.stat().st_size == 0
        kind = "is a folder" if path.is_dir() else "is no file" if path.exists() else "no such file"
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not is_file:
        raise DataError(f"{path}: {kind}; give the path of a table")
    if is_empty:
        raise DataError(_empty(path))


def _empty(path: Path) -> str:
    return f"{path}: the file is empty; it needs a header and a row for each document"


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Put rows together until they are many, or long."""
    chunk: list[Row] = []
    characters = 0
    for row in rows:
        chunk.append(row)
        characters += row_characters(row)
        if len(chunk) == _ROWS_A_CHUNK or characters > _CHARACTERS_A_CHUNK:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def row_characters(row: Row) -> int:
    """Estimate what a row takes in memory, in characters."""
    return sum(_CHARACTERS_BESIDES + (len(value) if isinstance(value, str) else 0) for value in row)


def _lines(path: Path) -> Iterator[str]:
    """Read the lines of a UTF-8 file with their ends, and refuse one that is too long."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LIMITS.row_bytes + 1):
            number += 1
            if len(line) > LIMITS.row_bytes:
                raise DataError(_too_long(path, number))
            yield _decode(line, path, number)


def _decode(line: bytes, path: Path, number: int) -> str:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number}: the byte 0x{error.object[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8, for example with iconv --from-code=latin1 --to-code=utf-8"
        ) from error
    if "\0" in text:
        raise DataError(f"{path}, line {number}: a zero byte; this is no text file, or not UTF-8")
    return text


def _too_long(path: Path, line: int) -> str:
    return (
        f"{path}, line {line}: not a proper table: a row of more than {LIMITS.row_bytes:,} bytes; "
        "close its quotes, shorten it, or raise companion.safety.LIMITS.row_bytes"
    )


def _too_wide(path: Path, columns: int) -> str:
    return (
        f"{path}: {columns:,} columns; remove those that are not needed, "
        "or raise companion.safety.LIMITS.columns"
    )


class _Records:
    """The records of a CSV or TSV file, and the line at which the latest one starts."""

    def __init__(self, path: Path) -> None:
        # The limit of the csv module is one for the whole process. It is raised and never lowered;
        # ours is smaller than it and holds earlier.
        csv.field_size_limit(max(csv.field_size_limit(), LIMITS.row_bytes))
        self.path = path
        self.line = 0
        self._next_line = 1
        self._bytes = 0
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        self._reader = csv.reader(self._feed(), delimiter=separator, strict=True)

    def __iter__(self) -> Iterator[list[str]]:
        while True:
            self.line, self._bytes = self._next_line, 0
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(
                    f"{self.path}, line {self.line}: not a proper table: {error}; "
                    "quote texts that hold the separator, and double the quotes inside them"
                ) from error
            if cells and (len(cells) > 1 or not cells[0].isspace()):
                yield cells

    def _feed(self) -> Iterator[str]:
        for line in _lines(self.path):
            self._next_line += 1
            for part in _LONE_RETURN.split(line) if "\r" in line else [line]:
                self._bytes += len(part)
                if self._bytes > LIMITS.row_bytes:
                    raise DataError(_too_long(self.path, self.line))
                if part:
                    yield part


def _csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    records = _Records(path)
    cells = iter(records)
    header = next(cells, None)
    if header is None:
        raise DataError(_empty(path))
    if len(header) > LIMITS.columns:
        raise DataError(_too_wide(path, len(header)))
    require_columns(header, columns, str(path))
    _require_single(header, columns, path)
    places = [header.index(column) for column in columns]
    for row in cells:
        if len(row) > len(header):
            raise DataError(
                f"{path}, line {records.line}: not a proper table: {len(row):,} fields, and the "
                f"header has {len(header)}; quote texts that hold the separator"
            )
        yield tuple(row[place] if place < len(row) else None for place in places)


def _require_single(known: Sequence[str], columns: Sequence[str], path: Path) -> None:
    for column in columns:
        if known.count(column) > 1:
            raise DataError(
                f"{path}: the column {column!r} stands there {known.count(column)} times; "
                "give each column a name of its own"
            )


def _json_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    known: dict[str, None] = {}
    row = 0
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        value = _json_object(line, f"{path}, line {number}")
        row += 1
        if row <= _ROWS_A_CHUNK:
            known.update(dict.fromkeys(value))
        if row == _ROWS_A_CHUNK:
            require_columns(known, columns, str(path))
        yield tuple(value.get(column) for column in columns)
    if row:
        require_columns(known, columns, str(path))


def _json_object(line: str, place: str) -> dict[str, object]:
    try:
        value = json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error}); write one object a line") from error
    if not isinstance(value, dict):
        raise DataError(f"{place}: {type(value).__name__} is no object; write one object a line")
    if not all(is_encodable(text) for text in value.values() if isinstance(text, str)):
        raise DataError(
            f"{place}: a text holds half of a surrogate pair (\\ud800 to \\udfff alone), which is "
            "no character; remove it"
        )
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value


def _parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError(f"{path}: Parquet needs pyarrow: pip install pyarrow") from error
    try:
        with parquet.ParquetFile(path) as file:
            _require_readable(file, columns, path)
        # As a dictionary, a text that stands in many rows takes its memory once.
        with parquet.ParquetFile(path, read_dictionary=list(columns)) as file:
            first = 1
            for batch in file.iter_batches(_ROWS_A_BATCH, columns=list(columns), use_threads=False):
                values = [_values(batch[column]) for column in columns]
                for number, row in enumerate(zip(*values, strict=True), start=first):
                    _require_short(row, f"{path}, row {number}")
                    yield row
                first += len(batch)
    except CompanionError:
        raise
    except Exception as error:  # a damaged file makes pyarrow raise a dozen kinds of error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{path}: not a Parquet file that can be read: {for_terminal(reason)[:200]}"
        ) from error


def _require_readable(file: Any, columns: Sequence[str], path: Path) -> None:
    """Check the columns, their types and the sizes, which stand at the end of a Parquet file."""
    names = file.schema_arrow.names
    if len(names) > LIMITS.columns:
        raise DataError(_too_wide(path, len(names)))
    require_columns(names, columns, str(path))
    _require_single(names, columns, path)
    for column in columns:
        _require_plain(file.schema_arrow.field(column), path)
    _require_small_groups(file, path)


def _require_plain(field: Any, path: Path) -> None:
    """Refuse a column of anything but texts and numbers."""
    from pyarrow import types

    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    plain = (
        types.is_string,
        types.is_large_string,
        types.is_string_view,
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_null,
    )
    if not any(is_of_type(kind) for is_of_type in plain):
        raise DataError(
            f"{path}: the column {field.name!r} is of type {str(kind)[:60]}; "
            "choose one of texts (or of whole numbers, for labels)"
        )


def _require_small_groups(file: Any, path: Path) -> None:
    """Refuse a row group that says that it decompresses to more than fits.

    The sizes of single columns would say it more exactly, but asking pyarrow for those of a damaged
    file ends the process.
    """
    for number in range(file.metadata.num_row_groups):
        size = file.metadata.row_group(number).total_byte_size
        if not 0 <= size <= LIMITS.row_group_bytes:
            raise DataError(
                f"{path}: row group {number + 1} holds {size:,} bytes when decompressed; write "
                "smaller row groups, or raise companion.safety.LIMITS.row_group_bytes"
            )


def _require_short(row: Row, place: str) -> None:
    for value in row:
        if isinstance(value, str) and len(value) > LIMITS.row_bytes:
            raise DataError(
                f"{place}: a text of {len(value):,} characters; shorten it, or raise "
                "companion.safety.LIMITS.row_bytes"
            )


def _values(array: Any) -> list[object]:
    if hasattr(array, "dictionary"):
        places = array.indices.to_pylist()
        values = {place: array.dictionary[place].as_py() for place in set(places) - {None}}
        return [values.get(place) for place in places]
    return list(array.to_pylist())


_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".jsonl": _json_rows,
    ".parquet": _parquet_rows,
}
