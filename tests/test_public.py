"""The names at the top of the package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import companion

SOURCE = ast.parse(Path(companion.__file__).read_text(encoding="utf-8"))


def names_for_type_checkers() -> dict[str, str]:
    block = next(node for node in SOURCE.body if isinstance(node, ast.If))
    return {
        alias.name: statement.module or ""
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def test_type_checkers_and_python_see_the_same_names() -> None:
    assert names_for_type_checkers() == companion._HOMES
    assert sorted({*companion._HOMES, "__version__"}) == sorted(companion.__all__)


@pytest.mark.parametrize("name", sorted(set(companion.__all__) - {"__version__"}))
def test_a_name_is_that_of_its_module(name: str) -> None:
    module = sys.modules.get(companion._HOMES[name])
    value = getattr(companion, name)
    module = module or sys.modules[companion._HOMES[name]]
    assert value is getattr(module, name)
    assert name in module.__all__
    assert name in dir(companion)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'companion' has no attribute 'tarin'"):
        companion.tarin  # noqa: B018


def test_a_name_loads_no_more_than_its_module() -> None:
    program = (
        "import sys, companion; companion.CompanionError; companion.Configuration; "
        "print(sorted({'torch', 'pandas', 'numpy', 'sklearn'} & set(sys.modules)))"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "[]"


def test_a_star_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from companion import *", names)
    assert set(names) - {"__builtins__"} == set(companion.__all__)
