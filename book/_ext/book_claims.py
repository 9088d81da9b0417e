"""The claims ledger: what the article says, what became of it, and the evidence.

``book/claims.yml`` is a list of entries with the keys ``id``, ``statement``, ``verdict`` and
``evidence``. The directive ``{claims}`` renders them as a table, the role ``{claim}`` links to a
row of the page ``reference/claims``. An entry that is wrong, evidence that does not resolve, and an
id that nobody knows are warnings of Sphinx, which ``-W`` turns into errors.
"""

# Docutils has no types.
# mypy: disable-error-code="import-untyped, misc"

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.nodes import make_refnode

LOGGER = logging.getLogger(__name__)
VERDICTS = ("holds", "holds under conditions", "wrong", "outdated", "unsupported")
KEYS = ("id", "statement", "verdict", "evidence")
ID = re.compile(r"([A-Z])(\d+)")
TEST = re.compile(r"(tests/[\w./-]+\.py)::([\w:]+)(\[.*\])?")
BIBLIOGRAPHY = re.compile(
    r"^\s*@(?!comment|string|preamble)\w+\s*\{\s*([^,\s]+)\s*,", re.MULTILINE | re.IGNORECASE
)
PAGE = "reference/claims"
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Claim:
    """One entry of the ledger.

    Attributes:
        id: A letter and a number, as ``A047``, ``E26``, ``S1``, ``L01``.
        statement: What the article says or does, in our words (MyST).
        verdict: One of :data:`VERDICTS`.
        evidence: Page anchors (``project/model#padding``), tests, or bibliography keys
            (``@vaswani2017``).
    """

    id: str
    statement: str
    verdict: str
    evidence: list[str] = field(default_factory=list)


def expand(text: str) -> list[str]:
    """Read a list of ids with ranges.

    Args:
        text: Ids and ranges with commas or spaces between, as ``A047-A049, E40``.

    Returns:
        The ids; a range keeps the zeros of its first id.

    Raises:
        ValueError: If a part is neither an id nor a range.
    """
    ids = []
    for part in re.split(r"[,\s]+", text.strip()):
        first, _, last = part.partition("-")
        ends = [ID.fullmatch(first), ID.fullmatch(last or first)]
        if ends[0] is None or ends[1] is None or ends[0][1] != ends[1][1]:
            raise ValueError(
                f"{part!r} is neither an id such as A047 nor a range such as A047-A067"
            )
        width = len(ends[0][2])
        ids += [
            f"{ends[0][1]}{number:0{width}d}"
            for number in range(int(ends[0][2]), int(ends[1][2]) + 1)
        ]
    return ids


def read_entries(
    path: Path,
    keys: tuple[str, ...],
    faults: Callable[[Any], Iterable[str]],
    make: Callable[[dict[str, Any]], Entry],
) -> tuple[dict[str, Entry], list[str]]:
    """Read a list of entries that have an id.

    Args:
        path: The YAML file.
        keys: What every entry has, for the error.
        faults: Says what is wrong with an entry.
        make: Turns an entry without a fault into an object.

    Returns:
        The objects by id, in the order of the file, and what is wrong with the file.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    except (OSError, yaml.YAMLError) as error:
        return {}, [f"{path.name}: {error}"]
    if not isinstance(entries, list):
        return {}, [f"{path.name}: it must be a list of entries with the keys {', '.join(keys)}"]
    made: dict[str, Entry] = {}
    wrong: list[str] = []
    for entry in entries:
        found = list(faults(entry))
        wrong += [f"{path.name}: {fault}" for fault in found]
        if found:
            continue
        if entry["id"] in made:
            wrong.append(f"{path.name}: {entry['id']} has two entries; delete one")
        made.setdefault(entry["id"], make(entry))
    return made, wrong


def read(path: Path) -> tuple[dict[str, Claim], list[str]]:
    """Read the ledger.

    Args:
        path: The YAML file.

    Returns:
        The claims by id, in the order of the file, and what is wrong with the file.
    """
    return read_entries(path, KEYS, faults, lambda entry: Claim(**entry))


def faults(entry: Any) -> Iterator[str]:
    """Say what is wrong with one entry, apart from evidence that does not resolve."""
    if not isinstance(entry, dict) or set(entry) != set(KEYS):
        yield f"{entry!r} must have exactly the keys {', '.join(KEYS)}"
        return
    name = entry["id"]
    if not isinstance(name, str) or not ID.fullmatch(name):
        yield f"{name!r} is no id; an id is a capital letter and a number"
    if not isinstance(entry["statement"], str) or not entry["statement"].strip():
        yield f"{name} has no statement"
    if entry["verdict"] not in VERDICTS:
        yield (
            f"{name} has the verdict {entry['verdict']!r}; it must be one of: {', '.join(VERDICTS)}"
        )
    evidence = entry["evidence"]
    if (
        not isinstance(evidence, list)
        or not evidence
        or not all(isinstance(item, str) for item in evidence)
    ):
        yield f"{name} has no evidence; list a page anchor, a test or a bibliography key"


@cache
def tests_of(path: Path) -> dict[str, int]:
    """The lines of a file's tests by name, ``test_x`` or ``Class::test_x``, without parameters."""
    found: dict[str, int] = {}

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                walk(node.body, f"{prefix}{node.name}::")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
                "test"
            ):
                found[f"{prefix}{node.name}"] = node.lineno

    walk(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return found


def bibliography(path: Path) -> set[str]:
    """The keys of a BibTeX file."""
    if not path.is_file():
        return set()
    return set(BIBLIOGRAPHY.findall(path.read_text(encoding="utf-8")))


def unresolved(item: str, root: Path, anchors: dict[str, set[str]]) -> str:
    """Say why a piece of evidence does not resolve.

    Args:
        item: The evidence.
        root: The repository.
        anchors: The ids of every page, by the page's name.

    Returns:
        The reason, or nothing if it resolves.
    """
    if item.startswith("@"):
        known = bibliography(root / "book" / "references.bib")
        return "" if item[1:] in known else "references.bib has no such key"
    if item.startswith("tests/"):
        match = TEST.fullmatch(item)
        path = root / match[1] if match else root
        if not match or not path.is_file():
            return "no such test file; write tests/<path>.py::<test>"
        return "" if match[2] in tests_of(path) else f"{match[1]} has no such test"
    page, _, anchor = item.partition("#")
    if not anchor:
        return "it is neither a page anchor, a test, nor a bibliography key"
    if page not in anchors:
        return f"the book has no page {page}"
    return "" if anchor in anchors[page] else f"{page} has no anchor {anchor}"


def page_anchors(env: BuildEnvironment) -> dict[str, dict[str, str]]:
    """For every page, its ids and the titles of the sections they stand in."""
    found: dict[str, dict[str, str]] = {}
    for page in env.found_docs:
        ids: dict[str, str] = {}
        for node in env.get_doctree(page).findall(nodes.Element):
            for name in node.get("ids", []):
                ids[name] = section_title(node)
        found[page] = ids
    return found


def section_title(node: nodes.Node) -> str:
    """The title of the section that a node stands in."""
    while node is not None:
        if isinstance(node, nodes.section) and isinstance(node[0], nodes.title):
            return str(node[0].astext())
        node = node.parent
    return ""


class Evidence(nodes.General, nodes.Inline, nodes.Element):
    """A piece of evidence, until all pages are read and it can be linked."""


class ClaimsDirective(SphinxDirective):
    """``{claims}`` with an optional letter; the option ``:ids:`` takes ids and ranges."""

    optional_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {
        "ids": directives.unchanged,
        "caption": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Render the table."""
        self.env.note_dependency(str(ledger_path(self.env)))
        pages(self.env).add(self.env.docname)
        claims, _ = read(ledger_path(self.env))
        chosen = self.choose(claims)
        if not chosen:
            LOGGER.warning(
                "no claim is chosen by {claims} %s",
                " ".join(self.arguments),
                location=self.get_location(),
            )
            return []
        return [self.table(chosen)]

    def choose(self, claims: dict[str, Claim]) -> list[Claim]:
        """The claims that the argument and the option ask for."""
        if "ids" in self.options:
            try:
                ids = expand(self.options["ids"])
            except ValueError as error:
                LOGGER.warning(str(error), location=self.get_location())
                return []
            for name in (name for name in ids if name not in claims):
                LOGGER.warning("unknown claim %s", name, location=self.get_location())
            return [claims[name] for name in ids if name in claims]
        prefix = self.arguments[0] if self.arguments else ""
        return [claim for name, claim in claims.items() if name.startswith(prefix)]

    def table(self, claims: list[Claim]) -> nodes.table:
        """A table with a head, a caption, and a row with an anchor for each claim."""
        table = nodes.table(classes=["claims"])
        if caption := self.options.get("caption"):
            table += nodes.title("", "", *self.inline(caption))
        group = nodes.tgroup(cols=len(KEYS))
        table += group
        group += [nodes.colspec(colwidth=width) for width in (8, 52, 14, 26)]
        head = nodes.row(
            "", *(nodes.entry("", nodes.paragraph(text=key.capitalize())) for key in KEYS)
        )
        group += nodes.thead("", head)
        group += nodes.tbody("", *(self.row(claim) for claim in claims))
        return table

    def row(self, claim: Claim) -> nodes.row:
        """The row of one claim."""
        verdict = nodes.inline(
            "", claim.verdict, classes=["verdict", "verdict-" + claim.verdict.replace(" ", "-")]
        )
        cells = [
            nodes.paragraph("", claim.id),
            nodes.paragraph("", "", *self.inline(claim.statement)),
            nodes.paragraph("", "", verdict),
            self.evidence(claim),
        ]
        return nodes.row("", *(nodes.entry("", cell) for cell in cells), ids=[f"claim-{claim.id}"])

    def evidence(self, claim: Claim) -> nodes.bullet_list:
        """The list of a claim's evidence."""
        items = nodes.bullet_list()
        for item in claim.evidence:
            items += nodes.list_item("", nodes.paragraph("", "", *self.link(item)))
        return items

    def link(self, item: str) -> list[nodes.Node]:
        """A bibliography key is cited; the rest waits until all pages are read."""
        if not item.startswith("@"):
            return [Evidence(item=item)]
        known = bibliography(Path(self.env.srcdir) / "references.bib")
        return (
            self.inline(f"{{cite:t}}`{item[1:]}`")
            if item[1:] in known
            else [nodes.literal("", item)]
        )

    def inline(self, text: str) -> list[nodes.Node]:
        """Parse a line of MyST."""
        box = nodes.Element()
        lines = StringList([" ".join(text.split())], self.env.docname)
        self.state.nested_parse(lines, self.content_offset, box)
        first = box.children[0] if box.children else nodes.Text(text)
        return list(first.children) if isinstance(first, nodes.paragraph) else [first]


class ClaimRole(SphinxRole):
    """``{claim}`S1``` links to the row of S1."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Make the link, or warn of an unknown id."""
        self.env.note_dependency(str(ledger_path(self.env)))
        claims, _ = read(ledger_path(self.env))
        name = self.text.strip()
        if name not in claims:
            LOGGER.warning("unknown claim %s", name, location=self.get_location())
            # A page with a warning is read again next time, or the next build would pass.
            self.env.note_reread()
            return [nodes.literal("", name)], []
        return [Evidence(item=f"{PAGE}#claim-{name}", text=name, hint=claims[name].statement)], []


def ledger_path(env: BuildEnvironment) -> Path:
    """Where the ledger is."""
    return Path(env.srcdir) / "claims.yml"


def pages(env: BuildEnvironment) -> set[str]:
    """The pages with a table of claims."""
    if not hasattr(env, "companion_claims_pages"):
        env.companion_claims_pages = set()  # type: ignore[attr-defined]
    found: set[str] = env.companion_claims_pages  # type: ignore[attr-defined]
    return found


def reread(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Read the tables again in every build, so that a warning is not forgotten by the next one."""
    return sorted(pages(env) & env.found_docs)


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of everything that is wrong with the ledger."""
    path = ledger_path(env)
    if not path.exists():
        return
    tests_of.cache_clear()
    claims, wrong = read(path)
    anchors = {page: set(ids) for page, ids in page_anchors(env).items()}
    for claim in claims.values():
        for item in claim.evidence:
            if reason := unresolved(item, path.parents[1], anchors):
                wrong.append(f"{path.name}: {claim.id}: evidence {item}: {reason}")
        if f"claim-{claim.id}" not in anchors.get(PAGE, set()):
            wrong.append(f"{path.name}: {claim.id} is in no table of {PAGE}")
    for line in wrong:
        LOGGER.warning(line)


def resolve(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Link the evidence of a page."""
    waiting = list(doctree.findall(Evidence))
    if not waiting:
        return
    if not hasattr(app, "companion_anchors"):
        app.companion_anchors = page_anchors(app.env)  # type: ignore[attr-defined]
    anchors: dict[str, dict[str, str]] = app.companion_anchors  # type: ignore[attr-defined]
    for node in waiting:
        item = node["item"]
        node.replace_self(
            test_link(app, item)
            if item.startswith("tests/")
            else page_link(app, docname, node, anchors)
        )


def page_link(
    app: Sphinx, docname: str, node: Evidence, anchors: dict[str, dict[str, str]]
) -> nodes.Node:
    """A link to a place of the book, by the title of its page and section."""
    page, _, anchor = node["item"].partition("#")
    if anchor not in anchors.get(page, {}):
        return nodes.literal("", node.get("text", node["item"]))
    text = node.get("text")
    if text is None:
        title, section = app.env.titles[page].astext(), anchors[page][anchor]
        text = title if section in {"", title} else f"{title}: {section}"
    return make_refnode(
        app.builder, docname, page, anchor, nodes.inline("", text), node.get("hint")
    )


def test_link(app: Sphinx, item: str) -> nodes.Node:
    """The name of a test, linked to its source where the repository has an address."""
    literal = nodes.literal("", item)
    options = app.config.html_theme_options
    match = TEST.fullmatch(item)
    path = Path(app.srcdir).parent / match[1] if match else None
    if not options.get("repository_url") or match is None or path is None or not path.is_file():
        return literal
    address = (
        f"{options['repository_url']}/blob/{options.get('repository_branch', 'main')}/{match[1]}"
    )
    return nodes.reference(
        "", "", literal, refuri=f"{address}#L{tests_of(path).get(match[2], 1)}", internal=False
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_node(Evidence)
    app.add_directive("claims", ClaimsDirective)
    app.add_role("claim", ClaimRole())
    app.connect("env-get-outdated", reread)
    app.connect("env-check-consistency", check)
    app.connect("doctree-resolved", resolve)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": False}
