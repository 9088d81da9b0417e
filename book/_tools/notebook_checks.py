"""What a stored notebook must be, so that comparing it with a new run means something.

nbval compares the outputs of a run with the stored ones. It is silent where nothing is stored: a
cell that never ran, a figure that is missing, an exception that does not come. These checks read
the file alone, without a kernel; ``nbval_strict`` makes pytest apply them, the Sphinx extension
applies them to the pages, and ``notebooks`` applies them before it replaces a notebook.
"""

import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RAISES = frozenset({"raises-exception", "nbval-raises-exception"})
SKIPS = frozenset({"nbval-skip", "skip-execution"})
IGNORES = frozenset({"nbval-ignore-output", "pytest-validate-ignore-output"})
REASON = "nbval_reason"
ROOT = Path(__file__).resolve().parents[2]

# Folders of one machine; a path below one of them means nothing to a reader.
HOME_FOLDERS = r"(?<![\w.~/:-])(?:/(?:home|root|Users|tmp|private|mnt)/|[A-Z]:\\Users\\)[\w.-]+"


@dataclass(frozen=True)
class Problem:
    """Something wrong in a notebook.

    Attributes:
        cell: The number of the code cell, from 1.
        message: What is wrong and what to do.
    """

    cell: int
    message: str

    def __str__(self) -> str:
        return f"code cell {self.cell}: {self.message}"


def code_cells(notebook: Any) -> list[Any]:
    """The code cells of a notebook, in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def tags(cell: Any) -> frozenset[str]:
    """The tags of a cell, with the comments that nbval reads as tags."""
    found = set(cell["metadata"].get("tags", []))
    for line in str(cell["source"]).splitlines():
        comment = line.strip().lstrip("#").strip().lower().replace("_", "-")
        if line.strip().startswith("#") and comment in RAISES | SKIPS | IGNORES:
            found.add(comment)
    return frozenset(found)


def problems(notebook: Any) -> list[Problem]:
    """Apply every check to a notebook.

    Args:
        notebook: The notebook, as nbformat or json reads it.

    Returns:
        What is wrong, in the order of the cells; empty if nothing is.
    """
    found: list[Problem] = []
    expected = 0
    for number, cell in enumerate(code_cells(notebook), 1):
        skipped = bool(tags(cell) & SKIPS)
        expected += not (skipped and cell["execution_count"] is None)
        messages = [
            *order(cell, expected, skipped),
            *exceptions(cell),
            *reasons(cell),
            *paths(cell),
        ]
        found += [Problem(number, message) for message in messages]
    return found


def order(cell: Any, expected: int, skipped: bool) -> list[str]:
    """Every cell ran, once, from the top to the bottom of a fresh kernel."""
    count = cell["execution_count"]
    if not str(cell["source"]).strip():
        return ["it is empty; delete it"]
    if count is None:
        return [] if skipped else ["it was never run; execute the notebook (make notebooks)"]
    if count != expected:
        return [
            f"it ran as number {count} where {expected} is due; "
            "run all cells in order in a fresh kernel"
        ]
    return []


def exceptions(cell: Any) -> list[str]:
    """A cell stores an error if, and only if, its tag announces one."""
    errors = [output for output in cell["outputs"] if output["output_type"] == "error"]
    announced = bool(tags(cell) & RAISES)
    if errors and not announced:
        return [
            f"it stores {errors[0]['ename']}: {errors[0]['evalue']}; "
            "correct it, or tag it raises-exception"
        ]
    if announced and not errors and cell["execution_count"] is not None:
        return [
            "it is tagged raises-exception and stores no error; remove the tag, or make it raise"
        ]
    return []


def reasons(cell: Any) -> list[str]:
    """A tag that keeps nbval from comparing says why."""
    silenced = sorted(tags(cell) & (SKIPS | IGNORES))
    if silenced and not str(cell["metadata"].get(REASON, "")).strip():
        return [
            f"it is tagged {', '.join(silenced)} without a reason; "
            f"write one into its metadata as {REASON}"
        ]
    return []


def paths(cell: Any) -> list[str]:
    """No output holds an absolute path of the machine that ran the notebook."""
    for output in cell["outputs"]:
        if path := machine_path(texts(output)):
            return [f"its output holds {path!r}, a path of one machine; print a relative one"]
    return []


def machine_path(text: str) -> str | None:
    """Find the first absolute path of this or a similar machine in a text."""
    known = [str(ROOT), sys.prefix, str(Path.home()), tempfile.gettempdir()]
    exact = "|".join(re.escape(path) for path in known if len(path) > 1)
    match = re.search(rf"{HOME_FOLDERS}|(?<![\w.~/:-])(?:{exact})(?![\w.-])", text)
    return match.group() if match else None


def texts(output: Any) -> str:
    """All that an output says in words, without its colours; pictures are left out."""
    parts = [output.get("text", ""), output.get("ename", ""), output.get("evalue", "")]
    parts += output.get("traceback", [])
    parts += [
        value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")
    ]
    joined = "\n".join("".join(part) if isinstance(part, list) else str(part) for part in parts)
    return re.sub(r"\x1b\[[0-9;]*m", "", joined)
