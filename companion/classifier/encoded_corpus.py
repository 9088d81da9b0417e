"""Labelled documents as token ids: made in memory, or mapped from the files of a large corpus.

Explained in :doc:`/project/scale`. Of a mapped file only what is read comes into memory, and the
operating system lets it go again when others need the room.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from companion.classifier.text import Vocabulary
from companion.classifier.token_files import DESCRIPTION, LABELS, OFFSETS, PARTS, TOKEN_IDS
from companion.classifier.token_table import TokenTable
from companion.errors import DataError

__all__ = ["EncodedCorpus", "LabelledTable"]


@dataclass(frozen=True)
class LabelledTable:
    """Documents as token ids, their labels and their weights.

    Attributes:
        tokens: The documents.
        labels: ``(documents,)`` int64, the number of each one's class.
        weights: ``(documents,)`` float32 with mean 1, or None where all documents count the same.
    """

    tokens: TokenTable
    labels: Tensor
    weights: Tensor | None = None

    @classmethod
    def open(cls, directory: str | Path) -> "LabelledTable":
        """Map one of the tables of an encoded corpus.

        Raises:
            DataError: If the folder holds no whole table.
        """
        # Copy on write: torch wants to be allowed to write, and the files stay as they are.
        token_ids = _load(Path(directory) / TOKEN_IDS, mmap_mode="c")
        offsets = _load(Path(directory) / OFFSETS)
        labels = _load(Path(directory) / LABELS)
        if (
            (str(token_ids.dtype), str(offsets.dtype), str(labels.dtype))
            != ("int32", "int64", "int64")
            or (token_ids.ndim, offsets.ndim, labels.ndim) != (1, 1, 1)
            or len(offsets) != len(labels) + 1
            or len(labels) == 0
            or (offsets[0], offsets[-1]) != (0, len(token_ids))
            or not (np.diff(offsets) > 0).all()
        ):
            raise DataError(f"{directory}: a damaged table of tokens; encode the corpus again")
        tokens = TokenTable(token_ids, offsets[:-1], np.diff(offsets))
        return cls(tokens, torch.from_numpy(labels))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class EncodedCorpus:
    """What :func:`companion.classifier.token_files.encode_corpus` wrote, mapped.

    Attributes:
        training: The training documents.
        validation: The validation documents.
        vocabulary: Made from the training documents.
        labels: The classes.
    """

    training: LabelledTable
    validation: LabelledTable
    vocabulary: Vocabulary
    labels: list[str]

    @classmethod
    def open(cls, directory: str | Path) -> "EncodedCorpus":
        """Map a corpus.

        Raises:
            DataError: If the folder holds no whole corpus.
        """
        path = Path(directory) / DESCRIPTION
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            vocabulary, labels = Vocabulary(content["vocabulary"]), list(content["labels"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"{directory}: no whole corpus of token ids ({type(error).__name__} at "
                f"{DESCRIPTION}); make one by companion encode"
            ) from error
        training, validation = (LabelledTable.open(Path(directory) / name) for name in PARTS)
        for table in (training, validation):
            ids = torch.from_numpy(table.tokens.token_ids)
            for values, known in ((table.labels, len(labels)), (ids, len(vocabulary))):
                low, high = values.aminmax()
                if low < 0 or high >= known:
                    raise DataError(f"{directory}: a number is out of range; encode it again")
        return cls(training, validation, vocabulary, labels)


def _load(path: Path, mmap_mode: Literal["c"] | None = None) -> NDArray[Any]:
    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}); make it by companion encode") from error
