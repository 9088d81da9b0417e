"""The bibliography: every source can be found, stands there once, and is used."""

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pybtex.database import BibliographyData, Entry, parse_string

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
DOI = re.compile(r"10\.\d{4,9}/[^\s\"<>{}]+")
ARXIV = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})(v\d+)?")
ARXIV_URL = re.compile(r"https?://arxiv\.org/(?:abs|pdf|html)/([^\s}]+?)(?:\.pdf)?")
ARXIV_DOI = re.compile(r"10\.48550/arxiv\.(.+)", re.IGNORECASE)
YEAR = re.compile(r"(18|19|20)\d\d")
# Copies and retellings of sources: name the source itself.
SECOND_HAND = ("wikipedia.org", "semanticscholar.org", "researchgate.net", "medium.com")


def faults(entry: Entry) -> list[str]:
    """Say what keeps a reader from finding a source."""
    fields = {name.lower(): str(value) for name, value in entry.fields.items()}
    missing = [f"no {name}" for name in ("title", "year") if not fields.get(name, "").strip()]
    wrong = [*missing, *([] if entry.persons else ["no author"])]
    doi, arxiv, isbn, url = (fields.get(name, "") for name in ("doi", "eprint", "isbn", "url"))
    found = ARXIV_URL.fullmatch(url)
    arxiv = arxiv or (found[1] if found else "")
    year = fields.get("year", "")
    if year.strip() and not (YEAR.fullmatch(year) and int(year) <= datetime.now(UTC).year):
        wrong.append(f"{year!r} is no year of the past")
    if found and fields.get("eprint") and bare(found[1]) != bare(fields["eprint"]):
        wrong.append(f"{url} is not arXiv {fields['eprint']}")
    if doi and not DOI.fullmatch(doi):
        wrong.append(f"{doi!r} is no DOI; write 10.1162/neco.1997.9.8.1735, without https://")
    if arxiv and not ARXIV.fullmatch(arxiv):
        wrong.append(f"{arxiv!r} is no arXiv id; write 1706.03762")
    if isbn and not is_isbn(isbn):
        wrong.append(f"{isbn!r} is no ISBN")
    address = urlsplit(url)
    if url and (address.scheme != "https" or "." not in address.netloc):
        wrong.append(f"{url!r} is no https address")
    if any(address.netloc.endswith(host) for host in SECOND_HAND):
        wrong.append(f"{url} is second hand")
    if not (doi or arxiv or isbn or url):
        wrong.append("neither a DOI, an arXiv id, an ISBN nor an address")
    return wrong


def bare(arxiv: str) -> str:
    """An arXiv number without its version."""
    return re.sub(r"v\d+$", "", arxiv)


def is_isbn(text: str) -> bool:
    """Whether the check digit of an ISBN of 10 or 13 digits is right."""
    digits = text.replace("-", "").replace(" ", "").upper()
    if re.fullmatch(r"\d{13}", digits):
        return sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(digits)) % 10 == 0
    if re.fullmatch(r"\d{9}[\dX]", digits):
        values = [10 if digit == "X" else int(digit) for digit in digits]
        return sum(value * (10 - place) for place, value in enumerate(values)) % 11 == 0
    return False


def doubles(bibliography: BibliographyData) -> list[tuple[str, str]]:
    """Find the entries that are the same source, by DOI, arXiv id, ISBN, address or title."""
    seen: dict[str, str] = {}
    found = []
    for key, entry in bibliography.entries.items():
        for mark in marks(entry):
            if seen.setdefault(mark, key) != key:
                found.append((seen[mark], key))
    return found


def marks(entry: Entry) -> list[str]:
    """What tells one source from another."""
    fields = entry.fields
    url = ARXIV_URL.fullmatch(fields.get("url", ""))
    title = re.sub(r"[^a-z0-9]+", "", fields.get("title", "").lower())
    doi, isbn = fields.get("doi", "").lower(), re.sub(r"[- ]", "", fields.get("isbn", ""))
    preprint = ARXIV_DOI.fullmatch(doi)
    arxiv = fields.get("eprint", url[1] if url else preprint[1] if preprint else "")
    return [
        f"{kind} {mark}"
        for kind, mark in [
            ("doi", "" if preprint else doi),
            ("arxiv", bare(arxiv.lower())),
            ("isbn", isbn),
            ("address", "" if url else fields.get("url", "").removesuffix("/").lower()),
            ("title", title),
        ]
        if mark
    ]


def used(book: Path) -> set[str]:
    """The keys that a page cites or a ledger names as evidence."""
    sources = [*book.rglob("*.md"), book / "claims.yml", book / "errata.yml"]
    keys: set[str] = set()
    for path in sources:
        text = path.read_text(encoding="utf-8")
        for cited in re.findall(r"\{cite:[a-z]+\}`([^`]+)`", text):
            keys |= {key.strip() for key in cited.split(",")}
        if path.suffix == ".yml":
            keys |= set(re.findall(r"[\"' \[]@([\w:.-]+)", text))
    return keys


@pytest.fixture(scope="module")
def bibliography() -> BibliographyData:
    return parse_string((BOOK / "references.bib").read_text(encoding="utf-8"), "bibtex")


def test_every_source_can_be_found(bibliography: BibliographyData) -> None:
    wrong = {key: faults(entry) for key, entry in bibliography.entries.items()}
    assert {key: found for key, found in wrong.items() if found} == {}


def test_no_source_stands_there_twice(bibliography: BibliographyData) -> None:
    assert doubles(bibliography) == []


def test_every_source_is_used_and_every_use_has_its_source(bibliography: BibliographyData) -> None:
    keys, cited = set(bibliography.entries), used(BOOK)
    assert sorted(keys - cited) == []
    assert sorted(cited - keys) == []


GOOD = """author = {A, B}, title = {T}, year = {2020}"""


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        (f"{GOOD}, doi = {{10.1162/neco.1997.9.8.1735}}", ""),
        (f"{GOOD}, eprint = {{1706.03762}}", ""),
        (f"{GOOD}, eprint = {{cs/0112017}}", ""),
        (f"{GOOD}, url = {{https://arxiv.org/abs/1706.03762v7}}", ""),
        (f"{GOOD}, isbn = {{978-0-262-03561-3}}", ""),
        (f"{GOOD}, isbn = {{0-262-03561-8}}", ""),
        (f"{GOOD}, url = {{https://peps.python.org/pep-0668/}}", ""),
        (GOOD, "neither a DOI"),
        (f"{GOOD}, doi = {{https://doi.org/10.1/x}}", "is no DOI"),
        (f"{GOOD}, doi = {{10.1/x}}", "is no DOI"),
        (f"{GOOD}, eprint = {{1706.037}}", "is no arXiv id"),
        (f"{GOOD}, url = {{https://arxiv.org/abs/17063762}}", "is no arXiv id"),
        (f"{GOOD}, isbn = {{978-0-262-03561-4}}", "is no ISBN"),
        (f"{GOOD}, url = {{http://example.org}}", "is no https address"),
        (f"{GOOD}, url = {{https://en.wikipedia.org/wiki/LSTM}}", "second hand"),
        (f"{GOOD}, eprint = {{1706.03762}}, url = {{https://arxiv.org/abs/1706.03762v7}}", ""),
        (
            f"{GOOD}, eprint = {{1706.03762}}, url = {{https://arxiv.org/abs/1706.3763}}",
            "not arXiv",
        ),
        ("author = {A, B}, title = {T}, year = {20}, doi = {10.1162/x}", "no year of the past"),
        ("author = {A, B}, title = {T}, year = {2099}, doi = {10.1162/x}", "no year of the past"),
        ("author = {A, B}, title = {T}, doi = {10.1162/x}", "no year"),
        ("title = {T}, year = {2020}, doi = {10.1162/x}", "no author"),
    ],
)
def test_what_makes_a_source_findable(fields: str, fault: str) -> None:
    (entry,) = parse_string(f"@article{{key, {fields}}}", "bibtex").entries.values()
    assert fault in " ".join(faults(entry)) if fault else faults(entry) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("title = {A}, doi = {10.1162/X}", "title = {B}, doi = {10.1162/x}"),
        (
            "title = {A}, eprint = {1706.03762}",
            "title = {B}, url = {https://arxiv.org/abs/1706.03762}",
        ),
        ("title = {A}, eprint = {1706.03762v1}", "title = {B}, doi = {10.48550/arXiv.1706.03762}"),
        ("title = {A}, isbn = {978-0-262-03561-3}", "title = {B}, isbn = {9780262035613}"),
        ("title = {A}, url = {https://x.org/a}", "title = {B}, url = {https://x.org/a/}"),
        ("title = {The {LSTM}}", "title = {The LSTM}"),
    ],
)
def test_doubles_are_found(first: str, second: str) -> None:
    text = f"@misc{{one, {first}}}\n@misc{{two, {second}}}\n@misc{{three, title = {{C}}}}"
    assert doubles(parse_string(text, "bibtex")) == [("one", "two")]


def test_uses_are_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("a {cite:p}`one, two` b {cite:t}`three`", encoding="utf-8")
    (tmp_path / "claims.yml").write_text("evidence: ['@four', \"@five\"]\n", encoding="utf-8")
    (tmp_path / "errata.yml").write_text("wrong: it {cite:p}`six`\n", encoding="utf-8")
    assert used(tmp_path) == {"one", "two", "three", "four", "five", "six"}
