"""Distances of images, and the steps of diffusion, held against their formulas."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from companion.applications.image_generation import (
    DiffusionModel,
    DigitFeatures,
    Gan,
    PrincipalGaussian,
    digit_counts,
    digit_images,
    frechet_distance,
    nearest_distance,
)


class Same(nn.Module):
    """Features that are the images themselves."""

    num_features = 3

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


def test_the_digits_are_split_in_two_without_overlap() -> None:
    images, digits, others, other_digits = digit_images()
    assert (len(images), len(others)) == (898, 899)
    assert (images.min(), images.max()) == (-1, 1)
    assert nearest_distance(others, images) > 1
    assert np.bincount(digits).min() >= 86
    assert len(other_digits) == 899


def test_the_distance_is_the_formula() -> None:
    """|a - b|^2 + trace(A + B - 2 (A B)^(1/2)), with the square root by SciPy."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(500, 3, generator=generator, dtype=torch.float64)
    second = 1 + first[:400] @ torch.tensor([[2.0, 0, 0], [1, 1, 0], [0, 0, 0.5]]).double()
    a, b = first.numpy(), second.numpy()
    covariances = np.cov(a.T), np.cov(b.T)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(
        covariances[0] + covariances[1] - 2 * np.real(sqrtm(covariances[0] @ covariances[1]))
    )
    assert frechet_distance(Same(), first, second) == pytest.approx(expected, rel=1e-4)
    assert frechet_distance(Same(), first, first) == pytest.approx(0, abs=1e-4)


def test_a_copy_is_at_no_distance() -> None:
    images = torch.tensor([[0.0, 0], [3, 4]])
    assert nearest_distance(images, images) == 0
    assert nearest_distance(torch.tensor([[0.0, 1]]), images) == pytest.approx(1)


def test_the_features_classify_digits() -> None:
    images, digits, others, other_digits = digit_images()
    features = DigitFeatures.train_on(others, other_digits)
    assert (features.classify(images) == digits).float().mean() > 0.95
    assert digit_counts(features, images).sum() == len(images)
    assert features(images).shape == (898, features.num_features)


def test_the_gaussian_has_the_mean_and_the_directions_of_the_images() -> None:
    generator = torch.Generator().manual_seed(0)
    images = 0.1 * torch.randn(2000, 64, generator=generator)
    images[:, 0] *= 3
    made = PrincipalGaussian(images, directions=64).sample(4000, seed=1)
    assert made.mean(dim=0).abs().max() < 0.03
    assert made[:, 0].std() == pytest.approx(0.3, rel=0.05)
    assert made[:, 1].std() == pytest.approx(0.1, rel=0.07)


def test_noise_added_at_once_is_noise_added_step_by_step() -> None:
    """The mean shrinks by sqrt(1 - b), the variance is (1 - b) v + b, at each step."""
    model = DiffusionModel(steps=20)
    image, steps = torch.full((1, 64), 0.7), torch.tensor([19])
    mean, variance = 0.7, 0.0
    for noise in model.noise.tolist():
        mean, variance = mean * (1 - noise) ** 0.5, (1 - noise) * variance + noise
    assert model.add_noise(image, steps, torch.zeros(1, 64))[0, 0].item() == pytest.approx(
        mean, abs=1e-6
    )
    assert (1 - model.kept[-1]).item() == pytest.approx(variance, abs=1e-6)
    assert model.kept[-1] < 0.001


def test_a_model_that_knows_the_image_arrives_there() -> None:
    class Knows(DiffusionModel):
        def forward(self, noisy: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
            return torch.full_like(noisy, 0.25)

    torch.testing.assert_close(Knows().sample(3, seed=0), torch.full((3, 64), 0.25))
    assert Knows().sample(3, seed=0, keep=[40, 10, 0]).shape == (3, 3, 64)


def test_training_repeats_itself_and_leaves_the_random_state() -> None:
    images = digit_images()[0]
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = DiffusionModel.train_on(images, steps=3, seed=1).sample(2, seed=0)
    again = DiffusionModel.train_on(images, steps=3, seed=1).sample(2, seed=0)
    gans = [Gan.train_on(images, steps=3, seed=1).sample(2, seed=0) for _ in range(2)]
    assert torch.rand(1).equal(expected)
    assert first.equal(again)
    assert gans[0].equal(gans[1])


def test_diffusion_comes_near_to_the_images() -> None:
    images, _, others, other_digits = digit_images()
    features = DigitFeatures.train_on(others, other_digits)
    distances = [
        frechet_distance(
            features, others, DiffusionModel.train_on(images, steps=steps).sample(500, 0)
        )
        for steps in (20, 600)
    ]
    assert distances[1] < distances[0] / 2
