"""The tutorial, as a reader goes through it."""

import shutil
from pathlib import Path
from typing import Final

import pytest

from ..conftest import ROOT
from .blocks import blocks, run_page, shell

# Building the site and training take long on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TUTORIAL: Final = ROOT / "docs" / "tutorial.md"


def test_tutorial(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "youtube_spam.zip").symlink_to(ROOT / data_dir / "youtube_spam.zip")
    reader = shell(tmp_path, shutil.which("make") or "", TRAINING_CACHE=str(tmp_path / "cache"))
    del reader.environment["DATA_DIR"]  # a reader has none
    try:
        run = [block for block, _ in run_page(TUTORIAL, reader)]
    finally:
        reader.stop()
    assert len(run) == sum(not block.not_run for block in blocks(TUTORIAL)) > 20
