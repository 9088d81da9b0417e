"""The recorded numbers, measured again, so that the tests hold all that the book prints.

Each test measures one group of the benchmarks in full. `make test` measures what is cheap, and each
group whose code or records have changed since it last passed: book/measured.json keeps a digest of
both. `make verify` measures every group, and notes what passed; stopped, it goes on where it was.
"""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from benchmarks import (
    bbc,
    concepts,
    finetuning,
    gpu,
    language,
    listing_effects,
    live,
    outlook,
    peers,
    scale,
    serve,
    soak,
    speed,
    ways,
)
from benchmarks.command import Table
from benchmarks.fingerprint import fingerprint
from companion import ledger
from companion.classifier.device import multiplies_bfloat16
from companion.files import write_atomically

torch.set_num_threads(1)

MEASURED = Path(__file__).parents[1] / "book" / "measured.json"
# `make verify` sets it to a file of its own, where it notes what it has done.
VERIFY = os.environ.get("COMPANION_VERIFY")


def digest(roots: tuple[str, ...], commands: tuple[str, ...]) -> str:
    """The digest of the code of a group, and of the numbers that are recorded for its commands."""
    records = [
        f"{record.name} {record.value!r} {record.tolerance!r}"
        for record in ledger.load().values()
        if record.command.startswith(commands)
    ]
    assert records, f"nothing is recorded by {commands}"
    return hashlib.sha256("\n".join([fingerprint(*roots), *records]).encode()).hexdigest()[:16]


def digest_of_table(name: str, table: Table, roots: tuple[str, ...]) -> str:
    """The digest of the code of a table, and of the table and the numbers computed from it."""
    rows, records = ledger.table(name), ledger.load()
    numbers = [f"{each} {records[each].value!r}" for each in table.summarise(rows)]
    text = "\n".join([fingerprint(*roots), rows.to_json(), *numbers])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def note(path: Path, group: str, now: str) -> None:
    """Keep that a group was measured as it is now, and agreed with its records."""
    with FileLock(f"{path}.lock"):
        lines = [
            f'"{name}": "{code}"' for name, code in sorted((read(path) | {group: now}).items())
        ]
        write_atomically(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def measured_again(
    group: str,
    measure: Callable[[], None],
    roots: tuple[str, ...],
    commands: tuple[str, ...],
    *,
    is_cheap: bool = False,
    now: str = "",
) -> None:
    """Measure a group, unless it is as it was when it last agreed with its records."""
    now = now or digest(roots, commands)
    if VERIFY:
        if read(Path(VERIFY)).get(group) == now:
            pytest.skip("this run of `make verify` has measured it before it was stopped")
    elif not is_cheap and read(MEASURED).get(group) == now:
        pytest.skip("neither its code nor its records changed since it was measured")
    measure()
    if VERIFY:
        note(Path(VERIFY), group, now)
        note(MEASURED, group, now)


def test_a_changed_record_or_changed_code_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The skips above are no way around a wrong number."""
    roots, commands = ("benchmarks.live.results",), (live.COMMAND,)
    now, calls = digest(roots, commands), []
    monkeypatch.setattr(f"{__name__}.MEASURED", tmp_path / "measured.json")
    monkeypatch.setattr(f"{__name__}.VERIFY", None)
    note(tmp_path / "measured.json", "live", now)
    with pytest.raises(pytest.skip.Exception):
        measured_again("live", lambda: calls.append(1), roots, commands)
    assert calls == []
    records = ledger.load()
    name = next(name for name, each in records.items() if each.command == live.COMMAND)
    changed = dataclasses.replace(records[name], value=records[name].value + 1e-6)
    monkeypatch.setattr(ledger, "load", lambda: records | {name: changed})
    measured_again("live", lambda: calls.append(1), roots, commands)
    assert calls == [1]
    monkeypatch.undo()
    assert digest(roots, commands) == now != digest(("benchmarks.soak.soak",), commands)


def compare(found: dict[str, tuple[float, float]]) -> None:
    for name, (value, _) in found.items():
        ledger.check(name, value)


TABLES: dict[str, Table] = concepts.TABLES | finetuning.TABLES


@pytest.mark.parametrize("name", TABLES)
def test_the_numbers_of_a_table_are_those_that_are_recorded(name: str) -> None:
    """So neither a table nor a number can be changed alone."""
    records = ledger.load()
    for number, (value, tolerance) in TABLES[name].summarise(ledger.table(name)).items():
        assert records[number].value == pytest.approx(value, rel=1e-6, abs=1e-9), number
        assert records[number].tolerance == pytest.approx(tolerance), number


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_measured_again(name: str) -> None:
    table = TABLES[name]
    roots = tuple(
        f"{each.__module__}.{each.__qualname__}" for each in (table.measure, table.summarise)
    )
    measured_again(
        name,
        lambda: compare(table.summarise(table.measure())),
        roots,
        (),
        now=digest_of_table(name, table, roots),
    )


def test_the_effects_of_the_bugs() -> None:
    """The single runs of the same benchmark are measured again by their notebook."""

    def measure() -> None:
        for name, value in listing_effects.effects().items():
            ledger.check(name, value)

    roots = ("benchmarks.listing_effects.effects",)
    measured_again("listing.effects", measure, roots, (listing_effects.COMMAND,))


@pytest.mark.parametrize("group", bbc.NAMES[::-1])
def test_the_bbc_news(group: str) -> None:
    if group == bbc.BFLOAT16 and not multiplies_bfloat16(torch.device("cpu")):
        pytest.skip("this processor has no instructions for bfloat16, and is slow without")

    def measure() -> None:
        found = bbc.results(group)
        compare(found)
        if group == "recommended":
            assert found["bbc.recommended.test_accuracy"][0] >= 0.96, "the promise of the default"
        if group == "baselines":
            majority = found["bbc.majority.test_accuracy"][0]
            assert majority < ledger.recorded("bbc.article.test_accuracy")

    measured_again(
        f"bbc.{group}",
        measure,
        ("benchmarks.bbc.results",),
        (bbc.COMMAND,),
        is_cheap=group == "baselines",
    )


def test_the_live_classifier() -> None:
    roots = ("benchmarks.live.results",)
    measured_again("live", lambda: compare(live.results()[0]), roots, (live.COMMAND,))


def test_fifty_kills() -> None:
    roots = ("benchmarks.soak.soak", "benchmarks.soak.results")
    measured_again(
        "soak", lambda: compare(soak.results(soak.soak(soak.MOMENTS))), roots, (soak.COMMAND,)
    )


@pytest.mark.parametrize(("method", "size", "seed"), finetuning.REPEATED)
def test_the_fine_tuning(method: str, size: str, seed: int) -> None:
    measured_again(
        f"finetuning.{method}.{size}.{seed}",
        lambda: compare(finetuning.results(method, size, seed)),
        ("benchmarks.finetuning.results",),
        (finetuning.COMMAND,),
        is_cheap=method == "tfidf" and seed > 0,  # seed 0 also times an LSTM beside it
    )


def test_the_speed() -> None:
    """Processors differ, so the tolerances are wide; below these bounds something is broken.

    What is held against the processor's own peak depends on its instructions, and is not compared.
    """

    def measure() -> None:
        found = speed.results()
        for name, value in found.items():
            if not name.endswith(speed.OF_THE_PROCESSOR):
                ledger.check(name, value)
        at_least = {"loop.listing": 1.3, "loop.tutorial_512": 2.0, "loop.keras_512": 1.3}
        at_least |= {"reading.listing": 25.0, "answers.single": 3.0, "answers.bulk": 1.1}
        assert [name for name, bound in at_least.items() if found[f"speed.{name}"] < bound] == []

    roots = ("benchmarks.speed.results", "benchmarks.speed.main")
    measured_again("speed", measure, roots, (speed.COMMAND,))


@pytest.mark.parametrize("corpus", peers.CORPORA)
@pytest.mark.parametrize("method", peers.REPEATED)
def test_the_cheap_peers(corpus: str, method: str) -> None:
    def measure() -> None:
        for name, value in peers.results(corpus, method).items():
            ledger.check(name, value)

    roots = ("benchmarks.peers.results", "benchmarks.peers.measure")
    measured_again(
        f"peers.{corpus}.{method}", measure, roots, (peers.COMMAND,), is_cheap=corpus == "bbc"
    )


def test_the_small_language_model() -> None:
    def measure() -> None:
        compare(language.llm())
        assert ledger.recorded("language.llm.shuffled") > 5 * ledger.recorded("language.llm.real")

    roots = ("benchmarks.language.llm",)
    measured_again("language.llm", measure, roots, (language.LLM_COMMAND,))


def test_five_lstms_and_misspelt_words() -> None:
    measured_again(
        "outlook.misspellings",
        lambda: compare(outlook.lstm_misspellings()),
        ("benchmarks.outlook.lstm_misspellings",),
        (outlook.COMMAND,),
    )


def test_memory_against_corpus_size() -> None:
    def measure() -> None:
        compare(scale.memory_results())
        mapped, table = (
            ledger.recorded(f"scale.memory.{kind}_bytes_a_document") for kind in ("mapped", "table")
        )
        assert 10_000_000 * mapped < 24e9, "ten million documents train on a machine of 24 GB"
        assert mapped < table / 4

    roots = ("benchmarks.scale.memory_results", "benchmarks.scale._measure_memory")
    measured_again("scale.memory", measure, roots, (scale.COMMAND,))


@pytest.mark.parametrize("group", ways.GROUPS)
def test_the_ways_to_sort_headlines(group: str) -> None:
    def measure() -> None:
        compare(ways.GROUPS[group]())
        if group == "llm":
            assert ledger.recorded("ways.llm.accuracy") < ledger.recorded("ways.tfidf.accuracy")

    measured_again(f"ways.{group}", measure, (f"benchmarks.ways.{group}",), (ways.COMMAND,))


def test_the_service_under_load() -> None:
    """Absolute times are the machine's own: only what compares, or counts answers, is held."""

    def measure() -> None:
        for name, (value, _) in serve.measure(serve.SHORT).items():
            if not name.endswith(("_ms", ".throughput")):
                ledger.check(name, value)
        assert ledger.recorded("serve.model_headlines.batching_ratio") > 1.5

    roots = ("benchmarks.serve.measure", "companion.cli.serve")
    measured_again("serve", measure, roots, (serve.COMMAND,))


def test_nothing_is_recorded_that_is_not_measured_again() -> None:
    """Every record belongs to a benchmark that the tests above run, or a notebook checks it.

    Excepted are the cells of fine-tuning, the peers and the large corpora that cost too much, what
    needs a GPU, and the times of two processes and of the service, which other work changes; their
    pages say so.
    """
    modules = (bbc, live, soak, finetuning, peers, speed, scale, ways, serve)
    measured_here = {module.COMMAND for module in modules} | {language.LLM_COMMAND}
    slow = set(finetuning.SLOW)
    assert not slow & set(finetuning.REPEATED)
    checked = {each for name in TABLES for each in TABLES[name].summarise(ledger.table(name))}
    for path in (Path(__file__).parents[1] / "book").rglob("*.ipynb"):
        checked |= set(re.findall(r"([a-z0-9_.]+) = [^\n]*\(recorded, ±", path.read_text("utf-8")))
    unmeasured = [
        record.name
        for record in ledger.load().values()
        if record.command not in measured_here
        and record.name not in checked
        and not record.name.startswith(("listing.effect.", "listing.difference.", "listing.half"))
        and not record.name.startswith("outlook.misspelt.lstm.")
        and not (record.command == finetuning.SLOW_COMMAND and _cell(record.name) in slow)
        and record.command not in (peers.SLOW_COMMAND, gpu.COMMAND)
        and not record.command.startswith(scale.CORPUS_COMMAND)
    ]
    assert unmeasured == []


def _cell(name: str) -> tuple[str, str, int]:
    """Read the method, the size and the seed in the name of a record of fine-tuning."""
    _, method, size, seed, _ = name.split(".")
    return method, size, int(seed.removeprefix("seed_"))
