"""``dandelion train``: what ``python -m training train`` is, where the console command is."""

from collections.abc import Sequence

from .cli import app
from .requirements import require_libraries

require_libraries()


def main(arguments: Sequence[str], program: str) -> int:
    """Train one variant.

    Args:
        arguments: of the command, see ``dandelion train --help``.
        program: its name, such as ``dandelion train``.

    Returns:
        0; errors end the process with an exit code of their own.
    """
    name, _, command = program.rpartition(" ")
    app([command, *arguments], prog_name=name)
    return 0
