"""The figures of the section on compute."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from companion.plots.style import axes_or_new, colour, named
from companion.questions.compute import TrainingMemory

__all__ = ["claim_and_time", "memory_bars", "published_against_ours"]


def published_against_ours(hours: pd.DataFrame, factor: float = 2, ax: Axes | None = None) -> Axes:
    """Draw predicted against published accelerator hours, with a band of a factor.

    Args:
        hours: As :func:`companion.questions.published.hours_table` gives it.
        factor: The half width of the band.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    ends = np.array([hours["published"].min() / 2, hours["published"].max() * 2])
    ax.plot(ends, ends, color="black", linewidth=1, label="as published")
    ax.fill_between(
        ends, ends / factor, ends * factor, color="grey", alpha=0.2, label=f"factor {factor:g}"
    )
    for number, (name, group) in enumerate(hours.groupby("accelerator")):
        ax.plot(
            group["published"],
            group["ours"],
            "os^D"[number % 4],
            color=colour(number),
            markersize=8,
            label=str(name),
        )
    ax.set(xscale="log", yscale="log")
    ax.legend(fontsize=9)
    return named(
        ax,
        f"{len(hours)} training runs",
        "published accelerator hours",
        "predicted accelerator hours",
    )


def memory_bars(
    cases: Mapping[str, TrainingMemory], limit: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw what fills the memory, a bar a case.

    Args:
        cases: The memory by name.
        limit: The bytes of one accelerator, drawn as a line.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    names, left = list(cases), np.zeros(len(cases))
    for number, part in enumerate(("weights", "gradients", "optimizer", "activations")):
        sizes = np.array([getattr(each, part) / 1e9 for each in cases.values()])
        ax.barh(names, sizes, left=left, color=colour(number), label=part)
        left = left + sizes
    if limit is not None:
        ax.axvline(limit / 1e9, color="black", linestyle="--", linewidth=1, label="one accelerator")
    ax.invert_yaxis()
    ax.legend(fontsize=9, loc="lower right")
    return named(ax, "What training keeps in memory", "GB", "")


def claim_and_time(
    counts: Sequence[int], days: Mapping[str, Sequence[float]], ax: Axes | None = None
) -> Axes:
    """Draw the days of a run against the accelerators, and what the article claims.

    Args:
        counts: The numbers of accelerators.
        days: The days at each, by the name of the accelerator.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    for number, (name, values) in enumerate(days.items()):
        ax.plot(counts, values, "-", color=colour(number), label=name)
    ax.fill_between(
        [8 * 2000, 8 * 9999], 14, 180, color=colour(3), alpha=0.25, label="the article's claim"
    )
    ax.set(xscale="log", yscale="log", xlim=(min(counts), max(counts)))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_major_formatter("{x:,g}")
    ax.legend(fontsize=9)
    return named(ax, "How long GPT-3 takes", "GPUs (log scale)", "days (log scale)")
