"""The costs of asking a model: per request, per month, and where two ways cost the same.

Explained in :doc:`/business`. Nothing here knows a market price: every price is an argument.
"""

import math
from dataclasses import dataclass

from companion.concepts.sizes import forward_flop, weight_bytes
from companion.errors import DataError

__all__ = [
    "Accelerator",
    "MonthlyCost",
    "break_even_requests",
    "decode_seconds",
    "own_request_seconds",
    "prefill_seconds",
]


@dataclass(frozen=True)
class Accelerator:
    """What a data sheet says of a processor.

    Attributes:
        name: What it is called.
        flop_per_second: Its peak, at the number format that is used.
        bytes_per_second: How fast it reads its memory.
        memory_bytes: How much it has.
        watts: The power it is built for; None where it is not known or does not matter.
        source: The keys of references.bib that give the numbers.
    """

    name: str
    flop_per_second: float
    bytes_per_second: float
    memory_bytes: float
    watts: float | None = None
    source: tuple[str, ...] = ()


@dataclass(frozen=True)
class MonthlyCost:
    """A way to get answers: what it costs when nobody asks, and what a request adds.

    Attributes:
        name: What it is called.
        fixed: Per month, whatever happens: machines that stand ready, people who look after it.
        per_request: What one more request costs.
    """

    name: str
    fixed: float
    per_request: float

    def __post_init__(self) -> None:
        if self.fixed < 0 or self.per_request < 0:
            raise DataError(f"{self.name}: a cost is negative; costs are 0 or more")

    def at(self, requests: float) -> float:
        """Give the cost of a month with so many requests."""
        return self.fixed + self.per_request * requests

    def per_thousand(self, requests: float) -> float:
        """Give the cost of a thousand requests in a month with so many of them."""
        return 1000 * self.at(requests) / requests


def prefill_seconds(
    parameters: int, tokens: int, accelerator: Accelerator, utilisation: float
) -> float:
    """Estimate how long a model reads a prompt: all tokens at once, at the pace of arithmetic.

    Args:
        parameters: The weights that each token meets.
        tokens: The length of the prompt.
        accelerator: What it runs on.
        utilisation: The share of the peak that is reached, above 0 and up to 1.

    Returns:
        Seconds.

    Raises:
        DataError: If the utilisation is no share.
    """
    if not 0 < utilisation <= 1:
        raise DataError(f"a utilisation of {utilisation} is no share; give one above 0 and up to 1")
    return forward_flop(parameters, tokens) / (accelerator.flop_per_second * utilisation)


def decode_seconds(
    parameters: int,
    tokens: int,
    accelerator: Accelerator,
    utilisation: float,
    *,
    batch: int = 1,
    bytes_a_parameter: float = 2,
) -> float:
    """Estimate a request's share of the time in which a model writes, one token after the other.

    For each token all weights are read from memory, once for the whole batch. So a small batch
    waits for the memory, and a large one for the arithmetic.

    Args:
        parameters: The weights that each token meets.
        tokens: How many tokens are written.
        accelerator: What it runs on.
        utilisation: The share of the peak that the arithmetic reaches.
        batch: How many requests are answered together.
        bytes_a_parameter: The size of a weight in memory.

    Returns:
        Seconds of the machine that one request of the batch costs. The request itself waits
        ``batch`` times as long.
    """
    reading = weight_bytes(parameters, bytes_a_parameter) / accelerator.bytes_per_second
    computing = prefill_seconds(parameters, batch, accelerator, utilisation)
    return tokens * max(reading, computing) / batch


def own_request_seconds(
    parameters: int,
    prompt_tokens: int,
    answer_tokens: int,
    accelerator: Accelerator,
    *,
    utilisation: float,
    batch: int,
    bytes_a_parameter: float = 2,
) -> float:
    """Estimate the seconds of an own machine that one request costs, when it is never idle.

    Args:
        parameters: The weights that each token meets.
        prompt_tokens: What is read.
        answer_tokens: What is written.
        accelerator: What it runs on.
        utilisation: The share of the peak that the arithmetic reaches.
        batch: How many requests are answered together.
        bytes_a_parameter: The size of a weight in memory.

    Returns:
        Seconds.

    Raises:
        DataError: If the weights alone do not fit the memory.
    """
    needed = weight_bytes(parameters, bytes_a_parameter)
    if needed > accelerator.memory_bytes:
        raise DataError(
            f"{needed / 1e9:.0f} GB of weights do not fit the "
            f"{accelerator.memory_bytes / 1e9:.0f} GB of one {accelerator.name}; "
            "use several, fewer bytes a weight, or a smaller model"
        )
    return prefill_seconds(parameters, prompt_tokens, accelerator, utilisation) + decode_seconds(
        parameters,
        answer_tokens,
        accelerator,
        utilisation,
        batch=batch,
        bytes_a_parameter=bytes_a_parameter,
    )


def break_even_requests(own: MonthlyCost, bought: MonthlyCost) -> float:
    """Give the requests a month from which on the own way is the cheaper one.

    Args:
        own: The way with the higher fixed cost.
        bought: The way that is paid by the request.

    Returns:
        The number of requests; infinity if the own way never gets cheaper, 0 if it always is.
    """
    if own.fixed <= bought.fixed and own.per_request <= bought.per_request:
        return 0.0
    if own.per_request >= bought.per_request:
        return math.inf
    return max(0.0, (own.fixed - bought.fixed) / (bought.per_request - own.per_request))
