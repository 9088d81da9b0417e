"""Each check of a stored notebook gets a notebook that it must refuse, and one it must not."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import notebook_checks
import pytest

ROOT = Path(__file__).parents[2]


def stream(text: str) -> Any:
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def error(name: str = "KeyError", value: str = "12") -> Any:
    return nbformat.v4.new_output(
        "error", ename=name, evalue=value, traceback=[f"\x1b[31m{name}\x1b[0m: {value}"]
    )


GOOD = ("print(1)", [stream("1\n")], {})


def messages(notebook: Any) -> list[str]:
    return [str(problem) for problem in notebook_checks.problems(notebook)]


def test_a_good_notebook_has_no_problem(make_notebook: Callable[..., Any]) -> None:
    raising = ("{}[12]", [error()], {"tags": ["raises-exception"]})
    slow = (
        "work()",
        [],
        {
            "tags": ["nbval-skip"],
            "metadata": {"nbval_reason": "takes an hour"},
            "execution_count": None,
        },
    )
    last = ("x = 2", [], {"execution_count": 3})
    assert messages(make_notebook(GOOD, raising, slow, last)) == []


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (("x = 1", [], {"execution_count": None}), "never run"),
        (("x = 1", [], {"execution_count": 5}), "ran as number 5 where 2 is due"),
        (("x = 1", [], {"execution_count": 1}), "ran as number 1 where 2 is due"),
        (("  ", [], {}), "is empty"),
        (("{}[12]", [error()], {}), "stores KeyError: 12"),
        (("x = 1", [], {"tags": ["raises-exception"]}), "stores no error"),
        (("# NBVAL_RAISES_EXCEPTION\nx = 1", [], {}), "stores no error"),
        (("x = 1", [], {"tags": ["nbval-ignore-output"]}), "without a reason"),
        (("# NBVAL_IGNORE_OUTPUT\nx = 1", [], {}), "without a reason"),
        (("x = 1", [], {"tags": ["nbval-skip"]}), "without a reason"),
        (
            ("x = 1", [], {"tags": ["nbval-skip"], "metadata": {"nbval_reason": " "}}),
            "without a reason",
        ),
        (("x = 1", [], {"tags": ["skip-execution"], "execution_count": None}), "without a reason"),
        (("print(p)", [stream("saved in /home/ann/model\n")], {}), "'/home/ann'"),
        (("print(p)", [stream(f"saved in {ROOT}/model\n")], {}), "a path of one machine"),
        (("print(p)", [stream(f"{sys.prefix}/lib\n")], {}), "a path of one machine"),
        (
            ("f()", [error(value="no file '/tmp/x.csv'")], {"tags": ["raises-exception"]}),
            "'/tmp/x.csv'",
        ),
    ],
)
def test_a_bad_cell_is_refused(make_notebook: Callable[..., Any], cell: Any, message: str) -> None:
    (found,) = messages(make_notebook(GOOD, cell))
    assert found.startswith("code cell 2: ")
    assert message in found


@pytest.mark.parametrize(
    "text",
    [
        "see https://example.org/home/ann",
        "a/home/ann",
        "1/tmp",
        "data/news_data.csv",
        "~/models",
        "and/or",
    ],
)
def test_what_is_no_path_of_a_machine_may_stay(
    make_notebook: Callable[..., Any], text: str
) -> None:
    assert messages(make_notebook(("print(t)", [stream(text)], {}))) == []


def test_a_notebook_read_as_json_is_checked_alike(make_notebook: Callable[..., Any]) -> None:
    import json

    plain = json.loads(nbformat.writes(make_notebook(("{}[1]", [error()], {}))))
    assert len(messages(plain)) == 1
