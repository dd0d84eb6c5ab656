"""Run ``python -m training``."""

import sys

try:
    from .cli import app
except ModuleNotFoundError as error:
    sys.exit(f"error: training needs {error.name}, which is not installed: make install-training")

app(prog_name="python -m training")
