"""The tables of ``companion cost``: Markdown that can be pasted, or values for JSON.

Explained in :doc:`/questions/compute`, "On the command line".
"""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from companion.concepts.economics import (
    Accelerator,
    MonthlyCost,
    break_even_requests,
    decode_seconds,
    own_request_seconds,
    prefill_seconds,
)
from companion.errors import DataError
from companion.questions.compute import (
    TrainingCost,
    accelerators_needed,
    api_call_cost,
    training_cost,
    training_memory,
)
from companion.questions.constants import ACCELERATORS, CONSTANTS, Assumptions

__all__ = [
    "amount",
    "constants_markdown",
    "markdown_table",
    "parse_amount",
    "rounded",
    "serving_report",
    "training_report",
]

_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:e[0-9]+)?)\s*([kmbt]?)", re.IGNORECASE | re.ASCII)
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_LARGEST = 1e18
_HOURS_A_MONTH = 24 * 30


def parse_amount(text: str) -> float:
    """Read a number of parameters or tokens, as ``7B``, ``1.4T``, ``300e9`` or ``22700000``.

    Args:
        text: The number, perhaps with k, M, B or T behind it, in any case.

    Returns:
        The number.

    Raises:
        DataError: If it is no such number, or not from 1 to 10^18.
    """
    found = _AMOUNT.fullmatch(text.strip().replace(",", "").replace("_", ""))
    if not found:
        raise DataError(f"{text!r} is no amount; write 7B, 1.4T, 300e9 or 22700000")
    value = float(found[1]) * _FACTORS[found[2].lower()]
    if not 1 <= value <= _LARGEST:
        raise DataError(f"{text!r} is not from 1 to 10^18")
    return value


def rounded(value: float) -> str:
    """Write a number to three digits, with commas, and as a power of ten where it is very large.

    >>> rounded(1234.5), rounded(0.01234), rounded(3.15e23), rounded(float("nan"))
    ('1,230', '0.0123', '3.15e+23', 'not known')
    """
    if math.isnan(value):
        return "not known"
    if math.isinf(value):
        return "never"
    if abs(value) >= 1e12 or 0 < abs(value) < 1e-4:
        return f"{value:.2e}"
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{round(value, digits):,.{max(0, digits)}f}"


def amount(value: float) -> str:
    """Write a number of parameters or tokens as people say it.

    >>> amount(7e9), amount(1.4e12), amount(100_000), amount(512)
    ('7B', '1.4T', '100k', '512')
    """
    letter = next((each for each in "TBMk" if value >= _FACTORS[each.lower()]), "")
    return f"{value / _FACTORS[letter.lower()]:.3g}{letter}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown.

    Args:
        header: A title a column.
        rows: The cells.

    Returns:
        Lines of text.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def training_report(
    parameters: float,
    tokens: float,
    accelerator: Accelerator,
    count: int,
    cases: dict[str, Assumptions],
) -> tuple[str, dict[str, Any]]:
    """Estimate a training run under the cheapest, the usual and the dearest assumptions.

    Args:
        parameters: The size of the model.
        tokens: The tokens it reads.
        accelerator: On what.
        count: On how many.
        cases: As :func:`companion.questions.constants.assumptions` gives them.

    Returns:
        A table in Markdown, and the same as values for JSON.
    """
    costs = {
        case: training_cost(parameters, tokens, accelerator, count, assumed)
        for case, assumed in cases.items()
    }
    memory = training_memory(parameters)
    needed = accelerators_needed(memory.total, accelerator)
    quantities = {
        "flop": "operations (FLOP)",
        "days": f"days on {count:,} × {accelerator.name}",
        "hours": "accelerator hours",
        "kwh": "energy (kWh)",
        "carbon_kg": "carbon (kg CO2e)",
        "money": "money, your currency",
    }
    order: list[TrainingCost] = [costs[case] for case in ("low", "value", "high")]
    rows = [
        [title, *(rounded(getattr(each, name)) for each in order)]
        for name, title in quantities.items()
    ]
    rows.append(["memory without activations (GB)", *[rounded(memory.total / 1e9)] * 3])
    rows.append([f"fewest {accelerator.name} for that", *[f"{needed:,}"] * 3])
    title = f"training {amount(parameters)} parameters on {amount(tokens)} tokens"
    values = {
        "parameters": parameters,
        "tokens": tokens,
        "accelerator": accelerator.name,
        "count": count,
        "assumptions": {case: asdict(each) for case, each in cases.items()},
        "cost": {case: _plain(asdict(each)) for case, each in costs.items()},
        "memory_bytes": asdict(memory),
        "fewest_accelerators": needed,
    }
    return markdown_table([title, "low", "usual", "high"], rows), values


def serving_report(
    parameters: int,
    prompt: int,
    answer: int,
    requests: float,
    accelerator: Accelerator,
    assumed: Assumptions,
    *,
    batch: int,
    api_prices: tuple[float, float],
    bytes_a_parameter: float = 2,
) -> tuple[str, dict[str, Any]]:
    """Compare a month on own accelerators with a month of an API.

    Args:
        parameters: The weights that each token meets.
        prompt: The tokens of a prompt.
        answer: The tokens of an answer.
        requests: Requests a month.
        accelerator: On what.
        assumed: The utilisation and the price.
        batch: How many requests are answered together.
        api_prices: Of a million tokens read, and written.
        bytes_a_parameter: The size of a weight in memory.

    Returns:
        A table in Markdown, and the same as values for JSON. The own accelerators stand ready all
        month; the people who look after them are left out.

    Raises:
        DataError: If the weights do not fit the accelerator.
    """
    seconds = own_request_seconds(
        parameters,
        prompt,
        answer,
        accelerator,
        utilisation=assumed.utilisation,
        batch=batch,
        bytes_a_parameter=bytes_a_parameter,
    )
    reading = prefill_seconds(parameters, prompt, accelerator, assumed.utilisation)
    writing = batch * decode_seconds(
        parameters,
        answer,
        accelerator,
        assumed.utilisation,
        batch=batch,
        bytes_a_parameter=bytes_a_parameter,
    )
    capacity = _HOURS_A_MONTH * 3600 / seconds
    machines = max(1, math.ceil(requests / capacity))
    own = MonthlyCost("own", machines * _HOURS_A_MONTH * assumed.price_per_hour, 0.0)
    one = MonthlyCost("one machine", _HOURS_A_MONTH * assumed.price_per_hour, 0.0)
    api = MonthlyCost("API", 0.0, api_call_cost(prompt, answer, *api_prices))
    meeting = break_even_requests(one, api)
    values = {
        "seconds_reading": reading,
        "seconds_writing": writing,
        "requests_a_machine": capacity,
        "machines": machines,
        "own_month": own.at(requests),
        "api_month": api.at(requests),
        "own_thousand": own.per_thousand(requests),
        "api_thousand": api.per_thousand(requests),
        "break_even_requests": meeting,
        "one_machine_reaches_it": meeting <= capacity,
        "assumptions": asdict(assumed),
    }
    rows = [
        ["a user waits, reading (s)", rounded(reading), "ask"],
        ["a user waits, writing (s)", rounded(writing), "ask"],
        ["machines", f"{machines:,} × {accelerator.name}", "none"],
        ["a month", rounded(own.at(requests)), rounded(api.at(requests))],
        [
            "a thousand requests",
            rounded(own.per_thousand(requests)),
            rounded(api.per_thousand(requests)),
        ],
        ["one machine costs as much at", f"{rounded(meeting)} requests", "the same"],
    ]
    title = f"{amount(requests)} requests a month of {prompt:,} + {answer:,} tokens"
    return markdown_table([title, "own", "API"], rows), _plain(values)


def constants_markdown() -> str:
    """Give the constants and the accelerators, with their sources, as two tables in Markdown."""
    constants = [
        [
            name,
            *(f"{getattr(each, field):g}" for field in ("low", "value", "high")),
            each.unit or "share",
            ", ".join(each.source),
        ]
        for name, each in CONSTANTS.items()
    ]
    accelerators = [
        [
            name,
            f"{each.flop_per_second / 1e12:g}",
            f"{each.bytes_per_second / 1e9:g}",
            f"{each.memory_bytes / 1e9:.0f}",
            "not known" if each.watts is None else f"{each.watts:g}",
            ", ".join(each.source),
        ]
        for name, each in ACCELERATORS.items()
    ]
    first = markdown_table(["constant", "low", "usual", "high", "unit", "source"], constants)
    second = markdown_table(
        ["accelerator", "TFLOP/s", "GB/s", "GB", "W", "source"],
        accelerators,
    )
    return f"{first}\n\n{second}"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Replace what JSON has no word for: NaN and infinity become null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
