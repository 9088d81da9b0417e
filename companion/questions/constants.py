"""The numbers that an estimate of cost rests on, each with a range and a source.

Explained in :doc:`/questions/compute`, "The constants". Nothing in
:mod:`companion.questions.compute` knows a number of this kind by itself: everything comes from
here or from you.
"""

import math
from dataclasses import asdict, astuple, dataclass
from typing import Any

from companion.concepts.economics import Accelerator
from companion.errors import DataError

__all__ = [
    "ACCELERATORS",
    "CONSTANTS",
    "GRIDS",
    "Assumptions",
    "Constant",
    "accelerator_named",
    "assumptions",
    "constants_as_json",
]


@dataclass(frozen=True)
class Constant:
    """A number of the estimate.

    Attributes:
        value: What is used unless you say otherwise.
        low: The lowest that a source reports.
        high: The highest.
        unit: The unit; empty for a share or a ratio.
        meaning: What it is, and where value, low and high come from.
        source: The keys of references.bib.
    """

    value: float
    low: float
    high: float
    unit: str
    meaning: str
    source: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.value <= self.high:
            raise DataError(f"{self.meaning}: {self.value} is not from {self.low} to {self.high}")


CONSTANTS: dict[str, Constant] = {
    "flop_per_parameter_and_token": Constant(
        6,
        6,
        8,
        "FLOP",
        "two to read a token, twice as many to learn from it; 8 when the forward pass is repeated "
        "to save memory",
        ("kaplan2020", "narayanan2021"),
    ),
    "tokens_per_parameter": Constant(
        20,
        20,
        22.4,
        "tokens",
        "the best use of a fixed compute; lowest and highest ratio of Hoffmann's Table 3",
        ("hoffmann2022",),
    ),
    "utilisation": Constant(
        0.30,
        0.15,
        0.48,
        "",
        "the share of the peak that a whole run reaches, pauses and repeated steps included: "
        "median, lowest and highest of the published runs",
        ("touvron2023llama", "chowdhery2022", "llama3-card", "luccioni2023"),
    ),
    "training_bytes_per_parameter": Constant(
        16,
        16,
        16,
        "bytes",
        "Adam in mixed precision: weight 2, gradient 2, and 12 for the weight and two moments in "
        "single precision",
        ("rajbhandari2020",),
    ),
    "power_share": Constant(
        1.0,
        0.54,
        1.1,
        "",
        "power that an accelerator and its part of the machine draw, over what the accelerator is "
        "built for; 1 is what the Llama and BLOOM teams count with, the range is measured",
        ("touvron2023llama2", "patterson2021"),
    ),
    "pue": Constant(
        1.1,
        1.08,
        1.58,
        "",
        "power of the whole data centre over that of its computers: GPT-3, PaLM, and the average "
        "of the industry in 2023",
        ("patterson2021", "chowdhery2022", "uptime2023"),
    ),
    "kg_per_kwh": Constant(
        0.385,
        0.056,
        0.713,
        "kg CO2e/kWh",
        "carbon of the grid: average of the USA as LLaMA counts, France and India in 2023",
        ("touvron2023llama", "owid-carbon"),
    ),
    "price_per_hour": Constant(
        2.0,
        1.0,
        4.0,
        "a GPU hour",
        "an example to be typed over; 2 dollars is what the DeepSeek-V3 report assumes, the range "
        "is half and twice of it",
        ("deepseek2024",),
    ),
}
"""The constants by name."""

GRIDS: dict[str, float] = {
    "france": 0.056,
    "germany": 0.381,
    "usa": 0.385,
    "china": 0.582,
    "india": 0.713,
}
"""Kilograms of CO2 a kWh: the USA as in ``touvron2023llama``, the others ``owid-carbon``, 2023."""

ACCELERATORS: dict[str, Accelerator] = {
    "v100": Accelerator("V100", 125e12, 900e9, 32e9, 300, ("v100-datasheet",)),
    "a100": Accelerator("A100 80 GB", 312e12, 2_039e9, 80e9, 400, ("a100-datasheet",)),
    "h100": Accelerator("H100 80 GB", 989e12, 3_350e9, 80e9, 700, ("h100-datasheet",)),
    "tpu-v3": Accelerator("TPU v3", 123e12, 900e9, 32 * 2**30, 450, ("tpu-v3", "patterson2021")),
    "tpu-v4": Accelerator("TPU v4", 275e12, 1_200e9, 32 * 2**30, None, ("tpu-v4",)),
}
"""Peaks of dense 16-bit arithmetic. Data sheets that print twice as much count zeros as work."""


def accelerator_named(name: str) -> Accelerator:
    """Look up an accelerator.

    Args:
        name: A key of :data:`ACCELERATORS`, in any case.

    Returns:
        The accelerator.

    Raises:
        DataError: If there is none of this name.
    """
    if name.lower() not in ACCELERATORS:
        raise DataError(f"{name!r} is no accelerator of the list; take one of {[*ACCELERATORS]}")
    return ACCELERATORS[name.lower()]


@dataclass(frozen=True)
class Assumptions:
    """What an estimate takes for granted; the fields are those of :data:`CONSTANTS`."""

    utilisation: float
    power_share: float
    pue: float
    kg_per_kwh: float
    price_per_hour: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in astuple(self)):
            raise DataError("an assumption is not a finite number; give a number for each")
        if not 0 < self.utilisation <= 1:
            raise DataError(f"a utilisation of {self.utilisation} is no share; give 0.3, or so")
        if self.pue < 1:
            raise DataError(f"a PUE of {self.pue} is below 1: a data centre cannot make power")
        if min(self.power_share, self.kg_per_kwh, self.price_per_hour) < 0:
            raise DataError("a power share, a carbon intensity and a price are 0 or more")


def assumptions(**chosen: float) -> dict[str, Assumptions]:
    """Give the cheapest, the usual and the dearest assumptions of :data:`CONSTANTS`.

    Args:
        chosen: What you know better. It holds in all three.

    Returns:
        The keys ``low``, ``value`` and ``high``. ``low`` has the highest utilisation, because that
        makes a run cheap.

    Raises:
        DataError: If a name is none of :class:`Assumptions`, or a value cannot be.
    """
    names = list(Assumptions.__dataclass_fields__)
    if unknown := chosen.keys() - set(names):
        raise DataError(f"{sorted(unknown)} cannot be assumed; the names are {names}")
    sides = {"low": ("high", "low"), "value": ("value", "value"), "high": ("low", "high")}
    return {
        case: Assumptions(
            **{
                name: chosen.get(
                    name, getattr(CONSTANTS[name], use if name == "utilisation" else other)
                )
                for name in names
            }
        )
        for case, (use, other) in sides.items()
    }


def constants_as_json() -> dict[str, Any]:
    """Give all numbers of the estimate as values that JSON can hold, for a page that calculates.

    Returns:
        The keys ``constants``, ``accelerators`` and ``grids_kg_per_kwh``.
    """
    return {
        "constants": {name: asdict(each) for name, each in CONSTANTS.items()},
        "accelerators": {name: asdict(each) for name, each in ACCELERATORS.items()},
        "grids_kg_per_kwh": GRIDS,
    }
