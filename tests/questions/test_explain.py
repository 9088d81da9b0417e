"""Explanations of the words of a text."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch.nn import functional

from companion.classifier.batches import pad
from companion.classifier.checkpoint import save_classifier
from companion.classifier.configuration import Configuration
from companion.classifier.inference import TextClassifier
from companion.classifier.model import LSTMClassifier
from companion.classifier.text import Vocabulary
from companion.cli import main
from companion.errors import DataError, EmptyDocumentError
from companion.questions.explain import Explanation, as_html, as_terminal, explain_words

WORDS = ["bank", "profit", "goal", "coach", "the", "a"]


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    """A classifier that learned: bank and profit are business, goal and coach are sport."""
    torch.manual_seed(0)
    vocabulary = Vocabulary.build([WORDS] * 2)
    configuration = Configuration(
        vectors="random", embedding_size=8, hidden_size=6, dropout=0.0, window=4, word_dropout=0.3
    )
    model = LSTMClassifier(len(vocabulary), 2, configuration)
    texts = ["the bank", "a profit", "the goal", "a coach", "bank a profit", "goal the coach"]
    ids, lengths = pad([vocabulary.encode(text.split()) for text in texts])
    labels = torch.tensor([0, 0, 1, 1, 0, 1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(model(ids, lengths), labels).backward()
        optimizer.step()
    return TextClassifier(model.eval(), vocabulary, ["business", "sport"], configuration)


def test_integrated_gradients_add_up_to_the_difference(classifier: TextClassifier) -> None:
    for text in ("the goal", "a bank the goal a coach the profit"):  # the second has two windows
        errors = []
        for steps in (16, 1024):
            found = explain_words(classifier, text, steps=steps)
            errors.append(abs(found.scores.sum() - found.difference))
        assert found.words == text.split()
        assert errors[1] < 0.005 * max(1.0, abs(found.difference))
        assert errors[1] <= errors[0] + 1e-6


@pytest.mark.parametrize("method", ["integrated gradients", "lime"])
def test_the_word_that_decides_has_the_largest_score(
    classifier: TextClassifier, method: str
) -> None:
    found = explain_words(classifier, "the goal a", method=method)
    assert found.label == "sport"
    assert found.words[int(found.scores.argmax())] == "goal"
    against = explain_words(classifier, "the goal a", label="business", method=method)
    assert against.words[int(against.scores.argmin())] == "goal"


def test_bad_questions_are_refused(classifier: TextClassifier) -> None:
    with pytest.raises(DataError, match="business, sport"):
        explain_words(classifier, "the goal", label="film")
    with pytest.raises(EmptyDocumentError):
        explain_words(classifier, "...")


def test_the_signs_say_all_and_colours_only_repeat_them() -> None:
    found = Explanation(["goal", "the", "bank"], np.array([2.0, 0.1, -1.0]), "sport", 1.1)
    assert as_terminal(found, colours=False) == "+goal the -bank"
    coloured = as_terminal(found, colours=True)
    assert coloured.count("\x1b[") == 4
    page = as_html(Explanation(["<b>", "x"], np.array([1.0, -1.0]), "a&b", 0.0))
    assert "a&amp;b" in page
    assert "+&lt;b&gt;" in page
    assert "<b>" not in page


def test_a_word_cannot_steer_the_terminal() -> None:
    found = Explanation(["\x1b[31mred"], np.array([1.0]), "sport", 1.0)
    assert "\x1b" not in as_terminal(found, colours=False)


def test_the_command_prints_signs_and_json(classifier: TextClassifier, tmp_path: Path) -> None:
    save_classifier(classifier, tmp_path / "model")
    arguments = ["explain", str(tmp_path / "model"), "the goal a"]
    plain = CliRunner().invoke(main, arguments)
    assert plain.exit_code == 0, plain.output
    assert plain.output.startswith("sport\t")
    assert "+goal" in plain.output
    assert "\x1b" not in plain.output
    answer = CliRunner().invoke(main, [*arguments, "--json"]).output
    assert '"word": "goal"' in answer
    wrong = CliRunner().invoke(main, [*arguments, "--label", "film"])
    assert wrong.exit_code == 2
