"""Whatever is done to a service that runs, in any order: every response is of one generation.

``FAULT_STEPS=50`` and ``FAULT_EXAMPLES=100`` try more of it than the suite does.
"""

import os
import shutil
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException, RemoteDisconnected
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from hypothesis import Phase, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dandelion import Classifier
from dandelion.artifact import load, save

from ...conftest import PATIENCE_S, Service, services
from ...dandelion.examples import FEATURES, THREE, make_artifact
from .test_reload import begin, choose, outcome, report, value, wait_for_all
from .test_supervisor import REQUESTS, children, is_running, scrape

pytestmark = pytest.mark.slow

STEPS: Final = int(os.environ.get("FAULT_STEPS", "10"))
EXAMPLES: Final = int(os.environ.get("FAULT_EXAMPLES", "3"))

WORKERS: Final = 2
TEXTS: Final = ("lunch tomorrow", "free prize £ 12345678901!", "привет 😂")
VARIANTS: Final = {"mood": ("tiny", "other"), "spam": ("tiny", "other")}
FILES: Final = ("golden.json", "model.json", "model.safetensors", "vocabulary.txt")
BROKEN: Final = ("[models", "", "[models]\nspam = 'none'\n", "[models.spam]\nvariantt = 'tiny'\n")

# Model → the variant that serves it.
Choice = Mapping[str, str]

choices: Final = strategies.sampled_from(
    [
        {model: variant for model, variant in (("mood", mood), ("spam", spam)) if variant}
        for mood in ("tiny", "other", None)
        for spam in ("tiny", "other", None)
        if mood or spam
    ]
)


def write_artifacts(directory: Path) -> None:
    """Write two variants of two models."""
    for number, variant in enumerate(VARIANTS["spam"]):
        for artifact in (
            make_artifact(seed=number, labels=THREE, features=FEATURES),
            make_artifact("int8", seed=number, features=FEATURES),
        ):
            manifest = replace(artifact.manifest, variant=variant)
            save(replace(artifact, manifest=manifest), directory / manifest.model / variant)


@dataclass
class Known:
    """What each artifact is, read in this process before anything was damaged.

    Attributes:
        versions: model and variant → version.
        scores: model and variant → for each of `TEXTS` its scores.
    """

    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    scores: dict[tuple[str, str], list[list[float]]] = field(default_factory=dict)

    def read(self, directory: Path) -> None:
        for model, variants in VARIANTS.items():
            for variant in variants:
                artifact = load(directory / model / variant)
                found = Classifier(artifact).scores(TEXTS)
                self.versions[model, variant] = artifact.manifest.version
                self.scores[model, variant] = np.atleast_2d(found.T).T.tolist()

    def agrees(self, found: Mapping[str, Any], choice: Choice, model: str, first: int) -> bool:
        """Return whether a response is what a generation gives for texts from ``first`` on."""
        variant = choice.get(model)
        if variant is None or found.get("results") is None:
            return variant is None and found.get("status") == 404
        if (found["model"], found["variant"], found["version"]) != (
            model,
            variant,
            self.versions[model, variant],
        ):
            return False
        expected = self.scores[model, variant][first:]
        return len(found["results"]) == len(expected) and all(
            abs(one - other) < 1e-5
            for result, row in zip(found["results"], expected, strict=True)
            for one, other in zip(_scores(result), row, strict=True)
        )


def _scores(result: Mapping[str, Any]) -> list[float]:
    if "scores" in result:
        return [result["scores"][label] for label in THREE]
    return [result["score"]]


class Connection:
    """Classifies over a connection that it keeps for as long as the service does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._opened: HTTPConnection | None = None

    def classify(self, model: str, first: int) -> tuple[int, dict[str, Any]]:
        """Return status and content; sends again what met the end of an idle connection."""
        body = msgspec.json.encode({"texts": TEXTS[first:]})
        headers = {"Content-Type": "application/json"}
        while True:
            is_kept = self._opened is not None
            connection = self._opened = self._opened or HTTPConnection(
                "127.0.0.1", self._port, timeout=PATIENCE_S
            )
            try:
                connection.request("POST", f"/classify/{model}", body, headers)
                response = connection.getresponse()
                found = msgspec.json.decode(response.read())
            except (RemoteDisconnected, ConnectionError):
                self.close()
                if not is_kept:
                    raise
                continue
            if response.getheader("connection") == "close":
                self.close()
            return response.status, found

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._opened = None


class Load(threading.Thread):
    """Classifies while something else happens.

    Attributes:
        found: of each request the model, the status and the content.
        lost: why requests got no response.
    """

    def __init__(self, port: int, stop: threading.Event, *, keeps: bool) -> None:
        super().__init__()
        self._connection, self._stop_asked, self._keeps = Connection(port), stop, keeps
        self.found: list[tuple[str, int, dict[str, Any]]] = []
        self.lost: list[str] = []

    def run(self) -> None:
        while not self._stop_asked.wait(0.002):
            model = ("mood", "spam")[len(self.found) % 2]
            try:
                self.found.append((model, *self._connection.classify(model, 0)))
            except (OSError, HTTPException, msgspec.MsgspecError) as error:
                self.lost.append(repr(error))
            if not self._keeps:
                self._connection.close()
        self._connection.close()


class AnyOrder(RuleBasedStateMachine):
    """Reloads, rollbacks, edits, damage and kills, with requests in between and meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._exits = ExitStack()
        self._directory = Path(self._exits.enter_context(tempfile.TemporaryDirectory()))
        self._artifacts = self._directory / "artifacts"
        self._service: Service | None = None
        self._known = Known()
        self._file: Choice | None = {}
        self._damaged: dict[tuple[str, str, str], bytes] = {}
        self._serving: Choice = {}
        self._previous: Choice | None = None
        self._generation = self._number = 1  # the one that serves, the last one
        self._outcomes: Counter[str] = Counter()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._killed: list[int] = []

    @initialize(choice=choices)
    def start(self, choice: Choice) -> None:
        write_artifacts(self._artifacts)
        self._known.read(self._artifacts)
        self._choose(choice)
        start = self._exits.enter_context(services(self._directory))
        self._service = start(workers=WORKERS, artifacts=self._artifacts, reload_drain_s=0.1)
        wait_for_all(self._service, WORKERS)
        self._serving = choice
        self._kept = Connection(self._service.port)

    @property
    def service(self) -> Service:
        assert self._service is not None
        return self._service

    def teardown(self) -> None:
        with self._exits:
            if self._service is not None:
                self._kept.close()
                assert self.service.stop() == -signal.SIGTERM
                assert "Traceback" not in self.service.log.read_text()
        shutil.rmtree(self._directory, ignore_errors=True)

    # What is on disk.

    @rule(choice=choices)
    def edit(self, choice: Choice) -> None:
        self._choose(choice)

    def _choose(self, choice: Choice) -> None:
        lines = [f"{model} = '{variant}'" for model, variant in choice.items()]
        choose(self._artifacts, "\n".join(["[models]", *lines, ""]))
        self._file = choice

    @rule(content=strategies.sampled_from(BROKEN))
    def break_file(self, content: str) -> None:
        choose(self._artifacts, content)
        self._file = None
        self._reload()

    @rule(
        model=strategies.sampled_from([*VARIANTS]),
        variant=strategies.sampled_from(VARIANTS["spam"]),
        name=strategies.sampled_from(FILES),
        position=strategies.none() | strategies.integers(min_value=0, max_value=2**16),
    )
    def damage(self, model: str, variant: str, name: str, position: int | None) -> None:
        """Change a bit, or delete the file."""
        if (model, variant, name) in self._damaged:
            return
        file = self._artifacts / model / variant / name
        content = file.read_bytes()
        self._damaged[model, variant, name] = content
        file.unlink()
        if position is not None:
            position %= len(content)
            changed = bytes([content[position] ^ 1])
            file.write_bytes(content[:position] + changed + content[position + 1 :])
        self._reload()

    @precondition(lambda self: self._damaged)
    @rule()
    def restore(self) -> None:
        for (model, variant, name), content in self._damaged.items():
            (self._artifacts / model / variant / name).write_bytes(content)
        self._damaged.clear()

    def _is_whole(self, choice: Choice) -> bool:
        return not any(choice.get(model) == variant for model, variant, _ in self._damaged)

    # What is asked of the service.

    @rule(choice=choices)
    def serve(self, choice: Choice) -> None:
        self._choose(choice)
        self._reload()

    @rule()
    def reload(self) -> None:
        self._reload()

    def _reload(self) -> None:
        file = self._file
        serves = file is not None and self._is_whole(file)
        self._change("reload", file if serves and file is not None else None)

    @rule()
    def rollback(self) -> None:
        if self._previous is None:
            assert self.service.post("/admin/rollback").status_code == 409
            return
        self._change("rollback", self._previous if self._is_whole(self._previous) else None)

    def _change(self, action: str, after: Choice | None) -> None:
        """Replace what serves, under load; ``after`` is None if that must fail."""
        before = self._serving
        listed = self.service.get("/models").json()["models"]
        stop = threading.Event()
        load = [Load(self.service.port, stop, keeps=bool(number)) for number in range(2)]
        for one in load:
            one.start()
        try:
            number = begin(self.service, action)
            found = outcome(self.service, number)
        finally:
            stop.set()
            for one in load:
                one.join()
        assert [one.lost for one in load] == [[]] * len(load)
        self._number += 1
        assert number == self._number
        allowed = [before] if after is None else [before, after]
        for one in load:
            for model, status, content in one.found:
                self._count(model, status)
                assert any(self._known.agrees(content, each, model, 0) for each in allowed), content
        if after is None:
            assert (found["state"], found["models"]) == ("failed", {})
            assert found["reason"]
            assert self.service.get("/models").json()["models"] == listed
            self._outcomes["failed"] += 1
            return
        assert found["state"] == "serving", found
        self._previous, self._serving, self._generation = before, after, number
        self._outcomes["rolled_back" if action == "rollback" else "loaded"] += 1

    @rule(
        model=strategies.sampled_from([*VARIANTS]),
        first=strategies.integers(min_value=0, max_value=len(TEXTS) - 1),
        keeps=strategies.booleans(),
    )
    def classify(self, model: str, first: int, keeps: bool) -> None:
        if keeps:  # a generation that retires may still answer on it, once
            self.service.wait(self._agrees)
        self._classify(model, first, self._kept if keeps else Connection(self.service.port))

    def _classify(self, model: str, first: int, connection: Connection) -> None:
        try:
            status, found = connection.classify(model, first)
        finally:
            if connection is not self._kept:
                connection.close()
        self._count(model, status)
        assert self._known.agrees(found, self._serving, model, first), found

    def _count(self, model: str, status: int) -> None:
        assert status in {200, 404}
        self._answers[model if status == 200 else "unknown", str(status)] += 1

    # What happens to it.

    @rule(which=strategies.integers(min_value=0, max_value=WORKERS - 1))
    def kill_worker(self, which: int) -> None:
        (parent,) = self._parents()
        before = children(parent)
        os.kill(before[which], signal.SIGKILL)
        self._classify("spam", 0, Connection(self.service.port))  # it may wait for the successor
        self.service.wait(lambda: len({*self._workers(parent)} - {before[which]}) == WORKERS)

    @precondition(lambda self: self._is_whole(self._serving))
    @rule()
    def kill_parent(self) -> None:
        """Kill the process that has loaded the models; another one loads what it served."""
        (parent,) = self._parents()
        os.kill(parent, signal.SIGKILL)
        self._classify("spam", 0, Connection(self.service.port))
        self._number += 1
        self._generation = self._number

        def serves() -> bool:
            response = self.service.get(f"/admin/reloads/{self._number}")
            return response.status_code == 200 and response.json()["state"] == "serving"

        self.service.wait(serves)
        assert report(self.service, self._number)["action"] == "restart"
        self.service.wait(lambda: not is_running(parent))

    def _parents(self) -> list[int]:
        """Return the process of the one generation, once the others have ended."""
        self.service.wait(lambda: len(children(self.service.process.pid)) == 1)
        self.service.wait(self._agrees)
        found = children(self.service.process.pid)
        self.service.wait(lambda: len(self._workers(found[0])) == WORKERS)
        return found

    @staticmethod
    def _workers(parent: int) -> list[int]:
        with suppress(OSError):
            return children(parent)
        return []

    def _agrees(self) -> bool:
        """Return whether all workers are of one generation."""
        (one, *others) = self.service.get("/models").json()["workers"]
        return not others and one["workers"] == WORKERS

    # What always holds.

    @invariant()
    def models_are_those_of_the_generation(self) -> None:
        found = self.service.get("/models").json()
        assert found["generation"] == self._generation
        listed = {each["model"]: (each["variant"], each["version"]) for each in found["models"]}
        assert listed == {
            model: (variant, self._known.versions[model, variant])
            for model, variant in self._serving.items()
        }

    @invariant()
    def counters_are_what_was_sent(self) -> None:
        found = scrape(self.service)
        counted = {
            (labels["model"], labels["status"]): number
            for (name, pairs), number in found.items()
            if name == REQUESTS and number
            for labels in [dict(pairs)]
        }
        assert counted == self._answers
        assert value(found, "dandelion_generation") == self._generation
        for name in ("loaded", "failed", "rolled_back"):
            counted_outcomes = value(found, "dandelion_reloads_total", outcome=name)
            assert counted_outcomes == self._outcomes[name]


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
