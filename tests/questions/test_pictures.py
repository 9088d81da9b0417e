"""Grad-CAM finds the class's place, and is refused where there is none."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from companion.errors import DataError
from companion.questions.pictures import grad_cam, last_convolution, share_inside


class BrightQuarter(nn.Module):
    """Class 0 is how bright the upper left quarter is, class 1 the lower right."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.convolution.weight)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolution(images)[:, 0]
        half = maps.shape[1] // 2
        return torch.stack(
            [maps[:, :half, :half].sum(dim=(1, 2)), -maps[:, half:, half:].sum(dim=(1, 2))], dim=1
        )


def test_the_heat_lies_where_the_picture_is_bright() -> None:
    images = torch.zeros(2, 1, 8, 8)
    images[:, :, :4, :4] = 1.0
    heat = grad_cam(BrightQuarter(), images, torch.tensor([0, 0]))
    assert heat.shape == (2, 8, 8)
    assert share_inside(heat[0], (0, 4, 0, 4)) == pytest.approx(1.0)
    assert heat.max() == 1.0


def test_where_nothing_speaks_for_a_class_there_is_no_heat() -> None:
    heat = grad_cam(BrightQuarter(), torch.ones(1, 1, 8, 8), torch.tensor([1]))
    assert not heat.any()


def test_it_explains_the_class_that_it_is_asked_about() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    ).eval()  # fmt: skip
    images = torch.rand(1, 3, 16, 16).repeat(2, 1, 1, 1)
    first, second = grad_cam(network, images, torch.tensor([0, 1]))
    assert not np.allclose(first, second)


def test_the_last_convolution_is_the_last() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU()))
    assert last_convolution(network).out_channels == 3


def test_a_network_without_convolutions_is_refused() -> None:
    with pytest.raises(DataError, match="LSTM has no convolution"):
        last_convolution(nn.LSTM(2, 2))
