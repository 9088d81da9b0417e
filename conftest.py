"""For every run of pytest: the pinned environment, strict notebooks, and what the weights show."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "book" / "_tools"))
import processor

processor.pin()  # before anything imports NumPy or torch


def pytest_configure(config: pytest.Config) -> None:
    """Register the strict plugin where nbval is at work."""
    if getattr(config.option, "nbval", False):
        import nbval_strict

        config.pluginmanager.register(nbval_strict, "nbval_strict")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report whether this processor trains to the recorded weights: tests/test_processor.py."""
    for report in terminalreporter.stats.get("passed", []):
        for name, line in getattr(report, "user_properties", []):
            if name == "weights":
                terminalreporter.write_line(line)
