"""The stored format."""

import json

import pytest
from pydantic import ValidationError

from benchmarks import figures as stored_format
from benchmarks.figures import Figures

from ..conftest import ROOT
from .examples import Json, figures, stored_figures


def test_the_committed_figures_are_written_as_they_were_read() -> None:
    path = ROOT / "docs" / stored_format.FILE
    assert stored_format.read(path.parent).to_json() == path.read_bytes()


def test_figures_are_equal_after_writing_and_reading() -> None:
    assert Figures.model_validate_json(figures().to_json()) == figures()


@pytest.mark.parametrize(
    "path",
    [[], ["run"], ["run", "machine"], ["resources"], ["resources", "scrape"], ["growth"]],
)
def test_an_unknown_key_is_refused(path: list[str]) -> None:
    stored = stored_figures()
    place: Json = stored
    for key in path:
        place = place[key]
    place["unknown"] = 1
    with pytest.raises(ValidationError, match="unknown"):
        Figures.model_validate_json(json.dumps(stored))
