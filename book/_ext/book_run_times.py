"""``{run-times}``: what the last run of each notebook took, in the order of the book.

``make notebooks`` keeps the figures in ``run_times.json`` as it executes. A notebook of the book
without one is a warning of Sphinx, which ``-W`` turns into an error.
"""

# Docutils has no types.
# mypy: disable-error-code="import-untyped, misc"

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOGGER = logging.getLogger(__name__)
HEAD = ("Section", "Processor time", "Memory")


class RunTimes(nodes.General, nodes.Element):
    """Stands where the table will be, until all titles are known."""


class RunTimesDirective(SphinxDirective):
    """``{run-times}``."""

    def run(self) -> list[nodes.Node]:
        """Leave a place for the table."""
        self.env.note_reread()
        return [RunTimes()]


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the table in its place."""
    for place in list(doctree.findall(RunTimes)):
        place.replace_self(table(app, docname))


def table(app: Sphinx, docname: str) -> nodes.table:
    """A row for each notebook, and one for all."""
    path = Path(app.srcdir) / "run_times.json"
    taken = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    names = [name for name in reading_order(app.env) if is_notebook(app.env, name)]
    for name in names:
        if name not in taken:
            LOGGER.warning("%s: its run time is not known; run make notebooks", name)
    known = [name for name in names if name in taken]
    total = sum(taken[name]["seconds"] for name in known)
    most = max((taken[name]["gigabytes"] for name in known), default=0.0)
    rows = [row(link(app, docname, name), **taken[name]) for name in known]
    rows.append(row(nodes.strong("", "all, one after the other"), total, most))
    group = nodes.tgroup(cols=len(HEAD))
    group += [nodes.colspec(colwidth=width) for width in (60, 20, 20)]
    head = (nodes.entry("", nodes.paragraph(text=name)) for name in HEAD)
    group += nodes.thead("", nodes.row("", *head))
    group += nodes.tbody("", *rows)
    return nodes.table("", group, classes=["run-times"])


def reading_order(env: BuildEnvironment) -> list[str]:
    """The pages of the book, as next and previous lead through them."""
    children, order = env.toctree_includes, []
    waiting = [str(env.config.root_doc)]
    while waiting:
        name = waiting.pop(0)
        order.append(name)
        waiting = list(children.get(name, [])) + waiting
    return order


def is_notebook(env: BuildEnvironment, name: str) -> bool:
    """Whether a page is one that runs."""
    return Path(env.doc2path(name)).suffix == ".ipynb"


def link(app: Sphinx, docname: str, name: str) -> nodes.reference:
    """A link to a page, by its title."""
    title = app.env.titles[name].astext()
    target = app.builder.get_relative_uri(docname, name)
    return nodes.reference("", title, internal=True, refuri=target)


def row(first: nodes.Node, seconds: float, gigabytes: float) -> nodes.row:
    """A row: the section, seconds or minutes, gigabytes."""
    time = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    cells = (first, nodes.Text(time), nodes.Text(f"{gigabytes:.1f} GB"))
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_node(RunTimes)
    app.add_directive("run-times", RunTimesDirective)
    app.connect("doctree-resolved", fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
