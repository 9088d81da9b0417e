"""The claims ledger: what an entry must be, how evidence resolves; the book owes nothing."""

from pathlib import Path
from typing import Any

import book_claims
import pytest
import yaml

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
GOOD = {"id": "S1", "statement": "x", "verdict": "wrong", "evidence": ["@vaswani2017"]}


def write(folder: Path, content: Any) -> Path:
    path = folder / "claims.yml"
    path.write_text(
        content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8"
    )
    return path


def test_a_good_ledger_is_read_in_its_order(tmp_path: Path) -> None:
    claims, wrong = book_claims.read(write(tmp_path, [GOOD | {"id": "S2"}, GOOD]))
    assert wrong == []
    assert list(claims) == ["S2", "S1"]
    assert claims["S1"] == book_claims.Claim(**GOOD)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (GOOD | {"evidence": []}, "S1 has no evidence"),
        (GOOD | {"evidence": "@vaswani2017"}, "S1 has no evidence"),
        (GOOD | {"verdict": "true"}, "S1 has the verdict 'true'"),
        (GOOD | {"statement": " "}, "S1 has no statement"),
        (GOOD | {"id": "s1"}, "'s1' is no id"),
        (GOOD | {"id": 1}, "1 is no id"),
        (GOOD | {"note": "x"}, "exactly the keys"),
        ({"id": "S1"}, "exactly the keys"),
        ("S1", "exactly the keys"),
    ],
)
def test_a_bad_entry_is_refused(tmp_path: Path, entry: Any, message: str) -> None:
    claims, (wrong,) = book_claims.read(write(tmp_path, [entry]))
    assert claims == {}
    assert message in wrong


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([GOOD, GOOD], "S1 has two entries"),
        ("a: [", "claims.yml"),
        ({"S1": GOOD}, "must be a list"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    _, (wrong,) = book_claims.read(write(tmp_path, content))
    assert message in wrong


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("A047-A049, E40", ["A047", "A048", "A049", "E40"]),
        ("S9-S11", ["S9", "S10", "S11"]),
        ("L01", ["L01"]),
    ],
)
def test_ranges_of_ids(text: str, ids: list[str]) -> None:
    assert book_claims.expand(text) == ids


@pytest.mark.parametrize("text", ["A1-E2", "S", "", "S1–S2", "S1-x"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither an id"):
        book_claims.expand(text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    tests = tmp_path / "tests" / "deep"
    tests.mkdir(parents=True)
    (tests / "test_text.py").write_text(
        "import pytest\n\ndef helper(): ...\n\n"
        "@pytest.mark.parametrize('x', [1])\ndef test_x(x): ...\n\n"
        "async def test_later(): ...\n\n"
        "class TestText:\n    def test_y(self): ...\n    class TestInner:\n"
        "        def test_z(self): ...\n"
    )
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "references.bib").write_text(
        "@article{lamp2019,\n title={x}}\n@comment{no,\n}\n"
    )
    return tmp_path


ANCHORS = {"project/model": {"padding-amnesia"}}


@pytest.mark.parametrize(
    "item",
    [
        "project/model#padding-amnesia",
        "@lamp2019",
        "tests/deep/test_text.py::test_x",
        "tests/deep/test_text.py::test_x[1]",
        "tests/deep/test_text.py::test_later",
        "tests/deep/test_text.py::TestText::test_y",
        "tests/deep/test_text.py::TestText::TestInner::test_z",
    ],
)
def test_evidence_that_is_there_resolves(repository: Path, item: str) -> None:
    assert book_claims.unresolved(item, repository, ANCHORS) == ""


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("project/model#nowhere", "project/model has no anchor nowhere"),
        ("project/nothing#x", "the book has no page project/nothing"),
        ("project/model", "neither a page anchor"),
        ("@nobody2020", "no such key"),
        ("@no", "no such key"),
        ("tests/deep/test_text.py::test_none", "has no such test"),
        ("tests/deep/test_text.py::helper", "has no such test"),
        ("tests/deep/test_text.py::test_y", "has no such test"),
        ("tests/deep/test_none.py::test_x", "no such test file"),
        ("tests/deep/test_text.py", "no such test file"),
    ],
)
def test_evidence_that_is_missing_does_not(repository: Path, item: str, reason: str) -> None:
    assert reason in book_claims.unresolved(item, repository, ANCHORS)


def test_the_book_owes_no_claim() -> None:
    due = yaml.safe_load((BOOK / "claims_due.yml").read_text(encoding="utf-8"))
    owed = [name for part in due.values() for name in book_claims.expand(", ".join(part))]
    claims, wrong = book_claims.read(BOOK / "claims.yml")
    assert wrong == []
    assert [name for name in owed if name not in claims] == []
    assert len(owed) == len(set(owed))


def test_tests_and_sources_named_as_evidence_exist() -> None:
    """The anchors are checked by the build."""
    claims, _ = book_claims.read(BOOK / "claims.yml")
    pairs = [
        (claim.id, item) for claim in claims.values() for item in claim.evidence if "#" not in item
    ]
    assert [pair for pair in pairs if book_claims.unresolved(pair[1], ROOT, {})] == []
