"""Figures of the section on explanations."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from companion.plots.style import axes_or_new, colour, named

__all__ = ["deletion_curves", "heat_over_picture"]


def deletion_curves(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how an answer's probability falls as words are taken out, a line a column."""
    ax = axes_or_new(ax)
    for number, (name, curve) in enumerate(curves.items()):
        ax.plot(curve.index, curve, marker="os"[number % 2], color=colour(number), label=str(name))
    ax.set(ylim=(0, 1), xticks=list(curves.index))
    ax.legend(title="words taken out")
    return named(ax, "Do the telling words matter?", "number of words", "probability of the answer")


def heat_over_picture(
    picture: NDArray[np.float32], heats: Mapping[str, NDArray[np.float32]]
) -> list[Axes]:
    """Draw a picture once for each class, with the outline of where the class is seen.

    Args:
        picture: ``(height, width, 3)`` from 0 to 1.
        heats: ``(height, width)`` from 0 to 1, by the name of the class.

    Returns:
        The axes, one a class. The lines stand at a quarter, a half and three quarters of the heat.
    """
    figure, axes = plt.subplots(1, len(heats), figsize=(4 * len(heats), 4.2), squeeze=False)
    for ax, (name, heat) in zip(axes[0], heats.items(), strict=True):
        ax.imshow(picture)
        ax.contour(heat, levels=[0.25, 0.5, 0.75], colors=["white", "black", "white"])
        ax.set(title=f"Where it sees: {name}", xticks=[], yticks=[])
    figure.set_layout_engine("tight")
    return list(axes[0])
