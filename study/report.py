"""The report: ``docs/results/`` and the result table, from runs over every reported seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from training.cache import cache_directory
from training.configuration import Configuration, load_all
from training.data import datasets
from training.data.splits import Protocol, split
from training.experiment import Run
from training.quality.metrics import FITTED, Metrics, majority
from training.runs import CachedRun, run_all, run_cells
from training.tables import RESULTS

from . import baselines, finer_labels, imbalance, rendering, results, sensitivity, storage
from .figures import epochs
from .pages import readme
from .pages.paper import lowest_collapsing_rate
from .robustness import run as robustness
from .schema.results import (
    Chosen,
    Comparison,
    LearningCurve,
    LearningCurves,
    Results,
    Row,
    SliceRow,
    Table1Row,
)
from .schema.studies import Sensitivity

_LARGE = ("cyberbullying", "cyberbullying_type")
_CURVES_SEED = 0

Cells = Mapping[tuple[str, str, Protocol], list[CachedRun]]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run.

    Attributes:
        quick: the reduced version: few seeds, no baselines on the large sets, short studies.
    """

    quick: bool = False

    def seeds(self, model: str, protocol: Protocol) -> range:
        """Return the seeds that are reported, one split and one initialisation each."""
        if self.quick:
            return range(1 if model in _LARGE else 2)
        return range(5 if protocol is Protocol.GROUPED and model in _LARGE else 10)

    def has_baselines(self, model: str) -> bool:
        """Return whether the baselines of a model are run."""
        return not (self.quick and model in _LARGE)


def write_report(
    output: Path = RESULTS, root: Path | None = None, scale: Scale | None = None
) -> None:
    """Run whatever is not in the cache yet and write everything again.

    Writes the JSON files, pages and plots into ``output``, and, unless the scale is quick, the
    result table between its marks in the README (or a page of docs/) under ``root``. Ablations and
    tuning have commands of their own; of the former, the page is written again.

    Raises:
        TrainingError: a data set, the word vectors, a configuration or a mark is missing or wrong.
    """
    scale = scale or Scale()
    root = None if scale.quick else root or Path()
    if root is not None:
        readme.require(root)  # before hours of fits
    # The others have no benchmark: `transfer` and `robustness` are about them.
    configs = [one for one in load_all() if one.model in datasets.SOURCES]
    cells = _run(configs, scale)
    found = sensitivity.write(output, sensitivity.QUICK if scale.quick else None)
    naive = _run_naive(found, scale)
    imbalance.write(output, imbalance.QUICK if scale.quick else None)
    rows = [
        *results.paper_rows(),
        *_majority_rows(scale),
        *_baseline_rows(scale),
        *_variant_rows(configs, cells, scale),
        *_naive_rows(naive, scale),
    ]
    stored = Results(
        rows=rows,
        comparisons=_comparisons(rows),
        table1=_table1(cells, naive),
        chosen=_chosen(configs, cells),
        slices=_slices(cells),
    )
    storage.write(stored, output / rendering.RESULTS_FILE)
    storage.write(_learning_curves(configs, cells), output / rendering.CURVES_FILE)
    if not scale.quick:
        finer_labels.write(output)
        robustness.write(output)
    rendering.everything(output, root)


def write_quick_report() -> Path:
    """Write the reduced report into the cache, so that it never replaces the whole one.

    Returns:
        Its directory.
    """
    output = cache_directory() / "report-quick"
    write_report(output, scale=Scale(quick=True))
    return output


def _protocols(config: Configuration) -> tuple[Protocol, ...]:
    """Return both for the paper's networks, the headline alone for the others."""
    in_paper = (config.model, config.variant) in results.PAPER
    return tuple(Protocol) if in_paper else (Protocol.GROUPED,)


def _run(configs: Sequence[Configuration], scale: Scale) -> Cells:
    """Carry out every reported run in one series; a list per cell, in the order of the seeds."""
    runs = {
        (config.model, config.variant, protocol): [
            Run(config, protocol, seed) for seed in scale.seeds(config.model, protocol)
        ]
        for config in configs
        for protocol in _protocols(config)
    }
    return dict(zip(runs, run_cells(list(runs.values()), "Reported runs"), strict=True))


@dataclass(frozen=True, slots=True)
class _Naive:
    """Runs of the naive recipe of Dice, paper protocol, at the rate where every seed collapses."""

    model: str
    kept: list[CachedRun]


def _run_naive(found: Sensitivity, scale: Scale) -> _Naive | None:
    rate = lowest_collapsing_rate(found)
    if rate is None:
        return None
    config = sensitivity.naive(rate, found.model)
    seeds = scale.seeds(config.model, Protocol.PAPER)
    runs = [Run(config, Protocol.PAPER, seed) for seed in seeds]
    return _Naive(config.model, run_all(runs, sensitivity.NAME))


def _table1(cells: Cells, naive: _Naive | None) -> list[Table1Row]:
    entries = [
        ((model, loss), loss, cells[model, loss, Protocol.PAPER])
        for model, loss in results.PAPER
        if (model, loss, Protocol.PAPER) in cells
    ]
    if naive is not None:
        entries.append(((naive.model, "dice"), sensitivity.NAME, naive.kept))
    return results.table1(entries)


def _majority_rows(scale: Scale) -> Iterator[Row]:
    for model in datasets.SOURCES:
        dataset = datasets.load(model)
        protocols = tuple(Protocol) if dataset.task == "binary" else (Protocol.GROUPED,)
        for protocol in protocols:
            seeds = scale.seeds(model, protocol)
            per_seed: list[Metrics] = []
            for seed in seeds:
                fold = split(dataset, protocol, seed)
                train, test = dataset.labels[fold.train], dataset.labels[fold.test]
                per_seed.append(majority(train, test, len(dataset.label_names)))
            yield results.majority_row(model, protocol, seeds, per_seed)


def _baseline_rows(scale: Scale) -> Iterator[Row]:
    for model in filter(scale.has_baselines, datasets.SOURCES):
        seeds = scale.seeds(model, Protocol.GROUPED)
        runs = baselines.run_baselines(model, seeds, Protocol.GROUPED)
        yield from results.baseline_rows(model, runs, baselines.time_baselines(model), seeds)


def _variant_rows(configs: Sequence[Configuration], cells: Cells, scale: Scale) -> Iterator[Row]:
    for config in configs:
        for protocol in _protocols(config):
            yield from results.variant_rows(
                cells[config.model, config.variant, protocol],
                name=config.variant,
                shipped=config.shipped and protocol is Protocol.GROUPED,
                seeds=scale.seeds(config.model, protocol),
                texts=_timed_texts(config.model),
            )


def _naive_rows(naive: _Naive | None, scale: Scale) -> Iterator[Row]:
    if naive is not None:
        yield from results.variant_rows(
            naive.kept,
            name=sensitivity.NAME,
            shipped=False,
            seeds=scale.seeds(naive.model, Protocol.PAPER),
            texts=_timed_texts(naive.model),
        )


def _timed_texts(model: str) -> tuple[str, ...]:
    return datasets.load(model).texts[: baselines.TIMED_TEXTS]


def _comparisons(rows: Sequence[Row]) -> list[Comparison]:
    """Compare every variant with every baseline and with every other: grouped protocol, fitted."""
    comparable = [
        row for row in rows if row.protocol == "grouped" and row.threshold in {FITTED, None}
    ]
    ours = [row for row in comparable if row.kind == "dan"]
    others = [row for row in comparable if row.kind == "peer"]
    pairs = [*combinations(ours, 2), *((a, b) for a in ours for b in others)]
    return [
        comparison
        for a, b in pairs
        if a.model == b.model and len(a.seeds) > 1
        for comparison in results.compare(a, b)
    ]


def _chosen(configs: Sequence[Configuration], cells: Cells) -> dict[str, Chosen]:
    """Choose the variant that serves each model, of the shipped ones."""
    shipped: dict[str, dict[str, list[CachedRun]]] = {}
    for config in configs:
        if config.shipped:
            kept = cells[config.model, config.variant, Protocol.GROUPED]
            shipped.setdefault(config.model, {})[config.variant] = kept
    return {model: results.choose(runs) for model, runs in shipped.items()}


def _slices(cells: Cells) -> list[SliceRow]:
    return [
        row
        for (model, variant, protocol), kept in cells.items()
        if model == "cyberbullying" and protocol is Protocol.GROUPED
        for row in results.slice_rows(model, variant, kept)
    ]


def _learning_curves(configs: Sequence[Configuration], cells: Cells) -> LearningCurves:
    variants = dict.fromkeys(one.variant for one in configs if Protocol.PAPER in _protocols(one))
    curves = [
        LearningCurve(model, variant, epochs(cells[model, variant, Protocol.PAPER][_CURVES_SEED]))
        for model in datasets.SOURCES
        for variant in variants
        if (model, variant, Protocol.PAPER) in cells
    ]
    return LearningCurves(str(Protocol.PAPER), _CURVES_SEED, curves)
