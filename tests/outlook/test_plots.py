"""The figures of the outlook chapter show what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from companion.plots import outlook


@pytest.fixture(autouse=True)
def headless() -> None:
    plt.switch_backend("Agg")


def test_the_valley_names_what_was_read() -> None:
    runs = pd.DataFrame(
        {"parameters": [10, 10, 100], "characters": [9000, 9000, 900], "loss": [2.0, 4.0, 5.0]}
    )
    ax = outlook.compute_valley(runs)
    assert ax.lines[0].get_ydata().tolist() == [3.0, 5.0]
    assert [text.get_text() for text in ax.texts] == ["9k", "1k"]


def test_curves_go_through_the_means() -> None:
    runs = pd.DataFrame({"x": [0, 0, 1], "y": [0.0, 1.0, 2.0], "g": ["a", "a", "a"]})
    ax = outlook.curves(runs, "x", "y", "g", title="t", x_name="x")
    assert ax.lines[0].get_ydata().tolist() == [0.5, 2.0]


def test_errors_have_a_line_each() -> None:
    ax = outlook.context_errors(pd.DataFrame({"a": [1.0, 0.1], "b": [1.0, 0.5]}), "t")
    assert ax.get_yscale() == "log"
    assert [line.get_label() for line in ax.lines] == ["a", "b"]


def test_a_point_a_group() -> None:
    runs = pd.DataFrame({"x": [0.0, 2.0], "y": [1.0, 3.0], "g": ["a", "a"]})
    ax = outlook.trade_off(runs, "x", "y", "g")
    assert ax.containers[0].lines[0].get_xydata().tolist() == [[1.0, 2.0]]


def test_pictures_stand_under_their_captions() -> None:
    _, axes = plt.subplots(1, 2)
    outlook.shape_grid(np.zeros((2, 3, 4, 4), dtype=np.float32), ["a", "b"], axes)
    assert [ax.get_title() for ax in axes] == ["a", "b"]
