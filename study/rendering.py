"""From the stored figures to pages and plots: nothing is fitted, no data set is read.

Each study has a JSON file in ``docs/results/``. A command measures, stores the figures, and calls
the function here that writes their page; `everything` writes all of these pages from what is
stored.
"""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from training.cache import write_atomically
from training.tables import RESULTS

from . import plots
from .pages import (
    ablations,
    calibration,
    decisions,
    drift,
    imbalance,
    readme,
    results,
    robustness,
    scope,
    sensitivity,
    transfer,
)
from .pages.wording import model_title, rate, small_percent, title, variant_title
from .plots import Cell, Point
from .rates import precision
from .schema.decisions import (
    Bin,
    CalibratedVariant,
    CalibrationReport,
    CurvePoint,
    Decisions,
    ModelDecisions,
)
from .schema.drift import Drift
from .schema.results import LearningCurves, Results
from .schema.robustness import Robustness
from .schema.studies import (
    Ablations,
    FinerLabels,
    Imbalance,
    Sensitivity,
    SensitivityCell,
    Stored,
    SweptMetric,
)
from .schema.transfer import Transfer
from .storage import read

RESULTS_FILE = "results.json"
CURVES_FILE = "learning-curves.json"
SENSITIVITY_FILE = "sensitivity.json"
IMBALANCE_FILE = "imbalance.json"
ABLATIONS_FILE = "ablations.json"
FINER_LABELS_FILE = "finer-labels.json"
ROBUSTNESS_FILE = "robustness.json"
TRANSFER_FILE = "transfer.json"
DECISIONS_FILE = "decisions.json"
CALIBRATION_FILE = "calibration.json"
DRIFT_FILE = "drift.json"

# That the plots of decisions show; nearly nothing happens beyond.
_LOWEST_SCORE, _HIGHEST_SCORE = 1e-3, 1 - 1e-5


def everything(directory: Path = RESULTS, root: Path | None = None) -> list[Path]:
    """Write every page and plot again from the stored figures alone.

    Args:
        directory: holds the JSON files; pages and plots are written next to them. Those of the
            ablations, the finer labels, robustness, transfer, decisions, calibration and drift may
            be missing.
        root: of the project, whose README (or page of docs/) holds the result table; None if that
            table is not to be written.

    Returns:
        The files that were written.

    Raises:
        TrainingError: a JSON file is missing or of another form, or no page holds the marks of the
            result table.
    """
    optional = {
        ABLATIONS_FILE: ablations_page,
        ROBUSTNESS_FILE: robustness_page,
        TRANSFER_FILE: transfer_page,
        DECISIONS_FILE: decisions_pages,
        CALIBRATION_FILE: calibration_page,
        DRIFT_FILE: drift_page,
    }
    return [
        *sensitivity_page(directory),
        *imbalance_page(directory),
        *learning_curves(directory),
        *(
            page
            for file, write in optional.items()
            if (directory / file).exists()
            for page in write(directory)
        ),
        *scope_page(directory),
        *results_page(directory),
        *([] if root is None else result_table(directory, root)),
    ]


def stored_in(directory: Path) -> Stored:
    """Read everything that the results page is made of.

    Raises:
        TrainingError: a JSON file is missing or of another form; `FinerLabels`, `Robustness`
            and `Decisions` may be missing.
    """
    finer, robust = directory / FINER_LABELS_FILE, directory / ROBUSTNESS_FILE
    decided = directory / DECISIONS_FILE
    return Stored(
        read(Results, directory / RESULTS_FILE),
        read(Sensitivity, directory / SENSITIVITY_FILE),
        read(Imbalance, directory / IMBALANCE_FILE),
        read(FinerLabels, finer) if finer.exists() else None,
        read(Robustness, robust) if robust.exists() else None,
        read(Decisions, decided) if decided.exists() else None,
    )


def results_page(directory: Path) -> list[Path]:
    """Write ``README.md``."""
    others = sorted(page.name for page in directory.glob("*.md"))
    return [_write(directory / "README.md", results.page(stored_in(directory), others))]


def result_table(directory: Path, root: Path) -> list[Path]:
    """Write the table of the project's own documentation between its marks.

    Raises:
        StorageError: no page holds the marks, or one holds the first of them alone.
    """
    found = readme.require(root)
    table = readme.table(read(Results, directory / RESULTS_FILE))
    for page in found:
        readme.update(page, table)
    return found


def learning_curves(directory: Path) -> list[Path]:
    """Draw the learning curves, a plot for each variant."""
    stored = read(LearningCurves, directory / CURVES_FILE)
    written = []
    for variant in dict.fromkeys(one.variant for one in stored.curves):
        figure = plots.learning_curves(
            f"DAN, {variant_title(variant)} loss ({stored.protocol} protocol, seed {stored.seed})",
            {title(one.model): one.history for one in stored.curves if one.variant == variant},
            numbered=variant == "dice",
        )
        written.append(_write(directory / f"learning-curves-{variant}.svg", figure))
    return written


def sensitivity_page(directory: Path) -> list[Path]:
    """Write ``sensitivity.md`` and its plot."""
    stored = read(Sensitivity, directory / SENSITIVITY_FILE)
    return [
        _write(directory / "sensitivity.svg", _map(stored)),
        _write(directory / "sensitivity.md", sensitivity.page(stored)),
    ]


def imbalance_page(directory: Path) -> list[Path]:
    """Write ``imbalance.md`` and its plot."""
    stored = read(Imbalance, directory / IMBALANCE_FILE)
    return [
        _write(directory / "imbalance.svg", _sweep(stored)),
        _write(directory / "imbalance.md", imbalance.page(stored)),
    ]


def ablations_page(directory: Path) -> list[Path]:
    """Write ``ablations.md``."""
    stored = read(Ablations, directory / ABLATIONS_FILE)
    return [_write(directory / "ablations.md", ablations.page(stored))]


def scope_page(directory: Path) -> list[Path]:
    """Write ``scope.md``."""
    found = read(Results, directory / RESULTS_FILE)
    return [_write(directory / "scope.md", scope.page(found))]


def robustness_page(directory: Path) -> list[Path]:
    """Write ``robustness.md``."""
    stored = read(Robustness, directory / ROBUSTNESS_FILE)
    return [_write(directory / "robustness.md", robustness.page(stored))]


def transfer_page(directory: Path) -> list[Path]:
    """Write ``transfer.md``."""
    stored = read(Transfer, directory / TRANSFER_FILE)
    return [_write(directory / "transfer.md", transfer.page(stored))]


def decisions_pages(directory: Path) -> list[Path]:
    """Write a page and a plot of decisions for each model."""
    stored = read(Decisions, directory / DECISIONS_FILE)
    written = []
    for one in stored.models:
        plot = directory / decisions.plot_of(one.model)
        written.append(_write(plot, _threshold_curves(one)))
        written.append(_write(directory / decisions.name_of(one.model), decisions.page(one)))
    return written


def drift_page(directory: Path) -> list[Path]:
    """Write ``drift.md``."""
    return [_write(directory / "drift.md", drift.page(read(Drift, directory / DRIFT_FILE)))]


def calibration_page(directory: Path) -> list[Path]:
    """Write ``calibration.md`` and a plot for each model."""
    stored = read(CalibrationReport, directory / CALIBRATION_FILE)
    plots_of_models = [
        _write(
            directory / calibration.plot_of(model),
            _reliability([one for one in stored.variants if one.model == model]),
        )
        for model in calibration.models_of(stored)
    ]
    return [*plots_of_models, _write(directory / "calibration.md", calibration.page(stored))]


def _threshold_curves(stored: ModelDecisions) -> bytes:
    curve = [one for one in stored.curve if _LOWEST_SCORE <= one.threshold <= _HIGHEST_SCORE]
    alarms = "harmless texts flagged"

    def at(point: CurvePoint, prior: float) -> Point:
        (recall_low, recall_high) = point.recall_band
        (alarms_low, alarms_high) = point.false_positive_rate_band
        return Point(
            precision(point.recall.value, point.false_positive_rate.value, prior),
            precision(recall_low, alarms_high, prior),
            precision(recall_high, alarms_low, prior),
        )

    return plots.threshold_curves(
        f"{model_title(stored.model)}, out of fold, seed {stored.seeds[0]}: simultaneous bands",
        {
            "recall": {"recall": [Point(one.recall.value, *one.recall_band) for one in curve]},
            alarms: {
                alarms: [
                    Point(one.false_positive_rate.value, *one.false_positive_rate_band)
                    for one in curve
                ]
            },
            "precision, by share of positive messages": {
                small_percent(prior): [at(one, prior) for one in curve]
                for prior in decisions.BASE_RATES
            },
        },
        [one.threshold for one in curve],
        logarithmic=(alarms,),
    )


def _reliability(variants: Sequence[CalibratedVariant]) -> bytes:
    def dots(bins: Sequence[Bin]) -> list[tuple[float, Point]]:
        return [(one.score, Point(*astuple(one.positives))) for one in bins]

    first = variants[0]
    return plots.reliability(
        f"{model_title(first.model)}: test fold of seed {first.seeds[0]}, at prior .5",
        {
            variant_title(one.variant): {
                "before": dots(one.diagram_before),
                "after": dots(one.diagram_after),
            }
            for one in variants
        },
    )


def _write(path: Path, data: str | bytes) -> Path:
    write_atomically(path, data.encode() if isinstance(data, str) else data)
    return path


def _map(stored: Sensitivity) -> bytes:
    def cell(one: SensitivityCell) -> Cell:
        mark = f"{one.collapsed}/{one.runs}" if one.collapsed else ""
        return Cell(one.macro_f1, mark)

    return plots.heat_maps(
        "Macro-F1 at threshold 0.5 on validation; framed: how many runs collapsed",
        {
            (title(model), part): {
                variant_title(loss): [cell(one) for one in cells]
                for loss, cells in sensitivity.lines_of(stored, part, model).items()
            }
            for model in sensitivity.models_of(stored)
            for part in ("naive", "cured")
        },
        columns=[rate(one) for one in stored.rates],
        axis="layers' learning rate",
        lowest=0.4,
    )


def _sweep(stored: Imbalance) -> bytes:
    def points(model: str, loss: str, metric: SweptMetric) -> list[Point]:
        cells = [imbalance.cell(stored, model, share, loss) for share in stored.shares]
        return [Point(one.metrics[metric].mean, *one.metrics[metric].ci95) for one in cells]

    return plots.sweep(
        f"As the minority class grows rarer: means and 95 % intervals, {len(stored.seeds)} seeds",
        {
            (title(model), name): {
                loss_name: points(model, loss, metric)
                for loss, loss_name in imbalance.LOSSES.items()
            }
            for model in imbalance.models_of(stored)
            for metric, name in imbalance.METRICS.items()
        },
        steps=[small_percent(share) for share in stored.shares],
        axis="minority class in training",
    )
