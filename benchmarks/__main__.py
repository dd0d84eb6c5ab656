"""Run ``python -m benchmarks``."""

import sys

from dandelion.installation import install_command

try:
    from .cli import app
except ModuleNotFoundError as error:
    if (error.name or "").startswith((__package__ or "", "app", "study", "training", "dandelion")):
        raise
    sys.exit(
        f"error: the benchmarks need {error.name}, which is not installed. Install it: "
        f"{install_command('study')}"
    )

app(prog_name="python -m benchmarks")
