"""All documents' token ids in one flat array, which may be larger than memory.

Explained in :doc:`/project/benchmarks`. A list of lists costs 8 bytes a token for the pointers
alone, and Python touches each document; a flat array of 4 bytes a token is made once, and NumPy or
the disk can serve any part of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from companion.classifier.text import PADDING_ID
from companion.errors import EmptyDocumentError

__all__ = ["TokenTable"]


@dataclass(frozen=True)
class TokenTable:
    """The token ids of many documents, one after the other.

    A document is the run of ``lengths[row]`` ids from ``starts[row]`` on. So a part of every
    document is another table over the same ids, and a table on disk needs no change here: give
    ``token_ids`` as a ``numpy.memmap``.

    Attributes:
        token_ids: ``(tokens,)`` int32.
        starts: ``(documents,)`` int64.
        lengths: ``(documents,)`` int64.
    """

    token_ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, documents: "TokenTable | Sequence[Sequence[int]]") -> "TokenTable":
        """Make a table of lists of ids; a table is given back as it is.

        >>> TokenTable.of([[5, 6, 7], [8]]).starts
        array([0, 3])
        """
        if isinstance(documents, TokenTable):
            return documents
        lengths = np.fromiter(map(len, documents), np.int64, len(documents))
        token_ids = np.fromiter(chain.from_iterable(documents), np.int32, int(lengths.sum()))
        return cls.of_flat(token_ids, lengths)

    @classmethod
    def of_flat(cls, token_ids: NDArray[np.int32], lengths: NDArray[np.int64]) -> "TokenTable":
        """Make a table of ids that lie one document after the other."""
        return cls(token_ids, np.cumsum(lengths) - lengths, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        start = self.starts[row]
        return self.token_ids[start : start + self.lengths[row]]

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: slice | NDArray[np.int64]) -> "TokenTable":
        """Give some of the documents."""
        return TokenTable(self.token_ids, self.starts[rows], self.lengths[rows])

    def first(self, words: int) -> "TokenTable":
        """Cut each document to its first ``words`` tokens."""
        return TokenTable(self.token_ids, self.starts, np.minimum(self.lengths, words))

    def stretches(self, words: int, generator: np.random.Generator) -> "TokenTable":
        """Take a random run of at most ``words`` tokens of each document.

        Args:
            words: The most tokens of a run.
            generator: Draws where it starts.
        """
        skipped = generator.integers(0, np.maximum(0, self.lengths - words) + 1)
        return TokenTable(self.token_ids, self.starts + skipped, np.minimum(self.lengths, words))

    def padded(
        self, rows: NDArray[np.int64], padding_id: int = PADDING_ID
    ) -> tuple[Tensor, Tensor]:
        """Put some documents into one rectangle.

        Args:
            rows: Which documents, in this order.
            padding_id: What fills the rectangle behind each.

        Returns:
            ``(batch, time)`` int64 ids, and ``(batch,)`` int64 lengths.

        Raises:
            EmptyDocumentError: If there is no document, or one of them has no token.
        """
        lengths = self.lengths[rows]
        if not lengths.all() or not len(lengths):
            empty = int(np.argmin(lengths)) + 1 if len(lengths) else 1
            raise EmptyDocumentError(f"document {empty} of the batch has no token")
        token_ids = np.full((len(rows), lengths.max()), padding_id, dtype=np.int64)
        for row, start, length in zip(
            token_ids, self.starts[rows].tolist(), lengths.tolist(), strict=True
        ):
            row[:length] = self.token_ids[start : start + length]
        return torch.from_numpy(token_ids), torch.from_numpy(lengths)
