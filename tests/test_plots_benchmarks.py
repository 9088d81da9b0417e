"""The figures of the benchmark page draw what they are given, on the axes they are given."""

import matplotlib.pyplot as plt
import pandas as pd

from companion.plots import benchmarks as plots


def test_each_method_is_a_point_at_its_cost_and_accuracy() -> None:
    plt.switch_backend("Agg")
    table = pd.DataFrame(
        {"title": ["a", "b"], "corpus": ["x", "x"], "accuracy": [0.9, 0.8], "log_cost": [0.0, 2.0]}
    )
    _, ax = plt.subplots()
    assert plots.accuracy_against_cost(table, ax=ax) is ax
    assert ax.collections[0].get_offsets().tolist() == [[1.0, 0.9], [100.0, 0.8]]  # type: ignore[union-attr]
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel()
    assert plots.accuracy_against_cost(table) is not ax
    plt.close("all")


def test_a_bar_is_as_long_as_its_share() -> None:
    plt.switch_backend("Agg")
    shares = pd.DataFrame({"small": [0.25, 0.75], "large": [0.1, 0.9]}, index=["batches", "LSTM"])
    ax = plots.time_shares(shares)
    widths = [patch.get_width() for patch in ax.containers[0]]
    assert widths == [0.25, 0.75]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["batches", "LSTM"]
    assert ax.get_xlabel()
    plt.close("all")
