"""The tables of ``companion cost``."""

import json
import math

import pytest
from click.testing import CliRunner, Result

from companion.cli import main
from companion.errors import DataError
from companion.questions.constants import CONSTANTS
from companion.questions.cost_report import amount, markdown_table, parse_amount, rounded


def cost(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["cost", *arguments])


@pytest.mark.parametrize(
    ("text", "value"),
    [("7B", 7e9), ("1.4T", 1.4e12), ("300e9", 300e9), ("350 m", 350e6), ("22,700,000", 22.7e6)],
)
def test_amounts(text: str, value: float) -> None:
    assert parse_amount(text) == pytest.approx(value)
    assert parse_amount(amount(value)) == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize("text", ["", "B", "-7B", "7X", "0", "1e30", "1e999", "nan", "٣B"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(DataError):
        parse_amount(text)


def test_numbers_are_short() -> None:
    assert [rounded(x) for x in (1234.5, 0.01234, 0.0, 99.96, 3.15e23)] == [
        "1,230",
        "0.0123",
        "0",
        "100.0",
        "3.15e+23",
    ]
    assert (rounded(math.nan), rounded(math.inf)) == ("not known", "never")
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_a_training_run() -> None:
    arguments = ["train", "--parameters", "7B", "--count", "64", "--price", "3", "--json"]
    values = json.loads(cost(*arguments).stdout)
    assert values["tokens"] == 140e9
    usual = values["cost"]["value"]
    assert usual["flop"] == pytest.approx(6 * 7e9 * 140e9)
    use = CONSTANTS["utilisation"].value
    assert usual["hours"] == pytest.approx(usual["flop"] / (989e12 * use) / 3600)
    assert usual["money"] == pytest.approx(3 * usual["hours"])
    assert values["fewest_accelerators"] == 2
    table = cost(*arguments[:-1]).stdout.splitlines()
    assert table[0] == "| training 7B parameters on 140B tokens | low | usual | high |"
    assert len({line.count("|") for line in table}) == 1


def test_a_processor_of_unknown_power_gives_null() -> None:
    result = cost("train", "--parameters", "1B", "--accelerator", "TPU-v4", "--json")
    assert json.loads(result.stdout)["cost"]["high"]["kwh"] is None
    assert "not known" in cost("train", "--parameters", "1B", "--accelerator", "tpu-v4").stdout


def test_serving_against_an_api() -> None:
    arguments = ["serve", "--parameters", "8B", "--requests", "50M", "--api", "1", "4"]
    values = json.loads(cost(*arguments, "--json").stdout)
    assert values["api_thousand"] == pytest.approx((500 * 1 + 200 * 4) / 1000)
    assert values["machines"] > 1
    assert values["own_month"] == pytest.approx(values["machines"] * 720 * 2)
    assert values["break_even_requests"] == pytest.approx(720 * 2 / 0.0013)
    assert "| a month |" in cost(*arguments).stdout


def test_an_api_for_nothing_is_never_beaten() -> None:
    arguments = ["serve", "--parameters", "8B", "--api", "0", "0"]
    assert json.loads(cost(*arguments, "--json").stdout)["break_even_requests"] is None
    assert "never" in cost(*arguments).stdout


def test_the_constants() -> None:
    assert "hoffmann2022" in cost("constants").stdout
    exported = json.loads(cost("constants", "--json").stdout)
    assert set(exported) == {"constants", "accelerators", "grids_kg_per_kwh"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--parameters", "seven"],
        ["train", "--parameters", "7B", "--accelerator", "abacus"],
        ["train", "--parameters", "7B", "--utilisation", "2"],
        ["train", "--parameters", "7B", "--price", "nan"],
        ["serve", "--parameters", "400B", "--api", "1", "1"],
        ["serve", "--parameters", "8B"],
    ],
)
def test_bad_input_is_one_line_and_code_two(arguments: list[str]) -> None:
    result = cost(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
