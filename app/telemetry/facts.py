"""Gauges about what a process has loaded, and so the same in every worker of one generation.

They are no counts: each process keeps them for itself, and a scrape shows those of the process that
responds. So they vanish with what they describe, when a reload removes it.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .counters import Family


class Facts(Collector):
    """Gauges of this process, and of those that are forked from it later.

    Args:
        families: every family that there may be, in the order of the exposition.
    """

    def __init__(self, families: tuple[Family, ...]) -> None:
        self._families = families
        self._values: dict[str, dict[tuple[str, ...], float]] = {one.name: {} for one in families}
        self._sources: dict[str, Callable[[], float]] = {}

    def set(self, family: Family, *labels: str, value: float) -> None:
        """Set the value of a series, which is shown from now on."""
        self._values[family.name][labels] = value

    def follow(self, family: Family, source: Callable[[], float]) -> None:
        """Show what ``source`` returns at each scrape, for a family without labels."""
        self._sources[family.name] = source

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield every family without samples: names that no other collector may use."""
        return map(_metric, self._families)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every family."""
        for family in self._families:
            metric = _metric(family)
            for labels, value in self._values[family.name].items():
                metric.add_metric(labels, value)
            if family.name in self._sources:
                metric.add_metric((), self._sources[family.name]())
            yield metric


def _metric(family: Family) -> GaugeMetricFamily:
    return GaugeMetricFamily(family.name, family.help, labels=family.labels)
