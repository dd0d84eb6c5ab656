"""The command line: ``python -m benchmarks``."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from training.cache import cache_directory, write_atomically
from training.errors import TrainingError

from . import bulk, figures, frontier, growth, in_process, machine, over_http, report, resources
from .figures import Extra, Figures, Part, Run
from .machine import ROOT, BenchmarkError
from .measure import FULL, QUICK, Scale

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

DOCS: Final = ROOT / "docs"

PARTS: Final[dict[Part, Callable[[Scale], object]]] = {
    Part.FRONTIER: frontier.measure,
    Part.HTTP: over_http.measure,
    Part.IN_PROCESS: in_process.measure,
    Part.RESOURCES: resources.measure,
    Part.BULK: bulk.measure,
    Part.GROWTH: growth.measure,
}


@app.command()
def bench(
    only: Annotated[
        list[Part] | None,
        typer.Option(help="Re-measure only this part (repeatable); keep the other figures."),
    ] = None,
    render: Annotated[
        bool,
        typer.Option("--render", help="Measure nothing; rewrite the pages from benchmarks.json."),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Short rounds; write to the cache directory.")
    ] = False,
    train: Annotated[bool, typer.Option("--train", help="Time training as well.")] = False,
    image: Annotated[
        bool, typer.Option("--image", help="Build the image and measure its size as well.")
    ] = False,
) -> None:
    """Measure speed compared with the baselines; write docs/benchmarks.* and docs/scaling.md."""
    if render and (only or train or image):
        raise typer.BadParameter("--render measures nothing: leave out the other options.")
    output = cache_directory() / "benchmarks-quick" if quick else DOCS
    scale = QUICK if quick else FULL
    try:
        if only or render:
            found = _remeasure(_stored(output), scale, only or ())
        else:
            found = _measure(scale)
        found = _with_extra(found, train=train, image=image)
        if not render:
            write_atomically(output / figures.FILE, found.to_json())
        report.write(found, output)
    except (BenchmarkError, TrainingError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Written: {output / report.PAGE}")


def _stored(directory: Path) -> Figures:
    try:
        return figures.read(directory)
    except FileNotFoundError:
        raise BenchmarkError(
            f"{directory / figures.FILE} does not exist: measure everything first"
        ) from None
    except ValueError as error:
        raise BenchmarkError(f"{directory / figures.FILE} has another layout: {error}") from error


def _measure(scale: Scale) -> Figures:
    """Measure everything, except for what is measured on request only."""
    before = _describe_run(scale)
    started = time.monotonic()
    parts = {part.value: _measure_part(part, scale) for part in Part}
    path = DOCS / figures.FILE
    return Figures.model_validate(
        {
            "run": _finished(before, started),
            "commands": over_http.commands(),
            "extra": figures.read(DOCS).extra if path.exists() else {},
            **parts,
        }
    )


def _remeasure(stored: Figures, scale: Scale, parts: Iterable[Part]) -> Figures:
    """Replace parts of stored figures, and record the run that each of them is from."""
    for part in parts:
        before = _describe_run(scale)
        started = time.monotonic()
        update: dict[str, object] = {part.value: _measure_part(part, scale)}
        if part is Part.HTTP:
            update["commands"] = over_http.commands()
        update["remeasured"] = stored.remeasured | {part: _finished(before, started)}
        stored = stored.model_copy(update=update)
    return stored


def _measure_part(part: Part, scale: Scale) -> object:
    started = time.monotonic()
    found = PARTS[part](scale)
    typer.echo(f"{part}: {time.monotonic() - started:.0f} s", err=True)
    return found


def _describe_run(scale: Scale) -> Run:
    return Run(
        date=machine.today(),
        commit=machine.commit(),
        quick=scale.is_quick,
        rounds=scale.rounds,
        minutes=0,
        machine=machine.describe(),
        versions=machine.versions(),
    )


def _finished(run: Run, started: float) -> Run:
    return run.model_copy(update={"minutes": round((time.monotonic() - started) / 60, 1)})


def _with_extra(found: Figures, *, train: bool, image: bool) -> Figures:
    extra = dict(found.extra)
    if train:
        extra["train_all_min"] = Extra(value=_train_minutes(), date=machine.today())
    if image:
        extra["image_mb"] = Extra(value=_image_mb(), date=machine.today())
    return found.model_copy(update={"extra": extra})


def _train_minutes() -> float:
    """Train the shipped set into a temporary directory, without the cache, on every core."""
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
    """Run the image check, which prints the compressed size.

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
