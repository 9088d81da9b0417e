"""Every page of the book in a browser: what it fetches, how wide it is, what axe finds."""

import contextlib
import functools
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

Pages = dict[str, BeautifulSoup]


@pytest.fixture(scope="session")
def server(html: Path) -> Iterator[str]:
    """The book behind a web server of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


# What axe finds and nobody reading the page meets, with the reason. Empty: keep it so if you can.
ALLOWED: dict[str, str] = {}
CONTRAST = "color-contrast"
# Code takes its colours from one style sheet; test_the_colours_of_code looks at each once.
CODE = ".highlight"
# On a phone the header and the side bars change, everywhere alike: a page of each kind is enough.
NARROW = {
    "index.html",
    "search.html",
    "genindex.html",
    "project/model.html",
    "reference/claims.html",
}
# What has the same colours many times on one page: axe looks at the first, since all would take it
# minutes.
ALIKE = {
    "reference/api.html": "dl.py ~ dl.py",
    "reference/results.html": "tbody tr:nth-child(n + 20)",
}
# The workers share the pages: so many tests have some of them each.
PARTS = 8
# Pages of sources differ in nothing but code, so axe looks at one.
SOURCE = "_modules/companion/ledger.html"
# Bytes that a page loads beside its text and figures: without formulas, and with MathJax.
BUDGET, BUDGET_WITH_FORMULAS = 400_000, 1_250_000
# The scripts of the interactive figures are content too, and have a budget of their own; the model
# of the live classifier belongs to its page.
SCRIPTS, SCRIPTS_BUDGET = "interactive", 65_000
MODEL, MODEL_PAGE, MODEL_BUDGET = "model.js", "project/live.html", 1_000_000


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    found = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    return next(Path(found.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8")


class Visit:
    """A tab on one page of the book, and what goes wrong there."""

    def __init__(self, browser: Any, address: str, axe: str = "") -> None:
        self.tab = browser.new_page(viewport={"width": 360, "height": 800}, color_scheme="light")
        self.faults: list[str] = []
        self.requests: set[str] = set()
        self.tab.on("request", lambda seen: self.requests.add(seen.url.partition("?")[0]))
        self.tab.on("pageerror", lambda seen: self.faults.append(f"error: {seen}"))
        self.tab.on(
            "console",
            lambda seen: seen.type == "error" and self.faults.append(f"console: {seen.text}"),
        )
        self.tab.goto(address, wait_until="load")
        self.tab.evaluate(
            "async () => { await window.MathJax?.startup?.promise; await document.fonts.ready }"
        )
        self.tab.add_style_tag(
            content="*, ::before { transition: none !important; animation: none !important }"
        )
        if axe:
            self.tab.evaluate(axe)

    def look(self, width: int, scheme: str) -> None:
        """Make the window so wide, and the page light or dark."""
        self.tab.set_viewport_size({"width": width, "height": 800})
        self.tab.emulate_media(color_scheme=scheme)
        self.tab.wait_for_function(
            "wanted => document.documentElement.dataset.theme === wanted", arg=scheme, timeout=5000
        )
        excess = self.tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if excess > 0:
            self.faults.append(f"{excess} pixels too wide at {width}, {scheme}")

    def unfold(self) -> None:
        """Open what a reader can open, and note the code that scrolls sideways then."""
        scrolling = self.tab.evaluate(
            """() => {
                document.querySelectorAll("details").forEach(each => { each.open = true })
                document.querySelectorAll(".toggle-hidden").forEach(
                    each => each.classList.remove("toggle-hidden"))
                return [...document.querySelectorAll(".highlight pre")]
                    .filter(each => each.scrollWidth > each.clientWidth + 1)
                    .map(each => each.innerText.split("\\n")
                        .reduce((a, b) => a.length < b.length ? b : a))
            }"""
        )
        self.faults += [f"{len(line)} columns of code do not fit: {line}" for line in scrolling]

    @contextlib.contextmanager
    def without(self, selector: str | None) -> Iterator[None]:
        """Take elements off the page for a while; with None, none."""
        rule = f"{selector} {{ display: none !important }}" if selector else "/**/"
        style = self.tab.add_style_tag(content=rule)
        yield
        style.evaluate("style => style.remove()")

    def ask_axe(self, what: str, options: dict[str, Any], leave_out: str = CODE) -> None:
        """Note every violation of any impact."""
        violations = self.tab.evaluate(
            """async ([options, leaveOut]) => (await axe.run(
                leaveOut ? { include: [["html"]], exclude: [[leaveOut]] } : document,
                { resultTypes: ["violations"], preload: false, ...options }
            )).violations.map(found => [found.id, found.impact,
                found.nodes.slice(0, 3).map(node => node.html.slice(0, 150))])""",
            [options, leave_out],
        )
        self.faults += [
            f"{what}: {name} ({impact}): {nodes}"
            for name, impact, nodes in violations
            if name not in ALLOWED
        ]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_in_a_browser(
    html: Path, server: str, browser: Any, axe: str, pages: Pages, part: int
) -> None:
    """No error, no other host, no line too wide, nothing that axe finds; formulas; few bytes."""
    faults = []
    for name in list(pages)[part::PARTS]:
        is_asked = not name.startswith("_modules/companion/") or name == SOURCE
        visit = Visit(browser, f"{server}/{name}", axe if is_asked else "")
        visit.look(360, "light")
        if name in NARROW:
            visit.ask_axe("phone", {"rules": {CONTRAST: {"enabled": False}}})
        if is_asked:
            visit.look(1280, "light")
            visit.ask_axe("desktop", {"rules": {CONTRAST: {"enabled": False}}})
            with visit.without(ALIKE.get(name)):
                for scheme in ("light", "dark"):
                    visit.look(1280, scheme)
                    visit.ask_axe(scheme, {"runOnly": [CONTRAST]})
        if not name.startswith("_modules/"):
            visit.unfold()
        visit.look(360, "dark")
        written, typeset = visit.tab.evaluate(
            "[document.querySelectorAll('.math.notranslate').length,"
            " document.querySelectorAll('.math mjx-container').length]"
        )
        if typeset < written:
            visit.faults.append(f"{written - typeset} formulas are not set")
        visit.faults += [
            url for url in visit.requests if not url.startswith((server, "data:", "blob:"))
        ]
        loaded = weight(html, server, visit.requests)
        if loaded > (BUDGET_WITH_FORMULAS if written else BUDGET):
            visit.faults.append(f"{loaded:,} bytes beside its text and figures")
        faults += [f"{name}: {fault}" for fault in visit.faults]
        loads_model = any(urlsplit(url).path.endswith(f"/{MODEL}") for url in visit.requests)
        if loads_model != (name == MODEL_PAGE):
            faults.append(f"{name}: {'loads' if loads_model else 'lacks'} {MODEL}")
        visit.tab.close()
    assert faults == []


def test_the_pages_named_here_are_there_and_the_scripts_are_small(html: Path, pages: Pages) -> None:
    assert {*NARROW, SOURCE, *ALIKE} <= set(pages)
    sizes = {file.name: file.stat().st_size for file in (html / "_static" / SCRIPTS).iterdir()}
    assert sum(sizes.values()) < MODEL_BUDGET, sizes
    assert sum(sizes.values()) - sizes[MODEL] < SCRIPTS_BUDGET, sizes


def test_it_reads_from_a_folder_without_a_server(html: Path, browser: Any, tmp_path: Path) -> None:
    """What `make offline` packs: formulas are set, and the search finds."""
    packed = tmp_path / "book.zip"
    subprocess.run([sys.executable, "-m", "zipfile", "-c", packed, html], check=True)
    subprocess.run([sys.executable, "-m", "zipfile", "-e", packed, tmp_path], check=True)
    folder = (tmp_path / "html").as_uri()
    page = Visit(browser, f"{folder}/mathematics/losses.html")
    page.tab.wait_for_selector(".math mjx-container")
    page.tab.goto(f"{folder}/search.html?q=amnesia")
    page.tab.wait_for_selector("#search-results li a", timeout=10_000)
    page.look(360, "light")
    assert page.faults == []
    assert [url for url in page.requests if not url.startswith((folder, "data:", "blob:"))] == []
    page.tab.close()


def weight(html: Path, server: str, requests: set[str]) -> int:
    """Add up the bytes of what a page asked for beside its content: text, figures, search index."""
    files = {
        html / unquote(urlsplit(url).path).lstrip("/") for url in requests if url.startswith(server)
    }
    return sum(
        file.stat().st_size
        for file in files
        if file.is_file()
        and file.suffix != ".html"
        and file.parent.name not in ("_images", SCRIPTS)
        and file.name != "searchindex.js"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_of_code(
    server: str, browser: Any, axe: str, pages: Pages, scheme: str
) -> None:
    """Each kind of token that occurs anywhere has enough contrast."""
    kinds = {
        " ".join(token["class"])
        for page in pages.values()
        for token in page.select(".highlight span[class]")
    }
    assert {"k", "n", "s2"} <= kinds
    visit = Visit(browser, f"{server}/project/data.html", axe)
    tokens = " ".join(f'<span class="{kind}">word</span>' for kind in sorted(kinds))
    visit.tab.evaluate(
        "code => { document.querySelector('.highlight pre').innerHTML = code }", tokens
    )
    visit.look(1280, scheme)
    visit.ask_axe(scheme, {"runOnly": [CONTRAST]}, leave_out="")
    faults = visit.faults
    visit.tab.close()
    assert faults == []


def test_axe_is_awake(server: str, browser: Any, axe: str) -> None:
    """A picture without alt text, grey on white, and a line too wide are found."""
    visit = Visit(browser, f"{server}/index.html", axe)
    visit.tab.evaluate(
        "() => document.querySelector('article').insertAdjacentHTML('beforeend', "
        '\'<img src="_static/page.png"><p style="color:#bbb;width:99em">grey</p>\')'
    )
    visit.look(360, "light")
    visit.ask_axe("phone", {})
    found = " ".join(visit.faults)
    visit.tab.close()
    assert "image-alt" in found
    assert CONTRAST in found
    assert "pixels too wide" in found


def test_search_finds(server: str, browser: Any) -> None:
    """Only the search page loads the index; it must find what the dialog sends there."""
    visit = Visit(browser, f"{server}/index.html")
    assert not any("searchindex" in url for url in visit.requests)
    visit.tab.goto(f"{server}/search.html?q=amnesia")
    visit.tab.wait_for_selector("#search-results li a", timeout=10_000)
    links = [
        link.get_attribute("href") for link in visit.tab.query_selector_all("#search-results li a")
    ]
    visit.tab.close()
    assert any("project/listing.html" in link for link in links), links
