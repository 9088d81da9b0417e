"""The network: embedding, LSTM, pooling over the words that are really there, and a linear layer.

Explained in :doc:`/project/model`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from companion.classifier.configuration import Configuration
from companion.classifier.text import PADDING_ID, UNKNOWN_ID

__all__ = ["LSTMClassifier", "cut_windows", "parameter_count", "pool", "reverse_padded"]


class LSTMClassifier(nn.Module):
    """An LSTM that reads a document and scores each class.

    The scores of a document do not depend on the padding behind it, and so not on its neighbours in
    the batch.

    Args:
        vocabulary_size: The number of token ids, the padding included.
        classes: The number of classes.
        configuration: The sizes, the pooling and the dropout.
    """

    def __init__(self, vocabulary_size: int, classes: int, configuration: Configuration) -> None:
        super().__init__()
        self.pooling = configuration.pooling
        self.window = configuration.window
        self.word_dropout = configuration.word_dropout
        self.embedding = nn.Embedding(
            vocabulary_size, configuration.embedding_size, padding_idx=PADDING_ID
        )
        nn.init.normal_(self.embedding.weight, std=configuration.embedding_scale)
        with torch.no_grad():
            self.embedding.weight[PADDING_ID].zero_()
        directions = 2 if configuration.bidirectional else 1
        width = directions * configuration.hidden_size
        input_sizes = [configuration.embedding_size] + [width] * (configuration.layers - 1)
        self.layers = nn.ModuleList(
            _Layer(size, configuration.hidden_size, directions) for size in input_sizes
        )
        self.input_dropout = nn.Dropout(configuration.input_dropout)
        self.dropout = nn.Dropout(configuration.dropout)
        self.head = nn.Linear(width * len(configuration.pooling.split("+")), classes)

    def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Score documents.

        Args:
            token_ids: ``(batch, time)`` int64 ids, padded on the right.
            lengths: ``(batch,)`` int64, each from 1 to ``time``.

        Returns:
            ``(batch, classes)`` logits.
        """
        if self.training and self.word_dropout > 0:
            token_ids = self._drop_words(token_ids)
        lengths = lengths.to(token_ids.device)
        windows, window_lengths = cut_windows(
            token_ids, lengths, self.window
        )  # (batch · windows, window)
        hidden = self.input_dropout(self.embedding(windows))  # (batch · windows, window, embedding)
        for number, layer in enumerate(self.layers):
            hidden = layer(self._drop_states(hidden) if number else hidden, window_lengths)
        hidden = hidden.reshape(token_ids.shape[0], -1, hidden.shape[2])  # (batch, time, width)
        return self.head(self.dropout(pool(hidden, lengths, self.pooling)))  # type: ignore[no-any-return]

    def _drop_words(self, token_ids: Tensor) -> Tensor:
        """Replace some words by the unknown token, so that no single word is relied on."""
        dropped = torch.rand(token_ids.shape, device=token_ids.device) < self.word_dropout
        return token_ids.masked_fill(dropped & (token_ids != PADDING_ID), UNKNOWN_ID)

    def _drop_states(self, hidden: Tensor) -> Tensor:
        """Do as ``nn.Dropout``, which on a CPU takes three times as long: 7 % of a step.

        It draws one number at a time there.
        """
        share = self.dropout.p
        if not self.training or hidden.device.type != "cpu":
            return self.dropout(hidden)  # type: ignore[no-any-return]
        is_kept = torch.rand(hidden.shape, device=hidden.device) >= share
        return hidden * (is_kept / (1 - share)).to(hidden.dtype)


class _Layer(nn.Module):
    """One LSTM layer in one or both directions over padded sequences.

    The backward direction reads each document from its last word to its first, and never the
    padding: that is what ``nn.LSTM(bidirectional=True)`` does only for packed sequences, which are
    slow on a CPU.
    """

    def __init__(self, input_size: int, hidden_size: int, directions: int) -> None:
        super().__init__()
        self.directions = nn.ModuleList(
            nn.LSTM(input_size, hidden_size, batch_first=True) for _ in range(directions)
        )

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Map ``(batch, time, input)`` to ``(batch, time, directions · hidden)``."""
        outputs = [self.directions[0](inputs)[0]]
        for backward in self.directions[1:]:
            outputs.append(reverse_padded(backward(reverse_padded(inputs, lengths))[0], lengths))
        return torch.cat(outputs, dim=2)


def cut_windows(token_ids: Tensor, lengths: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Cut each document into windows, which the LSTM reads as if they were documents.

    Short sequences side by side use a processor far better than long ones, and the gradient has a
    shorter way.

    Args:
        token_ids: ``(batch, time)`` int64 ids, padded on the right.
        lengths: ``(batch,)`` int64.
        window: The words of a window; 0 leaves each document whole.

    Returns:
        ``(batch · windows, window)`` ids and ``(batch · windows,)`` lengths, which are 0 for a
        window of padding.
    """
    if window == 0 or token_ids.shape[1] <= window:
        return token_ids, lengths
    windows = -(-token_ids.shape[1] // window)
    padded = functional.pad(token_ids, (0, windows * window - token_ids.shape[1]), value=PADDING_ID)
    starts = torch.arange(windows, device=lengths.device) * window
    window_lengths = (lengths[:, None] - starts).clamp(0, window)  # (batch, windows)
    return padded.reshape(-1, window), window_lengths.reshape(-1)


def reverse_padded(sequences: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each sequence within its own length; the padding stays on the right.

    Args:
        sequences: ``(batch, time, features)``.
        lengths: ``(batch,)`` int64.

    Returns:
        ``(batch, time, features)``.
    """
    time = torch.arange(sequences.shape[1], device=sequences.device).expand(
        sequences.shape[0], -1
    )  # (batch, time)
    ends = lengths[:, None]
    source = torch.where(time < ends, ends - 1 - time, time)
    return sequences.gather(1, source[:, :, None].expand_as(sequences))


def pool(hidden: Tensor, lengths: Tensor, how: str) -> Tensor:
    """Turn the states of all words into one vector a document, without the padding.

    Args:
        hidden: ``(batch, time, width)``.
        lengths: ``(batch,)`` int64, each at least 1.
        how: ``"last"`` (the state after the last word), ``"max"``, ``"mean"``, or several joined by
            ``+``.

    Returns:
        ``(batch, width)`` for each way, side by side.
    """
    is_word = (
        torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
    )  # (batch, time)
    pooled = []
    for way in how.split("+"):
        if way == "last":
            pooled.append(hidden[torch.arange(hidden.shape[0], device=hidden.device), lengths - 1])
        elif way == "max":
            pooled.append(hidden.masked_fill(~is_word[:, :, None], -torch.inf).amax(dim=1))
        else:
            pooled.append((hidden * is_word[:, :, None]).sum(dim=1) / lengths[:, None])
    return torch.cat(pooled, dim=1)


def parameter_count(model: nn.Module) -> int:
    """Count the numbers that training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
