"""Byte-pair encoding: a vocabulary of pieces of words, learned by joining frequent neighbours.

Explained in :doc:`/training/data`, "Tokens: byte-pair encoding".
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from companion.errors import DataError

__all__ = ["BytePairEncoding", "join_pair", "learn_bpe"]

Pair = tuple[str, str]


@dataclass(frozen=True)
class BytePairEncoding:
    """The characters and the learned merges.

    Attributes:
        alphabet: The characters of the training words, sorted.
        merges: The pairs of pieces that are joined, in the order in which they were learned.
    """

    alphabet: tuple[str, ...]
    merges: tuple[Pair, ...]

    @cached_property
    def pieces(self) -> list[str]:
        """Every piece; its place is its id."""
        return list(dict.fromkeys([*self.alphabet, *(a + b for a, b in self.merges)]))

    @cached_property
    def _ranks(self) -> dict[Pair, int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    def split(self, word: str) -> list[str]:
        """Cut a word into pieces by applying the merges, the earliest learned first.

        Args:
            word: A word without spaces.

        Returns:
            The pieces; joined, they are the word again.

        Raises:
            DataError: If the word has a character that no training word had.
        """
        if unknown := set(word) - set(self.alphabet):
            raise DataError(
                f"{word!r} has the character {min(unknown)!r}, which no training word has; "
                "train on more text, or on bytes"
            )
        pieces = list(word)
        while known := [pair for pair in pairwise(pieces) if pair in self._ranks]:
            pieces = join_pair(pieces, min(known, key=self._ranks.__getitem__))
        return pieces


def join_pair(pieces: Sequence[str], pair: Pair) -> list[str]:
    """Join each place where the two pieces of the pair stand side by side, from the left."""
    joined, place = [], 0
    while place < len(pieces):
        if tuple(pieces[place : place + 2]) == pair:
            joined.append(pieces[place] + pieces[place + 1])
            place += 2
        else:
            joined.append(pieces[place])
            place += 1
    return joined


def learn_bpe(counts: Mapping[str, int], size: int, *, minimum_count: int = 2) -> BytePairEncoding:
    """Join the most frequent pair of neighbours, again and again.

    Of equally frequent pairs, the one whose pieces are older comes first.

    Args:
        counts: How often each training word occurs.
        size: The number of pieces to stop at, the characters included.
        minimum_count: Stop earlier when no pair is as frequent as this.

    Returns:
        The alphabet and the merges.

    Raises:
        DataError: If there are no words, or the size does not even hold the characters.
    """
    alphabet = sorted({character for word in counts for character in word})
    if not alphabet or size < len(alphabet):
        raise DataError(
            f"the words have {len(alphabet)} characters and the vocabulary {size} places; "
            "give words, and at least one place for each character"
        )
    ids = {piece: number for number, piece in enumerate(alphabet)}
    words = [(list(word), count) for word, count in counts.items()]
    pairs = _PairCounts()
    for number, (pieces, count) in enumerate(words):
        pairs.add(number, pieces, count)
    merges: list[Pair] = []
    while len(ids) < size:
        pair, frequency = pairs.most_frequent(ids)
        if pair is None or frequency < minimum_count:
            break
        merges.append(pair)
        ids.setdefault(pair[0] + pair[1], len(ids))
        for number in pairs.words.pop(pair):
            pieces, count = words[number]
            pairs.add(number, pieces, -count)
            words[number] = (join_pair(pieces, pair), count)
            pairs.add(number, words[number][0], count)
    return BytePairEncoding(tuple(alphabet), tuple(merges))


class _PairCounts:
    """How often each pair occurs, and in which words, kept up to date from merge to merge.

    Counting all words anew after each merge would be simpler, and hundreds of times slower.
    """

    def __init__(self) -> None:
        self.frequency: Counter[Pair] = Counter()
        self.words: defaultdict[Pair, set[int]] = defaultdict(set)
        self._changed: set[Pair] = set()
        self._heap: list[tuple[int, int, int, Pair]] = []

    def add(self, number: int, pieces: Sequence[str], count: int) -> None:
        """Count the pairs of a word so many times more, or, if negative, less."""
        for pair in pairwise(pieces):
            self.frequency[pair] += count
            self._changed.add(pair)
            if count > 0:
                self.words[pair].add(number)

    def most_frequent(self, ids: Mapping[str, int]) -> tuple[Pair | None, int]:
        """Give the most frequent pair and its count; of equals, the one with the lowest ids."""
        for pair in self._changed:
            entry = (-self.frequency[pair], ids[pair[0]], ids[pair[1]], pair)
            heapq.heappush(self._heap, entry)
        self._changed.clear()
        while self._heap:
            negative, _, _, pair = heapq.heappop(self._heap)
            if 0 < -negative == self.frequency[pair]:  # an older count of a pair is passed over
                return pair, -negative
        return None, 0
