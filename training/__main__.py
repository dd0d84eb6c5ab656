"""Run ``python -m training``."""

import sys

from .requirements import interruptible, require_libraries

with interruptible():
    from dandelion.installation import install_command

    try:
        require_libraries()
        from .cli import app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith((__package__ or "", "dandelion")):
            raise  # an error of our own
        sys.exit(
            f"error: training needs {error.name}, which is not installed. Install it: "
            f"{install_command('training')}"
        )

app(prog_name=f"python -m {__package__}")
