"""The look that all figures of the book share."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes

__all__ = ["axes_or_new", "colour", "named", "use_style"]


def use_style() -> None:
    """Set the book's look: seaborn's white grid, colour-blind safe colours, an opaque ground."""
    sns.set_theme(style="whitegrid", palette="colorblind", context="notebook")
    mpl.rcParams.update({"figure.figsize": (7, 4), "figure.dpi": 100, "savefig.facecolor": "white"})
    mpl.rcParams.update({"figure.autolayout": True, "axes.titlesize": "medium"})


def axes_or_new(ax: Axes | None) -> Axes:
    """Give the axes of the caller, or those of a new figure."""
    return ax if ax is not None else plt.subplots()[1]


def colour(index: int) -> Any:
    """Give a colour of the book's colour-blind safe palette, counted from 0."""
    return sns.color_palette("colorblind")[index]


def named(ax: Axes, title: str, x: str, y: str) -> Axes:
    """Write the title and the names of both axes."""
    ax.set(title=title, xlabel=x, ylabel=y)
    return ax
