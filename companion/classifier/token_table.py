"""All documents as two flat arrays: the token ids in a row, and where each document starts.

Explained in :doc:`/project/scale`. A list of lists takes several times the memory and cannot be
moved to a GPU. The two arrays can lie in memory, on a GPU, or in files that are mapped: then only
what is read comes into memory, and the operating system lets it go again when others need the room.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from companion.classifier.batches import BATCHES_A_BLOCK, Batch, spans_by_length
from companion.classifier.text import PADDING_ID, Vocabulary
from companion.classifier.token_files import DESCRIPTION, LABELS, OFFSETS, PARTS, TOKEN_IDS
from companion.errors import DataError, EmptyDocumentError

__all__ = ["EncodedCorpus", "LabelledTable", "TokenTable"]


@dataclass(frozen=True)
class TokenTable:
    """Documents as token ids.

    Attributes:
        token_ids: ``(tokens,)`` int32, document after document.
        offsets: ``(documents + 1,)`` int64: document ``i`` begins at ``offsets[i]`` and ends before
            ``offsets[i + 1]``.
    """

    token_ids: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, documents: Sequence[Sequence[int]]) -> "TokenTable":
        """Copy documents into a table.

        Raises:
            EmptyDocumentError: If a document has no token.

        >>> table = TokenTable.of([[5, 6, 7], [8]])
        >>> table.token_ids.tolist(), table.offsets.tolist()
        ([5, 6, 7, 8], [0, 3, 4])
        """
        lengths = np.fromiter(map(len, documents), np.int64, len(documents))
        if not lengths.all():
            raise EmptyDocumentError(f"document {int(lengths.argmin()) + 1} has no token")
        offsets = np.concatenate([[0], lengths.cumsum()])
        flat = (token_id for document in documents for token_id in document)
        token_ids = np.fromiter(flat, np.int32, int(offsets[-1]))
        return cls(torch.from_numpy(token_ids), torch.from_numpy(offsets))

    @classmethod
    def open(cls, directory: str | Path) -> "TokenTable":
        """Map the files of a table; nothing is read before it is used.

        Raises:
            DataError: If the folder holds no whole table.
        """
        directory = Path(directory)
        # Copy on write: torch wants to be allowed to write, and the files stay as they are.
        token_ids = _load(directory / TOKEN_IDS, mmap_mode="c")
        offsets = _load(directory / OFFSETS)
        if (
            token_ids.dtype != np.int32
            or offsets.dtype != np.int64
            or (token_ids.ndim, offsets.ndim) != (1, 1)
            or len(offsets) < 2
            or (offsets[0], offsets[-1]) != (0, len(token_ids))
            or not (np.diff(offsets) > 0).all()
        ):
            raise DataError(f"{directory}: a damaged table of tokens; make it again")
        return cls(torch.from_numpy(token_ids), torch.from_numpy(offsets))

    @cached_property
    def lengths(self) -> Tensor:
        """``(documents,)`` int64: the tokens of each document."""
        return self.offsets.diff()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        """Give the token ids of a document; of a table on a GPU they are copied."""
        part = self.token_ids[self.offsets[row] : self.offsets[row + 1]]
        return part.cpu().numpy()

    def to(self, device: torch.device) -> "TokenTable":
        """Move the whole table to a device; on the one where it is, nothing is copied."""
        return TokenTable(self.token_ids.to(device), self.offsets.to(device))

    def rectangle(self, starts: Tensor, lengths: Tensor, width: int) -> Tensor:
        """Gather runs of tokens into the rows of a rectangle, padded on the right.

        Args:
            starts: ``(batch,)`` int64, where each run begins in ``token_ids``.
            lengths: ``(batch,)`` int64, how long it is.
            width: The longest of them; it is not looked up, so that a GPU need not be waited for.

        Returns:
            ``(batch, width)`` int64 ids.
        """
        time = torch.arange(width, device=starts.device)
        is_word = time < lengths[:, None]  # (batch, width)
        places = torch.where(is_word, starts[:, None] + time, 0)
        return torch.where(is_word, self.token_ids[places], PADDING_ID).long()

    def shuffled_batches(
        self, batch_size: int, words: int, generator: np.random.Generator
    ) -> Iterator[Batch]:
        """Give all documents once, in random batches of similar length, for training.

        The batches are those of :func:`companion.classifier.batches.shuffled_batches`. The random
        numbers are drawn on the host, so that every device gets the same ones; sorting and
        gathering happen where the table is, and the host waits for the device once an epoch, before
        its first batch.

        Args:
            batch_size: The most documents in a batch.
            words: A longer document gives a random run of so many tokens.
            generator: Draws the runs and the order.

        Yields:
            The batches, on the table's device.
        """
        device = self.offsets.device
        spare = (self.lengths - words).clamp_(min=0)
        skipped = torch.from_numpy(generator.integers(0, spare.cpu().numpy() + 1)).to(device)
        lengths = self.lengths.clamp(max=words)
        order = torch.from_numpy(generator.permutation(len(self))).to(device)
        block = torch.arange(len(self), device=device) // (batch_size * BATCHES_A_BLOCK)
        order = order[torch.argsort(block * (words + 1) + lengths[order], stable=True)]
        last = torch.arange(batch_size - 1, len(self) + batch_size - 1, batch_size, device=device)
        widths = lengths[order[last.clamp_(max=len(self) - 1)]].tolist()
        for number in generator.permutation(len(widths)):
            rows = order[number * batch_size : (number + 1) * batch_size]
            starts = self.offsets[rows] + skipped[rows]
            token_ids = self.rectangle(starts, lengths[rows], widths[number])
            yield Batch(token_ids, lengths[rows], rows)

    def batches_by_length(self, batch_size: int, rows: slice = slice(None)) -> Iterator[Batch]:
        """Give documents from the shortest to the longest, for prediction.

        Args:
            batch_size: The most documents in a batch; batches of very long documents are smaller.
            rows: Which documents.

        Yields:
            The batches, on the table's device; ``rows`` counts all documents of the table.
        """
        chosen = torch.arange(len(self), device=self.offsets.device)[rows]
        lengths, order = torch.sort(self.lengths[chosen], stable=True)
        on_host = lengths.cpu().numpy()
        for start, end in spans_by_length(on_host, batch_size):
            own = chosen[order[start:end]]
            width = int(on_host[end - 1])
            yield Batch(
                self.rectangle(self.offsets[own], lengths[start:end], width),
                lengths[start:end],
                own,
            )


@dataclass(frozen=True)
class LabelledTable:
    """Documents as token ids, their labels and their weights.

    Attributes:
        tokens: The documents.
        labels: ``(documents,)`` int64, the number of each one's class.
        weights: ``(documents,)`` float32 with mean 1, or None where all documents count the same.
    """

    tokens: TokenTable
    labels: Tensor
    weights: Tensor | None = None

    @classmethod
    def open(cls, directory: str | Path) -> "LabelledTable":
        """Map one of the tables that ``encode_corpus`` wrote.

        Raises:
            DataError: If the folder holds no whole table.
        """
        tokens = TokenTable.open(directory)
        labels = _load(Path(directory) / LABELS)
        if labels.dtype != np.int64 or labels.shape != (len(tokens),):
            raise DataError(f"{directory}: a damaged table of tokens; make it again")
        return cls(tokens, torch.from_numpy(labels))

    def to(self, device: torch.device) -> "LabelledTable":
        """Move all of it to a device; on the one where it is, nothing is copied."""
        weights = None if self.weights is None else self.weights.to(device)
        return LabelledTable(self.tokens.to(device), self.labels.to(device), weights)


@dataclass(frozen=True)
class EncodedCorpus:
    """What :func:`companion.classifier.token_files.encode_corpus` wrote, mapped.

    Attributes:
        training: The training documents.
        validation: The validation documents.
        vocabulary: Made from the training documents.
        labels: The classes.
    """

    training: LabelledTable
    validation: LabelledTable
    vocabulary: Vocabulary
    labels: list[str]

    @classmethod
    def open(cls, directory: str | Path) -> "EncodedCorpus":
        """Map a corpus.

        Raises:
            DataError: If the folder holds no whole corpus.
        """
        path = Path(directory) / DESCRIPTION
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            vocabulary, labels = Vocabulary(content["vocabulary"]), list(content["labels"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"{directory}: no whole corpus of token ids ({type(error).__name__} at "
                f"{DESCRIPTION}); make one by companion encode"
            ) from error
        training, validation = (LabelledTable.open(Path(directory) / name) for name in PARTS)
        for table in (training, validation):
            for values, limit in ((table.labels, labels), (table.tokens.token_ids, vocabulary)):
                low, high = values.aminmax()
                if low < 0 or high >= len(limit):
                    raise DataError(f"{directory}: a number is out of range; encode it again")
        return cls(training, validation, vocabulary, labels)


def _load(path: Path, mmap_mode: Literal["c"] | None = None) -> NDArray[Any]:
    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); make the table by companion encode"
        ) from error
