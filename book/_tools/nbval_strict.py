"""A pytest plugin that makes ``--nbval`` strict.

On top of nbval it

- refuses what :mod:`notebook_checks` refuses, once for each notebook;
- compares figures by their pixels, which nbval does not compare at all;
- fails a ``raises-exception`` cell that raises nothing;
- ignores stderr, where progress bars and warnings go;
- keeps history in the kernel, as every front end does, so that ``_`` and a trailing ``;`` mean the
  same.
"""

import base64
import functools
import io
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import processor
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile
from notebook_checks import RAISES, SKIPS, problems, tags
from PIL import Image

# A pixel differs if a channel moves by more than LEVEL of 255; SHARE of the pixels may.
LEVEL = 32
SHARE = 0.001
# A cell that draws what was trained may allow more, since processors differ: its metadata names the
# share.
TOLERANCE = "figure_tolerance"


class StrictFile(IPyNbFile):  # type: ignore[misc]
    """A notebook: one item for the checks of the file, and one for each code cell."""

    def collect(self) -> Iterator[pytest.Item]:
        """Collect the file's own checks, and then the cells."""
        cells = [StrictCell.adopt(cell) for cell in super().collect()]
        yield StoredNotebook.from_parent(self, name="stored")
        yield from cells

    def setup(self) -> None:
        """Start the kernel; let it keep history."""
        super().setup()
        self.skip_compare: tuple[str, ...] = (*self.skip_compare, "stderr")
        client = self.kernel.kc
        client.execute = functools.partial(_with_history, client.execute)


class StoredNotebook(pytest.Item):
    """The checks that need no kernel."""

    def setup(self) -> None:
        """Nothing: the parent has started the kernel already."""

    def runtest(self) -> None:
        """Fail with every problem of the file."""
        if found := problems(self.parent.nb):  # type: ignore[union-attr]
            pytest.fail("\n".join(map(str, found)), pytrace=False)

    def reportinfo(self) -> tuple[Any, int, str]:
        """Name the item in reports."""
        return self.path, 0, f"{self.path.name}::stored"


class StrictCell(IPyNbCell):  # type: ignore[misc]
    """A cell whose figures and exceptions are compared too."""

    @classmethod
    def adopt(cls, cell: IPyNbCell) -> "StrictCell":
        """Make a strict cell out of one that nbval collected."""
        cell.options["skip"] = cell.options["skip"] or bool(tags(cell.cell) & SKIPS)
        strict: StrictCell = cls.from_parent(
            cell.parent,
            name=cell.name,
            cell_num=cell.cell_num,
            cell=cell.cell,
            options=cell.options,
        )
        return strict

    def runtest(self) -> None:
        """Run the cell, compare its outputs, and insist on the exception it announces."""
        super().runtest()
        raised = any(output.output_type == "error" for output in self.test_outputs or [])
        if tags(self.cell) & RAISES and not raised:
            self.raise_cell_error("The cell is tagged raises-exception and raised nothing")

    def compare_outputs(self, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        """Compare the texts as nbval does, and then the figures."""
        if not super().compare_outputs(test, ref, skip_compare):
            return False
        stored, new = list(figures(ref)), list(figures(test))
        if len(stored) != len(new):
            self.comparison_traceback.append(
                f"{len(stored)} figures are stored, {len(new)} were drawn"
            )
            return False
        share = self.cell["metadata"].get(TOLERANCE, SHARE)
        for number, (left, right) in enumerate(zip(stored, new, strict=True), 1):
            if difference := figure_difference(left, right, share):
                self.comparison_traceback.append(f"figure {number}: {difference}")
                return False
        return True


def figures(outputs: Iterable[Any]) -> Iterator[np.ndarray]:
    """The PNG and JPEG pictures of some outputs, as ``(height, width, 4)`` arrays."""
    for output in outputs:
        for kind, content in output.get("data", {}).items():
            if kind in {"image/png", "image/jpeg"}:
                with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
                    yield np.asarray(picture.convert("RGBA")).astype(np.int16)


def figure_difference(stored: np.ndarray, new: np.ndarray, allowed: float = SHARE) -> str:
    """Say how two figures differ; nothing if they agree within the tolerance."""
    if stored.shape != new.shape:
        return (
            f"stored {stored.shape[1]} × {stored.shape[0]} pixels, "
            f"drawn {new.shape[1]} × {new.shape[0]}"
        )
    share = float((np.abs(stored - new).max(axis=2) > LEVEL).mean())
    return f"{share:.2%} of the pixels differ, {allowed:.2%} may" if share > allowed else ""


def _with_history(execute: Any, code: str, **options: Any) -> Any:
    """Execute as a front end does."""
    return execute(code, **{**options, "store_history": True})


def pytest_configure(config: pytest.Config) -> None:
    """Give kernels the environment in which the notebooks were executed."""
    if config.option.nbval:
        processor.pin()


@pytest.hookimpl(hookwrapper=True)
def pytest_collect_file(file_path: Any, parent: pytest.Collector) -> Iterator[None]:
    """Put the strict notebook in the place of nbval's."""
    outcome = yield
    strict = [
        StrictFile.from_parent(parent, path=file_path) if type(node) is IPyNbFile else node
        for node in outcome.get_result()  # type: ignore[attr-defined]
    ]
    outcome.force_result(strict)  # type: ignore[attr-defined]
