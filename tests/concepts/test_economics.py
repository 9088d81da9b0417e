"""Costs by hand, and a table that shows only what is recorded."""

import math

import pytest

from companion.concepts.decision import (
    NOT_MEASURED,
    WAYS,
    decision_table,
    headlines_table,
    measured_table,
)
from companion.concepts.economics import (
    Accelerator,
    MonthlyCost,
    break_even_requests,
    decode_seconds,
    own_request_seconds,
    prefill_seconds,
)
from companion.errors import DataError
from companion.ledger import Result

MACHINE = Accelerator("small", 1000.0, 100.0, 50.0)


def test_reading_and_writing_by_hand() -> None:
    assert prefill_seconds(10, 5, MACHINE, 0.5) == 2 * 10 * 5 / 500
    assert decode_seconds(10, 3, MACHINE, 0.5) == pytest.approx(3 * 20 / 100)
    assert decode_seconds(10, 3, MACHINE, 0.5, batch=2) == pytest.approx(3 * 20 / 100 / 2)
    assert decode_seconds(10, 3, MACHINE, 0.5, batch=50) == pytest.approx(3 * 20 / 500)
    both = own_request_seconds(10, 5, 3, MACHINE, utilisation=0.5, batch=1)
    assert both == pytest.approx(0.2 + 0.6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="do not fit"):
        own_request_seconds(26, 1, 1, MACHINE, utilisation=0.5, batch=1)
    with pytest.raises(DataError, match="share"):
        prefill_seconds(10, 1, MACHINE, 0)
    with pytest.raises(DataError, match="negative"):
        MonthlyCost("x", -1, 0)


def test_both_ways_cost_the_same_where_they_meet() -> None:
    own, bought = MonthlyCost("own", 900, 0.001), MonthlyCost("bought", 0, 0.01)
    meeting = break_even_requests(own, bought)
    assert meeting == pytest.approx(100_000)
    assert own.at(meeting) == pytest.approx(bought.at(meeting))
    assert own.per_thousand(meeting) == pytest.approx(10)
    assert break_even_requests(MonthlyCost("own", 900, 0.02), bought) == math.inf
    assert break_even_requests(MonthlyCost("own", 0, 0.001), bought) == 0


def test_the_table_shows_what_is_recorded_and_nothing_else() -> None:
    empty = measured_table({})
    assert (empty == NOT_MEASURED).all(axis=None)
    name = "bbc.tfidf.test_accuracy"
    table = measured_table({name: Result(name, 0.5)})
    assert table.loc["TF-IDF, linear model", "right, all labels"] == "0.500"
    assert (table != NOT_MEASURED).to_numpy().sum() == 1
    assert list(decision_table().index) == [way.name for way in WAYS]
    assert decision_table().iloc[-1].tolist()[2] == "not published"


def test_the_table_of_headlines_costs_time_and_tokens_at_your_prices() -> None:
    values = {
        "ways.tfidf.accuracy": 0.75,
        "ways.tfidf.milliseconds": 7.2,
        "ways.tfidf.time_ratio": 1.0,
        "ways.llm.tokens": 400.0,
    }
    table = headlines_table(
        {name: Result(name, value) for name, value in values.items()},
        core_price_an_hour=0.5,
        api_price_a_million_tokens=2.0,
    )
    counting = table.loc["TF-IDF, linear model"]
    # 1,000 answers of 7.2 ms are 7.2 s, 0.002 hours.
    assert (counting["right"], counting["1,000 cost"], counting["spread"]) == (
        "0.750",
        "0.001000",
        "–",
    )
    # 400,000 tokens at 2.00 a million.
    assert table.loc["API of a large LLM", "1,000 cost"] == "0.800000*"
    assert table.loc["API of a large LLM", ["right", "texts leave"]].tolist() == ["–", "yes"]
    assert list(table.index) == [way.name for way in WAYS]


def test_without_records_the_table_of_headlines_is_empty() -> None:
    table = headlines_table({}, core_price_an_hour=1, api_price_a_million_tokens=1)
    assert (table[["right", "time"]] == "–").all(axis=None)
