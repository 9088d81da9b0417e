"""The figures of the chapter draw what they are given."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from companion.concepts.economics import MonthlyCost
from companion.concepts.scale import fit_power_law
from companion.concepts.sizes import named_systems_table
from companion.concepts.transformer import causal_mask
from companion.plots import concepts


@pytest.fixture(autouse=True)
def headless() -> None:
    plt.switch_backend("Agg")


def test_each_named_system_is_a_point() -> None:
    table = named_systems_table()
    ax = concepts.parameter_axis(table, 1e9)
    drawn = [x for line in ax.lines[:2] for x in line.get_xdata()]
    assert sorted(drawn) == sorted(table["parameters"])
    plt.close("all")


@pytest.mark.parametrize(
    ("kind", "boxes"),
    [("encoder", 4), ("decoder", 4), ("encoder-decoder", 8)],
)
def test_the_boxes_of_an_architecture(kind, boxes) -> None:  # type: ignore[no-untyped-def]
    ax = concepts.architecture(kind)
    assert len(ax.patches) == boxes
    assert any(text.get_text() == "append" for text in ax.texts) == (kind != "encoder")
    plt.close("all")


def test_mask_map_law_spread_and_costs() -> None:
    _, ax = plt.subplots()
    assert concepts.attention_mask(causal_mask(4), ax=ax) is ax
    assert ax.images[0].get_array().sum() == 10
    assert concepts.attention_map(causal_mask(3).float(), "a b").get_title()
    runs = pd.DataFrame({"parameters": [10, 100], "loss": [2.0, 1.0]})
    law = fit_power_law([10, 100], [2.0, 1.0])
    assert len(concepts.scaling_law(runs, law, held_back=runs).lines) == 4
    assert len(concepts.spread(runs, "parameters", "loss").lines) == 2
    ways = [MonthlyCost("a", 0, 1), MonthlyCost("b", 5, 0)]
    assert concepts.monthly_costs(ways, 10, 5).lines[-1].get_xdata()[0] == 5
    plt.close("all")
