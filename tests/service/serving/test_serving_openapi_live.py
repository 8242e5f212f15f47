"""The served OpenAPI document, held against the server by a tester that is not ours."""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.service

Start = Callable[..., Any]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_the_server_is_what_its_document_says(start: Start, mode: GenerationMode) -> None:
    """Requests made from the document, right and wrong ones, get a documented status and no 5xx, ever.

    Nobody has the token here: whatever is sent, it loads and unloads nothing.
    """
    server = start()
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if not operation.body and mode is GenerationMode.NEGATIVE:
            continue  # a path alone cannot be wrong

        @settings(
            deadline=None,
            max_examples=40 if operation.body else 3,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def hold(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        hold()
        asked.add(operation.label)
    assert "POST /v2/models/tides/infer" in asked
    assert server.infer("afterwards")[0] == 200
