"""Exemplars in memory, and as a histogram shows them."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.telemetry.counters import Family, Kind, SharedCounters
from app.telemetry.exemplars import SIZE, Exemplar, Exemplars
from app.telemetry.shared_map import Layout

ROWS, CELLS = 3, 4

SECONDS = Family(Kind.HISTOGRAM, "seconds", "Seconds.", ("model",), (0.1, 1.0), has_exemplars=True)
WRITES = st.lists(
    st.tuples(
        st.integers(0, ROWS - 1),
        st.integers(0, CELLS - 1),
        st.builds(
            Exemplar,
            st.floats(0, 1e300),
            st.floats(1, 1e12),
            st.binary(min_size=16, max_size=16),
        ),
    )
)


@given(writes=WRITES)
def test_the_newest_of_all_rows_is_read(writes: list[tuple[int, int, Exemplar]]) -> None:
    exemplars = Exemplars(memoryview(bytearray(SIZE * ROWS * CELLS)), CELLS)
    last = {}
    for row, cell, exemplar in writes:
        exemplars.write(row, cell, exemplar)
        last[row, cell] = exemplar
    for cell in range(CELLS):
        found = [exemplar for (_, at), exemplar in last.items() if at == cell]
        newest = exemplars.newest(cell)
        assert (newest in found) if found else newest is None
        assert newest is None or newest.time == max(one.time for one in found)


def test_one_that_was_not_completed_is_not_read() -> None:
    memory = memoryview(bytearray(SIZE))
    Exemplars(memory, 1).write(0, 0, Exemplar(1.0, 2.0, b"x" * 16))
    memory[8:16] = bytes(8)  # as a process leaves it that is killed while it writes
    assert Exemplars(memory, 1).newest(0) is None


def shown(counters: SharedCounters) -> dict[str, tuple[dict[str, str], float] | None]:
    """Return the exemplars of a parsed exposition, by the bound of the bucket."""
    registry = CollectorRegistry()
    registry.register(counters)
    (family,) = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        sample.labels["le"]: sample.exemplar and (sample.exemplar.labels, sample.exemplar.value)
        for sample in family.samples
        if "le" in sample.labels
    }


def test_a_histogram_shows_one_for_each_bucket() -> None:
    counters = SharedCounters([SECONDS])
    seconds = counters.histogram(SECONDS, "spam")
    for value, character in ((0.1, b"a"), (0.2, b"b"), (0.3, b"c"), (7.0, b"d")):
        seconds.observe(value)
        seconds.add_exemplar(Exemplar(value, 1e9 + value, character * 16))
    assert shown(counters) == {"0.1": None, "1.0": None, "+Inf": None}
    counters.shows_exemplars = True
    assert shown(counters) == {
        "0.1": ({"trace_id": "61" * 16}, 0.1),
        "1.0": ({"trace_id": "63" * 16}, 0.3),
        "+Inf": ({"trace_id": "64" * 16}, 7.0),
    }


def test_those_of_other_rows_are_shown_and_stay() -> None:
    counters = SharedCounters([SECONDS], Layout(rows=2))
    counters.shows_exemplars = True
    seconds = counters.histogram(SECONDS, "spam")
    row = counters.open_row()
    counters.write_to(row)
    seconds.observe(0.5)
    seconds.add_exemplar(Exemplar(0.5, 1e9, b"a" * 16))
    expected = {"0.1": None, "1.0": ({"trace_id": "61" * 16}, 0.5), "+Inf": None}
    assert shown(counters) == expected
    counters.retire(row)
    assert shown(counters) == expected


def test_a_histogram_without_room_has_none() -> None:
    counters = SharedCounters([SECONDS], Layout(cells=4))
    counters.histogram(SECONDS, "spam")
    counters.histogram(SECONDS, "more").add_exemplar(Exemplar(1.0, 1e9, b"a" * 16))
    counters.shows_exemplars = True
    assert shown(counters) == {"0.1": None, "1.0": None, "+Inf": None}
