"""For every run of pytest: with ``--nbval``, notebooks are compared strictly."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "book" / "_tools"))


def pytest_configure(config: pytest.Config) -> None:
    """Register the strict plugin where nbval is at work."""
    if getattr(config.option, "nbval", False):
        import nbval_strict

        config.pluginmanager.register(nbval_strict, "nbval_strict")
