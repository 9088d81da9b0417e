"""The HTML of the book: nothing from another host, no dead link, and something for every reader."""

import functools
import http.server
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync"
)
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


def test_no_style_sheet_fetches_from_another_host(html: Path) -> None:
    sheets = {path: path.read_text(encoding="utf-8") for path in html.rglob("*.css")}
    assert [str(path) for path, text in sheets.items() if css_fetches(text)] == []


def css_fetches(text: str) -> bool:
    return bool(re.search(r"""(url\(\s*["']?|@import\s+["'])(https?:)?//""", text, re.IGNORECASE))


def test_mathjax_and_its_fonts_are_in_the_book(html: Path) -> None:
    mathjax = html / "_static" / "mathjax"
    assert (mathjax / "tex-mml-chtml.js").stat().st_size > 1_000_000
    assert len(list(mathjax.rglob("*.woff"))) > 20


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


@pytest.mark.skipif(CHROMIUM is None, reason="needs a chromium: sudo apt install chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(server: str, pages: Pages, scheme: str) -> None:
    """No page has a serious accessibility fault, another host, an error, or a line too wide."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: pip install playwright"
    )
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe-playwright-python"
    )
    faults: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        tab = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
        tab.on(
            "request",
            lambda seen: seen.url.startswith((server, "data:", "blob:")) or faults.append(seen.url),
        )
        tab.on(
            "console",
            lambda seen: (
                faults.append(f"{seen.location['url']}: {seen.text}")
                if seen.type == "error"
                else None
            ),
        )
        tab.on("pageerror", lambda seen: faults.append(f"{tab.url}: {seen}"))
        for name in pages:
            if name.startswith(("_modules/", "genindex", "py-modindex", "search")):
                continue
            tab.goto(f"{server}/{name}", wait_until="networkidle")
            if (
                wider := tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            ) > 0:
                faults.append(f"{name}: {wider} pixels wider than a phone")
            for found in axe.Axe().run(tab, options={"preload": False}).response["violations"]:
                if found["impact"] in {"serious", "critical"}:
                    faults.append(
                        f"{name}: {found['id']}: "
                        f"{[node['html'][:150] for node in found['nodes'][:3]]}"
                    )
        browser.close()
    assert faults == []
