"""The sweep of imbalance: what is compared, and what is stored."""

from pathlib import Path

import pytest

from study import imbalance
from study.pages import imbalance as page
from study.schema.studies import Imbalance
from study.storage import read

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
