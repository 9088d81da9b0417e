"""A corpus of any size as files of token ids, written a part at a time, by several processes.

Explained in :doc:`/project/scale`. The corpus is read twice: once to count its tokens, which gives
the vocabulary and the sizes of the files, and once to write the ids. Memory holds a few parts, the
counts, and eight bytes a document. Nothing here needs torch, so that a helper process starts fast.
"""

import functools
import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.corpus import iterate_corpus
from companion.classifier.text import Vocabulary, tokenize
from companion.errors import DataError, OutputError
from companion.files import write_atomically

__all__ = ["DESCRIPTION", "LABELS", "OFFSETS", "PARTS", "TOKEN_IDS", "encode_corpus"]

TOKEN_IDS, OFFSETS, LABELS = "token_ids.npy", "offsets.npy", "labels.npy"
DESCRIPTION = "corpus.json"
PARTS = ("training", "validation")


def encode_corpus(
    source: str | Path,
    directory: str | Path,
    configuration: Configuration = CONFIGURATIONS["recommended"],
    *,
    text: str = "text",
    label: str = "label",
    validation_fraction: float = 0.05,
    processes: int = 1,
    progress: bool = True,
) -> Path:
    """Turn a corpus into token ids on disk, for :func:`companion.classifier.training.train_tables`.

    Documents are drawn for validation one by one, and duplicates are not removed: neither would be
    possible without holding the corpus.

    Args:
        source: A table file, or the name of a data set on the hub; see
            :func:`companion.classifier.corpus.iterate_corpus`.
        directory: A new or empty folder. It holds a corpus once ``corpus.json`` is in it.
        configuration: Its sizes of the vocabulary and of a document count, and its seed.
        text: The column of the text, or several, joined by commas.
        label: The column of the label.
        validation_fraction: The share of the documents that is held out.
        processes: How many tokenise.
        progress: Whether to draw a progress bar in a terminal.

    Returns:
        The folder.

    Raises:
        DataError: If the source cannot be used, or changes between the two passes.
        OutputError: If the folder is not empty or cannot be written.
    """
    if not 0 < validation_fraction < 1:
        raise DataError(
            f"validation_fraction is {validation_fraction}; choose a number between 0 and 1"
        )
    if processes < 1:
        raise DataError(f"processes is {processes}; choose a whole number from 1")
    directory = _empty_folder(directory)
    read = functools.partial(_parts, source, text, label, validation_fraction, configuration.seed)
    counter = _Counter(configuration.maximum_words)
    tokens, found, lengths = _count(read(), counter, processes, progress)
    labels = sorted(found)
    vocabulary = Vocabulary.of_counts(
        list(tokens),
        np.fromiter(tokens.values(), np.int64, len(tokens)),
        minimum_count=configuration.minimum_count,
        maximum_size=configuration.maximum_vocabulary,
    )
    del tokens
    numbers = {name: number for number, name in enumerate(labels)}
    encoder = _Encoder(vocabulary, numbers, configuration.maximum_words)
    files = {name: _Files(directory / name, lengths[name]) for name in PARTS}
    for part in _work(encoder, read(), processes, "encoding", progress):
        files[part.name].write(part)
    if not all(each.is_full() for each in files.values()):
        raise DataError(f"{source}: changed while it was read; encode it again")
    description = {"source": str(source), "labels": labels, "vocabulary": vocabulary.tokens}
    text_of_it = json.dumps(description, ensure_ascii=False)
    write_atomically(directory / DESCRIPTION, text_of_it.encode("utf-8"))
    return directory


@dataclass(frozen=True)
class _Part:
    """Some documents of the corpus, of the training or of the validation."""

    name: str
    texts: list[str]
    labels: list[str]


@dataclass(frozen=True)
class _Counted:
    """What the first pass finds in a part."""

    name: str
    tokens: Counter[str]
    labels: set[str]
    lengths: NDArray[np.int32]


@dataclass(frozen=True)
class _Encoded:
    """What the second pass makes of a part."""

    name: str
    token_ids: NDArray[np.int32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class _Counter:
    """The work of the first pass."""

    maximum_words: int

    def __call__(self, part: _Part) -> _Counted:
        documents = [tokenize(text) for text in part.texts]
        lengths = [min(len(document), self.maximum_words) for document in documents]
        counts = Counter(token for document in documents for token in document)
        return _Counted(part.name, counts, set(part.labels), np.array(lengths, dtype=np.int32))


@dataclass(frozen=True)
class _Encoder:
    """The work of the second pass."""

    vocabulary: Vocabulary
    labels: dict[str, int]
    maximum_words: int

    def __call__(self, part: _Part) -> _Encoded:
        encoded = [
            self.vocabulary.encode(tokenize(text)[: self.maximum_words]) for text in part.texts
        ]
        return _Encoded(
            part.name,
            np.fromiter((each for ids in encoded for each in ids), dtype=np.int32),
            np.array([self.labels[label] for label in part.labels], dtype=np.int64),
        )


class _Files:
    """The three files of a part, filled from the front."""

    def __init__(self, directory: Path, lengths: NDArray[np.int32]) -> None:
        directory.mkdir()
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        np.save(directory / OFFSETS, offsets)
        self.token_ids = np.lib.format.open_memmap(
            directory / TOKEN_IDS, mode="w+", dtype=np.int32, shape=(int(offsets[-1]),)
        )
        self.labels = np.lib.format.open_memmap(
            directory / LABELS, mode="w+", dtype=np.int64, shape=(len(lengths),)
        )
        self.tokens = self.documents = 0

    def write(self, part: _Encoded) -> None:
        """Append a part; what does not fit is counted, and found by :meth:`is_full`."""
        room = max(0, len(self.token_ids) - self.tokens), max(0, len(self.labels) - self.documents)
        self.token_ids[self.tokens :][: len(part.token_ids)] = part.token_ids[: room[0]]
        self.labels[self.documents :][: len(part.labels)] = part.labels[: room[1]]
        self.tokens += len(part.token_ids)
        self.documents += len(part.labels)

    def is_full(self) -> bool:
        """Say whether as much was written as was counted, and bring it to the disk."""
        self.token_ids.flush()
        self.labels.flush()
        return (self.tokens, self.documents) == (len(self.token_ids), len(self.labels))


def _count(
    parts: Iterable[_Part], work: _Counter, processes: int, progress: bool
) -> tuple[Counter[str], set[str], dict[str, NDArray[np.int32]]]:
    """Count the tokens of the training documents, their classes, and the lengths of all documents.

    Raises:
        DataError: If a class of the validation documents is not in training, or there are fewer
            than two.
    """
    tokens = Counter[str]()
    labels: dict[str, set[str]] = {name: set() for name in PARTS}
    lengths: dict[str, list[NDArray[np.int32]]] = {name: [] for name in PARTS}
    for counted in _work(work, parts, processes, "counting", progress):
        if counted.name == "training":
            tokens.update(counted.tokens)
        labels[counted.name] |= counted.labels
        lengths[counted.name].append(counted.lengths)
    if len(labels["training"]) < 2 or not lengths["validation"]:
        raise DataError(
            "the corpus has fewer than two classes, or too few documents to hold some out; "
            "a small corpus needs no table: companion train --data"
        )
    if rare := sorted(labels["validation"] - labels["training"]):
        raise DataError(f"the class {rare[0]!r} has too few documents; add some or remove it")
    return tokens, labels["training"], {name: np.concatenate(lengths[name]) for name in PARTS}


def _parts(
    source: str | Path, text: str, label: str, validation_fraction: float, seed: int
) -> Iterator[_Part]:
    """Read the corpus, and draw for each document whether it is held out: the same in each pass."""
    generator = np.random.default_rng(seed)
    for frame in iterate_corpus(source, text=text, label=label):
        held_out = generator.random(len(frame)) < validation_fraction
        for name, rows in (("training", frame[~held_out]), ("validation", frame[held_out])):
            if len(rows):
                yield _Part(name, rows["text"].tolist(), rows["label"].tolist())


def _work(
    work: Callable[[_Part], Any], parts: Iterable[_Part], processes: int, title: str, progress: bool
) -> Iterator[Any]:
    """Do the work for each part, in order; with several processes they take turns."""
    with tqdm(desc=title, unit="document", disable=None if progress else True) as bar:
        if processes == 1:
            results = map(work, parts)
            yield from _counting(results, bar)
            return
        context = multiprocessing.get_context("spawn")
        with context.Pool(processes, _take_work, (work,)) as pool:
            # imap reads on only as fast as the workers take parts: their pipe is short.
            yield from _counting(pool.imap(_do_work, parts), bar)


def _counting(results: Iterable[Any], bar: "tqdm[Any]") -> Iterator[Any]:
    for result in results:
        yield result
        bar.update(len(result.lengths if isinstance(result, _Counted) else result.labels))


_given: list[Callable[[_Part], Any]] = []  # in a helper process: its work, sent once


def _take_work(work: Callable[[_Part], Any]) -> None:
    _given.append(work)


def _do_work(part: _Part) -> Any:
    return _given[-1](part)


def _empty_folder(directory: str | Path) -> Path:
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise OutputError(f"{directory}: is not empty; choose a new folder")
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{directory}: cannot be used ({error.strerror})") from error
    return directory
