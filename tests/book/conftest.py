"""Small notebooks and books for the tests of the book's machinery."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
for folder in ("_tools", "_ext"):
    sys.path.insert(0, str(ROOT / "book" / folder))

Cell = tuple[str, list[Any], dict[str, Any]]


@pytest.fixture(scope="session")
def make_notebook() -> Callable[..., Any]:
    """Build an executed notebook from cells ``(source, outputs, changes)``."""

    def make(*cells: Cell) -> Any:
        notebook = nbformat.v4.new_notebook()
        notebook.metadata["kernelspec"] = {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        }
        notebook.cells.append(nbformat.v4.new_markdown_cell("# A notebook\n"))
        for number, (source, outputs, changes) in enumerate(cells, 1):
            tags = {"tags": changes["tags"]} if "tags" in changes else {}
            metadata = tags | changes.get("metadata", {})
            count = changes.get("execution_count", number)
            cell = nbformat.v4.new_code_cell(
                source, outputs=outputs, execution_count=count, metadata=metadata
            )
            notebook.cells.append(cell)
        return notebook

    return make
