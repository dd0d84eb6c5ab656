"""Policies, operating points and priors of ``dandelion classify``, and in Python."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dandelion import (
    Classifier,
    InfeasibleError,
    OperatingPointError,
    Policy,
    PolicyError,
    ThresholdError,
)
from dandelion.artifact import save
from dandelion.command import app
from dandelion.decision.calibration import Calibration
from dandelion.decision.operating_points import FittedPoint
from dandelion.decision.policy import score_at

from .examples import THREE, make_artifact, make_evidence

PLATT = Calibration("platt", 2.0, 2.0, -0.5)
TEXTS = ["Free prize!", "Lunch tomorrow?", "xyzzy", "😂"]
SERVING = """
[models]
mood = "tiny"
[models.spam]
variant = "tiny"
default_policy = "adults"
[models.spam.policies.teens]
operating_point = "fpr<=0.05"
review = "fpr<=0.3"
prior = 0.01
[models.spam.policies.adults]
operating_point = "recall>=0.5"
[models.spam.policies.broken]
operating_point = "fpr<=0.00001"
"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("artifacts")
    spam = make_artifact(calibration=PLATT, evidence=make_evidence())
    for variant in ("tiny", "other"):
        save(spam, directory / "spam" / variant)
    save(make_artifact(labels=THREE), directory / "mood" / "tiny")
    (directory / "serving.toml").write_text(SERVING)
    return directory


@pytest.fixture(scope="module")
def spam(artifacts: Path) -> Classifier:
    return Classifier.load(artifacts / "spam" / "tiny")


def run(artifacts: Path, *options: str, model: str = "spam") -> tuple[int, str]:
    arguments = ["classify", "--artifacts", str(artifacts), *options, model, "--", *TEXTS]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout if not result.exit_code else result.stderr


def columns(spam: Classifier, policy: Policy) -> str:
    lines = [
        f"{one.label}\t{'-' if one.score is None else format(one.score, '.4f')}"
        + (f"\t{one.decision}" if policy.names_decisions else "")
        for one in spam.classify(TEXTS, policy=policy)
    ]
    return "\n".join(lines) + "\n"


def test_the_default_policy_decides_as_in_the_service(artifacts: Path, spam: Classifier) -> None:
    default = spam.policy("recall>=0.5", name="adults")
    assert run(artifacts) == (0, columns(spam, default))
    assert run(artifacts, "--policy", "adults") == (0, columns(spam, default))
    # Not that of another variant, and not with a threshold.
    code, plain = run(artifacts, "--variant", "other")
    assert plain == columns(spam, spam.policy())
    assert run(artifacts, "--threshold", "0.5") == (code, plain)


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        (("--policy", "teens"), {"operating_point": "fpr<=0.05", "review": "fpr<=0.3"}),
        (("--operating-point", "fpr<=0.1[sms]"), {"operating_point": "fpr<=0.1[sms]"}),
        (("--threshold", "0.3"), {"threshold": 0.3}),
    ],
)
def test_options_are_those_of_the_service(
    artifacts: Path, spam: Classifier, options: tuple[str, ...], policy: dict[str, str]
) -> None:
    name = options[1] if options[0] == "--policy" else None
    prior = () if name else ("--prior", "0.01")
    fitted = spam.policy(**policy, name=name, prior=0.01)  # type: ignore[arg-type]
    assert run(artifacts, *options, *prior) == (0, columns(spam, fitted))


def test_a_prior_joins_the_default_policy(artifacts: Path, spam: Classifier) -> None:
    fitted = spam.policy("recall>=0.5", name="adults", prior=0.2)
    assert run(artifacts, "--prior", "0.2") == (0, columns(spam, fitted))


def test_json_has_decision_reason_and_low_evidence(artifacts: Path) -> None:
    code, written = run(artifacts, "--policy", "teens", "--json")
    free, lunch, unknown, sign = map(json.loads, written.splitlines())
    assert list(free) == ["label", "score", "decision"]
    assert list(lunch) == ["label", "score", "decision"]
    assert list(unknown) == ["label", "score", "decision", "low_evidence"]
    assert sign == {"label": "ham", "score": None, "decision": "none", "reason": "no_content"}
    assert code == 0


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--policy", "teen"), 2, "spam has no policy 'teen'. Policies: teens, adults, broken"),
        (("--policy", "teens", "--prior", "0.1"), 2, "the policy teens has a prior of its own"),
        (("--policy", "teens", "--variant", "other"), 2, "teens is of the served variant, tiny;"),
        (("--policy", "teens", "--threshold", "0.1"), 2, "--threshold and --policy exclude one"),
        (("--prior", "0"), 2, "'0' is not a number from 0.000001 to 0.9999"),
        (("--operating-point", "fpr"), 2, "not an operating point"),
        (("--operating-point", "fpr<=0.00001"), 1, "cannot be promised"),
        (("--policy", "broken"), 1, "[models.spam.policies.broken] operating_point: fpr<="),
    ],
)
def test_what_cannot_be_done_is_one_line(
    artifacts: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    found, written = run(artifacts, *options)
    assert found == code
    assert message in written
    assert "Traceback" not in written


def test_a_policy_is_of_the_served_variant_in_every_command(artifacts: Path) -> None:
    texts = ["free prize"]
    for command in (["classify", "spam", *texts], ["policy", "plan", "spam"]):
        arguments = [*command, "--artifacts", str(artifacts), "--policy", "teens", "--variant"]
        refused = CliRunner().invoke(app, [*arguments, "other"])
        assert refused.exit_code == 2
        assert refused.stderr == (
            "error: the policy teens is of the served variant, tiny; leave out --variant\n"
        )
        assert CliRunner().invoke(app, [*arguments, "tiny"]).exit_code == 0


def test_more_than_two_labels_have_no_policy(artifacts: Path) -> None:
    assert run(artifacts, "--prior", "0.1", model="mood")[0] == 2
    assert run(artifacts, "--policy", "x", model="mood") == (
        *(2, "error: mood has no policy 'x'. Policies: none\n"),
    )
    mood = Classifier.load(artifacts / "mood" / "tiny")
    with pytest.raises(ThresholdError, match="3 labels has no policy"):
        mood.classify(TEXTS, prior=0.1)


def test_choices_exclude_one_another_in_python(spam: Classifier) -> None:
    policy = spam.policy("f1")
    with pytest.raises(PolicyError, match="threshold and operating_point exclude one another"):
        spam.classify(TEXTS, 0.5, operating_point="f1")
    with pytest.raises(PolicyError, match="policy and operating_point exclude one another"):
        spam.classify(TEXTS, policy=policy, operating_point="f1")
    with pytest.raises(PolicyError, match="a policy has its prior already"):
        spam.classify(TEXTS, policy=policy, prior=0.1)
    with pytest.raises(PolicyError, match="exclude one another"):
        spam.policy("f1", threshold=0.5)
    name: Any = "teens"
    with pytest.raises(
        TypeError, match=r"policy is str; expected what Classifier.policy\(\) returns"
    ):
        spam.classify(TEXTS, policy=name)
    with pytest.raises(ThresholdError, match=r"expected a number in \[0, 1\]"):
        spam.policy(threshold=1.5)


def test_operating_points_are_fitted_or_reported(spam: Classifier, artifacts: Path) -> None:
    found = spam.operating_points(["fpr<=0.05", "fpr<=0.00001"], prior=0.01)
    assert list(found) == ["fpr<=0.05", "fpr<=0.00001"]
    fitted, refused = found.values()
    assert isinstance(refused, InfeasibleError)
    assert isinstance(fitted, FittedPoint)
    assert fitted.prior == 0.01
    assert score_at(fitted.logit, PLATT, 0.01) == spam.policy("fpr<=0.05", prior=0.01).threshold
    for prior in (0, 1, -0.5, float("nan")):
        with pytest.raises(PolicyError, match=r"expected a number from 0\.000001 to 0\.9999"):
            spam.operating_points(["fpr<=0.05"], prior=prior)
    bare = Classifier(make_artifact())
    with pytest.raises(PolicyError, match="has no evidence"):
        bare.operating_points(["f1"])
    with pytest.raises(OperatingPointError, match="not an operating point"):
        spam.operating_points(["f2"])
