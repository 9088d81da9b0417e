"""Interactive figures: ``{interactive} gradient-descent`` in the text, and what it needs.

The scripts in ``book/_scripts`` draw the figures; only pages that have one load them. A figure
starts from the numbers of :mod:`companion.interactive`, or of the page itself. The body of the
directive is shown instead where scripts are off.
"""

# Docutils has no types.
# mypy: disable-error-code="import-untyped"

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOGGER = logging.getLogger(__name__)
SCRIPTS = Path(__file__).parents[1] / "_scripts"
TARGET = "interactive"  # not "scripts", which is the folder of the theme
COMMON = ("companion.js", "interactive.js")
MODEL = "model.js"
MORE = {"live-classifier": (MODEL, "live.js")}
STYLE = "interactive.css"
FIGURE = re.compile(r"""figures\["([a-z-]+)"\] = function""")
RUNG = re.compile(r"""^rung\(\s*"(\w+)\"""", re.MULTILINE)
ERROR = re.compile(r"^(L\d\d) (.*)$", re.MULTILINE)
TITLE = re.compile(r"^\((ladder-[\w-]+)\)=\n\*\*(L\d\d), (.*?)\.?\*\*", re.MULTILINE)


def known_figures() -> set[str]:
    """The names of the figures that the scripts draw."""
    scripts = (path for path in SCRIPTS.glob("*.js") if path.name != MODEL)
    return set(FIGURE.findall("".join(path.read_text(encoding="utf-8") for path in scripts)))


def ladder(notebook: dict[str, Any]) -> dict[str, Any]:
    """Read the ladder of failures off the page that climbs it.

    Args:
        notebook: The executed notebook.

    Returns:
        ``stages``, and ``rungs`` with ``rung``, ``name``, ``stage``, ``error`` and ``anchor``.
    """
    from companion.classifier.listing import STAGES

    titles: dict[str, tuple[str, str]] = {}
    stages: list[str] = []
    errors: dict[str, str] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            titles |= {rung: (anchor, name) for anchor, rung, name in TITLE.findall(source)}
            continue
        stages += RUNG.findall(source)
        printed = "".join("".join(each.get("text", "")) for each in cell["outputs"])
        errors |= dict(ERROR.findall(printed))
    rungs = [
        {
            "rung": rung,
            "name": titles[rung][1].replace("`", ""),
            "stage": stage,
            "error": error.partition(" You can pass")[0],
            "anchor": titles[rung][0],
        }
        for stage, (rung, error) in zip(stages, errors.items(), strict=True)
    ]
    return {"stages": STAGES, "rungs": rungs}


class InteractiveDirective(SphinxDirective):
    """``{interactive} NAME``: an interactive figure, with what stands there without scripts."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Callable[[str], Any]]] = {}

    def run(self) -> list[nodes.Node]:
        """Render the place of the figure, hidden until the script shows it."""
        name = self.arguments[0]
        if name not in known_figures():
            LOGGER.warning("no script draws %s", name, location=self.get_location())
            return []
        for script in SCRIPTS.glob("*"):
            self.env.note_dependency(str(script))
        figures = self.env.metadata[self.env.docname].setdefault("interactive", "").split()
        self.env.metadata[self.env.docname]["interactive"] = " ".join([*figures, name])
        hidden = "" if self.content else " hidden"
        opening = f'<div class="interactive" data-figure="{name}"{hidden}>{self.start(name)}'
        fallback = nodes.container(classes=["interactive-fallback"])
        self.state.nested_parse(self.content, self.content_offset, fallback)
        parts = [fallback] if self.content else []
        return [
            nodes.raw("", opening, format="html"),
            *parts,
            nodes.raw("", "</div>", format="html"),
        ]

    def start(self, name: str) -> str:
        """The JSON that the figure starts from, or nothing."""
        from companion.interactive import STARTS  # here: most builds of the tests need no torch

        if name == "failure-ladder":
            path = Path(self.env.doc2path(self.env.docname))
            data = ladder(json.loads(path.read_text(encoding="utf-8")))
        elif name in STARTS:
            data = STARTS[name]()
        else:
            return ""
        text = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
        return f'<script type="application/json">{text}</script>'


def copy_scripts(app: Sphinx) -> None:
    """Put the scripts into the HTML, before the pages ask for their checksums."""
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / TARGET
    target.mkdir(parents=True, exist_ok=True)
    for path in SCRIPTS.iterdir():
        shutil.copy2(path, target / path.name)


def add_scripts(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Load the scripts on a page that has a figure, and on no other."""
    figures = app.env.metadata.get(pagename, {}).get("interactive", "").split()
    if not figures:
        return
    app.add_css_file(f"{TARGET}/{STYLE}")
    more = [script for figure in figures for script in MORE.get(figure, ())]
    for script in (*COMMON, *more):
        app.add_js_file(f"{TARGET}/{script}", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("interactive", InteractiveDirective)
    app.connect("builder-inited", copy_scripts)
    app.connect("html-page-context", add_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
