"""From token ids to batches of documents of similar length.

Explained in :doc:`/project/data`. A batch is padded to its longest document, so putting like beside
like saves work; shuffling first, and sorting only inside large blocks, keeps the batches random.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from companion.classifier.text import PADDING_ID
from companion.classifier.token_table import TokenTable

__all__ = ["Batch", "batches_by_length", "pad", "shuffled_batches", "spans_by_length"]

_BATCHES_A_BLOCK = 64  # so that short news has 2 % of padding; with 16 it has 7 %
_TOKENS_A_BATCH = 65_536  # bounds the memory that very long documents take


@dataclass(frozen=True)
class Batch:
    """Some documents, padded.

    Attributes:
        token_ids: ``(batch, time)`` int64, padded on the right.
        lengths: ``(batch,)`` int64, each at least 1.
        rows: ``(batch,)`` where each document stands in the sequence that the batches were made
            from; a tensor where the batch was gathered on a device.
    """

    token_ids: Tensor
    lengths: Tensor
    rows: NDArray[np.int64] | Tensor

    def parts(self, size: int) -> Iterator["Batch"]:
        """Give so many documents at a time, each part only as wide as its own longest document.

        The gradients of the parts, added up, are that of the batch.

        Args:
            size: The most documents in a part. A batch that has no more is given as it is.
        """
        if len(self.rows) <= size:
            yield self
            return
        for start in range(0, len(self.rows), size):
            part = slice(start, start + size)
            lengths = self.lengths[part]
            yield Batch(self.token_ids[part, : int(lengths.max())], lengths, self.rows[part])


def pad(documents: Sequence[Sequence[int]], padding_id: int = PADDING_ID) -> tuple[Tensor, Tensor]:
    """Put documents of different lengths into one rectangle.

    Args:
        documents: The token ids of each document.
        padding_id: What fills the rows behind the documents.

    Returns:
        ``(batch, time)`` int64 ids, and ``(batch,)`` int64 lengths.

    Raises:
        EmptyDocumentError: If a document has no token.

    >>> pad([[5, 6, 7], [8]])
    (tensor([[5, 6, 7],
            [8, 0, 0]]), tensor([3, 1]))
    """
    table = TokenTable.of(documents)
    return table.padded(np.arange(len(table)), padding_id)


def batches_by_length(
    documents: TokenTable | Sequence[Sequence[int]], batch_size: int
) -> Iterator[Batch]:
    """Give all documents from the shortest to the longest, for prediction.

    Args:
        documents: The token ids of each document.
        batch_size: The most documents in a batch; batches of very long documents are smaller.

    Yields:
        The batches.
    """
    table = TokenTable.of(documents)
    order = np.argsort(table.lengths, kind="stable")
    for start, end in spans_by_length(table.lengths[order], batch_size):
        yield Batch(*table.padded(order[start:end]), order[start:end])


def spans_by_length(lengths: NDArray[np.int64], batch_size: int) -> Iterator[tuple[int, int]]:
    """Cut documents that are sorted by length into batches, smaller ones where they are very long.

    Args:
        lengths: ``(documents,)``, rising.
        batch_size: The most documents in a batch.

    Yields:
        The first document of a batch, and the one behind its last.
    """
    start = 0
    while start < len(lengths):
        end = start + 1
        while (
            end < min(start + batch_size, len(lengths))
            and (end + 1 - start) * lengths[end] <= _TOKENS_A_BATCH
        ):
            end += 1
        yield start, end
        start = end


def shuffled_batches(
    documents: TokenTable | Sequence[Sequence[int]],
    batch_size: int,
    generator: np.random.Generator,
) -> Iterator[Batch]:
    """Give all documents once, in random batches of similar length, for training.

    Args:
        documents: The token ids of each document.
        batch_size: The most documents in a batch.
        generator: Draws the order.

    Yields:
        The batches.
    """
    table = TokenTable.of(documents)
    order = generator.permutation(len(table))
    block = batch_size * _BATCHES_A_BLOCK
    sorted_blocks = [
        rows[np.argsort(table.lengths[rows], kind="stable")]
        for rows in (order[start : start + block] for start in range(0, len(order), block))
    ]
    starts = [
        rows[start : start + batch_size]
        for rows in sorted_blocks
        for start in range(0, len(rows), batch_size)
    ]
    for number in generator.permutation(len(starts)):
        yield Batch(*table.padded(starts[number]), starts[number])
