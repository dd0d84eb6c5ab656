"""The command line: ``python -m study``."""

from typing import Annotated

import typer
from rich.console import Console

from training.cli import readable_errors

from . import ablations, imbalance, report, sensitivity

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Answer the questions of the paper and ours by experiments.",
)
_console = Console()


@app.command("report")
def make_report(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few seeds, short studies, written aside.")
    ] = False,
) -> None:
    """Run every reported seed and write docs/results/ and the README's tables anew."""
    with readable_errors():
        if quick:
            _console.print(f"Written: {report.make_quick()}")
            return
        report.make()
    _console.print(f"Written: {report.RESULTS} and the tables of {report.README}")


@app.command("sensitivity")
def map_sensitivity() -> None:
    """Map where Dice and other losses collapse over learning rates, before and after the cure."""
    with readable_errors():
        sensitivity.write(report.RESULTS)
    _console.print(f"Written: {report.RESULTS / 'sensitivity.md'}")


@app.command("imbalance")
def sweep_imbalance() -> None:
    """Sweep the share of the smaller class under five losses."""
    with readable_errors():
        imbalance.write(report.RESULTS)
    _console.print(f"Written: {report.RESULTS / 'imbalance.md'}")


@app.command()
def ablate() -> None:
    """Measure what single features of the networks are worth; write the table."""
    with readable_errors():
        ablations.write(report.RESULTS / "ablations.md")
    _console.print(f"Written: {report.RESULTS / 'ablations.md'}")
