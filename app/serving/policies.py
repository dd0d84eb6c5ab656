"""How a served model decides: configured policies, and what requests ask for, fitted once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any, Final, NamedTuple

from dandelion import (
    Classifier,
    InfeasibleError,
    OperatingPointError,
    PolicyError,
    ServingError,
)
from dandelion.configured_policies import ConfiguredPolicy, resolve_configured
from dandelion.decision import operating_points
from dandelion.decision.policy import Basis, Policy, PolicyChoice, resolve
from dandelion.decision.rule import Decision
from dandelion.serving import ModelChoice

from .. import errors

# What is called in a thread, as it may take a second: returns the decision, or raises a `Problem`.
Fit = Callable[[], Decision]

_MAX_KEPT: Final = 256

_POINT: Final = "operating_point"


class _Refusal(NamedTuple):
    """Why a point cannot be fitted. A problem is created for each request that gets it."""

    pointer: str
    detail: str
    members: Mapping[str, Any]


class Policies:
    """The policies of one model. Threads may share it.

    Args:
        classifier: of the model.
        choice: how it is served.
        skip_unfitted: whether a policy that cannot be fitted is left out, for a variant that is not
            the served one; requests that need it get 422.

    Attributes:
        unfitted: the policies that were left out, and why.
        default_name: the default policy, if there is one.
        is_plain: whether a request that names neither policy nor operating point nor prior is
            decided at its threshold, or the model's.

    Raises:
        ServingError: a policy cannot be fitted; names the file, the table and the key.
    """

    def __init__(
        self, classifier: Classifier, choice: ModelChoice, *, skip_unfitted: bool = False
    ) -> None:
        self._own = classifier.decision
        self._basis = classifier.basis() if self._own.is_binary else None
        self._configured: dict[str, ConfiguredPolicy] = {}
        self.unfitted: dict[str, str] = {}
        for name in choice.policies:
            try:
                self._configured[name] = resolve_configured(classifier, choice, name)
            except ServingError as error:
                if not skip_unfitted:
                    raise
                self.unfitted[name] = str(error)
        self._decisions = {
            name: self._own.under(configured.policy)
            for name, configured in self._configured.items()
        }
        self.default_name = choice.default_policy
        self.is_plain = self._own.is_binary and self.default_name is None
        self._kept: OrderedDict[Hashable, Decision | _Refusal] = OrderedDict()
        self._changing = Lock()

    @property
    def configured(self) -> Mapping[str, ConfiguredPolicy]:
        """The policies of ``serving.toml``."""
        return self._configured

    @property
    def has_evidence(self) -> bool:
        """Whether requests may name operating points."""
        return self._basis is not None and self._basis.evidence is not None

    def find(
        self,
        threshold: float | None,
        policy: str | None,
        operating_point: str | None,
        prior: float | None,
    ) -> Decision | Fit:
        """Return what a request asks for, or how to fit it.

        Raises:
            Problem: 422, it contradicts itself, or the model has none of it.
        """
        asked = {"threshold": threshold, "policy": policy, _POINT: operating_point}
        given = [name for name, value in asked.items() if value is not None]
        if len(given) > 1:
            raise errors.excluded(given[1], given[0])
        if self._basis is None:
            for name in (*given, *(() if prior is None else ("prior",))):
                raise errors.not_for_labels(name, len(self._own.labels))
            return self._own
        if not given and self.default_name is not None:
            policy = self.default_name
        if policy is not None:
            return self._under(policy, prior)
        if prior is not None and self._basis.calibration is None:
            raise errors.not_calibrated()
        if operating_point is None:
            if prior is None:
                return self._own.at(threshold)
            choice = PolicyChoice(prior=prior)
            try:
                return self._own.under(resolve(choice, self._basis, threshold=threshold))
            except PolicyError as error:
                raise errors.invalid_field("prior", str(error)) from None
        if self._basis.evidence is None:
            raise errors.no_evidence()
        try:
            point = str(operating_points.parse(operating_point))
        except OperatingPointError as error:
            raise errors.invalid_field(_POINT, str(error)) from None
        return self._fitted(PolicyChoice(point, prior), self._basis, None, _POINT)

    def asked(
        self, decision: Decision
    ) -> tuple[float | None, str | None, str | None, float | None]:
        """Return what a request asked for to get a decision: what `find` returns it for.

        Args:
            decision: of this model, from `find`, or its own.
        """
        if decision.threshold is None or decision is self._own:
            return None, None, None, None
        policy = decision.policy
        if policy is None:
            return decision.threshold, None, None, None
        if policy.name is not None:
            configured = self._configured[policy.name].choice.prior
            return None, policy.name, None, policy.prior if configured is None else None
        if policy.operating_point is not None:
            return None, None, policy.operating_point, policy.prior
        assert self._basis is not None  # noqa: S101 - there is a threshold # nosec B101
        choice = PolicyChoice(prior=policy.prior)
        if self.default_name is None and _resolved(choice, self._basis) == policy:
            return None, None, None, policy.prior
        return decision.threshold, None, None, policy.prior

    def basis(self, policy: str | None, prior: float | None) -> tuple[Basis, PolicyChoice]:
        """Return what operating points are fitted on, and what is configured for them.

        Args:
            policy: a configured one; None for the artifact itself.
            prior: of a request; None for the policy's.

        Returns:
            The basis; and the policy's choice, or that of the artifact's threshold, with the prior.

        Raises:
            Problem: 404, the model has more than two labels; 422, there is no such policy, or it
                takes no prior.
        """
        if self._basis is None:
            raise errors.no_thresholds(len(self._own.labels))
        if policy is None:
            basis, choice = self._basis, PolicyChoice()
        elif policy in self._configured:
            basis, choice = self._configured[policy].basis, self._configured[policy].choice
        else:
            raise self._without(policy)
        if prior is None:
            return basis, choice
        if not choice.takes_prior:
            raise errors.prior_of_policy(policy or "")
        if basis.calibration is None:
            raise errors.not_calibrated()
        return basis, replace(choice, prior=prior)

    def _under(self, name: str, prior: float | None) -> Decision | Fit:
        """Return the decision under a configured policy, with the prior of a request if any.

        Raises:
            Problem: 422, there is no such policy, or it takes no prior.
        """
        configured = self._configured.get(name)
        if configured is None:
            raise self._without(name)
        if prior is None:
            return self._decisions[name]
        if not configured.choice.takes_prior:
            raise errors.prior_of_policy(name)
        if configured.basis.calibration is None:
            raise errors.not_calibrated()
        choice = replace(configured.choice, prior=prior)
        return self._fitted(choice, configured.basis, name, "prior")

    def _without(self, name: str) -> errors.Problem:
        if name in self.unfitted:
            return errors.unfitted_policy(name)
        return errors.unknown_policy([*self._configured])

    def _fitted(
        self, choice: PolicyChoice, basis: Basis, name: str | None, field: str
    ) -> Decision | Fit:
        """Return what was fitted before, or how to fit it.

        Raises:
            Problem: 422, it was fitted before, in vain.
        """
        key = (name, choice)
        with self._changing:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        if kept is None:
            return partial(self._fit, key, choice, basis, name, field)
        return _decision(kept)

    def _fit(
        self, key: Hashable, choice: PolicyChoice, basis: Basis, name: str | None, field: str
    ) -> Decision:
        found: Decision | _Refusal
        try:
            found = self._own.under(resolve(choice, basis, name=name))
        except InfeasibleError as error:
            members = {"best": error.best, "texts_needed": error.texts_needed}
            found = _Refusal(field, str(error), members)
        except (OperatingPointError, PolicyError) as error:
            found = _Refusal(field, str(error), {})
        with self._changing:
            self._kept[key] = found
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return _decision(found)


def _resolved(choice: PolicyChoice, basis: Basis) -> Policy | None:
    """Fit a policy without an operating point; None if it cannot be."""
    try:
        return resolve(choice, basis)
    except PolicyError:
        return None


def _decision(kept: Decision | _Refusal) -> Decision:
    """Return a decision that was kept.

    Raises:
        Problem: 422, a refusal was.
    """
    if isinstance(kept, _Refusal):
        raise errors.invalid_field(kept.pointer, kept.detail, kept.members)
    return kept
