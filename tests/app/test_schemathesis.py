"""Requests that Schemathesis generates from the OpenAPI description, sent to the real service."""

import asyncio
import re

import pytest

from benchmarks.soak import generated

from ..conftest import StartService


@pytest.mark.timeout(600)  # it takes ten seconds of processor time
def test_every_response_is_as_documented(start_service: StartService) -> None:
    service = start_service()
    service.wait_until_ready()
    report = asyncio.run(generated.report(service.port, 1200))
    assert report.test_cases.generated >= 1000, report.output
    assert report.complete, report.output
    assert not report.errors, report.output
    # Sequences of requests, too: a model is listed, then described, then classifies.
    links = re.search(r"API Links: +(\d+) covered / (\d+) selected", report.output)
    assert links is not None, report.output
    assert links[1] == links[2], report.output
    assert int(links[1]) >= 2, report.output
    assert not report.failures, report.output
