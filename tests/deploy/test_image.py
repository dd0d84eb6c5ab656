"""The image is built and its service responds; needs a container builder."""

import os
import shutil
import subprocess

import pytest

from ..conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.timeout(900)
def test_image_is_built_and_classifies() -> None:
    missing = [tool for tool in ("buildah", "debootstrap", "curl") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: apt-get install {' '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("needs root, for debootstrap: sudo make test")
    found = subprocess.run(
        [ROOT / "deploy" / "image" / "check.sh"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.endswith("image check passed\n")
