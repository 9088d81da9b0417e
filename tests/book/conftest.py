"""Small notebooks and books for the tests of the book's machinery, and a browser."""

import functools
import gc
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup
from filelock import FileLock

ROOT = Path(__file__).parents[2]
for folder in ("_tools", "_ext"):
    sys.path.insert(0, str(ROOT / "book" / folder))

Cell = tuple[str, list[Any], dict[str, Any]]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
)


@pytest.fixture(scope="session")
def html(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The book, built once in a session, by the worker that needs it first, or by `make test`."""
    built = ROOT / "_build" / "html"
    if "BOOK_IS_BUILT" in os.environ:
        return built
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    with FileLock(shared / "html.lock"):
        if not (shared / "html.built").exists():
            jupyter_book = Path(sys.executable).with_name("jupyter-book")
            command = [jupyter_book, "build", "book", "-W", "-n", "--keep-going"]
            run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
            assert run.returncode == 0, run.stderr[-6000:]
            (shared / "html.built").touch()
    return built


@pytest.fixture(scope="session")
def pages(html: Path) -> dict[str, BeautifulSoup]:
    """Every page, parsed, by its path."""
    paths = sorted(
        path for path in html.rglob("*.html") if "_static" not in path.relative_to(html).parts
    )
    parse = functools.partial(BeautifulSoup, features="html.parser")
    # The trees stay until the end. Looking for garbage in them took half of the time, here and in
    # every test after this one.
    gc.disable()
    parsed = {
        path.relative_to(html).as_posix(): parse(path.read_text(encoding="utf-8")) for path in paths
    }
    gc.freeze()
    gc.enable()
    return parsed


@pytest.fixture(scope="session")
def server(html: Path) -> Iterator[str]:
    """The book behind a web server of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The machine's Chromium."""
    if CHROMIUM is None:
        pytest.skip("needs a chromium: sudo apt install chromium")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: pip install playwright"
    )
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield opened
        opened.close()


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
