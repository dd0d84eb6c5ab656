"""Gauges about what a process has loaded, and so the same in every worker of one generation.

They are no counts: each process keeps them for itself, and a scrape shows those of the process that
responds. So they vanish with what they describe, when a reload removes it.
"""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .counters import Family, Kind

MODEL_INFO: Final = Family(
    Kind.GAUGE,
    "dandelion_model_info",
    "1 for every artifact that is served.",
    ("model", "variant", "version"),
)
AVAILABLE: Final = Family(
    Kind.GAUGE,
    "dandelion_model_available",
    "1 for a model that is served, 0 for one whose artifact cannot be used.",
    ("model",),
)
LOAD_SECONDS: Final = Family(
    Kind.GAUGE,
    "dandelion_model_load_seconds",
    "Time to load, check and warm up a model's artifact.",
    ("model",),
)
READY: Final = Family(
    Kind.GAUGE,
    "dandelion_ready",
    "1 while the service is ready, as /readyz reports it; 0 while it drains because it will stop.",
    (),
)
_FAMILIES: Final = (MODEL_INFO, AVAILABLE, LOAD_SECONDS, READY)


class Facts(Collector):
    """Gauges of this process, and of those that are forked from it later."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {one.name: {} for one in _FAMILIES}
        self._sources: dict[str, Callable[[], float]] = {}

    def set(self, family: Family, *labels: str, value: float) -> None:
        """Set the value of a series, which is shown from now on."""
        self._values[family.name][labels] = value

    def follow(self, family: Family, source: Callable[[], float]) -> None:
        """Show what ``source`` returns at each scrape, for a family without labels."""
        self._sources[family.name] = source

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield every family without samples: names that no other collector may use."""
        return map(_metric, _FAMILIES)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every family."""
        for family in _FAMILIES:
            metric = _metric(family)
            for labels, value in self._values[family.name].items():
                metric.add_metric(labels, value)
            if family.name in self._sources:
                metric.add_metric((), self._sources[family.name]())
            yield metric


def _metric(family: Family) -> GaugeMetricFamily:
    return GaugeMetricFamily(family.name, family.help, labels=family.labels)
