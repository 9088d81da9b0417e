"""The errata: what an entry must be; each has its claim, and each error its erratum."""

from pathlib import Path
from typing import Any

import book_claims
import book_errata
import pytest
import yaml

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
GOOD = {
    "id": "E01",
    "line": 173,
    "title": "A sum",
    "quote": "1.1",
    "wrong": "No.",
    "correct": "1.4",
}


def write(folder: Path, content: Any) -> Path:
    path = folder / "errata.yml"
    path.write_text(
        content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8"
    )
    return path


def test_good_errata_are_read_in_their_order(tmp_path: Path) -> None:
    errata, wrong = book_errata.read_errata(
        write(tmp_path, [GOOD | {"id": "E02", "line": "1-3"}, GOOD])
    )
    assert wrong == []
    assert [(name, entry.line) for name, entry in errata.items()] == [
        ("E02", "1-3"),
        ("E01", "173"),
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (GOOD | {"id": "A01"}, "'A01' is no id of an error"),
        (GOOD | {"line": "L7"}, "E01 has the line 'L7'"),
        (GOOD | {"quote": " "}, "E01 has no text under quote"),
        (GOOD | {"correct": 1.4}, "E01 has no text under correct"),
        (GOOD | {"note": "x"}, "exactly the keys"),
        ("E01", "exactly the keys"),
    ],
)
def test_a_bad_entry_is_refused(tmp_path: Path, entry: Any, message: str) -> None:
    errata, (wrong,) = book_errata.read_errata(write(tmp_path, [entry]))
    assert errata == {}
    assert message in wrong


@pytest.mark.parametrize(
    ("content", "message"),
    [([GOOD, GOOD], "two entries"), ("a: [", "errata.yml"), ({"E01": GOOD}, "must be a list")],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    _, (wrong,) = book_errata.read_errata(write(tmp_path, content))
    assert message in wrong


def test_what_lacks_its_other_half_is_found() -> None:
    claim = book_claims.Claim("E02", "x", "wrong", ["@y"])
    claims = {"E02": claim, "S1": claim}
    errata = {"E01": book_errata.Erratum(**GOOD | {"line": "173"})}  # type: ignore[arg-type]
    assert book_errata.without_erratum(claims, errata) == ["E02"]
    assert book_errata.without_claim(claims, errata) == ["E01"]


def ledgers() -> tuple[dict[str, book_claims.Claim], dict[str, book_errata.Erratum]]:
    claims, _ = book_claims.read(BOOK / "claims.yml")
    errata, wrong = book_errata.read_errata(BOOK / "errata.yml")
    assert wrong == []
    return claims, errata


def test_every_error_has_its_erratum() -> None:
    assert book_errata.without_erratum(*ledgers()) == []


def test_every_erratum_has_its_claim() -> None:
    assert book_errata.without_claim(*ledgers()) == []


def test_the_errata_stand_in_the_order_of_the_article() -> None:
    lines = [int(entry.line.partition("-")[0]) for entry in ledgers()[1].values()]
    assert lines == sorted(lines)
