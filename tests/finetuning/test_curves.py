"""The two tasks of the curves."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from companion.classifier.corpus import split_corpus
from companion.finetuning import curves
from companion.finetuning.pretrained import load_pretrained
from tests.conftest import news


@pytest.fixture
def tasks(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> curves.TwoTasks:
    pretrained = load_pretrained(tiny_bert)
    monkeypatch.setattr(curves, "load_pretrained", lambda: load_pretrained(tiny_bert))
    frame = news(40)
    frame["text"] = "the match\n\n" + frame["text"]
    return curves.prepare_tasks(split_corpus(frame), pretrained, a_class=3, maximum_length=16)


def test_some_of_each_class_are_drawn_at_random() -> None:
    frame = pd.DataFrame({"text": [str(n) for n in range(40)], "label": ["a"] * 30 + ["b"] * 10})
    few = curves.few_of_each(frame, 8)
    assert few["label"].value_counts().to_dict() == {"a": 8, "b": 8}
    assert few["text"].is_unique
    assert few.index.tolist() == list(range(16))
    assert few.equals(curves.few_of_each(frame, 8))
    assert not few.equals(curves.few_of_each(frame, 8, seed=1))
    assert any(int(text) > 8 for text in few.loc[few["label"] == "a", "text"])
    assert curves.few_of_each(frame, 20)["label"].value_counts()["b"] == 10


def test_articles_are_measured_without_their_headlines(tasks: curves.TwoTasks) -> None:
    assert len(tasks.training) == len(tasks.articles) == len(tasks.headlines) == 9
    assert np.bincount(tasks.training_labels).tolist() == np.bincount(tasks.labels).tolist()
    assert {tuple(headline) for headline in tasks.headlines} == {tuple(tasks.headlines[0])}
    assert len(tasks.headlines[0]) == 4  # two words and two marks
    assert all(len(article) <= 16 for article in tasks.articles)


def test_the_head_alone_cannot_forget(tasks: curves.TwoTasks) -> None:
    history = curves.adapt(tasks, "head", epochs=2)
    assert len(set(history["old_task"])) == 1
    assert history.index.tolist() == [0, 1, 2]
    assert curves.adapt(tasks, "head", epochs=2).equals(history)


def test_what_is_reset_is_reset(tasks: curves.TwoTasks) -> None:
    plain, reset = (curves.untrained(tasks, reinitialise_layers=count) for count in (0, 1))
    names = [
        name
        for (name, one), other in zip(plain.named_parameters(), reset.parameters(), strict=True)
        if not (one == other).all()
    ]
    assert names
    assert all("layer.2." in name for name in names)
    assert curves.scores(plain, tasks)["new_task"] <= 1
