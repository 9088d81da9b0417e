"""Classify by lists of words that a person wrote: the way that needs no example.

Explained in :doc:`/business`, "What the ways get".
"""

from collections.abc import Mapping, Sequence

from companion.classifier.text import tokenize
from companion.errors import DataError

__all__ = ["NEWS_WORDS", "KeywordRules"]

# Written in a few minutes, and not changed to get more answers right.
NEWS_WORDS: dict[str, str] = {
    "business": "company shares profit bank economy market sales firm oil growth prices investors",
    "entertainment": "film music actor actress singer album band star award awards show movie",
    "politics": "minister party election government labour tory parliament vote prime mps policy",
    "sports": "match game team player players coach cup win season goal champion injury",
    "tech": "computer software internet phone mobile technology online users digital web data",
}


class KeywordRules:
    """Count the words of each list in a text; the list with most of them wins.

    Args:
        words: The words of each class, separated by spaces.
        otherwise: The class of a text that has none of the words.

    Raises:
        DataError: If ``otherwise`` is no class.
    """

    def __init__(self, words: Mapping[str, str], otherwise: str) -> None:
        if otherwise not in words:
            raise DataError(f"{otherwise!r} is not one of the classes {sorted(words)}")
        self.words = {label: set(listed.split()) for label, listed in words.items()}
        self.otherwise = otherwise

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Give the class of each text; among equals, the first in the order of the lists."""
        return [self._predict(text) for text in texts]

    def _predict(self, text: str) -> str:
        tokens = tokenize(text)
        counts = {
            label: sum(token in listed for token in tokens) for label, listed in self.words.items()
        }
        best = max(counts, key=lambda label: counts[label])
        return best if counts[best] else self.otherwise
