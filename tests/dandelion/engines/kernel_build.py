"""Builds of ``kernel.c`` that tests load in place of the installed one."""

import subprocess
from pathlib import Path

from dandelion.engines import library


def build(source: Path, target: Path, *options: str) -> None:
    """Compile a source into a library that reports the version of the package's ``kernel.c``."""
    digest = library.source_digest(library.SOURCE.read_bytes())
    command = ["cc", "-std=gnu11", "-shared", "-fPIC", "-Wno-psabi", *options]
    command += [f'-DDANDELION_SOURCE="{digest}"', str(source), "-o", str(target), "-lm"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not built.returncode, built.stderr
