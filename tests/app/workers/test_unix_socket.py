"""The Unix domain socket: who gets it, whom it replaces, who removes it."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from app import settings
from app.settings import SettingsError
from app.workers import unix_socket

from ...conftest import PATIENCE_S, StartService
from .test_supervisor import is_running, pids


@contextmanager
def listening(path: Path, workers: int = 1) -> Iterator[unix_socket.UnixListener]:
    listener = unix_socket.listen(path, workers)
    try:
        yield listener
    finally:
        for sockets in listener.sockets:
            for each in sockets:
                each.close()


def test_workers_serve_one_socket_which_is_replaced_once_dead(
    start_service: StartService, made_up: Path, tmp_path: Path
) -> None:
    path = tmp_path / "dandelion.sock"
    options = {"uds": path, "artifacts": made_up, "workers": 2, "host": "ignored"}

    def post() -> int:
        transport = httpx2.HTTPTransport(uds=str(path))
        with httpx2.Client(transport=transport, timeout=PATIENCE_S) as client:
            response = client.post("http://service/classify/spam", json={"texts": ["lunch"]})
        return response.status_code

    first = start_service(**options)
    first.wait(lambda: f"listening on unix:{path}" in first.log.read_text())
    first.wait(lambda: len(pids(first)) == 2)
    assert [post() for _ in range(8)] == [200] * 8

    second = start_service(**options)
    assert second.exit_code() == 2
    assert second.log.read_text() == (
        f"error: --uds / DANDELION_UDS: cannot listen on '{path}': Address already in use\n"
    )

    os.kill(pids(first)[0], signal.SIGKILL)
    first.wait(lambda: len(pids(first)) == 3)
    assert [post() for _ in range(8)] == [200] * 8

    first.process.kill()
    first.process.wait()
    assert path.is_socket()
    deadline = time.monotonic() + PATIENCE_S
    while any(map(is_running, pids(first))):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    third = start_service(**options)
    third.wait(lambda: "listening on" in third.log.read_text())
    assert post() == 200
    assert third.stop() == -signal.SIGTERM
    assert not path.exists()


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_UDS", "")
    assert settings.load().uds is None


def test_a_socket_that_another_service_has_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listening(path) as first:
        path.unlink()
        with listening(path):
            first.withdraw()
            assert path.is_socket()


def test_what_a_dead_service_has_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listening(path):
        pass
    unix_socket.check(path)
    assert path.is_socket()  # only checked
    with listening(path, workers=3) as listener:
        assert [each.getsockname() for (each,) in listener.sockets] == [str(path)] * 3
        listener.withdraw()
    assert not path.exists()


def test_its_mode_is_that_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with listening(tmp_path / "socket"):
            assert (tmp_path / "socket").stat().st_mode & 0o777 == 0o750
    finally:
        os.umask(before)


@pytest.mark.parametrize("function", [unix_socket.check, lambda path: unix_socket.listen(path, 1)])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_text("kept"), "there is a file that is not a socket"),
        (lambda path: path.mkdir(), "there is a file that is not a socket"),
        (lambda path: path.symlink_to("elsewhere"), "there is a file that is not a socket"),
        (lambda path: path.parent.rmdir(), "No such file or directory"),
    ],
)
def test_what_cannot_be_a_socket_is_refused(
    tmp_path: Path, function: Callable[[Path], object], make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "directory" / "socket"
    path.parent.mkdir()
    make(path)
    with pytest.raises(SettingsError, match=rf"DANDELION_UDS: cannot listen on '{path}': {reason}"):
        function(path)
    assert not path.is_file() or path.read_text() == "kept"


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 108)
    with pytest.raises(SettingsError, match=r"AF_UNIX path too long$"):
        unix_socket.check(path)


def test_a_service_whose_queue_is_full_lives(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as client:
        full.bind(str(path))
        full.listen(0)
        client.connect(str(path))
        with pytest.raises(SettingsError, match=r"Address already in use$"):
            unix_socket.check(path)
