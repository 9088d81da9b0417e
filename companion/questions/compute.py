"""What a language model takes: operations, memory, time, energy, carbon and money.

Explained in :doc:`/questions/compute`. Each function is one formula. The numbers come from
:mod:`companion.questions.constants`; what a request costs comes from
:mod:`companion.concepts.economics`.
"""

import math
from dataclasses import dataclass
from typing import Literal

from companion.concepts.economics import Accelerator, decode_seconds, prefill_seconds
from companion.concepts.sizes import forward_flop, weight_bytes
from companion.errors import DataError
from companion.questions.constants import CONSTANTS, Assumptions

__all__ = [
    "Shape",
    "TokenCosts",
    "TrainingCost",
    "TrainingMemory",
    "accelerators_needed",
    "activation_bytes",
    "api_call_cost",
    "cache_bytes",
    "carbon_kg",
    "energy_kwh",
    "optimal_size",
    "optimal_tokens",
    "token_costs",
    "training_cost",
    "training_flop",
    "training_memory",
    "training_seconds",
]

Recompute = Literal["nothing", "attention", "everything"]
_PER_PARAMETER = CONSTANTS["training_bytes_per_parameter"].value
_OPTIMAL = CONSTANTS["tokens_per_parameter"].value


def training_flop(parameters: float, tokens: float, *, recompute: bool = False) -> float:
    """Estimate the operations of a training run, as 6·N·D.

    Reading a token takes 2 a parameter, and learning from it twice as much.

    Args:
        parameters: N, the weights that each token meets.
        tokens: D, all tokens that are read, repeats included.
        recompute: Whether the forward pass is done again in the backward pass, to save memory.
            Then it is 8·N·D.

    Returns:
        Floating-point operations.

    Raises:
        DataError: If a number is not positive.
    """
    if parameters <= 0 or tokens <= 0:
        raise DataError("the number of parameters and of tokens must be positive")
    passes = 4 if recompute else 3
    return float(passes * forward_flop(1) * parameters * tokens)


def optimal_tokens(parameters: float, tokens_per_parameter: float = _OPTIMAL) -> float:
    """Give the tokens with which a model of this size is the best use of its compute.

    Args:
        parameters: The size.
        tokens_per_parameter: About 20, by Hoffmann et al. (2022).

    Returns:
        Tokens.
    """
    return parameters * tokens_per_parameter


def optimal_size(flop: float, tokens_per_parameter: float = _OPTIMAL) -> tuple[float, float]:
    """Give the size and the tokens that make the best model of a compute.

    From C = 6·N·D and D = r·N follows N = √(C / 6r).

    Args:
        flop: C, the operations to be spent.
        tokens_per_parameter: The ratio r of tokens to parameters.

    Returns:
        Parameters and tokens.

    Raises:
        DataError: If a number is not positive.
    """
    if flop <= 0 or tokens_per_parameter <= 0:
        raise DataError("the operations and the tokens a parameter must be positive")
    parameters = math.sqrt(flop / training_flop(1, tokens_per_parameter))
    return parameters, optimal_tokens(parameters, tokens_per_parameter)


def training_seconds(flop: float, count: int, flop_per_second: float) -> float:
    """Estimate how long a run takes.

    With the 8·T·P operations of a run that recomputes, on n accelerators that reach X each, this
    is the 8TP/nX of Narayanan et al. (2021).

    Args:
        flop: The operations of the run.
        count: n, how many accelerators share it.
        flop_per_second: X, what each reaches; its peak times the utilisation.

    Returns:
        Seconds.

    Raises:
        DataError: If a number is not positive.
    """
    if min(flop, count, flop_per_second) <= 0:
        raise DataError("the operations, the accelerators and their speed must be positive")
    return flop / (count * flop_per_second)


@dataclass(frozen=True)
class Shape:
    """What decides the memory of the activations.

    Attributes:
        layers: The number of blocks.
        width: The length of a token's vector, h.
        heads: The attentions of a block, a.
        sequence: The tokens of one text, s.
        batch: The texts that are on the accelerator at a time, b.
    """

    layers: int
    width: int
    heads: int
    sequence: int
    batch: int = 1

    def __post_init__(self) -> None:
        if min(self.layers, self.width, self.heads, self.sequence, self.batch) < 1:
            raise DataError("layers, width, heads, sequence and batch are 1 or more")


def activation_bytes(shape: Shape, recompute: Recompute = "nothing") -> float:
    """Estimate what the backward pass needs from the forward pass, in 16 bits a number.

    A block keeps s·b·h·(34 + 5·a·s/h) bytes (Korthikanti et al., 2023). Without the attention
    matrices, which a fused attention makes again instead of keeping them, 34·s·b·h are left. With
    full checkpointing a block keeps its input alone, 2·s·b·h, and one block at a time is whole.

    Args:
        shape: The model and the batch.
        recompute: What is made again in the backward pass.

    Returns:
        Bytes, on one accelerator that holds all blocks; the vectors of tokens and the output are
        left out.
    """
    vectors = shape.sequence * shape.batch * shape.width
    matrices = 5 * shape.heads * shape.sequence**2 * shape.batch
    whole = 34 * vectors + (0 if recompute == "attention" else matrices)
    if recompute == "everything":
        return 2.0 * vectors * shape.layers + whole
    return float(whole * shape.layers)


@dataclass(frozen=True)
class TrainingMemory:
    """The bytes of a training step with Adam in mixed precision.

    Attributes:
        weights: 2 bytes a parameter.
        gradients: 2 bytes a parameter.
        optimizer: The weights in single precision and two moments, 12 bytes a parameter.
        activations: What the backward pass needs.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        """All four."""
        return self.weights + self.gradients + self.optimizer + self.activations


def training_memory(
    parameters: float, shape: Shape | None = None, recompute: Recompute = "nothing"
) -> TrainingMemory:
    """Estimate the memory of training with Adam in mixed precision.

    Args:
        parameters: The size of the model.
        shape: The model and the batch; None leaves the activations out.
        recompute: What is made again in the backward pass.

    Returns:
        Bytes, together over all accelerators that share the model.
    """
    weights = weight_bytes(int(parameters))
    optimizer = (_PER_PARAMETER - 4) * parameters
    activations = 0.0 if shape is None else activation_bytes(shape, recompute)
    return TrainingMemory(weights, weights, optimizer, activations)


def accelerators_needed(memory: float, accelerator: Accelerator, usable: float = 0.9) -> int:
    """Give the fewest accelerators that hold so many bytes.

    Args:
        memory: Bytes.
        accelerator: Of which kind.
        usable: The share of its memory that is free for them.

    Returns:
        How many, at least 1.

    Raises:
        DataError: If ``usable`` is no share.
    """
    if not 0 < usable <= 1:
        raise DataError(f"{usable} is no share of a memory; give one above 0 and up to 1")
    return max(1, math.ceil(memory / (usable * accelerator.memory_bytes)))


def energy_kwh(hours: float, watts: float, pue: float = 1.0) -> float:
    """Give the energy of accelerators, with that of the building around them.

    Args:
        hours: Accelerators times hours.
        watts: What each draws.
        pue: The power of the data centre over that of its computers.

    Returns:
        Kilowatt-hours.
    """
    return hours * watts * pue / 1000


def carbon_kg(kwh: float, kg_per_kwh: float) -> float:
    """Give the carbon of an energy.

    Args:
        kwh: Kilowatt-hours.
        kg_per_kwh: Kilograms of CO2 equivalent that the grid emits for one.

    Returns:
        Kilograms of CO2 equivalent. The making of the machines is not in it.
    """
    return kwh * kg_per_kwh


@dataclass(frozen=True)
class TrainingCost:
    """What a training run takes.

    Attributes:
        flop: Operations.
        days: From start to end.
        hours: Accelerators times hours.
        kwh: Energy; NaN where the power of the accelerator is not known.
        carbon_kg: Kilograms of CO2 equivalent.
        money: In the currency of the price.
    """

    flop: float
    days: float
    hours: float
    kwh: float
    carbon_kg: float
    money: float


def training_cost(
    parameters: float,
    tokens: float,
    accelerator: Accelerator,
    count: int,
    assumed: Assumptions,
    *,
    recompute: bool = False,
) -> TrainingCost:
    """Estimate what a training run takes: one run, that works at the first attempt.

    Args:
        parameters: The size of the model.
        tokens: The tokens it reads.
        accelerator: On what.
        count: On how many.
        assumed: Utilisation, power, building, grid and price.
        recompute: Whether the forward pass is done again to save memory. A utilisation that is
            measured on useful work has this in it: then leave it False.

    Returns:
        The estimate.
    """
    flop = training_flop(parameters, tokens, recompute=recompute)
    seconds = training_seconds(flop, count, accelerator.flop_per_second * assumed.utilisation)
    hours = count * seconds / 3600
    watts = math.nan if accelerator.watts is None else accelerator.watts * assumed.power_share
    kwh = energy_kwh(hours, watts, assumed.pue)
    return TrainingCost(
        flop=flop,
        days=seconds / 86_400,
        hours=hours,
        kwh=kwh,
        carbon_kg=carbon_kg(kwh, assumed.kg_per_kwh),
        money=hours * assumed.price_per_hour,
    )


def cache_bytes(
    layers: int, key_value_width: int, tokens: int, *, batch: int = 1, bytes_a_number: float = 2
) -> float:
    """Give the memory of the keys and values of all past tokens, which writing reads again.

    Args:
        layers: The number of blocks.
        key_value_width: The heads that have keys of their own, times the length of a key. The
            width of the model, or a part of it where heads share keys.
        tokens: How long the text is so far.
        batch: How many texts.
        bytes_a_number: 2 in 16 bits.

    Returns:
        Bytes.
    """
    return 2 * layers * key_value_width * tokens * batch * bytes_a_number


@dataclass(frozen=True)
class TokenCosts:
    """What a million tokens cost on an own accelerator that is never idle.

    Attributes:
        reading: Of the prompt.
        writing: Of the answer.
    """

    reading: float
    writing: float


def token_costs(
    parameters: int,
    accelerator: Accelerator,
    assumed: Assumptions,
    *,
    batch: int = 1,
    bytes_a_parameter: float = 2,
) -> TokenCosts:
    """Estimate what a million tokens cost on an own accelerator.

    A prompt is read at the pace of arithmetic. An answer is written at the pace of the memory,
    which all requests of a batch share.

    Args:
        parameters: The weights that each token meets.
        accelerator: On what.
        assumed: The utilisation and the price.
        batch: How many requests are answered together.
        bytes_a_parameter: The size of a weight in memory.

    Returns:
        The cost of a million tokens read and of a million written. Lower bounds: the memory of
        past tokens is read too, and no machine is always busy.
    """
    use, million = assumed.utilisation, 1_000_000
    read = prefill_seconds(parameters, million, accelerator, use)
    write = decode_seconds(
        parameters,
        million,
        accelerator,
        use,
        batch=batch,
        bytes_a_parameter=bytes_a_parameter,
    )
    price = assumed.price_per_hour / 3600
    return TokenCosts(read * price, write * price)


def api_call_cost(
    prompt_tokens: float, answer_tokens: float, price_read: float, price_written: float
) -> float:
    """Give the cost of one call of an API.

    Args:
        prompt_tokens: The tokens of the prompt.
        answer_tokens: The tokens of the answer.
        price_read: The price of a million tokens read.
        price_written: The price of a million tokens written.

    Returns:
        The cost, in the currency of the prices.
    """
    return (prompt_tokens * price_read + answer_tokens * price_written) / 1e6
