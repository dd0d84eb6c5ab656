"""The ``__init__`` of ``dandelion_app`` and ``dandelion_training`` in an editable install.

A wheel has the packages ``app`` and ``training`` under these longer names. In an editable install
``hatch_build.py`` puts this file in their place, as an alias of the checkout's package:
``dandelion_app.settings`` is the module object ``app.settings``, whichever name is imported first.
So no module is loaded twice, no copy gets out of date, and pickles name the real module.
"""

import sys
from importlib import import_module
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

_ALIAS: Final = __name__
_NAME: Final = __name__.removeprefix("dandelion_")


class _AliasFinder(MetaPathFinder, Loader):
    """Finds ``dandelion_app.x`` where there is an ``app.x``, and returns the latter."""

    def find_spec(
        self,
        fullname: str,
        path: object = None,  # noqa: ARG002
        target: object = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Find a module below the alias."""
        spec = find_spec(_real(fullname)) if fullname.startswith(f"{_ALIAS}.") else None
        if spec is None:
            return None
        alias = ModuleSpec(fullname, self, origin=spec.origin)
        alias.submodule_search_locations = spec.submodule_search_locations
        return alias

    def exec_module(self, module: ModuleType) -> None:
        """Replace the empty module by the real one, which the import then returns."""
        sys.modules[module.__name__] = import_module(_real(module.__name__))

    def get_code(self, fullname: str) -> CodeType | None:
        """Return a module's code, for ``python -m dandelion_app``."""
        name = _real(fullname)
        spec = find_spec(name)
        loader = spec.loader if spec else None
        return loader.get_code(name) if isinstance(loader, InspectLoader) else None


def _real(alias: str) -> str:
    return _NAME + alias.removeprefix(_ALIAS)


def _home(package: str) -> Path | None:
    """Return the directory in which a package stands, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).parent


# `app` is a common name: another one may come first on the path.
if _home(_NAME) != _home("dandelion"):
    raise ImportError(
        f"{_ALIAS} stands for {_NAME} in {_home('dandelion')}, but the path leads to the one in "
        f"{_home(_NAME)} first"
    )
sys.meta_path.insert(0, _AliasFinder())
sys.modules[_ALIAS] = import_module(_NAME)
