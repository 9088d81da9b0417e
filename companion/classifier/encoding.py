"""From texts to the token ids of a vocabulary, without torch.

Explained in :doc:`/project/data`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import numpy as np
from numpy.typing import NDArray

from companion.classifier.text import Vocabulary, clean_together, tokenize
from companion.errors import DataError, EmptyDocumentError

__all__ = ["build_vocabulary", "encode"]

_CHARACTERS_AT_ONCE = 1_000_000
_SPACE = ord(" ")
_LONG_TOKEN = 64  # bytes; longer ones are rare, and compared as a whole
_FIRST_BYTES = np.array([2 ** (8 * count) - 1 for count in range(9)], dtype=np.uint64)


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
    tokens, first_ids, lengths = _number_tokens(texts)
    counts = np.bincount(first_ids, minlength=len(tokens))
    vocabulary = Vocabulary.of_counts(
        tokens, counts, minimum_count=minimum_count, maximum_size=maximum_size
    )
    final_ids = np.array(vocabulary.encode(tokens), dtype=np.int32)
    return vocabulary, final_ids[first_ids], lengths


def _number_tokens(
    texts: Sequence[str],
) -> tuple[list[str], NDArray[np.int32], NDArray[np.int64]]:
    """Give the distinct tokens, which of them each token of the texts is, and the texts' lengths.

    A ``defaultdict`` gives a new token the next number.
    """
    numbers: defaultdict[bytes, int] = defaultdict(count().__next__)
    ids, lengths = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.int64)]
    for some in _in_parts(texts):
        distinct, ids_here, lengths_here = _split(some)
        numbers_here = np.fromiter(map(numbers.__getitem__, distinct), np.int32, len(distinct))
        ids.append(numbers_here[ids_here])
        lengths.append(lengths_here)
    return [token.decode() for token in numbers], np.concatenate(ids), np.concatenate(lengths)


def _in_parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Give the texts in parts of about equal size."""
    parts = np.cumsum([len(text) for text in texts]) // _CHARACTERS_AT_ONCE
    ends = [*(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(texts)]
    for start, end in pairwise([0, *ends]):
        yield texts[start:end]


def _split(texts: Sequence[str]) -> tuple[list[bytes], NDArray[np.int64], NDArray[np.int64]]:
    """Do as :func:`_number_tokens` for texts that are joined to one string; in no certain order."""
    cleaned, sizes = clean_together(texts)
    joined = (
        b" " + cleaned + b" " * 8
    )  # so that the first token has an edge, and the last eight bytes
    is_letter = np.frombuffer(joined, dtype=np.uint8) != _SPACE
    edges = np.flatnonzero(is_letter[1:] != is_letter[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    ids = _number_within(joined, starts, ends - starts)
    examples = np.full(ids.max(initial=-1) + 1, -1)
    examples[ids] = np.arange(len(ids))
    used = examples >= 0
    examples = examples[used]
    spans = zip(starts[examples].tolist(), ends[examples].tolist(), strict=True)
    text_ends = np.cumsum(np.array(sizes) + 1)
    lengths = np.diff(np.searchsorted(starts, text_ends), prepend=0)
    return [joined[start:end] for start, end in spans], (np.cumsum(used) - 1)[ids], lengths


def _number_within(
    joined: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give equal tokens the same number, by comparing eight bytes at a time as one integer."""
    from pandas import factorize  # here, because answers from an ONNX file need no pandas

    eights = np.ndarray(len(joined) - 7, dtype="<u8", buffer=joined, strides=(1,))
    ids, distinct = factorize(eights[starts] & _FIRST_BYTES[np.minimum(lengths, 8)])
    total, rows = len(distinct), np.flatnonzero(lengths > 8)
    for done in range(8, _LONG_TOKEN, 8):
        remaining = np.minimum(lengths[rows] - done, 8)
        nexts, distinct = factorize(eights[starts[rows] + done] & _FIRST_BYTES[remaining])
        pairs, distinct_pairs = factorize(ids[rows] * len(distinct) + nexts)
        ids[rows] = total + pairs
        total += len(distinct_pairs)
        rows = rows[lengths[rows] > done + 8]
    wholes = [joined[starts[row] : starts[row] + lengths[row]] for row in rows.tolist()]
    ids[rows] = total + factorize(np.array(wholes, dtype=object))[0]
    return ids
