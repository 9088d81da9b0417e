"""A small transformer: encoder-only, decoder-only and encoder-decoder, told apart by their masks.

Explained in :doc:`/concepts`.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from companion.errors import DataError

__all__ = [
    "AttentionLayer",
    "Block",
    "EncoderDecoder",
    "LanguageModel",
    "Stack",
    "attention",
    "causal_mask",
    "full_mask",
]


def full_mask(queries: int, keys: int) -> Tensor:
    """Allow every position to look at every other: ``(queries, keys)`` of True."""
    return torch.ones(queries, keys, dtype=torch.bool)


def causal_mask(length: int) -> Tensor:
    """Allow each position to look at itself and at what is before it: ``(length, length)``."""
    return full_mask(length, length).tril()


def attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Compute scaled dot-product attention.

    Args:
        queries: ``(..., queries, size)`` what each position asks for.
        keys: ``(..., keys, size)`` what each position offers.
        values: ``(..., keys, value_size)`` what each position hands over.
        mask: ``(queries, keys)`` bool, True where looking is allowed.

    Returns:
        ``(..., queries, value_size)`` the weighted means of the values, and
        ``(..., queries, keys)`` the weights, which add up to 1 over the keys.
    """
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    return weights @ values, weights


class AttentionLayer(nn.Module):
    """Attention in several heads, from one sequence to another or to itself.

    Args:
        width: The length of a token's vector.
        heads: How many independent attentions share it.

    Raises:
        DataError: If the width cannot be shared equally by the heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise DataError(
                f"a width of {width} cannot be shared by {heads} heads; make it a multiple"
            )
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.output = nn.Linear(width, width), nn.Linear(width, width)

    def split(self, vectors: Tensor) -> Tensor:
        """Cut ``(batch, time, width)`` into ``(batch, heads, time, width / heads)``."""
        batch, time, width = vectors.shape
        return vectors.view(batch, time, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, states: Tensor, source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Let each of ``states`` look at ``source``; give the new states and the weights."""
        queries, keys = self.split(self.query(states)), self.split(self.key(source))
        mixed, weights = attention(queries, keys, self.split(self.value(source)), mask)
        return self.output(mixed.transpose(1, 2).flatten(2)), weights


class Block(nn.Module):
    """Self-attention, in a decoder of two also attention to the source, then a small network.

    Args:
        width: The length of a token's vector.
        heads: How many attentions share it.
        reads_source: Whether it also attends to the states of an encoder.
    """

    def __init__(self, width: int, heads: int, *, reads_source: bool = False) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if reads_source else 2))
        self.self_attention = AttentionLayer(width, heads)
        self.source_attention = AttentionLayer(width, heads) if reads_source else None
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(
        self, states: Tensor, mask: Tensor, source: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Give the new ``(batch, time, width)`` states and the weights of the self-attention."""
        normal = self.norms[0](states)
        change, weights = self.self_attention(normal, normal, mask)
        states = states + change
        if self.source_attention is not None and source is not None:
            everything = full_mask(states.shape[1], source.shape[1])
            states = states + self.source_attention(self.norms[1](states), source, everything)[0]
        return states + self.network(self.norms[-1](states)), weights


class Stack(nn.Module):
    """Vectors of tokens and positions, then blocks.

    Args:
        vocabulary_size: The number of tokens.
        width: The length of a token's vector.
        layers: The number of blocks.
        heads: Attentions in a block.
        context: The longest sequence.
        reads_source: Whether the blocks also attend to an encoder.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        width: int,
        layers: int,
        heads: int,
        context: int,
        reads_source: bool = False,
    ) -> None:
        super().__init__()
        self.context = context
        self.tokens, self.positions = (
            nn.Embedding(vocabulary_size, width),
            nn.Embedding(context, width),
        )
        nn.init.normal_(self.tokens.weight, std=0.1)
        nn.init.normal_(self.positions.weight, std=0.1)
        self.blocks = nn.ModuleList(
            Block(width, heads, reads_source=reads_source) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self, token_ids: Tensor, mask: Tensor, source: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Give ``(batch, time, width)`` states, and the self-attention weights of each block.

        Raises:
            DataError: If the sequence is longer than the context.
        """
        time = token_ids.shape[1]
        if time > self.context:
            raise DataError(
                f"{time} tokens are longer than the context of {self.context}; cut them"
            )
        states = self.tokens(token_ids) + self.positions.weight[:time]
        maps = []
        for block in self.blocks:
            states, weights = block(states, mask, source)
            maps.append(weights)
        return self.norm(states), maps


class LanguageModel(nn.Module):
    """A decoder that predicts the next token, or an encoder that fills in hidden ones.

    The two differ in one line: the mask. The output shares the token vectors of the input.

    Args:
        vocabulary_size: The number of tokens.
        width: The length of a token's vector.
        layers: The number of blocks.
        heads: Attentions in a block.
        context: The longest sequence.
        causal: True for a decoder, False for an encoder.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        width: int = 32,
        layers: int = 2,
        heads: int = 4,
        context: int = 32,
        causal: bool = True,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.stack = Stack(
            vocabulary_size, width=width, layers=layers, heads=heads, context=context
        )

    def mask(self, length: int) -> Tensor:
        """Give the mask that makes it a decoder or an encoder."""
        return causal_mask(length) if self.causal else full_mask(length, length)

    def forward(self, token_ids: Tensor) -> Tensor:
        """Give ``(batch, time, vocabulary_size)`` logits for ``(batch, time)`` ids."""
        states, _ = self.stack(token_ids, self.mask(token_ids.shape[1]))
        return functional.linear(states, self.stack.tokens.weight)

    def attention_maps(self, token_ids: Tensor) -> list[Tensor]:
        """Give the ``(batch, heads, time, time)`` weights of each block."""
        maps: list[Tensor] = self.stack(token_ids, self.mask(token_ids.shape[1]))[1]
        return maps


class EncoderDecoder(nn.Module):
    """An encoder reads the source; a decoder reads it too, and writes the target.

    Args:
        vocabulary_size: The number of tokens, shared by both sides.
        width: The length of a token's vector.
        layers: Blocks on each side.
        heads: Attentions in a block.
        context: The longest source and target.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        width: int = 32,
        layers: int = 2,
        heads: int = 4,
        context: int = 32,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = (
            Stack(
                vocabulary_size,
                width=width,
                layers=layers,
                heads=heads,
                context=context,
                reads_source=reads_source,
            )
            for reads_source in (False, True)
        )

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """Give ``(batch, target time, vocabulary_size)`` logits for the next target tokens."""
        length = source_ids.shape[1]
        source, _ = self.encoder(source_ids, full_mask(length, length))
        states, _ = self.decoder(target_ids, causal_mask(target_ids.shape[1]), source)
        return functional.linear(states, self.decoder.tokens.weight)
