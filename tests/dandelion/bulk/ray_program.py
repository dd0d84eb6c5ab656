"""Runs commands in a process that has started Ray once.

It reads lines, and writes what became of each. ``{"arguments": […], "kill": "s3://…/*"}`` runs
`dandelion` and kills an actor with SIGKILL as soon as there is such a file; ``{"interrupt":
"s3://…/file"}`` begins to write a file and stops in the middle.
"""

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import ray
from typer.testing import CliRunner

from dandelion import remote
from dandelion.command import app

ATTEMPTS = 5


def parent(process: int) -> int:
    status = Path(f"/proc/{process}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])


def is_own(process: int) -> bool:
    while process > 1:
        if process == os.getpid():
            return True
        process = parent(process)
    return False


def actors() -> list[int]:
    """Return the processes of actors that score."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            is_actor = b"FileScorer" in (directory / "cmdline").read_bytes()
            if is_actor and is_own(int(directory.name)):
                found.append(int(directory.name))
        except (OSError, ValueError):  # it has ended
            continue
    return found


def kill_one(name: str, killed: list[int]) -> None:
    while not killed:
        time.sleep(0.02)
        if remote.expand(name):
            killed.append(actors()[0])
            os.kill(killed[0], signal.SIGKILL)


def interrupt(name: str) -> str:
    with suppress(ZeroDivisionError), remote.writing(name, "run") as file:
        file.write(b"x" * (remote.CHUNK_BYTES + 1))
        _ = 1 / 0
    try:
        remote.expand(name)
    except remote.MissingError as error:
        return str(error)
    return "exists"


def start_ray() -> None:
    """Start Ray; it gives up after 30 s, in which a busy machine may not start all of it."""
    for left in reversed(range(ATTEMPTS)):
        try:
            ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        except Exception:
            if not left:
                raise
            ray.shutdown()
        else:
            return


start_ray()
for line in sys.stdin:
    asked = json.loads(line)
    found: dict[str, object] = {"killed": []}
    if "interrupt" in asked:
        found["problem"] = interrupt(asked["interrupt"])
    else:
        killed: list[int] = []
        if asked["kill"]:
            threading.Thread(target=kill_one, args=(asked["kill"], killed), daemon=True).start()
        done = CliRunner().invoke(app, asked["arguments"])
        found = {"killed": killed, "exit_code": done.exit_code, "written": done.stderr}
    sys.__stdout__.write(f"\n{json.dumps(found)}\n")
    sys.__stdout__.flush()
ray.shutdown()
