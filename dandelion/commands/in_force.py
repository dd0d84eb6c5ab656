"""The policy that a command line asks for."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from ..classifier import Classifier
from ..configured_policies import resolve_configured
from ..decision.policy import Policy, resolve
from ..installation import SERVING_FILE
from ..json_values import quoted
from ..serving import ModelChoice, choices
from .errors import UsageError

PolicyOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Policy of the model in {SERVING_FILE}. Default: its default policy, if any.",
    ),
]


class Asked(NamedTuple):
    """What the options say about decisions; None where they say nothing."""

    threshold: float | None
    policy: str | None
    operating_point: str | None
    prior: float | None


def named_policy(artifacts: Path, model: str, name: str, variant: str | None) -> ModelChoice:
    """Return how a model is served that has a policy of a name.

    Args:
        artifacts: the directory with ``serving.toml``.
        model: its name.
        name: of the policy.
        variant: that the command line names, if any.

    Raises:
        UsageError: there is no such policy, or another variant is named than the served one.
        ServingError: ``serving.toml`` is invalid.
    """
    choice = choices(artifacts, {}).get(model)
    if choice is None or name not in choice.policies:
        known = ", ".join(choice.policies) if choice else ""
        raise UsageError(f"{model} has no policy {quoted(name)}. Policies: {known or 'none'}")
    if variant not in (None, choice.variant):
        raise UsageError(
            f"the policy {name} is of the served variant, {choice.variant}; leave out --variant"
        )
    return choice


def policy_in_force(
    classifier: Classifier, artifacts: Path, asked: Asked, variant: str | None
) -> Policy | None:
    """Return what decides, as the service would choose it; None for a threshold alone.

    Args:
        classifier: of the model.
        artifacts: the directory with ``serving.toml``.
        asked: the options.
        variant: that the command line names; None for the served one, whose default policy
            applies.

    Raises:
        UsageError: two options exclude one another; otherwise see `named_policy`.
        ServingError: ``serving.toml`` is invalid, or the policy cannot be fitted.
        PolicyError, InfeasibleError, OperatingPointError: see `Classifier.policy`.
        ThresholdError: the model has more than two labels.
    """
    options = {
        "--threshold": asked.threshold,
        "--policy": asked.policy,
        "--operating-point": asked.operating_point,
    }
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} exclude one another; give one of them")
    model, name = classifier.manifest.model, asked.policy
    if variant is None and not given:
        served = choices(artifacts, {}).get(model)
        name = served.default_policy if served else None
    if name is not None:
        choice = named_policy(artifacts, model, name, variant)
        return _configured(classifier, choice, name, asked.prior)
    if asked.operating_point is None and asked.prior is None:
        return None
    return classifier.policy(asked.operating_point, threshold=asked.threshold, prior=asked.prior)


def _configured(
    classifier: Classifier, choice: ModelChoice, name: str, prior: float | None
) -> Policy:
    found = resolve_configured(classifier, choice, name)
    if prior is None:
        return found.policy
    if not found.choice.takes_prior:
        raise UsageError(
            f"the policy {name} has a prior of its own, or a threshold; leave out --prior"
        )
    return resolve(replace(found.choice, prior=prior), found.basis, name=name)
