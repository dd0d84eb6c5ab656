"""The command line: ``python -m study``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dandelion import serving
from dandelion.manifest import load_manifest
from training.cache import cache_directory
from training.command_options import readable_errors
from training.destination import ARTIFACTS
from training.reference import write_reference
from training.tables import RESULTS

from . import (
    ablations,
    cards,
    deletion,
    drift,
    finer_labels,
    imbalance,
    migration,
    notebook,
    rendering,
    report,
    sensitivity,
    tuning_pages,
)
from .decisions import run as decisions
from .robustness import run as robustness
from .transfer import log
from .transfer import run as transfer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run the experiments behind docs/results.",
)
_console = Console()


def _print_written(path: Path, more: str = "") -> None:
    _console.print(f"Written: {path}{more}", markup=False, soft_wrap=True)


@app.command("report")
def make_report(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few seeds, short studies, written into the cache.")
    ] = False,
) -> None:
    """Run every reported seed; write docs/results/ and the result table."""
    with readable_errors():
        if quick:
            _print_written(report.write_quick_report())
            return
        report.write_report()
    _print_written(RESULTS, " and the result table")


@app.command("pages")
def write_pages() -> None:
    """Write every page of docs/results/ and the result table again, from the stored JSON alone."""
    with readable_errors():
        for path in (*tuning_pages.write(RESULTS), *rendering.everything(RESULTS, Path())):
            _print_written(path)


@app.command("cards")
def write_cards(
    artifacts: Annotated[
        Path, typer.Option(help="Directory of the artifacts, with serving.toml.")
    ] = Path("artifacts"),
) -> None:
    """Write the model card of every served artifact, from it and the stored studies."""
    with readable_errors():
        for path in cards.write(artifacts, RESULTS):
            _print_written(path)


@app.command("reference")
def write_references(
    artifacts: Annotated[
        Path, typer.Option(help="Directory of the artifacts, with serving.toml.")
    ] = Path("artifacts"),
) -> None:
    """Write reference.json of every served artifact, as training does: words of held-out texts."""
    with readable_errors():
        for directory in serving.read(artifacts, {}).values():
            path = write_reference(load_manifest(directory), directory)
            if path is not None:
                _print_written(path)


@app.command("migration")
def write_migration(
    artifacts: Annotated[Path, typer.Option(help="Directory of the artifacts.")] = Path(
        "artifacts"
    ),
) -> None:
    """Write the thresholds of 0.6 and of the artifacts into docs/guide/migration-0.7.md."""
    with readable_errors():
        _print_written(migration.write(artifacts))


@app.command("notebook")
def execute_notebook(
    output: Annotated[
        Path | None, typer.Option(help="Where it is written. Default: in its own place.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One run of each loss on 600 text messages.")
    ] = False,
) -> None:
    """Run notebooks/table-1.ipynb, the paper's Table 1, and write what its cells print."""
    parameters = {"SEEDS": {"spam": 1}, "ROWS": 600} if quick else None
    with readable_errors():
        _print_written(notebook.execute(notebook.TABLE_1, output, parameters))


@app.command("sensitivity")
def map_sensitivity() -> None:
    """Map where Dice and other losses collapse over learning rates, before and after the cure."""
    with readable_errors():
        sensitivity.write(RESULTS)
    _print_written(RESULTS / "sensitivity.md")


@app.command("imbalance")
def sweep_imbalance() -> None:
    """Sweep the share of the minority class under five losses."""
    with readable_errors():
        imbalance.write(RESULTS)
    _print_written(RESULTS / "imbalance.md")


@app.command()
def ablate() -> None:
    """Measure what single features of the networks contribute."""
    with readable_errors():
        ablations.write(RESULTS)
    _print_written(RESULTS / "ablations.md")


@app.command("finer-labels")
def measure_finer_labels() -> None:
    """Measure how much the six finer labels help the baselines and our variants."""
    with readable_errors():
        finer_labels.write(RESULTS)
        rendering.results_page(RESULTS)
    _print_written(RESULTS / "README.md")


@app.command("robustness")
def measure_robustness(
    model: Annotated[
        str | None, typer.Option(help="Measure the variants of this model alone.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="Measure this variant of the model alone.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option(help="Compare with baselines, which takes most of the time.")
    ] = True,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A tenth of the texts, no baselines, written into the cache."),
    ] = False,
) -> None:
    """Measure changed texts, harmless texts of any length, and sentences about groups.

    By default of every variant that is served and has two labels, and of its plain network.
    """
    output = cache_directory() / "robustness-quick" if quick else RESULTS
    scale = robustness.Scale() if baselines else robustness.Scale(baselines=())
    with readable_errors():
        robustness.write(output, model, variant, scale=robustness.QUICK if quick else scale)
        if not quick:
            rendering.results_page(RESULTS)
    _print_written(output / "robustness.md")


@app.command("deletion")
def delete_spans(
    model: Annotated[
        list[str] | None, typer.Option(help="Of the served models with two labels; repeatable.")
    ] = None,
) -> None:
    """Delete the spans that explanations name from flagged texts; print how far logits fall."""
    with readable_errors():
        paths = [path for one in model or (None,) for path in deletion.served(ARTIFACTS, one)]
        for path in paths:
            texts = deletion.flagged(path)
            for gradient in deletion.GRADIENTS:
                found = deletion.measure(path, texts, gradient)
                _console.print(f"{path.parent.name} {found}", markup=False, soft_wrap=True)


@app.command("transfer")
def measure_transfer(
    model: Annotated[str, typer.Option(help="abuse, spam or cyberbullying.")] = "abuse",
    variant: Annotated[
        str | None,
        typer.Option(help="The only candidate. Default: those of study/transfer/candidates.toml."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Parallel fits. Default: one per processor.")
    ] = None,
) -> None:
    """Leave each source out in turn and read it, next to baselines with the same help."""
    with readable_errors():
        transfer.write(model, RESULTS, variant, workers=workers)
        rendering.results_page(RESULTS)
    _print_written(RESULTS / "transfer.md", f"; the readings are in {RESULTS / log.FILE}")


@app.command("promises")
def check_promises(
    model: Annotated[
        str | None, typer.Option(help="abuse, spam or cyberbullying. Default: all.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many. Default: as many as are reported.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Compare recall at a precision of 99 %.")
    ] = False,
) -> None:
    """Compare what operating points promise with what test folds keep, over all seeds.

    Carries out the whole procedure for each: folds, penalty, evidence, calibration, final network.
    """
    with readable_errors():
        decisions.write_promises(RESULTS, model, seeds=seeds, baselines=baselines)
        rendering.results_page(RESULTS)
    _print_written(RESULTS / rendering.DECISIONS_FILE, " and its pages")


@app.command("drift")
def simulate_drift() -> None:
    """Simulate changed traffic with real texts: what the recorded figures detect, and when."""
    with readable_errors():
        drift.write(RESULTS)
        rendering.drift_page(RESULTS)
        rendering.results_page(RESULTS)
    _print_written(RESULTS / "drift.md")


@app.command("calibration")
def measure_calibration(
    model: Annotated[str | None, typer.Option(help="Measure this model alone.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How many. Default: 3.")] = None,
) -> None:
    """Measure the probabilities of every variant, before and after calibration."""
    with readable_errors():
        decisions.write_calibration(RESULTS, model, seeds=seeds)
        rendering.results_page(RESULTS)
    _print_written(RESULTS / "calibration.md")
