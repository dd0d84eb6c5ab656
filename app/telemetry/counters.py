"""Counters, histograms and gauges that several processes share, and their Prometheus collector.

Each process adds its counts to its own row of a `SharedMap`. A counter and a gauge have one cell
there; a histogram has one per bucket (not cumulative) and one for the sum of its values. Its count
is the sum of its buckets and is stored nowhere else, so an exposition is consistent even between
the two writes of an observation.

The directory of the map is JSON Lines, ``["family", ["label value", …]]`` for each series. Their
order determines the cells, so a process finds what another one has added. Families are declared
before the first fork: each process knows them all.
"""

import json
import logging
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as ShownExemplar

from .exemplars import Exemplar, Exemplars
from .shared_map import WORD, Layout, SharedMap

# From here on NumPy's calls cost less than a loop.
MANY: Final = 64

_log = logging.getLogger("dandelion")

MetricFamily = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Kind(StrEnum):
    """What a family's series measure, and so how the values of several processes are combined."""

    COUNTER = "counter"
    """Their sum."""
    HISTOGRAM = "histogram"
    """Their sum."""
    GAUGE = "gauge"
    """The maximum over the processes that run."""
    SUMMED_GAUGE = "summed gauge"
    """The sum over the processes that run."""


@dataclass(frozen=True)
class Family:
    """The series of one name, which differ in the values of their labels.

    Attributes:
        kind: what the series measure.
        name: in the exposition; a counter's without ``_total``.
        help: one sentence for the exposition.
        labels: names of the labels.
        bounds: a histogram's upper bounds, inclusive and ascending, without +Inf.
        has_exemplars: whether a histogram's buckets may have exemplars.
    """

    kind: Kind
    name: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()
    has_exemplars: bool = False

    @property
    def cells(self) -> int:
        """Cells of one series; a histogram's: its buckets, +Inf's among them, then the sum."""
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1


class Row:
    """The cells that this process writes to.

    Attributes:
        cells: after a fork those of another row.
        lock: held while a cell is changed. Threads classify next to the event loop, and adding to a
            cell is not one step.
        number: in the map; after a fork another one.
        exemplars: of all rows; None for a row that is not counted.
    """

    __slots__ = ("cells", "exemplars", "lock", "number")

    def __init__(self, cells: "memoryview[float]", exemplars: Exemplars | None = None) -> None:
        self.cells = cells
        self.lock = threading.Lock()
        self.number = 0
        self.exemplars = exemplars


class Counter:
    """What this process adds to a counter.

    Args:
        row: of this process.
        cell: of the counter.
    """

    __slots__ = ("_cell", "_row")

    def __init__(self, row: Row, cell: int) -> None:
        self._row = row
        self._cell = cell

    def inc(self, amount: int = 1) -> None:
        """Add ``amount``, which is not negative."""
        row = self._row
        with row.lock:  # needed where threads run without the interpreter's lock
            row.cells[self._cell] += amount


class Gauge:
    """This process's value of a gauge.

    Args:
        row: of this process.
        cell: of the gauge.
    """

    __slots__ = ("_cell", "_row")

    def __init__(self, row: Row, cell: int) -> None:
        self._row = row
        self._cell = cell

    def set(self, value: float) -> None:
        """Set the value, which is not negative."""
        self._row.cells[self._cell] = value


class Histogram:
    """What this process observes for a histogram.

    Args:
        row: of this process.
        cell: of the first bucket.
        bounds: of the buckets, without +Inf.
    """

    __slots__ = ("_bounds", "_cell", "_row", "_sum")

    def __init__(self, row: Row, cell: int, bounds: tuple[float, ...]) -> None:
        self._row = row
        self._cell = cell
        self._bounds = bounds
        self._sum = cell + len(bounds) + 1

    def place_in(self, row: Row) -> tuple[int, tuple[float, ...], int] | None:
        """Return first cell, bounds and cell of the sum; None if it is not counted in this row."""
        return (self._cell, self._bounds, self._sum) if row is self._row else None

    def observe(self, value: float) -> None:
        """Observe a value, which is not negative."""
        bucket = self._cell + bisect_left(self._bounds, value)
        row = self._row
        with row.lock:
            row.cells[bucket] += 1
            row.cells[self._sum] += value

    def add_exemplar(self, exemplar: Exemplar) -> None:
        """Show a value that was observed as the example of its bucket; from one thread alone."""
        row = self._row
        if row.exemplars is not None:
            bucket = self._cell + bisect_left(self._bounds, exemplar.value)
            row.exemplars.write(row.number, bucket, exemplar)

    def observe_many(self, values: Sequence[float] | NDArray[np.float64]) -> None:
        """Observe every value, at a fraction of the cost of one call for each."""
        row, bounds = self._row, self._bounds
        if len(values) < MANY:
            with row.lock:
                for value in values:
                    row.cells[self._cell + bisect_left(bounds, value)] += 1
                row.cells[self._sum] += sum(values)
            return
        array = np.asarray(values, dtype=np.float64)
        counts = np.bincount(np.searchsorted(bounds, array)).tolist()
        added = array.sum().item()
        with row.lock:
            for bucket, count in enumerate(counts, start=self._cell):
                if count:
                    row.cells[bucket] += count
            row.cells[self._sum] += added


class HistogramGroup:
    """Histograms that are observed together, at less cost than one after the other.

    Args:
        row: of this process.
        histograms: of `SharedCounters`.
    """

    __slots__ = ("_places", "_row")

    def __init__(self, row: Row, histograms: Sequence[Histogram]) -> None:
        self._row = row
        # Where there was no room for a histogram, it is not counted.
        self._places = [one.place_in(row) for one in histograms]

    def observe(self, *values: float) -> None:
        """Observe one value for each histogram; none is negative."""
        row = self._row
        with row.lock:
            cells = row.cells
            for place, value in zip(self._places, values, strict=True):
                if place is not None:
                    first, bounds, total = place
                    cells[first + bisect_left(bounds, value)] += 1
                    cells[total] += value


class _Series(NamedTuple):
    """One series of the directory: the values of its labels, and its cells in every row."""

    labels: tuple[str, ...]
    cells: slice


class SharedCounters(Collector):
    """The series of this process and of those that are forked from it.

    Register it with a `prometheus_client.CollectorRegistry`. To add a process, one that counts
    already calls `open_row` and forks, and the new one calls `write_to`.

    Args:
        families: every family that there may be, in the order of the exposition.
        layout: the sizes of the map; by default for this process alone.

    Attributes:
        shows_exemplars: whether exemplars are collected; false at first.

    Example:
        >>> requests = Family(Kind.COUNTER, "requests", "Requests.", ("model",))
        >>> counters = SharedCounters([requests])
        >>> counters.counter(requests, "spam").inc(2)
        >>> [sample.value for family in counters.collect() for sample in family.samples]
        [2.0]
    """

    def __init__(self, families: Sequence[Family], layout: Layout | None = None) -> None:
        self._families = {family.name: family for family in families}
        self._map = SharedMap(layout or Layout())
        self._row = Row(self._map.claim(0), self._map.exemplars)
        self.shows_exemplars = False
        # The part of the directory that this process has read; others may have extended it.
        self._series: dict[str, list[_Series]] = {name: [] for name in self._families}
        self._found: dict[tuple[str, tuple[str, ...]], int] = {}
        self._bytes_read = 0
        self._used = 0  # cells
        self._reading = threading.Lock()
        self._refused: set[tuple[str, tuple[str, ...]]] = set()

    def counter(self, family: Family, *labels: str) -> Counter:
        """Return a counter, which is shown from now on; where there is no room, an error is logged.

        Args:
            family: of `Kind.COUNTER`.
            *labels: the values of the family's labels, in their order.
        """
        return Counter(*self._place(family, labels))

    def gauge(self, family: Family, *labels: str) -> Gauge:
        """Return a gauge; see `counter`."""
        return Gauge(*self._place(family, labels))

    def histogram(self, family: Family, *labels: str) -> Histogram:
        """Return a histogram; see `counter`."""
        return Histogram(*self._place(family, labels), family.bounds)

    def group(self, *histograms: Histogram) -> HistogramGroup:
        """Return histograms as a group."""
        return HistogramGroup(self._row, histograms)

    def open_row(self, owner: int = 0) -> int:
        """Return a free row for a process that is to be forked.

        Args:
            owner: a number, for `retire_all`.

        Raises:
            RuntimeError: every row is in use.
        """
        with self._reading:
            self._read_directory()
            return self._map.open_row(self._used, owner)

    def write_to(self, row: int) -> None:
        """Count in this row from now on; called by the worker for which it was opened."""
        self._row.cells = self._map.claim(row)
        self._row.number = row

    def retire(self, row: int) -> None:
        """Add a process's counts to the total, and free its row; its gauges are no longer shown.

        Called after the end of that process.
        """
        with self._reading:
            self._read_directory()
            self._map.retire(row, self._used)

    def retire_all(self, owner: int) -> None:
        """Retire every row of an owner, after the end of all its processes."""
        for row in self._map.rows_of(owner):
            self.retire(row)

    def by_process(self, family: Family, *labels: str) -> dict[int, float]:
        """Return a gauge's value in each process that runs, by its row."""
        return self._map.column(self._place(family, labels)[1])

    def process_ids(self, owner: int | None = None) -> list[int]:
        """Return the first process's id, then those of the others; or those of an owner."""
        return list(self._map.process_ids(owner))

    def describe(self) -> Iterator[MetricFamily]:
        """Yield every family without samples: names that no other collector may use."""
        return map(_metric, self._families.values())

    def collect(self) -> Iterator[MetricFamily]:
        """Yield every family, with the values of all processes at this moment."""
        with self._reading:
            self._read_directory()
            series = {name: list(found) for name, found in self._series.items()}
            combined = self._map.combined(self._used)
            found = combined.sums
            for kind, shown in (
                (Kind.GAUGE, combined.greatest),
                (Kind.SUMMED_GAUGE, combined.running),
            ):
                found = np.where(self._is_of(kind), shown, found)
            values: list[float] = found.tolist()
        for name, family in self._families.items():
            metric = _metric(family)
            for labels, cells in series[name]:
                has_exemplars = family.has_exemplars and self.shows_exemplars
                examples = self._exemplars(family, cells) if has_exemplars else {}
                _add_samples(metric, family, labels, values[cells], examples)
            yield metric

    def _exemplars(self, family: Family, cells: slice) -> dict[int, ShownExemplar]:
        """Return the exemplars of a histogram, by bucket."""
        found = {}
        for bucket in range(len(family.bounds) + 1):
            one = self._map.exemplars.newest(cells.start + bucket)
            if one is not None:
                labels = {"trace_id": one.trace_id.hex()}
                found[bucket] = ShownExemplar(labels, one.value, one.time)
        return found

    def _place(self, family: Family, labels: tuple[str, ...]) -> tuple[Row, int]:
        """Find or add a series; returns the row to write to, and the first cell."""
        key = (family.name, labels)
        with self._reading:
            if key not in self._found:
                self._add(family, labels)
            cell = self._found.get(key)
            if cell is not None:
                return self._row, cell
            if key not in self._refused:
                self._refused.add(key)
                _log.error(
                    "no room for another series of metrics; it is not counted",
                    extra={"metric": family.name, "labels": ",".join(labels)},
                )
        nowhere = memoryview(bytearray(WORD * family.cells)).cast("d")
        return Row(nowhere), 0

    def _add(self, family: Family, labels: tuple[str, ...]) -> None:
        """Add a series to the directory unless another process has done so, or there is no room."""
        with self._map.adding:
            self._read_directory()
            if (family.name, labels) in self._found:
                return
            if self._used + family.cells <= self._map.layout.cells:
                self._map.append(json.dumps([family.name, labels]).encode() + b"\n")
        self._read_directory()

    def _read_directory(self) -> None:
        """Read the series that were added since the last call."""
        for line in self._map.lines(self._bytes_read):
            name, labels = json.loads(line)
            start = self._used
            self._used += self._families[name].cells
            self._series[name].append(_Series(tuple(labels), slice(start, self._used)))
            self._found[name, tuple(labels)] = start
            self._bytes_read += len(line)

    def _is_of(self, kind: Kind) -> NDArray[np.bool_]:
        """Return whether a series of this kind has the cell: bool[used cells]."""
        is_of = np.zeros(self._used, dtype=np.bool_)
        for name, family in self._families.items():
            if family.kind is kind:
                for series in self._series[name]:
                    is_of[series.cells] = True
        return is_of


def _metric(family: Family) -> MetricFamily:
    kinds: dict[Kind, type[MetricFamily]] = {
        Kind.COUNTER: CounterMetricFamily,
        Kind.GAUGE: GaugeMetricFamily,
        Kind.SUMMED_GAUGE: GaugeMetricFamily,
        Kind.HISTOGRAM: HistogramMetricFamily,
    }
    return kinds[family.kind](family.name, family.help, labels=family.labels)


def _add_samples(
    metric: MetricFamily,
    family: Family,
    labels: tuple[str, ...],
    values: list[float],
    examples: Mapping[int, ShownExemplar],
) -> None:
    if isinstance(metric, HistogramMetricFamily):
        *buckets, added = values
        names = [*map(repr, family.bounds), "+Inf"]
        counts = zip(names, accumulate(buckets), strict=True)
        metric.add_metric(
            labels,
            [
                (name, count, examples[bucket]) if bucket in examples else (name, count)
                for bucket, (name, count) in enumerate(counts)
            ],
            added,
        )
    else:
        metric.add_metric(labels, values[0])
