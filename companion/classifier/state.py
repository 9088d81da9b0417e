"""The state of a training run: what it needs to go on after a stop as if there had been none.

Explained in :doc:`/project/using`, "Stop and resume". One safetensors file holds all of it:
numbers, and in its header a JSON text. It takes the place of the one before in one step, so there
is always a whole one.
"""

import contextlib
import copy
import hashlib
import json
import math
import reprlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import filelock
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

import companion
from companion.classifier.device import accurate_float
from companion.errors import CheckpointError, OutputError
from companion.files import TEMPORARY_SUFFIX, write_atomically

__all__ = [
    "LOCK_FILE",
    "STATE_FILE",
    "STATE_VERSION",
    "Checkpoints",
    "TrainingState",
    "remove_state",
    "training_lock",
]

STATE_FILE = "training.safetensors"
LOCK_FILE = ".training.lock"
STATE_VERSION = 1
_FORMAT = "companion training state"
_DTYPES = {torch.float32: "F32", torch.uint8: "U8"}
_COLUMNS = [
    "epoch",
    "training_loss",
    "learning_rate",
    "gradient_norm",
    "validation_loss",
    "validation_accuracy",
]


@dataclass
class TrainingState:
    """All that training changes.

    Attributes:
        model: The network.
        optimizer: Its optimizer.
        scheduler: What sets the learning rate; it counts the steps.
        generator: Draws the stretches and the order of each epoch.
        history: A row for each epoch that is over.
        batches: The steps of the epoch under way.
        sums: What the epoch under way has added up for its row of the history.
        best_epoch: The epoch with the lowest validation loss, counted from 1; 0 before the first.
        best_weights: The weights after it.
        epoch_start: The state of ``generator`` when the epoch under way began.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    generator: np.random.Generator
    history: list[dict[str, float]] = field(default_factory=list)
    batches: int = 0
    sums: dict[str, float | Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    epoch_start: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begin_epoch()

    @property
    def epoch(self) -> int:
        """The epoch under way, counted from 1."""
        return len(self.history) + 1

    @property
    def steps(self) -> int:
        """The steps taken so far, in all epochs."""
        return int(self.scheduler.last_epoch)

    def add(self, loss: Tensor, documents: int, gradient_norm: Tensor) -> None:
        """Count a step: the mean loss of its documents, and the norm before clipping.

        The sums stay on the device until somebody reads them, so that a GPU is not waited for.
        """
        self.batches += 1
        loss = loss.to(accurate_float(loss.device)) * documents
        self.sums["loss"] = self.sums["loss"] + loss
        largest = torch.as_tensor(self.sums["gradient_norm"], device=gradient_norm.device)
        self.sums["gradient_norm"] = torch.maximum(largest, gradient_norm.to(largest.dtype))

    def read_sums(self) -> dict[str, float]:
        """Bring the sums of the epoch under way to the host."""
        return {name: float(value) for name, value in self.sums.items()}

    def end_epoch(self, row: dict[str, float]) -> None:
        """Note the row of the epoch that is over, and its weights if they are the best."""
        best = self.history[self.best_epoch - 1]["validation_loss"] if self.best_epoch else math.inf
        if row["validation_loss"] < best:
            self.best_epoch = self.epoch
            self.best_weights = copy.deepcopy(self.model.state_dict())
        self.history.append(row)
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.batches = 0
        self.sums = {
            "loss": 0.0,
            "gradient_norm": 0.0,
            "learning_rate": float(self.scheduler.get_last_lr()[0]),
        }
        self.epoch_start = dict(self.generator.bit_generator.state)


class Checkpoints:
    """Saves the state of a training run now and then, and at Ctrl-C, and brings it back.

    As a context manager it keeps Ctrl-C waiting until the step under way is done; a second Ctrl-C
    waits for nothing.

    Args:
        directory: The folder of the state.
        every: Seconds from one save to the next; 0 saves after each step.
        identity: What the result depends on, as JSON values: a state with another identity is
            refused.
        writes: Whether this process writes the state: of several that train together only one does.
    """

    def __init__(
        self, directory: str | Path, every: float, identity: dict[str, Any], writes: bool = True
    ) -> None:
        self.path = Path(directory) / STATE_FILE
        self.every = every
        self.identity = identity
        self.writes = writes
        self._saved_at = time.monotonic()
        self._is_interrupted = False
        self._handler: Any = None

    def __enter__(self) -> "Checkpoints":
        is_ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if is_ours:
            self._handler = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *error: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._is_interrupted:
            raise KeyboardInterrupt
        self._is_interrupted = True

    def step(self, state: TrainingState) -> None:
        """Save the state if it is time to.

        Raises:
            KeyboardInterrupt: If there was a Ctrl-C. The state is saved then.
            OutputError: If it cannot be written. The state saved before is whole.
        """
        if not self.writes:
            return
        if self._is_interrupted or time.monotonic() - self._saved_at >= self.every:
            self.save(state)

    def save(self, state: TrainingState) -> None:
        """Save the state now; raises as :meth:`step` does."""
        if self.writes:
            write_atomically(self.path, _to_bytes(state, self.identity))
        self._saved_at = time.monotonic()
        if self._is_interrupted:
            raise KeyboardInterrupt

    def restore(self, state: TrainingState) -> bool:
        """Put a saved state into one that has just been made.

        Returns:
            Whether there was one.

        Raises:
            CheckpointError: If it is damaged, of another version, or of a training with other
                documents or choices.
        """
        if not self.path.is_file():
            return False
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                content = _content(metadata, self.path)
                _check_identity(content["identity"], self.identity, self.path)
                _check_layout(file, state, content, self.path)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{self.path}: damaged ({error}); {_REMEDY}") from error
        if _digest(metadata["training"], tensors) != metadata.get("sha256"):
            raise CheckpointError(f"{self.path}: changed since it was written; {_REMEDY}")
        _put(state, content, tensors, self.path)
        return True


def remove_state(directory: str | Path) -> None:
    """Delete the state of a training run, after its classifier was saved or to begin anew.

    Raises:
        OutputError: If it cannot be deleted.
    """
    path = Path(directory) / STATE_FILE
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be deleted ({error.strerror})") from error


@contextlib.contextmanager
def training_lock(directory: str | Path) -> Iterator[None]:
    """Keep other processes from training into a folder; it is made if it is missing.

    A process that dies, however it does, holds the lock no longer. Who holds it may take it again.

    Raises:
        OutputError: If another process trains into the folder, or it cannot be used.
    """
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(directory / LOCK_FILE, timeout=0, is_singleton=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise OutputError(
            f"{directory}: another process is training into this folder; "
            "wait until it is done, or choose another folder"
        ) from error
    except OSError as error:
        raise OutputError(
            f"{directory}: cannot be a folder for the training ({error.strerror}); choose another"
        ) from error
    try:
        for path in directory.glob(f".{STATE_FILE}.*{TEMPORARY_SUFFIX}"):  # of a killed process
            path.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


_REMEDY = "delete this file to begin anew (companion train --restart does it)"


def _to_bytes(state: TrainingState, identity: dict[str, Any]) -> bytes:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(state).items()}
    training = json.dumps(
        {
            "format_version": STATE_VERSION,
            "companion": companion.__version__,
            "identity": identity,
            "steps": state.steps,
            "history": state.history,
            "batches": state.batches,
            "sums": state.read_sums(),
            "best_epoch": state.best_epoch,
            "epoch_start": state.epoch_start,
        }
    )
    digest = _digest(training, tensors)
    return save_tensors(
        tensors, metadata={"format": _FORMAT, "training": training, "sha256": digest}
    )


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    """Name every tensor of a state that has taken a step."""
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best_weights.items()}
    for number, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    return tensors | _generators(state.model)


def _generators(model: nn.Module) -> dict[str, Tensor]:
    """Read torch's random state on the CPU, and on the model's device if that is another."""
    states = {"generator.cpu": torch.get_rng_state()}
    kind = next(model.parameters()).device.type
    if kind != "cpu":
        states[f"generator.{kind}"] = torch.get_device_module(kind).get_rng_state()
    return states


def _digest(training: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(training.encode("utf-8"))
    for name in sorted(tensors):
        digest.update(name.encode("utf-8"))
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _content(metadata: dict[str, str], path: Path) -> dict[str, Any]:
    """Read the JSON of a state, and check that each value is what it should be."""
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: not written by this package; choose another folder")
    try:
        content = json.loads(metadata["training"])
        version = content["format_version"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); {_REMEDY}") from error
    if version != STATE_VERSION:
        raise CheckpointError(
            f"{path}: format version {version!r}, and this package ({companion.__version__}) reads "
            f"version {STATE_VERSION}; use companion {content.get('companion')}, or {_REMEDY}"
        )
    if wrong := [name for name, is_right in _CHECKS.items() if not is_right(content.get(name))]:
        raise CheckpointError(f"{path}: damaged at {', '.join(wrong)}; {_REMEDY}")
    if content["best_epoch"] > len(content["history"]):
        raise CheckpointError(f"{path}: damaged at best_epoch; {_REMEDY}")
    return content  # type: ignore[no-any-return]


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_row(value: object, columns: list[str]) -> bool:
    return (
        isinstance(value, dict)
        and sorted(value) == sorted(columns)
        and all(type(number) in (int, float) for number in value.values())
    )


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "identity": lambda value: isinstance(value, dict),
    "steps": lambda value: _is_count(value) and value > 0,
    "history": lambda value: (
        isinstance(value, list) and all(_is_row(row, _COLUMNS) for row in value)
    ),
    "batches": _is_count,
    "sums": lambda value: _is_row(value, ["loss", "gradient_norm", "learning_rate"]),
    "best_epoch": _is_count,
    "epoch_start": lambda value: isinstance(value, dict),
}


def _check_identity(saved: dict[str, Any], ours: dict[str, Any], path: Path) -> None:
    """Refuse the state of another training and say what differs."""
    different = [
        f"{name} was {reprlib.repr(saved.get(name))} and is {value!r}"
        if name != "documents"
        else "other documents"
        for name, value in ours.items()
        if saved.get(name) != value
    ]
    if different or saved.keys() != ours.keys():
        raise CheckpointError(
            f"{path}: another training was stopped here ({', '.join(different)}); "
            f"go on as it began, choose another folder, or {_REMEDY}"
        )


def _check_layout(file: Any, state: TrainingState, content: dict[str, Any], path: Path) -> None:
    """Hold the names, shapes and types of the tensors against the model, before they are read."""
    weights = state.model.state_dict()
    expected = {f"model.{name}": value for name, value in weights.items()}
    if content["best_epoch"]:
        expected |= {f"best.{name}": value for name, value in weights.items()}
    for number, parameter in enumerate(state.model.parameters()):
        expected[f"optimizer.{number}.step"] = torch.zeros(())
        expected[f"optimizer.{number}.exp_avg"] = parameter
        expected[f"optimizer.{number}.exp_avg_sq"] = parameter
    expected |= _generators(state.model)
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    found = {name: (part.get_shape(), part.get_dtype()) for name, part in slices.items()}
    if found != {name: (list(each.shape), _DTYPES[each.dtype]) for name, each in expected.items()}:
        raise CheckpointError(f"{path}: does not fit the model; {_REMEDY}")


def _put(
    state: TrainingState, content: dict[str, Any], tensors: dict[str, Tensor], path: Path
) -> None:
    """Fill a state that has taken no step. All is copied, so that nothing lies in the file."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = value.clone()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimizer"].items():
        number, _, kind = name.partition(".")
        moments.setdefault(int(number), {})[kind] = value
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    state.model.load_state_dict(parts["model"])
    device = next(state.model.parameters()).device
    state.best_weights = {name: value.to(device) for name, value in parts.get("best", {}).items()}
    for name in ("history", "batches", "sums", "best_epoch", "epoch_start"):
        setattr(state, name, content[name])
    try:
        state.generator.bit_generator.state = content["epoch_start"]
        _go_to_step(state.scheduler, content["steps"])
        torch.set_rng_state(parts["generator"].pop("cpu"))
        for kind, value in parts["generator"].items():
            torch.get_device_module(kind).set_rng_state(value)
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); {_REMEDY}") from error


def _go_to_step(scheduler: torch.optim.lr_scheduler.LRScheduler, steps: int) -> None:
    """Set the learning rate and the momentum of a step; they follow from its number alone."""
    before = scheduler.state_dict() | {"last_epoch": steps - 1, "_step_count": steps + 1}
    scheduler.load_state_dict(before)
    scheduler.step()
