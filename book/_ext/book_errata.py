"""The errata: what the article writes, why it is wrong, and what is right.

``book/errata.yml`` is a list of entries with the keys ``id``, ``line``, ``title``, ``quote``,
``wrong`` and ``correct``. The statement in our words, the verdict and the evidence come from the
entry of :mod:`book_claims` with the same id. The directive ``{errata}`` renders every erratum whose
claim is in the ledger. An entry that is wrong, and an error among the claims without an erratum,
are warnings of Sphinx, which ``-W`` turns into errors.
"""

# Docutils has no types.
# mypy: disable-error-code="import-untyped, misc"

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from book_claims import Claim, ClaimsDirective, ledger_path, pages, read, read_entries
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
KEYS = ("id", "line", "title", "quote", "wrong", "correct")
LINE = re.compile(r"\d+(-\d+)?")


@dataclass(frozen=True)
class Erratum:
    """One entry of the errata.

    Attributes:
        id: The id of its claim, as ``E26``.
        line: The line of the article, or the first and the last, as ``187-189``.
        title: A heading of a few words.
        quote: The words of the article.
        wrong: Why they are wrong (MyST).
        correct: What is right (MyST).
    """

    id: str
    line: str
    title: str
    quote: str
    wrong: str
    correct: str


def read_errata(path: Path) -> tuple[dict[str, Erratum], list[str]]:
    """Read the errata.

    Args:
        path: The YAML file.

    Returns:
        The errata by id, in the order of the file, and what is wrong with the file.
    """
    return read_entries(
        path, KEYS, faults, lambda entry: Erratum(**entry | {"line": str(entry["line"])})
    )


def faults(entry: Any) -> Iterator[str]:
    """Say what is wrong with one entry."""
    if not isinstance(entry, dict) or set(entry) != set(KEYS):
        yield f"{entry!r} must have exactly the keys {', '.join(KEYS)}"
        return
    name = entry["id"]
    if not isinstance(name, str) or not re.fullmatch(r"E\d+", name):
        yield f"{name!r} is no id of an error, as E26"
    if not LINE.fullmatch(str(entry["line"])):
        yield f"{name} has the line {entry['line']!r}; write 15 or '15-46'"
    for key in KEYS[2:]:
        if not isinstance(entry[key], str) or not entry[key].strip():
            yield f"{name} has no text under {key}"


def without_erratum(claims: dict[str, Claim], errata: dict[str, Erratum]) -> list[str]:
    """The errors among the claims that no erratum explains."""
    return [name for name in claims if name.startswith("E") and name not in errata]


def without_claim(claims: dict[str, Claim], errata: dict[str, Erratum]) -> list[str]:
    """The errata without evidence."""
    return [name for name in errata if name not in claims]


class ErrataDirective(ClaimsDirective):
    """``{errata}``: a section for each erratum that has evidence."""

    optional_arguments = 0
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Render the sections."""
        for path in (ledger_path(self.env), errata_path(self.env)):
            self.env.note_dependency(str(path))
        pages(self.env).add(self.env.docname)
        claims, _ = read(ledger_path(self.env))
        errata, _ = read_errata(errata_path(self.env))
        return [
            self.section(erratum, claims[name])
            for name, erratum in errata.items()
            if name in claims
        ]

    def section(self, erratum: Erratum, claim: Claim) -> nodes.section:
        """What is said, why it is wrong, what is right, and the evidence."""
        first, _, last = erratum.line.partition("-")
        place = f"Lines {first} to {last}: " if last else f"Line {first}: "
        quote = f'<q lang="zh">{html.escape(erratum.quote)}</q>'
        parts = [
            ("The article", [nodes.Text(place), nodes.raw("", quote, format="html")]),
            ("In our words", self.inline(claim.statement)),
            ("Why it is wrong", self.inline(erratum.wrong)),
            ("Correct", self.inline(erratum.correct)),
        ]
        listed = nodes.definition_list()
        for name, content in parts:
            listed += self.item(name, nodes.paragraph("", "", *content))
        listed += self.item("Evidence", self.evidence(claim))
        title = nodes.title("", f"{erratum.id}. {erratum.title}")
        return nodes.section("", title, listed, ids=[f"erratum-{erratum.id}"], classes=["erratum"])

    def item(self, name: str, content: nodes.Node) -> nodes.definition_list_item:
        """One part, under its name."""
        return nodes.definition_list_item("", nodes.term("", name), nodes.definition("", content))


def errata_path(env: BuildEnvironment) -> Path:
    """Where the errata are."""
    return Path(env.srcdir) / "errata.yml"


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of everything that is wrong with the errata."""
    path = errata_path(env)
    if not path.exists():
        return
    errata, wrong = read_errata(path)
    claims, _ = read(ledger_path(env))
    for line in wrong:
        LOGGER.warning(line)
    for name in without_erratum(claims, errata):
        LOGGER.warning("%s: the error %s of claims.yml has no entry", path.name, name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.setup_extension("book_claims")
    app.add_directive("errata", ErrataDirective)
    app.connect("env-check-consistency", check)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": False}
