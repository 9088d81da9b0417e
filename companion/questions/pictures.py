"""Grad-CAM: which part of a picture speaks for a class, in a network of convolutions.

Explained in :doc:`/questions/explain`, "A picture".
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from companion.errors import DataError, MissingPackageError

__all__ = ["grad_cam", "last_convolution", "share_inside"]


def last_convolution(network: nn.Module) -> nn.Conv2d:
    """Find the last convolution that a network holds: the last layer that still has a place.

    Raises:
        DataError: If it has none, as an LSTM has none.
    """
    found = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if not found:
        raise DataError(
            f"{type(network).__name__} has no convolution, and Grad-CAM needs maps of features; "
            "explain it by integrated gradients"
        )
    return found[-1]


def grad_cam(network: nn.Module, images: Tensor, classes: Tensor) -> NDArray[np.float32]:
    """Weigh the maps of the last convolution by how much each raises the score of a class.

    Args:
        network: A network of convolutions, in evaluation mode.
        images: ``(batch, channels, height, width)``.
        classes: ``(batch,)`` the class to explain for each image.

    Returns:
        ``(batch, height, width)`` from 0 to 1, drawn large from the size of the maps; 0 where
        nothing speaks for the class.

    Raises:
        DataError: If the network has no convolution.
        MissingPackageError: If captum is not installed.
    """
    layer = last_convolution(network)
    try:
        from captum.attr import LayerGradCam
    except ImportError as error:
        raise MissingPackageError("Grad-CAM needs captum: pip install captum") from error
    maps = LayerGradCam(network, layer).attribute(images, target=classes, relu_attributions=True)
    large = functional.interpolate(
        maps.detach(), images.shape[2:], mode="bilinear", align_corners=False
    )[:, 0]
    highest = large.amax(dim=(1, 2), keepdim=True)
    heat: NDArray[np.float32] = torch.where(highest > 0, large / highest, large).numpy()
    return heat


def share_inside(heat: NDArray[np.float32], box: tuple[int, int, int, int]) -> float:
    """Give the share of a map's heat inside a box ``(top, bottom, left, right)``."""
    top, bottom, left, right = box
    return float(heat[top:bottom, left:right].sum() / heat.sum())
