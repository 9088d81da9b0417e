"""The experiments of the chapter on scale, on small data where the outcome is known."""

import numpy as np
import pandas as pd

from companion.classifier.corpus import Splits
from companion.concepts.experiments import (
    headlines_of,
    learning_rate_runs,
    noise_runs,
    shift_runs,
    typo_runs,
)


def test_a_headline_is_the_first_line() -> None:
    frame = pd.DataFrame({"text": ["Bank rises\n\nShares rose."], "label": ["money"]})
    assert headlines_of(frame)["text"].tolist() == ["Bank rises"]
    assert frame["text"][0].startswith("Bank rises\n")


def test_the_shift_table_trains_on_one_kind_and_tests_on_both(splits: Splits) -> None:
    table = shift_runs(splits)
    assert table.index.tolist() == table.columns.tolist() == ["articles", "headlines"]
    assert table.loc["articles", "articles"] > 0.9


def test_swapped_letters_cost_accuracy(splits: Splits) -> None:
    table = typo_runs(splits, shares=(0.0, 0.9), seeds=(0,)).set_index("share")["accuracy"]
    assert table[0.0] > 0.9
    assert table[0.9] < table[0.0] - 0.2


def test_wrong_labels_cost_accuracy(splits: Splits) -> None:
    table = noise_runs(splits, shares=(0.0, 0.8), seeds=(0, 1))
    means = table.groupby("share")["accuracy"].mean()
    assert len(table) == 4
    assert means[0.0] > 0.9
    assert means[0.8] < 0.6


def test_a_rate_that_is_far_too_small_learns_nothing() -> None:
    ids = np.tile(np.arange(4), 500)
    table = learning_rate_runs(ids, ids[:400], rates=(1e-6, 1e-2), seeds=(0,), steps=40)
    loss = table.set_index("learning_rate")["loss"]
    assert loss[1e-2] < loss[1e-6] - 0.5
