"""The figures of the outlook chapter."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from companion.plots.style import axes_or_new, colour, named

__all__ = [
    "compute_valley",
    "context_errors",
    "curves",
    "shape_grid",
    "trade_off",
]

_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", ":", "-.")


def compute_valley(runs: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the loss of models of several sizes that were trained with the same computing.

    Args:
        runs: As :func:`companion.outlook.scaling.equal_compute_runs` gives them.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    means = runs.groupby("parameters")["loss"].mean()
    ax.plot(means.index, means, color=colour(0))
    ax.plot(runs["parameters"], runs["loss"], "o", color=colour(0), alpha=0.6)
    texts = runs.groupby("parameters")["characters"].first()
    for size, characters, loss in zip(texts.index, texts, means, strict=True):
        ax.annotate(
            f"{characters / 1000:.0f}k",
            (size, loss),
            xytext=(0, 12),
            textcoords="offset points",
            ha="center",
        )
    ax.set(xscale="log", ylim=(means.min() - 0.1, means.max() + 0.15))
    return named(
        ax,
        "One budget, four ways to spend it (labels: characters read)",
        "parameters (log scale)",
        "held-out loss (nats a character)",
    )


def shape_grid(
    pictures: NDArray[np.float32], titles: Sequence[str], axes: NDArray[np.object_]
) -> None:
    """Draw small pictures beside each other, each under its caption.

    Args:
        pictures: ``(count, 3, height, width)``.
        titles: One a picture.
        axes: As many axes.
    """
    for picture, title, ax in zip(pictures, titles, axes.ravel(), strict=True):
        ax.imshow(np.clip(picture.transpose(1, 2, 0), 0, 1))
        ax.set_title(title, fontsize=10)
        ax.axis("off")


def context_errors(errors: pd.DataFrame, title: str, ax: Axes | None = None) -> Axes:
    """Draw the error of each predictor over the number of examples it has seen.

    Args:
        errors: As :func:`companion.outlook.adaptation.in_context_errors` gives them.
        title: What stands above.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    for number, name in enumerate(errors.columns):
        ax.plot(
            errors.index,
            errors[name],
            color=colour(number),
            marker=_MARKERS[number],
            linestyle=_LINES[number],
            label=name,
        )
    ax.set(yscale="log")
    ax.legend()
    return named(ax, title, "examples seen in the prompt", "mean squared error (log scale)")


def curves(
    runs: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    ax: Axes | None = None,
    *,
    title: str,
    x_name: str,
    y_name: str = "accuracy",
) -> Axes:
    """Draw a line a group through the means of its runs, and the range of the runs behind it.

    Args:
        runs: The columns ``x``, ``y`` and ``by``, with several rows for each x.
        x: A column.
        y: A column.
        by: The column of the groups.
        ax: Where to draw.
        title: What stands above.
        x_name: The name of the horizontal axis.
        y_name: That of the vertical one.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    for number, (name, group) in enumerate(runs.groupby(by, sort=False)):
        values = group.groupby(x)[y]
        means = values.mean()
        ax.fill_between(
            means.index, values.min(), values.max(), color=colour(number), alpha=0.2, linewidth=0
        )
        ax.plot(
            means.index,
            means,
            color=colour(number),
            marker=_MARKERS[number],
            linestyle=_LINES[number % len(_LINES)],
            label=name,
        )
    ax.legend(fontsize=9)
    return named(ax, title, x_name, y_name)


def trade_off(runs: pd.DataFrame, x: str, y: str, by: str, ax: Axes | None = None) -> Axes:
    """Draw a point a group at its mean, with the spread of its runs in both directions.

    Args:
        runs: The columns ``x``, ``y`` and ``by``.
        x: A column; its name is that of the axis.
        y: A column.
        by: The column of the groups.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    for number, (name, group) in enumerate(runs.groupby(by, sort=False)):
        ax.errorbar(
            group[x].mean(),
            group[y].mean(),
            xerr=group[x].std(),
            yerr=group[y].std(),
            color=colour(number),
            marker=_MARKERS[number],
            markersize=8,
            linestyle="none",
            label=name,
        )
    ax.legend(fontsize=9)
    return named(ax, "What it costs to be more equal", x, y)
