"""The pairs of text and notebook: when they are executed, what is kept, and what is refused."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import notebooks
import pytest

ROOT = Path(__file__).parents[2]
TEXT = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A page

Some *prose*.

```{code-cell} ipython3
from companion import greeting
import sys
print(greeting.WORD)
print("noise", file=sys.stderr)
```

```{code-cell} ipython3
:tags: [raises-exception]

{}["missing"]
```

```{code-cell} ipython3
import pathlib
pathlib.Path.cwd().name
```
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one page, executed once."""
    root = tmp_path_factory.mktemp("executed")
    (root / "companion").mkdir()
    (root / "companion" / "__init__.py").touch()
    (root / "companion" / "greeting.py").write_text(
        'from companion.deep import WORD\n__all__ = ["WORD"]\n'
    )
    (root / "companion" / "deep.py").write_text('WORD = "hello"\n')
    (root / "companion" / "other.py").touch()
    (root / "companion" / "ledger.py").touch()
    text = root / "book" / "_src" / "chapter" / "page.md"
    text.parent.mkdir(parents=True)
    text.write_text(TEXT, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(root))
        assert notebooks.main(["--root", str(root)]) == 0
    return root


@pytest.fixture
def root(executed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that repository, to be changed."""
    copy = tmp_path / "repository"
    shutil.copytree(executed, copy)
    monkeypatch.setenv("PYTHONPATH", str(copy))
    return copy


def page(root: Path) -> notebooks.Pair:
    (pair,) = notebooks.pairs(root)
    return pair


def edit(path: Path, old: str, new: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new), encoding="utf-8")


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_is_the_text_executed(executed: Path) -> None:
    notebook = page(executed).read_notebook()
    nbformat.validate(notebook)
    first, second, third = code(notebook)
    assert [cell.execution_count for cell in (first, second, third)] == [1, 2, 3]
    assert [output.name for output in first.outputs] == ["stdout"], "stderr is not kept"
    assert first.outputs[0].text == "hello\n"
    assert second.outputs[0].ename == "KeyError"
    assert third.outputs[0].data["text/plain"] == "'chapter'", "it runs in its own folder"
    assert "version" not in notebook.metadata.language_info
    assert notebooks.state(page(executed)) == "fresh"


def test_executing_twice_gives_the_same_bytes(root: Path) -> None:
    before = hashlib.sha256(page(root).notebook.read_bytes()).hexdigest()
    assert notebooks.main(["--root", str(root), "--force"]) == 0
    assert hashlib.sha256(page(root).notebook.read_bytes()).hexdigest() == before


def test_what_a_run_took_is_kept(root: Path) -> None:
    (took,) = json.loads((root / notebooks.RUN_TIMES).read_text()).values()
    assert 0.1 < took["seconds"] < 60
    assert 0.01 < took["gigabytes"] < 2
    (root / notebooks.RUN_TIMES).write_text('{"another/page": {"seconds": 1, "gigabytes": 2}}')
    assert notebooks.main(["--root", str(root), "--force"]) == 0
    kept = json.loads((root / notebooks.RUN_TIMES).read_text())
    assert list(kept) == ["another/page", "chapter/page"]
    assert all("getrusage" not in cell.source for cell in code(page(root).read_notebook()))


def test_a_published_notebook_installs_the_package_first(root: Path) -> None:
    text = page(root).text.read_text(encoding="utf-8")
    (root / "_config.yml").write_text(
        "repository: {url: https://github.com/someone/book, branch: main}"
    )
    assert notebooks.state(page(root)) == "text"
    assert notebooks.main(["--root", str(root)]) == 0
    first, second, *_ = code(page(root).read_notebook())
    assert "large-models-at-work[book] @ git+https://github.com/someone/book@main" in first.source
    assert first.metadata.tags == ["remove-cell"]
    assert first.execution_count == 1
    assert not first.outputs
    assert second.outputs[0].text == "hello\n"
    assert notebooks.state(page(root)) == "fresh"
    notebooks.give_back(page(root))
    assert (
        page(root).text.read_text(encoding="utf-8").split("# A page")[1]
        == text.split("# A page")[1]
    )


def test_every_notebook_of_the_book_has_its_run_time() -> None:
    taken = json.loads((ROOT / notebooks.RUN_TIMES).read_text(encoding="utf-8"))
    assert sorted(taken) == [pair.name for pair in notebooks.pairs(ROOT)]


def test_what_is_fresh_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "execute", lambda *_: pytest.fail("executed"))
    assert notebooks.main(["--root", str(root)]) == 0


def test_an_edited_text_is_executed(root: Path) -> None:
    edit(page(root).text, "print(greeting.WORD)", "print(greeting.WORD.upper())")
    assert notebooks.state(page(root)) == "text"
    assert notebooks.main(["--root", str(root)]) == 0
    assert code(page(root).read_notebook())[0].outputs[0].text == "HELLO\n"


def test_edited_prose_is_enough(root: Path) -> None:
    edit(page(root).text, "*prose*", "*words*")
    assert notebooks.state(page(root)) == "text"


def test_the_ids_of_unchanged_cells_stay(root: Path) -> None:
    before = [cell.id for cell in page(root).read_text().cells]
    edit(page(root).text, "Some *prose*.", "Some *words*.")
    after = [cell.id for cell in page(root).read_text().cells]
    assert before[1:] == after[1:]
    assert before[0] != after[0]
    assert len(set(after)) == len(after)


def test_a_module_behind_an_imported_one_makes_it_stale(root: Path) -> None:
    edit(root / "companion" / "deep.py", "hello", "good day")
    assert notebooks.state(page(root)) == "package"
    assert notebooks.differences(root) == [], "nbval judges that, not the comparison of the pair"


def test_a_module_that_is_not_imported_does_not(root: Path) -> None:
    (root / "companion" / "other.py").write_text("X = 1\n")
    assert notebooks.state(page(root)) == "fresh"


def test_the_recorded_results_count_for_those_who_read_them(root: Path) -> None:
    results = root / "book" / "results"
    results.mkdir()
    (results / "toy.json").write_text("[]")
    assert notebooks.state(page(root)) == "fresh"
    edit(
        page(root).text, "from companion import greeting", "from companion import greeting, ledger"
    )
    assert results / "toy.json" in notebooks.dependencies(root, page(root).read_text())


@pytest.mark.parametrize(
    "line", ["!companion train --corpus bbc", "%run -m companion", "run(['companion', 'train'])"]
)
def test_the_command_line_counts_as_all_that_it_imports(root: Path, line: str) -> None:
    (root / "companion" / "cli.py").write_text("def main():\n    import companion.other\n")
    edit(page(root).text, "import pathlib\n", f"import pathlib\n{line}\n")
    names = {path.name for path in notebooks.dependencies(root, page(root).read_text())}
    assert {"cli.py", "other.py"} <= names


def test_an_edited_notebook_gives_its_text_back(root: Path) -> None:
    notebook = page(root).read_notebook()
    notebook.cells[0].source = notebook.cells[0].source.replace(
        "*prose*", "*an edit in JupyterLab*"
    )
    nbformat.write(notebook, page(root).notebook)
    assert notebooks.state(page(root)) == "notebook"
    assert notebooks.differences(root) == [
        "chapter/page: the text and the notebook differ; run make notebooks"
    ]
    notebooks.give_back(page(root))
    text = page(root).text.read_text(encoding="utf-8")
    assert text.replace("*an edit in JupyterLab*", "*prose*") == TEXT
    assert notebooks.differences(root) == []


def test_two_different_edits_are_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = page(root).read_notebook()
    notebook.cells[0].source += " Here."
    nbformat.write(notebook, page(root).notebook)
    edit(page(root).text, "*prose*", "*words*")
    before = page(root).text.read_bytes(), page(root).notebook.read_bytes()
    assert notebooks.main(["--root", str(root)]) == 1
    assert "both edited" in capsys.readouterr().out
    assert (page(root).text.read_bytes(), page(root).notebook.read_bytes()) == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 / 0", "code cell 3:"),
        ("import time; time.sleep(30)", "code cell 3:"),
        ("print(pathlib.Path.cwd())", "a path of one machine"),
    ],
)
def test_a_failed_execution_keeps_the_old_notebook(
    root: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    edit(page(root).text, "pathlib.Path.cwd().name", line)
    before = page(root).notebook.read_bytes()
    assert notebooks.main(["--root", str(root), "--timeout", "2"]) == 1
    said = capsys.readouterr().out
    assert "not replaced" in said
    assert message in said
    assert page(root).notebook.read_bytes() == before
    assert [path.name for path in page(root).notebook.parent.iterdir()] == ["page.ipynb"]


def test_check_reports_and_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert notebooks.main(["--root", str(root), "--check"]) == 0
    edit(page(root).text, "*prose*", "*words*")
    shutil.copy(page(root).notebook, root / "book" / "alone.ipynb")
    (root / "book" / "_src" / "new.md").write_text("# New\n", encoding="utf-8")
    notebook = root / "book" / "chapter" / "page.ipynb"
    before = notebook.read_bytes()
    assert notebooks.main(["--root", str(root), "--check"]) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "alone.ipynb: has no text in book/_src",
        "chapter/page: the text and the notebook differ; run make notebooks",
        "new: has no notebook; run make notebooks",
    ]
    assert notebook.read_bytes() == before


def test_a_header_that_pairs_by_itself_is_refused(root: Path) -> None:
    edit(page(root).text, "jupytext:\n", "jupytext:\n  formats: ipynb,md:myst\n")
    (line,) = notebooks.differences(root)
    assert "belongs to jupytext.toml" in line


def test_paths_in_tracebacks_become_relative() -> None:
    home = Path.home()
    assert (
        notebooks.relative(f"File {ROOT}/companion/cli.py:3, in main")
        == "File companion/cli.py:3, in main"
    )
    assert (
        notebooks.relative("File ~/x/.venv/lib/python3.11/site-packages/torch/nn.py:1")
        == "File site-packages/torch/nn.py:1"
    )
    assert (
        notebooks.relative("File /usr/lib/python3.11/json/decoder.py:9")
        == "File python3.11/json/decoder.py:9"
    )
    assert str(home) not in notebooks.relative(f"File {home}/v/lib/python3.12/site-packages/a.py")


def test_jupytext_pairs_the_folders(root: Path) -> None:
    """What JupyterLab does on saving: jupytext.toml brings the edit to the other side."""
    shutil.copy(ROOT / "jupytext.toml", root)
    (root / "book" / "index.md").write_text("# Not a notebook\n", encoding="utf-8")
    notebook = page(root).read_notebook()
    notebook.cells[0].source = notebook.cells[0].source.replace("*prose*", "*an edit*")
    nbformat.write(notebook, page(root).notebook)
    command = [sys.executable, "-m", "jupytext", "--sync", "book/chapter/page.ipynb"]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=60)
    assert notebooks.differences(root) == []
    assert "*an edit*" in page(root).text.read_text(encoding="utf-8")
    assert "companion:" not in page(root).text.read_text(encoding="utf-8"), (
        "the digests stay out of the text"
    )
    assert notebooks.differences(root) == []
    assert sorted(path.name for path in (root / "book").rglob("*.md")) == ["index.md", "page.md"]


def test_the_pairs_of_the_book_are_equal() -> None:
    assert notebooks.differences(ROOT) == []
