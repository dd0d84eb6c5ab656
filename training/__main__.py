"""Run ``python -m training``."""

import sys

try:
    from .cli import app
except ModuleNotFoundError as error:
    if (error.name or "").startswith((__package__ or "", "dandelion")):
        raise  # a mistake of our own
    sys.exit(
        f"error: training needs {error.name}, which is not installed: make install-training, or "
        "install the extra 'training'"
    )

app(prog_name="python -m training")
