"""How to split a budget of computing between the size of a model and the text it reads.

Explained in :doc:`/outlook/trends`, "Larger, and with more text".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from companion.classifier.model import parameter_count
from companion.concepts.language import held_out_loss, train_decoder
from companion.errors import DataError

__all__ = ["CHINCHILLA", "LossLaw", "equal_compute_runs"]


@dataclass(frozen=True)
class LossLaw:
    """A loss that falls with the parameters N and the training tokens D, down to a floor.

    ``loss = floor + a / N**alpha + b / D**beta``.

    Attributes:
        floor: The loss that no size and no text remove, in nats a token.
        a: The weight of the term of the parameters.
        b: The weight of the term of the tokens.
        alpha: How fast the loss falls with the parameters.
        beta: How fast it falls with the tokens.
    """

    floor: float
    a: float
    b: float
    alpha: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        """Give the loss in nats a token."""
        by_size, by_text = self.a / parameters**self.alpha, self.b / tokens**self.beta
        return float(self.floor + by_size + by_text)

    def best_split(self, flop: float) -> tuple[float, float]:
        """Find the parameters and tokens with the lowest loss, where training costs 6 N D.

        Args:
            flop: The computing of the training run.

        Returns:
            The parameters and the tokens.

        Raises:
            DataError: If the budget is not positive.
        """
        if flop <= 0:
            raise DataError(f"a budget of {flop} FLOP trains nothing; give a positive one")
        ratio = (self.alpha * self.a) / (self.beta * self.b)
        power = 1 / (self.alpha + self.beta)
        parameters = ratio**power * (flop / 6) ** (self.beta * power)
        return parameters, flop / 6 / parameters


# Hoffmann et al. (2022), the third of their three estimates.
CHINCHILLA = LossLaw(floor=1.69, a=406.4, b=410.7, alpha=0.34, beta=0.28)


def equal_compute_runs(
    text_ids: NDArray[np.int64],
    held_out_ids: NDArray[np.int64],
    *,
    widths: Sequence[int] = (8, 16, 32, 64),
    seeds: Sequence[int] = (0, 1),
    flop: float = 2e10,
) -> pd.DataFrame:
    """Train decoders of several sizes, each for as many characters as one budget pays.

    Args:
        text_ids: The training text.
        held_out_ids: The text on which the loss is measured.
        widths: The lengths of a token's vector.
        seeds: A run for each, at each width.
        flop: The budget of a run, counted as 6 times parameters times characters.

    Returns:
        The columns ``width``, ``seed``, ``parameters``, ``characters`` and ``loss``, in nats a
        character.

    Raises:
        DataError: If the budget pays no batch of the largest model.
    """
    characters_a_step, rows = 32 * 32, []
    for width in widths:
        with torch.random.fork_rng():
            size = parameter_count(train_decoder(text_ids, width=width, steps=0))
        steps = round(flop / (6 * size * characters_a_step))
        if steps < 1:
            raise DataError(f"{flop:.1g} FLOP pay no batch at width {width}; give more")
        for seed in seeds:
            with torch.random.fork_rng():
                model = train_decoder(text_ids, width=width, steps=steps, seed=seed)
            loss = held_out_loss(model, held_out_ids)
            rows.append((width, seed, size, steps * characters_a_step, loss))
    return pd.DataFrame(rows, columns=["width", "seed", "parameters", "characters", "loss"])
