"""Every page of the book in a browser: what it fetches, how wide it is, what axe finds."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

Pages = dict[str, BeautifulSoup]


# What axe finds and nobody reading the page meets, with the reason. Empty: keep it so if you can.
ALLOWED: dict[str, str] = {}
CONTRAST = "color-contrast"
# Code takes its colours from one style sheet; test_the_colours_of_code looks at each once.
CODE = ".highlight"
# A page of each kind, which `make test` shows to axe; `make verify` shows it all of them.
KINDS = (
    "index.html",
    "search.html",
    "genindex.html",
    "project/model.html",
    "project/live.html",
    "mathematics/attention.html",
    "reference/api.html",
    "reference/claims.html",
    "reference/results.html",
)
# What stands many times on one page, alike in structure and colours: axe looks at the first, since
# all would take it minutes.
ALIKE = {
    "genindex.html": ".genindextable ~ .genindextable, .genindextable li ~ li",
    "reference/api.html": "article section section:nth-of-type(n + 4), dl.py ~ dl.py",
    "reference/results.html": "tbody tr:nth-child(n + 20)",
}
# The workers share the pages: so many tests have some of them each.
PARTS = 8
WINDOWS = [(width, scheme) for width in (360, 1280) for scheme in ("light", "dark")]
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
        self.go(address)
        if axe:
            self.tab.add_style_tag(
                content="*, ::before { transition: none !important; animation: none !important }"
            )
            self.tab.evaluate(axe)

    def go(self, address: str) -> None:
        """Open a page, in the same tab, whose cache spares three quarters of the time."""
        self.faults.clear()
        self.requests.clear()
        self.tab.goto(address, wait_until="load")
        self.tab.evaluate(
            "async () => { await window.MathJax?.startup?.promise; await document.fonts.ready }"
        )

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

    def ask_axe(self, what: str, options: dict[str, Any], context: Any = None) -> None:
        """Note every violation of any impact; without a context, of all but code."""
        violations = self.tab.evaluate(
            """async ([options, context]) => (await axe.run(
                context, { resultTypes: ["violations"], preload: false, ...options }
            )).violations.map(found => [found.id, found.impact,
                found.nodes.slice(0, 3).map(node => node.html.slice(0, 150))])""",
            [options, context or {"include": [["html"]], "exclude": [[CODE]]}],
        )
        self.faults += [
            f"{what}: {name} ({impact}): {nodes}"
            for name, impact, nodes in violations
            if name not in ALLOWED
        ]

    def formulas(self) -> tuple[int, int]:
        """How many formulas are written on the page, and how many of them MathJax has set."""
        written, typeset = self.tab.evaluate(
            "[document.querySelectorAll('.math.notranslate').length,"
            " document.querySelectorAll('.math mjx-container').length]"
        )
        return written, typeset


def light_faults(html: Path, server: str, visit: Visit, name: str) -> list[str]:
    """What is wrong with a page that takes no axe to see."""
    visit.tab.set_viewport_size({"width": 360, "height": 800})
    visit.go(f"{server}/{name}")
    visit.look(360, "light")
    if not name.startswith("_modules/"):
        visit.look(1280, "light")
        visit.unfold()
        visit.look(360, "light")
    written, typeset = visit.formulas()
    faults = [*visit.faults]
    if typeset < written:
        faults.append(f"{written - typeset} formulas are not set")
    faults += [url for url in visit.requests if not url.startswith((server, "data:", "blob:"))]
    loaded = weight(html, server, visit.requests)
    if loaded > (BUDGET_WITH_FORMULAS if written else BUDGET):
        faults.append(f"{loaded:,} bytes beside its text and figures")
    loads_model = any(urlsplit(url).path.endswith(f"/{MODEL}") for url in visit.requests)
    if loads_model != (name == MODEL_PAGE):
        faults.append(f"{'loads' if loads_model else 'lacks'} {MODEL}")
    return [f"{name}: {fault}" for fault in faults]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_in_a_browser(
    html: Path, server: str, browser: Any, pages: Pages, part: int
) -> None:
    """No error, no other host, nothing too wide for a phone; every formula is set; few bytes."""
    names = list(pages)[part::PARTS]
    visit = Visit(browser, f"{server}/{names[0]}")
    faults = [fault for name in names for fault in light_faults(html, server, visit, name)]
    visit.tab.close()
    assert faults == []


BAD_PAGES = {
    "error": "<script>throw Error('x')</script>",
    "console": "<script>console.error('x')</script>",
    "remote": "<img alt='' src='http://192.0.2.1/x.png'>",
    "too wide": "<p style='width: 99em'>x</p>",
    "formulas are not set": "<span class='math notranslate'>\\(x\\)</span>",
    "bytes beside": "<script src='/_static/mathjax/core.js'></script>",
    "loads model.js": "<script src='/_static/interactive/model.js'></script>",
}


@pytest.mark.parametrize("fault", BAD_PAGES)
def test_a_bad_page_is_found(html: Path, server: str, browser: Any, fault: str) -> None:
    name = "reading.html"
    bad = (html / name).read_text(encoding="utf-8").replace("</article>", BAD_PAGES[fault])
    visit = Visit(browser, f"{server}/{name}")
    assert light_faults(html, server, visit, name) == []
    visit.tab.route(f"**/{name}", lambda page: page.fulfill(body=bad, content_type="text/html"))
    visit.tab.route("http://192.0.2.1/**", lambda image: image.fulfill(body=""))
    faults = light_faults(html, server, visit, name)
    visit.tab.close()
    assert any(fault.replace("remote", "192.0.2.1") in each for each in faults), faults


@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing_on_a_page_of_each_kind(
    server: str, browser: Any, axe: str, name: str
) -> None:
    """On a phone every rule, on a wide window too; in the dark the colours."""
    visit = Visit(browser, f"{server}/{name}", axe)
    visit.tab.evaluate(
        "alike => alike && document.querySelectorAll(alike).forEach(each => each.remove())",
        ALIKE.get(name),
    )
    visit.look(360, "light")
    visit.ask_axe("phone", {"rules": {CONTRAST: {"enabled": False}}})
    visit.look(1280, "light")
    visit.ask_axe("light", {})
    visit.look(1280, "dark")
    visit.ask_axe("dark", {"runOnly": [CONTRAST]})
    faults = visit.faults
    visit.tab.close()
    assert faults == []


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_axe_finds_nothing_on_any_page(
    server: str, browser: Any, axe: str, pages: Pages, part: int
) -> None:
    """Every rule on every page, wide and narrow, light and dark."""
    asked = [name for name in pages if not name.startswith("_modules/companion/")]
    faults = []
    for name in [*asked, SOURCE][part::PARTS]:
        visit = Visit(browser, f"{server}/{name}", axe)
        visit.look(360, "light")
        visit.ask_axe("all of it", {"rules": {CONTRAST: {"enabled": False}}})
        with visit.without(ALIKE.get(name)):
            for width, scheme in WINDOWS:
                visit.look(width, scheme)
                visit.ask_axe(f"{width} {scheme}", {})
        faults += [f"{name}: {fault}" for fault in visit.faults]
        visit.tab.close()
    assert faults == []


def test_the_pages_named_here_are_there_and_the_scripts_are_small(html: Path, pages: Pages) -> None:
    assert {*KINDS, SOURCE, *ALIKE} <= set(pages)
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
def test_the_colours_of_code(html: Path, server: str, browser: Any, axe: str, scheme: str) -> None:
    """Each kind of token that occurs anywhere has enough contrast."""
    kinds = {
        kind
        for path in html.rglob("*.html")
        for block in re.findall(
            r'<div class="highlight">.*?</pre>', path.read_text(encoding="utf-8"), re.DOTALL
        )
        for kind in re.findall(r'<span class="([^"]+)"', block)
    }
    assert {"k", "n", "s2"} <= kinds
    visit = Visit(browser, f"{server}/project/data.html", axe)
    tokens = "".join(f'<span class="{kind}">word</span> ' for kind in sorted(kinds))
    write = "code => { document.querySelector('.highlight pre').innerHTML = code }"
    block = {"include": [[".highlight pre"]]}
    visit.look(1280, scheme)
    # Axe looks at what lies above and below, in all of the page: let it be small.
    visit.tab.evaluate(
        "() => document.querySelector('article')"
        ".replaceChildren(document.querySelector('article .highlight').parentElement)"
    )
    visit.tab.evaluate(write, tokens)
    visit.ask_axe(scheme, {"runOnly": [CONTRAST]}, block)
    faults = [*visit.faults]
    visit.tab.evaluate(write, f'{tokens}<span style="color: #777">word</span>')
    visit.ask_axe(scheme, {"runOnly": [CONTRAST]}, block)
    found = visit.faults
    visit.tab.close()
    assert faults == []
    assert len(found) == 1, "grey on either ground is found"


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
