"""A retraining from the files of feedback to the verdict."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dandelion import Classifier, retraining_file
from dandelion.configured_policies import resolve_configured
from dandelion.decision.policy import Policy
from dandelion.evaluation_file import CARD_FILE
from dandelion.gate import Requirement, judge
from dandelion.labelled import logits_of
from dandelion.manifest import Manifest
from dandelion.retraining_file import PAGE_FILE, Compared, RetrainingVerdict
from dandelion.serving import ModelChoice, ServingError, choices

from ..cache import write_atomically
from ..data.datasets import Dataset
from ..data.near_copies import groups
from ..data.splits import Protocol, Split
from ..destination import require_writable
from ..errors import ConfigurationError, DatasetError
from ..evaluation import RETRAINED
from ..evidence import independent
from ..experiment import Run
from ..out_of_fold import origins_of
from . import feedback as reading
from . import page
from .base import base_name, configuration_of, read_base
from .checks import Checked, check
from .comparison import Decided, compare
from .feedback import Columns, Feedback
from .fit import Fit, fit
from .parts import HELD_OUT_SHARE, extend

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What to retrain, and with what.

    Attributes:
        model: a served one, of two labels.
        add: files of feedback.
        columns: how they are read.
        artifacts: the directory with ``serving.toml``; the new artifact is written there.
        custom: the data of a model of the user's own, read again; None for a built-in model.
        variant: the name of the new one; None for that of the served one with the date.
        weight: how often a text of the feedback is drawn, compared with the mean of the others.
        force: whether feedback is used that would be refused.
        glove: a file of word vectors; None for the pip package's.
    """

    model: str
    add: Sequence[Path]
    columns: Columns
    artifacts: Path
    custom: Dataset | None = None
    variant: str | None = None
    weight: float = 1.0
    force: bool = False
    glove: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a retraining gives.

    Attributes:
        directory: of the new artifact.
        verdict: as in its ``verdict.json``.
        requirements: what the gate finds in it.
    """

    directory: Path
    verdict: RetrainingVerdict
    requirements: tuple[Requirement, ...]

    @property
    def passed(self) -> bool:
        """Whether it passes the gate."""
        return all(one.passed for one in self.requirements)


@dataclass(frozen=True, slots=True)
class _Served:
    """The served version."""

    choice: ModelChoice
    classifier: Classifier
    policy: Policy | None
    decides: str

    @property
    def manifest(self) -> Manifest:
        return self.classifier.manifest


def serving_choice(artifacts: Path, model: str) -> ModelChoice:
    """Return how a model is served.

    Raises:
        ConfigurationError: it is not, or ``serving.toml`` is missing or invalid.
    """
    try:
        chosen = choices(artifacts, {})
    except ServingError as error:
        raise ConfigurationError(str(error)) from error
    if model not in chosen:
        raise ConfigurationError(
            f"{model!r} is not served from {artifacts}; served: {', '.join(chosen)}. A model is "
            "trained first by `dandelion train`"
        )
    return chosen[model]


def retrain(request: Request, say: Say) -> Outcome:
    """Train a served model again with feedback, compare, and write artifact and verdict.

    Args:
        request: what to do.
        say: is called with lines about the progress.

    Raises:
        TrainingError: the feedback is refused, or data, word vectors or configuration are missing
            or wrong.
        ArtifactError: the served artifact cannot be used.
    """
    served = _served(request)
    variant = _variant(request, served)
    feedback = reading.read(request.add, served.manifest.labels, request.columns)
    for note in feedback.notes:
        say(note)
    base, folds = read_base(served.manifest, request.custom)
    flagged = _decide(served.classifier, served.policy, feedback.texts).flagged
    has_learnt = RETRAINED in served.manifest.config
    checked = check(feedback, flagged, base, folds, served.manifest.labels, has_learnt=has_learnt)
    _report(checked, request, say)
    config, changed = configuration_of(served.manifest, variant)
    extended = extend(base, folds, feedback, checked.rows, checked.is_held_out, request.weight)
    protocol = Protocol(served.manifest.protocol)
    run = Run(config, protocol, served.manifest.seed, glove=request.glove, dataset=extended.dataset)
    directory = request.artifacts / request.model / variant
    record = _record(request, served, feedback, base, folds, checked)
    fit(Fit(run, extended, record), directory, say)
    warnings = (*checked.warnings, *changed, *_forgotten(served, feedback))
    return _compared(
        _Compared(request, served, feedback, checked, base, folds, warnings), directory
    )


def _served(request: Request) -> _Served:
    """Load what is served.

    Raises:
        ConfigurationError: it has more than two labels, or its default policy cannot be fitted.
    """
    choice = serving_choice(request.artifacts, request.model)
    classifier = Classifier.load(choice.directory)
    if len(classifier.manifest.labels) > 2:
        raise ConfigurationError(
            f"{request.model} has {len(classifier.manifest.labels)} labels; models with two are "
            "retrained. Add the texts to its data, and train it again: dandelion train"
        )
    try:
        policy, decides = _in_force(classifier, choice)
    except ServingError as error:
        raise ConfigurationError(str(error)) from error
    return _Served(choice, classifier, policy, decides)


def _in_force(classifier: Classifier, choice: ModelChoice) -> tuple[Policy | None, str]:
    """Return the policy by which a variant decides by default, and its name for people.

    Raises:
        ServingError: it cannot be fitted.
    """
    name = choice.default_policy
    if name is None:
        return None, f"its operating point, {classifier.manifest.operating_point or 'macro-F1'}"
    found = resolve_configured(classifier, choice, name).policy
    return found, f"the policy {name}"


def _variant(request: Request, served: _Served) -> str:
    """Return the name of the new variant, once it can be written.

    Raises:
        ConfigurationError: it cannot, or it is loaded by the service.
    """
    if request.variant is not None:
        name = request.variant
        if name in served.choice.loaded:
            raise ConfigurationError(
                f"--variant {name}: serving.toml names it, so it is not overwritten; choose another"
            )
    else:
        dated = f"{base_name(served.manifest.variant)}-{datetime.now(UTC).date().isoformat()}"
        name, number = dated, 1
        while (request.artifacts / request.model / name).exists():
            number += 1
            name = f"{dated}-{number}"
    configuration_of(served.manifest, name)  # checks the name
    require_writable(request.artifacts, request.model, name)
    return name


def _report(checked: Checked, request: Request, say: Say) -> None:
    """Print what the checks found.

    Raises:
        DatasetError: the feedback is refused.
    """
    found = [f"{number:,} {kind}" for kind, number in checked.counts.items() if number]
    say(f"feedback: {', '.join(found)}")
    for warning in checked.warnings:
        say(f"warning: {warning}")
    if checked.refusals and not request.force:
        raise DatasetError(
            f"{' '.join(checked.refusals)} Nothing was trained; --force trains all the same, and "
            "the verdict says so"
        )
    for refusal in checked.refusals:
        say(f"forced: {refusal}")


def _record(  # noqa: PLR0913, PLR0917
    request: Request,
    served: _Served,
    feedback: Feedback,
    base: Dataset,
    folds: Split,
    checked: Checked,
) -> dict[str, Any]:
    """Return what the manifest says of the retraining: by it, the next one finds the base."""
    return {
        "from": {
            "variant": served.manifest.variant,
            "content_hash": served.manifest.content_hash,
        },
        "base": {"dataset": base.record(), "split": folds.sha256()},
        "files": [{"name": one.name, "sha256": one.sha256} for one in feedback.files],
        "weight": request.weight,
        "held_out_share": HELD_OUT_SHARE,
        "counts": dict(checked.counts),
        "forced": list(checked.refusals),
    }


def _forgotten(served: _Served, feedback: Feedback) -> Iterator[str]:
    """Warn of files that the served version learnt from, and that are not among those given."""
    record = served.manifest.config.get(RETRAINED)
    if record is None:
        return
    given = {one.sha256 for one in feedback.files}
    missing = [one["name"] for one in record["files"] if one["sha256"] not in given]
    if missing:
        yield (
            f"The served version has learnt from {', '.join(missing)} as well, which was not given "
            "in that form; unless its rows are in the files given now, the new version has "
            "forgotten them."
        )


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a comparison is made of."""

    request: Request
    served: _Served
    feedback: Feedback
    checked: Checked
    base: Dataset
    folds: Split
    warnings: tuple[str, ...]


def _compared(given: _Compared, directory: Path) -> Outcome:
    """Compare the new artifact with the served one, and write what comes of it."""
    served, base, feedback = given.served, given.base, given.feedback
    candidate = Classifier.load(directory)
    warnings = list(given.warnings)
    try:
        policy, decides = _in_force(candidate, served.choice.of(candidate.manifest.variant))
    except ServingError:
        policy, decides = None, "its own threshold"
        warnings.append(
            f"The policy {served.choice.default_policy} cannot be fitted for the new version, "
            "which is compared by its own threshold. A policy file is for one artifact: write it "
            "again with dandelion evaluate before it is served."
        )
    versions = ((served.classifier, served.policy), (candidate, policy))

    rows = given.folds.test[independent(base, given.folds.test, groups(base))]
    texts, labels = base.take(rows)
    before, after = (_decide(*version, texts) for version in versions)
    held = given.checked.rows[given.checked.is_held_out]
    added = [feedback.texts[row] for row in held.tolist()]
    old, new = (_decide(*version, added) for version in versions)
    origins, names = origins_of(base)
    sources = {
        **_by_source(labels, [names[at] for at in origins[rows].tolist()], before, after),
        **_by_source(
            feedback.labels[held], [feedback.sources[row] for row in held.tolist()], old, new
        ),
    }
    verdict = RetrainingVerdict(
        model=given.request.model,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        candidate=_artifact(candidate, policy, decides),
        serving=_artifact(served.classifier, served.policy, served.decides),
        files=feedback.files,
        counts=given.checked.counts,
        warnings=tuple(warnings),
        forced=given.checked.refusals,
        evidence=compare(labels, before, after),
        feedback=compare(feedback.labels[held], old, new),
        sources=sources,
    )
    return _write(verdict, candidate.manifest, served.choice, directory)


def _write(
    verdict: RetrainingVerdict, manifest: Manifest, choice: ModelChoice, directory: Path
) -> Outcome:
    requirements = judge(choice.gate, verdict)
    retraining_file.write(verdict, directory)
    write_atomically(directory / PAGE_FILE, page.verdict(verdict, requirements).encode())
    write_atomically(directory / CARD_FILE, page.card(manifest, verdict).encode())
    return Outcome(directory, verdict, requirements)


def _artifact(classifier: Classifier, policy: Policy | None, decides: str) -> Compared:
    manifest = classifier.manifest
    threshold = manifest.threshold if policy is None else policy.threshold
    return Compared(manifest.variant, manifest.content_hash, decides, float(threshold or 0.0))


def _decide(classifier: Classifier, policy: Policy | None, texts: Sequence[str]) -> Decided:
    """Return how a version decides texts as the service would, and their logits."""
    positive = classifier.manifest.labels[1]
    flagged = [one.label == positive for one in classifier.classify(texts, policy=policy)]
    return Decided(np.array(flagged, dtype=np.bool_), logits_of(classifier, texts))


def _by_source(
    labels: NDArray[np.int64], sources: Sequence[str], before: Decided, after: Decided
) -> dict[str, retraining_file.Comparison]:
    names = np.array(sources)
    found = {}
    for name in dict.fromkeys(sources):
        rows = np.flatnonzero(names == name)
        found[name] = compare(labels[rows], before.at(rows), after.at(rows), with_ranking=False)
    return found
