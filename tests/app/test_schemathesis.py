"""Requests that Schemathesis generates from the OpenAPI description, sent to the real service."""

import asyncio
import re
from typing import Final

import pytest

from benchmarks.soak import generated

from ..conftest import StartService

pytestmark = pytest.mark.slow

# `make soak` sends 20 times as many. With these, each operation has some 60.
CASES: Final = 420


@pytest.mark.timeout(600)  # seconds of processor time, but of two processes
def test_every_response_is_as_documented(start_service: StartService) -> None:
    service = start_service()
    service.wait_until_ready()
    report = asyncio.run(generated.report(service.port, CASES))
    assert report.test_cases.generated >= CASES, report.output
    assert report.complete, report.output
    assert not report.errors, report.output
    # Sequences of requests, too: a model is listed, then described, then classifies.
    links = re.search(r"API Links: +(\d+) covered / (\d+) selected", report.output)
    assert links is not None, report.output
    assert links[1] == links[2], report.output
    assert int(links[1]) >= 2, report.output
    assert not report.failures, report.output
