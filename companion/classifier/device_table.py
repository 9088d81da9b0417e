"""The table of tokens on a device: the batches of an epoch are cut and gathered there.

Explained in :doc:`/project/scale`. A GPU reads a batch of short news in a millisecond. Were each
batch padded by Python and copied over, the GPU would wait for it most of the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from companion.classifier.batches import _BATCHES_A_BLOCK, Batch, spans_by_length
from companion.classifier.text import PADDING_ID
from companion.classifier.token_table import TokenTable

__all__ = ["DeviceTable"]


@dataclass(frozen=True)
class DeviceTable:
    """A :class:`~companion.classifier.token_table.TokenTable` as tensors.

    Attributes:
        token_ids: ``(tokens,)`` int32.
        starts: ``(documents,)`` int64.
        lengths: ``(documents,)`` int64.
    """

    token_ids: Tensor
    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, table: TokenTable, device: torch.device) -> "DeviceTable":
        """Copy a table to a device; on the CPU nothing is copied."""
        arrays = (table.token_ids, table.starts, table.lengths)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    def __len__(self) -> int:
        return len(self.lengths)

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

        The batches are those of ``shuffled_batches`` over ``stretches`` of the table on the host.
        The random numbers are drawn there, so that every device gets the same ones; sorting and
        gathering happen here. The host waits for the device once an epoch, before its first batch.

        Args:
            batch_size: The most documents in a batch.
            words: A longer document gives a random run of so many tokens.
            generator: Draws the runs and the order.

        Yields:
            The batches, on the device.
        """
        count, device = len(self), self.lengths.device
        spare = (self.lengths - words).clamp_(min=0).cpu().numpy()
        starts = self.starts + torch.from_numpy(generator.integers(0, spare + 1)).to(device)
        lengths = self.lengths.clamp(max=words)
        order = torch.from_numpy(generator.permutation(count)).to(device)
        block = torch.arange(count, device=device) // (batch_size * _BATCHES_A_BLOCK)
        order = order[torch.argsort(block * (words + 1) + lengths[order], stable=True)]
        last = torch.arange(batch_size - 1, count + batch_size - 1, batch_size, device=device)
        widths = lengths[order[last.clamp_(max=count - 1)]].tolist()
        for number in generator.permutation(len(widths)):
            rows = order[number * batch_size : (number + 1) * batch_size]
            token_ids = self.rectangle(starts[rows], lengths[rows], widths[number])
            yield Batch(token_ids, lengths[rows], rows)

    def batches_by_length(self, batch_size: int) -> Iterator[Batch]:
        """Give all documents from the shortest to the longest, for prediction.

        Args:
            batch_size: The most documents in a batch; batches of very long documents are smaller.

        Yields:
            The batches, on the device.
        """
        lengths, order = torch.sort(self.lengths, stable=True)
        on_host = lengths.cpu().numpy()
        for start, end in spans_by_length(on_host, batch_size):
            rows, width = order[start:end], int(on_host[end - 1])
            token_ids = self.rectangle(self.starts[rows], lengths[start:end], width)
            yield Batch(token_ids, lengths[start:end], rows)

    def take(self, rows: slice) -> "DeviceTable":
        """Give some of the documents."""
        return DeviceTable(self.token_ids, self.starts[rows], self.lengths[rows])
