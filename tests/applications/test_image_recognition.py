"""Digits, the Inception block counted against GoogLeNet, and photographs."""

import numpy as np
import pytest
import torch
from torch import nn

from companion.applications.image_recognition import (
    DigitNetwork,
    InceptionBlock,
    classify_photographs,
    compare_classifiers,
    load_mnist,
    photographs,
    pretrained_network,
    shifted,
)
from companion.classifier.model import parameter_count
from companion.errors import DataError

# Table 1 of Szegedy et al. (2015): inputs, 1x1, 3x3 reduce and 3x3, 5x5 reduce and 5x5, pool.
GOOGLENET = [
    (192, 64, (96, 128), (16, 32), 32),
    (256, 128, (128, 192), (32, 96), 64),
    (480, 192, (96, 208), (16, 48), 64),
    (512, 160, (112, 224), (24, 64), 64),
    (512, 128, (128, 256), (24, 64), 64),
    (512, 112, (144, 288), (32, 64), 64),
    (528, 256, (160, 320), (32, 128), 128),
    (832, 256, (160, 320), (32, 128), 128),
    (832, 384, (192, 384), (48, 128), 128),
]


def test_there_are_500_digits_of_each_kind() -> None:
    images, digits = load_mnist()
    assert images.shape == (5000, 28, 28)
    assert np.bincount(digits).tolist() == [500] * 10
    assert (images.min(), images.max()) == (0, 1)


def test_the_first_block_of_googlenet_has_its_parameters() -> None:
    """Inputs times outputs times the kernel's area, and a bias an output."""
    block = InceptionBlock(*GOOGLENET[0])
    expected = (
        (192 * 64 + 64)
        + (192 * 96 + 96)
        + (96 * 128 * 9 + 128)
        + (192 * 16 + 16)
        + (16 * 32 * 25 + 32)
        + (192 * 32 + 32)
    )
    assert parameter_count(block) == expected == 163_696


def test_nine_blocks_make_the_googlenet_of_torchvision() -> None:
    """torchvision documents 6,624,904; it normalises, and its largest kernel is 3, not 5."""
    blocks = sum(
        parameter_count(InceptionBlock(*each, normalise=True, wide=3)) for each in GOOGLENET
    )
    stem = sum(i * o * k * k + 2 * o for i, o, k in [(3, 64, 7), (64, 64, 1), (64, 192, 3)])
    assert blocks + stem + (1024 * 1000 + 1000) == 6_624_904


def test_a_block_keeps_the_size_and_joins_the_channels() -> None:
    block = InceptionBlock(3, 4, (2, 5), (2, 6), 7)
    assert block(torch.zeros(2, 3, 9, 11)).shape == (2, 22, 9, 11)


def test_a_way_of_the_block_is_its_convolution() -> None:
    torch.manual_seed(0)
    block = InceptionBlock(3, 4, (2, 5), (2, 6), 7).double()
    images = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    weight, bias = block.ways[0][0].weight, block.ways[0][0].bias  # type: ignore[index, union-attr]
    expected = (
        torch.einsum("bihw,oi->bohw", images, weight[:, :, 0, 0]) + bias[:, None, None]
    ).relu()
    torch.testing.assert_close(block(images)[:, :4], expected, rtol=1e-10, atol=1e-10)


def test_a_shift_moves_and_loses() -> None:
    image = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    assert shifted(image, 0, 1)[0].tolist() == [[0, 0, 1], [0, 3, 4], [0, 6, 7]]
    assert shifted(image, -1, 0)[0].tolist() == [[3, 4, 5], [6, 7, 8], [0, 0, 0]]
    with pytest.raises(DataError, match="out of sight"):
        shifted(image, 3, 0)


def test_the_network_learns_digits_and_repeats_itself() -> None:
    images, digits = load_mnist()
    few = np.concatenate([np.flatnonzero(digits == digit)[:100] for digit in range(2)])
    first, again = (
        compare_classifiers(images[few], digits[few], seeds=[0], epochs=20).drop(columns="seconds")
        for _ in range(2)
    )
    assert first.equals(again)
    assert first.set_index("classifier").loc["small network", "accuracy"] > 0.9


def test_the_digit_network_gives_ten_logits() -> None:
    assert DigitNetwork()(torch.zeros(2, 28, 28)).shape == (2, 10)


def test_the_pretrained_network_knows_a_cat_and_a_coffee() -> None:
    network = pretrained_network()
    assert parameter_count(network) == 4_652_008
    answers = classify_photographs(network, photographs(["chelsea", "coffee"]), top=1)
    assert answers["answer"].tolist() == ["Egyptian cat", "espresso"]


def test_photographs_are_prepared_as_the_network_was_trained() -> None:
    """Colours from -127/128 to 1, the middle square."""
    seen = []

    class Spy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return torch.zeros(len(images), 1000)

    photo = np.zeros((100, 300, 3), dtype=np.uint8)
    photo[:, 100:200] = 255
    _ = classify_photographs(Spy(), {"white middle": photo})
    assert seen[0].shape == (1, 3, 224, 224)
    assert bool((seen[0] == 1).all())
