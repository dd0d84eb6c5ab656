"""The libraries that training needs: whether they are there, and how long they take to import.

Nothing here imports them. Torch alone can take half a minute on a cold machine, so the command
line checks what it can before.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

_LIBRARIES: Final = (
    "torch",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "optuna",
    "tomli_w",
    "httpx2",
)


def require_libraries() -> None:
    """Check that the libraries of the extra ``training`` are installed.

    Raises:
        ModuleNotFoundError: one is not; its ``name`` is the library's.
    """
    for name in _LIBRARIES:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def interruptible() -> Iterator[None]:
    """While libraries are imported, let Ctrl-C end the process at once and silently.

    An interrupt that is raised inside an import ends in a traceback of that library, or in an
    error that the library makes of it. Signals that are ignored stay ignored.
    """
    handler = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if handler is not signal.default_int_handler or not is_main:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
