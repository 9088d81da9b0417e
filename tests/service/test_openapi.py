"""Requests that a machine makes from the schema of the service, good ones and bad ones."""

import pytest
import schemathesis
from hypothesis import settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from companion.service.app import create_app
from companion.service.guard import ServiceLimits
from tests.service.conftest import KnownClassifier

LIMITS = ServiceLimits(texts=4, characters=40)
schema = schemathesis.openapi.from_asgi(
    "/openapi.json", create_app(KnownClassifier(), limits=LIMITS)
)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=25, deadline=None)
def test_every_answer_is_as_the_schema_says(case: schemathesis.Case) -> None:
    """Status, content type and body are among those of the schema; nothing gives 500.

    That a wrong request is refused is checked too, except where it is refused for its size, which
    no schema can say; and a text of punctuation alone is right by the schema and still refused.
    """
    response = case.call()
    excluded = []
    if response.status_code == 413:
        excluded = [negative_data_rejection, positive_data_acceptance]
    elif response.status_code == 422 and response.json()["error"]["code"] == "no_words":
        excluded = [positive_data_acceptance]
    case.validate_response(response, excluded_checks=excluded)
