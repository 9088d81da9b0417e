"""Keep ``book/_src/**/*.md`` and ``book/**/*.ipynb`` the same, and execute what changed.

The text is what is edited; the notebook is the text, executed. A notebook is executed again when
its text changed, or when the modules of the package that it imports, or the recorded results that
it checks, did. The notebook keeps the two digests that decide this in its metadata. A notebook that
was edited by itself, say in JupyterLab without jupytext, gives its text back. When an execution
fails, the old notebook stays.

Run it as ``python book/_tools/notebooks.py [--check] [--force] [NAME ...]``.
"""

# Nbformat has no types.
# mypy: disable-error-code="no-untyped-call"

import argparse
import ast
import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from companion.files import write_atomically

sys.path.insert(0, str(Path(__file__).parent))
import processor
from notebook_checks import problems

CELL_TIMEOUT = 600
RUN_TIMES = "book/run_times.json"
# What a run took, asked of its own kernel: processor seconds of all threads, and the most memory.
METER = """import resource
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(each.ru_utime + each.ru_stime for each in used), max(each.ru_maxrss for each in used))"""
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
# What front ends add to cells and readers do not need.
EPHEMERAL = frozenset(
    {"execution", "trusted", "collapsed", "scrolled", "editable", "slideshow", "vscode", "jupyter"}
)
HEADER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
FAILURES = (CellExecutionError, CellTimeoutError, DeadKernelError)
# The first code cell of each notebook of a published book: Colab has none of the packages.
INSTALL = """try:
    import companion
except ImportError:
    get_ipython().run_line_magic(
        "pip", 'install --quiet "large-models-at-work[book] @ git+{url}@{branch}"'
    )"""


class Pair:
    """One notebook in its two forms.

    Attributes:
        root: The repository.
        text: The MyST file in ``book/_src``.
        notebook: The executed notebook in ``book``.
        name: Its name for people, as ``project/model``.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.name = name
        self.text = root / "book" / "_src" / f"{name}.md"
        self.notebook = root / "book" / f"{name}.ipynb"

    def read_text(self) -> Any:
        """Read the text as a notebook without outputs, whose cell ids depend on the cells alone."""
        notebook = jupytext.read(self.text, fmt="md:myst")
        place = self._first_code(notebook)
        notebook.cells[place:place] = install_cells(self.root)
        seen: dict[str, int] = {}
        for cell in notebook.cells:
            content = f"{cell.cell_type}\n{cell.source}"
            seen[content] = seen.get(content, 0) + 1
            cell["id"] = digest(f"{content}\n{seen[content]}")[:12]
        notebook.nbformat, notebook.nbformat_minor = 4, 5
        notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
        return notebook

    @staticmethod
    def _first_code(notebook: Any) -> int:
        kinds = [cell.cell_type for cell in notebook.cells]
        return kinds.index("code") if "code" in kinds else len(kinds)

    def read_notebook(self) -> Any:
        """Read the notebook, or None where there is none."""
        return nbformat.read(self.notebook, as_version=4) if self.notebook.exists() else None


def install_cells(root: Path) -> list[Any]:
    """The cell that installs the package, if ``_config.yml`` says where the book is published."""
    path = root / "_config.yml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    repository = settings.get("repository", {})
    if not repository.get("url"):
        return []
    source = INSTALL.format(url=repository["url"], branch=repository.get("branch", "main"))
    return [nbformat.v4.new_code_cell(source, metadata={"tags": ["remove-cell"]})]


def pairs(root: Path) -> list[Pair]:
    """Every text in ``book/_src``, as a pair; its notebook need not exist yet."""
    source = root / "book" / "_src"
    return [
        Pair(root, path.relative_to(source).with_suffix("").as_posix())
        for path in sorted(source.rglob("*.md"))
    ]


def orphans(root: Path) -> list[str]:
    """The notebooks that have no text."""
    book = root / "book"
    known = {pair.notebook for pair in pairs(root)}
    found = (path for path in book.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    return [path.relative_to(book).as_posix() for path in sorted(found) if path not in known]


def digest(text: str) -> str:
    """A short SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_digest(notebook: Any) -> str:
    """The digest of what an author writes: kinds, sources and metadata of the cells."""
    cells = [
        [
            cell.cell_type,
            cell.source.strip(),
            {k: v for k, v in cell.metadata.items() if k not in EPHEMERAL},
        ]
        for cell in notebook.cells
    ]
    return digest(json.dumps(cells, sort_keys=True, ensure_ascii=False))


def imported(code: str, package: str = "companion") -> set[str]:
    """The modules of the package that code imports, wherever; names imported from them count."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == package}


def dependencies(root: Path, notebook: Any) -> list[Path]:
    """The files that a notebook's outputs depend on.

    Args:
        root: The repository.
        notebook: The notebook.

    Returns:
        The modules of the package that it imports, and theirs; all modules where it runs the
        command line; the recorded results too where it reads them.
    """
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    python = "\n".join("pass" if re.match(r"\s*[%!]", line) else line for line in code.splitlines())
    try:
        waiting = imported(python)
    except SyntaxError:
        waiting = {"companion.cli"}
    if re.search(
        r"""^\s*[%!].*companion|["'](?:companion|-m)["' ]|companion\.cli""", code, re.MULTILINE
    ):
        waiting.add("companion.cli")
    files = set(_closure(root, waiting))
    if root / "companion" / "ledger.py" in files:
        files |= set((root / "book" / "results").rglob("*.json"))
    return sorted(files)


def _closure(root: Path, names: set[str]) -> Iterator[Path]:
    """Follow imports inside the package."""
    waiting, done = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        waiting += [name.rpartition(".")[0]] if "." in name else []
        base = root.joinpath(*name.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                yield path
                waiting += imported(path.read_text(encoding="utf-8"))


def fingerprint(root: Path, notebook: Any) -> str:
    """The digest of all that a notebook depends on."""
    files = dependencies(root, notebook)
    return digest(
        "\n".join(
            f"{path.relative_to(root).as_posix()} {digest(path.read_text('utf-8'))}"
            for path in files
        )
    )


def state(pair: Pair) -> str:
    """Say how the two forms stand to each other.

    Args:
        pair: The pair.

    Returns:
        ``fresh``; ``missing`` (no notebook yet); ``text`` (the text was edited); ``notebook`` (the
        notebook was edited); ``both`` (both were, differently); or ``package`` (what it imports
        changed).
    """
    text, notebook = pair.read_text(), pair.read_notebook()
    if notebook is None:
        return "missing"
    kept = notebook.metadata.get("companion", {})
    ours, theirs = source_digest(text), source_digest(notebook)
    if ours != theirs:
        if "source" not in kept or kept["source"] == theirs:
            return "text"
        return "notebook" if kept["source"] == ours else "both"
    if kept.get("source") != ours:
        return "text"
    return "fresh" if kept.get("fingerprint") == fingerprint(pair.root, text) else "package"


def execute(pair: Pair, timeout: int = CELL_TIMEOUT) -> tuple[Any, dict[str, float]]:
    """Execute the text in a fresh kernel, in the folder of the notebook.

    Args:
        pair: The pair.
        timeout: Seconds that a cell may take.

    Returns:
        The executed notebook, ready to be written, and what it took: ``seconds`` of a processor
        and ``gigabytes`` of memory.

    Raises:
        RuntimeError: If a cell fails or takes too long, or the result is no notebook for readers;
            it says which cell.
    """
    notebook = pair.read_text()
    notebook.cells.append(nbformat.v4.new_code_cell(METER))
    folder = pair.notebook.parent
    folder.mkdir(parents=True, exist_ok=True)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute()
    except FAILURES as error:
        raise RuntimeError(f"{where(notebook)}\n{error}") from error
    took = reading(notebook.cells.pop())
    tidy(notebook)
    if found := problems(notebook):
        raise RuntimeError("\n".join(map(str, found)))
    notebook.metadata["companion"] = {
        "fingerprint": fingerprint(pair.root, notebook),
        "source": source_digest(notebook),
    }
    return notebook, took


def reading(cell: Any) -> dict[str, float]:
    """Read the meter's cell."""
    printed = "".join(out.text for out in cell.outputs if out.get("name") == "stdout")
    seconds, kilobytes = map(float, printed.split())
    return {"seconds": round(seconds, 1), "gigabytes": round(kilobytes / 2**20, 2)}


def note_run_time(root: Path, name: str, took: dict[str, float]) -> None:
    """Keep what the last run of a notebook took, for the page that lists it."""
    path = root / RUN_TIMES
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    lines = [
        f"{json.dumps(key)}: {json.dumps(value)}"
        for key, value in sorted((kept | {name: took}).items())
    ]
    write(path, "{\n" + ",\n".join(lines) + "\n}\n")


def where(notebook: Any) -> str:
    """Name the last code cell that started."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    started = [
        number for number, cell in enumerate(cells, 1) if cell.execution_count or cell.outputs
    ]
    return f"code cell {started[-1] if started else 1}:"


def tidy(notebook: Any) -> None:
    """Drop what differs from machine to machine and no reader wants."""
    notebook.metadata.get("language_info", {}).pop("version", None)
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                print(
                    f"  code cell {number} wrote to stderr, which is not kept: "
                    f"{output.text.strip()[-300:]}"
                )
            if output.output_type == "error":
                output.traceback = [relative(line) for line in output.traceback]
        cell.outputs = [
            out
            for out in cell.outputs
            if (out.output_type, out.get("name")) != ("stream", "stderr")
        ]


def relative(line: str) -> str:
    """Shorten the paths of a traceback to what is the same everywhere."""
    line = re.sub(r"(?:~|/)[^\s:'\"]*?/site-packages/", "site-packages/", line)
    line = re.sub(r"(?:~|/)[^\s:'\"]*?/lib/(python3\.\d+)/", r"\1/", line)
    root = str(Path(__file__).resolve().parents[2])
    for prefix in (root, root.replace(str(Path.home()), "~", 1)):
        line = line.replace(f"{prefix}/", "")
    return line


def write(path: Path, content: str) -> None:
    """Write a text file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.encode("utf-8"))


def give_back(pair: Pair) -> None:
    """Write the text of a notebook that was edited by itself."""
    notebook = pair.read_notebook()
    language = notebook.metadata.get("language_info", {})
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": language})
    installs = {cell.source for cell in install_cells(pair.root)}
    notebook.cells = [cell for cell in notebook.cells if cell.source not in installs]
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {k: v for k, v in cell.metadata.items() if k not in EPHEMERAL}
        )
    header = HEADER.match(pair.text.read_text(encoding="utf-8"))
    body = HEADER.sub("", jupytext.writes(notebook, fmt="md:myst"), count=1)
    write(pair.text, (header.group() if header else "") + body)


def update(pair: Pair, *, force: bool = False, timeout: int = CELL_TIMEOUT) -> bool:
    """Bring a pair up to date.

    Args:
        pair: The pair.
        force: Execute it whatever its state.
        timeout: Seconds that a cell may take.

    Returns:
        Whether it is up to date now.
    """
    found = state(pair)
    if found == "both":
        print(
            f"{pair.name}: the text and the notebook were both edited; "
            "choose one, and delete or revert the other"
        )
        return False
    if found == "notebook":
        give_back(pair)
        print(f"{pair.name}: edited as a notebook; its text now says the same")
    if found == "fresh" and not force:
        return True
    started = time.perf_counter()
    try:
        notebook, took = execute(pair, timeout)
    except RuntimeError as error:
        print(f"{pair.name}: not replaced, {error}")
        return False
    write(pair.notebook, nbformat.writes(notebook) + "\n")
    note_run_time(pair.root, pair.name, took)
    print(f"{pair.name}: executed in {time.perf_counter() - started:.0f} s ({found})")
    return True


def differences(root: Path) -> list[str]:
    """The pairs that are not the same notebook, and the notebooks without a text.

    Args:
        root: The repository.

    Returns:
        One line for each. A notebook that is older than the package is no difference: nbval judges
        its outputs.
    """
    lines = [f"{name}: has no text in book/_src" for name in orphans(root)]
    for pair in pairs(root):
        notebook = pair.read_notebook()
        if "formats" in jupytext.read(pair.text, fmt="md:myst").metadata.get("jupytext", {}):
            lines.append(
                f"{pair.name}: its header has `formats:`, "
                "which belongs to jupytext.toml; delete the line"
            )
        if notebook is None:
            lines.append(f"{pair.name}: has no notebook; run make notebooks")
        elif source_digest(pair.read_text()) != source_digest(notebook):
            lines.append(f"{pair.name}: the text and the notebook differ; run make notebooks")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the command; those of the process if None.

    Returns:
        0 if every pair is up to date, otherwise 1.
    """
    about = "Execute the notebooks whose text or package changed."
    parser = argparse.ArgumentParser(prog="notebooks.py", description=about)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="only these, as project/model; all if none is named",
    )
    parser.add_argument(
        "--check", action="store_true", help="report the pairs that differ, change nothing"
    )
    parser.add_argument("--force", action="store_true", help="execute what is fresh, too")
    parser.add_argument(
        "--timeout", type=int, default=CELL_TIMEOUT, help="seconds that a cell may take"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(__file__).resolve().parents[2], help=argparse.SUPPRESS
    )
    options = parser.parse_args(arguments)
    processor.pin()
    if options.check:
        lines = differences(options.root)
        print("\n".join(lines) or "every notebook equals its text")
        return int(bool(lines))
    chosen = [
        pair for pair in pairs(options.root) if not options.names or pair.name in options.names
    ]
    if unknown := set(options.names) - {pair.name for pair in chosen}:
        parser.error(f"no text in book/_src for: {', '.join(sorted(unknown))}")
    done = [update(pair, force=options.force, timeout=options.timeout) for pair in chosen]
    for name in orphans(options.root):
        print(f"{name}: has no text in book/_src; write it with: jupytext --to md:myst")
    return int(not all(done) or bool(orphans(options.root)))


if __name__ == "__main__":
    sys.exit(main())
