"""Who gets a port, and when it opens."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.settings import SettingsError
from app.workers import sockets


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def bind(closing: ExitStack, host: str, port: int = 0) -> list[socket.socket]:
    bound = sockets.bind(host, port)
    for each in bound:
        closing.enter_context(each)
    return bound


def listen(closing: ExitStack, bound: list[socket.socket], workers: int) -> list[socket.socket]:
    listening = sockets.listen(bound, "127.0.0.1", workers).sockets
    assert len(listening) == workers
    flat = [each for of_worker in listening for each in of_worker]
    for each in flat:
        closing.enter_context(each)
    return flat


def port_of(bound: list[socket.socket]) -> int:
    port: int = bound[0].getsockname()[1]
    return port


def test_the_port_is_taken_but_closed_until_it_listens(closing: ExitStack) -> None:
    bound = bind(closing, "127.0.0.1")
    address = ("127.0.0.1", port_of(bound))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    listen(closing, bound, 1)
    socket.create_connection(address).close()


def test_connections_are_spread_over_the_workers(closing: ExitStack) -> None:
    listening = listen(closing, bind(closing, "127.0.0.1"), 2)
    address = listening[0].getsockname()
    assert listening[1].getsockname() == address
    for _ in range(40):  # all to one: once in 10 ** 12
        closing.enter_context(socket.create_connection(address))
    for each in listening:
        each.settimeout(10)
        closing.enter_context(each.accept()[0])


def test_every_address_of_a_host_is_bound_to_one_port(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.5", 0)),  # not of this machine
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    bound = bind(closing, "a name")
    assert [each.getsockname()[0] for each in bound] == ["127.0.0.1", "127.0.0.2"]
    assert len({each.getsockname()[1] for each in bound}) == 1


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("host", ["::", "0:0::0"])
def test_every_ipv6_address_includes_ipv4(closing: ExitStack, host: str, workers: int) -> None:
    listening = listen(closing, bind(closing, host), workers)
    for address in ("127.0.0.1", "::1"):
        for _ in range(40):  # none to one of three: once in 10 ** 7
            closing.enter_context(socket.create_connection((address, port_of(listening))))
    for each in listening:
        each.settimeout(10)
        connection, client = each.accept()
        connection.close()
        assert client[0] in {"::ffff:127.0.0.1", "::1"}


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_one_ipv6_address_is_that_alone(closing: ExitStack) -> None:
    listening = listen(closing, bind(closing, "::1"), 2)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port_of(listening)))


def test_what_has_connected_is_accepted_before_the_close(closing: ExitStack) -> None:
    (listening,) = listen(closing, bind(closing, "127.0.0.1"), 1)
    address = listening.getsockname()
    connected = [closing.enter_context(socket.create_connection(address)) for _ in range(3)]
    sockets.refuse_new(listening)
    late = closing.enter_context(socket.socket())
    late.settimeout(0.3)
    with pytest.raises(TimeoutError):  # tries again for a minute
        late.connect(address)
    accepted = sockets.accept_waiting(listening)
    assert [each.getpeername() for each in accepted] == [each.getsockname() for each in connected]
    for each in accepted:
        each.close()
    assert sockets.accept_waiting(listening) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_on_which_somebody_listens_is_refused(closing: ExitStack, workers: int) -> None:
    taken = listen(closing, bind(closing, "127.0.0.1"), workers)
    with pytest.raises(SettingsError, match=r"DANDELION_PORT: .*Address already in use"):
        sockets.bind("127.0.0.1", port_of(taken))


def test_a_port_that_others_would_share_is_refused(closing: ExitStack) -> None:
    taken = closing.enter_context(socket.create_server(("127.0.0.1", 0), reuse_port=True))
    with pytest.raises(SettingsError, match=r"DANDELION_PORT: .*Address already in use"):
        sockets.bind("127.0.0.1", port_of([taken]))


@pytest.mark.parametrize("workers", [1, 2])
def test_of_two_that_start_at_once_only_one_gets_the_port(closing: ExitStack, workers: int) -> None:
    first = bind(closing, "127.0.0.1")
    try:
        second = bind(closing, "127.0.0.1", port_of(first))
    except SettingsError:
        return  # where the system refuses it this early
    listen(closing, first, workers)
    with pytest.raises(SettingsError, match=r"DANDELION_PORT: .*Address already in use"):
        sockets.listen(second, "127.0.0.1", workers)
