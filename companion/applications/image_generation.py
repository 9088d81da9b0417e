"""Make images: a Gaussian, a GAN and a diffusion model of digits, and how far each is from real.

Explained in :doc:`/applications/vision`.
"""

import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.image.fid import FrechetInceptionDistance

__all__ = [
    "GENERATORS",
    "DiffusionModel",
    "DigitFeatures",
    "Gan",
    "PrincipalGaussian",
    "compare_generators",
    "digit_counts",
    "digit_images",
    "frechet_distance",
    "nearest_distance",
]

PIXELS = 64


def digit_images() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Read the 1,797 digits of scikit-learn, and split them in two.

    Returns:
        ``(898, 64)`` images to learn from, from -1 (paper) to 1 (ink), ``(898,)`` digits, and
        ``(899, 64)`` and ``(899,)`` others to compare with.
    """
    bunch = load_digits()
    parts = train_test_split(
        bunch.data / 8 - 1, bunch.target, train_size=898, stratify=bunch.target, random_state=0
    )
    images, others, digits, other_digits = map(torch.from_numpy, parts)
    return images.float(), digits, others.float(), other_digits


class DigitFeatures(nn.Module):
    """A small classifier; what it sees before it decides are the features that are compared.

    Args:
        size: The number of features.
    """

    def __init__(self, size: int = 32) -> None:
        super().__init__()
        self.num_features = size
        self.body = nn.Sequential(
            nn.Linear(PIXELS, 128), nn.ReLU(), nn.Linear(128, size), nn.Tanh()
        )
        self.head = nn.Linear(size, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Give ``(batch, size)`` features of ``(batch, 64)`` images."""
        return self.body(images)  # type: ignore[no-any-return]

    def classify(self, images: Tensor) -> Tensor:
        """Say which digit each image is."""
        with torch.inference_mode():
            return self.head(self(images)).argmax(dim=1)  # type: ignore[no-any-return]

    @classmethod
    def train_on(
        cls, images: Tensor, digits: Tensor, *, epochs: int = 30, seed: int = 0
    ) -> "DigitFeatures":
        """Train by AdamW."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = cls()
            optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
            for _ in range(epochs):
                for rows in torch.split(torch.randperm(len(images)), 64):
                    noisy = images[rows] + 0.2 * torch.randn_like(images[rows])
                    optimizer.zero_grad()
                    loss: Any = functional.cross_entropy(model.head(model(noisy)), digits[rows])
                    loss.backward()
                    optimizer.step()
        return model.eval()


def frechet_distance(features: nn.Module, images: Tensor, others: Tensor) -> float:
    """Compare the mean and the covariance of the features of two sets of images (torchmetrics).

    Explained in :doc:`/applications/vision`, "How far from real?".

    Args:
        features: Gives ``(batch, num_features)`` and has the attribute ``num_features``.
        images: ``(n, ...)``.
        others: ``(m, ...)``.

    Returns:
        The squared Fréchet distance of two normal distributions with these means and covariances.
    """
    metric = FrechetInceptionDistance(feature=features, normalize=True)
    with torch.inference_mode():
        metric.update(images, real=True)
        metric.update(others, real=False)
    return float(metric.compute())


def digit_counts(features: DigitFeatures, images: Tensor) -> NDArray[np.int64]:
    """Count how many images of each digit there are, as the classifier sees them: ``(10,)``."""
    return np.bincount(features.classify(images).numpy(), minlength=10)


def nearest_distance(images: Tensor, training: Tensor) -> float:
    """Give the median distance of an image to the training image that is nearest to it.

    A generator that copies has a distance of 0.
    """
    distances, _ = NearestNeighbors(n_neighbors=1).fit(training.numpy()).kneighbors(images.numpy())
    return float(np.median(distances))


class PrincipalGaussian:
    """Draw from a normal distribution along the main directions of the images.

    Args:
        images: ``(count, 64)``.
        directions: How many main directions; the rest is left out.
    """

    def __init__(self, images: Tensor, directions: int = 20) -> None:
        self.principal = PCA(directions, random_state=0).fit(images.numpy())

    def sample(self, count: int, seed: int) -> Tensor:
        """Draw ``(count, 64)`` images."""
        deviations = np.sqrt(self.principal.explained_variance_)
        drawn = np.random.default_rng(seed).normal(size=(count, len(deviations))) * deviations
        images = self.principal.inverse_transform(drawn).astype(np.float32)
        return torch.from_numpy(images).clamp(-1, 1)


def _layers(*sizes: int, activation: Callable[[], nn.Module]) -> nn.Sequential:
    """Give fully connected layers with an activation between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


class Gan(nn.Module):
    """Two networks: one makes images from noise, the other tells them from real ones.

    Explained in :doc:`/applications/vision`, "Two networks against each other".

    Args:
        noise: Numbers an image is made from.
        hidden: Width of the layers.
    """

    def __init__(self, noise: int = 16, hidden: int = 256) -> None:
        super().__init__()
        self.noise = noise
        self.generator = nn.Sequential(
            _layers(noise, hidden, hidden, PIXELS, activation=nn.ReLU), nn.Tanh()
        )
        self.discriminator = nn.Sequential(
            _layers(PIXELS, hidden, hidden, 1, activation=lambda: nn.LeakyReLU(0.2))
        )

    def sample(self, count: int, seed: int) -> Tensor:
        """Make ``(count, 64)`` images."""
        noise = torch.randn(count, self.noise, generator=torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            return self.generator(noise)  # type: ignore[no-any-return]

    def judge(self, images: Tensor, blur: float) -> Tensor:
        """Give the logit that each image is real, seen through some noise."""
        return self.discriminator(images + blur * torch.randn_like(images))  # type: ignore[no-any-return]

    @classmethod
    def train_on(
        cls,
        images: Tensor,
        *,
        steps: int = 2500,
        seed: int = 0,
        blur: float = 0.3,
        rate: float = 1.0,
    ) -> "Gan":
        """Train both in turn, by Adam.

        Args:
            images: ``(count, 64)``.
            steps: Of each network.
            seed: Fixes the start and the draws.
            blur: Noise on all that the discriminator sees, so that it keeps some doubt.
            rate: The generator's learning rate over that of the discriminator. Far below 1 the
                generator collapses.
        """
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = cls()
            maker = torch.optim.Adam(
                model.generator.parameters(), lr=rate * 1e-3, betas=(0.5, 0.99), fused=True
            )
            judge = torch.optim.Adam(
                model.discriminator.parameters(), lr=1e-3, betas=(0.5, 0.99), fused=True
            )
            for _ in range(steps):
                real = images[torch.randint(len(images), (64,))]
                made = model.generator(torch.randn(64, model.noise))
                loss: Any = (
                    functional.softplus(-model.judge(real, blur))
                    + functional.softplus(model.judge(made.detach(), blur))
                ).mean()
                judge.zero_grad()
                loss.backward()
                judge.step()
                loss = functional.softplus(-model.judge(made, blur)).mean()
                maker.zero_grad()
                loss.backward(inputs=list(model.generator.parameters()))
                maker.step()
        return model.eval()


class DiffusionModel(nn.Module):
    """Learn to see the image behind the noise, then go there step by step (Ho et al., 2020).

    Explained in :doc:`/applications/vision`, "From noise, step by step".

    Args:
        steps: From the image to pure noise.
        hidden: Width of the layers.
    """

    def __init__(self, steps: int = 50, hidden: int = 256) -> None:
        super().__init__()
        self.steps = steps
        self.network = _layers(PIXELS + 16, hidden, hidden, hidden, PIXELS, activation=nn.SiLU)
        angle = (torch.arange(steps + 1) / steps + 0.008) / 1.008 * torch.pi / 2
        kept = angle.cos().square()  # Nichol and Dhariwal's cosine, (steps + 1,)
        noise = (1 - kept[1:] / kept[:-1]).clamp(max=0.999)
        self.register_buffer("noise", noise)  # what each step adds, (steps,)
        self.register_buffer("kept", (1 - noise).cumprod(0))  # what is left of the image
        self.noise: Tensor
        self.kept: Tensor

    def add_noise(self, images: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        """Go to a step at once: ``(batch, 64)`` images and noise, ``(batch,)`` steps."""
        kept = self.kept[step][:, None]
        return kept.sqrt() * images + (1 - kept).sqrt() * noise

    def forward(self, noisy: Tensor, step: Tensor) -> Tensor:
        """Guess the clean images behind ``(batch, 64)`` noisy ones at ``(batch,)`` steps."""
        place = (step[:, None] + 1) / self.steps * torch.pi / 2
        waves = place * 2.0 ** torch.arange(8)
        return self.network(torch.cat([noisy, waves.sin(), waves.cos()], dim=1))  # type: ignore[no-any-return]

    def sample(self, count: int, seed: int, *, keep: Iterable[int] = ()) -> Tensor:
        """Make images from noise.

        Args:
            count: How many.
            seed: Fixes the noise.
            keep: Steps whose images are given as well.

        Returns:
            ``(count, 64)``; with ``keep``, ``(len(keep), count, 64)`` as they are after each of
            these steps has been taken back, in the order in which that happens.
        """
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(count, PIXELS, generator=generator)
        wanted, seen = set(keep), []
        with torch.inference_mode():
            for step in reversed(range(self.steps)):
                images = self._back(images, step, generator)
                if step in wanted:
                    seen.append(images.clamp(-1, 1))
        return torch.stack(seen) if seen else images.clamp(-1, 1)

    def _back(self, images: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """Take one step back: guess the clean image, and draw what lay before the step."""
        kept, noise = self.kept[step], self.noise[step]
        before = self.kept[step - 1] if step else torch.ones(())
        clean = self(images, torch.full((len(images),), step)).clamp(-1, 1)
        of_clean = before.sqrt() * noise / (1 - kept)
        of_noisy = (1 - noise).sqrt() * (1 - before) / (1 - kept)
        spread = ((1 - before) / (1 - kept) * noise).sqrt()
        drawn = torch.randn(images.shape, generator=generator)
        earlier: Tensor = of_clean * clean + of_noisy * images + spread * drawn
        return earlier

    @classmethod
    def train_on(cls, images: Tensor, *, steps: int = 2500, seed: int = 0) -> "DiffusionModel":
        """Train by Adam on the squared error of the clean image."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = cls()
            optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
            for _ in range(steps):
                clean = images[torch.randint(len(images), (128,))]
                step, noise = torch.randint(model.steps, (128,)), torch.randn(128, PIXELS)
                guess = model(model.add_noise(clean, step, noise), step)
                loss: Any = functional.mse_loss(guess, clean)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        return model.eval()


class _Copies:
    """Draw training images again: the generator that has learned by heart."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def sample(self, count: int, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return self.images[torch.randint(len(self.images), (count,), generator=generator)]


Generator = Any  # anything with sample(count, seed)

GENERATORS: dict[str, Callable[[Tensor, int], Generator]] = {
    "training images again": lambda images, seed: _Copies(images),
    "principal Gaussian": lambda images, seed: PrincipalGaussian(images),
    "GAN": lambda images, seed: Gan.train_on(images, seed=seed),
    "GAN, collapsed": lambda images, seed: Gan.train_on(images, seed=seed, rate=0.03),
    "diffusion": lambda images, seed: DiffusionModel.train_on(images, seed=seed),
}


def compare_generators(
    names: Iterable[str] = tuple(GENERATORS), *, seeds: Iterable[int] = range(3), count: int = 2000
) -> tuple[pd.DataFrame, dict[str, Generator]]:
    """Train generators, and compare what they make with digits that none has seen.

    Args:
        names: Which of :data:`GENERATORS`.
        seeds: A start and a sample for each.
        count: How many images each makes.

    Returns:
        A row for each generator and seed: ``distance`` (Fréchet, see :func:`frechet_distance`),
        ``rarest`` (the share of the digit that is made least often, 0.1 where all are equal),
        ``nearest`` (see :func:`nearest_distance`) and ``seconds`` of processor time for training.
        And the generators of the last seed, by name.
    """
    images, _, others, other_digits = digit_images()
    features = DigitFeatures.train_on(others, other_digits)
    rows, generators = [], {}
    for name in names:
        for seed in seeds:
            start = time.process_time()
            generator = generators[name] = GENERATORS[name](images, seed)
            seconds = time.process_time() - start
            made = generator.sample(count, seed)
            rows.append(
                {
                    "generator": name,
                    "seed": seed,
                    "distance": frechet_distance(features, others, made),
                    "rarest": digit_counts(features, made).min() / count,
                    "nearest": nearest_distance(made, images),
                    "seconds": seconds,
                }
            )
    return pd.DataFrame(rows), generators
