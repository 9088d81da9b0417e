"""The figures of tools and compute show what they are given."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from companion.plots.questions.compute import claim_and_time, memory_bars, published_against_ours
from companion.plots.tools import lengths_by_section, lengths_histogram
from companion.questions.compute import TrainingMemory
from companion.questions.published import hours_table


@pytest.fixture(autouse=True)
def closed() -> None:
    plt.close("all")


def test_every_run_is_a_point() -> None:
    hours = hours_table()
    ax = published_against_ours(hours)
    points = sum(len(line.get_xdata()) for line in ax.lines[1:])
    assert points == len(hours)
    assert ax.get_title() == "13 training runs"
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_bars_are_as_long_as_the_memory() -> None:
    ax = memory_bars({"a": TrainingMemory(1e9, 2e9, 3e9, 4e9)}, limit=5e9)
    assert [patch.get_width() for patch in ax.patches] == [1, 2, 3, 4]
    assert max(patch.get_x() + patch.get_width() for patch in ax.patches) == 10
    assert ax.lines[0].get_xdata()[0] == 5
    assert not memory_bars({"a": TrainingMemory(1, 1, 1, 1)}).lines


def test_the_claim_is_drawn_where_the_article_puts_it() -> None:
    ax = claim_and_time([100, 1000], {"one": [10, 1], "two": [20, 2]})
    assert [line.get_label() for line in ax.lines] == ["one", "two"]
    corners = ax.collections[0].get_paths()[0].vertices
    assert (corners[:, 0].min(), corners[:, 1].min()) == (8 * 2000, 14)


def test_lengths() -> None:
    words = pd.Series([100, 120, 300, 800])
    ax = lengths_histogram(words)
    assert sum(patch.get_height() for patch in ax.patches) == 4
    assert ax.lines[0].get_xdata()[0] == words.median()
    table = pd.DataFrame({"words": words, "label": ["long", "long", "short", "long"]})
    table.loc[2, "words"] = 10
    ax = lengths_by_section(table)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["short", "long"]
