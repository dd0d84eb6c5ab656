"""The default threshold: an operating point, fitted on out-of-fold evidence."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dandelion.decision import operating_points
from dandelion.decision.evidence import GRID
from training.configuration import Configuration
from training.errors import ConfigurationError
from training.out_of_fold import LONG_WORDS, OutOfFold
from training.penalties import PENALTIES, penalised
from training.thresholds import Choice, choose

from .held_out import NAMES, dataset_of, held_out

POINT = "fpr<=0.02[talk],fpr<=0.1[forum]"
GROUPS = {"talk": ["chat", "forum"]}


def chosen(found: OutOfFold, generated: frozenset[str] = frozenset(), **changes: Any) -> Choice:
    values = {"model": "m", "variant": "v", "loss": "bce", "out_of_fold": True}
    config = Configuration.model_validate(values | changes)
    return choose(config, found, dataset_of(found, generated=generated), found.rows)


def test_a_point_is_fitted_on_the_evidence() -> None:
    found = held_out()
    choice = chosen(found, operating_point=POINT, groups=GROUPS)
    fitted = operating_points.fit(POINT, choice.evidence)
    rule = choice.rule
    assert rule["criterion"] == "operating_point"
    assert rule["fitted_on"] == "out_of_fold"
    assert rule["promised"] is fitted.promised is True
    assert rule["logit"] == fitted.logit
    assert rule["texts"] == [fitted.negatives, fitted.positives]
    assert sum(rule["texts"]) == 4000
    assert rule["estimates"]["recall"]["estimate"] == fitted.recall.estimate
    assert (rule["folds"], rule["epochs"]) == (5, [3, 4, 3, 6, 3])
    # A promise is kept by more than the constraint asks for.
    for record in rule["constraints"]:
        assert record["value"] is not None
        assert record["source"] is not None
        its = (found.origins == NAMES.index(record["source"])) & (found.labels == 0)
        assert record["texts"] == its.sum()
        assert record["value"] == (found.logits[its] >= fitted.logit).mean()
        assert (
            record["value"]
            < {"fpr<=0.02[talk]": 0.02, "fpr<=0.1[forum]": 0.1}[record["constraint"]]
        )
    assert [one["source"] for one in rule["constraints"]] == ["chat", "forum", "forum"]


def test_the_threshold_is_a_calibrated_score() -> None:
    found = held_out()
    choice = chosen(found, operating_point=POINT, groups=GROUPS)
    logit = choice.rule["logit"]
    np.testing.assert_array_equal(choice.scores >= choice.threshold, found.logits >= logit)
    assert choice.scores.dtype == np.float32
    expected = 1 / (1 + np.exp(-choice.calibration.logits(found.logits)))
    np.testing.assert_allclose(choice.scores, expected, atol=1e-6)
    fit = choice.calibration_fit
    assert fit["fitted_on"] == "out_of_fold"
    assert fit["after"]["log_loss"] < fit["before"]["log_loss"]


def test_macro_f1_is_fitted_on_the_evidence_too() -> None:
    choice = chosen(held_out())
    rule = choice.rule
    assert rule["criterion"] == "macro_f1"
    assert not rule["promised"]
    assert "constraints" not in rule
    assert rule["logit"] == operating_points.fit("macro_f1", choice.evidence).logit
    assert rule["plateau"] is not None
    low, high = rule["plateau"]
    assert low <= rule["logit"] <= high


def test_the_penalty_reaches_scores_evidence_and_threshold() -> None:
    found = held_out(0.8)
    found.windows[:100] = 5
    choice = chosen(found, windows={}, operating_point=POINT, groups=GROUPS)
    assert choice.penalty > 0
    logits = penalised(found.logits, found.windows, choice.penalty)
    np.testing.assert_array_equal(choice.scores >= choice.threshold, logits >= choice.rule["logit"])
    above = sum(table[:, 1:].sum() for table in choice.evidence.counts.values())
    assert above == (logits >= GRID[0]).sum()
    records = choice.rule["long_texts"]
    assert {one["words"] for one in records} == set(LONG_WORDS)
    assert all(one["false_positive_rate"] <= one["max_fpr"] for one in records)


def test_if_no_penalty_suffices_the_record_shows_it() -> None:
    choice = chosen(held_out(5.5), windows={}, operating_point=POINT, groups=GROUPS)
    assert choice.penalty == PENALTIES[-1]
    worst = max(one["false_positive_rate"] for one in choice.rule["long_texts"])
    assert worst > 0.1


def test_folds_that_disagree_withhold_the_promise() -> None:
    found = held_out()
    logits = found.logits + (found.folds == 2)
    choice = chosen(replace(found, logits=logits), operating_point=POINT, groups=GROUPS)
    assert not choice.rule["scale"]["agree"]
    assert not choice.rule["promised"]
    assert not choice.evidence.promises


def test_a_generated_source_is_no_evidence() -> None:
    choice = chosen(held_out(), frozenset({"forum"}), operating_point="fpr<=0.02")
    assert set(choice.evidence.counts) == {"chat", "scams"}


@pytest.mark.parametrize(
    ("shift", "point"), [(50, "fpr<=0.02[chat]"), (0, "fpr<=0.0001[chat]"), (0, "recall>=0.999999")]
)
def test_an_infeasible_point_is_an_error_of_configuration(shift: int, point: str) -> None:
    found = held_out()
    logits = (found.logits + shift * (found.labels == 0)).astype(np.float32)
    with pytest.raises(ConfigurationError, match=r"m/v: .*; choose another operating_point"):
        chosen(replace(found, logits=logits), operating_point=point)
