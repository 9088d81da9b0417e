"""The toy CLIP: its loss, its world, and that what it learns is not in the pictures by chance."""

import numpy as np
import pytest
import torch

from companion.errors import DataError
from companion.outlook import contrastive


def test_the_loss_of_a_perfect_model_is_zero_and_of_an_ignorant_one_the_chance() -> None:
    assert contrastive.contrastive_loss(100 * torch.eye(8)).item() == pytest.approx(0, abs=1e-6)
    assert contrastive.contrastive_loss(torch.zeros(8, 8)).item() == pytest.approx(np.log(8))


def test_a_ring_is_a_circle_with_a_hole_and_has_its_colour() -> None:
    circle = contrastive.draw_shape("red", "circle", np.random.default_rng(3))
    ring = contrastive.draw_shape("red", "ring", np.random.default_rng(3))
    assert ring[0].sum() < 0.8 * circle[0].sum()
    assert circle[0].sum() > 2 * circle[2].sum()


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(DataError, match="no red star"):
        contrastive.draw_shape("red", "star", np.random.default_rng(0))


def test_the_held_out_pairs_use_every_word_once() -> None:
    colours, shapes = zip(*contrastive.HELD_OUT, strict=True)
    assert set(colours) == set(contrastive.COLOURS)
    assert set(shapes) == set(contrastive.SHAPES)


def test_an_untrained_model_matches_by_chance_and_training_helps() -> None:
    runs = contrastive.clip_runs(seeds=[0], steps=0)
    assert runs["seen"][0] < 0.2
    assert contrastive.clip_runs(seeds=[0], steps=60)["seen"][0] > 0.3
