"""A new kind of message arrives: from the alert to labels, retraining, shadow, promotion and back.

Everything is real but the messages: the service as a process, Prometheus with the shipped rules
(evaluated faster, and alerting sooner), and the commands that a person would type.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from ruamel.yaml import YAML
from typer.testing import CliRunner

from dandelion import retraining_file
from dandelion.manifest import load_manifest
from training import configuration
from training.cli import app
from training.data.custom_data import CustomData
from training.data.custom_data import read as read_custom
from training.data.splits import Protocol
from training.experiment import Run, train
from training.reference import write_reference

from ..conftest import PATIENCE_S, ROOT, Service, StartService
from ..training.retraining.examples import HAM, SCAM, SPAM, sentences, write_base, write_rows
from .test_prometheus import query, running, wait_for, wait_for_result

pytestmark = pytest.mark.slow

MODEL = "messages"
SETTINGS = ("hidden=8", "epochs=4", "wide.bits=12", "out_of_fold=true")
SERVING = f"""\
# What the team decided on Monday.
[models.{MODEL}]
variant = "first"  # of May
shadow_share = 1
shadow = "first"

[models.{MODEL}.gate]
min_shadow_texts = 500
max_shadow_disagreement = 0.5  # a new kind is a large part of the traffic
"""
DRIFT = 'ALERTS{alertname="DandelionPositiveRatio",alertstate="firing",model="messages"}'
BATCH = 500


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A served model of the user's own, of messages as they were."""
    directory = tmp_path_factory.mktemp("artifacts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINING_CACHE", str(directory / "cache"))
        data = read_custom(CustomData(MODEL, write_base(directory / "base.csv"))).dataset
        recipe = configuration.wide_recipe(MODEL, "first", "bce")
        config = configuration.override(recipe, SETTINGS)
        artifact = directory / MODEL / "first"
        manifest, _ = train(Run(config, Protocol.GROUPED, 0, dataset=data), artifact)
        write_reference(manifest, artifact, data)
    (directory / "serving.toml").write_text(SERVING)
    return directory


@pytest.fixture(scope="module")
def service(artifacts: Path, start_shared: StartService) -> Service:
    service = start_shared(artifacts=artifacts, record_file=artifacts / "decisions.jsonl")
    service.wait_until_ready()
    return service


@pytest.fixture(scope="module")
def prometheus(
    service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx2.Client]:
    """Prometheus with the shipped rules; what takes minutes takes a second."""
    directory = tmp_path_factory.mktemp("prometheus")
    yaml = YAML()
    config = yaml.load(ROOT / "deploy" / "prometheus" / "prometheus.yml")
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "300ms"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{service.port}"]
    del config["alerting"]
    yaml.dump(config, directory / "prometheus.yml")
    for name in config["rule_files"]:
        rules = (ROOT / "deploy" / "prometheus" / name).read_text()
        rules = re.sub(r"\bfor: \w+", "for: 1s", rules)
        (directory / name).write_text(rules.replace("interval: 1m", "interval: 300ms"))
    with running(
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        log=directory / "log",
    ) as client:
        # From zero on, or else the first messages are in no increase.
        wait_for(client, f'dandelion_texts_total{{model="{MODEL}",label="ham"}}', 0)
        yield client


def classify(service: Service, texts: Sequence[str]) -> list[dict[str, object]]:
    """Classify texts; return each result with the id that the record has of it."""
    found = []
    for start in range(0, len(texts), BATCH):
        batch = list(texts[start : start + BATCH])
        response = service.post(f"/classify/{MODEL}", json={"texts": batch})
        response.raise_for_status()
        values = response.json()
        for at, result in enumerate(values["results"]):
            found.append(result | {"id": f"{values['decision_id']}.{at}"})
    return found


def recall(service: Service, texts: Sequence[str]) -> float:
    return sum(one["label"] == "spam" for one in classify(service, texts)) / len(texts)


def promote(artifacts: Path, *options: str, url: str) -> subprocess.CompletedProcess[str]:
    command = ["-m", "dandelion.command", "promote", MODEL, f"--url={url}", *options]
    kept = {name: value for name, value in os.environ.items() if "DANDELION_" not in name}
    return subprocess.run(
        [sys.executable, *command, f"--artifacts={artifacts}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=kept,
        timeout=PATIENCE_S,
    )


def test_a_new_kind_of_message_from_alert_to_promotion_and_back(
    artifacts: Path, service: Service, prometheus: httpx2.Client
) -> None:
    scams, spam = sentences(SCAM, 900, 100), sentences(SPAM, 500, 101)
    ham = sentences(HAM, 2400, 102)
    fresh_scams, fresh_spam = sentences(SCAM, 200, 200), sentences(SPAM, 200, 201)

    # Traffic as it was: nothing to report.
    classify(service, [*ham[:1500], *spam])
    wait_for_result(prometheus, f'dandelion:texts:increase1h{{model="{MODEL}"}} >= 1000')
    wait_for_result(
        prometheus, f'abs(dandelion:positive_ratio_deviation:1h{{model="{MODEL}"}}) < 4'
    )
    assert not query(prometheus, DRIFT)

    # A new kind of message arrives. It is missed, and an alert fires.
    missed = recall(service, fresh_scams)
    assert missed < 0.2
    known = recall(service, fresh_spam)
    assert known > 0.95
    answers = classify(service, [*scams, *ham[1500:]])
    wait_for_result(prometheus, DRIFT)

    # People label some of it, and their tool exports text, label and decision.
    chosen = [*range(200), *range(900, 1100)]
    texts = [*scams, *ham[1500:]]
    rows = [
        {
            "id": answers[at]["id"],
            "text": texts[at],
            "label": "spam" if at < 900 else "ham",
            "decision": answers[at]["label"],
            "source": "reports",
        }
        for at in chosen
    ]
    feedback = write_rows(artifacts / "feedback.jsonl", rows)
    recorded = (artifacts / "decisions.jsonl").read_text()
    assert all(f'"id":"{row["id"]}"' in recorded for row in rows[:3])

    # Retraining passes the gate.
    new = retrain(artifacts, feedback)
    assert "**It passes the gate.**" in (new / "VERDICT.md").read_text()
    assert "evidence.json" in load_manifest(new).files

    # A service that cannot be asked leaves serving.toml as it is.
    failed = promote(artifacts, url="http://127.0.0.1:9")
    assert (failed.returncode, (artifacts / "serving.toml").read_text()) == (1, SERVING)

    # First it is the shadow, whose disagreements can be seen, and no response changes.
    done = promote(artifacts, url=service.url)
    assert done.returncode == 0, done.stderr
    early = promote(artifacts, new.name, url=service.url)
    assert (early.returncode, "at least 500 are required" in early.stdout) == (4, True)
    assert recall(service, fresh_scams) == missed
    classify(service, [*scams, *spam])
    wait_for_shadow(service, new.name, 500)
    disagreements = (
        f'dandelion_shadow_disagreements_total{{shadow="{new.name}",kind="negative_to_positive"}}'
    )
    wait_for_result(prometheus, f"{disagreements} > 100")

    # Then it is served: recall on the new kind recovers, and that on the old kind is kept.
    done = promote(artifacts, new.name, url=service.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert service.get(f"/models/{MODEL}").json()["version"] == load_manifest(new).version
    assert recall(service, fresh_scams) > 0.9
    assert recall(service, fresh_spam) >= known - 0.02
    written = (artifacts / "serving.toml").read_text()
    assert written == SERVING.replace('variant = "first"', f'variant = "{new.name}"')

    # And back.
    assert promote(artifacts, "--rollback", url=service.url).returncode == 0
    assert service.get(f"/models/{MODEL}").json()["variant"] == "first"
    assert recall(service, fresh_scams) == missed
    history = (artifacts / "promotions.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in history] == ["shadow", "serving", "rollback"]


def retrain(artifacts: Path, feedback: Path) -> Path:
    """Run ``dandelion retrain`` in this process, which has imported torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINING_CACHE", str(artifacts / "cache"))
        options = [f"--add={feedback}", f"--data={artifacts / 'base.csv'}", "--weight=3"]
        done = CliRunner().invoke(app, ["retrain", MODEL, *options, f"--artifacts={artifacts}"])
    assert done.exit_code == 0, done.output
    (new,) = (artifacts / MODEL).glob("first-20*")
    assert retraining_file.read(new).counts["with a decision id"] == 400
    return new


def wait_for_shadow(service: Service, shadow: str, texts: int) -> None:
    """Wait until the shadow has scored so many texts: it works aside, at its own pace."""
    deadline = time.monotonic() + PATIENCE_S
    while shadow_texts(service, shadow) < texts:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def shadow_texts(service: Service, shadow: str) -> float:
    return sum(
        sample.value
        for family in parse(service.get("/metrics").text)
        for sample in family.samples
        if sample.name == "dandelion_shadow_texts_total" and sample.labels["shadow"] == shadow
    )
