"""Keys of results, and how files are written."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from training import cache

MODULE = '''
"""What it is for."""

import math
from os import path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from made.inner import deep

RATE = 2  # a comment


class Thing:
    """What it is."""

    size: int = 3
    """What that is."""

    def double(self) -> int:
        """Return something."""
        if self.size < 0:
            raise ValueError(f"the size is {self.size}")
        return self.size * RATE
'''

Make = Callable[[str, str], str]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Create a module of a package named ``made``, and return its full name."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in [one for one in sys.modules if one.partition(".")[0] == "made"]:
        monkeypatch.delitem(sys.modules, name)
    package = tmp_path / "made"
    (package / "inner").mkdir(parents=True)
    for directory in (package, package / "inner"):
        (directory / "__init__.py").touch()
    cache.code.cache_clear()
    cache.imported_by.cache_clear()

    def write(name: str, source: str) -> str:
        (package / f"{name.replace('.', '/')}.py").write_text(source)
        return f"made.{name}"

    return write


def code_of(make: Make, source: str) -> str:
    name = make("module", source)
    cache.code.cache_clear()
    return cache.code(name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", ""),
        ("What it is for.", "What it is for, at length."),
        ('    """What it is."""\n', ""),
        ("What that is.", "Something else."),
        ("Return something.", "Return something else."),
        ("RATE = 2", "\n\nRATE = (\n    2\n)"),
        ("import math\n", ""),
        ("from os import path", "from pathlib import Path"),
        ("import math\nfrom os import path", "from os import path\nimport math"),
        ("if TYPE_CHECKING:\n    from made.inner import deep\n", ""),
        ('f"the size is {self.size}"', '"the size is negative"'),
    ],
)
def test_an_edit_that_decides_nothing_costs_nothing(make: Make, old: str, new: str) -> None:
    assert old in MODULE
    assert code_of(make, MODULE.replace(old, new)) == code_of(make, MODULE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RATE = 2", "RATE = 3"),
        ("size: int = 3", "size: int = 4"),
        ("self.size * RATE", "RATE * self.size"),
        ("return self.size", 'return "A value, not a docstring." and self.size'),
        ("class Thing:", "class Things:"),
        ("ValueError", "TypeError"),
    ],
)
def test_a_change_of_what_is_computed_counts(make: Make, old: str, new: str) -> None:
    assert old in MODULE
    assert code_of(make, MODULE.replace(old, new)) != code_of(make, MODULE)


def test_a_module_can_be_moved(make: Make) -> None:
    here, other = make("here", MODULE), make("other", "A = 1")
    assert cache.code(here, other) == cache.code(make("inner.there", MODULE), other)
    assert cache.code(here, other) == cache.code(other, here)
    assert cache.code(here, other) != cache.code(here)


WATCHED = ("made.one", "made.other", "made.user")


def test_what_an_import_binds_counts(make: Make) -> None:
    make("one", "def sigmoid(): return 1\ndef softmax(): return 2")
    make("other", "def sigmoid(): return 3")
    codes = []
    for imports in (
        "from .one import sigmoid as f",
        "from .one import softmax as f",
        "from .other import sigmoid as f",
        "from .one import sigmoid",
        "from .other import sigmoid",
        "from . import one",
        "from . import other as one",
        "from numpy import exp as f",
        "from numpy import log as f",
        "import numpy as one",
        "import made.other as one",
    ):
        make("user", f"{imports}\ndef g(): return (f, one, sigmoid)")
        cache.code.cache_clear()
        codes.append(cache.code(*WATCHED))
    assert len(set(codes)) == len(codes) - 1
    assert codes[6] == codes[10]  # the same module under the same name


def test_an_import_of_a_moved_module_does_not_count(make: Make) -> None:
    def written(name: str, imports: str) -> str:
        one = make(name, "def f(): return 1")
        user = make("user", f"{imports}\ndef g(): return (f, h)")
        cache.code.cache_clear()
        return cache.code(one, user)

    before = written("one", "from .one import f, f as h")
    assert before == written("one", "from made.one import f as h\nfrom made.one import f")
    assert before == written("inner.moved", "from .inner.moved import f, f as h")


def test_imports_for_types_are_not_followed(make: Make) -> None:
    make("one", "A = 1")
    make("two", "B = 1")
    user = make(
        "user",
        "import typing\nif typing.TYPE_CHECKING:\n    from .one import A\n"
        "else:\n    from .two import B",
    )
    assert set(cache.imported_by(user)) == {"made.two", user}


EXPORTS = [
    "from .module import f\n__all__ = ['f']",
    "def __getattr__(name):\n    return f'{name}s'",
    "import math",
]


@pytest.mark.parametrize("exports", EXPORTS)
def test_what_a_package_exports_counts_where_it_is_taken(make: Make, exports: str) -> None:
    module = make("inner.module", "def f(): return 1")
    takers = {
        "its module": "from .inner.module import f\nfrom .inner import module",
        "a name": "from .inner import f",
        "the package": "from . import inner",
        "the package, whole": "import made.inner",
    }
    changed = {}
    for what, imports in takers.items():
        codes = []
        for init in ("", exports):
            make("inner.__init__", init)
            user = make("user", imports)
            cache.code.cache_clear()
            codes.append(cache.code("made.inner", module, user))
        changed[what] = codes[0] != codes[1]
    is_computed = exports != "import math"  # which binds nothing of ours
    assert changed == dict.fromkeys(takers, is_computed) | {"its module": False}


def test_what_a_package_computes_counts(make: Make) -> None:
    module = make("inner.module", "def f(): return 1")
    before = cache.code("made.inner", module)
    make("inner.__init__", "import numpy\nnumpy.seterr(all='raise')")
    cache.code.cache_clear()
    assert cache.code("made.inner", module) != before


def test_a_module_that_does_not_exist(make: Make) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"made\.nothing"):
        cache.code("made.nothing")


def test_all_that_a_module_imports_is_found(make: Make) -> None:
    make("inner.deep", "import json\nfrom ..late import C")
    make("late", "C = 1")
    make("direct", "import made.inner.deep\nimport training.errors")
    make("lazy", "D = 1")
    start = make("start", "from .direct import A\ndef f():\n    from . import lazy\n")
    everything = {"made", start, "made.direct", "made.inner.deep", "made.late", "made.lazy"}
    assert set(cache.imported_by(start)) == everything
    without = cache.imported_by(start, without=frozenset({"made", "made.direct"}))
    assert set(without) == {start, "made.lazy"}


def test_of_other_packages_the_library_counts(make: Make) -> None:
    start = make("start", "import numpy\nimport training\nfrom dandelion.text import ragged")
    assert cache.imported_by(start) == ("dandelion.text", "dandelion.text.ragged", start)


def test_a_key_is_of_everything_that_it_is_given() -> None:
    keys = [
        cache.key(*parts)
        for parts in (
            [1, 2],
            [12],
            ["1", 2],
            [[1], 2],
            [None],
            [b"1"],
            [{"a": 1, "b": 2}],
            [{"a": 1, "b": 3}],
        )
    ]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {24}
    assert cache.key({"a": 1, "b": 2}) == cache.key({"b": 2, "a": 1})
    with pytest.raises(TypeError, match="a key cannot contain set"):
        cache.key({1})


def test_a_result_is_kept_by_kind_and_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path))
    assert cache.directory("kind", "abc") == tmp_path / "kind" / "abc"
    monkeypatch.delenv("TRAINING_CACHE")
    assert cache.directory("kind", "abc") == Path(".cache/kind/abc")


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "file"
    cache.write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        cache.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
