"""Training, holes and the loop that writes."""

import math

import numpy as np
import pytest
import torch

from companion.concepts.language import (
    HIDDEN_ID,
    draw_windows,
    generate,
    held_out_loss,
    hidden_accuracy,
    hide,
    last_accuracy,
    train_decoder,
    train_encoder,
)
from companion.concepts.ngram import ALPHABET, character_ids
from companion.errors import DataError

IDS = character_ids("the cat sat on the mat. " * 30)


def test_a_decoder_learns_a_sentence_by_heart() -> None:
    model = train_decoder(IDS, width=16, steps=150)
    assert held_out_loss(model, IDS) < 0.5 * math.log(len(ALPHABET))
    windows = draw_windows(IDS, 50, 32, np.random.default_rng(0))
    assert last_accuracy(model, windows, 16) > 0.9
    written = generate(model, IDS[:24], 20)
    assert written[:24] == IDS[:24].tolist()
    assert written == IDS[:44].tolist()
    assert generate(model, IDS[:24], 5, temperature=1.0, seed=3) == generate(
        model, IDS[:24], 5, temperature=1.0, seed=3
    )


def test_an_encoder_fills_holes_better_than_untrained() -> None:
    windows = draw_windows(IDS, 50, 32, np.random.default_rng(0))
    trained, raw = (
        train_encoder(IDS, width=32, steps=steps, learning_rate=1e-2) for steps in (300, 0)
    )
    assert hidden_accuracy(trained, windows, 16) > hidden_accuracy(raw, windows, 16) + 0.3


def test_hiding_shows_what_is_hidden_and_nothing_else() -> None:
    windows = draw_windows(IDS, 20, 32, np.random.default_rng(0))
    shown, hidden = hide(windows, 0.3, np.random.default_rng(1))
    assert (shown[hidden] == HIDDEN_ID).all()
    assert torch.equal(shown[~hidden], windows[~hidden])
    assert 0.2 < hidden.float().mean() < 0.4


def test_a_text_that_is_too_short() -> None:
    with pytest.raises(DataError, match="no stretch"):
        draw_windows(IDS[:5], 1, 6, np.random.default_rng(0))
