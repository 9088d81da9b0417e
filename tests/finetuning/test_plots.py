"""The figures of the section draw what they are given."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from companion.plots.finetuning import accuracy_by_labels, task_curves


@pytest.fixture(autouse=True)
def headless() -> None:
    plt.switch_backend("Agg")


def test_a_line_a_way_of_training() -> None:
    histories = {
        "head": pd.DataFrame({"old_task": [0.9, 0.9]}),
        "full": pd.DataFrame({"old_task": [0.9, 0.4]}),
    }
    _, ax = plt.subplots()
    assert task_curves(histories, "old_task", "Old task", ax) is ax
    assert [line.get_label() for line in ax.lines] == ["head", "full"]
    assert list(ax.lines[1].get_ydata()) == [0.9, 0.4]
    assert (ax.get_title(), ax.get_xlabel()) == ("Old task", "epoch")
    plt.close("all")


def test_a_bar_from_the_lowest_to_the_highest_seed() -> None:
    table = pd.DataFrame(
        {
            "method": ["LSTM", "LSTM"],
            "documents": [20, 100],
            "accuracy": [0.5, 0.9],
            "lowest": [0.3, 0.85],
            "highest": [0.6, 0.95],
        }
    )
    ax = accuracy_by_labels(table)
    bars = ax.collections[0].get_segments()
    assert [segment[:, 1].round(6).tolist() for segment in bars] == [[0.4, 0.7], [0.05, 0.15]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["20", "100"]
    assert ax.get_title()
    plt.close("all")
