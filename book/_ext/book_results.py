"""Numbers from the results ledger in the prose.

``{result}`bbc.lstm.test_accuracy``` prints the recorded value,
``{result}`bbc.lstm.test_accuracy|.1%``` formats it as Python does. ``{results}`` renders the
ledger, or with an argument those whose name starts so, as a table. A name that is not recorded is a
warning of Sphinx, which ``-W`` turns into an error.
"""

# Docutils has no types.
# mypy: disable-error-code="import-untyped"

from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from companion.errors import LedgerError
from companion.ledger import Result, load

LOGGER = logging.getLogger(__name__)
HEAD = ("Name", "Value", "Unit", "Seed", "Device", "Date", "Command")


def folder(env: BuildEnvironment) -> Path:
    """Where the ledger of this book is."""
    return Path(env.srcdir) / "results"


def results(env: BuildEnvironment) -> dict[str, Result]:
    """Read the ledger, and read the page again when the ledger changes."""
    for path in folder(env).glob("*.json"):
        env.note_dependency(str(path))
    return load(folder(env))


class ResultRole(SphinxRole):
    """``{result}`name``` or ``{result}`name|format```."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Print the value, or warn."""
        name, _, style = (part.strip() for part in self.text.partition("|"))
        try:
            found = results(self.env)
            text = format(found[name].value, style) if style else found[name].text
        except KeyError:
            return self.refuse(f"{name} is not in the results ledger")
        except LedgerError as error:
            return self.refuse(str(error))
        except ValueError:
            return self.refuse(f"{style!r} does not format the number {name}")
        return [nodes.inline("", text, classes=["result"])], []

    def refuse(self, message: str) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Warn, and show what was asked for."""
        LOGGER.warning(message, location=self.get_location())
        # A page with a warning is read again next time, or the next build would pass.
        self.env.note_reread()
        return [nodes.literal("", self.text)], []


class ResultsDirective(SphinxDirective):
    """``{results}`` with the beginning of the names, if only some are wanted."""

    optional_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"caption": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Render the table."""
        self.env.note_reread()
        prefix = self.arguments[0] if self.arguments else ""
        try:
            found = [
                result for name, result in results(self.env).items() if name.startswith(prefix)
            ]
        except LedgerError as error:
            LOGGER.warning(str(error), location=self.get_location())
            return []
        if not found:
            return [nodes.paragraph(text="Nothing is recorded yet.")]
        return [self.table(found)]

    def table(self, found: list[Result]) -> nodes.table:
        """A table with a head and a row, with an anchor, for each result."""
        table = nodes.table(classes=["results"])
        if caption := self.options.get("caption"):
            table += nodes.title("", caption)
        group = nodes.tgroup(cols=len(HEAD))
        table += group
        group += [nodes.colspec(colwidth=width) for width in (20, 14, 8, 6, 18, 10, 24)]
        group += nodes.thead(
            "", nodes.row("", *(nodes.entry("", nodes.paragraph(text=name)) for name in HEAD))
        )
        group += nodes.tbody("", *(row(result) for result in found))
        return table


def row(result: Result) -> nodes.row:
    """The row of one result; the versions stand beside the device."""
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    command: nodes.Node = nodes.literal("", result.command) if result.command else nodes.Text("—")
    cells = [
        nodes.literal("", result.name),
        nodes.Text(
            f"{result.text} (not compared)"
            if not result.is_compared
            else f"{result.text} ± {result.tolerance:g}"
            if result.tolerance
            else f"{result.text} (exact)"
        ),
        nodes.Text(result.unit or "—"),
        nodes.Text("—" if result.seed is None else str(result.seed)),
        nodes.Text(f"{result.device}; {versions}" if versions else result.device),
        nodes.Text(result.date),
        command,
    ]
    entries = [nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells]
    return nodes.row("", *entries, ids=[nodes.make_id(f"result-{result.name}")])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_role("result", ResultRole())
    app.add_directive("results", ResultsDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
