"""The sweep of imbalance: what is compared, and the page."""

import json
from pathlib import Path

import pytest

from study import imbalance
from training import runs
from training.data.datasets import Source

from .test_sensitivity import in_this_process


@pytest.fixture
def study(tiny: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "side_by_side", in_this_process)
    monkeypatch.setattr(imbalance, "MODELS", ("tiny",))
    monkeypatch.setattr(imbalance, "_EPOCHS", {"tiny": 2})


def test_losses_differ_in_nothing_else() -> None:
    recipes = [imbalance.recipe("spam", loss) for loss in imbalance._LOSSES]
    others = {"variant", "loss", "loss_options"}
    assert len({one.model_dump_json(exclude=others) for one in recipes}) == 1
    assert len({one.loss for one in recipes}) == 5


@pytest.mark.usefixtures("study")
def test_write_tells_what_was_found(tmp_path: Path) -> None:
    paragraph = imbalance.write(tmp_path, quick=True)
    page = (tmp_path / "imbalance.md").read_text()
    assert paragraph in page
    assert "(imbalance.svg)" in page
    assert (tmp_path / "imbalance.svg").read_bytes().startswith(b"<?xml")
    found = json.loads((tmp_path / "imbalance.json").read_text())
    assert len(found["cells"]) == 2 * 5
    for cell in found["cells"]:
        assert cell["train_minority"] < 48  # the whole fold's
        for figures in cell["metrics"].values():
            low, high = figures["ci95"]
            assert low <= figures["mean"] <= high
    sparse = {cell["train_minority"] for cell in found["cells"] if cell["share"] == 0.01}
    assert sparse == {20}  # never fewer
