"""The command line: ``python -m benchmarks``."""

import datetime
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from training.cache import cache_directory, write_whole
from training.errors import TrainingError

from . import bulk, frontier, growth, in_process, machine, over_http, report, resources
from .machine import ROOT, BenchmarkError
from .measure import FULL, QUICK, Scale

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

DOCS: Final = ROOT / "docs"

_PARTS: Final[Mapping[str, Callable[[Scale], dict[str, Any]]]] = {
    "frontier": frontier.measure,
    "http": over_http.measure,
    "in_process": in_process.measure,
    "resources": resources.measure,
    "bulk": bulk.measure,
    "growth": growth.measure,
}


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Short rounds, written aside.")] = False,
    train: Annotated[bool, typer.Option("--train", help="Time training too.")] = False,
    image: Annotated[bool, typer.Option("--image", help="Build the image and weigh it.")] = False,
    pages: Annotated[
        bool,
        typer.Option("--pages", help="Measure only what is asked for; write the pages again."),
    ] = False,
    part: Annotated[
        list[str] | None,
        typer.Option(help=f"With --pages, measure it again: {', '.join(_PARTS)}."),
    ] = None,
) -> None:
    """Measure speed beside the peers; write docs/benchmarks.* and docs/scaling.md."""
    output = cache_directory() / "benchmarks-quick" if quick else DOCS
    try:
        if pages:
            figures = json.loads((output / report.FIGURES).read_bytes())
            for name in part or ():
                figures[name] = _PARTS[name](QUICK if quick else FULL)
                figures["again"] = figures.get("again", {}) | {name: _commit()}
        else:
            figures = _measure(QUICK if quick else FULL)
        _add_asked_for(figures["extra"], train=train, image=image)
        write_whole(output / report.FIGURES, (json.dumps(figures, indent=1) + "\n").encode())
        report.write(json.loads((output / report.FIGURES).read_bytes()), output)
    except (BenchmarkError, TrainingError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Written: {output / report.PAGE}")


def _measure(scale: Scale) -> dict[str, Any]:
    started = time.monotonic()
    figures: dict[str, Any] = {
        "date": _today(),
        "commit": _commit(),
        "quick": scale.is_quick,
        "rounds": scale.rounds,
        "machine": machine.facts(),
        "versions": machine.versions(),
        "commands": over_http.commands(),
    }
    for name, part in _PARTS.items():
        began = time.monotonic()
        figures[name] = part(scale)
        typer.echo(f"{name}: {time.monotonic() - began:.0f} s", err=True)
    figures["extra"] = _kept()
    figures["minutes"] = round((time.monotonic() - started) / 60, 1)
    return figures


def _add_asked_for(extra: dict[str, Any], *, train: bool, image: bool) -> None:
    if train:
        extra["train_all_min"] = {"value": _train_minutes(), "date": _today()}
    if image:
        extra["image_mb"] = {"value": _image_mb(), "date": _today()}


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _kept() -> dict[str, Any]:
    """Return what the last whole run knew of the figures that are measured on demand."""
    path = DOCS / report.FIGURES
    if not path.exists():
        return {}
    extra: dict[str, Any] = json.loads(path.read_bytes())["extra"]
    return extra


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _train_minutes() -> float:
    """Train the shipped set aside, no cache used, on every core."""
    with tempfile.TemporaryDirectory() as directory:
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "training", "train-all", "--output", directory],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return round((time.monotonic() - started) / 60, 1)


def _image_mb() -> float:
    """Run the image check, which tells the compressed size.

    Raises:
        BenchmarkError: it fails.
    """
    done = subprocess.run(
        ["deploy/image/check.sh"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = re.search(r"^(\d+) MB compressed", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        raise BenchmarkError(f"deploy/image/check.sh failed:\n{done.stderr[-2000:]}")
    return float(found[1])
