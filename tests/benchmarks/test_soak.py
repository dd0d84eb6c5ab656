"""The soak: its client, its probes, what it observes, its goals, its page and its command."""

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from benchmarks import servers
from benchmarks.soak import cli, client, figures, goals, observe, page, prober, run, sending
from benchmarks.soak.client import Exchange, Tally
from benchmarks.soak.figures import Figures, Latency, Memory, Outcome, Probes, Run
from benchmarks.soak.goals import GOALS, VALID
from benchmarks.soak.scenarios import SCENARIOS, Group

from ..conftest import ROOT

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: soak\r\n\r\n"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


# The client, against servers of every kind.


def exchanged(handler: Handler, exchange: Exchange) -> Tally:
    """Run an exchange with a server that handles each connection with ``handler``."""

    async def serve() -> Tally:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handler(reader, writer)
            finally:
                writer.close()

        tally = Tally()
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            await exchange.run(server.sockets[0].getsockname()[1], tally)
        return tally

    return asyncio.run(serve())


async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(RESPONSE)
    await writer.drain()


async def respond_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await respond(reader, writer)
    writer.write(RESPONSE)
    await writer.drain()


async def respond_and_stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await respond(reader, writer)
    await reader.read()


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize(
    ("handler", "exchange", "answers", "lost", "still_open"),
    [
        (respond, Exchange([REQUEST]), ["200"], 0, 0),
        (respond_twice, Exchange([REQUEST], linger_s=0.2), ["200", "200"], 0, 0),
        (respond, Exchange([REQUEST], until_closed=True), ["200"], 0, 0),
        (respond_and_stay, Exchange([REQUEST], until_closed=True, patience_s=0.2), ["200"], 0, 1),
        (close, Exchange([REQUEST]), [client.DROPPED], 1, 0),
        (stay, Exchange([REQUEST], patience_s=0.2), [client.UNANSWERED], 1, 0),
        (stay, Exchange([REQUEST], abandons=True), [client.ABANDONED], 0, 0),
        (stay, Exchange([], is_whole=False, patience_s=0.2), [client.HELD], 0, 0),
        (close, Exchange([b"GET"], is_whole=False, patience_s=0.2), [client.HELD], 0, 0),
        # The rest of the request never arrives.
        (close, Exchange([REQUEST, b"x"], pause_s=5), [client.CUT_OFF], 0, 0),
    ],
)
def test_an_exchange_is_counted_by_its_end(
    handler: Handler, exchange: Exchange, answers: list[str], lost: int, still_open: int
) -> None:
    tally = exchanged(handler, exchange)
    assert sorted(tally.answers.elements()) == sorted(answers)
    assert (tally.sent, tally.lost, tally.still_open) == (1, lost, still_open)


def test_a_refused_connection_loses_no_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tally = Tally()
    asyncio.run(Exchange([REQUEST]).run(port, tally))
    assert tally.answers == {client.REFUSED: 1}
    assert tally.lost == 0


def test_load_on_kept_connections_loses_what_is_dropped() -> None:
    requests = 0

    async def third_is_dropped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while True:
            await reader.readuntil(b"\r\n\r\n")
            requests += 1
            if requests == 3:
                writer.close()
                return
            writer.write(RESPONSE)

    async def until_dropped() -> None:
        while requests < 5:
            await asyncio.sleep(0.01)

    async def serve() -> Tally:
        server = await asyncio.start_server(third_is_dropped, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        tally = await client.keep_alive_load(
            port, REQUEST, lanes=1, new_lanes=0, ends=until_dropped
        )
        server.close()
        return tally

    tally = asyncio.run(serve())
    assert tally.lost == 1
    assert tally.answers[client.DROPPED] == 1
    assert tally.answers["200"] >= 3


# The probes, and what is observed.


def test_a_probe_that_waits_for_a_stalled_service_is_late() -> None:
    stall_s, interval_s = 0.5, 0.02
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for number in range(10_000):
                    if not connection.recv(4096):
                        return
                    if number == 5:
                        time.sleep(stall_s)
                    connection.sendall(RESPONSE)

        thread = threading.Thread(target=serve)
        thread.start()
        threading.Timer(1.2, stop.set).start()
        probe = prober.Probe(listener.getsockname()[1], "/", interval_s, keeps=True)
        found = probe.run(stop)
        thread.join()
    assert all(succeeded for *_, succeeded in found)
    late = [ms for _, ms, _ in found if ms > 100]
    assert len(late) >= 0.7 * (stall_s - 0.1) / interval_s
    assert max(late) >= 1e3 * stall_s


def test_a_failed_probe_is_not_a_fast_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    found = prober.Probe(port, "/livez", 0.02, keeps=False).run(stop)
    assert found
    assert all(not succeeded and ms >= 1e3 * prober.PATIENCE_S for _, ms, succeeded in found)


def test_this_process_is_observed() -> None:
    before = observe.cpu_s([os.getpid()])
    deadline = time.process_time() + 0.1
    while time.process_time() < deadline:
        pass
    assert 0.05 <= observe.cpu_s([os.getpid()]) - before <= 5
    held = b"x" * 50_000_000
    assert observe.pss_mb([os.getpid()]) > len(held) / 1e6
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert observe.open_connections(port) == 0
        with socket.create_connection(("127.0.0.1", port)), listener.accept()[0]:
            assert observe.open_connections(port) == 1


def test_only_probes_that_are_due_meanwhile_count() -> None:
    every: prober.Found = [
        (0.5, 900, False),
        *[(1 + n / 100, n, True) for n in range(100)],
        (2.5, 900, True),
    ]
    found = run.summarize({"kept": every, "new": every[:2], "metrics": every[:1]}, 1, 2)
    assert found.kept == Latency(p99_ms=98, max_ms=99, probes=100, failed=0)
    assert found.new == Latency(p99_ms=0, max_ms=0, probes=1, failed=0)
    assert found.metrics == Latency(p99_ms=900, max_ms=900, probes=1, failed=1)


# A scenario, against the real service.


def test_a_scenario_is_measured() -> None:
    (scenario,) = (one for one in SCENARIOS if one.name == "numbers")
    outcome = run.run(scenario, 1, sending.QUICK)
    assert outcome.workers == 1
    assert outcome.sent >= 3
    assert outcome.answers == {"422": outcome.sent}
    assert (outcome.lost, outcome.left_open, outcome.killed) == (0, 0, None)
    assert outcome.memory is not None
    assert min(outcome.memory.before, outcome.memory.peak, outcome.memory.after) > 20
    assert outcome.probes is not None
    for latency in (outcome.probes.kept, outcome.probes.new, outcome.probes.metrics):
        assert latency.probes >= 3
        assert latency.failed == 0
        assert 0 < latency.p99_ms <= latency.max_ms


def test_a_service_that_takes_too_much_memory_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "MEMORY_LIMIT_MB", 10)
    with servers.running(servers.ours(), sorted(os.sched_getaffinity(0))) as server:
        watch = observe.MemoryWatch(server)
        with watch.running():
            assert server.ends(30)
    assert watch.killed
    assert watch.peak_mb > 10


# Goals and page, from made-up figures.


def outcome(workers: int = 1, **changed: object) -> Outcome:
    calm = Latency(p99_ms=3, max_ms=9, probes=100, failed=0)
    made_up: dict[str, object] = {
        "workers": workers,
        "sent": 10,
        "seconds": 1,
        "answers": {"200": 10},
        "lost": 0,
        "cpu_s": 1,
        "memory": Memory(before=80, peak=100, after=90),
        "probes": Probes(kept=calm, new=calm, metrics=calm),
    }
    return Outcome.model_validate(made_up | changed)


def measured(**outcomes: list[Outcome]) -> Run:
    stored = json.loads((DOCS / figures.FILE).read_bytes())["releases"]
    return Run.model_validate(
        next(iter(stored.values()))
        | {"outcomes": {name.replace("_", "-"): found for name, found in outcomes.items()}}
    )


def goal(group: Group, what: str) -> goals.Goal:
    (found,) = (one for one in GOALS[group] if one.what.startswith(what))
    return found


def test_every_scenario_is_judged() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    judged = {name for found in GOALS.values() for one in found for name in one.scenarios}
    assert judged == set(names) - {"idle"}
    assert set(GOALS) == set(Group) - {Group.IDLE}


def test_the_worst_scenario_decides() -> None:
    cost = goal(Group.BODIES, "processor time")
    run = measured(
        valid=[outcome(1, cpu_s=20), outcome(2, cpu_s=10)],
        nested=[outcome(1, cpu_s=30), outcome(2, cpu_s=30)],
        deep=[outcome(1, cpu_s=0.1)],
    )
    worst = goals.worst(cost, run)
    assert worst is not None
    assert (worst.figure, worst.met) == (3.0, False)
    assert worst.shown == "3 × (`nested`, 2 workers)"
    run = measured(valid=[outcome()], nested=[outcome(cpu_s=2)])
    assert goals.worst(cost, run) == goals.Worst(2.0, "2 × (`nested`, 1 worker)", met=True)


def test_a_goal_without_figures_is_not_judged() -> None:
    assert goals.worst(goal(Group.BODIES, "processor time"), measured()) is None
    nobody = measured(sigstop=[outcome(cpu_s=None, memory=None, probes=None)])
    assert goals.worst(goal(Group.SHUTDOWN, "a stopped worker"), nobody) is None


def test_a_killed_service_meets_nothing() -> None:
    run = measured(silent=[outcome(killed="above 6,000 MB")])
    worst = goals.worst(goal(Group.CONNECTIONS, "left open"), run)
    assert worst is not None
    assert not worst.met
    assert "the service was killed" in worst.shown


SLOW = Latency(p99_ms=51, max_ms=60, probes=100, failed=0)
CALM = Latency(p99_ms=49, max_ms=60, probes=100, failed=0)


@pytest.mark.parametrize(
    ("group", "what", "scenario", "good", "bad"),
    [
        (Group.BODIES, "memory", "nested", {}, {"memory": Memory(before=80, peak=121, after=80)}),
        (
            Group.BODIES,
            "`/livez`",
            "nested",
            {"probes": Probes(kept=CALM, new=CALM, metrics=SLOW)},
            {"probes": Probes(kept=CALM, new=SLOW, metrics=CALM)},
        ),
        (
            Group.LOAD,
            "`/metrics`",
            "512-batches",
            {"probes": Probes(kept=SLOW, new=SLOW, metrics=CALM)},
            {"probes": Probes(kept=CALM, new=CALM, metrics=SLOW)},
        ),
        (Group.EXPANSION, "refused", "expansion-26", {"answers": {"422": 9}}, {}),
        (Group.LOAD, "lost", "64-bodies", {}, {"lost": 1}),
        (
            Group.LOAD,
            "memory kept",
            "64-bodies",
            {"memory": Memory(before=80, peak=900, after=130)},
            {"memory": Memory(before=80, peak=900, after=131)},
        ),
        (
            Group.LOAD,
            "memory, growth",
            "64-bodies",
            {"workers": 2, "memory": Memory(before=80, peak=880, after=80)},
            {"workers": 1, "memory": Memory(before=80, peak=880, after=80)},
        ),
        (
            Group.LOAD,
            "abandoned",
            "abandoned",
            {"extra": {"counted_200": 20}},
            {"extra": {"counted_200": 21}},
        ),
        (
            Group.PROTOCOL,
            "refused",
            "long-header",
            {"answers": {"431": 2, client.CUT_OFF: 1}},
            {"answers": {"431": 2, client.HELD: 1}},
        ),
        (Group.PROTOCOL, "left open", "long-header", {}, {"left_open": 1}),
        (Group.CONNECTIONS, "left open", "silent", {}, {"left_open": 1}),
        (
            Group.CONNECTIONS,
            "without a free",
            "few-files",
            {"extra": {"recovered_s": 4}},
            {"extra": {"recovered_s": 6}},
        ),
        (Group.UPGRADE, "responses", "h2c", {}, {"answers": {"200": 10, "400": 10}}),
        (Group.UPGRADE, "valid requests", "h2c", {}, {"answers": {"400": 10}}),
        (Group.SHUTDOWN, "lost", "sigterm", {}, {"lost": 1}),
        (
            Group.SHUTDOWN,
            "a stopped worker",
            "sigstop",
            {"extra": {"exit_s": 4}},
            {"extra": {"exit_s": 20}},
        ),
        (Group.FUZZING, "cases", "schemathesis", {"sent": 20_000}, {"sent": 19_999}),
        (
            Group.FUZZING,
            "failed checks",
            "schemathesis",
            {"extra": {"failures": 0}},
            {"extra": {"failures": 1}},
        ),
        (
            Group.KILLED,
            "lost with a killed worker",
            "kill-worker",
            {"lost": 160, "extra": {"times": 20}},
            {"lost": 161, "extra": {"times": 20}},
        ),
        (Group.KILLED, "lost otherwise", "kill-loading", {}, {"lost": 1}),
        (Group.KILLED, "refused", "kill-generation", {}, {"answers": {"503": 1}}),
        (
            Group.KILLED,
            "counters off",
            "kill-in-reload",
            {"extra": {"miscounted": 0}},
            {"extra": {"miscounted": 1}},
        ),
        (
            Group.KILLED,
            "processes left",
            "kill-supervisor",
            {"extra": {"left": 0}},
            {"extra": {"left": 1}},
        ),
        (Group.RELOAD, "lost", "reload", {}, {"lost": 1}),
        (
            Group.DAMAGE,
            "a wrong",
            "damaged",
            {"extra": {"wrong": 0, "refused": 9}},
            {"extra": {"wrong": 1, "refused": 9}},
        ),
        (Group.DISK, "lost", "log-full", {}, {"answers": {"500": 1}}),
        (Group.CLOCK, "lost", "clock", {}, {"lost": 1}),
        (
            Group.MANY,
            "memory",
            "many-texts",
            {"extra": {"slope_mb": -0.1}},
            {"extra": {"slope_mb": 0.6}},
        ),
    ],
)
def test_a_bound_is_kept_or_missed(
    group: Group, what: str, scenario: str, good: dict[str, object], bad: dict[str, object]
) -> None:
    one = goal(group, what)
    for changed, met in ((good, True), (bad, False)):
        found = measured(**{VALID: [outcome()], scenario: [outcome(**changed)]})
        worst = goals.worst(one, found)
        assert worst is not None
        assert worst.met is met, worst.shown


def test_the_page_shows_releases_next_to_each_other_and_misses_as_misses() -> None:
    run_ = measured(silent=[outcome(left_open=1000), outcome(2)])
    later = measured(silent=[outcome(), outcome(2, left_open=3)])
    text = page.page(Figures(releases={"1.0": run_, "1.1": later}))
    assert (
        "| Connections that do nothing: left open | no connections "
        "| 1,000 connections (`silent`, 1 worker) | 3 connections (`silent`, 2 workers) | **no** |"
    ) in text
    assert "| `silent` | 2 | 10 | 200: 10 | 0 | 0.1 | 80 → 100 → 90 | 3 (9) |" in text
    assert max(map(len, filter(lambda line: line[:1] not in "|#", text.splitlines()))) <= 100


def test_what_was_not_measured_again_has_the_figures_of_the_release_before() -> None:
    first = measured(silent=[outcome()], sigterm=[outcome()])
    first = first.model_copy(update={"other_runs": {"silent": "2026-01-02, commit abc"}})
    text = page.page(Figures(releases={"1.0": first, "1.1": measured(sigterm=[outcome(sent=77)])}))
    assert "| `silent` | 1 | 10 |" in text
    assert "| `sigterm` | 1 | 77 |" in text
    text = " ".join(text.split())
    assert (
        "shown with the figures of an earlier release: `silent` (release 1.0, 2026-01-02, commit "
        "abc)."
    ) in text


# The command.


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cli, "DOCS", tmp_path)
    (tmp_path / figures.FILE).write_bytes((DOCS / figures.FILE).read_bytes())
    return tmp_path


def soak(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(cli.app, list(arguments))


def test_rendering_gives_the_committed_page(home: Path) -> None:
    result = soak("--render")
    assert result.exit_code == 0, result.output
    assert (home / page.PAGE).read_bytes() == (DOCS / page.PAGE).read_bytes()
    assert (home / figures.FILE).read_bytes() == (DOCS / figures.FILE).read_bytes()


def test_one_scenario_is_replaced_and_the_others_are_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "run", lambda scenario, workers, scale: outcome(workers, sent=777))
    before = figures.read(home)
    release = next(name for name, one in before.releases.items() if "silent" in one.outcomes)
    before = Figures(releases={release: before.releases[release]})
    (home / figures.FILE).write_bytes(before.to_json())
    result = soak("--only", "silent", "--workers", "2", "--release", release)
    assert result.exit_code == 0, result.output
    stored, found = (one.releases[release].outcomes for one in (before, figures.read(home)))
    assert [one.sent for one in found["silent"]] == [stored["silent"][0].sent, 777]
    assert {**found, "silent": None} == {**stored, "silent": None}
    assert "silent" in figures.read(home).releases[release].other_runs
    assert "Measured in other runs: " in (home / page.PAGE).read_text(encoding="utf-8")
    assert "| `silent` | 2 | 777 |" in (home / page.PAGE).read_text(encoding="utf-8")


def test_an_unknown_scenario_is_refused(home: Path) -> None:
    result = soak("--only", "silence")
    assert result.exit_code == 2
    assert "available:" in result.output
    assert "silent" in result.output


def test_rendering_cannot_be_combined_with_sending(home: Path) -> None:
    result = soak("--render", "--only", "silent")
    assert result.exit_code == 2
    assert "sends nothing" in result.output


@pytest.mark.parametrize(
    ("content", "message"), [(None, "run the soak first"), ("{}", "has another layout")]
)
def test_figures_that_cannot_be_rendered_are_an_error(
    home: Path, content: str | None, message: str
) -> None:
    (home / figures.FILE).unlink()
    if content is not None:
        (home / figures.FILE).write_text(content)
    result = soak("--render")
    assert result.exit_code == 1
    assert message in result.output
