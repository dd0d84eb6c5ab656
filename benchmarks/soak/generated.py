"""Requests that Schemathesis generates from the OpenAPI description, with all of its checks."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from ..machine import BenchmarkError
from ..servers import Server
from .client import Tally
from .sending import Scale

_CONFIGURATION: Final = Path(__file__).with_name("schemathesis.toml")

_LINE: Final = 300  # characters; an example of a failed check may have megabytes

# Two of the operations have parameters or a body. Of each, and of sequences of requests, so many
# cases come for each of the examples that are asked for.
_CASES_PER_EXAMPLE: Final = 7


class _Cases(BaseModel):
    generated: int
    with_failures: int


class _Failure(BaseModel):
    title: str
    count: int


class Report(BaseModel):
    """What is read of Schemathesis's report (``--report json``).

    Attributes:
        complete: whether it came to its end.
        test_cases: how many.
        failures: checks that failed, by kind.
        errors: what kept it from testing.
        output: what it wrote to the terminal, with an example of each failure.
    """

    complete: bool
    test_cases: _Cases
    failures: list[_Failure]
    errors: list[object]
    output: str = ""


async def run(server: Server, scale: Scale) -> Tally:
    """Send about `Scale.cases` requests, or a few more."""
    return summary(await report(server.port, scale.cases))


async def report(port: int, cases: int) -> Report:
    """Send at least about ``cases`` requests to a service; the same ones each time.

    Raises:
        BenchmarkError: Schemathesis is not installed, or ended before its time.
    """
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "report.json"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(_CONFIGURATION)),
            *("run", "--checks", "all"),
            *("--seed", "1", "--max-examples", str(cases // _CASES_PER_EXAMPLE)),
            *("--generation-database", "none", "--no-color", "--suppress-health-check", "all"),
            *("--report", "json", "--report-json-path", str(file)),
            f"http://127.0.0.1:{port}/openapi.json",
            cwd=directory,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode()
        if not file.exists():
            raise BenchmarkError(f"Schemathesis wrote no report: {output[-2000:]}")
        found = Report.model_validate_json(file.read_bytes())
        lines = (line[:_LINE] for line in output.splitlines())
        return found.model_copy(update={"output": "\n".join(lines)})


def summary(found: Report) -> Tally:
    """Return the number of cases, and of failed checks by their title.

    Example:
        >>> cases = {"generated": 9, "with_failures": 0}
        >>> summary(Report(complete=True, test_cases=cases, failures=[], errors=[])).answers
        Counter({'as documented': 9})
    """
    cases = found.test_cases
    tally = Tally(sent=cases.generated)
    tally.answers["as documented"] = cases.generated - cases.with_failures
    for failure in found.failures:
        tally.answers[failure.title] += failure.count
    tally.extra["failures"] = len(found.failures) + len(found.errors) + (not found.complete)
    return tally
