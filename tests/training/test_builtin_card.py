"""The card of a built-in variant: everything on it is in the manifest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dandelion.manifest import Manifest
from training import builtin_card

from ..dandelion.examples import THREE, make_artifact

RATES = {"negatives": 4000, "false_positive_rate": 0.0095, "positives": 600, "recall": 0.8765}
RULE = {
    "criterion": "operating_point",
    "fitted_on": "out_of_fold",
    "folds": 5,
    "epochs": [3] * 5,
    "promised": True,
    "confidence": 0.95,
    "constraints": [
        {"constraint": "fpr<=0.01[talk]", "source": "sms_ham", "texts": 4000, "value": 0.0075}
    ],
    "long_texts": [
        {
            "sources": ["sms_ham", "wikipedia"],
            "max_fpr": 0.01,
            "words": 300,
            "texts": 432,
            "false_positive_rate": 0.007,
        }
    ],
}


def manifest(**changes: Any) -> Manifest:
    config = {
        "about": "Scams in *text messages*.",
        "not_for": "E-mail.",
        "sources": [
            {"name": "sms_ham", "weight": 0.5, "balanced": False, "rows": 9000},
            {"name": "wikipedia", "weight": 1.0, "balanced": True, "rows": None},
        ],
    }
    values = {
        "config": config,
        "dataset": {"name": "spam", "rows": 12345},
        "split": {"train": 800, "validation": 100, "test": 1234},
        "threshold": 0.4321,
        "threshold_rule": RULE,
        "windows": {"words": 30, "stride": 15, "penalty": 0.35},
        "by_source": {
            "out_of_fold": {"sms_ham": RATES},
            "test": {"sms_ham": RATES | {"recall": None, "positives": 0, "negatives": 444}},
        },
        "metrics": {"test": {"operating point": {"macro_f1": 0.91, "brier": None}}},
    }
    return replace(make_artifact().manifest, **(values | changes))


def test_the_card_says_what_the_model_is_for_and_what_it_does() -> None:
    page = builtin_card.page(manifest())
    for expected in (
        "# spam\n",
        "## What it is for\n\nScams in *text messages*.\n",
        "## What it is not for\n\nE-mail.\n",
        "score of 0.4321 or more: the lowest threshold that meets these constraints, each",
        "each promised with 95% confidence, on 5 folds",
        "| `fpr<=0.01[talk]` | sms_ham | 4,000 | 0.75% |",
        "| sms_ham | out of fold | 4,000 | 0.9% | 600 | 87.6% |",
        "| sms_ham | test fold | 444 | 0.9% | 0 |  |",
        "window − 0.35 · log(number of windows)",
        "| sms_ham, wikipedia | 300 | 432 | 0.7% |",
        "1,234 texts of the same sources, at the default threshold.",
        "| macro-F1 |\n| --- |\n| .9100 |",
        "12,345 texts, loss `dice`",
        "- sms_ham (weight 0.5, 9,000 texts at most)\n- wikipedia (both classes equally often)\n",
    ):
        assert expected in page
    assert "queues" not in page
    assert "\n\n\n" not in page


@pytest.mark.parametrize(("recall", "warned"), [(0.199, True), (0.2, False), (None, False)])
@pytest.mark.parametrize("fold", ["out_of_fold", "test"])
def test_a_low_recall_is_for_queues(fold: str, recall: float | None, warned: bool) -> None:
    rates = RATES | {"recall": recall}
    found = {"out_of_fold": {"sms_ham": RATES}, "test": {"sms_ham": RATES}}
    page = builtin_card.page(manifest(by_source=found | {fold: {"sms_ham": RATES, "b": rates}}))
    assert ("**For queues, not for removal**" in page) is warned
    if warned:
        place = {"out_of_fold": "out of fold", "test": "test fold"}[fold]
        assert f"it finds 19.9% of the positive texts of b ({place})" in page


def test_a_threshold_fitted_to_macro_f1() -> None:
    rule = {"criterion": "macro_f1", "fitted_on": "validation"}
    page = builtin_card.page(manifest(threshold_rule=rule, windows=None, by_source=None))
    assert "0.4321 or more: the threshold that maximises macro-F1 on validation.\n" in page
    assert "Long texts" not in page
    assert "by source" not in page


def test_more_than_two_labels_have_no_threshold_to_explain() -> None:
    several = make_artifact(labels=THREE).manifest
    metrics = {"test": {"argmax": {"macro_f1": 0.8}}}
    page = builtin_card.page(
        replace(several, config={"about": "Moods."}, metrics=metrics, dataset={"rows": 9})
    )
    assert "threshold" not in page
    assert "at the highest score" in page
    assert "Labels: calm, glad, sad." in page


def test_a_card_needs_a_purpose(tmp_path: Path) -> None:
    assert builtin_card.has_card(manifest())
    assert not builtin_card.has_card(manifest(config={"about": ""}))
    assert not builtin_card.has_card(make_artifact().manifest)
    path = builtin_card.write(manifest(), tmp_path)
    assert path == tmp_path / "MODEL_CARD.md"
    assert path.read_text(encoding="utf-8") == builtin_card.page(manifest())
