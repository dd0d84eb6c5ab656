"""The map of sensitivity: what is claimed of the gradient, the recipes, and the page."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study import sensitivity
from study.pages.paper import lowest_collapsing_rate, naive_note
from study.pages.sensitivity import page
from study.schema.results import OurFigures, PaperFigures, Results, Summary, Table1Row
from study.schema.studies import Sensitivity, SensitivityCell
from study.storage import read
from training.losses.overlap import Classes, dice

from ..conftest import ROOT

COMMITTED = read(Sensitivity, ROOT / "docs" / "results" / "sensitivity.json")
COUNTED: tuple[Classes, ...] = ("positive", "minority", "both")


def steps_down(logits: torch.Tensor, targets: torch.Tensor, classes: Classes) -> torch.Tensor:
    logits = logits.clone().requires_grad_()
    dice(logits, targets, float(targets.mean()), classes=classes, smoothing=1e-9).backward()
    assert logits.grad is not None
    return -logits.grad


@given(
    st.integers(1, 199).filter(lambda count: count != 100),
    st.floats(-4, 4),
    st.sampled_from(COUNTED),
)
def test_the_shared_push_is_what_the_loss_does(
    positives: int, logit: float, classes: Classes
) -> None:
    targets = (torch.arange(200) < positives).double()
    steps = steps_down(torch.full((200,), logit, dtype=torch.double), targets, classes)
    found = sensitivity.shared_push(
        positives / 200, float(torch.sigmoid(torch.tensor(logit).double())), classes
    )
    assert found == pytest.approx(float(steps.sum() / steps.abs().sum()), abs=1e-6)


@given(st.floats(0.01, 0.99))
def test_at_the_start_the_push_is_the_counted_share(share: float) -> None:
    assert sensitivity.shared_push(share, 0.5, "positive") == pytest.approx(share)
    counted = sensitivity.shared_push(share, 0.5, "minority")
    assert abs(counted) == pytest.approx(min(share, 1 - share))
    assert counted > 0 if share <= 0.5 else counted < 0


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_one_class_never_converges_both_stop_at_the_share(share: float, score: float) -> None:
    assert sensitivity.shared_push(share, score, "positive") > 0
    expected = share / (share + 2 * score - 2 * share * score)
    assert sensitivity.shared_push(share, score, "positive") == pytest.approx(expected)
    assert sensitivity.shared_push(share, share, "both") == pytest.approx(0, abs=1e-9)
    towards = sensitivity.shared_push(share, score, "both")
    if abs(share - score) > 1e-3:
        assert np.sign(towards) == np.sign(share - score)


def test_the_cure_changes_three_things() -> None:
    before = sensitivity.naive(1e-3).model_dump()
    after = sensitivity.cured(1e-3).model_dump()
    changed = {name: after[name] for name in after if after[name] != before[name]}
    assert changed == {
        "variant": "dice-cured",
        "loss_options": {"classes": "both"},
        "weight_decay": 1.0,
        "embedding_rate": pytest.approx(3e-3),
    }
    assert sensitivity.cured(1e-3, loss="bce").loss_options == {}


@pytest.mark.parametrize("rate", sensitivity.RATES)
def test_every_rate_keeps_its_ratio_up_to_one(rate: float) -> None:
    assert sensitivity.naive(rate).embedding_rate == rate
    wide = sensitivity.cured_wide(rate)
    assert wide.wide is not None
    assert wide.wide.rate == wide.wide.surface_rate == pytest.approx(min(1, 30 * rate))
    assert wide.embedding_rate == pytest.approx(3 * rate)


def cell(rate: float, collapsed: int) -> SensitivityCell:
    return SensitivityCell("naive", "cyberbullying", "dice", rate, collapsed, 3, 0.5, 0.5, 1)


def test_the_lowest_rate_from_which_all_collapse() -> None:
    def lowest(*collapsed: int) -> float | None:
        cells = [cell(rate, count) for rate, count in zip((0.1, 0.2, 0.3), collapsed, strict=True)]
        return lowest_collapsing_rate(replace(COMMITTED, cells=cells))

    assert lowest(2, 3, 3) == 0.2
    assert lowest(3, 2, 3) == 0.3
    assert lowest(3, 3, 3) == 0.1
    assert lowest(3, 3, 2) is None


def test_the_note_on_the_naive_row_names_rate_and_predictions() -> None:
    naive = Summary(0.5, 0.5, [0.9, 0.0, 0.9])
    figures = OurFigures(naive, naive)
    row = Table1Row(
        "cyberbullying",
        "dice",
        "dice, naive recipe",
        PaperFigures(0.8, 0.9),
        collapsed=True,
        ours={"0.5": figures, "fitted": figures, "fitted to accuracy": figures},
    )
    results = Results([], [], [row], {}, [])
    stored = replace(COMMITTED, cells=[cell(0.001, 3), cell(0.01, 1), cell(0.1, 3)])
    note = " ".join(naive_note(results, stored).split())
    assert "is deliberately trained at .1" in note
    assert "At .01 not every run does. (At .001 every run does again.)" in note
    assert "2 of the 3 runs predict the positive class for every text and 1 the negative" in note


TINY = replace(sensitivity.QUICK, models=("tiny",), model="tiny")


@pytest.mark.usefixtures("tiny", "in_this_process")
def test_write_stores_and_shows_what_was_found(tmp_path: Path) -> None:
    found = sensitivity.write(tmp_path, TINY)
    assert read(Sensitivity, tmp_path / "sensitivity.json") == found
    text = (tmp_path / "sensitivity.md").read_text()
    assert text == page(found)
    assert 'loss_options = { classes = "both" }' in text
    assert (tmp_path / "sensitivity.svg").read_bytes().startswith(b"<?xml")
    parts = {(one.part, one.row) for one in found.cells}
    assert {("naive", "dice"), ("naive", "bce"), ("cured", "dice"), ("wide", "dice")} <= parts
    assert ("cured", "bce") not in parts  # it counts no class
    assert all(0 <= one.collapsed <= one.runs for one in found.cells)
    networks = {(one.recipe, one.rate): one for one in found.networks}
    small, large = networks["naive", 1e-4], networks["naive", 1e-1]
    assert small.median_logit_size < large.median_logit_size
    assert all(0 <= one.vanished <= 1 for one in networks.values())
    assert sensitivity.write(tmp_path, TINY) == found


def test_choosing_never_reads_the_test_fold() -> None:
    cells = dict(sensitivity.cells(sensitivity.Scale()))
    assert not any(run.read_test for listed in cells.values() for run in listed)
    assert {run.seed for listed in cells.values() for run in listed} == {100, 101, 102}
    assert {cell.rate for cell in cells if cell.part == "wide"} == {
        rate for rate in sensitivity.RATES if rate >= 1e-4
    }


def test_only_artifacts_that_are_opened_are_kept() -> None:
    cells = dict(sensitivity.cells(sensitivity.Scale()))
    kept = [
        (cell.part, cell.model, cell.row, run.seed)
        for cell, listed in cells.items()
        for run in listed
        if run.keep_artifact
    ]
    rates = len(sensitivity.RATES)
    expected = [(part, "cyberbullying", "dice", 100) for part in ("naive", "cured")]
    assert sorted(kept) == sorted(expected * rates)
