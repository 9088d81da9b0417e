"""The figures of the training chapter."""

from collections.abc import Callable, Mapping

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from companion.plots.style import axes_or_new, named

__all__ = [
    "batch_heatmap",
    "descent_paths",
    "loss_by_learning_rate",
    "losses_by_step",
    "schedule_shapes",
    "signals_by_layer",
    "two_accuracies",
]

Array = npt.NDArray[np.float64]


def two_accuracies(frame: pd.DataFrame, title: str, x: str, ax: Axes | None = None) -> Axes:
    """Draw two accuracies over a count, each as a mean with the spread over the seeds.

    Args:
        frame: The count, then ``seed``, then the two accuracies, named as the legend names them.
        title: The title.
        x: What is counted.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    count, seed = frame.columns[:2]
    long = frame.melt([count, seed], var_name="scored", value_name="accuracy")
    sns.lineplot(
        data=long,
        x=count,
        y="accuracy",
        hue="scored",
        style="scored",
        markers=True,
        errorbar=("pi", 100),
        ax=ax,
    )
    ax.set_xscale("log")
    ax.set_xticks(values := sorted(frame[count].unique()), [str(value) for value in values])
    ax.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    ax.get_legend().set_title("")  # type: ignore[union-attr]
    return named(ax, title, f"{x} (log scale)", "share right")


def signals_by_layer(
    signals: Mapping[str, pd.Series], title: str, y: str, ax: Axes | None = None
) -> Axes:
    """Draw a measure of the signal in each layer, a line a scheme, on a log axis.

    A scheme whose signal is zero everywhere has no place on a log axis and is left out.
    """
    ax = axes_or_new(ax)
    shown = pd.DataFrame({name: series for name, series in signals.items() if (series > 0).any()})
    sns.lineplot(data=shown, markers=True, ax=ax)
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    return named(ax, title, "hidden layer", y)


def losses_by_step(
    losses: Mapping[str, Array], title: str, y: str = "loss (log scale)", ax: Axes | None = None
) -> Axes:
    """Draw losses over the steps, a line each, on a log axis."""
    ax = axes_or_new(ax)
    sns.lineplot(data=pd.DataFrame(dict(losses)), ax=ax)
    ax.set_yscale("log")
    return named(ax, title, "step", y)


def descent_paths(
    curvatures: tuple[float, float], paths: Mapping[str, Array], ax: Axes | None = None
) -> Axes:
    """Draw paths over the contour lines of the bowl ½(c₁w₁² + c₂w₂²).

    Args:
        curvatures: c₁ and c₂.
        paths: ``(points, 2)`` each.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    points = np.concatenate(list(paths.values()))
    reach = 1.1 * np.abs(points).max(axis=0)
    first, second = np.meshgrid(*(np.linspace(-size, size, 200) for size in reach))
    bowl = 0.5 * (curvatures[0] * first**2 + curvatures[1] * second**2)
    start = 0.5 * float(np.dot(curvatures, points[0] ** 2))
    ax.contour(first, second, bowl, levels=start * np.geomspace(1e-3, 4, 9), colors="lightgrey")
    for (name, path), marker in zip(paths.items(), "osD^", strict=False):
        ax.plot(*path.T, marker=marker, markersize=3, linewidth=1, label=name)
    ax.plot(0, 0, "k*", markersize=12, label="lowest point")
    ax.legend(loc="upper right")
    return named(ax, "The way down a narrow valley", "$w_1$", "$w_2$")


def loss_by_learning_rate(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the loss over the learning rate, a line an optimiser, with the spread over seeds.

    Args:
        frame: The columns ``optimiser``, ``learning rate``, ``loss``.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    sns.lineplot(
        data=frame,
        x="learning rate",
        y="loss",
        hue="optimiser",
        style="optimiser",
        markers=True,
        errorbar=("pi", 100),
        ax=ax,
    )
    ax.set(xscale="log", yscale="log")
    return named(
        ax,
        "What a learning rate is worth",
        "learning rate (log scale)",
        "validation loss (nats, log scale)",
    )


def schedule_shapes(
    schedules: Mapping[str, Callable[[float], float]], ax: Axes | None = None
) -> Axes:
    """Draw the factor of the learning rate over the progress of a run, a line a schedule."""
    ax = axes_or_new(ax)
    progress = np.linspace(0, 1, 201)
    shapes = {name: [factor(x) for x in progress] for name, factor in schedules.items()}
    sns.lineplot(data=pd.DataFrame(shapes, index=100 * progress), ax=ax)
    return named(ax, "Three schedules", "steps done (%)", "share of the highest learning rate")


def batch_heatmap(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the mean loss for each batch size and learning rate, with its number in each cell.

    Args:
        frame: The columns ``batch size``, ``learning rate``, ``loss``.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    table = frame.pivot_table(index="batch size", columns="learning rate", values="loss")
    sns.heatmap(
        table, annot=True, fmt=".2f", cmap="viridis_r", norm=mpl.colors.LogNorm(), cbar=False, ax=ax
    )
    return named(ax, "Validation loss after ten epochs (nats)", "learning rate", "batch size")
