"""Freed memory is kept for the next tensors, and given back in the end."""

import contextlib
import platform
import resource
from pathlib import Path

import pytest
import torch

from companion.classifier import memory, training
from companion.classifier.configuration import Configuration
from companion.classifier.encoded_corpus import LabelledTable
from companion.classifier.memory import keep_memory
from companion.classifier.text import PADDING, UNKNOWN, Vocabulary
from companion.classifier.token_table import TokenTable

_MEGABYTES = 80
needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the allocator is that of Linux's C library"
)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)


def _pages_asked_for() -> int:
    """Count the pages that the system had to empty for five large tensors, one after another."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(_MEGABYTES * 2**18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def _resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024


@needs_glibc
def test_memory_is_used_again_until_the_block_ends() -> None:
    outside = _pages_asked_for()
    with keep_memory():
        _pages_asked_for()
        inside = _pages_asked_for()
    assert inside < outside / 10


@needs_glibc
def test_what_is_free_is_given_back_even_after_an_error() -> None:
    with contextlib.suppress(ZeroDivisionError), keep_memory():
        torch.ones(4 * _MEGABYTES * 2**18)
        kept = _resident()
        raise ZeroDivisionError
    assert _resident() < kept - 3 * _MEGABYTES * 2**20


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_the_settings_of_the_user_stand(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("it was opened"))
    with keep_memory():
        pass


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("it was opened"))
    with keep_memory():
        pass


def test_a_training_on_a_cpu_keeps_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[bool] = []

    class Watched:
        def __enter__(self) -> None:
            entered.append(True)

        def __exit__(self, *error: object) -> None:
            entered.append(False)

    monkeypatch.setattr(training, "keep_memory", Watched)
    table = LabelledTable(TokenTable.of([[2, 3], [3, 2], [2], [3]]), torch.tensor([0, 1, 0, 1]))
    small = Configuration(embedding_size=4, hidden_size=4, vectors="random", epochs=1)
    vocabulary = Vocabulary([PADDING, UNKNOWN, "a", "b"])
    training.train_tables(table, table, vocabulary, ["x", "y"], small, device="cpu", progress=False)
    assert entered == [True, False]
