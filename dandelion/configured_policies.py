"""Policies of ``serving.toml``, fitted on what they are for."""

from dataclasses import dataclass, replace

from .classifier import Classifier
from .decision.operating_points import InfeasibleError, OperatingPointError
from .decision.policy import (
    Basis,
    Policy,
    PolicyChoice,
    PolicyError,
    resolve,
    with_review,
    with_review_threshold,
)
from .decision.rule import ThresholdError
from .policy_file import PolicyFileError
from .serving import ModelChoice, ServingError


@dataclass(frozen=True, slots=True)
class ConfiguredPolicy:
    """A policy of ``serving.toml``.

    Attributes:
        choice: as configured.
        basis: what it is fitted on.
        policy: ready to decide.
    """

    choice: PolicyChoice
    basis: Basis
    policy: Policy


def resolve_configured(classifier: Classifier, choice: ModelChoice, name: str) -> ConfiguredPolicy:
    """Fit a policy of ``serving.toml``.

    Args:
        classifier: of the model.
        choice: how it is served.
        name: of one of its policies.

    Raises:
        ServingError: it cannot be fitted; names the file, the table and the key.
    """
    policy = choice.policies[name]
    table = f"{choice.file}: [models.{classifier.manifest.model}.policies.{name}]"
    key = "calibration"
    try:
        basis = classifier.basis(policy.calibration)
        is_about_prior = policy.prior is not None and basis.calibration is None
        key = "prior" if is_about_prior else "operating_point"
        found = resolve(replace(policy, review=None, review_threshold=None), basis, name=name)
        if policy.review is not None:
            key = "review"
            found = with_review(found, policy.review, basis)
        if policy.review_threshold is not None:
            key = "review_threshold"
            found = with_review_threshold(found, policy.review_threshold)
    except ThresholdError as error:
        raise ServingError(f"{table} {error}") from error
    except (InfeasibleError, OperatingPointError, PolicyError, PolicyFileError) as error:
        raise ServingError(f"{table} {key}: {error}") from error
    return ConfiguredPolicy(policy, basis, found)
