"""Links from the first use of a glossary's term in each part of the book to the glossary.

The pages need not mark the terms: the first use moves as they are written. Words that mean
something else as often as what the glossary says are left alone.
"""

# Docutils has no types.
# mypy: disable-error-code="import-untyped"

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

GLOSSARY = "reference/glossary"
AMBIGUOUS = frozenset(
    {"feature", "gate", "head", "label", "layer", "mask", "schedule", "sequence", "training"}
)
# A sentence of its own, and a library.
NO_TERMS = r"Training sets\b|Transformers\b"
# In these no text is linked: it is a link already, no prose, or too narrow for one.
CLOSED = (
    addnodes.pending_xref,
    nodes.caption,
    nodes.entry,
    nodes.literal,
    nodes.math,
    nodes.raw,
    nodes.reference,
    nodes.title,
)


def parts(toc: Path) -> list[list[str]]:
    """Give the pages of each part of the table of contents, in the order of reading."""
    found = yaml.safe_load(toc.read_text(encoding="utf-8"))
    return [list(files(part)) for part in found.get("parts", [])]


def files(entry: dict[str, Any]) -> Iterator[str]:
    """Go through a part, a chapter or a section, itself first."""
    if "file" in entry:
        yield entry["file"]
    for below in entry.get("chapters", []) + entry.get("sections", []):
        yield from files(below)


def pattern(term: str) -> re.Pattern[str]:
    """Match a term or its plural as a word of its own; names keep their capitals."""
    first = term[0] if term != term.lower() else f"[{term[0]}{term[0].upper()}]"
    return re.compile(rf"(?<![\w-])(?!{NO_TERMS}){first}{re.escape(term[1:])}s?(?![\w-])")


def terms(env: BuildEnvironment) -> dict[str, str]:
    """Give the English terms of the glossary with their anchors, longer ones first."""
    found = {
        name: anchor
        for name, _, kind, docname, anchor, _ in env.domains["std"].get_objects()
        if kind == "term" and docname == GLOSSARY and name.isascii() and name not in AMBIGUOUS
    }
    return {name: found[name] for name in sorted(found, key=len, reverse=True)}


def first_uses(env: BuildEnvironment, docnames: list[str]) -> dict[str, list[str]]:
    """Say which terms each page of a part uses as the first."""
    waiting = {term: pattern(term) for term in terms(env)}
    found = {}
    for docname in docnames:
        text = "\n".join(prose(env.get_doctree(docname)))
        found[docname] = [term for term, match in waiting.items() if match.search(text)]
        waiting = {term: match for term, match in waiting.items() if term not in found[docname]}
    return found


def prose(doctree: nodes.document) -> Iterator[nodes.Text]:
    """Go through the text in which a term may be linked."""
    for text in doctree.findall(nodes.Text):
        above = list(ancestors(text))
        if any(isinstance(each, nodes.paragraph) for each in above) and not any(
            isinstance(each, CLOSED) for each in above
        ):
            yield text


def ancestors(node: nodes.Node) -> Iterator[nodes.Node]:
    """Go up from a node."""
    while node.parent is not None:
        node = node.parent
        yield node


def look_up(app: Sphinx, env: BuildEnvironment) -> None:
    """Find the first uses when all pages have been read."""
    pages = [files for files in parts(Path(app.srcdir) / "_toc.yml") if GLOSSARY not in files]
    uses: dict[str, list[str]] = {}
    for docnames in pages:
        uses |= first_uses(env, [name for name in docnames if name in env.found_docs])
    app.book_first_uses = uses  # type: ignore[attr-defined]


def link(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Link the first use of each term that this page is the first of its part to use."""
    anchors = terms(app.env)
    for term in app.book_first_uses.get(docname, []):  # type: ignore[attr-defined]
        uri = f"{app.builder.get_relative_uri(docname, GLOSSARY)}#{anchors[term]}"
        for text in prose(doctree):
            if match := pattern(term).search(text):
                text.parent.replace(text, linked(text, match, uri))
                break


def linked(text: nodes.Text, match: re.Match[str], uri: str) -> list[nodes.Node]:
    """Cut a text at a term, and make the term a link."""
    reference = nodes.reference("", "", internal=True, refuri=uri, classes=["glossary-term"])
    reference += nodes.inline("", match[0], classes=["std", "std-term"])
    pieces = [nodes.Text(text[: match.start()]), reference, nodes.Text(text[match.end() :])]
    return [piece for piece in pieces if piece.astext()]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("env-updated", look_up)
    app.connect("doctree-resolved", link)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
