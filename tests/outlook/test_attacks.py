"""The attacks stay within their bounds, raise the loss, and misspell what they should."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from companion.concepts.experiments import tfidf
from companion.errors import DataError
from companion.outlook import attacks


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    images = 0.2 * torch.rand(120, 28, 28, generator=generator)
    for row, label in enumerate(labels.tolist()):
        images[row, 8 * label : 8 * label + 8] += 0.5
    return images, labels


@pytest.mark.parametrize("attack", [attacks.fgsm, attacks.pgd])
def test_an_attack_raises_the_loss_within_its_bounds(attack, digits) -> None:
    images, labels = digits
    model = attacks.train_digits(images, labels, epochs=3)
    changed = attack(model, images, labels, 0.1)
    assert (changed - images).abs().max() <= 0.1 + 1e-6
    assert changed.min() >= 0
    assert changed.max() <= 1
    before, after = (functional.cross_entropy(model(x), labels) for x in (images, changed))
    assert after > before


def test_fgsm_on_a_linear_model_is_the_formula() -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, -1, 0, 0], [0, 0, 0, 0]]))
    image = torch.full((1, 2, 2), 0.5)
    changed = attacks.fgsm(model, image, torch.tensor([0]), 0.1)
    assert changed.flatten().tolist() == pytest.approx([0.4, 0.6, 0.5, 0.5])


def test_training_under_attack_helps(digits) -> None:
    images, labels = (each.numpy() for each in digits)
    runs, times = attacks.robustness_runs(
        images, labels, training=90, epsilons=(0.0, 0.2), seeds=[0], epochs=3
    )
    assert len(runs) == 2 * 3 * 2
    assert len(times) == 2
    clean = runs[runs["epsilon"] == 0].groupby("training")["accuracy"].nunique()
    assert (clean == 1).all()


def test_a_misspelling_keeps_the_letters_and_differs() -> None:
    for word in ("football", "tree", "committee", "a", "mp"):
        assert attacks.misspell(word) != word
    assert sorted(attacks.misspell("football")) == sorted("football")


def test_only_the_chosen_words_change() -> None:
    assert attacks.replace_words("Bank, banker; BANK!", ["bank"]) == "Bnak, banker; BNAK!"


def test_the_telling_words_are_those_of_the_class() -> None:
    frame = pd.DataFrame(
        {
            "text": ["goal match the", "bank debt the", "vote law the"] * 4,
            "label": ["sport", "money", "state"] * 4,
        }
    )
    model = tfidf().fit(frame["text"], frame["label"])
    (words,) = attacks.telling_words(model, ["the goal and match"])
    assert set(words[:2]) == {"goal", "match"}
    runs = attacks.misspelling_runs({"words": model}, model, frame, counts=(0, 2), seeds=[0])
    means = runs.groupby(["words", "count"])["accuracy"].mean()
    assert means["telling", 0] == 1
    assert means["telling", 2] < 0.5
    two = frame[frame["label"] != "state"]
    with pytest.raises(DataError, match="three classes"):
        attacks.telling_words(tfidf().fit(two["text"], two["label"]), ["goal"])


def test_letters_survive_a_misspelling_that_words_do_not() -> None:
    frame = pd.DataFrame(
        {"text": ["football players", "government ministers"] * 6, "label": [0, 1] * 6}
    )
    letters = attacks.letter_classifier().fit(frame["text"], frame["label"])
    assert letters.predict([attacks.misspell("government")]).tolist() == [1]
    assert np.mean(letters.predict(frame["text"]) == frame["label"]) == 1
