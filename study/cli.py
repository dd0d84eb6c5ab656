"""The command line: ``python -m study``."""

from typing import Annotated

import typer
from rich.console import Console

from training.cli import readable_errors
from training.tables import RESULTS

from . import (
    ablations,
    finer_labels,
    imbalance,
    rendering,
    report,
    scope,
    sensitivity,
    tuning_pages,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Answer the questions of the paper and our own by experiments.",
)
_console = Console()


@app.command("report")
def make_report(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few seeds, short studies, written into the cache.")
    ] = False,
) -> None:
    """Run every reported seed; write docs/results/ and the result table."""
    with readable_errors():
        if quick:
            _console.print(f"Written: {report.make_quick()}")
            return
        report.make()
    _console.print(f"Written: {RESULTS} and the result table")


@app.command("pages")
def write_pages() -> None:
    """Write every page of docs/results/ and the result table again, from the stored JSON alone."""
    with readable_errors():
        for path in (*tuning_pages.write(RESULTS), *rendering.everything()):
            _console.print(f"Written: {path}")


@app.command("sensitivity")
def map_sensitivity() -> None:
    """Map where Dice and other losses collapse over learning rates, before and after the cure."""
    with readable_errors():
        sensitivity.write(RESULTS)
    _console.print(f"Written: {RESULTS / 'sensitivity.md'}")


@app.command("imbalance")
def sweep_imbalance() -> None:
    """Sweep the share of the minority class under five losses."""
    with readable_errors():
        imbalance.write(RESULTS)
    _console.print(f"Written: {RESULTS / 'imbalance.md'}")


@app.command()
def ablate() -> None:
    """Measure what single features of the networks contribute."""
    with readable_errors():
        ablations.write(RESULTS)
    _console.print(f"Written: {RESULTS / 'ablations.md'}")


@app.command("finer-labels")
def measure_finer_labels() -> None:
    """Measure what learning the six finer labels is worth to baselines and to ours."""
    with readable_errors():
        finer_labels.write(RESULTS)
    _console.print(f"Written: {RESULTS / 'README.md'}")


@app.command("scope")
def measure_scope() -> None:
    """Count the harmless texts that the served artifacts flag, by length."""
    with readable_errors():
        scope.write(RESULTS)
    _console.print(f"Written: {RESULTS / 'scope.md'}")
