"""The probe asks what is listened on, and never fails without a reason."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app import probe, settings
from app.probe import NotReadyError
from app.settings import SettingsError

from ..conftest import ROOT, StartService


def run(**settings: object) -> tuple[int, str]:
    """Run the probe; return its exit code and its one line."""
    ran = subprocess.run(
        [sys.executable, "-m", "app.probe"],
        cwd=ROOT,
        env={f"DANDELION_{name.upper()}": str(value) for name, value in settings.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == ran.returncode
    return ran.returncode, ran.stderr.rstrip()


def test_it_finds_what_is_listened_on_until_the_drain(
    start_service: StartService, made_up: Path
) -> None:
    # An address of this service alone: others on this machine have a port 0, too.
    service = start_service(host="127.0.83.7", artifacts=made_up, drain_s=3600)
    service.wait_until_ready()
    assert run(host="127.0.83.7", port=0) == (0, "")
    assert run(host="127.0.83.7", port=service.port) == (0, "")
    code, reason = run(host="127.0.83.8", port=0)
    assert (code, reason.endswith("no services run here with it; set DANDELION_PORT")) == (1, True)
    service.process.terminate()
    service.wait(lambda: service.get("/readyz").status_code == 503)
    code, reason = run(host="127.0.83.7", port=0)
    assert code == 1
    assert reason == "not ready: 503 The service is shutting down. Retry in a moment."
    service.process.send_signal(signal.SIGINT)
    service.exit_code()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_it_asks_a_service_that_listens_at_every_address(
    start_service: StartService, made_up: Path
) -> None:
    service = start_service(host="::", artifacts=made_up, workers=2)
    assert service.url.startswith("http://[::]:")
    for host in ("127.0.0.1", "::1", "localhost", "::", "0.0.0.0"):
        service.wait(lambda host=host: run(host=host, port=service.port) == (0, ""))


def test_it_asks_a_unix_domain_socket(
    start_service: StartService, made_up: Path, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    assert run(uds=path)[1].startswith(f"not ready: unix:{path}: [Errno 2] No such file")
    service = start_service(uds=path, artifacts=made_up)
    service.wait(lambda: run(uds=path) == (0, ""))


def test_every_failure_has_one_line() -> None:
    assert run(port=9) == (1, "not ready: 127.0.0.1 port 9: [Errno 111] Connection refused")
    assert run(port="http") == (
        1,
        "not ready: DANDELION_PORT: expected a whole number, of at most 18 digits from 0 to 9",
    )
    assert run(port=99999)[0] == 1
    assert run(port="9" * 5000)[0] == 1
    assert run(host="")[1].startswith("not ready: DANDELION_HOST: expected an address")
    assert run(port=9, host="no such host")[0] == 1
    assert run(port=9, host="a..b")[0] == 1
    assert run(port=9, host="a" * 300)[0] == 1
    assert run(uds="/" + "a" * 200)[1].endswith("AF_UNIX path too long")


def test_it_ignores_what_kubernetes_sets_for_a_service_of_this_name() -> None:
    assert "DANDELION_PORT" not in run(port="tcp://10.0.0.1:8000", host="127.0.83.9")[1]


def test_what_does_not_speak_http_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-m", "app.probe"]
        env = {"DANDELION_PORT": str(server.getsockname()[1])}
        with subprocess.Popen(
            command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True
        ) as started:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 mail.example.org\r\n")
            assert started.stderr is not None
            assert started.stderr.read().startswith("not ready: 127.0.0.1 port ")
        assert started.returncode == 1


PORTS = (
    st.integers(-1, 70_000).map(str)
    | st.integers().map(str)
    | st.text(st.sampled_from("0123456789+-_. ٣٥"), max_size=6)
    | st.sampled_from(["", "09420", "0", "9" * 5000, "tcp://10.0.0.1:8000", "http://10.0.0.1:8000"])
)
HOSTS = st.sampled_from(["", "::", "localhost", " 127.0.0.1", "\udcff", "é"]) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5
)
SOCKETS = st.sampled_from(["", "/tmp/x.sock/", "x.sock", "./x", "/", ".", "a//b", "\udcff", "é"])


@example({"PORT": "+9420"})
@example({"PORT": "9_420"})
@example({"PORT": "9420.0"})
@example({"PORT": " 9420 "})
@example({"PORT": "٩٤٢٠"})
@example({"PORT": "9" * 5000})
@example({"PORT": ""})
@example({"HOST": ""})
@example({"UDS": "/tmp/x.sock/"})
@example({})
@given(
    st.fixed_dictionaries(
        {},
        optional={"HOST": HOSTS, "PORT": PORTS, "UDS": SOCKETS, "port": PORTS, "uds": SOCKETS},
    )
)
def test_it_reads_the_settings_as_the_service_does(variables: dict[str, str]) -> None:
    environ = {f"DANDELION_{name}": value for name, value in variables.items()}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in environ.items():
            environment.setenv(name, value)
        try:
            loaded = settings.load()
        except SettingsError:
            with pytest.raises(NotReadyError):
                probe.configured(environ)
        else:
            assert probe.configured(environ) == (loaded.host, loaded.port, loaded.uds)


def test_it_imports_no_library() -> None:
    code = (
        "import sys; from app import probe; print(probe.main());"
        "print(*sorted({'numpy', 'dandelion', 'fastapi', 'pydantic'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"DANDELION_PORT": "9"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "1\n\n"
