"""The served models: chosen once, loaded and checked together, made available all at once.

Of a model, several variants may be loaded: the served one, those that requests may name, and a
shadow. Metrics of the served variant have the model as their label ``model``, those of another one
``model/variant``: no model's name contains a slash.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from dandelion import ArtifactError, Classifier, ServingError, evaluation_file, reference_file
from dandelion.engines.choice import EngineChoice
from dandelion.files import read_bounded
from dandelion.manifest import Manifest, check_model, load_manifest, sha256
from dandelion.policy_file import MAX_POLICY_BYTES
from dandelion.reference import reference_of
from dandelion.reference_file import ContentCounts
from dandelion.serving import ModelChoice

from ..errors import model_unavailable, not_ready, unknown_model, unknown_variant
from ..telemetry import processes
from ..telemetry.metrics import Metrics, ModelMetrics
from ..telemetry.shadow_metrics import ShadowMetrics
from .policies import Policies
from .sampling import Sample

_log = logging.getLogger("dandelion")

# Labels in an error: a model may have many.
_LISTED: Final = 8


@dataclass(frozen=True, slots=True)
class Served:
    """A variant of a model that is ready for requests.

    Attributes:
        classifier: its artifact, loaded, checked and warmed up.
        metrics: its series.
        policies: how it decides where its own threshold does not.
        series: the label ``model`` of its series.
        evaluation: what `dandelion.evaluation_file` holds about it; None if there is none.
        card: its model card, Markdown; None if there is none.
        variants: every loaded variant of the model, the served one first; empty in another one.
        shadow: what scores a sample of its texts; None for none.
    """

    classifier: Classifier
    metrics: ModelMetrics
    policies: Policies
    series: str
    evaluation: Mapping[str, Any] | None = None
    card: str | None = None
    variants: tuple[str, ...] = ()
    shadow: "Shadow | None" = None

    @property
    def manifest(self) -> Manifest:
        """What is known about the artifact."""
        return self.classifier.manifest


class Shadow(NamedTuple):
    """A variant that scores a sample of the texts of the served one.

    Attributes:
        served: the variant, ready for requests.
        sample: chooses the texts.
        metrics: what is counted of the comparison.
    """

    served: Served
    sample: Sample
    metrics: ShadowMetrics


class Registry:
    """The served models by name.

    Args:
        chosen: model → how it is served.
        metrics: the models' series are added to it.
        engine: what computes the scores.
        skip_damaged: whether the others are served if an artifact, or a policy, cannot be used.
        serving_file: the content of ``serving.toml`` that they were chosen by; None for what is on
            disk.

    Raises:
        ArtifactError: the ``model.json`` of an artifact cannot be used; with ``skip_damaged``, of
            every served one.
    """

    def __init__(
        self,
        chosen: Mapping[str, ModelChoice],
        metrics: Metrics,
        engine: EngineChoice = "auto",
        *,
        skip_damaged: bool = False,
        serving_file: bytes | None = None,
    ) -> None:
        self.serving_file = serving_file
        self._chosen = dict(chosen)
        self._engine = engine
        self._metrics = metrics
        self._skip_damaged = skip_damaged
        self._damaged: dict[str, str] = {}  # model → why
        self._variant_metrics: dict[str, ModelMetrics] = {}  # by the label of the series
        for model, choice in self._chosen.items():
            for variant in choice.loaded:
                if model not in self._damaged:
                    self._add_metrics(model, choice.of(variant))
        self._check_that_one_is_left()
        self._served: Mapping[str, Served] = MappingProxyType({})
        self._others: Mapping[tuple[str, str], Served] = MappingProxyType({})
        self._contents: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every chosen model, whether it can be served or not."""
        return tuple(self._chosen)

    @property
    def series(self) -> tuple[str, ...]:
        """Every label ``model`` under which requests are counted."""
        return tuple(
            self._series(model, variant)
            for model, choice in self._chosen.items()
            for variant in choice.loaded
        )

    @property
    def has_shadow(self) -> bool:
        """Whether any model has a shadow."""
        return any(choice.shadow is not None for choice in self._chosen.values())

    @property
    def available(self) -> tuple[str, ...]:
        """Every model that is or will be served."""
        return tuple(model for model in self._chosen if model not in self._damaged)

    @property
    def is_ready(self) -> bool:
        """Whether every available model is loaded."""
        return bool(self._served)

    @property
    def contents(self) -> Mapping[str, str]:
        """What was loaded: path of each artifact and policy file → hash of its content."""
        return self._contents

    def load(self) -> None:
        """Load every available artifact, check its golden scores, fit its policies; then serve all.

        Raises:
            ArtifactError: one is damaged or does not reproduce its golden scores; with
                ``skip_damaged``, no model can be served.
            ServingError: a policy cannot be fitted, or the variants of a model have different
                labels, without ``skip_damaged``.
            KernelError: the compiled engine is required, but was not built.
        """
        loaded: dict[str, Served] = {}
        others: dict[tuple[str, str], Served] = {}
        for model in self.available:
            choice = self._chosen[model]
            served = self._load(model, choice)
            if served is None:
                continue
            found = {choice.variant: served}
            for variant in choice.loaded[1:]:
                other = self._load(model, choice.of(variant), served.manifest)
                if other is not None:
                    found[variant] = others[model, variant] = other
            loaded[model] = replace(
                served, variants=tuple(found), shadow=self._shadow(choice, found)
            )
            self._refer(served.classifier, served.policies, choice.directory)
        self._check_that_one_is_left()
        self._served, self._others = MappingProxyType(loaded), MappingProxyType(others)
        processes.return_freed_memory()

    def _refer(self, classifier: Classifier, policies: Policies, directory: Path) -> None:
        """Show what is expected of a model's traffic under its default policy."""
        manifest = classifier.manifest
        content = _content_of(directory, manifest)
        configured = policies.configured.get(policies.default_name or "")
        if configured is not None:
            is_own = configured.choice.calibration is not None
            reference = reference_of(configured.basis, configured.policy, content, is_own=is_own)
        else:
            basis = classifier.basis() if manifest.decision.is_binary else None
            reference = reference_of(basis, None, content)
        positive = manifest.labels[1] if manifest.decision.is_binary else None
        self._metrics.references.set(manifest.model, reference, positive)

    def get(self, model: str, variant: str | None = None) -> Served:
        """Return a served model.

        Args:
            model: its name.
            variant: one of those that are loaded; None for the served one.

        Raises:
            Problem: 404, there is no such model or variant; 503, it is still loading or its
                artifact is damaged.
        """
        served = self._served.get(model)
        if served is not None:
            if variant is None or variant == served.manifest.variant:
                return served
            if variant not in served.variants:
                raise unknown_variant(served.variants)
            return self._others[model, variant]
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

    def _add_metrics(self, model: str, choice: ModelChoice) -> None:
        """Create the series of a variant, if its ``model.json`` can be used.

        Raises:
            ArtifactError: it cannot, and may not be skipped.
        """
        try:
            manifest = _manifest_of(model, choice.directory)
        except ArtifactError as error:
            self._skip(model, choice.variant, error)
            return
        series = self._series(model, choice.variant)
        self._variant_metrics[series] = self._metrics.add_model(
            replace(manifest, model=series), choice.policies
        )

    def _load(
        self, model: str, choice: ModelChoice, served: Manifest | None = None
    ) -> Served | None:
        """Load a variant; None if it is skipped.

        Args:
            model: its name.
            choice: how the variant is served.
            served: the manifest of the served variant, if this is another one: its labels must be
                the same, but it need not have all policies.

        Raises:
            ArtifactError, ServingError: it cannot be used, and may not be skipped.
        """
        series = self._series(model, choice.variant)
        if series not in self._variant_metrics:
            return None  # skipped before
        started = time.perf_counter()
        try:
            files = _policy_files(choice)
            classifier = Classifier.load(choice.directory, self._engine)
            if served is not None:
                _check_labels(choice, served, classifier.manifest)
            classifier.check_golden()
            policies = Policies(classifier, choice, skip_unfitted=served is not None)
            _check_unchanged(choice, files)
        except (ArtifactError, ServingError) as error:
            self._skip(model, choice.variant, error)
            return None
        for policy, reason in policies.unfitted.items():
            facts = {"model": series, "policy": policy, "reason": reason}
            _log.warning("policy unavailable", extra=facts)
        classifier.scores(["warm up"])
        self._contents |= files | {str(choice.directory): classifier.manifest.content_hash}
        evaluation = _evaluation_of(choice.directory, classifier.manifest)
        card = _card_of(choice.directory, classifier.manifest)
        counted = replace(classifier.manifest, model=series)
        self._metrics.loaded(counted, time.perf_counter() - started)
        metrics = self._variant_metrics[series]
        return Served(classifier, metrics, policies, series, evaluation, card)

    def _shadow(self, choice: ModelChoice, loaded: Mapping[str, Served]) -> Shadow | None:
        if choice.shadow is None or choice.shadow not in loaded:
            return None
        shadow = loaded[choice.shadow]
        metrics = self._metrics.add_shadow(shadow.manifest)
        return Shadow(shadow, Sample(choice.shadow_share), metrics)

    def _series(self, model: str, variant: str) -> str:
        return model if variant == self._chosen[model].variant else f"{model}/{variant}"

    def _skip(self, model: str, variant: str, error: ArtifactError | ServingError) -> None:
        """Go on without a model, or without one of its other variants.

        Raises:
            ArtifactError, ServingError: none may be skipped.
        """
        if not self._skip_damaged:
            raise error
        series = self._series(model, variant)
        self._metrics.unavailable(series)
        reason = str(error)
        if series == model:
            self._damaged[model] = reason
            _log.error("model unavailable", extra={"model": model, "reason": reason})
        else:
            facts = {"model": model, "variant": variant, "reason": reason}
            _log.error("variant unavailable", extra=facts)

    def _check_that_one_is_left(self) -> None:
        if not self.available:
            raise ArtifactError("; ".join(self._damaged.values()))


def _manifest_of(model: str, directory: Path) -> Manifest:
    manifest = load_manifest(directory)
    check_model(manifest, model, directory)
    return manifest


def _check_labels(choice: ModelChoice, served: Manifest, other: Manifest) -> None:
    """Check that another variant labels texts as the served one does.

    Raises:
        ServingError: it has other labels, or another positive one.
    """
    are_equal = (
        other.labels == served.labels  # the second is positive
        if len(served.labels) == 2
        else set(other.labels) == set(served.labels)
    )
    if not are_equal:
        raise ServingError(
            f"{choice.file}: [models.{served.model}] the variant {other.variant!r} has the labels "
            f"{_listed(other.labels)}; expected those of {served.variant!r}, which is served: "
            f"{_listed(served.labels)}"
        )


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels[:_LISTED]) + (", …" if len(labels) > _LISTED else "")


def _policy_files(choice: ModelChoice) -> dict[str, str]:
    """Return the files of a model's policies, with the hashes of what is in them now."""
    found = {}
    for policy in choice.policies.values():
        if policy.calibration is not None:
            path = Path(policy.calibration)
            with suppress(OSError):  # then the policy cannot be fitted
                found[str(path)] = sha256(read_bounded(path, MAX_POLICY_BYTES))
    return found


def _check_unchanged(choice: ModelChoice, files: Mapping[str, str]) -> None:
    """Check that the files of policies are what they were before they were read.

    Raises:
        ServingError: one is not.
    """
    if files != _policy_files(choice):
        raise ServingError(f"{choice.file}: a policy file was changed while it was read; retry")


def _content_of(directory: Path, manifest: Manifest) -> ContentCounts | None:
    """Read of how many words held-out texts consist; a model is served without it."""
    try:
        return reference_file.read(directory, manifest)
    except (OSError, ValueError) as error:
        _log.warning(
            "reference unavailable",
            extra={"model": manifest.model, "reason": f"{directory}: {error}"},
        )
        return None


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


def _card_of(directory: Path, manifest: Manifest) -> str | None:
    """Read the card of an artifact; a model is served without it."""
    try:
        return evaluation_file.read_card(directory)
    except (OSError, ValueError) as error:
        _log.warning(
            "model card unavailable",
            extra={"model": manifest.model, "reason": f"{directory}: {error}"},
        )
        return None
