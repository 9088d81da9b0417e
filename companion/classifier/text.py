"""From raw text to token ids.

Explained in :doc:`/project/data`. Nothing here knows about labels, batches or torch.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
import regex
from numpy.typing import NDArray

from companion.errors import DataError

__all__ = [
    "PADDING",
    "PADDING_ID",
    "UNKNOWN",
    "UNKNOWN_ID",
    "Vocabulary",
    "clean",
    "clean_together",
    "has_tokens",
    "is_encodable",
    "tokenize",
]

PADDING, PADDING_ID = "<pad>", 0
UNKNOWN, UNKNOWN_ID = "<unk>", 1

# Scripts written without spaces are read a character at a time; a run of any other letters, marks
# and digits is a word. Everything else separates, so "state-of-the-art" is four words and "3.14" is
# two.
_ALONE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Emoji_Presentation}]")
_IN_WORDS = regex.compile(r"[\p{L}\p{M}\p{N}]")
_HAS_TOKEN = regex.compile(f"{_ALONE.pattern}|{_IN_WORDS.pattern}")


class _Spacing(dict[int, str]):
    """What :meth:`str.translate` puts for each character, looked up once for each that occurs."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if _ALONE.match(character):
            self[code] = f" {character} "
        else:
            self[code] = character if _IN_WORDS.match(character) else " "
        return self[code]


_SPACING = _Spacing()
_BYTE_SPACING = "".join(_SPACING[code].lower() for code in range(128)).encode() + bytes(
    range(128, 256)
)


def clean(text: str) -> str:
    """Give the lower-case tokens of a text with spaces between them; see :func:`tokenize`.

    One pass in C over the characters: the same work by a regular expression takes several times
    as long.

    >>> clean("Stocks rose 3.5%!")
    'stocks rose 3 5  '
    """
    return _normalize(text).translate(_SPACING)


def clean_together(texts: Sequence[str]) -> tuple[bytes, list[int]]:
    r"""Clean many texts at once, faster where most are of ASCII alone.

    Returns:
        What :func:`clean` gives for each, as UTF-8, with a space between them; and the bytes of
        each.

    >>> clean_together(["Up 3%!", "Café"])
    (b'up 3   caf\xc3\xa9', [6, 5])
    """
    cleaned = [text if text.isascii() else clean(text) for text in texts]
    lengths = [len(text) if text.isascii() else len(text.encode()) for text in cleaned]
    return " ".join(cleaned).encode().translate(_BYTE_SPACING), lengths


def tokenize(text: str) -> list[str]:
    """Split a text into lower-case tokens.

    The text is first brought to Unicode's NFKC form, so that a full-width ``Ａ`` and a plain ``A``
    are one letter.

    Args:
        text: Any text, in any script.

    Returns:
        The tokens in order: words, single Chinese or Japanese characters, and emoji. Punctuation is
        dropped.

    >>> tokenize("Stocks rose 3.5% today!")
    ['stocks', 'rose', '3', '5', 'today']
    >>> tokenize("大模型，Ｃafé 🚀")
    ['大', '模', '型', 'café', '🚀']
    """
    return clean(text).split()


def has_tokens(text: str) -> bool:
    """Say whether :func:`tokenize` would find anything, without reading the whole text."""
    return _HAS_TOKEN.search(_normalize(text)) is not None


def is_encodable(text: str) -> bool:
    """Say whether a text can be written as UTF-8: it cannot with half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


# Sorting a run of combining marks, which NFKC does, takes a time that grows with its square: a
# minute for 300,000. Unicode's "stream-safe text" has 30 in a row at the most, and so have we.
_MARKS = regex.compile(r"(\p{M}{30})\p{M}+")
_SHORT = 1000


def _normalize(text: str) -> str:
    if len(text) > _SHORT and not text.isascii():
        text = _MARKS.sub(r"\1", text)
    return unicodedata.normalize("NFKC", text).lower()


class _Ids(dict[str, int]):
    """The id of each token; a token that is not in it has the unknown id."""

    def __missing__(self, token: str) -> int:
        return UNKNOWN_ID


class Vocabulary:
    """A fixed, ordered list of tokens; a token's place in it is its id.

    Id 0 is the padding and id 1 stands for every token that is not in the list. The order is by
    falling count, then alphabetical, so that it is the same in every process.

    Args:
        tokens: All tokens by id, the padding and unknown tokens first.

    Raises:
        DataError: If the list does not start with the two special tokens, names a token twice, or
            holds anything but texts.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        if not all(isinstance(token, str) for token in self.tokens):
            raise DataError("a token of the vocabulary is no text")
        self._ids = _Ids({token: token_id for token_id, token in enumerate(self.tokens)})
        if self.tokens[:2] != [PADDING, UNKNOWN] or len(self._ids) != len(self.tokens):
            raise DataError(
                f"a vocabulary starts with {PADDING!r} and {UNKNOWN!r} and names every token once"
            )

    @classmethod
    def build(
        cls,
        documents: Iterable[Sequence[str]],
        *,
        minimum_count: int = 2,
        maximum_size: int = 50_000,
    ) -> "Vocabulary":
        """Collect the tokens of the training documents, and of no others.

        Args:
            documents: The token lists of the training documents.
            minimum_count: Rarer tokens become the unknown token.
            maximum_size: The most ids, the two special ones included.

        Returns:
            The vocabulary.

        >>> Vocabulary.build([["a", "b", "a"], ["b", "c"]]).tokens
        ['<pad>', '<unk>', 'a', 'b']
        """
        counts = Counter(chain.from_iterable(documents))
        return cls.of_counts(
            list(counts),
            np.fromiter(counts.values(), np.int64, len(counts)),
            minimum_count=minimum_count,
            maximum_size=maximum_size,
        )

    @classmethod
    def of_counts(
        cls,
        tokens: Sequence[str],
        counts: NDArray[np.int64],
        *,
        minimum_count: int = 2,
        maximum_size: int = 50_000,
    ) -> "Vocabulary":
        """Do the work of :meth:`build` for distinct tokens that are counted already."""
        frequent = np.flatnonzero(counts >= minimum_count).tolist()
        frequent.sort(key=tokens.__getitem__)
        order = np.argsort(-counts[frequent], kind="stable")[: maximum_size - 2]
        return cls([PADDING, UNKNOWN, *(tokens[frequent[place]] for place in order.tolist())])

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Give the id of each token; a token that is not in the vocabulary gets the unknown id."""
        return list(map(self._ids.__getitem__, tokens))

    def decode(self, token_ids: Iterable[int]) -> list[str]:
        """Give the token of each id."""
        return [self.tokens[token_id] for token_id in token_ids]

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids
