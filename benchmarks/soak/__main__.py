"""Run ``python -m benchmarks.soak``."""

from .cli import app

app(prog_name="python -m benchmarks.soak")
