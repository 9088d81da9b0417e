"""The figures of the section on putting a model to work."""

import pandas as pd
from matplotlib.axes import Axes

from companion.plots.style import axes_or_new, colour, named

__all__ = ["drift_ratios", "latencies"]

_HATCHES = ("", "//", "..", "xx")


def drift_ratios(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how far streams of texts lie from the reference, by their thresholds.

    Args:
        table: A row a stream, a column a feature: the divergence divided by its threshold.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    width = 0.8 / len(table.columns)
    for number, feature in enumerate(table):
        places = [row + (number + 0.5) * width - 0.4 for row in range(len(table))]
        style = {"color": colour(number), "hatch": _HATCHES[number % 4], "edgecolor": "white"}
        ax.barh(places, table[feature].clip(lower=0.05), width, label=str(feature), **style)
    ax.axvline(1, color="black", linestyle="--", linewidth=1)
    ax.set_xscale("log")
    ax.set_yticks(range(len(table)), [str(name) for name in table.index])
    ax.invert_yaxis()
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=len(table.columns))
    title = "How far the texts lie from the reference"
    return named(ax, title, "divergence / threshold", "stream of texts")


def latencies(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw percentiles of the latency against the number of clients.

    Args:
        table: A row a number of clients, a column a percentile, in milliseconds.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    for number, name in enumerate(table):
        ax.plot(
            table.index,
            table[name],
            marker="osD"[number % 3],
            color=colour(number),
            label=str(name),
        )
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(table.index, [str(clients) for clients in table.index])
    ax.legend()
    return named(ax, "Latency under load", "clients that ask at a time", "milliseconds")
