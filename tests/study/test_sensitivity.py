"""The map of sensitivity: what is claimed of the gradient, the recipes, and the page."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study import sensitivity
from training import runs
from training.data.datasets import Source
from training.losses.overlap import Classes, dice

COUNTED: tuple[Classes, ...] = ("positive", "minority", "both")


def in_this_process(
    job: Callable[[Any], Any], jobs: Sequence[Any], *_: object, **__: object
) -> list[Any]:
    return [job(one) for one in jobs]  # one of its own would not know the tiny data set


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
def test_one_class_is_called_without_end_both_rest_at_the_share(share: float, score: float) -> None:
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


def kept(*collapsed: bool) -> list[Any]:
    return [SimpleNamespace(result=SimpleNamespace(collapsed=one)) for one in collapsed]


def test_the_lowest_rate_from_which_all_collapse() -> None:
    found = {0.1: kept(True, False), 0.2: kept(True, True), 0.3: kept(True, True)}
    assert sensitivity.lowest_collapsing_rate(found) == 0.2
    found = {0.1: kept(True), 0.2: kept(False), 0.3: kept(True)}
    assert sensitivity.lowest_collapsing_rate(found) == 0.3
    assert sensitivity.lowest_collapsing_rate({0.1: kept(False)}) is None


@pytest.fixture
def study(tiny: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "side_by_side", in_this_process)
    monkeypatch.setattr(sensitivity, "MODEL", "tiny")
    monkeypatch.setattr(sensitivity, "MODELS", ("tiny",))


@pytest.mark.usefixtures("study")
def test_write_tells_what_was_found(tmp_path: Path) -> None:
    paragraph = sensitivity.write(tmp_path, quick=True)
    page = (tmp_path / "sensitivity.md").read_text()
    assert paragraph in page
    assert "(sensitivity.svg)" in page
    assert 'loss_options = { classes = "both" }' in page
    assert (tmp_path / "sensitivity.svg").read_bytes().startswith(b"<?xml")
    found = json.loads((tmp_path / "sensitivity.json").read_text())
    parts = {(one["part"], one["row"]) for one in found["cells"]}
    assert {("naive", "dice"), ("naive", "bce"), ("cured", "dice"), ("wide", "dice")} <= parts
    assert ("cured", "bce") not in parts  # it counts no class
    assert all(0 <= one["collapsed"] <= one["runs"] for one in found["cells"])
    networks = {(one["recipe"], one["rate"]): one for one in found["networks"]}
    small, large = networks["naive", 1e-4], networks["naive", 1e-1]
    assert small["median_logit_size"] < large["median_logit_size"]
    assert all(0 <= one["vanished"] <= 1 for one in networks.values())
    sensitivity.write(tmp_path, quick=True)
    assert (tmp_path / "sensitivity.md").read_text() == page


@pytest.mark.usefixtures("study")
def test_choosing_never_reads_the_test_fold() -> None:
    cells = dict(sensitivity._cells(sensitivity._Scale()))
    assert not any(run.read_test for listed in cells.values() for run in listed)
    assert {run.seed for listed in cells.values() for run in listed} == {100, 101, 102}
    assert {rate for part, *_, rate in cells if part == "wide"} == {
        rate for rate in sensitivity.RATES if rate >= 1e-4
    }
