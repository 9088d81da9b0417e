"""Training runs whose teams published what they took, and what our formulas say of them.

Explained in :doc:`/questions/compute`, "Against what was published".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from companion.questions.compute import carbon_kg, energy_kwh, training_flop
from companion.questions.constants import ACCELERATORS, CONSTANTS

__all__ = [
    "PUBLISHED_RUNS",
    "PublishedRun",
    "carbon_table",
    "flop_table",
    "hours_table",
    "reached_utilisation",
]


@dataclass(frozen=True)
class PublishedRun:
    """What a team published of a training run.

    Attributes:
        name: The model.
        family: Runs of one team with one set-up; they do not count as independent of each other.
        parameters: N.
        tokens: D.
        accelerator: A key of :data:`companion.questions.constants.ACCELERATORS`.
        source: The keys of references.bib.
        flop: The operations that the team counted, if it did.
        hours: Accelerators times hours of the run.
        recompute: Whether ``flop`` counts the forward pass twice.
        carbon_t: Tonnes of CO2 equivalent.
        watts: The power per accelerator that the carbon was counted with.
        pue: The PUE that the carbon was counted with.
        kg_per_kwh: The carbon of the grid that it was counted with.
    """

    name: str
    family: str
    parameters: float
    tokens: float
    accelerator: str
    source: tuple[str, ...]
    flop: float | None = None
    hours: float | None = None
    recompute: bool = False
    carbon_t: float | None = None
    watts: float | None = None
    pue: float = 1.1
    kg_per_kwh: float = 0.385


_LLAMA, _LLAMA2 = ("touvron2023llama",), ("touvron2023llama2", "llama2-card")
_LLAMA3, _LLAMA31 = ("llama3-card",), ("grattafiori2024", "llama31-card")
PUBLISHED_RUNS: tuple[PublishedRun, ...] = (
    PublishedRun(
        "GPT-3",
        "GPT-3",
        174.6e9,
        300e9,
        "v100",
        ("brown2020", "patterson2021"),
        flop=3.14e23,
        carbon_t=552,
        watts=330,
        kg_per_kwh=0.429,
    ),
    PublishedRun(
        "Gopher",
        "Gopher",
        280e9,
        300e9,
        "tpu-v3",
        ("rae2021", "hoffmann2022"),
        flop=5.76e23,
        hours=4096 * 920,
    ),
    PublishedRun(
        "PaLM",
        "PaLM",
        540.35e9,
        780e9,
        "tpu-v4",
        ("chowdhery2022",),
        flop=2.56e24,
        hours=6144 * 1200 + 3072 * 336,
    ),
    PublishedRun(
        "BLOOM",
        "BLOOM",
        176.247e9,
        366e9,
        "a100",
        ("bigscience2022", "luccioni2023"),
        hours=1_082_990,
        carbon_t=24.7,
        watts=400,
        pue=1.0,
        kg_per_kwh=0.057,
    ),
    PublishedRun(
        "BloombergGPT",
        "BloombergGPT",
        50.6e9,
        569e9,
        "a100",
        ("wu2023bloomberg",),
        flop=2.36e23,
        recompute=True,
        hours=512 * 53 * 24,
    ),
    PublishedRun("LLaMA 7B", "LLaMA", 6.7e9, 1e12, "a100", _LLAMA, hours=82_432),
    PublishedRun("LLaMA 65B", "LLaMA", 65.2e9, 1.4e12, "a100", _LLAMA, hours=1_022_362),
    PublishedRun("Pythia 12B", "Pythia", 11.84e9, 299.9e9, "a100", ("biderman2023",), hours=72_300),
    PublishedRun("StarCoderBase", "StarCoder", 15.5e9, 1e12, "a100", ("li2023",), hours=320_256),
    PublishedRun(
        "Llama 2 7B",
        "Llama 2",
        7e9,
        2e12,
        "a100",
        _LLAMA2,
        hours=184_320,
        carbon_t=31.22,
        watts=400,
    ),
    PublishedRun(
        "Llama 2 70B",
        "Llama 2",
        70e9,
        2e12,
        "a100",
        _LLAMA2,
        hours=1_720_320,
        carbon_t=291.42,
        watts=400,
    ),
    PublishedRun(
        "Llama 3 8B",
        "Llama 3",
        8e9,
        15e12,
        "h100",
        _LLAMA3,
        hours=1.3e6,
        carbon_t=390,
        watts=700,
    ),
    PublishedRun(
        "Llama 3 70B",
        "Llama 3",
        70e9,
        15e12,
        "h100",
        _LLAMA3,
        hours=6.4e6,
        carbon_t=1900,
        watts=700,
    ),
    PublishedRun(
        "Llama 3.1 405B",
        "Llama 3",
        405e9,
        15.6e12,
        "h100",
        _LLAMA31,
        flop=3.8e25,
        hours=30.84e6,
        carbon_t=8930,
        watts=700,
    ),
)
"""The runs, of which at least the size and the tokens are published."""

_GPT3_HOURS = 10_000 * 14.8 * 24
"""Accelerator hours of GPT-3 by the assumption of Patterson et al.; no team published them."""


def reached_utilisation(run: PublishedRun) -> float:
    """Compute the share of the peak that a run reached, from its size, tokens and hours.

    Args:
        run: A run whose hours are published.

    Returns:
        The share; NaN where no hours are published.
    """
    if run.hours is None:
        return math.nan
    peak = ACCELERATORS[run.accelerator].flop_per_second
    return training_flop(run.parameters, run.tokens) / (run.hours * 3600 * peak)


def flop_table(runs: Sequence[PublishedRun] = PUBLISHED_RUNS) -> pd.DataFrame:
    """Set 6·N·D beside the operations that a team counted itself (8·N·D where it recomputed).

    Args:
        runs: The runs; those without such a number are left out.

    Returns:
        A row a run: ``published``, ``ours``, ``ratio`` of ours to the published.
    """
    rows = {
        run.name: (run.flop, training_flop(run.parameters, run.tokens, recompute=run.recompute))
        for run in runs
        if run.flop is not None
    }
    return _compared(rows)


def hours_table(runs: Sequence[PublishedRun] = PUBLISHED_RUNS) -> pd.DataFrame:
    """Predict the accelerator hours of each run from the runs of the *other* teams.

    The one thing that has to be guessed is the utilisation. It is the median of what the runs of
    all other families reached, so no run is used to predict itself or its sisters.

    Args:
        runs: The runs; those without hours are left out.

    Returns:
        A row a run: ``accelerator``, ``utilisation`` that it reached, ``published``, ``ours``,
        ``ratio`` of ours to the published.
    """
    known = [run for run in runs if run.hours is not None]
    reached = pd.Series([reached_utilisation(run) for run in known])
    families = pd.Series([run.family for run in known])
    rows = {}
    for run in known:
        peak = ACCELERATORS[run.accelerator].flop_per_second
        guess = float(reached[families != run.family].median())
        hours = training_flop(run.parameters, run.tokens) / (3600 * peak * guess)
        rows[run.name] = (run.hours or math.nan, hours)
    table = _compared(rows)
    table.insert(0, "accelerator", [ACCELERATORS[run.accelerator].name for run in known])
    table.insert(1, "utilisation", reached.to_numpy())
    return table


def carbon_table(runs: Sequence[PublishedRun] = PUBLISHED_RUNS) -> pd.DataFrame:
    """Compute the carbon again from the published hours, power, PUE and grid.

    Args:
        runs: The runs; those that publish no carbon are left out.

    Returns:
        A row a run: ``published`` and ``ours`` in tonnes, ``ratio``, and ``elsewhere``: tonnes on
        the grid with the most carbon of :data:`companion.questions.constants.CONSTANTS`.
    """
    rows, elsewhere = {}, []
    for run in runs:
        if run.carbon_t is None or run.watts is None:
            continue
        kwh = energy_kwh(run.hours or _GPT3_HOURS, run.watts, run.pue)
        rows[run.name] = (run.carbon_t, carbon_kg(kwh, run.kg_per_kwh) / 1000)
        elsewhere.append(carbon_kg(kwh, CONSTANTS["kg_per_kwh"].high) / 1000)
    return _compared(rows).assign(elsewhere=elsewhere)


def _compared(rows: dict[str, tuple[float, float]]) -> pd.DataFrame:
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["published", "ours"])
    return table.rename_axis("run").assign(ratio=table["ours"] / table["published"])
