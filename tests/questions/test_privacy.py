"""Masking, gradient leakage, federated averaging and differential privacy."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from companion.classifier.configuration import Configuration
from companion.classifier.inference import TextClassifier
from companion.classifier.model import LSTMClassifier
from companion.classifier.text import Vocabulary
from companion.errors import DataError
from companion.plots.questions import privacy as draw
from companion.questions.privacy.differential import (
    best_attack,
    membership_auc,
    train_privately,
)
from companion.questions.privacy.federated import (
    News,
    average,
    divide,
    federated_rounds,
    masked_updates,
)
from companion.questions.privacy.leakage import (
    gradients,
    invert_linear_layer,
    match_gradients,
    news_gradients,
    words_in_gradient,
)
from companion.questions.privacy.masking import (
    Message,
    generate_messages,
    mask,
    score_masking,
)


def easy_news(count: int, seed: int) -> News:
    """Documents whose class is the tenth of the buckets that they fill."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    features = torch.zeros(count, 1024)
    for row, label in enumerate(labels):
        words = torch.randint(int(label) * 100, int(label) * 100 + 100, (20,), generator=generator)
        features[row, words] = 1
    return News(functional.normalize(features, dim=1), labels)


def test_masking_hides_the_parts_and_keeps_the_rest() -> None:
    text = "Card 4111 1111 1111 1111 from 10.0.0.1, thanks"
    masked, parts = mask(text)
    assert masked == "Card [CREDIT_CARD] from [IP_ADDRESS], thanks"
    assert [text[start:end] for start, end in parts] == ["4111 1111 1111 1111", "10.0.0.1"]


def test_the_spans_of_generated_messages_hold_the_data() -> None:
    for message in generate_messages(50, seed=3):
        for kind, start, end in message.spans:
            datum = message.text[start:end]
            assert datum == datum.strip()
            assert (kind == "ip") == (datum.count(".") == 3)


def test_names_are_not_found_and_cards_are() -> None:
    recall = score_masking(generate_messages(200, seed=1))["recall"]
    assert recall["name"] == 0
    assert recall["card"] == recall["ip"] == 1
    assert recall["name"] < recall["email"] < 1


def test_half_a_datum_is_not_found_and_a_version_is_a_false_alarm() -> None:
    messages = [
        Message("Ann ann@example.com", (("contact", 0, 19),)),
        Message("build 10.4.12.1", ()),
        Message("mail a@example.com", (("email", 5, 18),)),
    ]
    table = score_masking(messages)
    assert table["found"].to_dict() == {"contact": 0, "email": 1, "all": 1}
    assert table.attrs == {"false_alarms": 1, "precision": pytest.approx(2 / 3)}


@pytest.fixture
def classifier() -> TextClassifier:
    torch.manual_seed(0)
    vocabulary = Vocabulary.build([["bank", "profit", "goal", "coach", "film"]] * 2)
    configuration = Configuration(vectors="random", embedding_size=8, hidden_size=4)
    model = LSTMClassifier(len(vocabulary), 2, configuration)
    return TextClassifier(model, vocabulary, ["business", "sport"], configuration)


def test_the_words_of_a_headline_stand_in_its_gradient(classifier: TextClassifier) -> None:
    sent = news_gradients(classifier, ["Goal, coach! Goal"], ["sport"])
    assert set(words_in_gradient(classifier, sent)) == {"goal", "coach"}
    assert int(sent["head.bias"].argmin()) == 1


def test_the_input_of_a_linear_layer_is_a_quotient() -> None:
    layer, x = nn.Linear(5, 3).double(), torch.arange(5.0, dtype=torch.float64)[None]
    sent = gradients(layer, (layer(x) ** 2).sum())
    torch.testing.assert_close(invert_linear_layer(sent["weight"], sent["bias"]), x[0])
    with pytest.raises(DataError, match="zero"):
        invert_linear_layer(torch.zeros(3, 5), torch.zeros(3))


def test_a_batch_is_rebuilt_from_its_gradient() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 32), nn.Sigmoid(), nn.Linear(32, 3)).double()
    x, y = torch.rand(2, 6, dtype=torch.float64), torch.tensor([0, 2])
    exact, noisy = (
        gradients(net, functional.cross_entropy(net(x), y), noise=noise) for noise in (0.0, 0.1)
    )
    errors = [
        np.abs(match_gradients(net, sent, y, 6, steps=15) - x.numpy()).max()
        for sent in (exact, noisy)
    ]
    assert errors[0] < 1e-3 < 0.1 < errors[1]


def test_the_average_is_weighted() -> None:
    states = [{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([5.0, 4.0])}]
    torch.testing.assert_close(average(states, [30, 10])["w"], torch.tensor([2.0, 2.5]))
    assert states[0]["w"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("concentration", [0.01, 100.0])
def test_a_division_gives_each_document_once(concentration: float) -> None:
    labels = np.arange(60) % 3
    parts = divide(labels, 8, concentration=concentration, seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(60))
    assert min(map(len, parts)) > 0
    with pytest.raises(DataError, match="concentration"):
        divide(labels, 8, concentration=0, seed=0)


def test_federated_averaging_learns() -> None:
    news, test = easy_news(90, 0), easy_news(60, 1)
    parts = divide(news.labels.numpy(), 3, concentration=100, seed=0)
    accuracies = federated_rounds(news, test, parts, rounds=4)
    assert accuracies[-1] > 0.9
    assert len(accuracies) == 4


def test_masks_cancel_in_the_sum_and_hide_the_terms() -> None:
    updates = np.random.default_rng(0).integers(0, 50, (4, 200)).astype(np.uint32)
    seen = masked_updates(updates, seed=5)
    np.testing.assert_array_equal(seen.sum(axis=0, dtype=np.uint32), updates.sum(axis=0))
    for before, after in zip(updates, seen, strict=True):
        assert abs(np.corrcoef(before, after)[0, 1]) < 0.3
        assert after.max() > 2**31


def test_more_noise_spends_less_and_bad_deltas_are_refused() -> None:
    news = easy_news(60, 0)
    spent = [train_privately(news, noise=noise, delta=1e-3, epochs=2)[1] for noise in (1.0, 3.0)]
    assert spent[0] > spent[1] > 0
    with pytest.raises(DataError, match="delta"):
        train_privately(news, noise=1.0, delta=0.1)


def test_the_attack_finds_what_was_learned_by_heart() -> None:
    members, others = easy_news(30, 0), easy_news(30, 0)
    network = nn.Linear(1024, 3)
    assert membership_auc(network, members, others) == pytest.approx(0.5)
    wrong = News(others.features, (others.labels + 1) % 3)
    with torch.no_grad():
        network.weight.zero_()
        for kind in range(3):
            network.weight[kind, kind * 100 : kind * 100 + 100] = 5
    assert membership_auc(network, members, wrong) == 1


def test_the_bound_of_an_attack() -> None:
    assert best_attack(0, 0) == 0.5
    assert best_attack(math.log(3), 0) == pytest.approx(0.75)
    assert best_attack(1000, 0) == 1


def test_figures_show_what_they_are_given() -> None:
    plt.switch_backend("Agg")
    axes = draw.rebuilt_digits({"a": np.zeros((2, 8, 8)), "b": np.ones((2, 8, 8))})
    assert axes.shape == (2, 2)
    assert axes[1, 0].get_title(loc="left") == "b"
    ax = draw.rounds({"alike": np.array([[0.2, 0.8], [0.4, 1.0]])})
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([0.3, 0.9])
    plt.close("all")
