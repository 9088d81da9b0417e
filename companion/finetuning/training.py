"""The loop that fine-tunes: AdamW, a warm-up, batches of similar length, and nothing else.

Explained in :doc:`/training/finetuning`, "Fine-tune".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from tqdm import tqdm

from companion.classifier.batches import Batch, shuffled_batches
from companion.finetuning.model import EncoderClassifier, embed_documents

__all__ = ["Schedule", "Watch", "fine_tune", "fit_head"]

_WARM_UP = 0.1  # the share of the steps in which the learning rate rises
_WEIGHT_DECAY = 0.01
_CLIP_NORM = 1.0

Watch = Callable[[EncoderClassifier], dict[str, float]]
"""What :func:`fine_tune` asks after each epoch: it measures the model and names what it found."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a fine-tuning moves.

    Attributes:
        learning_rate: The highest step size of the pretrained parameters and of LoRA's.
        head_learning_rate: The highest step size of the head, which starts at random.
        epochs: Passes over the documents.
        batch_size: Documents in a step.
        seed: Fixes the order of the documents and the dropout.
    """

    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-2
    epochs: int = 3
    batch_size: int = 16
    seed: int = 0


def fine_tune(
    model: EncoderClassifier,
    documents: Sequence[Sequence[int]],
    labels: NDArray[np.integer],
    schedule: Schedule,
    *,
    weights: NDArray[np.float64] | None = None,
    watch: Watch | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Train the parameters of a model whose ``requires_grad`` is set.

    Two runs with the same arguments on the same CPU and one thread give the same weights.

    Args:
        model: The model, trained in place.
        documents: The token ids of each document.
        labels: ``(documents,)`` the index of each document's class.
        schedule: The choices.
        weights: ``(documents,)`` how much each counts, 1 on average; None counts all the same.
        watch: Asked before the first epoch and after each; what it measures goes into the history.
        progress: Whether to draw a bar; none is drawn where the output is no terminal.

    Returns:
        A row an epoch, 0 for the start: ``training_loss`` and what ``watch`` gave.
    """
    targets = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    shares = torch.ones(len(documents)) if weights is None else torch.tensor(weights).float()
    steps = schedule.epochs * -(-len(documents) // schedule.batch_size)
    optimizer = _optimizer(model, schedule)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rise_and_fall(step, steps)
    )
    order = np.random.default_rng(schedule.seed)
    history = [{"training_loss": float("nan"), **(watch(model) if watch else {})}]
    with torch.random.fork_rng(), tqdm(total=steps, disable=None if progress else True) as bar:
        torch.manual_seed(schedule.seed)
        for _ in range(schedule.epochs):
            losses = []
            for batch in shuffled_batches(documents, schedule.batch_size, order):
                losses.append(_step(model, batch, targets, shares, optimizer))
                scheduler.step()
                bar.update()
            measured = watch(model) if watch else {}
            history.append({"training_loss": sum(losses) / len(documents), **measured})
    model.eval()
    return pd.DataFrame(history).rename_axis("epoch")


def fit_head(
    model: EncoderClassifier,
    documents: Sequence[Sequence[int]],
    labels: NDArray[np.integer],
    *,
    weights: NDArray[np.float64] | None = None,
) -> None:
    """Fit the head by logistic regression on the embeddings, which stay as they are.

    Args:
        model: The model; its head is replaced.
        documents: The token ids of each document.
        labels: ``(documents,)`` the index of each document's class, from 0 without a gap.
        weights: As in :func:`fine_tune`.
    """
    embeddings = embed_documents(model, documents).astype(np.float64)
    regression = LogisticRegression(max_iter=1000)
    regression.fit(embeddings, labels, sample_weight=weights)
    slopes, offsets = regression.coef_, regression.intercept_
    if len(slopes) == 1:  # of two classes scikit-learn keeps the difference
        slopes, offsets = np.vstack([-slopes, slopes]) / 2, np.hstack([-offsets, offsets]) / 2
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(slopes / np.sqrt(embeddings.shape[1])))
        model.head.bias.copy_(torch.from_numpy(offsets))
    model.eval()


def _step(
    model: EncoderClassifier,
    batch: Batch,
    targets: Tensor,
    shares: Tensor,
    optimizer: torch.optim.Optimizer,
) -> float:
    """Take one step, and give the sum of the batch's losses."""
    model.train()
    device = model.head.weight.device
    logits = model(batch.token_ids.to(device), batch.lengths.to(device))
    rows = torch.as_tensor(batch.rows)
    losses = nn.functional.cross_entropy(logits, targets[rows].to(device), reduction="none")
    losses = losses * shares[rows].to(device)
    optimizer.zero_grad()
    losses.mean().backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), _CLIP_NORM)
    optimizer.step()
    return float(losses.detach().sum())


def _optimizer(model: EncoderClassifier, schedule: Schedule) -> torch.optim.Optimizer:
    pretrained = [each for each in model.encoder.parameters() if each.requires_grad]
    groups = [{"params": list(model.head.parameters()), "lr": schedule.head_learning_rate}]
    if pretrained:
        groups.append({"params": pretrained, "lr": schedule.learning_rate})
    return torch.optim.AdamW(groups, weight_decay=_WEIGHT_DECAY, fused=True)


def _rise_and_fall(step: int, steps: int) -> float:
    """Give the share of the highest learning rate: up over the first tenth, then down to zero."""
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return max(0.0, (steps - step) / max(1, steps - warm_up))
