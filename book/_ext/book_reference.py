"""Links between the sections and the reference of the package, both ways, from what the code uses.

Each page that is a notebook ends its summary with the public names that its cells use, each linked
to its entry of the reference. Each module of the reference says on which pages it is used.
"""

# Docutils has no types.
# mypy: disable-error-code="import-untyped"

import ast
import functools
import importlib
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

PACKAGE = "companion"
REFERENCE = "reference/api"
KINDS = frozenset({"class", "data", "exception", "function"})


def used_names(code: str, package: str = PACKAGE) -> set[str]:
    """Give the full names of a package that code imports or reaches by a dot."""
    tree = ast.parse(code)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.asname or each.name.split(".")[0]: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    ours = {alias: name for alias, name in names.items() if name.split(".")[0] == package}
    reached = {
        f"{ours[path[0]]}.{'.'.join(path[1:])}"
        for node in ast.walk(tree)
        if (path := dotted(node)) and path[0] in ours
    }
    return reached | set(ours.values())


def dotted(node: ast.AST) -> list[str]:
    """Give the parts of ``a.b.c``, and nothing for what is no such chain."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *parts[::-1]] if isinstance(node, ast.Name) and parts else []


@functools.cache
def home(name: str) -> str:
    """Give the name under which something stands in its own module, which may lie deeper."""
    module, _, last = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), last)
    except (ImportError, AttributeError, ValueError):
        return name
    return f"{getattr(found, '__module__', module)}.{getattr(found, '__qualname__', last)}"


@functools.cache
def names_of_notebook(path: Path) -> frozenset[str]:
    """Give the names of the package that a notebook uses, each as in its own module."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    lines = [line for source in sources for line in source.splitlines()]
    python = [line for line in lines if not line.lstrip().startswith(("%", "!"))]
    return frozenset(map(home, used_names("\n".join(python))))


def documented(app: Sphinx) -> dict[str, str]:
    """Give the anchor of each name that the reference documents."""
    objects = app.env.domains["py"].get_objects()
    return {
        name: anchor
        for name, _, kind, docname, anchor, _ in objects
        if docname == REFERENCE and kind in KINDS
    }


def pages(app: Sphinx) -> Iterator[tuple[str, frozenset[str]]]:
    """Go through the pages that are notebooks, with the names they use."""
    for docname in sorted(app.env.found_docs):
        path = Path(app.env.doc2path(docname))
        if path.suffix == ".ipynb":
            yield docname, names_of_notebook(path)


def link(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Add the links to a page."""
    if docname == REFERENCE:
        link_to_pages(app, doctree)
    elif Path(app.env.doc2path(docname)).suffix == ".ipynb":
        link_to_reference(app, doctree, docname)


def link_to_reference(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Name what a page uses of the package at the end of its summary, or of the page."""
    anchors = documented(app)
    used = names_of_notebook(Path(app.env.doc2path(docname))) & set(anchors)
    if not used:
        return
    uri = app.builder.get_relative_uri(docname, REFERENCE)
    links = []
    for name in sorted(used, key=lambda name: name.rpartition(".")[2].lower()):
        reference = nodes.reference("", "", internal=True, refuri=f"{uri}#{anchors[name]}")
        reference["reftitle"] = name
        reference += nodes.literal("", name.rpartition(".")[2])
        links.append(reference)
    summary(doctree).append(said("In the reference of the package: ", links))


def summary(doctree: nodes.document) -> Any:
    """Give the section that is called summary, or else that of the whole page."""
    sections = list(doctree.findall(nodes.section))
    called = [section for section in sections if heading(section) == "Summary"]
    return (called or sections or [doctree])[0]


def heading(section: nodes.section) -> str:
    """Give the title of a section; the body of an exercise is one that has none."""
    first = section.children[0]
    return str(first.astext()) if isinstance(first, nodes.title) else ""


def link_to_pages(app: Sphinx, doctree: nodes.document) -> None:
    """Say under each module of the reference which pages use it."""
    users = defaultdict[str, list[str]](list)
    for docname, names in pages(app):
        for module in sorted({name.rpartition(".")[0] for name in names & set(documented(app))}):
            users[module].append(docname)
    for section in doctree.findall(nodes.section):
        if docnames := users.get(heading(section)):
            links = []
            for docname in docnames:
                uri = app.builder.get_relative_uri(REFERENCE, docname)
                title = app.env.titles[docname].astext()
                links.append(nodes.reference("", title, internal=True, refuri=uri))
            section.insert(1, said("Used in: ", links))


def said(introduction: str, links: list[nodes.reference]) -> nodes.paragraph:
    """Make a paragraph of links, with commas."""
    paragraph = nodes.paragraph("", introduction, classes=["package-links"])
    for number, each in enumerate(links):
        paragraph += [nodes.Text(", " if number else ""), each]
    paragraph += nodes.Text(".")
    return paragraph


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("doctree-resolved", link)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
