"""What a server does with its connections when it stops, step by step in one event loop."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.types import Receive, Scope, Send

from app.serving.phase import Phase, SharedPhase
from app.workers.server import Membership, WorkerServer

from ...conftest import PATIENCE_S

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Script = Callable[[WorkerServer, SharedPhase, socket.socket, socket.socket], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
    else:
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"done"})


def membership(phase: SharedPhase) -> Membership:
    return Membership(
        parent=os.getppid(),
        service=phase,
        asked=SharedPhase(),
        has_supervisor=lambda: True,
        drain_s=PATIENCE_S,
        orphan_s=PATIENCE_S,
        on_start=lambda: None,
        on_retire=lambda: None,
    )


def response_to(script: Script) -> bytes:
    """Serve one client, whose socket is not blocking, while ``script`` runs; return what it got."""

    async def run() -> bytes:
        phase = SharedPhase()
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=PATIENCE_S)
        server = WorkerServer(config, phase, membership(phase))
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
            serving = asyncio.create_task(server.serve([listening]))
            while not server.started:
                await asyncio.sleep(0)
            client.connect(listening.getsockname())
            client.setblocking(False)
            await script(server, phase, listening, client)
            loop, received = asyncio.get_running_loop(), b""
            while data := await loop.sock_recv(client, 4096):
                received += data
            await serving
            return received

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(asyncio.wait_for(run(), PATIENCE_S))


def test_a_request_that_arrives_after_the_close_is_served() -> None:
    async def script(
        server: WorkerServer, phase: SharedPhase, listening: socket.socket, client: socket.socket
    ) -> None:
        while not server.server_state.connections:
            await asyncio.sleep(0)
        phase.advance(Phase.STOPPING)
        while listening.fileno() != -1:
            await asyncio.sleep(0)
        client.sendall(REQUEST)

    received = response_to(script)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in received
    assert received.endswith(b"\r\n\r\ndone")


def test_a_connection_that_waits_in_the_queue_is_served() -> None:
    async def script(
        server: WorkerServer, phase: SharedPhase, listening: socket.socket, client: socket.socket
    ) -> None:
        asyncio.get_running_loop().remove_reader(listening)  # as if it had no time to accept
        client.sendall(REQUEST)
        phase.advance(Phase.STOPPING)

    assert response_to(script).endswith(b"\r\n\r\ndone")


def test_an_idle_connection_does_not_keep_it_from_stopping() -> None:
    async def script(
        server: WorkerServer, phase: SharedPhase, listening: socket.socket, client: socket.socket
    ) -> None:
        phase.advance(Phase.STOPPING)

    assert response_to(script) == b""
