"""What the theme's pages lack: a description, valid HTML, and no script that nothing uses."""

# Docutils has no types.
# mypy: disable-error-code="import-untyped"

import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

DESCRIPTION_LENGTH = 160
NOTE_FOR_TOOLS = re.compile(r"  # (?:type: ignore|noqa|pragma)[^\n]*")
# What screen readers stumble over and what HTML forbids, with its replacement: pandas' empty
# corner, Sphinx's list without items and its role that ARIA has withdrawn, sphinx-exercise's ids
# that come once an exercise, Chinese terms that do not say so, MyST-NB's paragraphs in a button.
TITLE = r'<span class="\1 admonition-title">\2</span>'
MENDS = (
    (r"<th></th>", "<td></td>"),
    (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
    (r'(<div class="citation" id="[^"]*") role="doc-biblioentry"', r"\1"),
    (r'<section id="(exercise|solution)-content">', r'<section class="\1-content">'),
    (
        r'<p class="((?:collapsed|expanded) admonition-title)">([^<]*)</p>',
        r'<span class="\1">\2</span>',
    ),
)


def describe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Give the page the description that search engines show: its first paragraph."""
    context["description"] = (
        summary(doctree) or f"{context.get('title', pagename)}: {app.config.project}"
    )


def summary(doctree: nodes.document | None) -> str:
    """Give the first paragraph of a page, cut after a word, or nothing where there is none."""
    paragraphs = doctree.findall(nodes.paragraph) if doctree is not None else []
    text = next(
        (" ".join(found.astext().split()) for found in paragraphs if found.astext().strip()), ""
    )
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    return text[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0].rstrip(" ,;:.") + " …"


def mend(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Correct the HTML of a page's body."""
    body = context.get("body", "")
    for pattern, replacement in MENDS:
        body = re.sub(pattern, replacement, body)
    if pagename.startswith("_modules/"):
        body = re.sub(
            r"<pre>.*?</pre>", lambda found: without_blocks(found[0]), body, flags=re.DOTALL
        )
    context["body"] = body


def without_blocks(source: str) -> str:
    """Make inline what Sphinx puts around each function: ``pre`` takes no block."""
    return source.replace("<div ", "<span ").replace("</div>", "</span>")


def drop_notes_for_tools(app: Sphinx, doctree: nodes.document) -> None:
    """Leave out of the sources that a page shows what only type checkers and linters read."""
    for block in doctree.findall(nodes.literal_block):
        if "source" in block:
            code = NOTE_FOR_TOOLS.sub("", block.astext())
            block.clear()
            block += nodes.Text(code)
            block.rawsource = code


def drop_mathjax(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Load MathJax only where there is a formula; Sphinx loads it also on the pages above."""
    if not has_formula(context.get("body", "")) and not any(
        map(has_formula_node, app.env.titles.values())
    ):
        context["script_files"] = [
            file for file in context.get("script_files", []) if not is_mathjax(file)
        ]


def has_formula(body: str) -> bool:
    """Whether HTML shows a formula, its own or one that a cell printed."""
    return bool(re.search(r'class="[^"]*\bmath notranslate', body))


def has_formula_node(title: nodes.title) -> bool:
    """Whether a title, which the side bar of every page shows, has a formula."""
    return next(iter(title.findall(nodes.math)), None) is not None


def is_mathjax(file: Any) -> bool:
    """Whether a script, or the settings of one, is MathJax's."""
    said = f"{getattr(file, 'filename', '')} {getattr(file, 'attributes', {}).get('body', '')}"
    return "mathjax" in said.lower()


def without_script(head: str, name: str) -> str:
    """Take a script out of HTML, by the name of its file."""
    return re.sub(rf'<script [^>]*src="[^"]*/{re.escape(name)}[^"]*"[^>]*></script>', "", head)


def without_sidebar_toggles(header: str) -> str:
    """Take the buttons that open the menu and the contents out of the HTML of the top bar."""
    return re.sub(
        r'<button class="[^"]*\bsidebar-toggle\b[^"]*"[^>]*>.*?</button>',
        "",
        header,
        flags=re.DOTALL,
    )


def with_named_summaries(contents: str) -> str:
    """Name each button that unfolds a chapter after the chapter, whose link stands before it."""
    return re.sub(
        r"(<a [^>]*>)((?:(?!</a>).)*)(</a>\s*<details[^>]*>\s*<summary)>",
        lambda found: (
            f'{found[1]}{found[2]}{found[3]} aria-label="Sections of {without_tags(found[2])}">'
        ),
        contents,
        flags=re.DOTALL,
    )


def without_tags(text: str) -> str:
    """Give the words of HTML, ready for an attribute."""
    return " ".join(re.sub(r"<[^>]+>", "", text).split()).replace('"', "&quot;")


def search_without_server(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Read from a folder, the search lists what it found; only a server gives it the excerpts."""
    if pagename == "search":
        app.add_js_file(
            None,
            body='if (location.protocol === "file:") '
            "DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;",
        )


def prepare(app: Sphinx) -> None:
    """Give the templates their filters, and have the pages of sources written in every build."""
    if app.builder.format != "html":
        return
    filters = app.builder.templates.environment.filters
    for function in (without_script, without_sidebar_toggles, with_named_summaries):
        filters[function.__name__] = function
    # Sphinx keeps a page whose source is older, even when the templates have changed.
    shutil.rmtree(Path(app.outdir) / "_modules", ignore_errors=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("builder-inited", prepare)
    app.connect("doctree-read", drop_notes_for_tools)
    app.connect("html-page-context", describe)
    app.connect("html-page-context", search_without_server)
    app.connect("html-page-context", mend)
    app.connect("html-page-context", drop_mathjax, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
