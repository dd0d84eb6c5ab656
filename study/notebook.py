"""Notebooks, executed in a kernel of their own and written back with what their cells printed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell
from traitlets.config import Config

from training.cache import write_atomically
from training.errors import TrainingError

TABLE_1: Final = Path("notebooks") / "table-1.ipynb"

_PARAMETERS: Final = "parameters"


class NotebookError(TrainingError):
    """A cell of a notebook failed."""


def execute(
    path: Path, output: Path | None = None, parameters: Mapping[str, object] | None = None
) -> Path:
    """Run every cell of a notebook, in the working directory, and write it.

    Args:
        path: of the notebook.
        output: where it is written; by default in its own place.
        parameters: name → a value that Python's ``repr`` writes, in place of those in the cell
            tagged ``parameters``.

    Returns:
        ``output``.

    Raises:
        NotebookError: a cell failed; the message is that of its error.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    for at, cell in enumerate(notebook.cells):
        if parameters and _PARAMETERS in cell.metadata.get("tags", ()):
            lines = [f"{name} = {value!r}" for name, value in parameters.items()]
            notebook.cells.insert(at + 1, new_code_cell("\n".join(lines)))  # type: ignore[no-untyped-call]
            break
    client = NotebookClient(
        notebook,
        # Files of the user, not ports of the machine.
        config=Config({"KernelManager": {"transport": "ipc"}}),
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(Path.cwd())}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise NotebookError(f"{path}: {error.ename}: {error.evalue}") from error
    # Neither the version of Python nor anything else of the machine.
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    output = output or path
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    write_atomically(output, (text.rstrip("\n") + "\n").encode())
    return output
