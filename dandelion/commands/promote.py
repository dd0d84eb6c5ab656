"""``dandelion promote``: a variant becomes the shadow, then the served one, by a gate."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from .. import promotion, retraining_file
from ..classifier import Classifier
from ..configured_policies import resolve_configured
from ..gate import Requirement, judge, judge_shadow
from ..installation import SERVING_FILE
from ..json_values import quoted
from ..manifest import Manifest, check_model, load_manifest
from ..promotion import Promotion, PromotionError, Step
from ..retraining_file import RetrainingFileError, RetrainingVerdict
from ..serving import ModelChoice, ServingError, choices, read_serving_file, variants
from ..serving_edit import Value
from .artifacts import ArtifactsOption, locate_to_edit
from .errors import FAILED, GATE, UsageError, check_output, readable_errors
from .running_service import (
    KeyFileOption,
    RunningService,
    UrlOption,
    running_service,
    shadow_counts,
)

_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class _Plan:
    """A step to take.

    Attributes:
        artifacts: the directory with ``serving.toml``.
        choice: how the model is served now.
        step: to take.
        candidate: the manifest of the variant that is promoted.
        before: what ``serving.toml`` chooses now.
        after: what it will choose.
    """

    artifacts: Path
    choice: ModelChoice
    step: Step
    candidate: Manifest
    before: dict[str, Value]
    after: dict[str, Value]

    @property
    def directory(self) -> Path:
        """Of the artifact that is promoted."""
        return self.artifacts / self.candidate.model / self.candidate.variant


def promote(  # noqa: PLR0913, PLR0917
    model: Annotated[str, typer.Argument(metavar="MODEL", help="See `dandelion models`.")],
    variant: Annotated[
        str | None,
        typer.Argument(
            metavar="[VARIANT]",
            help="Default: the newest one that `dandelion retrain` compared with the served one.",
            show_default=False,
        ),
    ] = None,
    as_shadow: Annotated[
        bool, typer.Option("--shadow", help="Make it the shadow, even if it already is.")
    ] = False,
    as_serving: Annotated[
        bool, typer.Option("--serve", help="Serve it, even if it was never the shadow.")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Undo the last step of the model.")
    ] = False,
    force: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Promote it even if it fails the gate; the reason is recorded."
        ),
    ] = None,
    no_reload: Annotated[
        bool,
        typer.Option("--no-reload", help=f"Only edit {SERVING_FILE}; do not reload a service."),
    ] = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Promote a variant: first to the shadow, and from there to the served variant.

    It must pass the gate, [models.MODEL.gate] in serving.toml. The command edits serving.toml and
    makes a running service reload it; if that fails, it restores the file. Every step is recorded
    in promotions.jsonl next to it, and --rollback undoes the last one.
    """
    with readable_errors():
        check_output()
        if sum((as_shadow, as_serving, rollback)) > 1:
            raise UsageError("--shadow, --serve and --rollback exclude one another")
        if force is not None and not force.strip():
            raise UsageError("--force: give a reason; it is recorded")
        directory = locate_to_edit(artifacts)
        service = None if no_reload else running_service(url, key_file)
        if rollback:
            if variant is not None or force is not None:
                raise UsageError("--rollback takes neither a variant nor --force")
            _roll_back(directory, model, service)
            return
        step: Step | None = "shadow" if as_shadow else "serving" if as_serving else None
        plan = _plan(directory, model, variant, step)
        _promote(plan, service, force)


def _plan(artifacts: Path, model: str, variant: str | None, step: Step | None) -> _Plan:
    """Find the variant and the step.

    Raises:
        UsageError: there is no such model or variant, or it is served already.
        ServingError, ArtifactError: ``serving.toml`` or an artifact cannot be used.
    """
    chosen = choices(artifacts, {})
    if model not in chosen:
        raise UsageError(f"unknown model {quoted(model)}. Available models: {', '.join(chosen)}")
    choice = chosen[model]
    available = variants(artifacts, model)
    name = _newest(artifacts, model, choice, available) if variant is None else variant
    if name not in available:
        raise UsageError(
            f"unknown variant {quoted(name)} of {model}. Available variants: {', '.join(available)}"
        )
    candidate = Classifier.load(artifacts / model / name).manifest  # reads and checks every file
    served = load_manifest(choice.directory)
    check_model(candidate, model, artifacts / model / name)
    if candidate.labels != served.labels:
        raise UsageError(f"{name} has other labels than {served.variant}, which is served")
    before = promotion.state(read_serving_file(artifacts), model)
    taken: Step = step or ("serving" if before["shadow"] == name else "shadow")
    try:
        after = promotion.after(taken, before, name)
    except PromotionError as error:
        raise UsageError(f"{model}: {error}") from error
    return _Plan(artifacts, choice, taken, candidate, before, after)


def _newest(artifacts: Path, model: str, choice: ModelChoice, available: Sequence[str]) -> str:
    """Return the variant that was compared last with what is served.

    Raises:
        UsageError: there is none.
    """
    served = load_manifest(choice.directory).content_hash
    found: list[tuple[str, str]] = []
    for name in available:
        try:
            verdict = retraining_file.read(artifacts / model / name)
        except RetrainingFileError:
            continue
        if verdict.serving.content_hash == served and name != choice.variant:
            found.append((verdict.created, name))
    if not found:
        raise UsageError(
            f"no variant of {model} has been compared with {choice.variant}, which is served: "
            f"`dandelion retrain {model} --add FILE`, or name a variant"
        )
    return max(found)[1]


def _promote(plan: _Plan, service: RunningService | None, force: str | None) -> None:
    requirements, problem = _requirements(plan, service)
    for one in requirements:
        typer.echo(f"{'passed' if one.passed else 'FAILED'}: {one.sentence}")
    passed = problem is None and all(one.passed for one in requirements)
    if problem is not None:
        typer.echo(f"FAILED: {problem}")
    if not passed and force is None:
        typer.echo(
            f"error: {plan.candidate.variant} does not pass the gate, so nothing was changed. "
            f"Limits: [models.{plan.candidate.model}.gate] in {SERVING_FILE}; or --force REASON",
            err=True,
        )
        raise typer.Exit(GATE)
    if plan.step == "serving":
        _check_policies(plan)
    counts = None
    if plan.step == "shadow" and service is not None:
        counts = _counted(plan, service)
    _change(
        plan.artifacts,
        Promotion(
            plan.candidate.model,
            plan.step,
            plan.candidate.variant,
            plan.candidate.content_hash,
            plan.before,
            plan.after,
            promotion.as_records(requirements),
            None if passed else force,
            counts,
        ),
        service,
    )


def _requirements(
    plan: _Plan, service: RunningService | None
) -> tuple[tuple[Requirement, ...], str | None]:
    """Return what the gate finds, and what hinders it to look; None if nothing does."""
    gate = plan.choice.gate
    try:
        verdict = retraining_file.read(plan.directory)
        _check_hashes(plan, verdict)
    except RetrainingFileError as error:
        return (), str(error)
    found = judge(gate, verdict)
    if plan.step == "shadow" or not gate.min_shadow_texts:
        return found, None
    if service is None:
        return found, (
            "the gate asks for figures of the shadow, which only a running service has; leave out "
            "--no-reload, or set min_shadow_texts = 0"
        )
    model, variant = plan.candidate.model, plan.candidate.variant
    if plan.before["shadow"] != variant:
        return (*found, *judge_shadow(gate, None)), None
    try:
        counts = shadow_counts(service, model, variant)
    except ConnectionError as error:
        return found, f"the figures of the shadow cannot be read: {error}"
    counts = promotion.since_shadow(counts, promotion.history(plan.artifacts), model, variant)
    return (*found, *judge_shadow(gate, counts)), None


def _check_hashes(plan: _Plan, verdict: RetrainingVerdict) -> None:
    """Check that a verdict is about the artifacts as they are now.

    Raises:
        RetrainingFileError: it is about others.
    """
    served = load_manifest(plan.choice.directory)
    for compared, manifest in ((verdict.candidate, plan.candidate), (verdict.serving, served)):
        if compared.content_hash != manifest.content_hash:
            raise RetrainingFileError(
                f"{plan.directory / retraining_file.VERDICT_FILE}: compares {compared.variant} in "
                f"version {compared.content_hash[:12]}, but {manifest.variant} is now "
                f"{manifest.version}; retrain to compare what is served"
            )


def _check_policies(plan: _Plan) -> None:
    """Check that every policy of the model can be fitted for the new variant.

    Raises:
        ServingError: one cannot.
    """
    classifier = Classifier.load(plan.directory)
    choice = plan.choice.of(plan.candidate.variant)
    for name in choice.policies:
        try:
            resolve_configured(classifier, choice, name)
        except ServingError as error:
            raise ServingError(
                f"{error}. A policy file is for one artifact: write it again with `dandelion "
                f"evaluate {plan.candidate.model} --variant {plan.candidate.variant}`"
            ) from error


def _counted(plan: _Plan, service: RunningService) -> dict[str, int] | None:
    """Return what was counted of a shadow of this name before; None if it cannot be asked."""
    try:
        return shadow_counts(service, plan.candidate.model, plan.candidate.variant)._asdict()
    except ConnectionError:
        return None


def _roll_back(artifacts: Path, model: str, service: RunningService | None) -> None:
    """Restore what ``serving.toml`` chose before the last step of a model.

    Raises:
        PromotionError: there is none, or the file has been edited since.
    """
    chosen = choices(artifacts, {})
    if model not in chosen:
        raise UsageError(f"unknown model {quoted(model)}. Available models: {', '.join(chosen)}")
    last = promotion.last_step(promotion.history(artifacts), model)
    present = promotion.state(read_serving_file(artifacts), model)
    if present != last.after:
        raise PromotionError(
            f"{artifacts / SERVING_FILE}: the choice of {model} was edited after the promotion of "
            f"{last.variant}, so it is not taken back; edit it by hand"
        )
    variant = str(last.before["variant"])
    restored = load_manifest(artifacts / model / variant)
    _change(
        artifacts,
        Promotion(model, "rollback", variant, restored.content_hash, present, last.before),
        service,
    )


def _change(artifacts: Path, step: Promotion, service: RunningService | None) -> None:
    """Edit ``serving.toml``, have it reloaded, and record the step.

    Raises:
        Exit: the reload failed, and the file is as it was.
        ServingError: the file cannot be edited.
    """
    old, new = promotion.change(artifacts, step)
    with promotion.locked(artifacts):
        promotion.replace_serving_file(artifacts, old, new)
        code = 0 if service is None else service.reload()
        if code not in {0, _INTERRUPTED}:
            promotion.replace_serving_file(artifacts, new, old)
            typer.echo(f"error: not reloaded, so {SERVING_FILE} is as it was before", err=True)
            raise typer.Exit(FAILED)
        promotion.record(artifacts, step)
    typer.echo(_outcome(step, reloaded=service is not None))
    if code:
        raise typer.Exit(code)


def _outcome(step: Promotion, *, reloaded: bool) -> str:
    served, shadow = step.after["variant"], step.after["shadow"]
    state = f"{step.model}: {served} is served" + (f", {shadow} is the shadow" if shadow else "")
    if step.step == "shadow":
        state += f". Once it has scored enough texts: dandelion promote {step.model} {step.variant}"
    if not reloaded:
        state += ". A running service does so after: dandelion reload"
    return state
