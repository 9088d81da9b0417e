"""The figures of the section on putting a model to work draw what they are given."""

import matplotlib as mpl
import pandas as pd
import pytest

from companion.plots.service import drift_ratios, latencies

mpl.use("Agg")


def test_bars_of_drift_stand_at_their_ratios_by_a_line_at_one() -> None:
    table = pd.DataFrame({"length": [0.5, 4.0], "classes": [0.0, 2.0]}, index=["same", "other"])
    ax = drift_ratios(table)
    widths = [patch.get_width() for patch in ax.patches]
    assert widths == [0.5, 4.0, 0.05, 2.0]
    assert ax.lines[0].get_xdata() == [1, 1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["same", "other"]
    assert ax.get_xscale() == "log"


def test_a_line_a_percentile() -> None:
    table = pd.DataFrame({"50th": [1.0, 2.0], "99th": [3.0, 9.0]}, index=[1, 64])
    ax = latencies(table)
    assert [line.get_label() for line in ax.lines] == ["50th", "99th"]
    assert ax.lines[1].get_ydata().tolist() == pytest.approx([3.0, 9.0])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "64"]
