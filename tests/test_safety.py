"""What is printed steers no terminal, no cell is a formula, and nothing is unpickled."""

import ast
import csv
import io
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.safety import LIMITS, Limits, for_csv, for_terminal

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b[31mred", r"\x1b[2J\x1b[31mred"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x1b]52;c;cm0gLXJm\x1b\\", r"\x1b]52;c;cm0gLXJm\x1b\\"[:-1]),
        ("\x9b31m one byte does it", r"\x9b31m one byte does it"),
        ("good\rbad", r"good\rbad"),
        ("one\nline\tonly\x0b\x0c\x85", r"one\nline\tonly\x0b\x0c\x85"),
        ("\x00\x08\x7f\x80\x9f", r"\x00\x08\x7f\x80\x9f"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        (
            "\u202a\u202b\u202c\u202d\u2066\u2067\u2068\u2069",
            r"\u202a\u202b\u202c\u202d\u2066\u2067\u2068\u2069",
        ),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_what_steers_a_terminal_is_shown(text: str, shown: str) -> None:
    assert for_terminal(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ~\xa0",
        "Stocks fall 3.5%: “why?”",
        "大模型在创业中的应用",
        "👩‍👩‍👧 🏽 🏴󠁧󠁢󠁥󠁮󠁧󠁿 e\u0301",
        "שלום \u200eעולם\u200f سلام\u200c",
        "back\\slash \\x1b",
    ],
)
def test_ordinary_text_is_printed_as_it_is(text: str) -> None:
    assert for_terminal(text) == text


@given(st.text(st.characters()))
def test_no_text_steers_a_terminal(text: str) -> None:
    shown = for_terminal(text)
    shown.encode("utf-8")
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in shown)
    assert not any(unicodedata.bidirectional(character) in BIDIRECTIONAL for character in shown)
    assert shown == "".join(shown.splitlines())
    assert for_terminal(shown) == shown


BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize(
    "start", [*"=+-@＝＋－＠", "\t", "\r", "\n", " =", "\ufeff=", "\u200b\xa0@"]
)
def test_a_formula_becomes_a_text(start: str) -> None:
    assert for_csv(f"{start}A1") == f"'{start}A1"


@pytest.mark.parametrize(
    "cell",
    ["", "Shares rose", "a=b", "3 - 2", " spaced", "'quoted", '"=1"', "大=1", "a@b.org", "—=1"],
)
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert for_csv(cell) == cell


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_no_cell_of_a_table_starts_a_formula(text: str) -> None:
    """Also not after the CSV library has quoted it and another has read it."""
    written = io.StringIO(newline="")
    csv.writer(written).writerow([for_csv(text), "next"])
    cell, beside = next(csv.reader(io.StringIO(written.getvalue(), newline="")))
    assert cell.removeprefix("'") == text.removeprefix("'")
    assert unicodedata.normalize("NFKC", cell).strip()[:1] not in ("=", "+", "-", "@")
    assert beside == "next"


def test_the_limits_in_force_are_the_documented_ones() -> None:
    """SECURITY.md prints them; a change here is a change there."""
    assert Limits() == LIMITS
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    for name, value in vars(Limits()).items():
        assert f"| `{name}` | {value:,} |" in text


# Names that run code, or load a format that can. Tests may use them to build what must be refused.
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "torch.load",
    "torch.jit.load",
    "torch.hub.load",
    "np.load",
    "numpy.load",
    "np.fromfile",
    "pd.read_pickle",
    "pandas.read_pickle",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "skops.io.load",
}
FORBIDDEN_OPTIONS = {
    "trust_remote_code": {False},
    "allow_pickle": {False},
    "weights_only": {True},
    "shell": {False},
}


def violations(source: str) -> Iterator[str]:
    """Say what a program calls or imports that could run code from a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]}
        else:
            names = set()
        yield from names & FORBIDDEN_MODULES
        if isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            if call in FORBIDDEN_CALLS:
                yield call
            for option in node.keywords:
                allowed = FORBIDDEN_OPTIONS.get(option.arg or "")
                value = option.value.value if isinstance(option.value, ast.Constant) else None
                if allowed is not None and value not in allowed:
                    yield f"{call}({option.arg}=...)"


PROGRAMS = [
    path
    for folder in ("companion", "book/_ext", "book/_tools", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


# The weights of EfficientNet come in torch's own format inside a pinned package, never from a user,
# and are read with weights_only=True; arrays of token ids are read with allow_pickle=False;
# and the sizes of the baselines are those of pickles that are written and never read.
KNOWN = {
    "companion/applications/image_recognition.py": ["torch.load"],
    "companion/classifier/encoded_corpus.py": ["np.load"],
    "benchmarks/peers.py": ["pickle"],
}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_program_unpickles_or_runs_a_file(path: Path) -> None:
    known = KNOWN.get(path.relative_to(ROOT).as_posix(), [])
    assert list(violations(path.read_text("utf-8"))) == known


@pytest.mark.parametrize(
    ("name", "call", "safe"),
    [
        ("companion/applications/image_recognition.py", "torch.load(", "weights_only=True)"),
        ("companion/classifier/encoded_corpus.py", "np.load(", "allow_pickle=False)"),
        ("benchmarks/peers.py", "pickle.", "pickle.dumps("),
    ],
)
def test_a_known_exception_loads_no_pickle(name: str, call: str, safe: str) -> None:
    source = (ROOT / name).read_text("utf-8").replace('"model.pickle"', "")
    assert source.count(call) == source.count(safe) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import dill as d",
        "eval(x)",
        "torch.load(path)",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(file)",
        "load_dataset(name, trust_remote_code=True)",
        "load_dataset(name, trust_remote_code=trust)",
        "subprocess.run(command, shell=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert list(violations(source))


def test_the_search_leaves_the_rest() -> None:
    source = (
        "model.eval(); re.compile(x); run(c, shell=False); load_dataset(n, trust_remote_code=False)"
    )
    assert list(violations(source)) == []
    assert len(PROGRAMS) > 20


def test_a_crafted_notebook_is_data_until_it_is_run(tmp_path: Path) -> None:
    """The book's tools read it as JSON; the kernel that it names is never used."""
    import nbformat

    from book._tools.notebooks import KERNEL, Pair

    folder = tmp_path / "book" / "_src"
    folder.mkdir(parents=True)
    pair = Pair(tmp_path, "page")
    trace = tmp_path / "trace"
    cell = nbformat.v4.new_code_cell(f"open({str(trace)!r}, 'w')")
    kernel = {"name": "../../sh", "display_name": "x", "argv": ["touch", str(trace)]}
    nbformat.write(
        nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), pair.notebook
    )
    assert pair.read_notebook().cells[0].source == cell.source
    pair.text.write_text(
        f"---\nkernelspec: {kernel}\n---\n\n```{{code-cell}}\n{cell.source}\n```\n"
    )
    assert pair.read_text().metadata["kernelspec"] == KERNEL
    pair.text.write_text(f"---\na: !!python/object/apply:os.mkdir [{trace}]\n---\n")
    with pytest.raises(Exception, match="could not determine a constructor"):
        pair.read_text()
    pair.notebook.write_bytes(b"\x80\x04.")
    with pytest.raises(ValueError, match=r"utf-8|JSON"):
        pair.read_notebook()
    assert not trace.exists()
