"""The figures of the section on fraud, credit and investment."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from companion.plots.style import axes_or_new, colour, named

__all__ = ["cost_curves", "default_rates", "equity", "past_and_future"]


def cost_curves(curves: dict[str, pd.DataFrame], ax: Axes | None = None) -> Axes:
    """Draw the cost of each threshold, a line for each name, and mark the cheapest."""
    ax = axes_or_new(ax)
    for number, (name, curve) in enumerate(curves.items()):
        best = curve.iloc[int(curve["cost"].argmin())]
        ax.plot(curve["threshold"], curve["cost"], color=colour(number), label=name)
        ax.plot(best["threshold"], best["cost"], "o", color=colour(number))
    ax.set_ylim(bottom=0)
    ax.legend()
    return named(ax, "What a threshold costs", "threshold of the probability", "cost a case")


def default_rates(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw predicted against actual shares of defaults: columns ``predicted``, ``actual``, ``low``
    and ``high``, a row a band of scores.
    """  # noqa: D205
    ax = axes_or_new(ax)
    top = float(table[["predicted", "high"]].max().max()) * 1.1
    ax.plot([0, top], [0, top], color="grey", linestyle="--", label="perfect calibration")
    spread = [table["actual"] - table["low"], table["high"] - table["actual"]]
    ax.errorbar(
        table["predicted"], table["actual"], yerr=spread, fmt="o", capsize=3, label="score bands"
    )
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend()
    return named(ax, "Does the score keep its promise?", "defaults predicted", "defaults seen")


def past_and_future(
    past: "pd.Series[float]",
    future: "pd.Series[float]",
    hold: tuple[float, float],
    ax: Axes | None = None,
) -> Axes:
    """Draw each strategy's Sharpe ratio in the first half against the second; mark the chosen one.

    Args:
        past: The ratio of each strategy in the first half.
        future: The same in the second.
        hold: Both ratios of holding the index.
        ax: Where to draw.
    """
    ax = axes_or_new(ax)
    best = int(past.argmax())
    ax.scatter(past, future, s=12, color=colour(0), alpha=0.6, label="462 strategies")
    ax.plot(past.iloc[best], future.iloc[best], "D", color=colour(3), label="the best of the past")
    ax.plot(*hold, "s", color="black", label="holding the index")
    ax.legend()
    return named(
        ax,
        "What became of 462 strategies",
        "Sharpe ratio 1999 to 2008",
        "Sharpe ratio 2009 to 2018",
    )


def equity(returns: pd.DataFrame, start_of_test: object, ax: Axes | None = None) -> Axes:
    """Draw what one dollar becomes, a line a column of daily returns, and where the test begins."""
    ax = axes_or_new(ax)
    worth = (1 + returns).cumprod()
    for number, name in enumerate(worth):
        ax.plot(worth.index, worth[name], color=colour(number), linewidth=1, label=name)
    ax.axvline(start_of_test, color="black", linestyle=":", linewidth=1)  # type: ignore[arg-type]
    ax.set_yscale("log")
    ax.legend()
    return named(
        ax, "One dollar, before and after the choice", "year", "worth (US dollars, log scale)"
    )
