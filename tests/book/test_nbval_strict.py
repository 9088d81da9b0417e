"""nbval with our plugin, fed a good notebook and one in which every cell is bad in its own way.

One run of pytest judges both: two kernels.
"""

import base64
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_output
from PIL import Image

TOOLS = Path(__file__).parents[2] / "book" / "_tools"
DRAW = """import base64
from IPython.display import Image, display
display(Image(base64.b64decode("{picture}")), metadata={{}})"""


def png(changed: int = 0, level: int = 255, width: int = 60) -> str:
    """A white picture of which some pixels are darker by ``level``."""
    pixels = np.full((40, width, 3), 255, dtype=np.uint8)
    pixels.reshape(-1, 3)[:changed] -= np.uint8(level)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def stream(text: str, name: str = "stdout") -> Any:
    return new_output("stream", name=name, text=text)


def figure(picture: str) -> Any:
    return new_output(
        "display_data",
        data={"image/png": picture, "text/plain": "<IPython.core.display.Image object>"},
    )


def error() -> Any:
    return new_output(
        "error",
        ename="ZeroDivisionError",
        evalue="division by zero",
        traceback=["division by zero"],
    )


RAISES = {"tags": ["raises-exception"]}
UNCOMPARED = {"nbval_reason": "a test"}
TEXT = {"text/plain": "<IPython.core.display.Image object>"}

GOOD = [
    ("print(1)", [stream("1\n")], {}),
    ("1 / 0", [error()], RAISES),
    ("import sys; print('noise', file=sys.stderr)", [], {}),
    ("import sys; print('noise', file=sys.stderr)", [stream("other noise", "stderr")], {}),
    (DRAW.format(picture=png(2)), [figure(png())], {}),
    (DRAW.format(picture=png(2400, 20)), [figure(png())], {}),
    (DRAW.format(picture=png(50)), [figure(png())], {"metadata": {"figure_tolerance": 0.03}}),
    ("6 * 7;", [], {}),
    (
        "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['PYTHONHASHSEED'])",
        [stream("1 0\n")],
        {},
    ),
    (
        "import time; print(time.time())",
        [stream("0\n")],
        {"tags": ["nbval-ignore-output"], "metadata": UNCOMPARED},
    ),
    ("1 / 0", [], {"tags": ["skip-execution"], "metadata": UNCOMPARED, "execution_count": None}),
]
# Each cell, and what the report must say of it.
BAD = [
    ("print(1)", [stream("2\n")], {}, "mismatch 'stdout'"),
    ("print(1)", [], {}, "Unexpected output fields from running code: {'stdout'}"),
    ("x = 1", [stream("1\n")], {}, "Missing output fields from running code: {'stdout'}"),
    (
        DRAW.format(picture=png()),
        [new_output("display_data", data=TEXT)],
        {},
        "0 figures are stored, 1 were drawn",
    ),
    ("", [figure(png())], {}, "Missing output fields"),
    (DRAW.format(picture=png(50)), [figure(png())], {}, "2.08% of the pixels differ"),
    (
        DRAW.format(picture=png(50)),
        [figure(png())],
        {"metadata": {"figure_tolerance": 0.01}},
        "differ, 1.00% may",
    ),
    (
        DRAW.format(picture=png(width=61)),
        [figure(png())],
        {},
        "stored 60 × 40 pixels, drawn 61 × 40",
    ),
    ("x = 1", [error()], RAISES, "Missing output fields"),
    (
        "x = 2",
        [error()],
        {"tags": ["raises-exception", "nbval-ignore-output"], "metadata": UNCOMPARED},
        "tagged raises-exception and raised nothing",
    ),
    ("x = 3", [], RAISES, "tagged raises-exception and raised nothing"),
    ("1 / 0", [], {}, "Cell execution caused an exception"),
]
# What the stored notebook shows without a kernel.
STORED = [
    ("x = 4", [], {"execution_count": None}, "it was never run"),
    ("x = 5", [], {"execution_count": 99}, "it ran as number 99 where 14 is due"),
    ("1 / 0", [error()], {}, "it stores ZeroDivisionError"),
    ("x = 6", [], {"tags": ["nbval-skip"]}, "nbval-skip without a reason"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, make_notebook: Callable[..., Any]) -> str:
    """What one strict run says about both notebooks."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    nbformat.write(make_notebook(*GOOD), folder / "good.ipynb")
    nbformat.write(make_notebook(*(cell[:3] for cell in BAD + STORED)), folder / "bad.ipynb")
    options = ["-p", "nbval_strict", "--nbval", "-rA", "-p", "no:cacheprovider", "--color=no"]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(TOOLS)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stdout


def section(report: str, item: str) -> str:
    """The part of the report about one item of the bad notebook."""
    found = re.search(
        rf"^_+ bad\.ipynb::{item} _+$(.*?)(?=^_{{3,}} |^={{3,}} )", report, re.MULTILINE | re.DOTALL
    )
    assert found, f"{item} did not fail:\n{report}"
    return found.group(1)


def test_a_good_notebook_passes(report: str) -> None:
    assert not re.search(r"FAILED good\.ipynb", report), report
    assert len(re.findall(r"PASSED good\.ipynb", report)) == len(GOOD), report
    assert "PASSED good.ipynb::stored" in report


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_cell_that_differs_from_its_run_fails(report: str, number: int) -> None:
    assert BAD[number][3] in section(report, f"Cell {number}")


@pytest.mark.parametrize("number", range(len(STORED)))
def test_what_only_the_file_shows_fails_too(report: str, number: int) -> None:
    stored = section(report, "stored").splitlines()
    (line,) = [line for line in stored if line.startswith(f"code cell {len(BAD) + number + 1}:")]
    assert STORED[number][3] in line


def test_the_notebooks_of_the_book_are_judged_by_the_plugin() -> None:
    """The conftest at the root puts the plugin in place."""
    root = TOOLS.parents[1]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "book",
    ]
    listing = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120).stdout
    notebooks = [
        path for path in (root / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
    ]
    assert listing.count("::stored") == len(notebooks), listing
