"""Perspective API's protocol, spoken by the client libraries that its users have."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from googleapiclient import discovery
from googleapiclient.errors import HttpError
from perspective import PerspectiveAPI

from ...conftest import PATIENCE_S, ROOT, Service, StartService

HERE = Path(__file__).parent
HELLO = "Sorry, I like your name."
MODELS = {"TOXICITY": "abuse", "SPAM": "spam"}


@pytest.fixture(scope="module")
def service(start_shared: StartService) -> Service:
    return start_shared(protocols="perspective")


def scores(service: Service, text: str = HELLO) -> dict[str, float]:
    """Return the scores of the plain route, by attribute."""
    return {
        name: service.post(f"/classify/{model}", json={"texts": [text]}).json()["results"][0][
            "score"
        ]
        for name, model in MODELS.items()
    }


def summaries(response: dict[str, Any]) -> dict[str, float]:
    found = response["attributeScores"].items()
    return {name: one["summaryScore"]["value"] for name, one in found}


def test_perspective_of_pypi(service: Service) -> None:
    client = PerspectiveAPI("any")
    client.api_client.url = f"{service.url}/v1alpha1/{{endpoint}}"
    assert client.score(HELLO, tests=[*MODELS]) == scores(service)
    found = client.analyze_comment(
        "A 🌼. A b.",
        comment_type="PLAIN_TEXT",
        context=[{"text": "Before.", "type": "PLAIN_TEXT"}],
        requested_attributes={"SPAM": {"scoreType": "PROBABILITY", "scoreThreshold": 0.0}},
        span_annotations=True,
        languages=["en"],
        do_not_store=True,
        client_token="t",
        session_id="s",
        community_id="c",
    )
    spans = found["attributeScores"]["SPAM"]["spanScores"]
    assert [(one["begin"], one["end"]) for one in spans] == [(0, 5), (6, 10)]
    assert found["clientToken"] == "t"
    for refused, status in (
        (lambda: client.score(""), 400),
        (lambda: client.score("a", tests=["THREAT"]), 400),
        (lambda: client.suggest_score("a", {"SPAM": {"summaryScore": {"value": 0.5}}}), 501),
    ):
        with pytest.raises(HTTPError) as error:
            refused()
        with error.value as response:
            assert json.load(response)["error"]["code"] == status


def test_googles_client_for_python(service: Service) -> None:
    with discovery.build(
        "commentanalyzer",
        "v1alpha1",
        developerKey="any",
        discoveryServiceUrl=f"{service.url}/$discovery/rest?version=v1alpha1",
        static_discovery=False,
    ) as client:
        body = {"comment": {"text": HELLO}, "requestedAttributes": {name: {} for name in MODELS}}
        found = client.comments().analyze(body=body).execute()
        assert summaries(found) == scores(service)
        refused = body | {"languages": ["de"]}
        with pytest.raises(HttpError, match="does not support request languages") as error:
            client.comments().analyze(body=refused).execute()
        assert error.value.status_code == 400
        (details,) = error.value.error_details
        assert details["errorType"] == "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE"
        with pytest.raises(HttpError, match="501") as error:
            client.comments().suggestscore(body={}).execute()
        assert error.value.status_code == 501


@pytest.fixture(scope="module")
def node_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with npm's perspective-api-client, at the versions of the lock file."""
    directory = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "perspective_client" / name, directory)
    shutil.copy(HERE / "perspective_client" / "analyze.js", directory)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=directory, check=True, timeout=PATIENCE_S)
    yield directory
    shutil.rmtree(directory)


def run(*command: str, directory: Path) -> str:
    """Run a client without a proxy, and return what it prints."""
    environment = {key: value for key, value in os.environ.items() if "_proxy" not in key.lower()}
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
    )
    return done.stdout


def test_perspective_api_client_of_npm(service: Service, node_directory: Path) -> None:
    def analyze(text: str) -> Any:
        return json.loads(run("node", "analyze.js", service.url, text, directory=node_directory))

    # It removes markup itself.
    assert summaries(analyze(f"<p>{HELLO}</p>")) == scores(service)
    assert analyze("www.example.com") == {
        "name": "ResponseError",
        "message": "Comment must be non-empty: it has no word outside of links and mentions.",
    }


def test_the_programs_of_the_guide_run(service: Service, node_directory: Path) -> None:
    page = (ROOT / "docs" / "guide" / "perspective.md").read_text(encoding="utf-8")
    programs = re.findall(r"^```(py|js)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert [language for language, _ in programs] == ["py", "py", "js"]
    expected = str(scores(service, "This is a stupid idea.")["TOXICITY"])
    for language, program in programs:
        interpreter = [sys.executable, "-c"] if language == "py" else ["node", "-e"]
        here = program.replace("http://localhost:8000", service.url)
        assert here != program
        assert expected in run(*interpreter, here, directory=node_directory)
