"""Choosing on a test set."""

import numpy as np
import pandas as pd
import pytest

from companion.training.selection import candidate_answers, optimism


def noise(documents: int = 400) -> pd.DataFrame:
    """Words that say nothing about the labels: no classifier can be better than chance."""
    generator = np.random.default_rng(0)
    tokens = [list(generator.choice([f"w{i}" for i in range(1000)], 20)) for _ in range(documents)]
    return pd.DataFrame({"tokens": tokens, "label": generator.choice(["a", "b"], documents)})


def test_the_best_of_many_looks_good_where_nothing_can_be_learned() -> None:
    scores = optimism(noise(), counts=(1, 20), training=100, tuning=40, new_documents=200, seeds=8)
    means = scores.groupby("candidates").mean()
    assert means.loc[20, "on the tuned test set"] > 0.6
    assert means.loc[20, "on new documents"] == pytest.approx(0.5, abs=0.05)
    assert means.loc[1, "on the tuned test set"] == pytest.approx(0.5, abs=0.08)


def test_more_candidates_never_look_worse() -> None:
    scores = optimism(
        noise(), counts=(1, 5, 10), training=100, tuning=40, new_documents=50, seeds=3
    )
    tuned = scores.pivot_table("on the tuned test set", index="seed", columns="candidates")
    assert (tuned[5] >= tuned[1]).all()
    assert (tuned[10] >= tuned[5]).all()


def test_answers_are_right_or_wrong_by_label() -> None:
    frame = pd.DataFrame({"tokens": [["x"], ["y"]] * 10, "label": ["a", "b"] * 10})
    right = candidate_answers(frame, frame, candidates=3, words=2)
    assert right.shape == (3, 20)
    assert right.all()
    swapped = frame.assign(label=["b", "a"] * 10)
    assert not candidate_answers(frame, swapped, candidates=1, words=2).any()
