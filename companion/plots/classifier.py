"""The figures of the project chapter."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from companion.classifier.text import tokenize
from companion.plots.style import axes_or_new, colour, named

__all__ = [
    "answer_and_effects",
    "class_counts",
    "confusion_heatmap",
    "document_lengths",
    "failure_ladder",
    "learning_curves",
    "memory_curves",
    "padding_amnesia",
    "reliability_diagram",
    "speedup_curves",
    "token_boxes",
]


def class_counts(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the number of documents of each ``label``."""
    ax = axes_or_new(ax)
    order = frame["label"].value_counts().index
    sns.countplot(data=frame, y="label", order=order, color=colour(0), ax=ax)
    ax.bar_label(ax.containers[0])  # type: ignore[arg-type]
    return named(ax, "Documents of each class", "documents", "")


def document_lengths(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share of documents whose ``text`` has at most so many tokens, by ``label``."""
    ax = axes_or_new(ax)
    lengths = frame.assign(tokens=[len(tokenize(text)) for text in frame["text"]])
    sns.ecdfplot(data=lengths, x="tokens", hue="label", log_scale=True, ax=ax)
    return named(
        ax, "How long the documents are", "tokens (log scale)", "share that is at most so long"
    )


def learning_curves(history: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the losses by epoch, from the ``history`` of a training run, and mark the best epoch.

    The axis goes from zero to a multiple of a half: runs that differ in the last digits share it.
    """
    ax = axes_or_new(ax)
    losses = history[["training_loss", "validation_loss"]].rename(
        columns=lambda name: name.replace("_", " ")
    )
    sns.lineplot(data=losses, markers=True, ax=ax)
    best = int(history["validation_loss"].to_numpy().argmin())
    ax.axvline(
        history.index[best],
        color="black",
        linestyle=":",
        linewidth=1,
        label="lowest validation loss",
    )
    ax.legend()
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    ax.set_ylim(0, np.floor(2 * losses.to_numpy().max() + 1) / 2)
    return named(ax, "Loss by epoch", "epoch", "cross-entropy (nats)")


def confusion_heatmap(confusion: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix: rows are the true classes, columns the predicted ones."""
    ax = axes_or_new(ax)
    sns.heatmap(confusion, annot=True, fmt="d", cmap="Blues", cbar=False, linewidths=1, ax=ax)
    return named(ax, "Confusion matrix (documents)", "predicted class", "true class")


def reliability_diagram(calibration: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the accuracy against the confidence by bin, from an evaluation's ``calibration``."""
    ax = axes_or_new(ax)
    ax.plot([0, 1], [0, 1], color="grey", linestyle="--", label="perfect calibration")
    sizes = 30 + 400 * calibration["documents"] / calibration["documents"].sum()
    ax.scatter(
        calibration["confidence"], calibration["accuracy"], s=sizes, color=colour(0), label="model"
    )
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02))
    ax.legend(loc="upper left")
    return named(ax, "Is 90 % sure right nine times in ten?", "mean confidence", "share right")


def token_boxes(rows: Mapping[str, Sequence[str]], ax: Axes | None = None) -> Axes:
    """Draw rows of tokens as boxes, from :func:`~companion.classifier.listing.cleanings`.

    The row "the listing" has a colour of its own.
    """
    ax = axes_or_new(ax)
    longest = max(_row_of_boxes(ax, -height, *row) for height, row in enumerate(rows.items()))
    middles = [0.35 - height for height in range(len(rows))]
    ax.set(xlim=(0, longest), ylim=(0.8 - len(rows), 0.9), xticks=[], yticks=middles)
    ax.set_yticklabels(list(rows))
    ax.grid(visible=False)
    sns.despine(ax=ax, left=True, bottom=True)
    return named(ax, "What each cleaning leaves", "", "")


def _row_of_boxes(ax: Axes, bottom: float, name: str, tokens: Sequence[str]) -> float:
    """Draw one row of boxes and give its right end."""
    left = 0.0
    shade = colour(1 if name == "the listing" else 0)
    for token in tokens:
        width = 0.55 + 0.3 * len(token)
        ax.add_patch(mpl.patches.Rectangle((left, bottom), width, 0.7, color=shade, alpha=0.35))
        ax.text(left + width / 2, bottom + 0.35, token, ha="center", va="center", fontsize=9)
        left += width + 0.12
    return left


def padding_amnesia(spread: pd.DataFrame, ax: Axes | None = None, floor: float = 1e-8) -> Axes:
    """Draw how the spread of the scores falls with the padding, one line for each way to read.

    Args:
        spread: From :func:`~companion.classifier.listing.padding_amnesia`.
        ax: Where to draw.
        floor: What is smaller is rounding, and is drawn here.
    """
    ax = axes_or_new(ax)
    for number, (name, values) in enumerate(spread.clip(lower=floor).items()):
        ax.plot(
            spread.index, values, marker="os^"[number % 3], color=colour(1 - number), label=name
        )
    ax.set(yscale="log", ylim=(floor / 2, max(1.0, float(spread.to_numpy().max()))))
    ax.legend()
    return named(
        ax,
        "What is left of different texts",
        "padding after the longest document (tokens)",
        "spread of the first score (logits)",
    )


def failure_ladder(ladder: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the errors that a reader meets, each at the stage of the program where it comes.

    Args:
        ladder: From :meth:`companion.classifier.listing.Ladder.table`.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    stages, where = list(ladder["stage"].cat.categories), ladder["stage"].cat.codes
    shades = [colour(3 if stage == "test" else 0) for stage in ladder["stage"]]
    ax.plot(where, ladder.index, color="grey", linewidth=1, zorder=1)
    ax.scatter(where, ladder.index, s=60, c=shades, zorder=2)
    for height, place, name in zip(ladder.index, where, ladder["name"], strict=True):
        _beside(ax, (place, height), name, on_the_left=place >= len(stages) - 2)
    ax.set(xticks=range(len(stages)), yticks=ladder.index, xlim=(-0.4, len(stages) - 0.6))
    ax.set_xticklabels(stages)
    ax.set_yticklabels(ladder["rung"])
    return named(ax, "The ladder of failures", "stage of the program", "rung")


def _beside(ax: Axes, place: tuple[int, int], text: str, *, on_the_left: bool) -> None:
    """Write beside a point, on white, so that lines do not cross the words."""
    ax.annotate(
        text,
        place,
        xytext=(-9 if on_the_left else 9, 0),
        textcoords="offset points",
        ha="right" if on_the_left else "left",
        va="center",
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )


def answer_and_effects(probabilities: pd.Series, effects: pd.Series) -> Axes:
    """Draw the answer to one text, and what each of its words does to it.

    Args:
        probabilities: The probability of each class, by its name.
        effects: How far the probability of the answer falls without each word, by the word.

    Returns:
        The axes of the effects, in a new figure.
    """
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), width_ratios=[1, 1.2])
    named(left, "The answer", "probability", "").barh(
        range(len(probabilities)), probabilities, color=colour(0)
    )
    left.set(xlim=(0, 1), yticks=range(len(probabilities)), yticklabels=probabilities.index)
    right.barh(range(len(effects)), effects, color=colour(1))
    right.set(yticks=range(len(effects)), yticklabels=effects.index)
    for ax in (left, right):
        ax.invert_yaxis()
    return named(right, "Without this word it falls by", "probability", "")


def speedup_curves(curves: Mapping[str, "pd.Series[float]"], ax: Axes | None = None) -> Axes:
    """Draw speed-ups by the number of processes, a line a case, and where the ideal would be."""
    ax = axes_or_new(ax)
    for name, curve in curves.items():
        ax.plot(curve.index, curve, marker="o", label=name)
    processes = next(iter(curves.values())).index
    ax.plot(processes, processes, color="black", linestyle=":", label="ideal")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:g}"))
    ax.legend()
    return named(ax, "How much faster a step is", "processes", "times as fast as one process")


def memory_curves(sizes: pd.DataFrame, machine: float, ax: Axes | None = None) -> Axes:
    """Draw gigabytes by the number of documents, a line a column, and what the machine has."""
    ax = axes_or_new(ax)
    sns.lineplot(data=sizes, markers=True, dashes=False, ax=ax)
    ax.axhline(machine, color="black", linestyle=":", label=f"the machine: {machine:g} GB")
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(sizes.index, [f"{documents:,}" for documents in sizes.index])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:g}"))
    ax.legend()
    return named(ax, "Memory and disk of a training", "documents", "GB")
