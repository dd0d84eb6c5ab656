"""Fetching artifacts in a process of its own, for a service that forks."""

import json
import os
import subprocess  # nosec B404 - starts this interpreter
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Final

from .artifact_cache import Copy, cache_directory
from .json_values import loads
from .manifest import ArtifactError
from .remote import shown
from .remote_artifacts import Wanted, fetch
from .serving import ServingError

_TOO_LATE: Final = 3


def fetch_apart(address: str, wanted: Wanted, cache: Path | None, timeout_s: float) -> Copy:
    """Fetch in a process of its own, see `fetch`.

    For a process that forks: it has none of fsspec's threads and memory. And whatever a file system
    waits for ends with the process.

    Args:
        address, wanted, cache: see `fetch`.
        timeout_s: after which the process ends.

    Raises:
        ArtifactError: see `fetch`; or it took too long.
        ServingError: see `fetch`.
    """
    asked = {
        "address": address,
        "cache": str(cache or cache_directory()),
        "timeout_s": timeout_s,
        "wanted": asdict(wanted),
    }
    program = f"from {__name__} import main; main()"
    # The address is not among the arguments, which others can see.
    done = subprocess.run(  # noqa: S603 # nosec B603
        [sys.executable, "-c", program],
        input=json.dumps(asked).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # of libraries, which may write credentials
        check=False,
    )
    if done.returncode == _TOO_LATE:
        raise ArtifactError(f"{shown(address)}: not fetched within {timeout_s:g} s")
    try:
        found = loads(done.stdout)
        kind, values = found["kind"], found["values"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{shown(address)}: the process that fetches it failed with {done.returncode}"
        ) from error
    if kind != "copy":
        raise {"serving": ServingError}.get(kind, ArtifactError)(values)
    return Copy(**values | {"directory": Path(values["directory"])})


def main() -> None:
    """Be the process of `fetch_apart`: read what to fetch from standard input, and fetch it."""
    asked = loads(sys.stdin.buffer.read())
    timer = threading.Timer(asked["timeout_s"], os._exit, (_TOO_LATE,))
    timer.daemon = True
    timer.start()
    try:
        copy = fetch(asked["address"], Wanted(**asked["wanted"]), Path(asked["cache"]))
        found = {"kind": "copy", "values": asdict(copy) | {"directory": str(copy.directory)}}
    except ServingError as error:
        found = {"kind": "serving", "values": str(error)}
    except ArtifactError as error:
        found = {"kind": "artifact", "values": str(error)}
    sys.stdout.write(json.dumps(found))
