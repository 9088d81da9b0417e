"""A trained model in a folder: its weights as safetensors, and a description as JSON.

The weights are written first, under a name made from their content; then the description, which
names them, takes the place of the old one in one step. So whatever happens in between, the folder
holds one whole model: the old or the new. Nothing that is read is executed or unpickled.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

import companion
from companion.errors import CheckpointError
from companion.files import write_atomically
from companion.safety import LIMITS, for_terminal

__all__ = ["ModelFolder"]

_REMEDY = "copy the folder again from where it was made, or train again"
_CHARACTERS_SHOWN = 200
_HEADER_BYTES = 1_000_000
_SAFETENSORS_TYPES = {torch.float32: "F32"}


@dataclass(frozen=True)
class ModelFolder:
    """The layout of one kind of model.

    Attributes:
        format: What the description calls the kind.
        version: Of the format; another one is refused.
        kind: What is missing in a folder without it, for the error.
        maker: What makes such a folder, for the error.
        description: The name of the JSON file.
        weights: How the name of the weights file begins.
        types: The parts of the description beside those that every one has, and their types.
    """

    format: str
    version: int
    kind: str
    maker: str
    description: str
    weights: str
    types: Mapping[str, type]

    def write(
        self, directory: Path, tensors: Mapping[str, torch.Tensor], parts: dict[str, Any]
    ) -> None:
        """Write a model in place of the one that may be there.

        Args:
            directory: A folder that is there.
            tensors: The weights by name, from any device.
            parts: What the description says, as JSON values, for each name in ``types``.

        Raises:
            OutputError: If it cannot be written. What was there before stays whole.
        """
        weights = save_tensors(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        )
        digest = hashlib.sha256(weights).hexdigest()
        name = f"{self.weights}-{digest[:16]}.safetensors"
        description = {
            "format": self.format,
            "format_version": self.version,
            "companion": companion.__version__,
            "weights": name,
            "weights_sha256": digest,
            **parts,
        }
        write_atomically(directory / name, weights)
        text = json.dumps(description, ensure_ascii=False, indent=1, allow_nan=False)
        write_atomically(directory / self.description, text.encode("utf-8"))
        for path in directory.iterdir():
            if self._is_weights(path.name) and path.name != name:
                path.unlink(missing_ok=True)

    def owns(self, path: Path) -> bool:
        """Say whether a file of the folder is the description or weights, by its name."""
        return path.name == self.description or self._is_weights(path.name)

    def read(self, directory: Path) -> dict[str, Any]:
        """Read the description.

        Raises:
            CheckpointError: If it is missing, damaged, of another kind, or of another version.
        """
        path = directory / self.description
        try:
            is_there, is_folder = path.is_file(), directory.is_dir()
        except OSError as error:
            raise CheckpointError(f"{directory}: cannot be read ({_reason(error)})") from error
        if not is_there:
            reason = f"no {self.description} in it" if is_folder else "no such folder"
            raise CheckpointError(
                f"{directory}: no {self.kind}: there is {reason}; train one with {self.maker}"
            )
        data = _read_within(path, LIMITS.description_bytes, "description_bytes")
        try:
            description = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError, MemoryError) as error:
            raise self.damaged(directory, error) from error
        if not isinstance(description, dict) or description.get("format") != self.format:
            raise CheckpointError(
                f"{path}: not written by this package; give a folder made by {self.maker}"
            )
        version = description.get("format_version")
        if type(version) is not int or version != self.version:
            raise CheckpointError(
                f"{path}: format version {_shown(version)}, "
                f"and this package ({companion.__version__}) reads version {self.version}; "
                f"use companion {_shown(description.get('companion'))} or train again"
            )
        types = {"weights": str, "weights_sha256": str, **self.types}
        wrong = [name for name, of in types.items() if not isinstance(description.get(name), of)]
        if wrong or not self._is_weights(description["weights"]):
            raise CheckpointError(f"{path}: damaged at {', '.join(wrong) or 'weights'}; {_REMEDY}")
        return description

    def read_weights(
        self,
        directory: Path,
        description: Mapping[str, Any],
        expected: Mapping[str, torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """Read tensors of the names, shapes and types that are expected, and no others.

        Args:
            directory: The folder.
            description: What :meth:`read` gave.
            expected: Tensors like those to come, on any device, ``meta`` too.

        Raises:
            CheckpointError: If the file is missing, changed, too long, or holds something else.
        """
        path = directory / description["weights"]
        size = sum(value.numel() * value.element_size() for value in expected.values())
        if size > LIMITS.weights_bytes:
            raise CheckpointError(
                f"{path}: the configuration asks for {size:,} bytes of weights; if you trust it, "
                "raise companion.safety.LIMITS.weights_bytes"
            )
        data = _read_within(path, size + _HEADER_BYTES, "weights_bytes", is_expected=True)
        if hashlib.sha256(data).hexdigest() != description["weights_sha256"]:
            raise CheckpointError(f"{path}: truncated or changed since it was written; {_REMEDY}")
        try:
            fits = _header(data) == {
                name: (_SAFETENSORS_TYPES[value.dtype], list(value.shape))
                for name, value in expected.items()
            }
            tensors = load_tensors(data) if fits else {}
        except (SafetensorError, ValueError, RecursionError) as error:
            raise CheckpointError(
                f"{path}: not a safetensors file ({_shown(error)}); {_REMEDY}"
            ) from error
        if not fits:
            raise CheckpointError(_misfit(path))
        if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
            raise CheckpointError(f"{path}: some weights are no finite numbers; train again")
        return tensors

    def damaged(self, directory: Path, error: object) -> CheckpointError:
        """Make the error that says what is wrong with the description."""
        return CheckpointError(
            f"{directory / self.description}: damaged ({_shown(error)}); {_REMEDY}"
        )

    def _is_weights(self, name: str) -> bool:
        pattern = rf"{re.escape(self.weights)}-[0-9a-f]{{16}}\.safetensors"
        return re.fullmatch(pattern, name) is not None


def _header(data: bytes) -> dict[str, tuple[object, object]]:
    """Read the type and the shape of each tensor of a safetensors file, and no tensor."""
    length = int.from_bytes(data[:8], "little")
    if length > _HEADER_BYTES:
        raise ValueError("the header is too long")
    header = json.loads(data[8 : 8 + length].decode("utf-8"))
    if not isinstance(header, dict) or not all(isinstance(part, dict) for part in header.values()):
        raise ValueError("the header is no list of tensors")
    header.pop("__metadata__", None)
    return {name: (part.get("dtype"), part.get("shape")) for name, part in header.items()}


def _misfit(path: Path) -> str:
    return f"{path}: the weights do not fit the configuration beside them; {_REMEDY}"


def _read_within(path: Path, limit: int, name: str, *, is_expected: bool = False) -> bytes:
    """Read a regular file that really lies in its folder and is not longer than the limit."""
    try:
        if path.resolve().parent != path.parent.resolve():
            raise CheckpointError(f"{path}: a link that leaves its folder; copy the file into it")
        if path.exists() and not path.is_file():
            raise CheckpointError(f"{path}: is no file; {_REMEDY}")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, RuntimeError) as error:  # a link to itself is a RuntimeError up to Python 3.12
        raise CheckpointError(f"{path}: cannot be read ({_reason(error)}); {_REMEDY}") from error
    if len(data) > limit and is_expected:
        raise CheckpointError(_misfit(path))
    if len(data) > limit:
        raise CheckpointError(
            f"{path}: longer than {limit:,} bytes; if you trust it, raise "
            f"companion.safety.LIMITS.{name}"
        )
    return data


def _shown(value: object) -> str:
    """Show a little of what a file says, so that it cannot flood or steer a terminal."""
    text = for_terminal(str(value))
    return text if len(text) <= _CHARACTERS_SHOWN else f"{text[:_CHARACTERS_SHOWN]}…"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
