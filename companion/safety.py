"""Limits on what is read from a file, and harmless forms of what is written from it.

Explained in :doc:`/project/using`. ``SECURITY.md`` lists what is trusted and what is not.
"""

import re
from dataclasses import dataclass

__all__ = ["LIMITS", "Limits", "for_csv", "for_terminal"]


@dataclass
class Limits:
    """How much of a file is taken into memory at once. Beyond that, it is refused with an error.

    Attributes:
        row_bytes: The longest row of a table, and so the longest document.
        columns: The most columns in the header of a table.
        table_bytes: The most that a whole table may take in memory; ``iterate_texts`` has no need
            of it, because it holds a part at a time.
        row_group_bytes: The most that the columns read from a row group of a Parquet file may take
            when they are decompressed.
        description_bytes: The longest ``classifier.json``.
        weights_bytes: The longest file of weights.
    """

    row_bytes: int = 10_000_000
    columns: int = 10_000
    table_bytes: int = 4 * 2**30
    row_group_bytes: int = 2**30
    description_bytes: int = 16 * 2**20
    weights_bytes: int = 2 * 2**30


LIMITS = Limits()
"""The limits in force. Set an attribute to change one: ``LIMITS.row_bytes = 50_000_000``."""

# Control characters start the sequences that move the cursor, set the title or the clipboard;
# U+2028 and U+2029 break lines, U+202A to U+202E and U+2066 to U+2069 reverse the order of
# writing, and half a surrogate pair cannot be printed at all.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = re.compile("[\\s\ufeff\u200b]*[=+\\-@＝＋－＠]|[\t\r\n]")


def for_terminal(text: str) -> str:
    r"""Make a text harmless for a terminal: what could steer it is shown instead of obeyed.

    Every control character (tabs and line ends, too), every override of the direction of writing
    and every lone surrogate becomes its escape in Python. All else, in any script, stays as it is.

    Args:
        text: Any text.

    Returns:
        One printable line.

    >>> for_terminal("Shares \x1b[31mfall\x1b[0m 下跌 📉")
    'Shares \\x1b[31mfall\\x1b[0m 下跌 📉'
    """
    return _STEERING.sub(lambda match: ascii(match[0])[1:-1], text)


def for_csv(cell: str) -> str:
    """Make a text harmless for a spreadsheet: it stays a text and never becomes a formula.

    Spreadsheets compute a cell that starts with ``=``, ``+``, ``-`` or ``@``, also full-width ones;
    such a formula may send the table elsewhere or start a program. An apostrophe before it makes it
    a text again. Separators and quotes are the business of the CSV library.

    Args:
        cell: The text of one cell.

    Returns:
        The text, after an apostrophe if it needs one.

    >>> for_csv("=HYPERLINK(A1)")
    "'=HYPERLINK(A1)"
    >>> for_csv("Shares rose")
    'Shares rose'
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell
