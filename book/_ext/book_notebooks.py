"""A page that is a notebook must be one whose run went well.

The book is built from stored outputs, so nothing fails when a stored output is an error. This
extension applies :mod:`notebook_checks` to every page that is a notebook; each problem is a
warning, which ``-W`` turns into an error.
"""

import json
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

sys.path.insert(0, str(Path(__file__).parents[1] / "_tools"))
from notebook_checks import problems

LOGGER = logging.getLogger(__name__)


def check(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Warn of each problem of each notebook, in every build."""
    for docname in sorted(env.found_docs):
        path = Path(env.doc2path(docname))
        if path.suffix == ".ipynb":
            for problem in problems(json.loads(path.read_text(encoding="utf-8"))):
                LOGGER.warning(str(problem), location=docname)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("env-before-read-docs", check)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
