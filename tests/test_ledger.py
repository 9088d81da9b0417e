"""The results ledger: what it accepts, prints, refuses and leaves on disk."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from companion import ledger
from companion.errors import LedgerError, OutputError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    results = tmp_path / "book" / "results"
    results.mkdir(parents=True)
    monkeypatch.chdir(results.parent)
    monkeypatch.delenv("COMPANION_RESULTS", raising=False)
    ledger.record("toy.accuracy", 0.96213, tolerance=0.02, command="make toy", seed=3)
    return results


def test_check_prints_the_record_not_the_measurement(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.check("toy.accuracy", 0.9511)
    ledger.check("toy.accuracy", 0.98)
    first, second = capsys.readouterr().out.splitlines()
    assert first == second == "toy.accuracy = 0.962 (recorded, ±0.02)"


@pytest.mark.parametrize("measured", [0.94, 0.983, -0.96])
def test_check_refuses_what_is_outside_the_tolerance(folder: Path, measured: float) -> None:
    with pytest.raises(
        LedgerError, match=r"toy\.accuracy: measured .*recorded 0\.96213, tolerance 0\.02.*make toy"
    ):
        ledger.check("toy.accuracy", measured)


@pytest.mark.parametrize("measured", [math.nan, math.inf, -math.inf])
def test_check_refuses_what_is_not_finite(folder: Path, measured: float) -> None:
    with pytest.raises(LedgerError, match="not a finite number"):
        ledger.check("toy.accuracy", measured)


def test_check_refuses_what_is_no_number(folder: Path) -> None:
    with pytest.raises(LedgerError, match="is not a number"):
        ledger.check("toy.accuracy", "many")  # type: ignore[arg-type]


def test_the_edge_of_the_tolerance_counts_as_inside(folder: Path) -> None:
    ledger.record("toy.edge", 0.3, tolerance=0.1)
    ledger.check("toy.edge", 0.1 + 0.1)
    ledger.check("toy.edge", 0.4)


def test_an_exact_record_accepts_only_itself(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.record("toy.count", 2127, tolerance=0, unit="documents")
    ledger.check("toy.count", 2127)
    assert capsys.readouterr().out == "toy.count = 2127 documents (recorded, ±0)\n"
    with pytest.raises(LedgerError):
        ledger.check("toy.count", 2126)


def test_an_unknown_name_suggests_the_near_ones(folder: Path) -> None:
    with pytest.raises(LedgerError, match=r"did you mean toy\.accuracy"):
        ledger.check("toy.acuracy", 0.96)
    with pytest.raises(LedgerError, match="not in the ledger"):
        ledger.recorded("nothing.like.it")


def test_recorded_returns_the_number(folder: Path) -> None:
    assert ledger.recorded("toy.accuracy") == 0.96213


@pytest.mark.parametrize(
    ("value", "tolerance", "text"),
    [
        (0.96213, 0.02, "0.962"),
        (0.96213, 0.1, "0.96"),
        (0.5, 0.001, "0.5000"),
        (123.4, 50, "123"),
        (1 / 3, 0, "0.333333"),
    ],
)
def test_a_value_shows_one_digit_more_than_its_tolerance(
    value: float, tolerance: float, text: str
) -> None:
    assert ledger.Result("toy.x", value, tolerance).text == text


def test_record_fills_in_where_and_when(folder: Path) -> None:
    row = json.loads((folder / "toy.json").read_text(encoding="utf-8"))[0]
    assert list(row) == [
        "name",
        "value",
        "tolerance",
        "unit",
        "command",
        "seed",
        "device",
        "versions",
        "date",
    ]
    assert row["device"].startswith("cpu (")
    assert row["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert len(row["date"]) == len("2026-01-31")


def test_record_replaces_its_own_name_and_keeps_the_others(folder: Path) -> None:
    ledger.record("toy.time", 2.0, tolerance=1.0, unit="s", device="a stopwatch")
    ledger.record("toy.accuracy", 0.5, tolerance=0.1)
    assert {name: result.value for name, result in ledger.load().items()} == {
        "toy.accuracy": 0.5,
        "toy.time": 2.0,
    }
    assert [path.name for path in folder.iterdir()] == ["toy.json"]


@pytest.mark.parametrize(
    ("name", "value", "tolerance"),
    [
        ("one", 1.0, 0.1),
        ("Toy.x", 1.0, 0.1),
        ("../toy.x", 1.0, 0.1),
        ("toy.x", math.nan, 0.1),
        ("toy.x", 1.0, -1.0),
    ],
)
def test_record_refuses_bad_records_and_writes_nothing(
    folder: Path, name: str, value: float, tolerance: float
) -> None:
    before = (folder / "toy.json").read_bytes()
    with pytest.raises(LedgerError):
        ledger.record(name, value, tolerance=tolerance)
    assert (folder / "toy.json").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["toy.json"]


def test_a_write_that_fails_keeps_the_old_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    before = (folder / "toy.json").read_bytes()
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        ledger.record("toy.accuracy", 0.1, tolerance=0.1)
    assert (folder / "toy.json").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["toy.json"]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '[{"name": "bad.x"}]',
        '[{"name": "bad.x", "value": "NaN"}]',
        '[{"name": "bad.x", "value": 1, "colour": 2}]',
        "[3]",
    ],
)
def test_a_damaged_file_is_named(folder: Path, content: str) -> None:
    (folder / "bad.json").write_text(content, encoding="utf-8")
    with pytest.raises(LedgerError, match=r"bad\.json"):
        ledger.load()


def test_a_name_recorded_twice_is_refused(folder: Path) -> None:
    (folder / "again.json").write_text('{"toy.accuracy": {"value": 1}}', encoding="utf-8")
    with pytest.raises(LedgerError, match="recorded twice"):
        ledger.load()


def test_the_ledger_is_found_from_any_folder_of_the_book(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = folder.parent / "project" / "figures"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert ledger.results_folder() == folder


def test_the_environment_chooses_another_ledger(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPANION_RESULTS", str(tmp_path / "mine"))
    ledger.record("mine.x", 1.0, tolerance=0)
    assert list(ledger.load()) == ["mine.x"]


def test_outside_the_book_the_error_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMPANION_RESULTS", raising=False)
    with pytest.raises(LedgerError, match="COMPANION_RESULTS"):
        ledger.recorded("toy.accuracy")


def test_importing_the_ledger_loads_nothing_heavy() -> None:
    code = (
        "import sys, companion.ledger; "
        "print(sorted({'torch', 'numpy', 'pandas', 'yaml'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_the_ledger_of_the_book_is_readable() -> None:
    book = Path(__file__).parents[1] / "book" / "results"
    for result in ledger.load(book).values():
        assert result.command, f"{result.name} has no command to measure it again"
        assert result.date, f"{result.name} has no date"
        assert result.device, f"{result.name} has no device"


def test_outside_the_tests_a_difference_is_a_note(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader on another processor reads on."""
    monkeypatch.delenv(ledger.STRICT)
    ledger.check("toy.accuracy", 0.5)
    note, line = capsys.readouterr().out.splitlines()
    assert note.startswith("Note: toy.accuracy is 0.5 here")
    assert line == "toy.accuracy = 0.962 (recorded, ±0.02)"


@pytest.mark.parametrize(
    ("name", "value", "tolerance", "unit", "compared"),
    [
        ("toy.share", 0.5, 0.1, "", True),
        ("toy.zero", 0.0, 0.1, "", True),
        ("toy.exact", 3.0, 0.0, "", True),
        ("toy.wide", 0.5, 0.5, "", False),
        ("toy.seconds", 8.0, 1.0, "", False),
        ("toy.wait", 8.0, 1.0, "ms", False),
    ],
)
def test_what_cannot_fail_is_not_compared(
    folder: Path, name: str, value: float, tolerance: float, unit: str, compared: bool
) -> None:
    result = ledger.record(name, value, tolerance=tolerance, unit=unit)
    assert result.is_compared == compared
    if compared:
        with pytest.raises(LedgerError):
            ledger.check(name, value + 2 * tolerance + 1)
    else:
        ledger.check(name, value + 2 * tolerance + 1)


def test_a_table_comes_back_as_it_was_written(folder: Path) -> None:
    rows = pd.DataFrame({"name": ["a", "ü"], "loss": [1.23456789, 2.0], "pixels": [[1, 2], [3]]})
    path = ledger.record_table("toy.runs", rows, command="make toy")
    found = ledger.table("toy.runs")
    assert found["loss"].tolist() == [1.23457, 2.0]
    assert found[["name", "pixels"]].to_dict() == rows[["name", "pixels"]].to_dict()
    assert json.loads(path.read_text())["command"] == "make toy"


def test_a_table_that_is_missing_damaged_or_wrong_is_refused(folder: Path) -> None:
    ledger.record_table("toy.runs", pd.DataFrame({"loss": [1.0]}), command="")
    with pytest.raises(LedgerError, match=r"no table toy\.run is recorded.*did you mean toy\.runs"):
        ledger.table("toy.run")
    (folder / "tables" / "toy.runs.json").write_text("{")
    with pytest.raises(LedgerError, match="restore the file"):
        ledger.table("toy.runs")
    with pytest.raises(LedgerError, match="not a finite number"):
        ledger.record_table("toy.runs", pd.DataFrame({"loss": [math.nan]}), command="")
    with pytest.raises(LedgerError, match="joined by dots"):
        ledger.record_table("Runs", pd.DataFrame(), command="")
