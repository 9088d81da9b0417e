"""Mask personal data by patterns, and count what the patterns miss.

Explained in :doc:`/questions/privacy`, "Masking".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from companion.errors import MissingPackageError

__all__ = ["Message", "generate_messages", "mask", "score_masking"]

_FIRST = ("Ann", "Omar", "Mei", "Joana", "Will", "Grace", "Ravi", "Łucja", "May", "Mark")
_LAST = ("Lee", "Haddad", "Chen", "Silva", "Stone", "Bell", "Patel", "Nowak", "Young", "Baker")
_STREETS = ("Mill Lane", "Harbour Street", "Rua do Sol", "King's Road")
_TEMPLATES = (
    "Please call {name} on {phone} before noon.",
    "My new address is {address}; write to {email}.",
    "{name} paid with {card} on order 20260412.",
    "The transfer to {iban} failed twice.",
    "Login of {email} from {ip} was refused.",
    "{name} was born on {birth} and lives at {address}.",
    "Version 10.4.2 shipped 4,000 units at 12:30.",
    "Ticket 555-0199-22 is closed, see build 10.4.12.1.",
)


@dataclass(frozen=True)
class Message:
    """A message with the personal data in it.

    Attributes:
        text: The message.
        spans: What is personal: its kind, where it starts, and where it ends.
    """

    text: str
    spans: tuple[tuple[str, int, int], ...]


def generate_messages(count: int, *, seed: int) -> list[Message]:
    """Make messages to a support desk of which every personal datum is known.

    All persons are invented. Two of the eight templates hold numbers that are not personal.

    Args:
        count: How many.
        seed: Fixes the choices.

    Returns:
        The messages.
    """
    generator = np.random.default_rng(seed)
    return [_fill(_TEMPLATES[generator.integers(len(_TEMPLATES))], generator) for _ in range(count)]


def _fill(template: str, generator: np.random.Generator) -> Message:
    """Put invented data into a template and note where they stand."""
    data, text, spans = _person(generator), "", []
    for part in template.split("{"):
        kind, brace, rest = part.partition("}")
        if not brace:
            text += part
            continue
        spans.append((kind, len(text), len(text) + len(data[kind])))
        text += data[kind] + rest
    return Message(text, tuple(spans))


def _person(generator: np.random.Generator) -> dict[str, str]:
    """Invent a person; each datum comes in several forms that people write."""
    first, last = (str(generator.choice(names)) for names in (_FIRST, _LAST))
    digits = "".join(map(str, generator.integers(0, 10, 20)))
    day, month, year = (
        generator.integers(10, 29),
        generator.integers(1, 13),
        1950 + int(digits[:2]) % 50,
    )
    phones = (
        f"(212) 555-{digits[:4]}",
        f"+1 415 555 {digits[:4]}",
        f"020 7946 {digits[:4]}",
        f"+86 138 0013 {digits[:4]}",
    )
    cards = ("4111 1111 1111 1111", "5500-0055-5555-5559", "378282246310005")
    births = (
        f"{month:02}/{day}/{year}",
        f"{year}-{month:02}-{day}",
        f"{day} {_MONTHS[month - 1]} {year}",
    )
    mails = (f"{first}.{last}@example.com".lower(), f"{first} (at) example (dot) com".lower())
    return {
        "name": str(generator.choice([f"{first} {last}", first.lower()])),
        "phone": str(generator.choice(phones)),
        "address": f"{generator.integers(1, 99)} {generator.choice(_STREETS)}",
        "email": str(generator.choice(mails, p=[0.8, 0.2])),
        "card": str(generator.choice(cards)),
        "iban": str(generator.choice(["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"])),
        "ip": ".".join(str(part) for part in generator.integers(1, 255, 4)),
        "birth": str(generator.choice(births)),
    }


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def mask(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Replace what looks personal by the name of its kind, by the patterns of datafog.

    Args:
        text: Any text.

    Returns:
        The masked text, and where the masked parts started and ended in ``text``.

    Raises:
        MissingPackageError: If datafog is not installed.
    """
    try:
        from datafog.engine import scan
    except ImportError as error:
        raise MissingPackageError("masking needs datafog: pip install datafog") from error
    entities = sorted(scan(text, engine="regex").entities, key=lambda entity: entity.start)
    masked, end = "", 0
    for entity in entities:
        masked += f"{text[end : entity.start]}[{entity.type}]"
        end = entity.end
    return masked + text[end:], [(entity.start, entity.end) for entity in entities]


def score_masking(messages: Sequence[Message]) -> pd.DataFrame:
    """Mask messages and count, for each kind of datum, how many were found.

    A datum is found when no letter or digit of it is left. A masked part that touches no datum is
    a false alarm.

    Args:
        messages: Messages whose data are known.

    Returns:
        A row a kind with ``data``, ``found`` and ``recall``, the rarest found first, and the row
        ``all``; ``false_alarms`` and ``precision`` stand in the attributes of the table.
    """
    rows, masked_parts, false_alarms = [], 0, 0
    for message in messages:
        _, parts = mask(message.text)
        hidden = {place for start, end in parts for place in range(start, end)}
        personal = {place for _, start, end in message.spans for place in range(start, end)}
        masked_parts += len(parts)
        false_alarms += sum(personal.isdisjoint(range(start, end)) for start, end in parts)
        for kind, start, end in message.spans:
            needed = {place for place in range(start, end) if message.text[place].isalnum()}
            rows.append((kind, needed <= hidden))
    by_kind = pd.DataFrame(rows, columns=["kind", "found"]).groupby("kind")
    counts = by_kind.agg(data=("found", "size"), found=("found", "sum"))
    counts = counts.sort_values(["found", "data"])
    counts.loc["all"] = counts.sum()
    result: pd.DataFrame = counts.assign(recall=counts["found"] / counts["data"])
    result.attrs = {
        "false_alarms": false_alarms,
        "precision": 1 - false_alarms / max(masked_parts, 1),
    }
    return result
