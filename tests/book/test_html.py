"""The HTML of the book: nothing from another host, no dead link, and something for every reader."""

import functools
import http.server
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import book_glossary
import pytest
from bs4 import BeautifulSoup
from justhtml import JustHTML

ROOT = Path(__file__).parents[2]
# What a browser fetches by itself when it opens a page.
FETCHED = (
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("source", "src"),
    ("source", "srcset"),
    ("iframe", "src"),
    ("video", "src"),
    ("audio", "src"),
    ("embed", "src"),
    ("object", "data"),
)
FETCHED_LINKS = {
    "stylesheet",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "icon",
    "manifest",
}
REMOTE = re.compile(r"^(https?:)?//", re.IGNORECASE)

# Blocks that HTML does not allow in lines.
BLOCKS = ["p", "div", "section", "ul", "ol", "table", "pre"]
LINES = ["p", "pre", "span", "summary", "h1", "h2", "h3", "label", "button"]

Pages = dict[str, BeautifulSoup]


@pytest.fixture(scope="module")
def html() -> Path:
    """The book, freshly built."""
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        "book",
        "-W",
        "-n",
        "--keep-going",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-6000:]
    return ROOT / "_build" / "html"


@pytest.fixture(scope="module")
def pages(html: Path) -> Pages:
    """Every page, parsed, by its path."""
    paths = sorted(
        path for path in html.rglob("*.html") if "_static" not in path.relative_to(html).parts
    )
    parse = functools.partial(BeautifulSoup, features="html.parser")
    return {
        path.relative_to(html).as_posix(): parse(path.read_text(encoding="utf-8")) for path in paths
    }


def test_nothing_is_fetched_from_another_host(pages: Pages) -> None:
    remote = []
    for name, page in pages.items():
        for tag, attribute in FETCHED:
            remote += [(name, str(node)[:200]) for node in page.find_all(tag, {attribute: REMOTE})]
        for node in page.find_all("link", href=REMOTE):
            if FETCHED_LINKS & set(node.get("rel", [])):
                remote.append((name, str(node)))
        remote += [
            (name, style.get_text()[:200])
            for style in page.find_all("style")
            if css_fetches(style.get_text())
        ]
        remote += [
            (name, node["style"])
            for node in page.find_all(style=True)
            if css_fetches(node["style"])
        ]
    assert remote == []


def test_no_role_is_left_as_text(pages: Pages) -> None:
    """A role that Markdown did not see, as one with a bare ``|`` in a table, stays on the page."""
    left = []
    for name, page in pages.items():
        article = page.find("article")
        text = " ".join(
            string
            for string in (article.find_all(string=True) if article else [])
            if not string.find_parent(["pre", "code", "script", "style"])
        )
        left += [(name, role) for role in re.findall(r"\{[a-z:]+\}`[^`]*`?", text)]
    assert left == []


def test_the_reference_and_the_sections_lead_to_each_other(html: Path, pages: Pages) -> None:
    """Each module to a page that explains or uses it, each page to what it uses."""
    reference = pages["reference/api.html"]
    modules = [heading.parent for heading in reference.select("article h2") if heading.parent]
    assert len(modules) > 100
    lonely = [
        section.h2.get_text("", strip=True)
        for section in modules
        if section.h2 and not section.find("a", href=re.compile(r"^\.\./(?!_modules/)"))
    ]
    assert lonely == []
    notebooks = {path.relative_to(ROOT / "book") for path in (ROOT / "book").rglob("*.ipynb")}
    assert len(notebooks) > 30
    unlinked = [
        str(path)
        for path in notebooks
        if not pages[path.with_suffix(".html").as_posix()].select(
            "article p.package-links a[href*='reference/api.html#companion.']"
        )
    ]
    assert unlinked == []


def test_each_part_leads_to_the_glossary_once_a_term(pages: Pages) -> None:
    toc = book_glossary.parts(ROOT / "book" / "_toc.yml")
    for docnames in [part for part in toc if "reference/glossary" not in part]:
        links = [
            link["href"].partition("#")[2]
            for docname in docnames
            for link in pages[f"{docname}.html"].select("a.glossary-term")
        ]
        assert len(links) > 10, docnames
        assert [link for link, count in Counter(links).items() if count > 1] == []


def test_the_code_on_the_pages_has_no_notes_for_tools(pages: Pages) -> None:
    shown = [
        (name, block.get_text()[-200:])
        for name, page in pages.items()
        if not name.startswith("_modules/")
        for block in page.select("article .highlight pre")
        if "# type: ignore" in block.get_text()
    ]
    assert shown == []


def test_no_style_sheet_fetches_from_another_host(html: Path) -> None:
    sheets = {path: path.read_text(encoding="utf-8") for path in html.rglob("*.css")}
    assert [str(path) for path, text in sheets.items() if css_fetches(text)] == []


def css_fetches(text: str) -> bool:
    return bool(re.search(r"""(url\(\s*["']?|@import\s+["'])(https?:)?//""", text, re.IGNORECASE))


def test_mathjax_and_its_fonts_are_in_the_book(html: Path) -> None:
    mathjax = html / "_static" / "mathjax"
    for part in ("startup", "core", "input/tex", "output/chtml", "a11y/assistive-mml"):
        assert (mathjax / f"{part}.js").is_file(), part
    assert (mathjax / "input/tex/extensions/boldsymbol.js").is_file()
    assert len(list(mathjax.rglob("*.woff"))) > 20


def test_only_pages_with_formulas_load_mathjax(pages: Pages) -> None:
    loads = {name for name, page in pages.items() if page.find("script", src=re.compile("mathjax"))}
    needs = {name for name, page in pages.items() if page.select(".math.notranslate")}
    assert loads == needs
    assert "reference/notation.html" in loads
    assert "index.html" not in loads


def test_no_page_loads_what_it_does_not_use(pages: Pages) -> None:
    """Font Awesome is in the theme's style sheet; the search index is for the search page."""
    for name, page in pages.items():
        scripts = " ".join(node["src"] for node in page.find_all("script", src=True))
        assert "fontawesome" not in scripts, name
        assert ("searchindex" in scripts) == (name == "search.html"), name


def test_every_page_is_valid_html(html: Path, pages: Pages) -> None:
    """No parse error of HTML 5, no id twice, no block in a line."""
    faults = []
    for name in pages:
        text = (html / name).read_text(encoding="utf-8")
        parsed = JustHTML(text, collect_errors=True, sanitize=False)
        faults += [f"{name}:{error.line}: {error.code}" for error in parsed.errors]
    for name, page in pages.items():
        ids = Counter(node["id"] for node in page.find_all(id=True))
        faults += [f"{name}: id {key} {count} times" for key, count in ids.items() if count > 1]
        faults += [
            f"{name}: {str(node)[:100]} in a {node.find_parent(LINES).name}"
            for node in page.find_all(BLOCKS)
            if node.find_parent(LINES)
        ]
    assert faults == []


def test_every_page_has_a_description_of_its_own(pages: Pages) -> None:
    said = {}
    for name, page in pages.items():
        (description,) = page.find_all("meta", attrs={"name": "description"})
        text = description["content"]
        assert 25 <= len(text) <= 170, (name, text)
        assert said.setdefault(text, name) == name, (name, said[text])


def test_every_internal_link_leads_somewhere(html: Path, pages: Pages) -> None:
    ids = {name: {node["id"] for node in page.find_all(id=True)} for name, page in pages.items()}
    dead = []
    for name, page in pages.items():
        for node in page.find_all("a", href=True):
            address, fragment = urldefrag(node["href"])
            if urlsplit(node["href"]).scheme or address.startswith("//"):
                continue
            target = (html / name).parent / unquote(address) if address else html / name
            goal = target.resolve().relative_to(html.resolve()).as_posix()
            if not target.is_file() or (
                fragment and goal in ids and unquote(fragment) not in ids[goal]
            ):
                dead.append((name, node["href"]))
    assert dead == []


def test_the_live_page_shows_an_answer_without_scripts(pages: Pages) -> None:
    figure = pages[MODEL_PAGE].select_one("[data-figure=live-classifier]")
    assert not figure.has_attr("hidden")
    assert "business" in figure.select_one(".interactive-fallback img")["alt"]
    for page in pages.values():
        for each in page.select(".interactive:not(:has(.interactive-fallback))"):
            assert each.has_attr("hidden"), each["data-figure"]


def test_every_picture_says_what_it_shows(pages: Pages) -> None:
    silent = [
        (name, node.get("src"), node.get("alt"))
        for name, page in pages.items()
        for node in page.find_all("img")
        if not node.get("alt", "").strip()
        or re.search(r"(^|/)[\w.-]+\.(png|jpe?g|svg|gif|webp)$", node["alt"].strip())
    ]
    assert silent == [], (
        "write the alt text into the metadata of the cell: mystnb: {image: {alt: ...}}"
    )


def test_every_page_has_a_language_a_title_and_one_heading(pages: Pages) -> None:
    for name, page in pages.items():
        assert page.html.get("lang") == "en", name
        assert page.title.get_text(strip=True), name
        # The theme repeats the heading for paper, hidden on the screen.
        assert (
            len(
                [
                    heading
                    for heading in page.find_all("h1")
                    if not heading.find_parent(class_="onlyprint")
                ]
            )
            == 1
        ), name


def test_every_page_has_a_link_to_skip_to_its_content(pages: Pages) -> None:
    for name, page in pages.items():
        link = page.find("a", href="#main-content") or page.find(class_="skip-link")
        assert link is not None, name
        assert page.find(id="main-content") is not None, name


def test_every_module_of_the_package_has_its_reference(pages: Pages) -> None:
    modules = {
        path.relative_to(ROOT)
        .with_suffix("")
        .as_posix()
        .replace("/", ".")
        .removesuffix(".__init__")
        for path in (ROOT / "companion").rglob("*.py")
        if not path.stem.startswith("_") or path.stem == "__init__"
    }
    marks = pages["reference/api.html"].find_all(id=re.compile("^module-"))
    listed = {node["id"].removeprefix("module-") for node in marks}
    assert modules == listed


@pytest.fixture(scope="module")
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
# Pages of sources differ in nothing but code, so axe looks at one.
SOURCE = "_modules/companion/ledger.html"
# Bytes that a page loads beside its text and figures: without formulas, and with MathJax.
BUDGET, BUDGET_WITH_FORMULAS = 400_000, 1_250_000
# The scripts of the interactive figures are content too, and have a budget of their own; the model
# of the live classifier belongs to its page.
SCRIPTS, SCRIPTS_BUDGET = "interactive", 65_000
MODEL, MODEL_PAGE, MODEL_BUDGET = "model.js", "project/live.html", 1_000_000


@pytest.fixture(scope="module")
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


def test_every_page_in_a_browser(
    html: Path, server: str, browser: Any, axe: str, pages: Pages
) -> None:
    """No error, no other host, no line too wide, nothing that axe finds; formulas; few bytes."""
    assert {*NARROW, SOURCE} <= set(pages)
    faults = []
    for name in pages:
        visit = Visit(browser, f"{server}/{name}", axe)
        visit.look(360, "light")
        if name in NARROW:
            visit.ask_axe("phone", {"rules": {CONTRAST: {"enabled": False}}})
        if not name.startswith("_modules/companion/") or name == SOURCE:
            visit.look(1280, "light")
            visit.ask_axe("desktop", {})
            visit.look(1280, "dark")
            visit.ask_axe("dark", {"runOnly": [CONTRAST]})
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
