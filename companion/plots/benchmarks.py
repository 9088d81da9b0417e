"""The figures of the benchmark page."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from companion.plots.style import axes_or_new, colour, named

__all__ = ["PEERS", "accuracy_against_cost", "time_shares"]

PEERS = {
    "lstm": "our LSTM, recommended",
    "lstm_three": "three of ours, averaged",
    "listing": "the article's listing, least repair",
    "tutorial": "tutorial LSTM, packed",
    "keras": "Keras LSTM on torch",
    "tfidf_lr": "TF-IDF + logistic regression",
    "tfidf_svc": "TF-IDF + LinearSVC",
    "fasttext": "fastText, bigrams",
    "minilm_lr": "MiniLM + logistic regression",
    "minilm_tuned": "MiniLM, fine-tuned",
}


def accuracy_against_cost(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the accuracy of each method against the cost of its training.

    Args:
        table: The columns ``title``, ``corpus``, ``accuracy`` and ``log_cost``, the logarithm to
            base 10 of the CPU-seconds over those of the LSTM.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    points = table.assign(cost=10.0 ** table["log_cost"])
    sns.scatterplot(
        data=points, x="cost", y="accuracy", hue="title", style="corpus", s=90, ax=ax, legend="full"
    )
    ax.set_xscale("log")
    ax.axvline(1, color="black", linestyle=":", linewidth=1)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    return named(
        ax,
        "Accuracy against the cost of training",
        "CPU time of the training, in trainings of our LSTM (log scale)",
        "accuracy on the test documents",
    )


def time_shares(shares: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw where the time of a training goes.

    Args:
        shares: A row a part of the work, a column a network; each column adds up to 1.
        ax: Where to draw.

    Returns:
        The axes.
    """
    ax = axes_or_new(ax)
    long = shares.rename_axis("part").reset_index().melt("part", var_name="network")
    sns.barplot(
        data=long, y="part", x="value", hue="network", palette=[colour(0), colour(1)], ax=ax
    )
    return named(ax, "Where the time of an epoch goes", "share of the time", "")
