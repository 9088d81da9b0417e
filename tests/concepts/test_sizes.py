"""Parameters counted by formula equal those of the libraries' own models."""

import pytest
import torch
from torch import nn

from companion.concepts import sizes
from companion.errors import DataError

transformers = pytest.importorskip("transformers")


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("layers", "width", "heads"), [(12, 768, 12), (48, 1600, 25), (2, 32, 4)])
def test_gpt_equals_the_library(layers: int, width: int, heads: int) -> None:
    with torch.device("meta"):
        config = transformers.GPT2Config(n_layer=layers, n_embd=width, n_head=heads)
        model = transformers.GPT2Model(config)
    assert sizes.transformer_parameters(layers, width, 50257, 1024) == count(model)


def test_bert_equals_the_library() -> None:
    with torch.device("meta"):
        model = transformers.BertModel(transformers.BertConfig())
    assert sizes.transformer_parameters(12, 768, 30522, 512, kind="bert") == count(model)


def test_the_listing_equals_torch() -> None:
    layers = nn.ModuleList(
        [nn.Embedding(10_000, 100), nn.LSTM(100, 256, num_layers=2), nn.Linear(256, 2)]
    )
    assert sizes.listing_parameters(10_000) == count(layers) == 1_893_442


def test_a_convolution_equals_torch() -> None:
    assert sizes.convolution_parameters(3, 64, 7) == count(nn.Conv2d(3, 64, 7))


def test_published_sizes() -> None:
    assert round(sizes.transformer_parameters(96, 12288, 50257, 2048) / 1e9) == 175
    assert round(sizes.translation_transformer_parameters(6, 1024, 4096, 37000) / 1e6) == 214
    assert sizes.ssd300_parameters(91) == 35_641_826  # torchvision's, for COCO
    assert sizes.googlenet_parameters() == 6_998_552  # the Caffe model


def test_two_of_the_named_systems_are_large() -> None:
    table = sizes.named_systems_table()
    assert list(table.index[table["is_large"]]) == ["GPT-3", "DALL-E"]
    assert table["parameters"].is_monotonic_decreasing
    assert all(each.source for each in sizes.NAMED_SYSTEMS if each.basis == "published")


def test_bytes_and_work() -> None:
    assert sizes.weight_bytes(10, 0.5) == 5
    assert sizes.forward_flop(7, 3) == 42
    with pytest.raises(DataError, match="positive"):
        sizes.weight_bytes(0)
