"""Beyond one machine, on paper: what a million messages per second need, from measured figures."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .figures import Figures, Part
from .markdown import table, wrap
from .measure import digits
from .over_http import OURS

if TYPE_CHECKING:
    from collections.abc import Callable

# Assumptions, not measurements: replace them by those of your provider.
USD_PER_CORE_HOUR: Final = 0.04
CORES_PER_MACHINE: Final = 32
GBIT_PER_MACHINE: Final = 10
BUSY: Final = 0.6  # of a core, on average: the rest absorbs bursts and the loss of a machine
SCRAPE_INTERVAL_S: Final = 15

MESSAGES_PER_S: Final = 1_000_000
_REQUEST_HEAD: Final = 150  # bytes, as wrk and most clients send it


@dataclass(frozen=True, slots=True)
class Need:
    """What `MESSAGES_PER_S` need when they are sent in requests of one size.

    Attributes:
        texts_per_request: the size.
        texts_per_core_s: rate of one busy core, measured.
        cores: in total.
        machines: in total.
        memory_gb: of the workers, one per core.
        usd_per_hour: for the cores.
        requests_per_s: through the load balancer.
        bytes_per_text: request and response, with their heads.
        gbit_per_s: in total.
        network_share: utilisation of each machine's network.
    """

    texts_per_request: int
    texts_per_core_s: float
    cores: int
    machines: int
    memory_gb: float
    usd_per_hour: float
    requests_per_s: float
    bytes_per_text: float
    gbit_per_s: float
    network_share: float


def need(figures: Figures, workload: str, texts_per_request: int) -> Need:
    """Compute what ``MESSAGES_PER_S`` need, sent as in one workload of the HTTP figures."""
    found = figures.http[workload][OURS]
    rate = found.texts_per_s.median
    sent = found.request_bytes + _REQUEST_HEAD + found.bytes_per_request.median
    cores = math.ceil(MESSAGES_PER_S / (rate * BUSY))
    machines = math.ceil(cores / CORES_PER_MACHINE)
    gbit = MESSAGES_PER_S * sent / texts_per_request * 8 / 1e9
    return Need(
        texts_per_request,
        rate,
        cores,
        machines,
        cores * worker_mb(figures) / 1e3,
        cores * USD_PER_CORE_HOUR,
        MESSAGES_PER_S / texts_per_request,
        sent / texts_per_request,
        gbit,
        gbit / (machines * GBIT_PER_MACHINE),
    )


def worker_mb(figures: Figures) -> float:
    """Return the memory of a further worker, PSS in megabytes."""
    return figures.resources.memory_of_two.pss_mb[0]


def page(figures: Figures) -> str:
    """Return ``docs/scaling.md``."""
    one = need(figures, "1 text, 16 connections", 1)
    many = need(figures, "256 texts, 16 connections", 256)
    fewer = f"{one.cores / many.cores:.0f} times fewer"
    parts = (
        _assumptions(figures),
        f"## {MESSAGES_PER_S:,} messages per second",
        _rows(one, many),
        f"Sending queued messages in batches therefore takes {fewer} cores for the same results.",
        "## What saturates first",
        _saturation(figures, one, many),
        _LEFT_OUT,
    )
    return wrap("\n\n".join(part.strip() for part in parts))


def _assumptions(figures: Figures) -> str:
    return f"""\
# Beyond one machine

This page estimates what {MESSAGES_PER_S:,} messages per second would take. It is rendered by
`make bench` from [benchmarks.json](benchmarks.json): nothing here was run on more than one machine.
Three figures are measured: the texts/s of one core over HTTP and the bytes of requests
and responses ({_source(figures, Part.HTTP)}), and the memory of a worker
({_source(figures, Part.RESOURCES)}).

**Assumptions, not measurements:** {USD_PER_CORE_HOUR} USD per core and hour, machines of
{CORES_PER_MACHINE} cores with {GBIT_PER_MACHINE} Gbit/s each, and cores {BUSY:.0%} busy on average,
which leaves room for bursts and for the loss of a machine. They are constants at the top of
`benchmarks/scaling.py`. A core is one of the measured machine's; if a provider's vCPU is half a
core, count two vCPUs for each.
"""


def _source(figures: Figures, part: Part) -> str:
    run = figures.remeasured.get(part, figures.run)
    return f"{run.date}, commit {run.commit}"


def _rows(one: Need, many: Need) -> str:
    rows: dict[str, Callable[[Need], str]] = {
        "texts/s of one busy core, measured": lambda it: digits(it.texts_per_core_s),
        f"cores at {BUSY:.0%}": lambda it: f"{it.cores:,}",
        f"machines of {CORES_PER_MACHINE} cores": lambda it: f"{it.machines:,}",
        "memory of the workers": lambda it: f"{it.memory_gb:,.1f} GB",
        "USD per hour": lambda it: f"{it.usd_per_hour:,.2f}",
        "USD for 10⁹ messages": lambda it: f"{it.usd_per_hour / 3600 * 1e9 / MESSAGES_PER_S:,.2f}",
        "requests/s": lambda it: f"{it.requests_per_s:,.0f}",
        "bytes per text, both directions": lambda it: f"{it.bytes_per_text:,.0f}",
        "network in total": lambda it: f"{it.gbit_per_s:,.2f} Gbit/s",
    }
    header = ["", "one text per request", "256 texts per request"]
    return table(header, ([name, cell(one), cell(many)] for name, cell in rows.items()))


def _saturation(figures: Figures, one: Need, many: Need) -> str:
    scrape = figures.resources.scrape
    busy_scraping = scrape.ms.median / 1e3 / SCRAPE_INTERVAL_S
    scraped_mb_per_s = one.machines * scrape.bytes / SCRAPE_INTERVAL_S / 1e6
    gbit_per_core = GBIT_PER_MACHINE / CORES_PER_MACHINE
    used_gbit = many.texts_per_core_s * many.bytes_per_text * 8 / 1e9
    first = "processor" if used_gbit <= gbit_per_core else "network"
    return f"""\
- **Processor or network.** A core that processes nothing but batches of 256 moves {used_gbit:.3f}
  Gbit/s, and its share of a machine's network is {gbit_per_core:.2f}: the {first} saturates first.
  The machines' networks are {one.network_share:.0%} busy with single texts,
  {many.network_share:.0%} with batches.
- **Load balancer.** It forwards {one.requests_per_s:,.0f} requests/s with single texts and
  {many.requests_per_s:,.0f} with batches. The service is stateless, so balancing connections (layer
  4) is enough, and no request has to be read; a balancer that parses HTTP would be a fleet of its
  own at the former rate. Connections are kept alive: opening one per request costs both sides.
- **Memory.** The models are small: {worker_mb(figures):.0f} MB per worker. Memory is never the
  limit.
- **Metrics.** A scrape takes {scrape.ms.median:.1f} ms and {scrape.bytes / 1e3:.0f} kB per machine:
  every {SCRAPE_INTERVAL_S} s that is {busy_scraping:.2%} of one core, and {scraped_mb_per_s:.2f}
  MB/s for {one.machines:,} machines. The number of series does not depend on the traffic, so the
  scraper's memory grows only with the number of machines.
- **A log line for each request** is off by default (`DANDELION_ACCESS_LOG=true` enables it): at
  {one.requests_per_s:,.0f} requests/s it would be a data stream of its own.
"""


_LEFT_OUT: Final = """\
## What the figures leave out

TLS (which a proxy in front of the service terminates), network latency, machines that differ, and
the core of the load generator, which a client pays for. Cost grows linearly in all of this because
no request waits for another machine.
"""
