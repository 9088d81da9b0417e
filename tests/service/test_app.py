"""The addresses of the service: right answers, and clear refusals."""

import asyncio
import json
import re
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from companion.service.app import Batching, create_app
from companion.service.drift import DriftMonitor, Reference
from companion.service.guard import ServiceLimits
from companion.service.load import in_process
from tests.service.conftest import LABELS, KnownClassifier, expected, odd_of

JSON = {"content-type": "application/json"}
UNLIKE = "大模型在创业中的应用"
LIMITS = ServiceLimits(body_bytes=2000, texts=3, characters=100, body_seconds=0.2)


def ask(classifier: KnownClassifier, *requests: dict[str, Any]) -> list[httpx.Response]:
    async def main() -> list[httpx.Response]:
        async with in_process(create_app(classifier, limits=LIMITS)) as client:
            return [await client.request(**request) for request in requests]

    return asyncio.run(main())


def predict(**how: Any) -> dict[str, Any]:
    return {"method": "POST", "url": "/predict", **how}


def test_texts_get_their_classes_in_order(classifier: KnownClassifier) -> None:
    texts = ["shares rose", "大模型", "b"]
    (response,) = ask(classifier, predict(json={"texts": texts}))
    assert response.status_code == 200
    assert odd_of(response) == [expected(text) for text in texts]
    for answer in response.json()["answers"]:
        assert answer["label"] == LABELS[answer["probabilities"]["odd"] > 0.5]
        assert answer["probability"] == max(answer["probabilities"].values())


@pytest.mark.parametrize(
    ("how", "status", "code", "words"),
    [
        ({"json": {"texts": "one"}}, 422, "bad_request", "texts"),
        ({"json": {"texts": []}}, 422, "bad_request", "texts"),
        ({"json": {"texts": ["a"] * 4}}, 422, "bad_request", "at most 3"),
        ({"json": {"texts": ["a", 3]}}, 422, "bad_request", "texts.1"),
        ({"json": {"texts": ["a" * 101]}}, 422, "bad_request", "100 characters"),
        ({"json": {"texts": ["a", "?!"]}}, 422, "no_words", r"texts\[1\]"),
        ({"json": {"texts": ["a"], "more": 1}}, 422, "bad_request", "more"),
        ({"json": {}}, 422, "bad_request", "texts"),
        ({"content": b"null", "headers": JSON}, 422, "bad_request", "body"),
        ({"content": b'{"texts": ["\\ud800"]}', "headers": JSON}, 422, "bad_request", "unicode"),
        ({"content": b'{"texts": ["a"', "headers": JSON}, 400, "bad_json", "no JSON"),
        ({"content": b'{"texts": ["\xff"]}', "headers": JSON}, 400, "not_utf8", "byte 12"),
        ({"content": '{"texts": ["a"]}'.encode("utf-16"), "headers": JSON}, 400, "not_utf8", "0"),
        ({"content": b"[" * 9 + b"]" * 9, "headers": JSON}, 400, "too_nested", "8 brackets"),
        ({"content": b"[" * 1999, "headers": JSON}, 400, "too_nested", "8 brackets"),
        ({"content": b"x" * 2001, "headers": JSON}, 413, "body_too_long", "2,000 bytes"),
        ({"content": b'{"texts": ["a"]}'}, 415, "not_json", "content-type"),
        ({"data": {"texts": "a"}}, 415, "not_json", "content-type"),
        ({"content": b"x", "headers": JSON | {"content-length": "-1"}}, 413, "body_too_long", ""),
    ],
)
def test_a_wrong_request_is_refused_and_says_why(
    classifier: KnownClassifier, how: dict[str, Any], status: int, code: str, words: str
) -> None:
    refused, after = ask(classifier, predict(**how), predict(json={"texts": ["fine"]}))
    assert refused.status_code == status
    error = refused.json()["error"]
    assert error["code"] == code
    assert re.search(words, error["message"])
    assert after.status_code == 200
    assert classifier.batches == [1], "the model saw the good request only"


def test_brackets_inside_a_text_do_not_count_as_nesting(classifier: KnownClassifier) -> None:
    text = '[[[[[[[[[[ \\" [[[[{{{{ a'
    (response,) = ask(classifier, predict(json={"texts": [text]}))
    assert odd_of(response) == [expected(text)]


def test_a_body_without_a_length_is_cut_off_where_it_gets_too_long(
    classifier: KnownClassifier,
) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 1_000_000:
            sent += 1000
            yield b"x" * 1000

    (response,) = ask(classifier, predict(content=endless(), headers=JSON))
    assert response.status_code == 413
    assert sent <= 4000


def test_a_client_that_sends_too_slowly_is_told_so(classifier: KnownClassifier) -> None:
    async def slow() -> Any:
        yield b'{"texts"'
        await asyncio.sleep(1)
        yield b': ["a"]}'

    (response,) = ask(classifier, predict(content=slow(), headers=JSON))
    assert (response.status_code, response.json()["error"]["code"]) == (408, "too_slow")


def test_an_unknown_address_or_method_has_the_same_form_of_error(
    classifier: KnownClassifier,
) -> None:
    missing, wrong, put = ask(
        classifier,
        {"method": "GET", "url": "/nope"},
        {"method": "GET", "url": "/predict"},
        {"method": "PUT", "url": "/model", "content": b"x"},
    )
    assert put.status_code == 405
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert wrong.headers["allow"] == "POST"
    assert missing.json()["error"]["code"] == wrong.json()["error"]["code"] == "http"


def test_a_model_that_fails_is_500_without_its_secrets(classifier: KnownClassifier) -> None:
    failed, after = ask(
        classifier, predict(json={"texts": ["poison"]}), predict(json={"texts": ["fine"]})
    )
    assert failed.status_code == 500
    assert "poison" not in failed.text
    assert after.status_code == 200


def test_requests_at_the_same_time_get_the_answers_of_single_ones(
    classifier: KnownClassifier,
) -> None:
    async def main() -> None:
        app = create_app(classifier, batching=Batching(max_batch=8, max_wait=0.01))
        async with in_process(app) as client:
            texts = [f"text {number}" for number in range(60)]
            responses = await asyncio.gather(
                *(client.post("/predict", json={"texts": [text]}) for text in texts)
            )
            assert [odd_of(each) for each in responses] == [[expected(text)] for text in texts]

    asyncio.run(main())
    assert len(classifier.batches) < 30


def test_overload_is_503_with_the_seconds_to_wait_and_bounded_memory() -> None:
    slow = KnownClassifier(seconds=0.02)

    async def main() -> None:
        app = create_app(slow, batching=Batching(max_batch=4, capacity=8))
        async with in_process(app) as client:

            async def one(number: int) -> httpx.Response:
                return await client.post("/predict", json={"texts": [f"text {number}"]})

            responses = await asyncio.gather(*(one(number) for number in range(60)))
            codes = [response.status_code for response in responses]
            assert codes.count(200) == sum(slow.batches) == 8
            assert codes.count(503) == 52
            refused = responses[codes.index(503)]
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["error"]["code"] == "busy"
            assert (await client.get("/health/ready")).status_code == 200
            assert (await one(0)).status_code == 200

    asyncio.run(main())


def test_readiness_falls_when_there_is_no_room() -> None:
    slow = KnownClassifier(seconds=0.05)

    async def main() -> None:
        async with in_process(create_app(slow, batching=Batching(capacity=1))) as client:
            busy = asyncio.create_task(client.post("/predict", json={"texts": ["a"]}))
            await asyncio.sleep(0.02)
            assert (await client.get("/health/ready")).status_code == 503
            assert (await client.get("/health/live")).status_code == 200
            assert (await busy).status_code == 200
            assert (await client.get("/health/ready")).status_code == 200

    asyncio.run(main())


def test_metrics_count_what_happened_and_no_client_can_add_a_series(
    classifier: KnownClassifier,
) -> None:
    *_, metrics = ask(
        classifier,
        predict(json={"texts": ["a", "b"]}),
        predict(json={"texts": []}),
        {"method": "GET", "url": "/made/up/1"},
        {"method": "GET", "url": "/made/up/2"},
        {"method": "GET", "url": "/metrics"},
    )
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text)
        for sample in family.samples
    }
    requests = "companion_requests_total"
    assert samples[requests, (("path", "/predict"), ("status", "200"))] == 1
    assert samples[requests, (("path", "/predict"), ("status", "422"))] == 1
    assert samples[requests, (("path", "other"), ("status", "404"))] == 2
    assert samples["companion_batch_documents_sum", ()] == 2
    assert samples["companion_pending_documents", ()] == 0
    odd = sum(expected(text) > 0.5 for text in "ab")
    assert samples.get(("companion_answers_total", (("label", "odd"),)), 0) == odd


def test_drift_is_reported_and_stands_in_the_metrics(classifier: KnownClassifier) -> None:
    usual = ["the shares rose"] * 60
    reference = Reference.of(
        usual, classifier.predict_proba(usual), classifier.vocabulary, classifier.labels
    )
    monitor = DriftMonitor(reference, classifier.vocabulary, window=20)

    async def main() -> None:
        async with in_process(create_app(classifier, monitor=monitor)) as client:
            for text, drifted in [
                ("the shares rose", []),
                (UNLIKE, ["length", "unknown_words"]),
            ]:
                await client.post("/predict", json={"texts": [text] * 20})
                drift = (await client.get("/drift")).json()
                assert sorted(set(drift["drifted"]) - {"classes"}) == drifted
            assert drift["documents"] == 40
            text = (await client.get("/metrics")).text
            assert 'companion_drift_ratio{feature="unknown_words"}' in text

    asyncio.run(main())


def test_the_card_and_no_drift_without_a_reference(classifier: KnownClassifier) -> None:
    card, drift = ask(
        classifier, {"method": "GET", "url": "/model"}, {"method": "GET", "url": "/drift"}
    )
    assert card.json()["labels"] == LABELS
    assert card.json()["vocabulary_size"] == 5
    assert card.json()["limits"]["texts"] == 3
    assert json.loads(drift.text)["watched"] is False
