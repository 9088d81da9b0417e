"""The figures of the chapter on large models."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from numpy.typing import ArrayLike

from companion.concepts.economics import MonthlyCost
from companion.concepts.scale import PowerLaw
from companion.plots.style import axes_or_new, colour, named

__all__ = [
    "architecture",
    "attention_map",
    "attention_mask",
    "monthly_costs",
    "parameter_axis",
    "scaling_law",
    "spread",
]

_BOXES = {
    "encoder": [
        ("tokens", "all of a text"),
        ("attention", "both ways"),
        ("network", "each token"),
        ("head", "a class, or a hidden token"),
    ],
    "decoder": [
        ("tokens", "what is there so far"),
        ("attention", "only backwards"),
        ("network", "each token"),
        ("head", "the next token"),
    ],
    "source": [
        ("source", "all of it"),
        ("attention", "both ways"),
        ("network", "each token"),
    ],
    "target": [
        ("target", "what is there so far"),
        ("attention", "only backwards"),
        ("attention", "to the source"),
        ("network", "each token"),
        ("head", "the next token"),
    ],
}


def parameter_axis(systems: pd.DataFrame, threshold: float, ax: Axes | None = None) -> Axes:
    """Draw systems on a logarithmic axis of parameters, and the line from which they are large.

    Args:
        systems: As :func:`companion.concepts.sizes.named_systems_table` gives them.
        threshold: Where the line is.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    places = np.arange(len(systems))[::-1]
    for basis, marker, number in [("counted", "o", 0), ("published", "s", 1)]:
        chosen = (systems["basis"] == basis).to_numpy()
        if chosen.any():
            ax.plot(
                systems["parameters"][chosen],
                places[chosen],
                marker,
                color=colour(number),
                markersize=8,
                label=basis,
            )
    ax.axvline(threshold, color="black", linestyle="--", linewidth=1)
    ax.axvspan(threshold, 1e12, color="grey", alpha=0.15, label="“large” in the article")
    ax.set(xscale="log", xlim=(1e6, 1e12), yticks=places, yticklabels=list(systems.index))
    ax.legend(loc="lower right", fontsize=9)
    return named(
        ax, "How large are the systems that the article names?", "parameters (log scale)", ""
    )


def architecture(
    kind: Literal["encoder", "decoder", "encoder-decoder"], ax: Axes | None = None
) -> Axes:
    """Draw the blocks of an architecture, the tokens at the bottom and the output at the top."""
    ax = axes_or_new(ax)
    ax.set(xlim=(0, 10.4), ylim=(0, 10))
    ax.axis("off")
    if kind == "encoder-decoder":
        _column(ax, _BOXES["source"], 2.2, 4, color=0)
        heights = _column(ax, _BOXES["target"], 7.2, 4, color=1)
        _arrow(ax, (4.27, heights[2]), (5.13, heights[2]))
        _loop(ax, heights, 9.25)
        ax.set_title("Encoder-decoder: translation")
    else:
        heights = _column(ax, _BOXES[kind], 4.6, 8, color=0 if kind == "encoder" else 1)
        if kind == "decoder":
            _loop(ax, heights, 8.65)
        titles = {"encoder": "Encoder-only: BERT, MiniLM", "decoder": "Decoder-only: GPT-3"}
        ax.set_title(titles[kind])
    return ax


def _column(
    ax: Axes, boxes: list[tuple[str, str]], middle: float, width: float, color: int
) -> list[float]:
    """Draw boxes above each other, joined by arrows; give the heights of their middles."""
    step = 2.05
    heights = [1.0 + step * number for number in range(len(boxes))]
    last_repeated = len(boxes) - 1 if boxes[-1][0] == "head" else len(boxes)
    for number, ((name, detail), height) in enumerate(zip(boxes, heights, strict=True)):
        inside = 1 <= number < last_repeated
        face = (*colour(color)[:3], 0.3) if inside else (1.0, 1.0, 1.0, 1.0)
        ax.add_patch(
            FancyBboxPatch(
                (middle - width / 2, height - 0.6),
                width,
                1.2,
                boxstyle="round,pad=0.05",
                facecolor=face,
                edgecolor="black",
            )
        )
        ax.text(middle, height + 0.22, name, ha="center", va="center", weight="bold", fontsize=10)
        ax.text(middle, height - 0.27, detail, ha="center", va="center", fontsize=9)
        if number:
            _arrow(ax, (middle, heights[number - 1] + 0.65), (middle, height - 0.68))
    return heights


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "black", "shrinkA": 0})


def _loop(ax: Axes, heights: list[float], edge: float) -> None:
    """Draw the way of the new token from the top box round to the right edge of the lowest."""
    top, bottom, outside = heights[-1], heights[0], edge + 0.55
    ax.plot([edge, outside, outside], [top, top, bottom], color="black", linestyle="--")
    _arrow(ax, (outside, bottom), (edge, bottom))
    ax.text(outside + 0.1, (top + bottom) / 2, "append", rotation=270, va="center", fontsize=9)


def attention_mask(
    mask: ArrayLike,
    rows: str = "this token …",
    columns: str = "… may look at",
    ax: Axes | None = None,
) -> Axes:
    """Draw a mask: a filled square where a token (row) may look at another (column)."""
    ax = axes_or_new(ax)
    allowed = np.asarray(mask, dtype=float)
    ax.imshow(allowed, cmap="Blues", vmin=0, vmax=1.4)
    for edge in range(allowed.shape[0] + 1):
        ax.axhline(edge - 0.5, color="white", linewidth=2)
    for edge in range(allowed.shape[1] + 1):
        ax.axvline(edge - 0.5, color="white", linewidth=2)
    ax.set(
        xticks=range(allowed.shape[1]),
        yticks=range(allowed.shape[0]),
        xticklabels=range(1, allowed.shape[1] + 1),
        yticklabels=range(1, allowed.shape[0] + 1),
    )
    ax.grid(visible=False)
    return named(ax, "", columns, rows)


def attention_map(weights: ArrayLike, text: str, ax: Axes | None = None) -> Axes:
    """Draw ``(time, time)`` attention weights: which character (row) looks at which (column)."""
    ax = axes_or_new(ax)
    image = ax.imshow(np.asarray(weights), cmap="viridis", vmin=0, vmax=1)
    letters = [letter.replace(" ", "␣") for letter in text]
    ax.set_xticks(range(len(text)), letters, fontsize=9)
    ax.set_yticks(range(len(text)), letters, fontsize=9)
    ax.grid(visible=False)
    ax.figure.colorbar(image, ax=ax, label="weight")
    return named(ax, "Where a head looks", "at this character", "this character looks")


def scaling_law(
    runs: pd.DataFrame, law: PowerLaw, held_back: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the ``loss`` of runs against their ``parameters``, and the line fitted to them."""
    ax = axes_or_new(ax)
    ax.plot(runs["parameters"], runs["loss"], "o", color=colour(0), label="runs, fitted")
    largest = law.largest
    if held_back is not None:
        ax.plot(
            held_back["parameters"],
            held_back["loss"],
            "s",
            color=colour(1),
            label="runs, held back",
        )
        largest = float(held_back["parameters"].max())
    fitted = np.geomspace(law.smallest, law.largest, 50)
    ax.plot(fitted, [law(x) for x in fitted], color="black", label="power law")
    beyond = np.geomspace(law.largest, largest, 20)
    ax.plot(beyond, [law(x) for x in beyond], color="black", linestyle=":", label="beyond the fit")
    ax.set(xscale="log", yscale="log")
    ax.yaxis.set_major_formatter("{x:.1f}")
    ax.yaxis.set_minor_formatter("{x:.1f}")
    ax.legend(fontsize=9)
    return named(
        ax, "Loss against size", "parameters (log scale)", "held-out loss (nats a character)"
    )


def spread(
    runs: pd.DataFrame, x: str, y: str, by: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw each run as a point, and a line through the means at each ``x``."""
    ax = axes_or_new(ax)
    groups = runs.groupby(by) if by else [("", runs)]
    for number, (name, group) in enumerate(groups):
        mean = group.groupby(x)[y].mean()
        ax.plot(mean.index, mean, color=colour(number), label=str(name))
        ax.plot(group[x], group[y], "o^s"[number % 3], color=colour(number), alpha=0.6)
    if by:
        ax.legend(title=by)
    return ax


def monthly_costs(
    ways: list[MonthlyCost], most: float, meeting: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the cost of a month against its requests, and mark where two ways meet."""
    ax = axes_or_new(ax)
    requests = np.linspace(0, most, 50)
    for number, way in enumerate(ways):
        ax.plot(
            requests,
            [way.at(x) for x in requests],
            color=colour(number),
            label=way.name,
            linestyle=["-", "--", "-."][number % 3],
        )
    if meeting is not None and meeting <= most:
        ax.axvline(meeting, color="black", linestyle=":", linewidth=1, label="same cost")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:,.0f}")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.set(xlim=(0, most), ylim=(0, None))
    ax.legend()
    return named(
        ax, "What a month costs", "thousand requests a month", "cost a month (your currency)"
    )
