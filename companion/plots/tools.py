"""The figures of the tools chapter: the same data by Matplotlib and by seaborn."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from companion.plots.style import axes_or_new, colour, named

__all__ = ["lengths_by_section", "lengths_histogram"]


def lengths_histogram(words: pd.Series, ax: Axes | None = None) -> Axes:
    """Draw how long documents are, with Matplotlib alone.

    Args:
        words: The number of words of each document.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    ax.hist(words, bins=np.arange(0, 1050, 50).tolist(), color=colour(0), edgecolor="white")
    ax.axvline(float(words.median()), color="black", linestyle="--", label="median")
    ax.legend()
    return named(ax, "How long are the articles?", "words", "articles")


def lengths_by_section(documents: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the lengths of each section, with seaborn.

    Args:
        documents: The columns ``words`` and ``label``.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    order = documents.groupby("label")["words"].median().sort_values().index
    sns.boxplot(
        documents, x="words", y="label", order=list(order), color=colour(0), showfliers=False, ax=ax
    )
    return named(ax, "How long are the articles of each section?", "words", "")
