"""From texts to the token ids of a vocabulary, without torch.

Explained in :doc:`/project/data`.
"""

from collections.abc import Sequence

from companion.classifier.text import Vocabulary, tokenize
from companion.errors import DataError, EmptyDocumentError

__all__ = ["encode"]


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
