"""The figures of the project chapter."""

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from companion.classifier.text import tokenize
from companion.plots.style import axes_or_new, colour, named

__all__ = [
    "class_counts",
    "confusion_heatmap",
    "document_lengths",
    "learning_curves",
    "reliability_diagram",
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
    """Draw the losses by epoch, from the ``history`` of a training run, and mark the best epoch."""
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
