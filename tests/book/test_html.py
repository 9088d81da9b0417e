"""The HTML of the book: nothing from another host, no dead link, and something for every reader."""

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import book_glossary
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
ROLE = re.compile(r"\{[a-z:]+\}`[^`]*`?")
REMOTE = re.compile(r"^(https?:)?//", re.IGNORECASE)

# Blocks that HTML does not allow in lines.
BLOCKS = ["p", "div", "section", "ul", "ol", "table", "pre"]
LINES = ["p", "pre", "span", "summary", "h1", "h2", "h3", "label", "button"]

Pages = dict[str, BeautifulSoup]


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
        left += [
            (name, role)
            for string in (article.find_all(string=ROLE) if article else [])
            if not string.find_parent(["pre", "code", "script", "style"])
            for role in ROLE.findall(string)
        ]
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
    figure = pages["project/live.html"].select_one("[data-figure=live-classifier]")
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
