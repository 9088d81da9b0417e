"""The client that asks again, and how the time of a request is counted."""

import asyncio
import time

import httpx
import pytest

from companion.errors import DataError
from companion.service.app import Batching, create_app
from companion.service.load import Unanswered, ask, closed_loop, in_process, open_loop
from tests.service.conftest import KnownClassifier, expected


def scripted(*statuses: int) -> httpx.AsyncClient:
    waiting = list(statuses)

    def answer(request: httpx.Request) -> httpx.Response:
        status = waiting.pop(0) if waiting else 200
        if status == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(status, json={"answers": [{"label": "a"}]})

    return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://service")


def test_it_asks_again_without_connection_or_room() -> None:
    assert asyncio.run(ask(scripted(0, 503), ["a"])) == ([{"label": "a"}], 3)


def test_it_does_not_repeat_what_is_refused_for_good() -> None:
    with pytest.raises(DataError, match="status 422"):
        asyncio.run(ask(scripted(422), ["a"]))


def test_it_gives_up_in_the_end() -> None:
    with pytest.raises(Unanswered, match="no answer"):
        asyncio.run(ask(scripted(*[0] * 1000), ["a"], patience=0.2))


def test_overload_delays_answers_and_loses_none() -> None:
    slow = KnownClassifier(seconds=0.002)
    requests = [[f"text {number}"] for number in range(40)]

    async def main() -> None:
        async with in_process(
            create_app(slow, batching=Batching(max_batch=4, capacity=4))
        ) as asked:
            load = await closed_loop(asked, requests, clients=12)
        given = [answer[0]["probabilities"]["odd"] for answer in load.answers]
        assert given == [expected(text) for (text,) in requests]
        assert load.attempts > 40
        assert load.throughput == pytest.approx(40 / load.duration)
        assert load.percentile(50) <= load.percentile(99) == pytest.approx(max(load.seconds), rel=1)

    asyncio.run(main())


def test_an_open_loop_counts_from_when_a_request_was_due() -> None:
    """A model that takes 20 ms for each, asked a hundred times a second, falls behind."""
    slow = KnownClassifier(seconds=0.02)

    async def main() -> None:
        async with in_process(create_app(slow, batching=Batching(max_batch=1))) as asked:
            start = time.perf_counter()
            load = await open_loop(asked, [["a"]] * 30, rate=100)
            assert load.duration <= time.perf_counter() - start
        assert load.seconds[-1] > load.seconds[0] + 0.1

    asyncio.run(main())
