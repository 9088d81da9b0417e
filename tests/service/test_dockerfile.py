"""The Dockerfile without an engine: what it names is there, and what must not be in it is not.

No container engine runs in our CI, so the image is not built; these tests hold the file against the
repository.
"""

import json
import re
import shlex
from pathlib import Path

from click import Command
from click.testing import CliRunner

from companion.cli import main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
LINES = [
    line.strip()
    for line in re.sub(r"\\\n", " ", TEXT).splitlines()
    if line.strip() and not line.startswith("#")
]
KNOWN = {
    "FROM",
    "WORKDIR",
    "COPY",
    "RUN",
    "ARG",
    "ENV",
    "USER",
    "EXPOSE",
    "HEALTHCHECK",
    "STOPSIGNAL",
    "ENTRYPOINT",
}


def the(instruction: str) -> list[str]:
    return [line.split(None, 1)[1] for line in LINES if line.split()[0] == instruction]


def entry() -> list[str]:
    words: list[str] = json.loads(the("ENTRYPOINT")[0])
    return words


def test_every_line_is_an_instruction() -> None:
    assert {line.split()[0] for line in LINES} <= KNOWN


def test_what_is_copied_from_the_repository_is_there_and_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert ignore[0] == "*"
    for words in map(shlex.split, the("COPY")):
        sources = [word for word in words[:-1] if not word.startswith("--")]
        if any(word.startswith("--from=") for word in words) or "${MODEL}" in sources:
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source.removeprefix('./')}" in ignore, source
    assert "!models" in ignore, "the model is copied from below models/"


def test_it_runs_as_nobody_and_keeps_no_compiler() -> None:
    assert the("USER") == ["10001"]
    assert f"--uid {the('USER')[0]}" in TEXT
    assert len(the("FROM")) == 2, "what built the image is left behind"
    assert LINES.index("USER 10001") < LINES.index(f"ENTRYPOINT {the('ENTRYPOINT')[0]}")


def test_the_versions_are_those_of_the_repository() -> None:
    pinned = re.search(r"torch==([\d.]+)", TEXT)
    assert pinned is not None
    assert f"\ntorch=={pinned[1]}\n" in (ROOT / "constraints.txt").read_text("utf-8")
    assert "--constraint constraints.txt" in TEXT
    assert "'.[serve]'" in TEXT
    assert re.search(r"^serve = \[", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)


def test_the_command_takes_the_options_that_it_gets() -> None:
    command: Command = main.commands["serve"]
    options = {name for each in command.params for name in each.opts}
    words = entry()
    assert words[0].endswith("/companion")
    assert words[1] == "serve"
    assert {word for word in words if word.startswith("--")} <= options
    outcome = CliRunner().invoke(main, ["serve", "--help"])
    assert outcome.exit_code == 0


def test_port_path_and_signal_agree() -> None:
    port = entry()[entry().index("--port") + 1]
    assert the("EXPOSE") == [port]
    assert f":{port}/health/ready" in the("HEALTHCHECK")[0]
    assert the("STOPSIGNAL") == ["SIGTERM"]
    assert any(words.endswith(f" {entry()[2]}") for words in the("COPY"))
