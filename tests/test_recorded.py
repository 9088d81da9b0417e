"""The recorded numbers, measured again, so that ``make test`` holds all that the book prints.

Each test measures one group of the benchmarks in full. They take minutes, so ``make check`` leaves
them out.
"""

import re
from pathlib import Path

import pytest
import torch

from benchmarks import (
    bbc,
    finetuning,
    gpu,
    language,
    listing_effects,
    live,
    peers,
    scale,
    serve,
    soak,
    speed,
    ways,
)
from companion import ledger
from companion.classifier.device import multiplies_bfloat16

torch.set_num_threads(1)


def test_the_effects_of_the_bugs() -> None:
    """The single runs of the same benchmark are measured again by their notebook."""
    for name, value in listing_effects.effects().items():
        ledger.check(name, value)


@pytest.mark.parametrize("group", bbc.NAMES[::-1])
def test_the_bbc_news(group: str) -> None:
    if group == bbc.BFLOAT16 and not multiplies_bfloat16(torch.device("cpu")):
        pytest.skip("this processor has no instructions for bfloat16, and is slow without")
    for name, (value, _) in bbc.results(group).items():
        ledger.check(name, value)
        if name == "bbc.recommended.test_accuracy":
            assert value >= 0.96, "the promise of the default run"
        if name == "bbc.majority.test_accuracy":
            assert value < ledger.recorded("bbc.article.test_accuracy")


def test_the_live_classifier() -> None:
    for name, (value, _) in live.results()[0].items():
        ledger.check(name, value)


def test_fifty_kills() -> None:
    for name, (value, _) in soak.results(soak.soak(soak.MOMENTS)).items():
        ledger.check(name, value)


@pytest.mark.parametrize(("method", "size", "seed"), finetuning.REPEATED)
def test_the_fine_tuning(method: str, size: str, seed: int) -> None:
    for name, (value, _) in finetuning.results(method, size, seed).items():
        ledger.check(name, value)


def test_the_speed() -> None:
    """Processors differ, so the tolerances are wide; below these bounds something is broken."""
    found = speed.results()
    for name, value in found.items():
        ledger.check(name, value)
    at_least = {"loop.listing": 1.3, "loop.tutorial_512": 2.0, "loop.keras_512": 1.3}
    at_least |= {"reading.listing": 25.0, "answers.single": 3.0, "answers.bulk": 1.1}
    assert [name for name, bound in at_least.items() if found[f"speed.{name}"] < bound] == []


@pytest.mark.parametrize("corpus", peers.CORPORA)
@pytest.mark.parametrize("method", peers.REPEATED)
def test_the_cheap_peers(corpus: str, method: str) -> None:
    for name, value in peers.results(corpus, method).items():
        ledger.check(name, value)


def test_the_small_language_model() -> None:
    for name, (value, _) in language.llm().items():
        ledger.check(name, value)
    assert ledger.recorded("language.llm.shuffled") > 5 * ledger.recorded("language.llm.real")


def test_memory_against_corpus_size() -> None:
    for name, (value, _) in scale.memory_results().items():
        ledger.check(name, value)
    mapped, table = (
        ledger.recorded(f"scale.memory.{kind}_bytes_a_document") for kind in ("mapped", "table")
    )
    assert 10_000_000 * mapped < 24e9, "ten million documents train on a machine of 24 GB"
    assert mapped < table / 4


@pytest.mark.parametrize("group", ways.GROUPS)
def test_the_ways_to_sort_headlines(group: str) -> None:
    for name, (value, _) in ways.GROUPS[group]().items():
        ledger.check(name, value)
    if group == "llm":
        assert ledger.recorded("ways.llm.accuracy") < ledger.recorded("ways.tfidf.accuracy")


def test_the_service_under_load() -> None:
    """Absolute times are the machine's own: only what compares, or counts answers, is held."""
    for name, (value, _) in serve.measure(serve.SHORT).items():
        if not name.endswith(("_ms", ".throughput")):
            ledger.check(name, value)
    assert ledger.recorded("serve.model_headlines.batching_ratio") > 1.5


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
    checked = set[str]()
    for path in (Path(__file__).parents[1] / "book").rglob("*.ipynb"):
        checked |= set(re.findall(r"([a-z0-9_.]+) = [^\n]*\(recorded, ±", path.read_text("utf-8")))
    unmeasured = [
        record.name
        for record in ledger.load().values()
        if record.command not in measured_here
        and record.name not in checked
        and not record.name.startswith(("listing.effect.", "listing.difference.", "listing.half"))
        and not (record.command == finetuning.SLOW_COMMAND and _cell(record.name) in slow)
        and record.command not in (peers.SLOW_COMMAND, gpu.COMMAND)
        and not record.command.startswith(scale.CORPUS_COMMAND)
    ]
    assert unmeasured == []


def _cell(name: str) -> tuple[str, str, int]:
    """Read the method, the size and the seed in the name of a record of fine-tuning."""
    _, method, size, seed, _ = name.split(".")
    return method, size, int(seed.removeprefix("seed_"))
