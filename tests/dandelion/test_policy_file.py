"""Policy files: what is written is read, and anything else is refused in one sentence."""

import json
import stat
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dandelion.decision.calibration import Calibration
from dandelion.decision.evidence import Evidence
from dandelion.decision.operating_points import Interval
from dandelion.policy_file import (
    MAX_POLICY_BYTES,
    PolicyFile,
    PolicyFileError,
    RecordedPoint,
    read_policy_file,
)

HASH = "0123456789abcdef" * 4
SHARE = Interval(0.5, 0.25, 0.75)
POINT = RecordedPoint("fpr<=0.01", 1.5, True, 0.01, SHARE, SHARE, SHARE, SHARE)
CRITERION = replace(POINT, point="macro_f1", promised=False)


def evidence() -> Evidence:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=500), rng.integers(0, 2, 500)
    origins = rng.integers(0, 2, 500)
    return Evidence.of(logits, labels, origins, ("a", "b"), fitted_on="labelled")


POLICY = PolicyFile(
    "abuse",
    "bce-wide",
    HASH,
    "2026-11-26T05:00:00+00:00",
    500,
    Calibration("platt", 0.5, 0.5, -1.0),
    evidence(),
    (POINT, CRITERION),
)


@pytest.mark.parametrize("calibration", [POLICY.calibration, None])
def test_round_trip(tmp_path: Path, calibration: Calibration | None) -> None:
    path = tmp_path / "teens.json"
    replace(POLICY, calibration=calibration).write(path)
    found = read_policy_file(path)
    assert replace(found, evidence=POLICY.evidence) == replace(POLICY, calibration=calibration)
    assert found.evidence.fitted_on == "labelled"
    for source, counts in POLICY.evidence.counts.items():
        assert (found.evidence.counts[source] == counts).all()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["teens.json"]


def test_a_file_that_would_be_refused_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'artifact' is a SHA-256"):
        replace(POLICY, artifact="0123").write(tmp_path / "teens.json")
    assert not [*tmp_path.iterdir()]


def test_a_file_that_would_be_too_large_to_read_is_not_written(tmp_path: Path) -> None:
    sources = {"a" * MAX_POLICY_BYTES: POLICY.evidence.counts["a"]}
    with pytest.raises(PolicyFileError, match=r"teens\.json: not written: .* at most 8,388,608"):
        replace(POLICY, evidence=Evidence(sources)).write(tmp_path / "teens.json")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.update(format="dandelion"), "'format' is 'dandelion-policy'"),
        (lambda values: values.update(format_version=2), "version is 2, but .* reads 1$"),
        (lambda values: values.update(format_version=True), "version is True"),
        (lambda values: values.update(more=1), r"differ in \['more'\]"),
        (lambda values: values.pop("points"), r"differ in \['points'\]"),
        (lambda values: values.update(model="../abuse"), "'model' is a name"),
        (lambda values: values.update(artifact=HASH.upper()), "'artifact' is a SHA-256"),
        (lambda values: values.update(created="2026-11-26T05:00:00"), "'created' is a date"),
        (lambda values: values.update(texts=-1), "'texts' is a count"),
        (lambda values: values.update(texts=True), "'texts' is a count"),
        (lambda values: values["calibration"].update(a=-1), "'a' and 'b' are in"),
        (lambda values: values["calibration"].update(a="1"), "'a' is a number"),
        (lambda values: values["calibration"].pop("c"), "'calibration' is null or has"),
        (lambda values: values["evidence"].update(step=0.1), "a grid of 602 cells"),
        (lambda values: values["points"][0].pop("recall"), r"differ in \['recall'\]"),
        (lambda values: values["points"][0].update(promised=1), "'promised' is true or false"),
        (lambda values: values["points"][0]["recall"].update(lower=None), "is a number"),
        (lambda values: values["points"][0]["recall"].update(upper=1.1), "a number in .0, 1"),
        (lambda values: values["points"][0].update(rate=1), "'rate' is an object"),
        (lambda values: values.update(points=[1]), "'points' is an array"),
    ],
)
def test_what_is_not_a_policy_file_is_refused(
    tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    path = tmp_path / "teens.json"
    POLICY.write(path)
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(PolicyFileError, match=message) as caught:
        read_policy_file(path)
    assert str(caught.value).startswith(f"{path}: not a valid policy file: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "teens.json"
    for data in (b"", b"[]", b"{", b"\xff", b"[" * 10_000, b'{"format": NaN}'):
        path.write_bytes(data)
        with pytest.raises(PolicyFileError, match="not a valid policy file"):
            read_policy_file(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(PolicyFileError, match=r"cannot be read \("):
            read_policy_file(path)
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (MAX_POLICY_BYTES + 1))
    with pytest.raises(PolicyFileError, match="larger than"):
        read_policy_file(large)


def test_a_policy_of_another_artifact_is_refused() -> None:
    POLICY.check_artifact(HASH, Path("teens.json"))
    with pytest.raises(
        PolicyFileError, match=r"teens\.json: was made with version 0123456789ab of"
    ):
        POLICY.check_artifact(HASH[::-1], Path("teens.json"))


def test_it_holds_no_more_than_it_should(tmp_path: Path) -> None:
    path = tmp_path / "teens.json"
    POLICY.write(path)
    assert set(json.loads(path.read_text())) == {*asdict(POLICY), "format", "format_version"}
