"""How much memory a server of language models wastes, with and without pages.

Explained in :doc:`/tools`, "What is missing from the list".
"""

from collections.abc import Sequence

from companion.errors import DataError

__all__ = ["reserved_tokens"]


def reserved_tokens(lengths: Sequence[int], *, longest: int, page: int | None = None) -> int:
    """Count the places for tokens that a server reserves for requests of these lengths.

    Without pages each request gets room for the longest that may come. With pages it gets as many
    as its tokens fill, and wastes a part of its last one only: the idea of PagedAttention.

    Args:
        lengths: The tokens of each request.
        longest: The most that a request may have.
        page: The tokens of a page; None reserves for the longest.

    Returns:
        Places, used or not.

    Raises:
        DataError: If a request is longer than ``longest``, or a number is not positive.
    """
    if min(lengths, default=1) < 1 or max(lengths, default=1) > longest:
        raise DataError(f"a request has from 1 to {longest} tokens")
    if page is None:
        return longest * len(lengths)
    if page < 1:
        raise DataError(f"a page of {page} tokens holds nothing; take 16, or so")
    return sum(-(-length // page) * page for length in lengths)
