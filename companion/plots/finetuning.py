"""The figures of the fine-tuning section."""

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from companion.plots.style import axes_or_new, colour, named

__all__ = ["accuracy_by_labels", "task_curves"]

_MARKERS = "os^DvP"
_ERRORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


def task_curves(
    histories: Mapping[str, pd.DataFrame], task: str, title: str, ax: Axes | None = None
) -> Axes:
    """Draw one task by epoch, a line a way of training, from histories with the column ``task``."""
    ax = axes_or_new(ax)
    for number, (name, history) in enumerate(histories.items()):
        ax.plot(
            history.index,
            history[task],
            marker=_MARKERS[number % len(_MARKERS)],
            color=colour(number),
            label=name,
        )
    ax.set_ylim(0, 1.03)
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    return named(ax, title, "epoch", "share right")


def accuracy_by_labels(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share that is wrong against the labelled documents of each class, both as logs.

    Args:
        table: A row a method and size: ``method``, ``documents`` (each class), ``accuracy``,
            ``lowest`` and ``highest`` over the seeds.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    for number, (method, rows) in enumerate(table.groupby("method", sort=False)):
        place = rows["documents"] * 1.04 ** (number - 2)  # side by side, so that bars do not cover
        ax.errorbar(
            place,
            1 - rows["accuracy"],
            yerr=[rows["highest"] - rows["accuracy"], rows["accuracy"] - rows["lowest"]],
            marker=_MARKERS[number % len(_MARKERS)],
            color=colour(number),
            capsize=3,
            label=str(method),
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    sizes = sorted(set(table["documents"]))
    ax.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
    ax.set_yticks(_ERRORS, [f"{error:.0%}" for error in _ERRORS])
    ax.minorticks_off()
    ax.legend()
    return named(
        ax,
        "What labels are worth",
        "labelled documents of each class (log scale)",
        "share wrong (log scale)",
    )
