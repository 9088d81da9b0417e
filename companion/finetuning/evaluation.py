"""What a fine-tuned encoder still knows of its old task: to bring texts of one meaning together.

Explained in :doc:`/training/finetuning`, "Evaluate".
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["retrieval_accuracy", "split_headlines"]


def split_headlines(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    r"""Take the first line of each article from the rest.

    Args:
        texts: Articles whose first line is the headline.

    Returns:
        The headlines, and the articles without them.

    >>> split_headlines(["Rates rise\n\nThe bank has raised its rate."])
    (['Rates rise'], ['The bank has raised its rate.'])
    """
    parts = [text.strip().partition("\n") for text in texts]
    return [headline for headline, _, _ in parts], [body.strip() for _, _, body in parts]


def retrieval_accuracy(queries: NDArray[np.floating], answers: NDArray[np.floating]) -> float:
    """Give the share of queries whose nearest answer is their own.

    Args:
        queries: ``(texts, hidden)`` vectors of length 1.
        answers: ``(texts, hidden)`` vectors of length 1; row i belongs to query i.

    Returns:
        A number from 0 to 1; a random order gives 1 / texts.
    """
    nearest = (queries @ answers.T).argmax(axis=1)
    return float((nearest == np.arange(len(queries))).mean())
