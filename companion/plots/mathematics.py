"""The figures of the mathematics chapter."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import NDArray

from companion.plots.style import axes_or_new, colour, named

__all__ = [
    "activation_and_derivative",
    "attention_heatmap",
    "contours_with_paths",
    "curves",
    "gates_over_time",
    "gradients_on_log_axis",
    "path_on_parabola",
]

Array = NDArray[np.float64]


def path_on_parabola(
    path: Array, minimum: float, curvature: float, title: str, ax: Axes | None = None
) -> Axes:
    """Draw the loss ½ · curvature · (w − minimum)² and the weights that a descent visited.

    Args:
        path: ``(steps + 1,)`` the weights.
        minimum: Where the loss is lowest.
        curvature: Its second derivative.
        title: What to write above.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    reach = 1.15 * float(np.abs(path - minimum).max()) or 1.0
    grid = np.linspace(minimum - reach, minimum + reach, 200)

    def loss(weight: Array) -> Array:
        return 0.5 * curvature * (weight - minimum) ** 2

    ax.plot(grid, loss(grid), color="grey")
    ax.axvline(minimum, color="grey", linestyle=":", linewidth=1)
    ax.plot(path, loss(path), "o-", color=colour(0), markersize=4, linewidth=1)
    ax.plot(path[0], loss(path[:1])[0], "s", color=colour(3), markersize=8)
    return named(ax, title, "weight", "loss")


def contours_with_paths(
    matrix: Array, minimum: Array, paths: dict[str, Array], ax: Axes | None = None
) -> Axes:
    """Draw the contours of a quadratic loss of two weights, and paths over them.

    Args:
        matrix: ``(2, 2)`` the second derivatives.
        minimum: ``(2,)`` where the loss is lowest.
        paths: ``(steps + 1, 2)`` the points, by name.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    points = np.concatenate([minimum[None], *paths.values()])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * (high - low)
    axes = [np.linspace(low[k] - margin[k], high[k] + margin[k], 120) for k in (0, 1)]
    grid = np.stack(np.meshgrid(*axes), axis=-1) - minimum
    loss = 0.5 * np.einsum("...i,ij,...j->...", grid, matrix, grid)
    ax.contour(*axes, loss, levels=loss.max() * np.geomspace(0.002, 1, 9), colors="lightgrey")
    for number, (name, path) in enumerate(paths.items()):
        marker = "os^D"[number % 4]
        ax.plot(*path.T, f"{marker}-", color=colour(number), label=name, markersize=4, linewidth=1)
    ax.plot(*minimum, "k*", markersize=12, label="minimum")
    ax.legend()
    return named(ax, "", "first weight", "second weight")


def activation_and_derivative(
    x: Array, values: Array, slopes: Array, title: str, ax: Axes | None = None
) -> Axes:
    """Draw an activation and its derivative over the same axis."""
    ax = axes_or_new(ax)
    ax.plot(x, values, color=colour(0), label="function")
    ax.plot(x, slopes, color=colour(1), linestyle="--", label="derivative")
    ax.set_ylim(-1.25, 2.25)
    return named(ax, title, "input", "output")


def curves(
    x: Array, lines: dict[str, Array], title: str, x_name: str, y_name: str, ax: Axes | None = None
) -> Axes:
    """Draw lines over one axis, each in a colour and a stroke of its own."""
    ax = axes_or_new(ax)
    strokes = ("-", "--", "-.", ":")
    for number, (name, values) in enumerate(lines.items()):
        ax.plot(x, values, color=colour(number), linestyle=strokes[number % 4], label=name)
    ax.legend()
    return named(ax, title, x_name, y_name)


def attention_heatmap(
    weights: Array, tokens: list[str], title: str, ax: Axes | None = None
) -> Axes:
    """Draw attention weights: a row for each query, a column for each key."""
    ax = axes_or_new(ax)
    frame = pd.DataFrame(weights, index=tokens, columns=tokens)
    sns.heatmap(
        frame, annot=True, fmt=".2f", cmap="Blues", vmin=0, vmax=1, cbar=False, square=True, ax=ax
    )
    ax.tick_params(axis="y", rotation=0)
    return named(ax, title, "key", "query")


def gates_over_time(rows: pd.DataFrame, title: str, ax: Axes | None = None) -> Axes:
    """Draw what an LSTM does at each step: a row for each quantity, a column for each step."""
    ax = axes_or_new(ax)
    sns.heatmap(
        rows, annot=True, fmt=".2f", cmap="PuOr", vmin=-1, vmax=1, cbar=False, linewidths=1, ax=ax
    )
    ax.tick_params(axis="y", rotation=0)
    return named(ax, title, "step", "")


def gradients_on_log_axis(
    lines: dict[str, Array], title: str, x_name: str, y_name: str, ax: Axes | None = None
) -> Axes:
    """Draw the lengths of gradients over a count from 0, on a logarithmic axis."""
    count = np.arange(max(map(len, lines.values())), dtype=np.float64)
    ax = curves(count, lines, title, x_name, y_name, ax)
    ax.set_yscale("log")
    return ax
