"""Batches: everybody gets their own answer, in order, or is told that there is no room."""

import asyncio

import numpy as np
import pytest

from companion.errors import DataError
from companion.service.batching import Busy, MicroBatcher
from tests.service.conftest import KnownClassifier, expected


def test_each_request_gets_its_own_answers_in_order(classifier: KnownClassifier) -> None:
    generator = np.random.default_rng(0)
    requests = [[f"text {i} {j}" for j in range(generator.integers(1, 6))] for i in range(200)]

    async def main() -> None:
        batcher = MicroBatcher(classifier.predict_proba, max_batch=16, capacity=1000)
        batcher.start()
        answers = await asyncio.gather(*(batcher.submit(texts) for texts in requests))
        await batcher.close()
        for texts, rows in zip(requests, answers, strict=True):
            assert rows[:, 1].tolist() == [expected(text) for text in texts]
        assert batcher.pending == 0

    asyncio.run(main())
    assert sum(classifier.batches) == sum(map(len, requests))
    assert max(classifier.batches) <= 16
    assert len(classifier.batches) < len(requests) / 2, "requests were answered together"
    assert all(name.startswith("model") for name in classifier.threads)


def test_a_batch_of_one_turns_batching_off(classifier: KnownClassifier) -> None:
    async def main() -> None:
        batcher = MicroBatcher(classifier.predict_proba, max_batch=1)
        batcher.start()
        await asyncio.gather(*(batcher.submit([f"text {i}"]) for i in range(20)))
        await batcher.close()

    asyncio.run(main())
    assert classifier.batches == [1] * 20


def test_a_request_longer_than_a_batch_goes_alone(classifier: KnownClassifier) -> None:
    async def main() -> None:
        batcher = MicroBatcher(classifier.predict_proba, max_batch=4)
        batcher.start()
        await asyncio.gather(batcher.submit(["a"]), batcher.submit(["b"] * 9), batcher.submit("c"))
        await batcher.close()

    asyncio.run(main())
    assert classifier.batches == [1, 9, 1]


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    slow = KnownClassifier(seconds=0.05)

    async def main() -> None:
        batcher = MicroBatcher(slow.predict_proba, max_batch=2, capacity=4)
        batcher.start()
        outcomes = await asyncio.gather(
            *(batcher.submit([f"text {i}"]) for i in range(10)), return_exceptions=True
        )
        refused = [each for each in outcomes if isinstance(each, Busy)]
        assert len(refused) == 6
        assert all(each.retry_after >= 1 for each in refused)
        assert batcher.is_accepting
        await batcher.submit(["later"])
        await batcher.close()

    asyncio.run(main())
    assert sum(slow.batches) == 5


def test_closing_answers_what_was_accepted_and_refuses_the_rest() -> None:
    slow = KnownClassifier(seconds=0.02)

    async def main() -> None:
        batcher = MicroBatcher(slow.predict_proba, max_batch=1)
        batcher.start()
        accepted = [asyncio.create_task(batcher.submit([f"text {i}"])) for i in range(5)]
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        assert not batcher.is_accepting
        with pytest.raises(Busy, match="does not run"):
            await batcher.submit(["late"])
        await closing
        rows = await asyncio.gather(*accepted)
        assert [row[0, 1] for row in rows] == [expected(f"text {i}") for i in range(5)]
        await batcher.close()

    asyncio.run(main())


def test_a_text_that_breaks_the_model_harms_its_sender_alone(classifier: KnownClassifier) -> None:
    async def main() -> None:
        batcher = MicroBatcher(classifier.predict_proba, max_wait=0.01)
        batcher.start()
        outcomes = await asyncio.gather(
            batcher.submit(["good"]),
            batcher.submit(["poison"]),
            batcher.submit(["better"]),
            return_exceptions=True,
        )
        assert outcomes[0][0, 1] == expected("good")  # type: ignore[index]
        assert isinstance(outcomes[1], RuntimeError)
        assert outcomes[2][0, 1] == expected("better")  # type: ignore[index]
        assert batcher.pending == 0
        await batcher.close()

    asyncio.run(main())


def test_a_client_that_goes_away_leaves_no_trace() -> None:
    slow = KnownClassifier(seconds=0.03)

    async def main() -> None:
        batcher = MicroBatcher(slow.predict_proba, max_batch=1)
        batcher.start()
        first = asyncio.create_task(batcher.submit(["first"]))
        gone = asyncio.create_task(batcher.submit(["gone"]))
        last = asyncio.create_task(batcher.submit(["last"]))
        await asyncio.sleep(0.01)
        gone.cancel()
        assert (await first)[0, 1] == expected("first")
        assert (await last)[0, 1] == expected("last")
        await batcher.close()
        assert batcher.pending == 0

    asyncio.run(main())
    assert sum(slow.batches) == 2, "what nobody waits for is not computed"


def test_a_model_that_loses_an_answer_is_an_error() -> None:
    async def main() -> None:
        batcher = MicroBatcher(lambda texts: np.zeros((len(texts) - 1, 2)))
        batcher.start()
        with pytest.raises(DataError, match="gave 1 answers to 2 documents"):
            await batcher.submit(["a", "b"])
        await batcher.close()

    asyncio.run(main())


@pytest.mark.parametrize("bounds", [{"max_batch": 0}, {"capacity": 0}, {"max_wait": -1}])
def test_bounds_that_make_no_sense_are_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(DataError, match="at least"):
        MicroBatcher(lambda texts: np.zeros((len(texts), 2)), **bounds)  # type: ignore[arg-type]


def test_it_can_start_again(classifier: KnownClassifier) -> None:
    async def main() -> None:
        batcher = MicroBatcher(classifier.predict_proba)
        for _ in range(2):
            batcher.start()
            assert (await batcher.submit(["again"]))[0, 1] == expected("again")
            await batcher.close()
            assert not batcher.is_accepting

    asyncio.run(asyncio.wait_for(main(), 10))
