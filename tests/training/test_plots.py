"""The figures of the training chapter draw what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from companion.plots import training as plots

COUNTS = pd.DataFrame(
    {"n": [1, 1, 4, 4], "seed": [0, 1, 0, 1], "a": [0.5, 0.7, 0.8, 0.8], "b": 0.5}
)
RATES = pd.DataFrame(
    {"optimiser": ["x", "y"] * 2, "learning rate": [0.1, 0.1, 1, 1], "loss": [1, 2, 3, 4]}
)
BATCHES = pd.DataFrame(
    {"batch size": [8, 8, 16, 16], "learning rate": [1, 2, 1, 2], "loss": [0.1, 0.2, 0.3, 0.4]}
)
LAYERS = {"dead": pd.Series([0.0, 0.0]), "alive": pd.Series([1.0, 0.1])}
PATHS = {"path": np.array([[1.0, 1.0], [0.5, 0.2]])}


@pytest.fixture(autouse=True)
def headless() -> None:
    plt.switch_backend("Agg")


@pytest.mark.parametrize(
    ("draw", "arguments"),
    [
        (plots.two_accuracies, (COUNTS, "title", "counted")),
        (plots.signals_by_layer, (LAYERS, "title", "variance")),
        (plots.losses_by_step, ({"a": np.array([1.0, 0.1])}, "title")),
        (plots.descent_paths, ((1.0, 10.0), PATHS)),
        (plots.loss_by_learning_rate, (RATES,)),
        (plots.schedule_shapes, ({"line": lambda x: 1 - x},)),
        (plots.batch_heatmap, (BATCHES,)),
    ],
)
def test_every_plot_is_titled_and_named(draw, arguments) -> None:  # type: ignore[no-untyped-def]
    _, ax = plt.subplots()
    assert draw(*arguments, ax=ax) is ax
    assert ax.get_title()
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert draw(*arguments) is not ax
    plt.close("all")


def test_the_mean_over_the_seeds_is_drawn() -> None:
    ax = plots.two_accuracies(COUNTS, "title", "counted")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.6, 0.8])


def test_a_dead_signal_is_left_out() -> None:
    ax = plots.signals_by_layer(LAYERS, "title", "variance")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["alive"]


def test_the_path_is_the_path() -> None:
    ax = plots.descent_paths((1.0, 10.0), PATHS)
    (line,) = [line for line in ax.lines if line.get_label() == "path"]
    np.testing.assert_array_equal(line.get_xydata(), PATHS["path"])
