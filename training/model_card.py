"""The report on a model that was trained on custom data: what was read, and how good it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dandelion.manifest import Manifest

from .cache import write_atomically
from .data.custom_data import CustomDataset
from .experiment import Result
from .quality.metrics import ARGMAX, FITTED, HALF, METRICS, OPERATING_POINT, Cut, Metrics
from .tables import COLUMNS, as_markdown, figure, markdown_table

_LISTED_ROWS = 1000


def write(
    page: Path,
    trained: tuple[Manifest, Result],
    majority: Metrics,
    found: CustomDataset,
    remarks: Sequence[str] = (),
) -> None:
    """Write the report, in Markdown.

    Args:
        page: its path.
        trained: the artifact's manifest and the run's figures.
        majority: metrics of always choosing the largest class, on the same test fold.
        found: what was read.
        remarks: further sentences for its head.
    """
    manifest, result = trained
    parts = [_heading(manifest, found, remarks), _quality(result, majority), _decision(manifest)]
    if len(found.files) > 1:
        parts.insert(1, _files(found))
    if result.threshold is None:
        parts.append(_by_class(manifest, result))
    parts.append(_run(manifest, result))
    contradictions = found.duplicates.listed(found.unit, _LISTED_ROWS)
    if contradictions:
        lines = "\n".join(f"- {as_markdown(line)}" for line in contradictions)
        parts.append(f"## Texts under more than one label\n\nAll of them were kept:\n\n{lines}\n")
    if found.bad_rows:
        lines = "\n".join(
            f"- {as_markdown(line)}" for line in found.describe_bad_rows(_LISTED_ROWS)
        )
        bad = len(found.bad_rows)
        count = "1 row, for this reason" if bad == 1 else f"{bad:,} rows, for these reasons"
        parts.append(f"## Rows left out\n\n{count}:\n\n{lines}\n")
    write_atomically(page, "\n".join(parts).encode())


def _heading(manifest: Manifest, found: CustomDataset, remarks: Sequence[str]) -> str:
    dataset = found.dataset
    counts = np.bincount(dataset.labels, minlength=len(dataset.label_names)).tolist()
    lines = [
        [as_markdown(name), str(count)]
        for name, count in zip(dataset.label_names, counts, strict=True)
    ]
    sentences = (*found.guesses, *found.notes, *remarks)
    remarks_list = "".join(f"- {as_markdown(one)}\n" for one in sentences)
    return f"""\
# {manifest.model}/{manifest.variant}

Version {manifest.version}, trained on {len(dataset.texts)} texts under {manifest.loss}, protocol
`{manifest.protocol}`, seed {manifest.seed}: {manifest.split["train"]} texts for training,
{manifest.split["validation"]} for validation, {manifest.split["test"]} for the test.

{markdown_table(["label", "texts"], lines)}
{remarks_list}"""


def _files(found: CustomDataset) -> str:
    dataset = found.dataset
    lines = []
    for origin, file in enumerate(found.files):
        labels = dataset.labels[dataset.origins == origin]
        counts = np.bincount(labels, minlength=len(dataset.label_names)).tolist()
        place = as_markdown(file.resolved.path.name)
        lines.append([file.name, place, *map(str, counts), str(len(file.bad_rows))])
    labelled = [f"{as_markdown(name)}" for name in dataset.label_names]
    table = markdown_table(["source", "file", *labelled, "rows left out"], lines)
    return f"## Files\n\nEach file is a source, and each of its texts counts as much.\n\n{table}"


def _quality(result: Result, majority: Metrics) -> str:
    test, held_out = result.metrics["test"], result.held_out
    name = "out of fold" if "out_of_fold" in result.metrics else "validation"
    cuts: list[Cut] = [ARGMAX] if result.threshold is None else [HALF, FITTED]
    cuts += [OPERATING_POINT] * (OPERATING_POINT in test)
    lines = [["majority", "", *_figures(majority)]]
    lines += [[name, cut, *_figures(held_out[cut])] for cut in cuts]
    lines += [["test", cut, *_figures(test[cut])] for cut in cuts]
    header = ["", "threshold", *(COLUMNS[metric] for metric in METRICS)]
    if result.threshold is None:
        rule = "The label with the highest score is chosen."
    else:
        place = "on validation" if name == "validation" else name
        rule = (
            f"The threshold, {result.threshold:.4f}, is described below. `fitted` maximises "
            f"macro-F1 {place}; `0.5` is of the uncalibrated scores."
        )
    return f"""\
## Quality

One split and one seed: with few texts, expect other figures from another (`--seed`). {rule}

{markdown_table(header, lines)}"""


def _decision(manifest: Manifest) -> str:
    """Return what the threshold and the scores are, and what of it is promised."""
    lines = []
    rule: Mapping[str, Any] = manifest.threshold_rule or {}
    out_of_fold = rule.get("fitted_on") == "out_of_fold"
    if manifest.threshold is not None:
        where = "out of fold" if out_of_fold else "on validation"
        lines.append(
            f"The default threshold, {manifest.threshold:.4f}, is that of the operating point "
            f"`{manifest.operating_point}`, fitted {where}."
        )
        lines.append(_promise(rule))
    fitted: Mapping[str, Any] = manifest.calibration_fit or {}
    if manifest.calibration is not None and fitted:
        before, after = fitted["before"], fitted["after"]
        lines.append(
            f"Scores are probabilities at a share of positive texts of .5, by "
            f"{manifest.calibration['method']} calibration on {sum(fitted['texts']):,} texts "
            f"({'out of fold' if fitted['fitted_on'] == 'out_of_fold' else 'validation'}): it "
            f"changes the log loss there from {before['log_loss']:.3f} to {after['log_loss']:.3f}."
        )
    return "## Decision\n\n" + "\n".join(f"- {line}" for line in lines if line) + "\n"


def _promise(rule: Mapping[str, Any]) -> str:
    constraints = rule.get("constraints")
    if not constraints:
        return "Nothing is promised about it: only points with constraints are promises."
    negatives, positives = rule["texts"]
    texts = f"{negatives:,} negative and {positives:,} positive texts, one of each group of copies"
    if rule["promised"]:
        return (
            f"With a confidence of {rule['confidence']:.0%} the constraints hold for texts of the "
            f"same kind ({texts})."
        )
    return f"The networks of the folds disagree in scale, so nothing is promised ({texts})."


def _by_class(manifest: Manifest, result: Result) -> str:
    test = result.metrics["test"][ARGMAX]
    lines = [
        [as_markdown(label), figure(f1), *map(str, counts)]
        for label, f1, counts in zip(
            manifest.labels, test["per_class_f1"], test["confusion_matrix"], strict=True
        )
    ]
    header = ["labelled ↓ chosen →", "F1", *map(as_markdown, manifest.labels)]
    return f"## By class, on the test fold\n\n{markdown_table(header, lines)}"


def _run(manifest: Manifest, result: Result) -> str:
    collapsed = " **At 0.5 it decides like a constant: do not use it.**"
    return f"""\
## The run

{result.train_seconds:.0f} s, {result.bytes / 1000:.0f} kB, kept epoch {result.kept_epoch} of
{len(result.history)}.{collapsed if result.collapsed else ""} Configuration, checksums and library
versions are in `{manifest.variant}/model.json`.
"""


def _figures(metrics: Metrics) -> list[str]:
    return [figure(metrics.get(metric)) for metric in METRICS]
