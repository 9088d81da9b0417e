"""A stamp of a run: what has to be the same so that somebody gets the same number again.

Explained in :doc:`/tools`, "A stamp for every run". The results ledger and the saved classifiers
write what is collected here.
"""

import contextlib
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["PACKAGES", "GitState", "RunStamp", "git_state", "hardware", "stamp", "versions"]

PACKAGES = ("torch", "numpy", "pandas", "scikit-learn")
_MODULES = {"scikit-learn": "sklearn"}
_GIT_SECONDS = 10.0


@dataclass(frozen=True)
class GitState:
    """Where a folder stands in git.

    Attributes:
        commit: The 40 hexadecimal digits of the commit that is checked out.
        is_dirty: Whether a file differs from that commit, or is new and not ignored. Then the
            commit alone does not give the code that ran.
    """

    commit: str
    is_dirty: bool


@dataclass(frozen=True)
class RunStamp:
    """What produced a number.

    Attributes:
        git: The state of the code; None outside of a git repository or without git.
        seeds: The seeds of the run, in the order in which they were given.
        versions: Python and the packages that this process has imported.
        hardware: The processor or the GPU.
    """

    git: GitState | None
    seeds: tuple[int, ...]
    versions: dict[str, str]
    hardware: str

    def as_json(self) -> dict[str, Any]:
        """Give the stamp as values that JSON can hold."""
        return asdict(self) | {"seeds": list(self.seeds)}


def stamp(
    seeds: int | Sequence[int] = (), *, device: str | None = None, folder: str | Path = "."
) -> RunStamp:
    """Collect what is needed to run this again.

    Args:
        seeds: The seed of the run, or several.
        device: ``cuda`` (the GPU's name is looked up), or any description; the processor if None.
        folder: The folder whose git state counts.

    Returns:
        The stamp.
    """
    chosen = (seeds,) if isinstance(seeds, int) else tuple(int(seed) for seed in seeds)
    return RunStamp(git_state(folder), chosen, versions(), hardware(device))


def git_state(folder: str | Path = ".") -> GitState | None:
    """Ask git which commit a folder is at, and whether anything in it differs from the commit.

    Args:
        folder: A folder inside of a repository.

    Returns:
        The state; None if the folder is in no repository, the repository has no commit yet, or git
        is not installed or does not answer.
    """
    commit = _git("rev-parse", "--verify", "HEAD", folder=folder)
    changes = _git("status", "--porcelain", folder=folder)
    if commit is None or changes is None:
        return None
    return GitState(commit.strip(), bool(changes.strip()))


def hardware(device: str | None = None) -> str:
    """Describe what computes.

    Args:
        device: ``cuda`` or ``cuda:1`` (the GPU's name is looked up), or any description; the
            processor's name if None.

    Returns:
        The description.
    """
    if device is not None and device.split(":")[0] == "cuda":
        import torch

        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device if device is not None else f"cpu ({_processor()})"


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Give the version of Python and of those packages that this process has imported.

    Args:
        packages: The names under which they are installed.

    Returns:
        Versions by name, without the part after ``+``.
    """
    found = {"python": platform.python_version()}
    for package in packages:
        if _MODULES.get(package, package) in sys.modules:
            found[package] = metadata.version(package).split("+")[0]
    return found


def _git(*arguments: str, folder: str | Path) -> str | None:
    """Run git and give its output; None if there is no answer."""
    # A repository can name a program that `git status` starts: do not let it, nor write the index.
    safe = ["-c", "core.fsmonitor=false", "--no-optional-locks"]
    with contextlib.suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return subprocess.run(
            ["git", *safe, "-C", str(folder), *arguments],
            capture_output=True,
            check=True,
            timeout=_GIT_SECONDS,
            encoding="utf-8",
        ).stdout
    return None


def _processor() -> str:
    """The processor's own name where the system tells it, otherwise its kind."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
