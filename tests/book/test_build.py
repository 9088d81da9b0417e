"""Small books: what a build accepts, and what makes it fail, extended and set as the book is."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]
ERRATA = """
- {id: E1, line: 3-4, title: A sum, quote: "1 < 2", wrong: "No, $b$.", correct: "Yes."}
- {id: E2, line: 5, title: Not yet, quote: x, wrong: y, correct: z}
"""
CLAIMS = """
- {id: E1, statement: It adds., verdict: wrong, evidence: ["page#the-anchor"]}
- id: S1
  statement: "It glues `a` and $b$."
  verdict: wrong
  evidence: ["page#the-anchor", "@vaswani2017"]
- {id: S2, statement: It waits., verdict: holds, evidence: ["tests/test_a.py::test_x"]}
"""
REFERENCE = ("claims", "errata", "results", "bibliography")
INDEX = """# First

Is something wrong? {{ feedback }}

See {claim}`S1`, {result}`toy.accuracy` and {result}`toy.accuracy|.1%`. {cite:p}`vaswani2017`

```{claims}
:ids: S1
```
"""


def settings(url: str) -> dict[str, Any]:
    """The settings of the book, its extensions by absolute paths."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["repository"]["url"] = url
    config["html"].pop("favicon")
    config["sphinx"]["config"]["templates_path"] = [str(ROOT / "book" / "_templates")]
    names = config["sphinx"]["local_extensions"]
    config["sphinx"]["local_extensions"] = dict.fromkeys(names, str(ROOT / "book" / "_ext"))
    return config


def write_book(root: Path, notebook: Any, url: str = "") -> Path:
    """Write a book of five pages, one of them a notebook."""
    book = root / "book"
    (book / "reference").mkdir(parents=True)
    (book / "results").mkdir()
    (root / "tests").mkdir()
    (root / "tests" / "test_a.py").write_text("def test_x(): ...\n")
    (root / "_config.yml").write_text(yaml.safe_dump(settings(url)), encoding="utf-8")
    chapters = [{"file": name} for name in ("page", *(f"reference/{name}" for name in REFERENCE))]
    (book / "_toc.yml").write_text(
        yaml.safe_dump({"format": "jb-book", "root": "index", "chapters": chapters})
    )
    (book / "index.md").write_text(INDEX, encoding="utf-8")
    (book / "claims.yml").write_text(CLAIMS, encoding="utf-8")
    (book / "errata.yml").write_text(ERRATA, encoding="utf-8")
    (book / "reference" / "claims.md").write_text(
        "# Claims\n\n```{claims} S\n:caption: All\n```\n\n```{claims} E\n```\n"
    )
    (book / "reference" / "errata.md").write_text("# Errata\n\n```{errata}\n```\n")
    (book / "reference" / "results.md").write_text("# Results\n\n```{results}\n```\n")
    (book / "reference" / "bibliography.md").write_text(
        "# Sources\n\n```{bibliography}\n:all:\n```\n"
    )
    sources = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    cited = re.search(r"^@\w+\{vaswani2017,.*?^\}$", sources, re.M | re.S)
    assert cited is not None
    (book / "references.bib").write_text(cited[0], encoding="utf-8")
    record = {
        "name": "toy.accuracy",
        "value": 0.9621,
        "tolerance": 0.02,
        "command": "make toy",
        "seed": 3,
    }
    (book / "results" / "toy.json").write_text(json.dumps([record]))
    nbformat.write(notebook, book / "page.ipynb")
    return root


def build(root: Path) -> tuple[int, str]:
    """Build a book as `make book` does; return the exit code and the warnings."""
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        "book",
        "-W",
        "-n",
        "--keep-going",
    ]
    environment = os.environ | {"NO_COLOR": "1"}
    run = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=120
    )
    return run.returncode, run.stdout + run.stderr


def soup(root: Path, page: str) -> BeautifulSoup:
    return BeautifulSoup(
        (root / "_build" / "html" / f"{page}.html").read_text(encoding="utf-8"), "html.parser"
    )


@pytest.fixture(scope="module")
def notebook(make_notebook: Callable[..., Any]) -> Any:
    made = make_notebook(
        ("print(1)", [nbformat.v4.new_output("stream", name="stdout", text="1\n")], {})
    )
    made.cells.append(nbformat.v4.new_markdown_cell("(the-anchor)=\n## A section\n\nWords."))
    return made


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, notebook: Any) -> Path:
    root = write_book(tmp_path_factory.mktemp("good"), notebook)
    code, said = build(root)
    assert code == 0, said
    return root


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, notebook: Any) -> Path:
    root = write_book(
        tmp_path_factory.mktemp("published"), notebook, "https://github.com/someone/book"
    )
    code, said = build(root)
    assert code == 0, said
    return root


def test_claims_are_a_table_with_anchors_and_links(good: Path) -> None:
    table = soup(good, "reference/claims").find("table", class_="claims")
    heads = [cell.get_text(strip=True) for cell in table.thead.find_all("th")]
    assert heads == ["Id", "Statement", "Verdict", "Evidence"]
    assert "All" in table.caption.get_text()
    row = table.find(id="claim-S1")
    assert row.name == "tr"
    assert row.find("code").get_text() == "a"
    place, source = row.find_all("a")
    assert (place["href"], place.get_text()) == ("../page.html#the-anchor", "A notebook: A section")
    assert source["href"].startswith("bibliography.html#")
    assert "tests/test_a.py::test_x" in table.find(id="claim-S2").get_text()


def test_the_role_links_to_the_row(good: Path) -> None:
    links = {link["href"]: link.get_text() for link in soup(good, "index").find_all("a", href=True)}
    assert links["reference/claims.html#claim-S1"] == "S1"


def test_errata_take_their_evidence_from_the_claims(good: Path) -> None:
    section = soup(good, "reference/errata").find(id="erratum-E1")
    names = [term.get_text() for term in section.find_all("dt")]
    assert names == ["The article", "In our words", "Why it is wrong", "Correct", "Evidence"]
    assert section.find("h2").get_text(strip=True).startswith("E1. A sum")
    assert section.find("q", lang="zh").get_text() == "1 < 2"
    assert "Lines 3 to 4" in section.find("dd").get_text()
    assert section.find("a", string="A notebook: A section")["href"] == "../page.html#the-anchor"
    assert soup(good, "reference/errata").find(id="erratum-E2") is None


def test_pages_describe_themselves_and_load_what_they_need(good: Path) -> None:
    index, claims = soup(good, "index"), soup(good, "reference/claims")
    described = index.find("meta", attrs={"name": "description"})["content"]
    assert described.startswith("Is something wrong")
    assert claims.find("script", src=re.compile("mathjax")) is not None
    assert soup(good, "reference/results").find("script", src=re.compile("mathjax")) is None
    assert index.find("script", src=re.compile("fontawesome")) is None


def test_results_are_printed_and_listed(good: Path) -> None:
    printed = [tag.get_text() for tag in soup(good, "index").find_all("span", class_="result")]
    assert printed == ["0.962", "96.2%"]
    row = soup(good, "reference/results").find(id="result-toy-accuracy")
    assert "± 0.02" in row.get_text()
    assert "make toy" in row.get_text()


def test_without_an_address_there_are_no_buttons(good: Path) -> None:
    text = (good / "_build" / "html" / "page.html").read_text(encoding="utf-8")
    assert "mybinder.org" not in text
    assert "it has no public address yet" in soup(good, "index").get_text()
    assert "github.com" not in text


def test_with_an_address_the_buttons_appear(published: Path) -> None:
    links = [link["href"] for link in soup(published, "page").find_all("a", href=True)]
    assert "https://github.com/someone/book" in links
    assert "https://github.com/someone/book/edit/main/book/_src/page.md" in links
    index = [link["href"] for link in soup(published, "index").find_all("a", href=True)]
    assert "https://github.com/someone/book/edit/main/book/index.md" in index
    assert any(link.startswith("https://github.com/someone/book/issues/new") for link in links)
    assert "https://github.com/someone/book/issues/new" in index
    assert any(link.startswith("https://mybinder.org/v2/gh/someone/book/main") for link in links)
    assert any(link.startswith("https://colab.research.google.com/") for link in links)
    (colab,) = [link for link in links if link.startswith("https://colab.research.google.com/")]
    path = colab.removeprefix("https://colab.research.google.com/github/someone/book/blob/main/")
    assert (published / path).is_file(), "it opens a file of the tree"
    assert path.endswith(".ipynb")
    evidence = soup(published, "reference/claims").find(id="claim-S2").find("a")
    assert evidence["href"] == "https://github.com/someone/book/blob/main/tests/test_a.py#L1"


BROKEN_CLAIMS = """
- {id: S1, statement: No evidence., verdict: wrong, evidence: []}
- {id: S2, statement: A verdict of its own., verdict: funny, evidence: ["@vaswani2017"]}
- {id: S3, statement: Twice., verdict: wrong, evidence: ["@vaswani2017"]}
- {id: S3, statement: Twice., verdict: wrong, evidence: ["@vaswani2017"]}
- id: S4
  statement: Leads nowhere.
  verdict: wrong
  evidence: ["page#nowhere", "nopage#x", "@nobody", "tests/test_a.py::test_y"]
- {id: A1, statement: In no table., verdict: wrong, evidence: ["@vaswani2017"]}
- {id: E9, statement: Not in the errata., verdict: wrong, evidence: ["@vaswani2017"]}
"""


@pytest.fixture(scope="module")
def broken(
    tmp_path_factory: pytest.TempPathFactory, make_notebook: Callable[..., Any]
) -> list[Any]:
    """What two builds of a book say whose notebook and ledgers have every fault."""
    error = nbformat.v4.new_output(
        "error", ename="ZeroDivisionError", evalue="division by zero", traceback=["x"]
    )
    notebook = make_notebook(("1 / 0", [error], {}), ("x = 1", [], {"execution_count": None}))
    notebook.cells.append(nbformat.v4.new_markdown_cell("(the-anchor)=\n## A section"))
    root = write_book(tmp_path_factory.mktemp("broken"), notebook)
    (root / "book" / "claims.yml").write_text(BROKEN_CLAIMS, encoding="utf-8")
    (root / "book" / "errata.yml").write_text(ERRATA.replace("quote: x", "quote: ''"))
    index = (
        "# First\n\n{claim}`S99` {result}`toy.nothing` {result}`toy.accuracy|q`\n\n"
        "```{claims}\n:ids: S3, S98\n```\n"
    )
    (root / "book" / "index.md").write_text(index, encoding="utf-8")
    return [build(root), build(root)]


FAULTS = [
    "code cell 1: it stores ZeroDivisionError: division by zero",
    "code cell 2: it was never run",
    "unknown claim S99",
    "unknown claim S98",
    "S1 has no evidence",
    "S2 has the verdict 'funny'",
    "S3 has two entries",
    "S4: evidence page#nowhere: page has no anchor nowhere",
    "S4: evidence nopage#x: the book has no page nopage",
    "S4: evidence @nobody: references.bib has no such key",
    "S4: evidence tests/test_a.py::test_y: tests/test_a.py has no such test",
    "A1 is in no table of reference/claims",
    "errata.yml: the error E9 of claims.yml has no entry",
    "errata.yml: E2 has no text under quote",
    "toy.nothing is not in the results ledger",
    "'q' does not format the number toy.accuracy",
]


def test_every_fault_is_said_and_makes_the_build_fail_every_time(
    broken: list[tuple[int, str]],
) -> None:
    for code, said in broken:
        assert code != 0
        assert [message for message in FAULTS if message not in said] == [], said
