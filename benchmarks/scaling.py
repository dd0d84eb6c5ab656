"""Beyond one machine, on paper: what a million messages a second need, from measured constants."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .markdown import filled, table
from .measure import digits
from .over_http import OURS

Json = Mapping[str, Any]

# Inputs, not facts: put your own provider's in their place.
USD_PER_CORE_HOUR: Final = 0.04
CORES_PER_MACHINE: Final = 32
GBIT_PER_MACHINE: Final = 10
BUSY: Final = 0.6  # of a core, on average: what is left answers bursts and a machine lost
SCRAPE_EVERY_S: Final = 15

MESSAGES_PER_S: Final = 1_000_000
_REQUEST_HEAD: Final = 150  # bytes, as wrk and most clients send it


@dataclass(frozen=True, slots=True)
class Need:
    """What some way of asking needs.

    Attributes:
        texts_per_request: how they are sent.
        texts_per_core_s: of one busy core, measured.
        cores: in all.
        machines: in all.
        memory_gb: of the workers, one a core.
        usd_per_hour: for the cores.
        requests_per_s: that the load balancer passes on.
        bytes_per_text: both ways, heads included.
        gbit_per_s: in all.
        network_share: of a machine's network that its share of the messages takes.
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


def need(figures: Json, shape: str, texts_per_request: int) -> Need:
    """Compute what ``MESSAGES_PER_S`` need, asked as in one shape of the HTTP figures."""
    found = figures["http"][shape][OURS]
    rate = found["texts_per_s"]["median"]
    sent = found["request_bytes"] + _REQUEST_HEAD + found["bytes_per_request"]["median"]
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


def worker_mb(figures: Json) -> float:
    """Return the memory of a further worker, or of a whole process where none was measured."""
    two = figures["resources"]["memory_of_two"]
    memory = two or figures["resources"]["memory"][OURS]
    return float(memory["pss_mb"][0])


def page(figures: Json) -> str:
    """Write ``docs/scaling.md``."""
    one = need(figures, "1 text, 16 connections", 1)
    many = need(figures, "256 texts, 16 connections", 256)
    scrape = figures["resources"]["scrape"]
    busy_scraping = scrape["ms"]["median"] / 1e3 / SCRAPE_EVERY_S
    per_core_gbit = GBIT_PER_MACHINE / CORES_PER_MACHINE
    full = many.texts_per_core_s * many.bytes_per_text * 8 / 1e9
    return filled(f"""\
# Beyond one machine

Written by `make bench` from [benchmarks.json](benchmarks.json): nothing here was run on more than
one machine. Measured are texts/s of one core over HTTP, bytes of requests and answers, and the
memory of a worker. **Inputs, not facts**, are {USD_PER_CORE_HOUR} USD a core and hour, machines of
{CORES_PER_MACHINE} cores with {GBIT_PER_MACHINE} Gbit/s each, and cores {BUSY:.0%} busy on
average, so that bursts and a lost machine find room; they stand at the top of
`benchmarks/scaling.py`. A core here is one of the measured machine's; where a provider's vCPU is
half a core, count two.

## {MESSAGES_PER_S:,} messages a second

{_rows(one, many)}

So whoever has messages in a queue sends them in batches: {one.cores / many.cores:.0f} times fewer
cores for the same answers.

## What saturates first

- **Processor or network.** A core that does nothing but batches of 256 moves {full:.3f} Gbit/s, its
  share of a machine's network is {per_core_gbit:.2f}: {_first(full, per_core_gbit)}. The
  machines' networks are {one.network_share:.0%} busy text by text, {many.network_share:.0%} in
  batches.
- **Load balancer.** It passes on {one.requests_per_s:,.0f} requests/s text by text and
  {many.requests_per_s:,.0f} in batches. The service keeps no state, so balancing connections (layer
  4) is enough and reads no request; one that parses HTTP is a fleet of its own at the former rate.
  Connections are kept alive: clients that open one for each request pay for it on both sides.
- **Memory.** The models are small: {worker_mb(figures):.0f} MB a worker. It is never what binds.
- **Metrics.** A scrape takes {scrape["ms"]["median"]:.1f} ms and {scrape["bytes"] / 1e3:.0f} kB a
  machine: every {SCRAPE_EVERY_S} s that is {busy_scraping:.2%} of one core, and
  {one.machines * scrape["bytes"] / SCRAPE_EVERY_S / 1e6:.2f} MB/s for {one.machines:,} machines.
  The series do not grow with the traffic, so the scraper's memory grows with the machines alone.
- **A log line for each request** is off unless asked for (`DANDELION_ACCESS_LOG=true`): at
  {one.requests_per_s:,.0f} requests/s it would be a data stream of its own.

## What the figures leave out

TLS (ended before the service here), the network's own latency, machines that are not alike, and the
load generator's core, which a client pays for. The cost of growing is linear in all of this because
no request waits for another machine.
""")


def _rows(one: Need, many: Need) -> str:
    rows: dict[str, Callable[[Need], str]] = {
        "texts/s of one busy core, measured": lambda it: digits(it.texts_per_core_s),
        f"cores at {BUSY:.0%}": lambda it: f"{it.cores:,}",
        f"machines of {CORES_PER_MACHINE}": lambda it: f"{it.machines:,}",
        "memory of the workers": lambda it: f"{it.memory_gb:,.1f} GB",
        "USD an hour": lambda it: f"{it.usd_per_hour:,.2f}",
        "USD for 10⁹ messages": lambda it: f"{it.usd_per_hour / 3600 * 1e9 / MESSAGES_PER_S:,.2f}",
        "requests/s": lambda it: f"{it.requests_per_s:,.0f}",
        "bytes a text, both ways": lambda it: f"{it.bytes_per_text:,.0f}",
        "network in all": lambda it: f"{it.gbit_per_s:,.2f} Gbit/s",
    }
    header = ["", "one text a request", "256 texts a request"]
    return table(header, ([name, cell(one), cell(many)] for name, cell in rows.items()))


def _first(processor: float, network: float) -> str:
    return (
        "the processor saturates first" if processor <= network else "the network saturates first"
    )
