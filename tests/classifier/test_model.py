"""The network, and the choices that shape it."""

import dataclasses

import pytest
import torch

from companion.classifier.batches import pad
from companion.classifier.configuration import CONFIGURATIONS, Configuration
from companion.classifier.model import (
    LSTMClassifier,
    cut_windows,
    parameter_count,
    pool,
    reverse_padded,
)
from companion.errors import DataError


def test_windows_hold_the_documents() -> None:
    token_ids, lengths = pad([[1, 2, 3, 4, 5], [6]])
    windows, window_lengths = cut_windows(token_ids, lengths, 2)
    assert windows.tolist() == [[1, 2], [3, 4], [5, 0], [6, 0], [0, 0], [0, 0]]
    assert window_lengths.tolist() == [2, 2, 1, 1, 0, 0]


def test_reversing_twice_changes_nothing() -> None:
    sequences, lengths = torch.arange(12.0).reshape(2, 6, 1), torch.tensor([6, 2])
    reverse = reverse_padded(sequences, lengths)
    assert reverse[1, :, 0].tolist() == [7, 6, 8, 9, 10, 11]
    assert torch.equal(reverse_padded(reverse, lengths), sequences)


def test_pooling_leaves_the_padding_out() -> None:
    hidden = torch.tensor([[[1.0], [-3.0], [100.0]]])
    pooled = pool(hidden, torch.tensor([2]), "last+max+mean")
    assert pooled.tolist() == [[-3.0, 1.0, -1.0]]


def test_the_article_network_has_its_parameters() -> None:
    """Two layers of 4(hi + h² + 2h), the embedding, and the head: as the book counts."""
    network = LSTMClassifier(10_000, 2, CONFIGURATIONS["article"])
    lstm = sum(4 * (256 * inputs + 256 * 256 + 2 * 256) for inputs in (100, 256))
    assert lstm == 892_928
    assert parameter_count(network) == 10_000 * 100 + lstm + 256 * 2 + 2 == 1_893_442


def test_the_states_between_layers_are_dropped_as_by_torch() -> None:
    """The values, the gradients and their types."""
    network = LSTMClassifier(9, 2, dataclasses.replace(CONFIGURATIONS["article"], dropout=0.2))
    hidden = torch.ones(2, 100, 100, requires_grad=True)
    torch.manual_seed(0)
    dropped = network._drop_states(hidden)
    dropped.sum().backward()
    assert dropped.unique().tolist() == [0, 1.25]
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert torch.equal(hidden.grad, dropped.detach())
    assert not torch.equal(dropped, network._drop_states(hidden))
    assert network._drop_states(hidden.bfloat16()).dtype == torch.bfloat16
    assert network.eval()._drop_states(hidden) is hidden
    whole = LSTMClassifier(9, 2, dataclasses.replace(CONFIGURATIONS["article"], dropout=0))
    assert torch.equal(whole._drop_states(hidden), hidden)


def test_every_parameter_gets_a_gradient() -> None:
    for configuration in CONFIGURATIONS.values():
        network = LSTMClassifier(20, 3, configuration)
        network(*pad([[2, 3, 4], [5, 6]])).sum().backward()
        assert all(
            parameter.grad is not None and parameter.grad.any()
            for parameter in network.parameters()
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_size", 0),
        ("hidden_size", 10**9),
        ("epochs", 1.5),
        ("dropout", "0.5"),
        ("dropout", float("nan")),
        ("pooling", "min"),
        ("bidirectional", 1),
        ("learning_rate", -1.0),
    ],
)
def test_a_wrong_choice_is_named(name: str, value: object) -> None:
    with pytest.raises(DataError, match=name):
        dataclasses.replace(Configuration(), **{name: value})  # type: ignore[arg-type]
