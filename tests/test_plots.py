"""The plots draw what they are given, on the axes they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from companion import plots
from companion.classifier.evaluation import evaluate_probabilities
from companion.classifier.listing import Ladder, cleanings
from companion.plots.classifier import answer_and_effects
from tests.conftest import news

EVALUATION = evaluate_probabilities(
    ["a", "b", "b", "a"], np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]]), ["a", "b"]
)
HISTORY = pd.DataFrame(
    {"training_loss": [1.0, 0.5, 0.3], "validation_loss": [1.1, 0.7, 0.8]},
    index=pd.Index([1, 2, 3], name="epoch"),
)
SPREAD = pd.DataFrame({"bad": [0.1, 1e-12], "good": [0.2, 0.2]}, index=[0, 40])


def climbed() -> pd.DataFrame:
    ladder = Ladder()
    ladder.add("data", lambda: {}["text"])
    ladder.add("test", lambda: 1 / 0, "nothing")
    return ladder.table()


@pytest.fixture(autouse=True)
def headless() -> None:
    plt.switch_backend("Agg")


@pytest.mark.parametrize(
    ("draw", "data"),
    [
        (plots.class_counts, news(5)),
        (plots.document_lengths, news(5)),
        (plots.learning_curves, HISTORY),
        (plots.confusion_heatmap, EVALUATION.confusion),
        (plots.reliability_diagram, EVALUATION.calibration),
        (plots.padding_amnesia, SPREAD),
        (plots.failure_ladder, climbed()),
    ],
)
def test_every_plot_is_titled_and_named(draw, data) -> None:  # type: ignore[no-untyped-def]
    _, ax = plt.subplots()
    assert draw(data, ax=ax) is ax
    assert ax.get_title()
    assert ax.get_xlabel()
    assert draw(data) is not ax
    plt.close("all")


def test_the_best_epoch_is_marked() -> None:
    ax = plots.learning_curves(HISTORY)
    assert ax.lines[-1].get_xdata()[0] == 2


def test_the_heatmap_shows_the_counts() -> None:
    ax = plots.confusion_heatmap(EVALUATION.confusion)
    assert [
        int(text.get_text()) for text in ax.texts
    ] == EVALUATION.confusion.to_numpy().ravel().tolist()


def test_the_style_is_opaque() -> None:
    with plt.rc_context():
        plots.use_style()
        assert to_rgb(plt.rcParams["savefig.facecolor"]) == (1, 1, 1)


def test_every_token_is_a_box() -> None:
    rows = cleanings("At last!")
    ax = plots.token_boxes(rows)
    assert [text.get_text() for text in ax.texts] == [
        token for row in rows.values() for token in row
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(rows)
    rights = [box.get_x() + box.get_width() for box in ax.patches]
    assert max(rights) <= ax.get_xlim()[1]
    assert ax.get_title()


def test_a_spread_below_the_floor_is_drawn_at_it() -> None:
    bad, good = plots.padding_amnesia(SPREAD, floor=1e-8).lines
    assert list(bad.get_ydata()) == [0.1, 1e-8]
    assert list(good.get_ydata()) == [0.2, 0.2]


def test_each_rung_stands_at_its_stage() -> None:
    ax = plots.failure_ladder(climbed())
    assert ax.lines[0].get_xdata().tolist() == [2, 7]
    assert [text.get_text() for text in ax.texts] == ["KeyError", "nothing"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["L01", "L02"]


def test_an_answer_and_its_words_are_bars() -> None:
    probabilities, effects = pd.Series([0.9, 0.1], ["a", "b"]), pd.Series([0.2, -0.1, 0], [*"xyx"])
    right = answer_and_effects(probabilities, effects)
    figure = right.get_figure()
    assert figure is not None
    left = figure.axes[0]
    assert [bar.get_width() for bar in left.patches] == [0.9, 0.1]
    assert [bar.get_width() for bar in right.patches] == [0.2, -0.1, 0]
    assert [label.get_text() for label in right.get_yticklabels()] == ["x", "y", "x"]
    assert left.get_title()
    assert right.get_title()
    plt.close("all")


def test_the_memory_is_drawn_against_what_the_machine_has() -> None:
    sizes = pd.DataFrame(
        {"memory": [0.1, 1.0], "files": [0.2, 2.0]}, index=pd.Index([1000, 10_000])
    )
    ax = plots.memory_curves(sizes, machine=24)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["memory", "files", "the machine: 24 GB"]
    assert ax.get_lines()[0].get_ydata().tolist() == [0.1, 1.0]
    assert ax.get_lines()[-1].get_ydata()[0] == 24
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
