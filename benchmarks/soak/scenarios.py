"""What is sent, one entry per scenario."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from operator import attrgetter
from typing import Final

from . import faults, generated, payloads, surroundings
from .client import Exchange
from .payloads import chunked, filled, head, of_texts, post, short_texts
from .sending import (
    Run,
    abandoned,
    again,
    at_once,
    curl_http2,
    few_files,
    half_sent,
    held,
    nothing,
    refused,
    stopped_worker,
    terminated,
    upgrade,
    whole,
)
from .surroundings import Alone


class Group(StrEnum):
    """What a scenario is about; the sections of the page, in this order."""

    IDLE = "No requests"
    BODIES = "Bodies"
    EXPANSION = "Texts that grow under normalization"
    LOAD = "Overload"
    PROTOCOL = "Headers, URLs, trailers, chunks"
    CONNECTIONS = "Connections that do nothing"
    UPGRADE = "Upgrade"
    SHUTDOWN = "Shutdown"
    FUZZING = "Generated requests"
    KILLED = "Killed processes"
    RELOAD = "Reload"
    DAMAGE = "Damaged artifacts"
    DISK = "Full disk, closed log"
    CLOCK = "Clock steps"
    MANY = "Many texts"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load or attack.

    Attributes:
        name: for the command line and the page.
        group: its section.
        sent: what is sent, as a phrase for the page.
        run: sends it.
        open_files: limit of the service's processes; None for the system's.
        restarts: whether it is repeated `Scale.rounds` times, each with a service of its own,
            without probes.
        is_probed: whether probes run meanwhile.
        workers: numbers of workers that it is run with.
        alone: starts its services itself and sends to them, without probes; `run` is not used.
    """

    name: str
    group: Group
    sent: str
    run: Run
    open_files: int | None = None
    restarts: bool = False
    is_probed: bool = True
    workers: tuple[int, ...] = (1, 2)
    alone: Alone | None = None


_NEST: Final = b"[" * 150 + b"]" * 150
_H2C: Final = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
)
_WEBSOCKET: Final = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
_KILLS: Final = attrgetter("kills")
_RELOADS: Final = attrgetter("reloads")
_SMUGGLED: Final = b"GET /livez HTTP/1.1\r\nHost: soak\r\n\r\n"

_BODIES: Final[dict[str, tuple[str, Callable[[], bytes]]]] = {
    "valid": ("4,096 texts, with which the rows below are compared", payloads.valid),
    "nested": (
        'an unknown field of arrays, each 150 deep: `{"x": [[[[…]]], …]}`',
        lambda: filled(b'{"x":[', _NEST, b"]}"),
    ),
    "empty-arrays": (
        'arrays instead of texts: `{"texts": [[],[],…]}`',
        lambda: filled(b'{"texts":[', b"[]", b"]}"),
    ),
    "empty-texts": (
        'two and a half million empty texts: `{"texts": ["","",…]}`',
        lambda: filled(b'{"texts":[', b'""', b"]}"),
    ),
    "empty-texts-in-unknown": (
        'the same in an unknown field: `{"x": ["","",…]}`',
        lambda: filled(b'{"x":[', b'""', b"]}"),
    ),
    "duplicate-keys": (
        'the same name again and again: `{"texts": ["a"], "texts": ["a"], …}`',
        lambda: filled(b"{", b'"texts":["a"]', b"}"),
    ),
    "unknown-keys": (
        'different unknown names: `{"a0": 1, "a1": 1, …}`',
        lambda: b"{" + b",".join(b'"a%d":1' % number for number in range(640_000)) + b"}",
    ),
    "escapes": (
        "valid texts that consist of `\\u0041`",
        lambda: of_texts(*["\\u0041" * payloads.MAX_TEXT] * 13),
    ),
    "deep": ("arrays nested four million deep", lambda: b"[" * 4_000_000 + b"]" * 4_000_000),
    "numbers": (
        'numbers instead of texts: `{"texts": [1,1,…]}`',
        lambda: filled(b'{"texts":[', b"1", b"]}"),
    ),
    "long-number": (
        "a threshold of eight million digits",
        lambda: b'{"texts":["a"],"threshold":0.' + b"1" * (payloads.MAX_BODY - 40) + b"}",
    ),
    "long-text": ("one text of eight million characters", lambda: of_texts("a" * 7_999_900)),
}

SCENARIOS: Final = (
    Scenario(
        "idle",
        Group.IDLE,
        "only the probes, whose latency shows how busy the machine was",
        nothing,
    ),
    *(
        Scenario(name, Group.BODIES, sent, again(partial(lambda build: post(build()), build)))
        for name, (sent, build) in _BODIES.items()
    ),
    Scenario(
        "expansion-26",
        Group.EXPANSION,
        "26 texts of 100,000 × U+FDFA, each 18 characters after normalization",
        again(lambda: post(of_texts(*[payloads.EXPANDING * payloads.MAX_TEXT] * 26))),
    ),
    Scenario(
        "expansion-479",
        Group.EXPANSION,
        "479 texts of 5,555 × U+FDFA: each within the limit of a text after normalization",
        again(lambda: post(of_texts(*[payloads.EXPANDING * 5555] * 479))),
    ),
    Scenario(
        "64-bodies",
        Group.LOAD,
        "64 valid bodies of 8 MB at once",
        at_once(64, whole(lambda: post(payloads.valid()))),
    ),
    Scenario(
        "128-emoji",
        Group.LOAD,
        "128 valid bodies of 8 MB at once, an emoji in each text",
        at_once(128, whole(lambda: post(payloads.with_emoji()))),
    ),
    Scenario(
        "512-batches",
        Group.LOAD,
        "512 batches of 4,096 texts at once",
        at_once(512, whole(lambda: post(short_texts(payloads.MAX_TEXTS)))),
    ),
    Scenario(
        "abandoned",
        Group.LOAD,
        "200 batches of 4,096 texts at once by clients that disconnect once they have sent them",
        abandoned,
    ),
    Scenario(
        "long-header",
        Group.PROTOCOL,
        "three unfinished headers of 52 MB at once",
        at_once(
            3,
            refused(
                lambda: [b"GET /livez HTTP/1.1\r\nX-Long: ", *[b"a" * 1_000_000] * 52],
                is_whole=False,
            ),
        ),
    ),
    Scenario(
        "long-url",
        Group.PROTOCOL,
        "three URLs of 56 MB at once",
        at_once(
            3,
            refused(
                lambda: [
                    b"GET /",
                    *[b"a" * 1_000_000] * 56,
                    b" HTTP/1.1\r\nHost: soak\r\n\r\n",
                ]
            ),
        ),
    ),
    Scenario(
        "small-headers",
        Group.PROTOCOL,
        "100 MB of header fields of 100 bytes",
        at_once(
            1,
            refused(
                lambda: [
                    b"GET /livez HTTP/1.1\r\n",
                    *[(b"X-Small: " + b"a" * 89 + b"\r\n") * 10_000] * 100,
                    b"\r\n",
                ]
            ),
        ),
    ),
    Scenario(
        "5000-headers",
        Group.PROTOCOL,
        "20 requests with 5,000 header fields each at once",
        at_once(
            20,
            refused(
                lambda: [b"GET /livez HTTP/1.1\r\nHost: soak\r\n" + b"A: b\r\n" * 5000 + b"\r\n"]
            ),
        ),
    ),
    Scenario(
        "trailers",
        Group.PROTOCOL,
        "50 MB of trailers after a chunked body",
        at_once(
            1,
            refused(
                lambda: [
                    chunked(short_texts(1), 1000).removesuffix(b"\r\n"),
                    *[(b"X-Small: " + b"a" * 89 + b"\r\n") * 10_000] * 50,
                    b"\r\n",
                ]
            ),
        ),
    ),
    Scenario(
        "chunk-extensions",
        Group.PROTOCOL,
        "a body of 100 chunks, each with an extension of 80 kB",
        at_once(
            1,
            refused(lambda: [chunked(short_texts(200), 120, b";a=" + b"b" * 80_000)]),
        ),
    ),
    Scenario(
        "small-chunks",
        Group.PROTOCOL,
        "a valid body of 1 MB in chunks of one byte",
        again(lambda: chunked(payloads.valid(1_000_000), 1)),
    ),
    Scenario(
        "half-sent",
        Group.CONNECTIONS,
        "1,000 half-sent requests: half of them end in the headers, half in the body",
        half_sent,
    ),
    Scenario(
        "silent",
        Group.CONNECTIONS,
        "1,000 connections on which nothing is sent",
        at_once(1000, held()),
    ),
    Scenario(
        "slow-body",
        Group.CONNECTIONS,
        "50 bodies, of which a byte is sent every quarter of a second",
        at_once(50, held(head("Content-Length: 1000"), *[b" "] * 1000, pause_s=0.25)),
    ),
    Scenario(
        "slow-reader",
        Group.CONNECTIONS,
        "20 batches of 4,096 texts on each of 20 connections, whose responses nobody reads",
        at_once(
            20,
            lambda: Exchange(
                [post(short_texts(payloads.MAX_TEXTS))] * 20, reads=False, patience_s=6
            ),
        ),
    ),
    Scenario(
        "few-files",
        Group.CONNECTIONS,
        "200 silent connections to a service that may open 64 files",
        few_files,
        open_files=64,
    ),
    Scenario(
        "curl-http2",
        Group.UPGRADE,
        "ten requests by `curl --http2`",
        curl_http2,
    ),
    Scenario(
        "h2c",
        Group.UPGRADE,
        "ten valid requests with `Upgrade: h2c`",
        upgrade(short_texts(1), *_H2C),
    ),
    Scenario(
        "websocket",
        Group.UPGRADE,
        "ten valid requests with `Upgrade: websocket`",
        upgrade(short_texts(1), *_WEBSOCKET),
    ),
    Scenario(
        "smuggling",
        Group.UPGRADE,
        "ten requests with `Upgrade: h2c`, whose body is another request",
        upgrade(_SMUGGLED, *_H2C),
    ),
    Scenario(
        "sigterm",
        Group.SHUTDOWN,
        "SIGTERM again and again, each time to a new service, under the load of eight clients that "
        "keep their connections alive, and one that opens a new connection for each request",
        terminated,
        restarts=True,
        is_probed=False,
    ),
    Scenario(
        "sigstop",
        Group.SHUTDOWN,
        "SIGSTOP to a worker, then SIGTERM to the service",
        stopped_worker,
        is_probed=False,
    ),
    Scenario(
        "schemathesis",
        Group.FUZZING,
        "requests that Schemathesis generates from the OpenAPI description, all checks, all phases",
        generated.run,
        workers=(1,),
    ),
    *(
        Scenario(
            name,
            group,
            f"{what}, under the load of eight clients that keep their connections alive, and one "
            "that opens a new connection for each request",
            faults.under_load(act, times),
            is_probed=False,
            workers=(2,),
        )
        for name, group, what, act, times in (
            ("kill-worker", Group.KILLED, "`kill -9` of a worker", faults.kill_worker, _KILLS),
            (
                "kill-generation",
                Group.KILLED,
                "`kill -9` of the process that has loaded the models and is the workers' parent",
                faults.kill_generation,
                _KILLS,
            ),
            (
                "kill-loading",
                Group.KILLED,
                "a reload, and `kill -9` of the process that loads the models",
                faults.kill_loading,
                _KILLS,
            ),
            (
                "kill-in-reload",
                Group.KILLED,
                "`kill -9` of the workers' parent during a reload",
                faults.kill_generation_in_reload,
                _KILLS,
            ),
            ("reload", Group.RELOAD, "a reload", faults.reload, _RELOADS),
        )
    ),
    Scenario(
        "kill-supervisor",
        Group.KILLED,
        "`kill -9` of the first process again and again, each time of a new service, under the "
        "same load",
        faults.kill_supervisor,
        restarts=True,
        is_probed=False,
        workers=(2,),
    ),
    Scenario(
        "damaged",
        Group.DAMAGE,
        "a reload with each file of an artifact missing, empty and cut in half, and then with one "
        "byte of a file changed at random; the other files are intact",
        nothing,
        workers=(1,),
        alone=surroundings.damaged,
    ),
    Scenario(
        "record-full",
        Group.DISK,
        "16,384 texts to a service whose decision record is limited to 4 MB (`RLIMIT_FSIZE`)",
        nothing,
        workers=(2,),
        alone=surroundings.record_full,
    ),
    Scenario(
        "log-full",
        Group.DISK,
        "40,000 requests, a reload and `kill -9` of a worker, with the log on a full device "
        "(`/dev/full`)",
        nothing,
        workers=(2,),
        alone=surroundings.log_to("2>/dev/full"),
    ),
    Scenario(
        "log-closed",
        Group.DISK,
        "the same with a log that goes to a pipe whose reading end is closed",
        nothing,
        workers=(2,),
        alone=surroundings.log_to("2> >(exec true)"),
    ),
    Scenario(
        "clock",
        Group.CLOCK,
        "the system's clock is set a day forwards, two days back, ten years back and then right "
        "(libfaketime; the monotonic clock is not changed), under the same load, and with a key at "
        "its limit of texts per second",
        nothing,
        workers=(2,),
        alone=surroundings.clock,
    ),
    Scenario(
        "many-texts",
        Group.MANY,
        "1,000,000 real texts in batches of 256 over eight connections; the texts are those of two "
        "data sets, repeated",
        faults.many_texts,
        is_probed=False,
        workers=(2,),
    ),
)
