"""A stamp tells the code, the seeds, the versions and the machine."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from companion import ledger, reproducibility
from companion.reproducibility import GitState, git_state, hardware, stamp, versions


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code.py").write_text("x = 1\n", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_a_clean_folder(repository: Path) -> None:
    assert git_state(repository) == GitState(git(repository, "rev-parse", "HEAD"), is_dirty=False)


def test_a_change_and_a_new_file_are_dirty(repository: Path) -> None:
    (repository / "new.py").write_text("", encoding="utf-8")
    state = git_state(repository)
    assert state is not None
    assert state.is_dirty
    (repository / "new.py").unlink()
    (repository / "code.py").write_text("x = 2\n", encoding="utf-8")
    changed = git_state(repository)
    assert changed is not None
    assert changed.is_dirty
    assert changed.commit == state.commit


def test_no_repository_no_commit_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert git_state(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None


def test_a_repository_cannot_start_a_program(repository: Path) -> None:
    program = repository / "spy.sh"
    program.write_text("#!/bin/sh\ntouch started\n", encoding="utf-8")
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))
    assert git_state(repository) is not None
    assert not (repository / "started").exists()


def test_the_stamp_is_json(repository: Path) -> None:
    made = stamp([1, int(np.int64(2))], device="an abacus", folder=repository)
    again = json.loads(json.dumps(made.as_json()))
    assert again["seeds"] == [1, 2]
    assert again["hardware"] == "an abacus"
    assert again["git"] == {"commit": git(repository, "rev-parse", "HEAD"), "is_dirty": False}
    assert again["versions"]["python"] == sys.version.split()[0]
    assert stamp(7, folder=repository).seeds == (7,)


def test_versions_are_those_that_are_imported() -> None:
    assert versions(["numpy", "not-installed-anywhere"])["numpy"] == np.__version__
    assert "not-installed-anywhere" not in versions(["not-installed-anywhere"])


def test_the_ledger_writes_the_same(tmp_path: Path) -> None:
    written = ledger.record("stamp.test", 1.0, tolerance=0.1, folder=tmp_path)
    assert written.device == hardware().strip()
    assert written.versions == versions()
    assert not hasattr(ledger, "PACKAGES")
    assert reproducibility.PACKAGES
