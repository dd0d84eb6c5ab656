"""The map's layout: what is stored where, and that nothing overlaps; sums while a row retires."""

import errno
import itertools
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.telemetry.shared_map import EXEMPLAR, WORD, Layout, MetricsError, SharedMap

LAYOUTS = st.builds(
    Layout, rows=st.integers(1, 9), cells=st.integers(1, 50), directory_bytes=st.integers(1, 99)
)


def test_the_default_layout() -> None:
    layout = Layout(rows=3, cells=10, directory_bytes=100)
    assert layout.totals == 8 * (2 + 3 * 3)
    assert layout.values == layout.totals + 2 * 10 * 8
    assert layout.exemplars == layout.values + 3 * 10 * 8
    assert layout.directory == layout.exemplars + 3 * 10 * 32
    assert layout.size == layout.directory + 100


@given(LAYOUTS)
def test_sections_follow_each_other_on_word_boundaries(layout: Layout) -> None:
    starts = [0, layout.totals, layout.values, layout.exemplars, layout.directory, layout.size]
    assert starts == sorted(starts)
    assert not any(start % WORD for start in starts[:-1])
    assert layout.totals >= WORD * (2 + 3 * layout.rows)
    assert layout.exemplars - layout.values == WORD * layout.rows * layout.cells


@given(LAYOUTS)
def test_each_cell_of_each_row_has_room_for_one_exemplar(layout: Layout) -> None:
    # A value, a time, and the 16 bytes of a trace id (W3C Trace Context, section 3.2.2.3).
    assert EXEMPLAR == 8 + 8 + 16
    starts = [
        layout.exemplar(row, cell) for row in range(layout.rows) for cell in range(layout.cells)
    ]
    assert starts[0] == layout.exemplars
    assert starts[-1] + EXEMPLAR == layout.directory
    assert all(later - earlier == EXEMPLAR for earlier, later in itertools.pairwise(starts))
    assert not any(start % WORD for start in starts)


def test_a_row_that_retires_during_a_sum_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    used = 4
    shared = SharedMap(Layout(rows=2, cells=used))
    row = shared.open_row(used)
    shared.claim(row)[0] = 5
    zeros = np.zeros
    retired = []

    def retiring_zeros(*arguments: Any) -> Any:
        """Called between the total's values and the rows'."""
        if not retired:
            retired.append(row)
            shared.retire(row, used)
        return zeros(*arguments)

    monkeypatch.setattr(np, "zeros", retiring_zeros)
    sums = shared.combined(used).sums
    assert retired
    assert sums[0] == 5


def refuse(number: int) -> Callable[..., Any]:
    def refusing(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return refusing


def test_memory_that_is_refused_is_one_sentence() -> None:
    with pytest.raises(MetricsError, match=r"^cannot reserve \d+ MB of memory .*: Cannot allocate"):
        SharedMap(Layout(rows=2**30))  # more than a process can address


def test_without_files_in_memory_a_temporary_one_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (errno.ENOSYS, errno.EPERM):
        monkeypatch.setattr(os, "memfd_create", refuse(number))
        with SharedMap(Layout(rows=2)).adding:
            pass
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse(errno.ENOSPC))
    with pytest.raises(MetricsError, match=r"^cannot create a file, .*: No space left on device$"):
        SharedMap(Layout(rows=2))
    monkeypatch.setattr(os, "memfd_create", refuse(errno.EMFILE))
    with pytest.raises(MetricsError, match=r"^cannot create a file, .*: Too many open files$"):
        SharedMap(Layout(rows=2))
