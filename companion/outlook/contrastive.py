"""A small CLIP: a picture encoder and a text encoder that learn to meet in one space.

Explained in :doc:`/outlook/trends`, "Pictures and words in one space".
"""

import math
from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from companion.errors import DataError

__all__ = [
    "COLOURS",
    "HELD_OUT",
    "SHAPES",
    "ToyClip",
    "caption",
    "clip_runs",
    "contrastive_loss",
    "draw_shape",
    "draw_shapes",
    "matching_accuracy",
]

SIDE = 16
COLOURS = {
    "red": (0.9, 0.2, 0.2),
    "green": (0.2, 0.8, 0.2),
    "blue": (0.2, 0.3, 0.9),
    "yellow": (0.9, 0.9, 0.2),
    "purple": (0.7, 0.2, 0.8),
}
SHAPES = ("circle", "square", "triangle", "cross", "ring")
# One of each colour and of each shape: each word is seen in training, these five pairs are not.
HELD_OUT = tuple(zip(COLOURS, SHAPES, strict=True))
_TEMPLATES = ("a {} {}", "a picture of a {} {}", "one {} {} on black", "this is a {} {}")
_WORDS = sorted({*COLOURS, *SHAPES, *" ".join(_TEMPLATES).replace("{}", "").split()})
_WORD_IDS = {word: number for number, word in enumerate(_WORDS, start=1)}  # 0 pads
Pair = tuple[str, str]


def draw_shape(colour: str, shape: str, generator: np.random.Generator) -> NDArray[np.float32]:
    """Draw one shape with random size, place and noise.

    Args:
        colour: A key of :data:`COLOURS`.
        shape: One of :data:`SHAPES`.
        generator: Draws what the caption does not say.

    Returns:
        ``(3, 16, 16)`` red, green and blue, around 0 to 1.

    Raises:
        DataError: If the colour or the shape is unknown.
    """
    if colour not in COLOURS or shape not in SHAPES:
        raise DataError(f"no {colour} {shape}; colours: {', '.join(COLOURS)}; shapes: {SHAPES}")
    radius = generator.uniform(3.5, 5.5)
    x0, y0 = generator.uniform(radius, SIDE - 1 - radius, size=2)
    y, x = np.mgrid[:SIDE, :SIDE]
    dx, dy = x - x0, y - y0
    distance, box = np.hypot(dx, dy), np.maximum(abs(dx), abs(dy))
    inside = {
        "circle": distance <= radius,
        "square": box <= radius * 0.85,
        "triangle": (dy <= radius * 0.8) & (dy >= 2 * abs(dx) - radius),
        "cross": (box <= radius) & (np.minimum(abs(dx), abs(dy)) <= radius * 0.3),
        "ring": (distance <= radius) & (distance >= radius * 0.6),
    }[shape]
    paint = np.array(COLOURS[colour]) * generator.uniform(0.7, 1.1)
    picture = inside * paint[:, None, None] + generator.normal(0, 0.1, (3, SIDE, SIDE))
    return np.asarray(picture, dtype=np.float32)


def draw_shapes(pairs: Sequence[Pair], seed: int) -> Tensor:
    """Draw a picture for each colour and shape: ``(count, 3, 16, 16)``."""
    generator = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([draw_shape(*pair, generator) for pair in pairs]))


def caption(colour: str, shape: str, template: int = 0) -> list[int]:
    """Say what the picture shows, as ids of words; one of four ways to say it."""
    return [_WORD_IDS[word] for word in _TEMPLATES[template].format(colour, shape).split()]


def captions(pairs: Sequence[Pair], templates: Iterable[int] | None = None) -> Tensor:
    """Give the ``(count, 6)`` word ids of a caption for each pair, padded by 0."""
    chosen = [0] * len(pairs) if templates is None else list(templates)
    rows = [caption(*pair, way) for pair, way in zip(pairs, chosen, strict=True)]
    return torch.tensor([row + [0] * (6 - len(row)) for row in rows])


class ToyClip(nn.Module):
    """Two encoders without a common layer, whose outputs are compared by their cosine.

    Args:
        size: The length of the vectors in the common space.
    """

    def __init__(self, size: int = 32) -> None:
        super().__init__()
        self.picture = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (batch, 16, 8, 8)
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (batch, 32, 4, 4)
            nn.Flatten(),
            nn.Linear(512, size),
        )
        self.words = nn.EmbeddingBag(len(_WORDS) + 1, 32, mode="mean", padding_idx=0)
        self.text = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, size))
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def encode_pictures(self, pictures: Tensor) -> Tensor:
        """Give ``(batch, size)`` vectors of length 1 for ``(batch, 3, 16, 16)`` pictures."""
        return functional.normalize(self.picture(pictures), dim=1)

    def encode_captions(self, word_ids: Tensor) -> Tensor:
        """Give ``(batch, size)`` vectors of length 1 for ``(batch, 6)`` word ids."""
        return functional.normalize(self.text(self.words(word_ids)), dim=1)

    def forward(self, pictures: Tensor, word_ids: Tensor) -> Tensor:
        """Give the ``(pictures, captions)`` scaled cosines."""
        cosines = self.encode_pictures(pictures) @ self.encode_captions(word_ids).T
        return self.log_scale.clamp(max=math.log(100)).exp() * cosines


def contrastive_loss(logits: Tensor) -> Tensor:
    """Ask each picture for its caption among all of the batch, and each caption for its picture.

    Args:
        logits: ``(batch, batch)``; the pairs that belong together stand on the diagonal.

    Returns:
        The mean of both cross-entropies, in nats.
    """
    own = torch.arange(len(logits))
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


def train_clip(
    pairs: Sequence[Pair], *, steps: int, batch_size: int = 20, seed: int = 0
) -> ToyClip:
    """Train on fresh pictures of these pairs, each pair at most once in a batch."""
    generator = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ToyClip()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    for _ in range(steps):
        chosen = [pairs[row] for row in generator.permutation(len(pairs))[:batch_size]]
        pictures = draw_shapes(chosen, int(generator.integers(2**31)))
        words = captions(chosen, generator.integers(len(_TEMPLATES), size=len(chosen)))
        optimizer.zero_grad()
        contrastive_loss(model(pictures, words)).backward()  # type: ignore[no-untyped-call, unused-ignore]
        optimizer.step()
    return model.eval()


@torch.inference_mode()
def matching_accuracy(
    model: ToyClip, shown: Sequence[Pair], choices: Sequence[Pair], *, copies: int = 20
) -> float:
    """Let the model choose a caption for new pictures.

    Args:
        model: A trained model.
        shown: What the pictures show.
        choices: The captions to choose from.
        copies: How many pictures of each pair.

    Returns:
        The share of pictures that get their own caption.
    """
    drawn = list(shown) * copies
    best = model(draw_shapes(drawn, seed=10_000), captions(choices)).argmax(dim=1)
    return float(np.mean([choices[row] == pair for row, pair in zip(best, drawn, strict=True)]))


def clip_runs(*, seeds: Iterable[int] = range(3), steps: int = 600) -> pd.DataFrame:
    """Train on 20 of the 25 pairs, and test on new pictures of those and of the other five.

    Args:
        seeds: A training for each.
        steps: The batches of each.

    Returns:
        A row a seed: ``seen`` (pictures of the 20 pairs, choosing among the 25 captions),
        ``held_out`` (of the five, among the 25), ``held_out_of_5`` (among those five only), and
        the ``model``.
    """
    everything = list(product(COLOURS, SHAPES))
    seen = [pair for pair in everything if pair not in HELD_OUT]
    rows = []
    for seed in seeds:
        model = train_clip(seen, steps=steps, seed=seed)
        rows.append(
            {
                "seed": seed,
                "seen": matching_accuracy(model, seen, everything),
                "held_out": matching_accuracy(model, HELD_OUT, everything),
                "held_out_of_5": matching_accuracy(model, HELD_OUT, HELD_OUT),
                "model": model,
            }
        )
    return pd.DataFrame(rows)
