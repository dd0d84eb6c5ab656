"""Results worth keeping, in the directory ``TRAINING_CACHE`` (default: ``.cache``).

A result is stored in the `directory` of its kind and its `key`. The key is made of everything that
decides the result: settings, data, versions of libraries, and `code`. What decides nothing is not
part of it: an edit of a comment, a docstring, the message of an error or a page, a reordered
import, a moved module or a name that a package exports never costs a fit.

Example:
    >>> place = directory("greetings", key("Ada", 3))
    >>> place.name == key("Ada", 3) != key("Ada", 4)
    True
"""

import ast
import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

_DIGITS = 24


def cache_directory() -> Path:
    """Return the directory of all caches: ``TRAINING_CACHE``, by default ``.cache``."""
    return Path(os.environ.get("TRAINING_CACHE", ".cache"))


def directory(kind: str, key: str) -> Path:
    """Return where the result of a kind with a key is stored; it need not exist."""
    return cache_directory() / kind / key


def key(*parts: object) -> str:
    """Return the key of a result, 24 hexadecimal digits, from everything that decides it.

    Args:
        parts: whatever JSON can express; ``bytes`` count by their SHA-256.

    Raises:
        TypeError: a part is of another type.
    """
    text = json.dumps(parts, sort_keys=True, default=_sha256_of_bytes)
    return _sha256(text)[:_DIGITS]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256_of_bytes(part: object) -> str:
    if isinstance(part, bytes):
        return hashlib.sha256(part).hexdigest()
    raise TypeError(f"a key cannot contain {type(part).__name__}")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a temporary file and rename it, so that no reader ever sees half of it.

    Raises:
        OSError: the directory cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@cache
def code(*modules: str) -> str:
    """Return the SHA-256 of the code of the given modules: of what they compute, not of their text.

    Comments, layout, docstrings, the messages of errors, imports for type checkers alone, and the
    modules' names and order do not count, so a module can be moved or renamed. Of an import counts
    what a name is bound to: the imported name, and the code of its module if that is one of
    ``modules``. What other modules define does not count (that two of them define one name is not
    seen), so give the key all modules that matter, see `imported_by`. Of a package's ``__init__``,
    what it exports (imported names, ``__all__``, ``__getattr__``) counts only if one of ``modules``
    takes it from there.

    Args:
        modules: their full names.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    exporting = _only_exports(modules)
    contents = {
        name: _sha256(_computed(_tree(_source(name)), only_exports=name in exporting))
        for name in modules
    }
    bindings = {
        name: [] if name in exporting else sorted(set(_bindings(name, contents)))
        for name in modules
    }
    digests = sorted(
        _sha256(content + json.dumps(bindings[name])) for name, content in contents.items()
    )
    return _sha256("".join(digests))


def _bindings(name: str, contents: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield what a module's imports bind: where it is defined, its name there, its name here.

    Args:
        name: of the module.
        contents: watched module → SHA-256 of its code, which stands for its name.
    """
    source = _source(name)
    for node in _executed(_tree(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    yield contents.get(alias.name, alias.name), "", alias.asname
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, name, source)
            for alias in node.names:
                bound = alias.asname or alias.name
                if (module := f"{base}.{alias.name}") in contents:
                    yield contents[module], "", bound
                elif base in contents or alias.asname:
                    yield contents.get(base, ""), alias.name, bound


@cache
def imported_by(module: str, *, without: Collection[str] = frozenset()) -> tuple[str, ...]:
    """Return a module and what it imports, directly or not, from `dandelion` and its own package.

    Args:
        module: its full name.
        without: modules to leave out, along with what only they import.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    packages = {"dandelion", module.partition(".")[0]}
    found = {module}
    waiting = [module]
    while waiting:
        for name in _imports(waiting.pop()):
            is_own = name.partition(".")[0] in packages
            if is_own and name not in found and name not in without and _is_module(name):
                found.add(name)
                waiting.append(name)
    return tuple(sorted(found))


def _imports(name: str) -> Iterator[str]:
    """Yield the full names of all that a module imports: modules, and names in them."""
    source = _source(name)
    for node in _executed(_tree(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, name, source)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _base(node: ast.ImportFrom, name: str, source: Path) -> str:
    """Return the full name of the module that a module imports from."""
    package = name if source.name == "__init__.py" else name.rpartition(".")[0]
    return importlib.util.resolve_name("." * node.level + (node.module or ""), package)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those below ``if TYPE_CHECKING:``."""
    yield node
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = node.orelse
    for child in children:
        yield from _executed(child)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a name in a module, not a module in a package
        return False


def _source(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {name!r}", name=name)
    return Path(spec.origin)


def _tree(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"))


def _only_exports(modules: Iterable[str]) -> set[str]:
    """Return the packages among modules from which no other of them takes a name.

    Modules of a package are no names of it.
    """
    packages = {name for name in modules if _source(name).name == "__init__.py"}
    for name in modules:
        source = _source(name)
        for node in _executed(_tree(source)):
            if isinstance(node, ast.Import):
                packages -= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = _base(node, name, source)
                full = {f"{base}.{alias.name}" for alias in node.names}
                packages -= full if all(map(_is_module, full)) else full | ({base} - {name})
    return packages


def _computed(tree: ast.Module, *, only_exports: bool) -> str:
    tree = _WithoutWords().visit(tree)
    if only_exports:
        tree.body = [node for node in tree.body if not _is_export(node)]
    return ast.dump(tree)


def _is_export(node: ast.stmt) -> bool:
    """Return whether a statement of an ``__init__`` only says what can be imported from it."""
    if isinstance(node, ast.FunctionDef):
        return node.name == "__getattr__"
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


class _WithoutWords(ast.NodeTransformer):
    """Removes docstrings, imports and the messages of errors."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node

    def visit_Import(self, _: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, _: ast.ImportFrom) -> None:
        return None

    def visit_If(self, node: ast.If) -> ast.AST | None:
        self.generic_visit(node)
        return node if node.body or node.orelse else None

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=error)
