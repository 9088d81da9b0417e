"""From texts to the token ids of a vocabulary, without torch.

Explained in :doc:`/project/data`.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from companion.classifier.text import Vocabulary, clean_bytes, tokenize
from companion.errors import DataError, EmptyDocumentError

__all__ = ["build_vocabulary", "encode"]

_TEXTS_AT_ONCE = 1000
_END = b" \0 "  # ends a document; no token has it, because cleaning removes control characters


def encode(texts: Sequence[str], vocabulary: Vocabulary, maximum_words: int) -> list[list[int]]:
    """Turn texts into token ids, each cut to its first ``maximum_words`` tokens.

    Args:
        texts: The documents.
        vocabulary: What gives the ids.
        maximum_words: The most tokens kept of a document.

    Returns:
        The ids of each document.

    Raises:
        DataError: If ``texts`` is one string, or an element is no string.
        EmptyDocumentError: If a text has no token; the message names its row, counted from 1.
    """
    if isinstance(texts, str):
        raise DataError("texts is a single string; give a list of them: [text]")
    documents = []
    for row, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise DataError(
                f"row {row}: {text!r} is {type(text).__name__} and no text; fill it in or remove it"
            )
        tokens = tokenize(text)
        if not tokens:
            raise EmptyDocumentError(
                f"row {row}: {text[:40]!r} has no letter, digit or emoji; remove it or fill it in"
            )
        documents.append(vocabulary.encode(tokens[:maximum_words]))
    return documents


def build_vocabulary(
    texts: Sequence[str], *, minimum_count: int = 2, maximum_size: int = 50_000
) -> tuple[Vocabulary, NDArray[np.int32], NDArray[np.int64]]:
    """Build the vocabulary of the training texts and encode them, in one pass.

    The result is that of :meth:`~companion.classifier.text.Vocabulary.build` and of its ``encode``,
    in less time: each token is looked up once, and counts and ids are NumPy's work.

    Args:
        texts: The training texts, each with at least one token.
        minimum_count: Rarer tokens become the unknown token.
        maximum_size: The most ids, the two special ones included.

    Returns:
        The vocabulary; the ids of all texts, one after the other; and the number of each text's.
    """
    tokens, first_ids, lengths = _number_by_appearance(texts)
    counts = np.bincount(first_ids, minlength=len(tokens))
    vocabulary = Vocabulary.of_counts(
        tokens, counts, minimum_count=minimum_count, maximum_size=maximum_size
    )
    final_ids = np.array(vocabulary.encode(tokens), dtype=np.int32)
    return vocabulary, final_ids[first_ids], lengths


def _number_by_appearance(
    texts: Sequence[str],
) -> tuple[list[str], NDArray[np.int32], NDArray[np.int64]]:
    """Give the distinct tokens, the number of each token in the texts, and each text's length.

    The loop over the tokens runs in C: a ``defaultdict`` gives a new token the next number. Bytes
    are split and looked up faster than strings.
    """
    numbers: defaultdict[bytes, int] = defaultdict(count(-1).__next__)
    end = numbers[_END.strip()]
    parts = [np.empty(0, dtype=np.int32)]
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        cleaned = map(clean_bytes, texts[start : start + _TEXTS_AT_ONCE])
        tokens = b"".join([text + _END for text in cleaned]).split()
        parts.append(np.fromiter(map(numbers.__getitem__, tokens), np.int32, len(tokens)))
    flat = np.concatenate(parts)
    lengths = np.diff(np.flatnonzero(flat == end), prepend=-1) - 1
    del numbers[_END.strip()]
    return [token.decode() for token in numbers], flat[flat != end], lengths
