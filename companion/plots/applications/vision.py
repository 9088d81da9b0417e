"""The figures of the section on vision."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from companion.plots.style import colour, named

__all__ = ["class_bars", "photo_answers", "sample_rows", "scenes"]


def photo_answers(photos: Mapping[str, NDArray[np.uint8]], answers: pd.DataFrame) -> Figure:
    """Draw photographs in rows of three, the answers of a network above each.

    Args:
        photos: ``(height, width, 3)`` by name.
        answers: Columns ``photograph``, ``answer`` and ``probability``.
    """
    rows = -(-len(photos) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(7.5, 3 * rows), layout="constrained")
    for ax, (name, photo) in zip(axes.flat, photos.items(), strict=False):
        side, height, width = min(photo.shape[:2]), *photo.shape[:2]
        top, left = (height - side) // 2, (width - side) // 2
        ax.imshow(photo[top : top + side, left : left + side])
        mine = answers[answers["photograph"] == name]
        lines = [
            f"{answer}  {probability:.0%}"
            for answer, probability in zip(mine["answer"], mine["probability"], strict=True)
        ]
        ax.set_title("\n".join(lines), fontsize="medium")
    for ax in axes.flat:
        ax.set_axis_off()
    return figure


def scenes(
    images: Sequence[ArrayLike],
    boxes: Sequence[Sequence[tuple[Sequence[float], int, str]]],
    titles: Sequence[str],
) -> Figure:
    """Draw scenes in rows of four with boxes on them.

    Args:
        images: ``(height, width)`` each.
        boxes: For each image: left, top, right and bottom, the number of a colour, and a word.
        titles: One an image.
    """
    rows = -(-len(images) // 4)
    figure, axes = plt.subplots(rows, 4, figsize=(10, 2.8 * rows), layout="constrained")
    for ax, image, marks, title in zip(axes.flat, images, boxes, titles, strict=True):
        ax.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=1)
        for (left, top, right, bottom), number, word in marks:
            corner, size = (left - 0.5, top - 0.5), (right - left, bottom - top)
            edge = colour((1, 2, 4)[number])
            ax.add_patch(Rectangle(corner, *size, fill=False, edgecolor=edge, linewidth=2))
            ax.text(
                left, max(top, 5), word, color="white", fontsize=7, backgroundcolor=(0, 0, 0, 0.6)
            )
        ax.set_title(title, fontsize="medium")
        ax.set_axis_off()
    return figure


def sample_rows(samples: Mapping[str, ArrayLike], each: int = 16) -> Figure:
    """Draw the first images of each generator, a row each.

    Args:
        samples: ``(count, 64)`` by name, from -1 (paper) to 1 (ink).
        each: Images a row.
    """
    figure, axes = plt.subplots(
        len(samples), 1, figsize=(9, 0.95 * len(samples)), layout="constrained", squeeze=False
    )
    for ax, (name, images) in zip(axes[:, 0], samples.items(), strict=True):
        tiles = np.asarray(images)[:each].reshape(-1, 8, 8)
        padded = np.pad(tiles, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
        ax.imshow(np.concatenate(list(padded), axis=1), cmap="gray_r", vmin=-1, vmax=1)
        ax.set_title(name, fontsize="medium", loc="left")
        ax.set_axis_off()
    return figure


def class_bars(counts: Mapping[str, ArrayLike]) -> Figure:
    """Draw how often each digit is made, a panel a generator, beside an equal share."""
    figure, axes = plt.subplots(
        1, len(counts), figsize=(9, 3), sharey=True, layout="constrained", squeeze=False
    )
    for number, (ax, (name, count)) in enumerate(zip(axes[0], counts.items(), strict=True)):
        shares = np.asarray(count) / np.sum(np.asarray(count))
        _bars(ax, shares, number, name)
    axes[0, 0].set_ylabel("share of the images")
    return figure


def _bars(ax: Axes, shares: NDArray[np.floating], number: int, name: str) -> None:
    """Draw the shares of the ten digits, and where all would be equal."""
    ax.bar(np.arange(10), shares, color=colour(number))
    ax.axhline(0.1, color="black", linestyle=":", linewidth=1)
    ax.set_xticks(np.arange(10))
    named(ax, name, "digit", "")
