"""Costs by hand, and a table that shows only what is recorded."""

import math

import pytest

from companion.concepts.decision import NOT_MEASURED, WAYS, decision_table, measured_table
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
