"""Baselines that learn the finer labels: how their scores become those of two labels."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from study import finer_labels
from study.baselines import BASELINES, runs
from study.finer_labels import measure, not_negative
from training.configuration import load
from training.data import datasets
from training.data.splits import Protocol, split
from training.experiment import Run
from training.runs import run_all

from .conftest import one_by_one

pytestmark = pytest.mark.slow

LOGITS = st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=1, max_size=20).map(
    np.array
)


@given(LOGITS)
def test_probabilities_of_the_other_classes_are_added(logits: np.ndarray) -> None:
    scores = softmax(logits, axis=1)
    np.testing.assert_allclose(not_negative(scores, "softmax"), 1 - scores[:, 0], atol=1e-12)


@given(LOGITS)
def test_margins_part_where_the_predicted_class_changes(margins: np.ndarray) -> None:
    found = not_negative(expit(margins), "margin")
    others = margins[:, 1:].max(axis=1)
    np.testing.assert_allclose(found, expit(others - margins[:, 0]), atol=1e-9)
    clear = np.abs(others - margins[:, 0]) > 1e-6
    np.testing.assert_array_equal((found > 0.5)[clear], (margins.argmax(1) > 0)[clear])


@pytest.mark.usefixtures("tiny_type", "in_this_process")
def test_every_row_is_on_the_two_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "configs" / "tiny"
    directory.mkdir(parents=True)
    for variant in finer_labels.VARIANTS:
        loss = variant.removesuffix("-wide")
        (directory / f"{variant}.toml").write_text(
            f'loss = "{loss}"\ntypes_weight = 1.0\nepochs = 2\nhidden = 8\nextra_words = 20\n'
            "[wide]\nbits = 10\nsurface_dimensions = 2\n"
        )
    monkeypatch.setattr(runs, "run_parallel", one_by_one)
    found = measure("tiny", (0, 1))
    expected = [
        *((kind, name, labels) for labels in (2, 3) for kind, name in _of_baselines()),
        *(("dan", name, labels) for labels in (2, 3) for name in finer_labels.VARIANTS),
    ]
    assert [(one.kind, one.name, one.labels) for one in found.rows] == expected
    expected = _brier_of_three(finer_labels.BASELINES[0])
    assert found.rows[2].metrics.per_seed("brier") == pytest.approx(expected)
    for one in found.rows:
        assert len(one.metrics.per_seed("auroc")) == 2
        assert min(one.metrics.per_seed("auroc")) > 0.9
        assert one.metrics.per_class_f1 is None
        if one.kind == "dan":
            config = load("tiny", one.name)
            if one.labels == 2:
                config = config.model_copy(update={"types_weight": 0.0})
            runs_of = run_all([Run(config, Protocol.GROUPED, seed) for seed in (0, 1)], "Test")
            expected = [run.result.metrics["test"]["fitted"]["brier"] for run in runs_of]
            assert one.metrics.per_seed("brier") == expected


def _brier_of_three(name: str) -> list[float]:
    """Fit a baseline on three labels of the folds of two; return its Brier scores on two."""
    dataset, finer = datasets.load("tiny"), datasets.load("tiny_type")
    found = []
    for seed in (0, 1):
        folds = split(dataset, Protocol.GROUPED, seed)
        texts = tuple(dataset.texts[row] for row in folds.train)
        fitted, _ = BASELINES[name].fit(texts, finer.labels[folds.train], seed)
        scores = 1 - fitted.scores([dataset.texts[row] for row in folds.test])[:, 0]
        found.append(float(((scores - dataset.labels[folds.test]) ** 2).mean()))
    return found


def _of_baselines() -> list[tuple[str, str]]:
    assert set(finer_labels.BASELINES) <= set(BASELINES)
    return [("peer", name) for name in finer_labels.BASELINES]
