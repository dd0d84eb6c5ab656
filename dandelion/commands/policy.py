"""``dandelion policy``: what a policy means for a team."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..classifier import Classifier
from ..decision import operating_points
from ..decision.calibration import IDENTITY
from ..decision.intervals import Interval
from ..decision.plan import Plan, plan
from ..decision.policy import PolicyChoice, PolicyError, fit_point, lowest_logit
from ..decision.prediction_intervals import MAX_MESSAGES
from ..plural import number_of
from .artifacts import ArtifactsOption, VariantOption, choose, locate
from .columns import columns, percent
from .errors import UsageError, check_output, readable_errors
from .in_force import named_policy
from .numbers import PriorOption, parse_amount

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Plan with a policy.",
)


@app.callback()
def policy() -> None:
    """Plan with a policy."""


@app.command("plan")
def plan_policy(  # noqa: PLR0913, PLR0917
    model: Annotated[str, typer.Argument(metavar="MODEL", help="See `dandelion models`.")],
    name: Annotated[
        str | None,
        typer.Option("--policy", metavar="NAME", help="A policy of the model in serving.toml."),
    ] = None,
    point: Annotated[
        str | None,
        typer.Option(
            "--operating-point",
            metavar="POINT",
            help="Operating point instead of a policy, such as 'fpr<=0.01'.",
        ),
    ] = None,
    review: Annotated[
        str | None,
        typer.Option(metavar="POINT", help="Lower end of the review band, such as 'rate<=0.02'."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Policy file of your texts, from `dandelion evaluate`."),
    ] = None,
    prior: PriorOption = None,
    volume: Annotated[
        float, typer.Option(parser=parse_amount, metavar="NUMBER", help="Messages per day.")
    ] = 1e6,
    minutes: Annotated[
        float,
        typer.Option(parser=parse_amount, metavar="NUMBER", help="Minutes per message in review."),
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
    variant: VariantOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """State what a policy means per day: messages flagged and reviewed, hours, alerts, misses.

    With a review band, reviewers read the messages in the band; without one, all flagged messages.
    Every number has two 95 % intervals: one for the mean day, which reflects how well the evidence
    determines the rates, and one for the next day, whose messages vary (a prediction interval).
    """
    with readable_errors():
        check_output()
        directory = locate(artifacts, model, variant)
        if name is not None:
            if point is not None or review is not None or calibration is not None:
                raise UsageError("--policy has its own operating point, review and calibration")
            choice = named_policy(directory, model, name, variant).policies[name]
        else:
            if point is None:
                raise UsageError("name a --policy or an --operating-point")
            file = None if calibration is None else str(calibration)
            choice = PolicyChoice(point, None, review, file)
        if prior is not None and choice.prior is not None:
            raise UsageError(f"the policy {name} has a prior of its own; leave out --prior")
        classifier = Classifier.load(choose(directory, model, variant))
        found = _plan(classifier, choice, choice.prior or prior, volume, minutes)
        typer.echo(json.dumps(asdict(found)) if as_json else _described(found, classifier))


def _plan(
    classifier: Classifier,
    choice: PolicyChoice,
    prior: float | None,
    volume: float,
    minutes: float,
) -> Plan:
    if volume > MAX_MESSAGES:
        raise UsageError(f"the volume is {volume:g}; expected at most {MAX_MESSAGES:,}")
    basis = classifier.basis(choice.calibration)
    evidence = basis.evidence
    if evidence is None:
        raise PolicyError(
            "the artifact has no evidence (held-out scores) to plan with; give --calibration, a "
            "policy file of your own texts"
        )
    if prior is None and evidence.weights is None:
        raise UsageError(
            "the share of positive messages is unknown: give --prior, or a policy file from a "
            "sample (`dandelion sample`)"
        )
    threshold, lowest = basis.boundary, None
    calibration = basis.calibration or IDENTITY
    if choice.operating_point is not None:
        threshold = fit_point(choice.operating_point, basis, prior).logit
    elif choice.threshold is not None:
        threshold = lowest_logit(choice.threshold, calibration, choice.prior)
    if choice.review is not None:
        lowest = fit_point(choice.review, basis, prior).logit
    elif choice.review_threshold is not None:
        lowest = lowest_logit(choice.review_threshold, calibration, choice.prior)
    if lowest is not None and lowest > threshold:
        raise PolicyError("the review point is above the threshold; expected a looser one")
    own = operating_points.at(evidence, threshold, prior=prior).prior
    return plan(evidence, threshold, prior=own, volume=volume, minutes=minutes, review=lowest)


def _described(found: Plan, classifier: Classifier) -> str:
    positive = classifier.manifest.labels[1]
    next_day = found.prediction
    named = [
        ("flagged", found.flagged, next_day.flagged),
        (f"  of these {positive}", found.true_alerts, next_day.true_alerts),
        ("  false alerts", found.false_alerts, next_day.false_alerts),
        ("for review", found.in_review, next_day.in_review),
        (f"  of these {positive}", found.found_in_review, next_day.found_in_review),
        (f"missed {positive}", found.missed, next_day.missed),
        ("reviewer hours", found.hours, next_day.hours),
    ]
    rows = [("A DAY", "ESTIMATE", "95 % INTERVAL", "NEXT DAY, 95 %")]
    for name, interval, predicted in named:
        if interval is not None and predicted is not None:
            row = (name, _count(interval.estimate), _ends(interval), _ends(predicted))
            rows.append(row)
    return (
        f"{number_of(found.volume, 'message')} a day, "
        f"{percent(found.prior)} % of them {positive}:\n"
        f"{columns(rows)}"
    )


def _ends(interval: Interval) -> str:
    return f"{_count(interval.lower)} to {_count(interval.upper)}"


def _count(value: Any) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
