"""Builds the compiled engine where there is a C compiler; without one, NumPy does all the work."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCE = "dandelion/engines/kernel.c"
_LIBRARY = "dandelion/engines/_kernel.so"


class KernelHook(BuildHookInterface):  # type: ignore[misc]
    """Compiles ``kernel.c`` beside itself, which is where an editable install looks for it too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build, and put what was built into the wheel."""
        root = Path(self.root)
        problem = _compile(root / _SOURCE, root / _LIBRARY)
        if problem:
            (root / _LIBRARY).unlink(missing_ok=True)
            self.app.display_warning(f"The compiled engine was not built: {problem}")
            return
        build_data["artifacts"].append(_LIBRARY)
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def _compile(source: Path, library: Path) -> str:
    """Compile, write aside, then rename; returns what went wrong, or nothing."""
    try:
        compiler = shlex.split(os.environ.get("CC", "cc"))
    except ValueError as error:
        return f"CC: {error}"
    if not compiler or not shutil.which(compiler[0]):
        return f"there is no C compiler {' '.join(compiler)!r} on the path"
    # dandelion/engines/compiled.py compares it with the source: another version is not used.
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    aside = library.with_suffix(f".{os.getpid()}.so")
    command = [
        *(*compiler, "-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-Wno-psabi"),
        *(f'-DDANDELION_SOURCE="{digest}"', str(source), "-o", str(aside), "-lm"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        return f"{compiler[0]}: {error}"
    if done.returncode:
        aside.unlink(missing_ok=True)
        return done.stderr.strip()
    aside.rename(library)
    return ""
