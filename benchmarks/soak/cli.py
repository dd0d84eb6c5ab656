"""The command line: ``python -m benchmarks.soak``."""

import time
from collections.abc import Collection
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final

import typer

from training.cache import cache_directory, write_atomically

from .. import machine
from ..machine import ROOT, BenchmarkError
from . import figures, page
from .figures import Figures, Outcome
from .figures import Run as Measured
from .run import run
from .scenarios import SCENARIOS
from .sending import FULL, QUICK, SETTINGS, Scale

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

DOCS: Final = ROOT / "docs"

_WORKERS: Final = (1, 2)
_NAMES: Final = tuple(scenario.name for scenario in SCENARIOS)


def _known(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in _NAMES:
            raise typer.BadParameter(f"no such scenario; available: {', '.join(_NAMES)}")
    return names


@app.command()
def soak(  # noqa: PLR0913, PLR0917
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Run only this scenario (repeatable); keep the other figures.",
            callback=_known,
            metavar="SCENARIO",
        ),
    ] = None,
    workers: Annotated[
        list[int] | None,
        typer.Option(help="Run only with this number of workers (repeatable); keep the others."),
    ] = None,
    render: Annotated[
        bool, typer.Option("--render", help="Send nothing; rewrite the page from the JSON file.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A twentieth of it; write to the cache directory.")
    ] = False,
    times: Annotated[
        int | None,
        typer.Option(
            min=1, help="How often to stop, kill, reload or damage, where it is done repeatedly."
        ),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(help="The release to store the figures of; by default the installed one."),
    ] = None,
) -> None:
    """Send hostile and excessive requests to the service; write docs/reliability.*."""
    if render and (only or workers or release or times):
        raise typer.BadParameter("--render sends nothing: leave out the other options.")
    output = cache_directory() / "soak-quick" if quick else DOCS
    try:
        found = _stored(output, must_exist=render)
        if not render:
            found = _measure(
                found,
                release or metadata.version("dandelion-text"),
                (QUICK if quick else FULL).repeated(times),
                names=only or _NAMES,
                workers=workers or _WORKERS,
                output=output,
            )
        write_atomically(output / page.PAGE, page.page(found).encode())
    except BenchmarkError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Written: {output / page.PAGE}")


def _stored(directory: Path, *, must_exist: bool) -> Figures:
    try:
        return figures.read(directory)
    except FileNotFoundError:
        if must_exist:
            raise BenchmarkError(
                f"{directory / figures.FILE} does not exist: run the soak first"
            ) from None
        return Figures(releases={})
    except ValueError as error:
        raise BenchmarkError(f"{directory / figures.FILE} has another layout: {error}") from error


def _measure(  # noqa: PLR0913
    stored: Figures,
    release: str,
    scale: Scale,
    *,
    names: Collection[str],
    workers: Collection[int],
    output: Path,
) -> Figures:
    """Run scenarios, and store the outcome of each at once: a run that is stopped loses nothing."""
    started = time.monotonic()
    is_whole = set(_NAMES) <= set(names) and set(_WORKERS) <= set(workers)
    before = stored.releases.get(release)
    measured = _begun() if is_whole or before is None else _again(before, names)
    for scenario in SCENARIOS:
        for number in workers if scenario.name in names else ():
            if number not in scenario.workers:
                continue
            outcome = run(scenario, number, scale)
            typer.echo(f"{scenario.name}, workers: {number}: {outcome.answers}", err=True)
            minutes = round((time.monotonic() - started) / 60, 1)
            outcomes = _replaced(measured.outcomes, scenario.name, outcome)
            update: dict[str, object] = {"outcomes": outcomes}
            if not measured.other_runs:
                update["minutes"] = minutes
            measured = measured.model_copy(update=update)
            stored = Figures(releases=stored.releases | {release: measured})
            write_atomically(output / figures.FILE, stored.to_json())
    return stored


def _again(before: Measured, names: Collection[str]) -> Measured:
    """Return a run of which some scenarios are run again."""
    when = f"{machine.today()}, commit {machine.commit()}"
    return before.model_copy(update={"other_runs": before.other_runs | dict.fromkeys(names, when)})


def _begun() -> Measured:
    """Return a run without outcomes."""
    return Measured(
        date=machine.today(),
        commit=machine.commit(),
        machine=machine.describe(),
        minutes=0,
        settings=SETTINGS,
        outcomes={},
    )


def _replaced(
    outcomes: dict[str, list[Outcome]], name: str, outcome: Outcome
) -> dict[str, list[Outcome]]:
    others = [other for other in outcomes.get(name, []) if other.workers != outcome.workers]
    ordered = sorted([*others, outcome], key=lambda one: one.workers)
    return outcomes | {name: ordered}
