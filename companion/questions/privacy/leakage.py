"""What a gradient tells of the data that it was computed from.

Explained in :doc:`/questions/privacy`, "Gradients leak".
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from companion.classifier.batches import pad
from companion.classifier.inference import TextClassifier
from companion.classifier.text import tokenize
from companion.errors import DataError

__all__ = [
    "gradients",
    "invert_linear_layer",
    "match_gradients",
    "news_gradients",
    "words_in_gradient",
]

Gradients = dict[str, Tensor]


def gradients(model: nn.Module, loss: Tensor, *, noise: float = 0.0, seed: int = 0) -> Gradients:
    """Compute what a client would send, perhaps with noise.

    Args:
        model: The model.
        loss: Its loss, a scalar.
        noise: The standard deviation of the normal noise, as a share of the gradient's norm.
        seed: Fixes the noise.

    Returns:
        The gradient of each parameter, by its name.
    """
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters)
    norm = torch.cat([each.flatten() for each in found]).norm()
    generator = torch.Generator().manual_seed(seed)
    return {
        name: each + noise * norm * torch.randn(each.shape, generator=generator, dtype=each.dtype)
        for name, each in zip(names, found, strict=True)
    }


def news_gradients(
    classifier: TextClassifier, texts: Sequence[str], labels: Sequence[str], **noise: float
) -> Gradients:
    """Give the gradient of the news classifier for a batch of headlines.

    Args:
        classifier: The classifier.
        texts: The headlines.
        labels: Their classes.
        **noise: ``noise``, as in :func:`gradients`.

    Returns:
        The gradient of each parameter, by its name.
    """
    classifier.model.eval()
    documents = [classifier.vocabulary.encode(tokenize(text)) for text in texts]
    targets = torch.tensor([classifier.labels.index(label) for label in labels])
    loss: Tensor = functional.cross_entropy(classifier.model(*pad(documents)), targets)
    return gradients(classifier.model, loss, noise=noise.get("noise", 0.0))


def words_in_gradient(classifier: TextClassifier, found: Gradients) -> list[str]:
    """Read the words of a batch off the gradient of the embedding.

    A row of the embedding has a gradient only if its word was in the batch.

    Args:
        classifier: The classifier; whoever runs the training has it.
        found: The gradient that a client sent.

    Returns:
        The words, the largest rows first.
    """
    sizes = found["embedding.weight"].norm(dim=1)
    rows = torch.argsort(sizes, descending=True)[: int((sizes > 0).sum())]
    return classifier.vocabulary.decode(rows.tolist())


def invert_linear_layer(weight: Tensor, bias: Tensor) -> Tensor:
    r"""Give the input of a linear layer from its gradient, for a batch of one.

    With :math:`y = Wx + b` the gradients are :math:`\partial W = \delta x^\top` and
    :math:`\partial b = \delta`, so a row of the one divided by the number in the other is x.

    Args:
        weight: ``(outputs, inputs)`` the gradient of W.
        bias: ``(outputs,)`` the gradient of b.

    Returns:
        ``(inputs,)`` the input.

    Raises:
        DataError: If the gradient of b is zero everywhere.
    """
    row = int(bias.abs().argmax())
    if bias[row] == 0:
        raise DataError(
            "the gradient of the bias is zero: the layer learned nothing from the input"
        )
    return weight[row] / bias[row]


def match_gradients(
    model: nn.Module, found: Gradients, labels: Tensor, size: int, *, steps: int = 60, seed: int = 0
) -> NDArray[np.float32]:
    """Search inputs whose gradient is the one that was sent (deep leakage from gradients).

    Args:
        model: The model that the client was sent.
        found: What the client sent back.
        labels: ``(batch,)`` the classes; the attacker guesses or knows them.
        size: The length of an input.
        steps: Steps of L-BFGS, of up to twenty evaluations each.
        seed: Fixes the first guess.

    Returns:
        ``(batch, size)`` inputs.
    """
    generator = torch.Generator().manual_seed(seed)
    dtype = next(model.parameters()).dtype
    guess = torch.rand(len(labels), size, generator=generator, dtype=dtype).requires_grad_()
    optimizer = torch.optim.LBFGS([guess], line_search_fn="strong_wolfe")
    parameters, targets = list(model.parameters()), list(found.values())

    def distance() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(guess), labels)
        ours = torch.autograd.grad(loss, parameters, create_graph=True)
        apart: Tensor = torch.stack(
            [((a - b) ** 2).sum() for a, b in zip(ours, targets, strict=True)]
        ).sum()
        (guess.grad,) = torch.autograd.grad(apart * 1e4, guess)
        return apart.detach() * 1e4

    for _ in range(steps):
        optimizer.step(distance)  # type: ignore[no-untyped-call]
    return guess.detach().float().numpy()
