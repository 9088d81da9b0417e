"""The figures of the section on language."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from companion.plots.style import axes_or_new, colour, named

__all__ = ["attention_map", "next_characters"]

# DejaVu Sans, which Matplotlib carries, has no Chinese characters.
SPELLED = {
    "年": "year",
    "月": "month",
    "日": "day",
    "星": "week-",
    "期": "day:",
    "一": "one",
    "二": "two",
    "三": "three",
    "四": "four",
    "五": "five",
    "六": "six",
}


def attention_map(weights: ArrayLike, source: str, target: str, ax: Axes | None = None) -> Axes:
    """Draw where a translator looked when it wrote each character.

    Args:
        weights: ``(written characters, source characters)``.
        source: What it read.
        target: What it wrote; Chinese characters are named in English.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    ax.imshow(np.asarray(weights), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(source)), list(source))
    ax.set_yticks(range(len(target)), [SPELLED.get(character, character) for character in target])
    ax.grid(visible=False)
    return named(ax, "Where it looks", "character that was read", "character that it writes")


def next_characters(table: pd.DataFrame, first: int = 12, ax: Axes | None = None) -> Axes:
    """Draw the chances of the next character, a line a column, from the ``first`` most probable."""
    ax = axes_or_new(ax)
    for number, name in enumerate(table):
        ordered = np.sort(table[name].to_numpy())[::-1][:first]
        style = {"marker": "osD^"[number % 4], "color": colour(number), "markersize": 4}
        ax.plot(range(1, len(ordered) + 1), ordered, label=name, **style)
    ax.legend()
    return named(ax, "The next character", "rank of the character", "probability of being drawn")
