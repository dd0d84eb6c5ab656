"""Run ``python -m training``."""

from .cli import app

app(prog_name="python -m training")
