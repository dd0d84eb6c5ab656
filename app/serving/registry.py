"""The served models: chosen once, loaded and checked together, made available all at once."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dandelion import ArtifactError, Classifier, ServingError, evaluation_file
from dandelion.engines.choice import EngineChoice
from dandelion.manifest import Manifest, check_model, load_manifest
from dandelion.serving import ModelChoice

from ..errors import model_unavailable, not_ready, unknown_model
from ..telemetry import processes
from ..telemetry.metrics import Metrics, ModelMetrics
from .policies import Policies

_log = logging.getLogger("dandelion")


@dataclass(frozen=True, slots=True)
class Served:
    """A model that is ready for requests.

    Attributes:
        classifier: its artifact, loaded, checked and warmed up.
        metrics: its series.
        policies: how it decides where its own threshold does not.
        evaluation: what `dandelion.evaluation_file` holds about it; None if there is none.
    """

    classifier: Classifier
    metrics: ModelMetrics
    policies: Policies
    evaluation: Mapping[str, Any] | None = None

    @property
    def manifest(self) -> Manifest:
        """What is known about the artifact."""
        return self.classifier.manifest


class Registry:
    """The served models by name.

    Args:
        chosen: model → how it is served.
        metrics: the models' series are added to it.
        engine: what computes the scores.
        skip_damaged: whether the other models are served if an artifact, or a policy, cannot be
            used.

    Raises:
        ArtifactError: the ``model.json`` of an artifact cannot be used; with ``skip_damaged``, of
            every artifact.
    """

    def __init__(
        self,
        chosen: Mapping[str, ModelChoice],
        metrics: Metrics,
        engine: EngineChoice = "auto",
        *,
        skip_damaged: bool = False,
    ) -> None:
        self._chosen = dict(chosen)
        self._engine = engine
        self._metrics = metrics
        self._skip_damaged = skip_damaged
        self._damaged: dict[str, str] = {}  # model → why
        self._model_metrics = {}
        for model, choice in self._chosen.items():
            try:
                manifest = _manifest_of(model, choice.directory)
            except ArtifactError as error:
                self._skip(model, error)
            else:
                self._model_metrics[model] = metrics.add_model(manifest, choice.policies)
        self._check_that_one_is_left()
        self._served: Mapping[str, Served] = MappingProxyType({})

    @property
    def names(self) -> tuple[str, ...]:
        """Every chosen model, whether it can be served or not."""
        return tuple(self._chosen)

    @property
    def available(self) -> tuple[str, ...]:
        """Every model that is or will be served."""
        return tuple(model for model in self._chosen if model not in self._damaged)

    @property
    def is_ready(self) -> bool:
        """Whether every available model is loaded."""
        return bool(self._served)

    def load(self) -> None:
        """Load every available artifact, check its golden scores, fit its policies; then serve all.

        Raises:
            ArtifactError: one is damaged or does not reproduce its golden scores; with
                ``skip_damaged``, no model can be served.
            ServingError: a policy cannot be fitted, without ``skip_damaged``.
            KernelError: the compiled engine is required, but was not built.
        """
        served = {}
        for model in self.available:
            started = time.perf_counter()
            try:
                classifier = Classifier.load(self._chosen[model].directory, self._engine)
                classifier.check_golden()
                policies = Policies(classifier, self._chosen[model])
            except (ArtifactError, ServingError) as error:
                self._skip(model, error)
                continue
            classifier.scores(["warm up"])
            evaluation = _evaluation_of(self._chosen[model].directory, classifier.manifest)
            served[model] = Served(classifier, self._model_metrics[model], policies, evaluation)
            self._metrics.loaded(classifier.manifest, time.perf_counter() - started)
        self._check_that_one_is_left()
        self._served = MappingProxyType(served)
        processes.return_freed_memory()

    def get(self, model: str) -> Served:
        """Return a served model.

        Raises:
            Problem: 404, there is no such model; 503, it is still loading or its artifact is
                damaged.
        """
        served = self._served.get(model)
        if served is not None:
            return served
        if model in self._damaged:
            raise model_unavailable()
        if model not in self._chosen:
            raise unknown_model(self.available)
        raise not_ready()

    def all(self) -> tuple[Served, ...]:
        """Return every served model, sorted by name.

        Raises:
            Problem: 503, they are still loading.
        """
        if not self.is_ready:
            raise not_ready()
        return tuple(self._served.values())

    def _skip(self, model: str, error: ArtifactError | ServingError) -> None:
        """Go on without a model.

        Raises:
            ArtifactError, ServingError: no model may be skipped.
        """
        if not self._skip_damaged:
            raise error
        self._damaged[model] = str(error)
        self._metrics.unavailable(model)
        _log.error("model unavailable", extra={"model": model, "reason": str(error)})

    def _check_that_one_is_left(self) -> None:
        if not self.available:
            raise ArtifactError("; ".join(self._damaged.values()))


def _manifest_of(model: str, directory: Path) -> Manifest:
    manifest = load_manifest(directory)
    check_model(manifest, model, directory)
    return manifest


def _evaluation_of(directory: Path, manifest: Manifest) -> Mapping[str, Any] | None:
    """Read what is known about an artifact; a model is served without it."""
    try:
        return evaluation_file.read(directory, manifest)
    except (OSError, ValueError) as error:
        _log.warning(
            "evaluation unavailable",
            extra={"model": manifest.model, "reason": f"{directory}: {error}"},
        )
        return None
