"""The figures of the section on medicine, speech and games."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from numpy.typing import NDArray

from companion.plots.style import axes_or_new, colour, named

__all__ = ["decision_curves", "level", "speech_alignment"]

TILE_COLOURS = ("#4d4d4d", "#f2f2f2", "#56b4e9", "#e69f00")


def decision_curves(curves: dict[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw the net benefit of each model over the threshold, beside treating all and nobody."""
    ax = axes_or_new(ax)
    for number, (name, curve) in enumerate(curves.items()):
        ax.plot(curve["threshold"], curve["model"], color=colour(number), label=name)
    everybody = next(iter(curves.values()))
    ax.plot(everybody["threshold"], everybody["everybody"], "k--", label="treat everybody")
    ax.axhline(0, color="grey", linestyle=":", label="treat nobody")
    ax.set_ylim(-0.05, 0.42)
    ax.legend(loc="lower left")
    return named(
        ax, "Is the model worth following?", "threshold of the probability", "net benefit a person"
    )


def speech_alignment(
    features: NDArray[np.float64],
    probabilities: NDArray[np.float64],
    names: tuple[str, ...],
    axes: tuple[Axes, Axes],
    *,
    seconds: float,
) -> None:
    """Draw a spectrogram above the network's probabilities of the words over time.

    Args:
        features: ``(frames, bands)``.
        probabilities: ``(frames, 1 + words)``; class 0 is the blank.
        names: The words.
        axes: Where to draw both.
        seconds: The length of a frame.
    """
    above, below = axes
    end = len(features) * seconds
    above.imshow(
        features.T,
        origin="lower",
        aspect="auto",
        cmap="viridis",
        extent=(0, end, 0, features.shape[1]),
    )
    above.grid(visible=False)
    named(above, "What the network hears", "time (s)", "mel band")
    times = np.arange(len(probabilities)) * seconds
    said = [place for place in range(1, len(names) + 1) if probabilities[:, place].max() > 0.5]
    for number, place in enumerate(said):
        below.plot(times, probabilities[:, place], color=colour(number), label=names[place - 1])
    below.plot(times, probabilities[:, 0], color="grey", linestyle=":", label="blank")
    below.set_xlim(0, end)
    below.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    named(below, "What it says", "time (s)", "probability")


def level(
    tiles: NDArray[np.int64], title: str, ax: Axes | None = None, *, key: bool = False
) -> Axes:
    """Draw a level: walls, floor, start and goal.

    Args:
        tiles: ``(rows, columns)`` of 0 wall, 1 floor, 2 start, 3 goal.
        title: What stands above it.
        ax: Where to draw.
        key: Whether to explain the colours.
    """
    ax = axes_or_new(ax)
    ax.imshow(np.pad(tiles, 1), cmap=ListedColormap(TILE_COLOURS), vmin=0, vmax=3)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.set_title(title)
    if key:
        names = ("wall", "floor", "start", "goal")
        patches = [
            Patch(facecolor=each, edgecolor="black", label=name)
            for each, name in zip(TILE_COLOURS, names, strict=True)
        ]
        ax.figure.legend(handles=patches, loc="lower center", ncols=4)
    return ax
