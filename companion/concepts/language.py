"""Train small language models on characters, and let them write.

Explained in :doc:`/concepts` and :doc:`/scale`.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from companion.concepts.ngram import ALPHABET
from companion.concepts.transformer import LanguageModel
from companion.errors import DataError

__all__ = [
    "HIDDEN_ID",
    "draw_windows",
    "generate",
    "held_out_loss",
    "hidden_accuracy",
    "hide",
    "last_accuracy",
    "train_decoder",
    "train_encoder",
]

HIDDEN_ID = len(ALPHABET)  # the token that stands for a hidden character


def draw_windows(
    text_ids: NDArray[np.int64], count: int, length: int, generator: np.random.Generator
) -> Tensor:
    """Draw stretches of a text at random places.

    Args:
        text_ids: The ids of a long text.
        count: How many stretches.
        length: How long each is.
        generator: Draws the places.

    Returns:
        ``(count, length)`` ids.

    Raises:
        DataError: If the text is shorter than a stretch.
    """
    if len(text_ids) < length:
        raise DataError(f"a text of {len(text_ids)} characters has no stretch of {length}")
    starts = generator.integers(0, len(text_ids) - length + 1, size=count)
    return torch.from_numpy(text_ids[starts[:, None] + np.arange(length)])


def train_decoder(
    text_ids: NDArray[np.int64],
    *,
    width: int = 64,
    layers: int = 2,
    heads: int = 4,
    context: int = 32,
    steps: int = 600,
    batch_size: int = 32,
    learning_rate: float = 1e-2,
    seed: int = 0,
) -> LanguageModel:
    """Train a decoder to predict the next character.

    Args:
        text_ids: The training text.
        width: The length of a token's vector.
        layers: The number of blocks.
        heads: Attentions in a block.
        context: How many characters it sees at once.
        steps: How many batches it is trained on.
        batch_size: Stretches in a batch.
        learning_rate: The highest learning rate of the one-cycle schedule.
        seed: Fixes the first weights and the batches.

    Returns:
        The trained model.
    """
    model = _new_model(
        width=width, layers=layers, heads=heads, context=context, causal=True, seed=seed
    )

    def loss(windows: Tensor, _: np.random.Generator) -> Tensor:
        logits = model(windows[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())

    _train(model, loss, text_ids, context + 1, steps, batch_size, learning_rate, seed)
    return model


def train_encoder(
    text_ids: NDArray[np.int64],
    *,
    width: int = 64,
    layers: int = 2,
    heads: int = 4,
    context: int = 32,
    steps: int = 1000,
    batch_size: int = 32,
    learning_rate: float = 3e-3,
    hidden_share: float = 0.3,
    seed: int = 0,
) -> LanguageModel:
    """Train an encoder to fill in hidden characters, from what stands before and after them.

    Args:
        text_ids: The training text.
        width: The length of a token's vector.
        layers: The number of blocks.
        heads: Attentions in a block.
        context: How many characters it sees at once.
        steps: How many batches it is trained on.
        batch_size: Stretches in a batch.
        learning_rate: The highest learning rate of the one-cycle schedule.
        hidden_share: The share of characters that is hidden.
        seed: Fixes the first weights, the batches and what is hidden.

    Returns:
        The trained model.
    """
    model = _new_model(
        width=width, layers=layers, heads=heads, context=context, causal=False, seed=seed
    )

    def loss(windows: Tensor, generator: np.random.Generator) -> Tensor:
        shown, hidden = hide(windows, hidden_share, generator)
        return functional.cross_entropy(model(shown)[hidden], windows[hidden])

    _train(model, loss, text_ids, context, steps, batch_size, learning_rate, seed)
    return model


def hide(windows: Tensor, share: float, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Replace a share of the tokens by :data:`HIDDEN_ID`.

    Args:
        windows: ``(batch, time)`` ids.
        share: The chance that a token is hidden.
        generator: Draws which.

    Returns:
        ``(batch, time)`` ids with holes, and ``(batch, time)`` True where a hole is.
    """
    hidden = torch.from_numpy(generator.random(tuple(windows.shape)) < share)
    return windows.masked_fill(hidden, HIDDEN_ID), hidden


@torch.inference_mode()
def held_out_loss(model: LanguageModel, text_ids: NDArray[np.int64]) -> float:
    """Measure a decoder on a text that it was not trained on.

    Each window counts only in its second half, so that every prediction sees at least half a
    context.

    Args:
        model: A decoder.
        text_ids: The held-out text, at least one context long.

    Returns:
        The mean loss a character, in nats.
    """
    context = model.stack.context
    starts = np.arange(0, len(text_ids) - context, context // 2)
    windows = torch.from_numpy(text_ids[starts[:, None] + np.arange(context + 1)])
    losses = []
    for batch in torch.split(windows, 256):  # type: ignore[no-untyped-call, unused-ignore]
        logits, late = model(batch[:, :-1]), slice(context // 2, None)
        loss = functional.cross_entropy(
            logits[:, late].flatten(0, 1), batch[:, 1:][:, late].flatten(), reduction="none"
        )
        losses.append(loss)
    return torch.cat(losses).mean().item()


@torch.inference_mode()
def hidden_accuracy(
    model: LanguageModel, windows: Tensor, place: int, answers: Tensor | None = None
) -> float:
    """Hide one character in each window, and count how often an encoder fills it in rightly.

    Args:
        model: An encoder.
        windows: ``(batch, time)`` ids, some of which may be hidden already.
        place: Which character of each window is hidden.
        answers: ``(batch, time)`` the ids without holes, if the windows have some.

    Returns:
        The share of right answers.
    """
    answers = windows if answers is None else answers
    shown = windows.clone()
    shown[:, place] = HIDDEN_ID
    right = model(shown)[:, place, : len(ALPHABET)].argmax(dim=1) == answers[:, place]
    return float(right.float().mean())


@torch.inference_mode()
def last_accuracy(model: LanguageModel, windows: Tensor, place: int) -> float:
    """Let a decoder guess one character of each window from those before it.

    Args:
        model: A decoder.
        windows: ``(batch, time)`` ids.
        place: Which character is guessed.

    Returns:
        The share of right answers.
    """
    logits = model(windows[:, :place])[:, -1, : len(ALPHABET)]
    return float((logits.argmax(dim=1) == windows[:, place]).float().mean())


@torch.inference_mode()
def generate(
    model: LanguageModel,
    prompt_ids: NDArray[np.int64],
    count: int,
    *,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[int]:
    """Let a decoder write: predict a token, append it, and predict again.

    Args:
        model: A decoder.
        prompt_ids: The beginning.
        count: How many tokens to add.
        temperature: 0 always takes the most probable token; 1 draws as the model says.
        seed: Fixes the draws.

    Returns:
        The ids of the prompt and of what was added.
    """
    ids, generator = [int(token) for token in prompt_ids], torch.Generator().manual_seed(seed)
    for _ in range(count):
        seen = torch.tensor([ids[-model.stack.context :]])
        logits = model(seen)[0, -1, : len(ALPHABET)]
        if temperature == 0:
            ids.append(int(logits.argmax()))
        else:
            chances = (logits / temperature).softmax(dim=0)
            ids.append(int(torch.multinomial(chances, 1, generator=generator)))
    return ids


def _new_model(
    *, width: int, layers: int, heads: int, context: int, causal: bool, seed: int
) -> LanguageModel:
    torch.manual_seed(seed)
    return LanguageModel(
        HIDDEN_ID + 1, width=width, layers=layers, heads=heads, context=context, causal=causal
    )


def _train(
    model: LanguageModel,
    loss: Callable[[Tensor, np.random.Generator], Tensor],
    text_ids: NDArray[np.int64],
    length: int,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> None:
    generator = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=max(steps, 2), pct_start=0.1
    )
    for _ in range(steps):
        windows = draw_windows(text_ids, batch_size, length, generator)
        optimizer.zero_grad()
        loss(windows, generator).backward()  # type: ignore[no-untyped-call, unused-ignore]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
