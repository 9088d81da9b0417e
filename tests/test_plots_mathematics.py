"""The figures of the mathematics chapter draw what they are given, on the axes they are given."""

from collections.abc import Callable
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from companion.plots import mathematics as plots

PATH = np.array([1.0, 2.5, 1.75])
LINES = {"a": np.array([1.0, 0.1, 0.01]), "b": np.array([1.0, 0.5, 0.2])}
FIGURES: list[Callable[..., Axes]] = [
    partial(plots.path_on_parabola, PATH, 2.0, 150.0, "title"),
    partial(plots.activation_and_derivative, PATH, PATH, PATH, "title"),
    partial(plots.curves, PATH, LINES, "title", "x", "y"),
    partial(plots.attention_heatmap, np.eye(2), ["a", "b"], "title"),
    partial(plots.gates_over_time, pd.DataFrame([[0.1, 0.9]], index=["input gate"]), "title"),
    partial(plots.gradients_on_log_axis, LINES, "title", "x", "y"),
    partial(
        plots.contours_with_paths, np.eye(2), np.zeros(2), {"a": np.array([[1.0, 2.0], [0, 1]])}
    ),
]


@pytest.fixture(autouse=True)
def headless() -> None:
    plt.switch_backend("Agg")


@pytest.mark.parametrize("draw", FIGURES, ids=lambda draw: draw.func.__name__)
def test_every_figure_is_named(draw: Callable[..., Axes]) -> None:
    _, ax = plt.subplots()
    assert draw(ax=ax) is ax
    assert ax.get_xlabel()
    assert draw() is not ax
    plt.close("all")


def test_the_path_lies_on_the_parabola() -> None:
    ax = plots.path_on_parabola(PATH, 2.0, 150.0, "title")
    x, y = ax.lines[2].get_data()
    np.testing.assert_allclose(x, PATH)
    np.testing.assert_allclose(y, [75.0, 18.75, 4.6875])
    plt.close("all")


def test_a_path_that_stays_can_be_drawn() -> None:
    ax = plots.path_on_parabola(np.ones(3), 1.0, 14.0, "title")
    assert ax.get_xlim()[0] < 1 < ax.get_xlim()[1]
    plt.close("all")


def test_gradients_have_a_logarithmic_axis() -> None:
    assert plots.gradients_on_log_axis(LINES, "title", "x", "y").get_yscale() == "log"
    plt.close("all")
