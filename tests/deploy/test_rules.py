"""Every alert fires when it should, not when it should not, and names what to do."""

import re
import subprocess
from typing import Any

import pytest
from ruamel.yaml import YAML

from ..conftest import ROOT

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
UNIT_TESTS = ROOT / "tests" / "deploy" / "rules_test.yml"
ALERTS: list[dict[str, Any]] = [
    rule for group in YAML(typ="safe").load(RULES)["groups"] for rule in group["rules"]
]
NAMES = [alert["alert"] for alert in ALERTS]


def promtool(*arguments: object) -> None:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_valid() -> None:
    promtool("check", "rules", RULES)


def test_the_alerts_pass_their_unit_tests() -> None:
    promtool("test", "rules", UNIT_TESTS)


@pytest.mark.parametrize("name", NAMES)
def test_unit_tests_cover_both_directions(name: str) -> None:
    tried = [
        bool(case["exp_alerts"])
        for test in YAML(typ="safe").load(UNIT_TESTS)["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == name
    ]
    assert {True, False} == set(tried)


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_every_alert_says_how_urgent_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    severities = set(re.findall("critical|warning|info", alert["labels"]["severity"]))
    assert severities
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    sections = (ROOT / page).read_text().split("\n## ")
    (section,) = [
        text for text in sections if text.splitlines()[0].lower().replace(" ", "-") == anchor
    ]
    assert f"`{alert['alert']}`:" in section


def test_alerts_have_names_of_their_own() -> None:
    assert len(set(NAMES)) == len(NAMES)
