"""The figures of the applications chapter show what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from companion.plots.applications import fields, finance, language, recommendation, vision


@pytest.fixture(autouse=True)
def headless() -> None:
    plt.switch_backend("Agg")


def test_the_cheapest_threshold_is_marked() -> None:
    curve = pd.DataFrame({"threshold": [0.0, 0.5, 1.0], "cost": [3.0, 1.0, 2.0]})
    ax = finance.cost_curves({"model": curve})
    assert ax.lines[1].get_xdata()[0] == 0.5
    assert ax.get_legend().get_texts()[0].get_text() == "model"


def test_default_rates_have_their_intervals() -> None:
    table = pd.DataFrame({"predicted": [0.1], "actual": [0.2], "low": [0.1], "high": [0.4]})
    ax = finance.default_rates(table)
    (bar,) = ax.containers[0].lines[2]
    assert bar.get_segments()[0][:, 1].tolist() == pytest.approx([0.1, 0.4])


def test_the_best_of_the_past_stands_apart() -> None:
    past, future = pd.Series({"a": 0.1, "b": 0.9}), pd.Series({"a": 0.5, "b": 0.2})
    ax = finance.past_and_future(past, future, (0.0, 0.7))
    assert ax.lines[0].get_xydata().tolist() == [[0.9, 0.2]]
    assert ax.lines[1].get_xydata().tolist() == [[0.0, 0.7]]


def test_equity_compounds() -> None:
    days = pd.date_range("2020-01-01", periods=2)
    ax = finance.equity(pd.DataFrame({"rule": [0.1, 0.1]}, index=days), days[1])
    assert ax.lines[0].get_ydata()[-1] == pytest.approx(1.21)
    assert ax.get_yscale() == "log"


def test_the_long_tail_begins_with_the_most_liked() -> None:
    ax = recommendation.long_tail([1, 5, 3])
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == 5
    assert ax.get_xlabel() == "films, the most liked first"


def test_a_line_for_each_recommender() -> None:
    table = pd.DataFrame({"popularity": [0.1, 0.1], "item-item": [0.05, 0.2]}, index=[1, 20])
    ax = recommendation.known_likes(table)
    assert [line.get_label() for line in ax.lines] == ["popularity", "item-item"]
    assert ax.lines[1].get_ydata().tolist() == [0.05, 0.2]


def test_the_attention_map_names_chinese_characters_in_english() -> None:
    ax = language.attention_map(np.eye(2), "ab", "年1")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["year", "1"]
    np.testing.assert_array_equal(ax.images[0].get_array(), np.eye(2))


def test_the_next_characters_are_in_order() -> None:
    ax = language.next_characters(pd.DataFrame({"cold": [0.1, 0.7, 0.2]}), first=2)
    assert ax.lines[0].get_ydata().tolist() == [0.7, 0.2]


def test_decision_curves_show_all_nobody_and_the_model() -> None:
    curve = pd.DataFrame({"threshold": [0.1, 0.5], "model": [0.3, 0.2], "everybody": [0.3, -0.2]})
    ax = fields.decision_curves({"logistic": curve})
    assert [line.get_label() for line in ax.lines] == [
        "logistic",
        "treat everybody",
        "treat nobody",
    ]


def test_the_words_that_are_said_are_drawn() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]])
    _, axes = plt.subplots(2)
    fields.speech_alignment(
        np.ones((2, 4)), probabilities, ("one", "two"), tuple(axes), seconds=0.1
    )
    assert [line.get_label() for line in axes[1].lines] == ["one", "blank"]


def test_a_level_stands_within_walls() -> None:
    ax = fields.level(np.array([[2, 3]]), "level", key=True)
    assert ax.images[0].get_array().shape == (3, 4)
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()][2] == "start"


def test_photographs_carry_their_answers() -> None:
    answers = pd.DataFrame({"photograph": ["cat"], "answer": ["tabby"], "probability": [0.5]})
    figure = vision.photo_answers({"cat": np.zeros((4, 6, 3), dtype=np.uint8)}, answers)
    assert figure.axes[0].get_title() == "tabby  50%"


def test_boxes_are_drawn_on_scenes() -> None:
    images = [np.zeros((8, 8))] * 4
    marks = [[((1.0, 2.0, 5.0, 6.0), 0, "disc")], [], [], []]
    figure = vision.scenes(images, marks, list("abcd"))
    (box,) = figure.axes[0].patches
    assert (box.get_width(), box.get_height()) == (4.0, 4.0)
    assert figure.axes[0].texts[0].get_text() == "disc"


def test_samples_and_classes_are_drawn() -> None:
    figure = vision.sample_rows({"made": -np.ones((3, 64))}, each=2)
    assert figure.axes[0].images[0].get_array().shape == (10, 20)
    figure = vision.class_bars({"made": np.arange(10)})
    assert figure.axes[0].patches[9].get_height() == pytest.approx(9 / 45)
