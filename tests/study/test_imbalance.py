"""The sweep of imbalance: what is compared, and what is stored."""

from pathlib import Path

import pytest

from study import imbalance
from study.pages import imbalance as page
from study.schema.studies import Imbalance
from study.storage import read
from training.data.splits import Protocol
from training.experiment import Run
from training.runs import run_all

pytestmark = pytest.mark.slow

SCALE = imbalance.Scale(models=("tiny",), shares=(0.13, 0.01), seeds=(0, 1), epochs=2)


def test_losses_differ_in_nothing_else() -> None:
    recipes = [imbalance.recipe("spam", loss) for loss in imbalance.LOSSES]
    others = {"variant", "loss", "loss_options"}
    assert len({one.model_dump_json(exclude=others) for one in recipes}) == 1
    assert len({one.loss for one in recipes}) == 5
    assert list(page.LOSSES) == list(imbalance.LOSSES)


@pytest.mark.usefixtures("tiny", "in_this_process")
def test_write_stores_and_shows_what_was_found(tmp_path: Path) -> None:
    imbalance.write(tmp_path, SCALE)
    found = read(Imbalance, tmp_path / "imbalance.json")
    assert page.paragraph(found).startswith("At threshold 0.5, Dice")
    assert (tmp_path / "imbalance.md").read_text() == page.page(found)
    assert (tmp_path / "imbalance.svg").read_bytes().startswith(b"<?xml")
    assert len(found.cells) == 2 * 5
    assert found.minority_labels == {"tiny": "spam"}
    for cell in found.cells:
        assert cell.train_minority < 48  # the whole fold's
        for figures in cell.metrics.values():
            low, high = figures.ci95
            assert low <= figures.mean <= high
    sparse = {cell.train_minority for cell in found.cells if cell.share == 0.01}
    assert sparse == {20}  # never fewer


@pytest.mark.usefixtures("tiny", "in_this_process")
def test_figures_are_those_of_the_test_fold() -> None:
    found = imbalance.measure(SCALE)
    for cell in found.cells:
        config = imbalance.recipe(cell.model, cell.loss, SCALE.epochs)
        kept = run_all(
            [
                Run(config, Protocol.GROUPED, seed, minority_share=cell.share)
                for seed in SCALE.seeds
            ],
            "Test",
        )
        test = [run.result.metrics["test"] for run in kept]
        expected = [one["fitted"]["macro_f1"] for one in test]
        assert cell.metrics["macro_f1"].per_seed == expected
        expected = [one["0.5"]["macro_f1"] for one in test]
        assert cell.metrics["macro_f1_at_half"].per_seed == expected
        # The positives are the minority here: their average precision is the minority's.
        expected = [one["0.5"]["average_precision"] for one in test]
        assert cell.metrics["average_precision"].per_seed == pytest.approx(expected, abs=1e-6)
