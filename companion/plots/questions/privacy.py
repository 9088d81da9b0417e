"""Figures of the privacy section.

Explained in :doc:`/questions/privacy`.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from companion.plots.style import axes_or_new, colour, named

__all__ = ["rebuilt_digits", "rounds"]


def rebuilt_digits(images: Mapping[str, NDArray[np.float32]]) -> NDArray[np.object_]:
    """Draw digits as they were and as they were rebuilt from a gradient.

    Args:
        images: A row of ``(columns, 8, 8)`` images by its name.

    Returns:
        ``(rows, columns)`` axes.
    """
    columns = len(next(iter(images.values())))
    size = (1.5 * columns, 1.7 * len(images))
    axes: NDArray[np.object_] = plt.subplots(len(images), columns, figsize=size, squeeze=False)[1]
    for row, (name, each) in zip(axes, images.items(), strict=True):
        for ax, image in zip(row, each, strict=True):
            ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
        row[0].set_title(name, loc="left")
    return axes


def rounds(accuracies: Mapping[str, NDArray[np.float64]], ax: Axes | None = None) -> Axes:
    """Draw the accuracy against the round, with the range over the seeds.

    Args:
        accuracies: ``(seeds, rounds)`` by the name of the line.
        ax: Where to draw; new axes if None.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    marks = "os^D"
    for number, (name, runs) in enumerate(accuracies.items()):
        x = np.arange(1, runs.shape[1] + 1)
        ax.plot(x, runs.mean(axis=0), marker=marks[number % 4], color=colour(number), label=name)
        low, high = runs.min(axis=0), runs.max(axis=0)
        ax.fill_between(x, low, high, color=colour(number), alpha=0.2)
    ax.legend(title="clients")
    return named(ax, "Federated averaging", "round", "accuracy on test documents")
