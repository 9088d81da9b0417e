"""The figures of the section on recommendation."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from companion.plots.style import axes_or_new, colour, named

__all__ = ["known_likes", "long_tail"]


def long_tail(likes: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw how many likes each item has, the most liked first."""
    ax = axes_or_new(ax)
    counts = np.sort(np.asarray(likes))[::-1]
    ax.fill_between(np.arange(1, len(counts) + 1), counts, color=colour(0), alpha=0.7)
    return named(ax, "A few films have most of the likes", "films, the most liked first", "likes")


def known_likes(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the recall over the number of known likes, a line a column."""
    ax = axes_or_new(ax)
    for number, name in enumerate(table):
        style = {"marker": "osD^"[number % 4], "color": colour(number)}
        ax.plot(table.index, table[name], label=name, **style)
    ax.set_xscale("log")
    ax.set_xticks(table.index, [str(count) for count in table.index])
    ax.set_ylim(bottom=0)
    ax.legend()
    return named(ax, "New users", "likes that are known of a new user", "recall among ten")
