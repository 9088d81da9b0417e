"""The command line that most benchmarks share: measure all or some, print, and record if asked."""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from scipy import stats

from companion import ledger

__all__ = ["Measured", "Table", "mean_with_tolerance", "run"]

Measured = dict[str, tuple[float, float]]  # value and tolerance by name
_FALSE_ALARMS = 1e-4  # the share of means that lie outside their tolerance by chance
_UNITS = {".seconds": "s", ".milliseconds": "ms"}


@dataclass(frozen=True)
class Table:
    """A group whose runs are recorded whole, so that a page can draw them without training.

    Attributes:
        measure: Does the work; a row per run.
        summarise: Computes the recorded numbers from the rows: value and tolerance by name.
    """

    measure: Callable[[], pd.DataFrame]
    summarise: Callable[[pd.DataFrame], Measured]


def mean_with_tolerance(values: Sequence[float], *, resolution: float) -> tuple[float, float]:
    """Compute the mean over seeds, and how far the same mean may lie from it elsewhere.

    Training is chaotic: another processor gives another run, as another seed does. So the tolerance
    follows from the spread over the seeds, by Student's t for the difference of two such means.

    Args:
        values: The measurement with each seed, at least five.
        resolution: The smallest step of one measurement, such as one document of the test set; the
            tolerance is at least that.

    Returns:
        The mean and the tolerance.

    Raises:
        ValueError: If there are fewer than five values.
    """
    if len(values) < 5:
        raise ValueError(f"{len(values)} values say little about their spread; measure at least 5")
    quantile = float(stats.t.ppf(1 - _FALSE_ALARMS / 2, len(values) - 1))
    spread = statistics.stdev(values) * math.sqrt(2 / len(values))
    return statistics.fmean(values), max(quantile * spread, resolution)


def run(
    description: str | None,
    command: str,
    groups: Mapping[str, Callable[[], Measured] | Table],
    *,
    prefix: str = "",
    seed: int | None = None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Run the command line, on one thread.

    Args:
        description: What ``--help`` says.
        command: What the records name to measure them again.
        groups: What may be measured alone, by name; the name of a :class:`Table` is that of its
            file.
        prefix: What every name begins with in the ledger.
        seed: The seed that the records name, where there is one.
        arguments: What was typed; those of the process if None.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(groups))
    parser.add_argument("--record", action="store_true", help="write the values into the ledger")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.groups if name not in groups]
    if unknown:
        parser.error(f"there is no group {unknown[0]}; choose from {', '.join(groups)}")
    torch.set_num_threads(1)
    for group in options.groups or groups:
        start = time.process_time()
        chosen = groups[group]
        if isinstance(chosen, Table):
            rows = chosen.measure()
            if options.record:
                ledger.record_table(
                    group, rows, command=f"{command.split(' --')[0]} {group} --record"
                )
                rows = ledger.table(group)  # with the digits that are kept
            found = chosen.summarise(rows)
        else:
            found = chosen()
        for name, (value, tolerance) in found.items():
            print(f"{prefix}{name} = {value:.4f} ± {tolerance:.3g}", flush=True)
            if options.record:
                unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
                ledger.record(
                    f"{prefix}{name}",
                    value,
                    tolerance=tolerance,
                    unit=unit,
                    command=command,
                    seed=seed,
                )
        print(f"  {group}: {time.process_time() - start:.0f} CPU-seconds")
