"""What a wheel holds besides the library: the other packages, artifacts, the compiled engine.

====================  ===============================  ====================================
in the checkout       in a wheel                       in an editable install
====================  ===============================  ====================================
``app``               ``dandelion_app``                an alias, see ``hatch_alias.py``
``training``          ``dandelion_training``           an alias
served artifacts      ``dandelion/_artifacts``         nothing, the checkout's are found
the compiled engine   next to its source               next to its source
====================  ===============================  ====================================

``app`` and ``training`` are too common as names for what is installed. Without ``training``, or
without ``artifacts``, the wheel has none. Without a C compiler it is a pure one (``py3-none-any``),
where NumPy computes the scores.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCE = "dandelion/engines/kernel.c"
_LIBRARY = "dandelion/engines/_kernel.so"
_ALIAS = "hatch_alias.py"
_PACKAGES = {"app": "dandelion_app", "training": "dandelion_training"}
_ARTIFACTS = "artifacts"
_SERVING_FILE = "serving.toml"


class DandelionHook(BuildHookInterface[Any]):
    """Completes wheels and source distributions."""

    _copies: TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add what the table above lists.

        Args:
            version: of a wheel ``standard`` or ``editable``.
            build_data: what hatchling builds from.

        Raises:
            FileNotFoundError: ``serving.toml`` chooses an artifact that is not there.
        """
        root = Path(self.root)
        if self.target_name == "sdist":
            build_data["force_include"] |= _served_artifacts(root, _ARTIFACTS)
            return
        self._add_compiled_engine(root, build_data)
        if version == "editable":
            build_data["force_include_editable"] = self._aliases(root)
            return
        build_data["force_include"] |= {
            package: name for package, name in _PACKAGES.items() if (root / package).is_dir()
        } | _served_artifacts(root, f"dandelion/_{_ARTIFACTS}")

    def finalize(
        self,
        version: str,  # noqa: ARG002
        build_data: dict[str, Any],  # noqa: ARG002
        artifact_path: str,  # noqa: ARG002
    ) -> None:
        """Remove what only the build needed."""
        if self._copies is not None:
            self._copies.cleanup()

    def _aliases(self, root: Path) -> dict[str, str]:
        """Map a copy of the alias to each package: hatchling takes a file to one place only."""
        self._copies = TemporaryDirectory()
        placed = {}
        for name in _PACKAGES.values():
            copy = shutil.copyfile(root / _ALIAS, Path(self._copies.name) / f"{name}.py")
            placed[str(copy)] = f"{name}/__init__.py"
        return placed

    def _add_compiled_engine(self, root: Path, build_data: dict[str, Any]) -> None:
        problem = _compile(root / _SOURCE, root / _LIBRARY)
        if problem:
            (root / _LIBRARY).unlink(missing_ok=True)
            self.app.display_warning(f"The compiled engine was not built: {problem}")
            return
        build_data["artifacts"].append(_LIBRARY)
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def _served_artifacts(root: Path, target: str) -> dict[str, str]:
    """Map the artifacts that ``serving.toml`` chooses, and itself, to their place in ``target``."""
    serving = root / _ARTIFACTS / _SERVING_FILE
    if not serving.is_file():
        return {}
    placed = {f"{_ARTIFACTS}/{_SERVING_FILE}": f"{target}/{_SERVING_FILE}"}
    for model, choice in tomllib.loads(serving.read_text(encoding="utf-8"))["models"].items():
        for variant in _variants(choice):
            artifact = f"{model}/{variant}"
            if not (root / _ARTIFACTS / artifact).is_dir():
                raise FileNotFoundError(f"{serving} chooses {artifact}, which is not there")
            placed[f"{_ARTIFACTS}/{artifact}"] = f"{target}/{artifact}"
    return placed


def _variants(choice: str | dict[str, Any]) -> list[str]:
    """Return every variant that a model's line or table names."""
    if isinstance(choice, str):
        return [choice]
    shadows = [choice["shadow"]] if "shadow" in choice else []
    return [choice["variant"], *choice.get("variants", []), *shadows]


def _compile(source: Path, library: Path) -> str:
    """Compile into a temporary file, then rename it; returns the problem, or nothing."""
    try:
        compiler = shlex.split(os.environ.get("CC", "cc"))
    except ValueError as error:
        return f"CC: {error}"
    if not compiler or not shutil.which(compiler[0]):
        return f"no C compiler {' '.join(compiler)!r} on the path"
    # Compared with the source by dandelion/engines/compiled.py: another version is not used.
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    temporary = library.with_suffix(f".{os.getpid()}.so")
    command = [
        *(*compiler, "-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-Wno-psabi"),
        *(f'-DDANDELION_SOURCE="{digest}"', str(source), "-o", str(temporary), "-lm"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        return f"{compiler[0]}: {error}"
    if done.returncode:
        temporary.unlink(missing_ok=True)
        return done.stderr.strip()
    temporary.rename(library)
    return ""
