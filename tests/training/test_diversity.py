"""The draws of narrow and repeated training sets."""

import numpy as np
import pandas as pd
import pytest

from companion.errors import DataError
from companion.training.diversity import (
    assign_topics,
    choose_narrow,
    diversity_scores,
    repeat_few,
    with_tokens,
)

# Two classes of two topics each; words of one topic never stand in another.
TOPICS = {
    "money": ["bank rates shares", "oil gas price"],
    "sport": ["goal match team", "serve set racket"],
}


def corpus(each: int = 30) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = []
    for label, topics in TOPICS.items():
        for topic in topics:
            for _ in range(each):
                words = generator.choice(topic.split(), 8)
                filler = generator.choice([f"filler{i}" for i in range(40)], 3)
                rows.append((" ".join([*words, *filler]), label))
    return with_tokens(pd.DataFrame(rows, columns=["text", "label"]))


FRAME = corpus()
GROUPS = assign_topics(FRAME, 2)


def test_topics_are_found_without_their_labels() -> None:
    for start in range(0, len(FRAME), 30):
        assert len(set(GROUPS.iloc[start : start + 30])) == 1
    assert GROUPS[0] != GROUPS[30]
    assert GROUPS[60] != GROUPS[90]


def test_a_narrow_draw_has_the_quota_and_few_groups() -> None:
    drawn = choose_narrow(FRAME, GROUPS, count=1, documents=20, seed=3)
    assert drawn["label"].value_counts().to_dict() == {"money": 20, "sport": 20}
    assert not drawn.index.has_duplicates
    assert GROUPS[drawn.index].groupby(drawn["label"]).nunique().tolist() == [1, 1]


def test_a_quota_that_no_group_can_fill_is_refused() -> None:
    with pytest.raises(DataError, match="fewer than 31 documents"):
        choose_narrow(FRAME, GROUPS, count=1, documents=31)


def test_repeats_fill_the_quota() -> None:
    drawn = repeat_few(FRAME, distinct=5, documents=20)
    assert len(drawn) == 40
    assert drawn.index.nunique() == 10
    assert drawn.index.value_counts().eq(4).all()


def test_a_narrow_set_fools_a_narrow_test() -> None:
    scores = diversity_scores(FRAME, corpus(10), counts=(1, 2), documents=10, seeds=3)
    means = scores.groupby("groups").mean()
    assert means.loc[1, "like the training set"] > means.loc[1, "all kinds"] + 0.1
    assert means.loc[2, "all kinds"] > means.loc[1, "all kinds"]
