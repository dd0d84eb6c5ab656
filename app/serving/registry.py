"""The served models: chosen once, loaded and checked together, made available all at once."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dandelion import ArtifactError, Classifier
from dandelion.engines.choice import EngineChoice
from dandelion.manifest import Manifest, load_manifest

from ..errors import not_ready, unknown_model
from ..telemetry import processes
from ..telemetry.metrics import Metrics, ModelMetrics


@dataclass(frozen=True, slots=True)
class Served:
    """A model that is ready for requests.

    Attributes:
        classifier: its artifact, loaded, checked and warmed up.
        metrics: its series.
    """

    classifier: Classifier
    metrics: ModelMetrics

    @property
    def manifest(self) -> Manifest:
        """What is known about the artifact."""
        return self.classifier.manifest


class Registry:
    """The served models by name.

    Args:
        chosen: model → directory of its artifact.
        metrics: the models' series are added to it.
        engine: what computes the scores.

    Raises:
        ArtifactError: an artifact's ``model.json`` cannot be used.
    """

    def __init__(
        self, chosen: Mapping[str, Path], metrics: Metrics, engine: EngineChoice = "auto"
    ) -> None:
        self._chosen = dict(chosen)
        self._engine = engine
        self._metrics = metrics
        self._model_metrics = {}
        for model, directory in self._chosen.items():
            manifest = load_manifest(directory)
            if manifest.model != model:
                raise ArtifactError(
                    f"{directory}: is an artifact of {manifest.model!r}, not of {model!r}. "
                    "Choose another one in serving.toml."
                )
            self._model_metrics[model] = metrics.add_model(manifest)
        self._served: Mapping[str, Served] = MappingProxyType({})

    @property
    def names(self) -> tuple[str, ...]:
        """Every model that is or will be served."""
        return tuple(self._chosen)

    @property
    def is_ready(self) -> bool:
        """Whether every chosen model is loaded."""
        return len(self._served) == len(self._chosen)

    def load(self) -> None:
        """Load every chosen artifact, check its golden scores and warm it up; then serve all.

        Raises:
            ArtifactError: one is damaged or does not reproduce its golden scores.
            KernelError: the compiled engine is required, but was not built.
        """
        served = {}
        for model, directory in self._chosen.items():
            started = time.perf_counter()
            classifier = Classifier.load(directory, self._engine)
            classifier.check_golden()
            classifier.scores(["warm up"])
            served[model] = Served(classifier, self._model_metrics[model])
            self._metrics.loaded(classifier.manifest, time.perf_counter() - started)
        self._served = MappingProxyType(served)
        processes.return_freed_memory()

    def get(self, model: str) -> Served:
        """Return a served model.

        Raises:
            Problem: 404, there is no such model; 503, it is still loading.
        """
        served = self._served.get(model)
        if served is not None:
            return served
        if model not in self._chosen:
            raise unknown_model(self.names)
        raise not_ready()

    def all(self) -> tuple[Served, ...]:
        """Return every served model, sorted by name.

        Raises:
            Problem: 503, they are still loading.
        """
        if not self.is_ready:
            raise not_ready()
        return tuple(self._served.values())
