"""A pretrained encoder with a new head, and which of its parameters are trained.

Explained in :doc:`/training/finetuning`, "Change the head" and "Reinitialise".
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from companion.classifier.batches import batches_by_length
from companion.errors import DataError, MissingPackageError

__all__ = [
    "METHODS",
    "EncoderClassifier",
    "choose_trained",
    "count_parameters",
    "embed_documents",
    "reinitialise",
]

METHODS = ("frozen", "head", "top", "full", "lora")


class EncoderClassifier(nn.Module):
    """A BERT encoder, the mean of its token vectors, and a linear head.

    Args:
        encoder: The pretrained encoder of the BERT family.
        classes: How many logits the head gives.
        dropout: The share of the features that is dropped in training.
    """

    def __init__(self, encoder: nn.Module, classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(encoder.config.hidden_size), classes)  # type: ignore[union-attr, arg-type]
        self.train(encoder.training)  # else a later train() would turn the encoder's dropout on

    def embed(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Give each document one vector of length 1: the mean of its tokens' vectors.

        Args:
            token_ids: ``(batch, time)`` int64, padded on the right.
            lengths: ``(batch,)`` int64, the tokens before the padding.

        Returns:
            ``(batch, hidden)``.
        """
        steps = torch.arange(token_ids.shape[1], device=token_ids.device)
        mask = steps < lengths.to(token_ids.device)[:, None]  # (batch, time)
        states = self.encoder(input_ids=token_ids, attention_mask=mask.long()).last_hidden_state
        mean = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return nn.functional.normalize(mean, dim=1)

    def classify(self, embeddings: Tensor) -> Tensor:
        """Score the classes from ``(batch, hidden)`` vectors: ``(batch, classes)`` logits."""
        # A number in a unit vector is about 1/√hidden; the head trains best on numbers near 1.
        return self.head(self.dropout(embeddings * math.sqrt(embeddings.shape[1])))  # type: ignore[no-any-return]

    def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Score the classes of each document: ``(batch, classes)`` logits."""
        return self.classify(self.embed(token_ids, lengths))


def choose_trained(
    model: EncoderClassifier, method: str, *, top_layers: int = 2, rank: int = 8
) -> None:
    """Decide which parameters a training may change; for ``lora``, add them.

    Args:
        model: The model; its ``requires_grad`` flags are set, and for ``lora`` its attention
            layers are wrapped.
        method: ``frozen`` or ``head``: the head alone; ``top``: the head and the last
            ``top_layers`` layers; ``full``: all; ``lora``: the head and two thin matrices beside
            each query and value projection.
        top_layers: How many layers ``top`` trains.
        rank: The columns of LoRA's thin matrices.

    Raises:
        DataError: If there is no such method, or the encoder has fewer layers.
        MissingPackageError: If ``lora`` is asked for and ``peft`` is not installed.
    """
    if method not in METHODS:
        raise DataError(f"method is {method!r}; choose one of {', '.join(METHODS)}")
    model.requires_grad_(method == "full")
    if method == "top":
        for layer in _last_layers(model, top_layers):
            layer.requires_grad_(True)
    elif method == "lora":
        _add_lora(model.encoder, rank)
    model.head.requires_grad_(True)


def reinitialise(model: EncoderClassifier, layers: int) -> None:
    """Give the last layers of the encoder fresh random weights, as before the pretraining.

    Args:
        model: The model, changed in place.
        layers: How many layers, counted from the head.

    Raises:
        DataError: If the encoder has fewer layers.
    """
    spread = float(model.encoder.config.initializer_range)  # type: ignore[union-attr, arg-type]
    for layer in _last_layers(model, layers):
        for module in layer.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=spread)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()


def count_parameters(model: nn.Module, *, trained_only: bool = False) -> int:
    """Count the numbers in a model, or those that training changes."""
    return sum(
        parameter.numel()
        for parameter in model.parameters()
        if parameter.requires_grad or not trained_only
    )


def embed_documents(
    model: EncoderClassifier, documents: Sequence[Sequence[int]], *, batch_size: int = 32
) -> NDArray[np.float32]:
    """Embed documents that are token ids already, in batches, without dropout.

    Args:
        model: The model; the head is not used.
        documents: The token ids of each document.
        batch_size: How many are read at once; it changes the speed and not the vectors.

    Returns:
        ``(documents, hidden)`` vectors of length 1, in the order of the documents.
    """
    device = model.head.weight.device
    embeddings = np.empty((len(documents), model.head.in_features), dtype=np.float32)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for batch in batches_by_length(documents, batch_size):
                vectors = model.embed(batch.token_ids.to(device), batch.lengths.to(device))
                embeddings[np.asarray(batch.rows)] = vectors.cpu().numpy()
    finally:
        model.train(was_training)
    return embeddings


def _last_layers(model: EncoderClassifier, count: int) -> Sequence[nn.Module]:
    layers = list(model.encoder.encoder.layer)  # type: ignore[union-attr, arg-type]
    if not 0 <= count <= len(layers):
        raise DataError(
            f"{count} layers asked for; the encoder has {len(layers)}: "
            f"choose a number from 0 to {len(layers)}"
        )
    return layers[len(layers) - count :]


def _add_lora(encoder: nn.Module, rank: int) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingPackageError("LoRA needs the package peft: pip install peft") from error
    configuration = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=["query", "value"])
    inject_adapter_in_model(configuration, encoder)
