"""Requests made from the OpenAPI document, right and wrong ones: each answer must be one that the document allows."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
ROUTES = ["/", "/health", "/setup", "/predict", "/versions", "/webhook", "/train", "/status", "/metrics"]


@pytest.fixture
def document(backend: Any) -> Any:
    """Return the schema of a running backend."""
    return schemathesis.openapi.from_asgi("/openapi.json", backend().app)


def test_document_holds_every_route(document: Any) -> None:
    assert sorted(result.ok().path for result in document.get_all_operations()) == sorted(ROUTES)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook", "/train"])
def test_answer_to_any_body_is_one_that_the_document_allows(document: Any, path: str, mode: GenerationMode) -> None:
    (operation,) = (each.ok() for each in document.get_all_operations() if each.ok().path == path)

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()


@pytest.mark.parametrize("path", ["/", "/health", "/versions", "/status", "/metrics"])
def test_answer_to_a_look_is_one_that_the_document_allows(document: Any, path: str) -> None:
    document[path]["GET"].Case().call_and_validate(checks=CHECKS)
