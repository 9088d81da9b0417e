"""A training that was stopped goes on as if it had not been, or says why it cannot."""

import dataclasses
import errno
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from benchmarks import soak
from companion.classifier import training as training_module
from companion.classifier.checkpoint import prepare_directory, save_classifier
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import Splits
from companion.classifier.state import (
    LOCK_FILE,
    STATE_FILE,
    Checkpoints,
    TrainingState,
    remove_state,
    training_lock,
)
from companion.classifier.training import TrainingRun, train
from companion.errors import CheckpointError, DataError, OutputError

STEPS_AN_EPOCH = 5  # 66 training documents in batches of 16
EPOCHS = 3


class PowerCutError(Exception):
    """Stops a training where a test wants it."""


def weights(run: TrainingRun) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(run.classifier.model.parameters())


def assert_same(run: TrainingRun, other: TrainingRun) -> None:
    assert torch.equal(weights(run), weights(other))
    assert run.best_epoch == other.best_epoch
    pd.testing.assert_frame_equal(run.history, other.history, check_exact=True)


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Give a function that makes the next training stop after so many steps."""
    step = Checkpoints.step

    def after(steps: int) -> None:
        def stop(self: Checkpoints, state: TrainingState) -> None:
            step(self, state)
            if state.steps == steps:
                raise PowerCutError

        monkeypatch.setattr(Checkpoints, "step", stop)

    return after


@pytest.fixture
def stopped(
    splits: Splits, small: Configuration, tmp_path: Path, cut: Callable[[int], None]
) -> Path:
    """The state of a training that stopped in its second epoch."""
    cut(STEPS_AN_EPOCH + 2)
    with pytest.raises(PowerCutError):
        go(splits, small, tmp_path)
    cut(-1)
    return tmp_path / STATE_FILE


def go(splits: Splits, configuration: Configuration, folder: Path, **options: Any) -> TrainingRun:
    options = {"checkpoint_every": 0, "progress": False, "device": "cpu"} | options
    return train(splits.train, splits.validation, configuration, checkpoint=folder, **options)


CHOICES: dict[str, dict[str, Any]] = {
    "recommended": {},
    "constant": {"schedule": "constant", "vectors": "random"},
    "two layers": {"layers": 2, "bidirectional": False, "input_dropout": 0.2},
    "never better": {"learning_rate": 3.0, "schedule": "constant", "patience": 2, "clip_norm": 1e6},
}


@pytest.mark.parametrize("choices", CHOICES)
def test_it_goes_on_from_every_step(
    choices: str, splits: Splits, small: Configuration, tmp_path: Path, cut: Callable[[int], None]
) -> None:
    """Stopped after every step in turn, in one training, it ends with the same bits."""
    configuration = dataclasses.replace(small, **CHOICES[choices])
    expected = train(splits.train, splits.validation, configuration, progress=False, device="cpu")
    for steps in range(1, len(expected.history) * STEPS_AN_EPOCH + 1):
        cut(steps)
        with pytest.raises(PowerCutError):
            go(splits, configuration, tmp_path)
    cut(-1)
    assert_same(go(splits, configuration, tmp_path), expected)


def test_weighted_documents_go_on_too(
    splits: Splits, small: Configuration, tmp_path: Path, cut: Callable[[int], None]
) -> None:
    weighted = dataclasses.replace(
        splits, train=splits.train.assign(weight=np.arange(1.0, len(splits.train) + 1))
    )
    expected = train(weighted.train, weighted.validation, small, progress=False, device="cpu")
    cut(7)
    with pytest.raises(PowerCutError):
        go(weighted, small, tmp_path)
    cut(-1)
    with pytest.raises(CheckpointError, match="other documents"):
        go(splits, small, tmp_path)
    assert_same(go(weighted, small, tmp_path), expected)


def test_a_checkpoint_changes_no_bit(splits: Splits, small: Configuration, tmp_path: Path) -> None:
    expected = train(splits.train, splits.validation, small, progress=False, device="cpu")
    assert_same(go(splits, small, tmp_path), expected)
    assert_same(go(splits, small, tmp_path / "seldom", checkpoint_every=1e6), expected)


def test_a_training_that_is_over_is_not_repeated(
    splits: Splits, small: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a crash between the training and the saving of the classifier leaves."""
    expected = go(splits, small, tmp_path, checkpoint_every=1e6)
    monkeypatch.setattr(training_module, "_train_epoch", None)
    assert_same(go(splits, small, tmp_path), expected)


def test_the_time_between_saves(
    splits: Splits, small: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that gains a second with every step, and a save every four seconds."""
    clock, saved = [0.0], list[int]()
    step, save = Checkpoints.step, Checkpoints.save

    def tick(self: Checkpoints, state: TrainingState) -> None:
        clock[0] += 1
        step(self, state)

    def note(self: Checkpoints, state: TrainingState) -> None:
        saved.append(state.steps)
        save(self, state)

    monkeypatch.setattr("companion.classifier.state.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(Checkpoints, "step", tick)
    monkeypatch.setattr(Checkpoints, "save", note)
    go(splits, small, tmp_path, checkpoint_every=4)
    assert saved == [4, 8, 12, 15]


@pytest.mark.parametrize("every", [-1.0, math.nan, math.inf])
def test_the_time_between_saves_is_a_number(
    every: float, splits: Splits, small: Configuration, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="checkpoint_every is"):
        go(splits, small, tmp_path / "new", checkpoint_every=every)
    assert not (tmp_path / "new").exists()


def test_it_says_where_it_goes_on(
    stopped: Path, splits: Splits, small: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="companion"):
        go(splits, small, stopped.parent)
    assert f"resuming the training in {stopped.parent} (epoch 2, after 2 of 5 batches)" in (
        caplog.messages
    )


def test_the_state_is_removed_when_asked(stopped: Path) -> None:
    remove_state(stopped.parent)
    assert not stopped.exists()
    remove_state(stopped.parent)
    stopped.mkdir()
    with pytest.raises(OutputError, match="cannot be deleted"):
        remove_state(stopped.parent)


def test_a_state_is_no_other_file_to_the_classifier(
    stopped: Path, splits: Splits, small: Configuration
) -> None:
    assert prepare_directory(stopped.parent) == stopped.parent
    run = go(splits, small, stopped.parent)
    save_classifier(run.classifier, stopped.parent)
    assert stopped.exists(), "the classifier that was saved may be another"


def test_a_loss_that_is_no_number_leaves_no_state(
    splits: Splits, small: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "log", lambda values: np.full_like(values, np.nan))
    configuration = dataclasses.replace(small, vectors="random")
    with pytest.raises(DataError, match="lower the learning rate"):
        go(splits, configuration, tmp_path)
    assert not (tmp_path / STATE_FILE).exists()


# Ctrl-C


def interrupt_at(
    monkeypatch: pytest.MonkeyPatch, steps: int, times: int = 1
) -> Callable[..., torch.Tensor]:
    """Send Ctrl-C amid a step: after the backward pass and before the optimizer."""
    clip, calls = torch.nn.utils.clip_grad_norm_, [0]

    def clip_and_interrupt(*arguments: Any) -> torch.Tensor:
        calls[0] += 1
        if calls[0] == steps:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return clip(*arguments)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip_and_interrupt)
    return clip


def test_ctrl_c_saves_the_step_under_way(
    splits: Splits, small: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(splits.train, splits.validation, small, progress=False, device="cpu")
    interrupt_at(monkeypatch, 8)
    with pytest.raises(KeyboardInterrupt):
        go(splits, small, tmp_path, checkpoint_every=1e6)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with safe_open(tmp_path / STATE_FILE, framework="pt") as file:
        assert json.loads(file.metadata()["training"])["steps"] == 8
    assert_same(go(splits, small, tmp_path), expected)


def test_ctrl_c_in_the_last_validation_is_not_forgotten(
    splits: Splits, small: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate = training_module._validate

    def interrupted(*arguments: Any) -> dict[str, float]:
        signal.raise_signal(signal.SIGINT)
        return validate(*arguments)

    monkeypatch.setattr(training_module, "_validate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(splits, dataclasses.replace(small, epochs=1), tmp_path, checkpoint_every=1e6)
    assert (tmp_path / STATE_FILE).exists()


def test_a_second_ctrl_c_waits_for_nothing(
    splits: Splits, small: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 3, times=2)
    with pytest.raises(KeyboardInterrupt):
        go(splits, small, tmp_path, checkpoint_every=1e6)
    assert not (tmp_path / STATE_FILE).exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_callers_own_handler_is_left_alone(
    splits: Splits, small: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[int]()

    def handler(number: int, frame: object) -> None:
        calls.append(number)

    interrupt_at(monkeypatch, 2)
    before = signal.signal(signal.SIGINT, handler)
    try:
        go(splits, small, tmp_path)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == [signal.SIGINT]


def test_a_thread_trains_without_touching_the_signals(
    splits: Splits, small: Configuration, tmp_path: Path
) -> None:
    runs = list[TrainingRun]()
    thread = threading.Thread(target=lambda: runs.append(go(splits, small, tmp_path)))
    thread.start()
    thread.join()
    assert len(runs) == 1


# Two processes


def test_a_second_training_is_refused(splits: Splits, small: Configuration, tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import sys, time
        from companion.classifier.state import training_lock
        with training_lock(sys.argv[1]):
            print("locked", flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(OutputError, match="another process is training into this folder; wait"):
            go(splits, small, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]
        first.kill()
    assert len(go(splits, small, tmp_path).history) == EPOCHS


def test_the_lock_may_be_taken_again_by_its_holder(tmp_path: Path) -> None:
    with training_lock(tmp_path / "new"):
        with training_lock(tmp_path / "new"):
            pass
        refused = list[BaseException]()

        def other() -> None:
            try:
                with training_lock(tmp_path / "new"):
                    pass
            except OutputError as error:
                refused.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(refused) == 1
    with training_lock(tmp_path / "new"):
        pass


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="cannot be a folder for the training"),
        training_lock(tmp_path / "file"),
    ):
        pass


def test_half_written_states_of_killed_processes_go(tmp_path: Path) -> None:
    half = tmp_path / f".{STATE_FILE}.0123.tmp"
    half.write_bytes(b"half")
    (tmp_path / "other.tmp").write_bytes(b"somebody's")
    with training_lock(tmp_path):
        assert not half.exists()
    assert (tmp_path / "other.tmp").exists()


# What is on the disk


def test_a_full_disk_keeps_the_state_before(
    splits: Splits,
    small: Configuration,
    tmp_path: Path,
    stopped: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = train(splits.train, splits.validation, small, progress=False, device="cpu")
    before = stopped.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        go(splits, small, tmp_path)
    monkeypatch.undo()
    assert stopped.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK_FILE, STATE_FILE]
    assert_same(go(splits, small, tmp_path), expected)


def test_other_choices_are_refused(stopped: Path, splits: Splits, small: Configuration) -> None:
    before = stopped.read_bytes()
    other = dataclasses.replace(small, epochs=4, dropout=0.25)
    with pytest.raises(CheckpointError) as raised:
        go(splits, other, stopped.parent)
    message = str(raised.value)
    assert "dropout was 0.3 and is 0.25, epochs was 3 and is 4" in message
    assert str(stopped) in message
    assert "delete this file to begin anew" in message
    assert stopped.read_bytes() == before


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("column", ["text", "label"])
def test_other_documents_are_refused(
    stopped: Path, splits: Splits, small: Configuration, part: str, column: str
) -> None:
    table = getattr(splits, part).copy()
    table.loc[0, column] = (
        "goal" if column == "text" else {"film": "sport"}.get(table.loc[0, "label"], "film")
    )
    with pytest.raises(CheckpointError, match="other documents"):
        go(dataclasses.replace(splits, **{part: table}), small, stopped.parent)


def rewrite(
    path: Path,
    change: Callable[[dict[str, torch.Tensor], dict[str, Any]], object] = lambda *_: None,
    **metadata: str,
) -> None:
    """Craft another state, with a digest that is right, from a good one."""
    with safe_open(path, framework="pt") as file:
        header = dict(file.metadata())
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    content = json.loads(header["training"])
    change(tensors, content)
    header["training"] = json.dumps(content)
    digest = training_module.hashlib.sha256(header["training"].encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    header["sha256"] = digest.hexdigest()
    save_file(tensors, path, metadata=header | metadata)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def bomb(path: Path) -> None:
    """A header that asks for 4 TB."""
    header = json.dumps(
        {"huge": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    ).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def with_json(**changes: Any) -> Callable[[Path], None]:
    return lambda path: rewrite(path, lambda _, content: content.update(changes))


def with_tensors(**changes: torch.Tensor) -> Callable[[Path], None]:
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    return lambda path: rewrite(path, lambda tensors, _: tensors.update(changes))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "damaged"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-10]), "damaged"),
    "half": (lambda path: path.write_bytes(path.read_bytes()[:100]), "damaged"),
    "a flipped bit": (flip_a_bit, "changed since it was written"),
    "a header of 4 TB": (bomb, "damaged"),
    "another program's": (
        lambda path: save_file({"a": torch.zeros(1)}, path),
        "not written by this package",
    ),
    "no JSON": (lambda path: rewrite(path, training="{"), "damaged"),
    "deep JSON": (lambda path: rewrite(path, training="[" * 100_000), "damaged"),
    "a list": (lambda path: rewrite(path, training="[]"), "damaged"),
    "another version": (with_json(format_version=2), "format version 2"),
    "no steps": (with_json(steps=0), "damaged at steps"),
    "steps as text": (with_json(steps="7"), "damaged at steps"),
    "too many steps": (with_json(steps=10**6), "damaged"),
    "negative batches": (with_json(batches=-1), "damaged at batches"),
    "a history of texts": (with_json(history=["x"]), "damaged at history"),
    "a history without columns": (with_json(history=[{"epoch": 1}]), "damaged at history"),
    "no sums": (with_json(sums={}), "damaged at sums"),
    "sums as text": (
        with_json(sums={"loss": "1", "gradient_norm": 0, "learning_rate": 0}),
        "damaged at sums",
    ),
    "a best epoch to come": (with_json(best_epoch=9), "damaged at best_epoch"),
    "no identity": (with_json(identity=None), "damaged at identity"),
    "one more choice": (
        lambda path: rewrite(path, lambda _, content: content["identity"].update(colour="red")),
        "another training",
    ),
    "a choice of 1 MB": (
        lambda path: rewrite(path, lambda _, content: content["identity"].update(seed="x" * 10**6)),
        r"seed was 'x{1,20}\.\.\.x{1,20}' and is 0",
    ),
    "another generator": (with_json(epoch_start={"bit_generator": "MT19937"}), "damaged"),
    "a generator beyond its range": (
        with_json(
            epoch_start={
                "bit_generator": "PCG64",
                "state": {"state": -1, "inc": 2**200},
                "has_uint32": 0,
                "uinteger": 0,
            }
        ),
        "damaged",
    ),
    "a tensor too many": (with_tensors(model__extra=torch.zeros(3)), "does not fit"),
    "another shape": (with_tensors(model__head__bias=torch.zeros(4)), "does not fit"),
    "another type": (
        with_tensors(model__head__bias=torch.zeros(3, dtype=torch.float64)),
        "does not fit",
    ),
    "a tensor too few": (
        lambda path: rewrite(path, lambda tensors, _: tensors.pop("generator.cpu")),
        "does not fit",
    ),
    "a wrong digest": (lambda path: rewrite(path, sha256="0" * 64), "changed since"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_refused_and_kept(
    damage: str, stopped: Path, splits: Splits, small: Configuration
) -> None:
    spoil, message = DAMAGES[damage]
    spoil(stopped)
    before = stopped.read_bytes()
    with pytest.raises(CheckpointError, match=message) as raised:
        go(splits, small, stopped.parent)
    assert str(stopped) in str(raised.value)
    assert stopped.read_bytes() == before
    remove_state(stopped.parent)
    assert len(go(splits, small, stopped.parent).history) == EPOCHS


def test_a_state_that_was_rewritten_right_is_read(
    stopped: Path, splits: Splits, small: Configuration
) -> None:
    """The crafted states above fail for what was changed, not for how."""
    rewrite(stopped)
    expected = train(splits.train, splits.validation, small, progress=False, device="cpu")
    assert_same(go(splits, small, stopped.parent), expected)


def test_five_kills_at_random_moments() -> None:
    """SIGKILL, some amid a write, and the same bits at the end; ``make soak`` does it 50 times."""
    figures = soak.soak(5, seed=1)
    assert figures.kills == 5
    assert figures.mismatches == 0
    assert figures.damaged == 0
