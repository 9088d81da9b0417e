"""The lists of dependencies, the workflows and the files a newcomer meets agree with each other."""

import re
import shutil
import subprocess
import sys
import tomllib
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
    extras = re.fullmatch(r"--editable \.\[([\w,]+)\]", pip["pip"][1])
    assert extras is not None
    assert set(extras[1].split(",")) <= set(PROJECT["optional-dependencies"])
    assert len(pip["pip"]) == 2, "what is needed stands in pyproject.toml"


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
    for name in ("pyproject.toml", "constraints.txt"):
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
