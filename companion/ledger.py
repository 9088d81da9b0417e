"""The results ledger: the numbers that a computation on noisy hardware produced, kept in one place.

An accuracy, a time or a ratio differs a little from machine to machine, so it is never typed into
prose. It is measured by a command, recorded in ``book/results/<topic>.json``, printed by the book
from there, and checked by the notebooks: :func:`check` fails when a new measurement leaves the
tolerance, and otherwise prints the *recorded* value, so that the published output is the same
everywhere.

The folder is ``$COMPANION_RESULTS``, or else the nearest ``book/results`` in or above the working
directory.
"""

import difflib
import json
import math
import os
import re
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.errors import LedgerError, OutputError
from companion.files import write_atomically
from companion.reproducibility import hardware, versions

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "STRICT",
    "Result",
    "check",
    "load",
    "record",
    "record_table",
    "recorded",
    "results_folder",
    "table",
]

STRICT = "COMPANION_STRICT"  # the environment variable that the tests set
_TABLES, _DIGITS = "tables", 6  # their folder inside the ledger, and the significant digits kept
_TIME_UNITS = frozenset({"s", "ms", "seconds", "milliseconds", "CPU-seconds"})
_TIME_NAMES = ("seconds", "milliseconds", "_ms")
NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


@dataclass(frozen=True)
class Result:
    """One recorded number.

    Attributes:
        name: Lower-case words joined by dots, as ``bbc.lstm.test_accuracy``; the first is the topic
            and the file.
        value: The number.
        tolerance: How far a new measurement may lie from it, in the same unit, either way.
        unit: The unit, empty for a ratio or an accuracy.
        command: What to run to measure it again.
        seed: The seed of the run, or None where nothing is random.
        device: The processor or GPU it was measured on.
        versions: Python and the packages that took part.
        date: The day of the measurement (UTC), as ``2026-01-31``.
    """

    name: str
    value: float
    tolerance: float = 0.0
    unit: str = ""
    command: str = ""
    seed: int | None = None
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""

    @property
    def is_compared(self) -> bool:
        """Whether a new measurement must lie within the tolerance.

        Times are the machine's own, and a tolerance as large as the value excludes nothing.
        """
        is_time = self.unit in _TIME_UNITS or self.name.endswith(_TIME_NAMES)
        return not is_time and (self.value == 0 or self.tolerance < abs(self.value))

    @property
    def text(self) -> str:
        """The value to one digit more than its tolerance tells apart; six digits where exact."""
        if self.tolerance <= 0:
            return f"{self.value:.6g}"
        decimals = max(0, 1 - math.floor(math.log10(self.tolerance)))
        return f"{self.value:.{decimals}f}"

    @property
    def line(self) -> str:
        """The one line that :func:`check` prints, the same on every machine."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} = {self.text}{unit} (recorded, ±{self.tolerance:g})"


def results_folder() -> Path:
    """Find the folder of the ledger.

    Returns:
        ``$COMPANION_RESULTS`` if it is set, otherwise the nearest ``book/results`` in or above the
        working directory.

    Raises:
        LedgerError: If there is none.
    """
    if chosen := os.environ.get("COMPANION_RESULTS"):
        return Path(chosen)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "book" / "results").is_dir() or (folder / "book" / "_toc.yml").is_file():
            return folder / "book" / "results"
    raise LedgerError(
        f"no results ledger: neither {here} nor a folder above it has book/results; "
        "run from inside the repository of the book, or set COMPANION_RESULTS to the folder"
    )


def load(folder: Path | None = None) -> dict[str, Result]:
    """Read every recorded number.

    Args:
        folder: The folder with the ``*.json`` files; the ledger of :func:`results_folder` if None.

    Returns:
        The results by name, in the order of their names.

    Raises:
        LedgerError: If a file cannot be read, a record is wrong, or two records share a name.
    """
    folder = folder or results_folder()
    results: dict[str, Result] = {}
    for path in sorted(folder.glob("*.json")):
        for result in _read(path):
            if result.name in results:
                raise LedgerError(f"{path}: {result.name} is recorded twice; delete one of the two")
            results[result.name] = result
    return dict(sorted(results.items()))


def recorded(name: str) -> float:
    """Look up a recorded number.

    Args:
        name: Its name, as ``bbc.lstm.test_accuracy``.

    Returns:
        The value.

    Raises:
        LedgerError: If nothing is recorded under this name.
    """
    return _find(name).value


def check(name: str, measured: float) -> None:
    """Compare a new measurement with the record, and print the record.

    In the tests, which set ``COMPANION_STRICT=1``, a measurement outside the tolerance is an error.
    Elsewhere it is printed as a note: your processor or your versions may differ from ours.

    Args:
        name: The name of the record.
        measured: What has just been measured, in the unit of the record.

    Raises:
        LedgerError: If the name is unknown, or the measurement is not a number or, in the tests,
            outside the tolerance.
    """
    result = _find(name)
    value = _finite(name, measured)
    # The small slack forgives the last bit of the subtraction, nothing more.
    slack = result.tolerance + 1e-12 * max(1.0, abs(result.value))
    if result.is_compared and abs(value - result.value) > slack:
        if os.environ.get(STRICT, "") in ("", "0"):
            print(f"Note: {name} is {value:g} here; the next line has what the book measured.")
        else:
            again = f"run `{result.command}`" if result.command else "measure and record it"
            raise LedgerError(
                f"{name}: measured {value:g}, recorded {result.value:g}, tolerance "
                f"{result.tolerance:g}{' ' + result.unit if result.unit else ''}; find out what "
                f"changed, and if the new number is right, {again} again and correct the prose "
                "that leans on it"
            )
    print(result.line)


def record(
    name: str,
    value: float,
    *,
    tolerance: float,
    unit: str = "",
    command: str = "",
    seed: int | None = None,
    device: str | None = None,
    folder: Path | None = None,
) -> Result:
    """Write a number into the ledger, in place of an earlier one of the same name.

    The versions, the date and, unless given, the processor are filled in. A crash leaves the old
    file or the new one, never half of one.

    Args:
        name: Lower-case words joined by dots; the first names the file.
        value: The number.
        tolerance: How far a later measurement may lie from it.
        unit: Its unit.
        command: What to run to measure it again.
        seed: The seed of the run.
        device: ``cuda`` (the GPU's name is looked up), or any description; the processor if None.
        folder: The folder to write to; the ledger of :func:`results_folder` if None.

    Returns:
        What was written.

    Raises:
        LedgerError: If the name has another form, or a number is not finite or the tolerance
            negative.
        OutputError: If the file cannot be written.
    """
    if not NAME.fullmatch(name):
        raise LedgerError(
            f"{name!r} is no name for a result: write lower-case words joined by dots, topic first"
        )
    if _finite(f"{name} (tolerance)", tolerance) < 0:
        raise LedgerError(f"{name}: the tolerance is {tolerance:g}; it cannot be negative")
    result = Result(
        name=name,
        value=_finite(name, value),
        tolerance=float(tolerance),
        unit=unit,
        command=command,
        seed=seed,
        device=hardware(device),
        versions=versions(),
        date=datetime.now(UTC).date().isoformat(),
    )
    path = (folder or results_folder()) / f"{name.split('.')[0]}.json"
    kept = {old.name: old for old in _read(path)} if path.exists() else {}
    _write(path, sorted((kept | {name: result}).values(), key=lambda each: each.name))
    return result


def table(name: str, folder: Path | None = None) -> "pd.DataFrame":
    """Read a recorded table: the runs behind a figure, measured where training takes minutes.

    Args:
        name: Its name, as ``concepts.scaling``.
        folder: The folder of the ledger; that of :func:`results_folder` if None.

    Returns:
        The rows as they were measured, floats with six significant digits.

    Raises:
        LedgerError: If there is no such table, or its file is damaged.
    """
    import pandas as pd

    tables = (folder or results_folder()) / _TABLES
    path = tables / f"{name}.json"
    if not path.is_file():
        known = sorted(each.stem for each in tables.glob("*.json"))
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise LedgerError(f"no table {name} is recorded in {tables}{hint}")
    try:
        return pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["columns"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"{path}: {error}; restore the file from version control") from error


def record_table(
    name: str,
    rows: "pd.DataFrame",
    *,
    command: str,
    device: str | None = None,
    folder: Path | None = None,
) -> Path:
    """Write a table into the ledger, in place of an earlier one of the same name.

    Args:
        name: Lower-case words joined by dots.
        rows: Numbers and texts, one row per run; the index is not kept.
        command: What to run to measure it again.
        device: As for :func:`record`.
        folder: The folder to write to; the ledger of :func:`results_folder` if None.

    Returns:
        The file.

    Raises:
        LedgerError: If the name has another form, or a number is not finite.
        OutputError: If the file cannot be written.
    """
    if not NAME.fullmatch(name):
        raise LedgerError(f"{name!r}: write lower-case words joined by dots, topic first")
    columns = {
        str(column): [_rounded(f"{name}, {column}", value) for value in values.tolist()]
        for column, values in rows.items()
    }
    about = {"name": name, "command": command, "device": hardware(device), "versions": versions()}
    about["date"] = datetime.now(UTC).date().isoformat()
    parts = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in about.items()]
    lines = [
        f"    {json.dumps(column, ensure_ascii=False)}: {json.dumps(values, ensure_ascii=False)}"
        for column, values in columns.items()
    ]
    body = ",\n".join([*parts, '  "columns": {\n' + ",\n".join(lines) + "\n  }"])
    path = (folder or results_folder()) / _TABLES / f"{name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot be made ({error.strerror})") from error
    write_atomically(path, f"{{\n{body}\n}}\n".encode())
    return path


def _rounded(place: str, value: Any) -> Any:
    """Round a float, also inside of lists; anything else stays."""
    if isinstance(value, list | tuple):
        return [_rounded(place, each) for each in value]
    if isinstance(value, float):
        return float(f"{_finite(place, value):.{_DIGITS}g}")
    return value


def _find(name: str) -> Result:
    """Look up a record or say which names are near."""
    results = load()
    if name in results:
        return results[name]
    near = difflib.get_close_matches(name, results, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise LedgerError(
        f"{name} is not in the ledger {results_folder()}{hint} "
        "Record it with companion.ledger.record."
    )


def _finite(name: str, value: float) -> float:
    """Turn a number, also of NumPy or torch, into a finite float."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise LedgerError(f"{name}: {value!r} is not a number; pass one number") from error
    if not math.isfinite(number):
        raise LedgerError(
            f"{name}: {number} is not a finite number; the measurement itself went wrong"
        )
    return number


def _read(path: Path) -> list[Result]:
    """Read one file: a list of records, or a dictionary of records by name."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LedgerError(f"{path}: {error}; restore the file from version control") from error
    if isinstance(content, dict):
        content = [{"name": name, **row} for name, row in content.items()]
    return [_parse(path, row) for row in content]


def _parse(path: Path, row: Any) -> Result:
    """Check one record of a file."""
    known = {each.name for each in fields(Result)}
    if not isinstance(row, dict) or not {"name", "value"} <= row.keys() or not row.keys() <= known:
        raise LedgerError(
            f"{path}: {row!r} is no record; its keys are name, value and any of {sorted(known)}"
        )
    result = Result(**row)
    _finite(f"{path}: {result.name}", result.value)
    if _finite(f"{path}: {result.name} (tolerance)", result.tolerance) < 0:
        raise LedgerError(f"{path}: {result.name} has a negative tolerance")
    return result


def _write(path: Path, results: list[Result]) -> None:
    """Write a file of records."""
    text = (
        json.dumps(
            [asdict(result) for result in results], indent=2, ensure_ascii=False, allow_nan=False
        )
        + "\n"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot be made ({error.strerror})") from error
    write_atomically(path, text.encode("utf-8"))
