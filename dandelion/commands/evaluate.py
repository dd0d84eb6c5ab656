"""``dandelion evaluate``: what a model does on a user's own labelled texts, and a policy of it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ..classifier import Classifier
from ..evaluation import Evaluation, evaluate
from ..json_values import quoted
from ..tables import describe_bad_rows
from ..traffic import LABEL, TEXT, Rows, read_labels, read_rows, read_strata
from .artifacts import ArtifactsOption, VariantOption, choose, locate
from .data import DelimiterOption, EncodingOption, LabelColumnOption, TextColumnOption
from .errors import UsageError, check_output, readable_errors
from .evaluation_report import report
from .numbers import PriorOption

_LISTED: Final = 5


def evaluate_model(  # noqa: PLR0913, PLR0917
    model: Annotated[str, typer.Argument(metavar="MODEL", help="See `dandelion models`.")],
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            metavar="FILE",
            help="Labelled texts; several files are several sources, of which the worst counts.",
        ),
    ],
    text_column: TextColumnOption = TEXT,
    label_column: LabelColumnOption = LABEL,
    positive: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Label of the positive texts, if the labels of the file are not the model's.",
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="COLUMN", help="Also report for each of its values."),
    ] = None,
    points: Annotated[
        list[str] | None,
        typer.Option(
            "--operating-point",
            metavar="POINT",
            help="Fit it on these texts, such as 'fpr<=0.01'; repeatable.",
        ),
    ] = None,
    prior: PriorOption = None,
    only_flagged: Annotated[
        bool,
        typer.Option("--only-flagged", help="All texts were flagged by this model, as in appeals."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Policy file to write, for a policy in serving.toml."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    variant: VariantOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Evaluate a model on your labelled texts, and write a policy file.

    Reports which operating points of the artifact hold on these texts, how well scores rank and are
    calibrated, and what thresholds catch at given rates of alerts; every figure with its 95 %
    interval. Labels are the model's, or 0 and 1, or true and false. Rows without a label are left
    out. A file from `dandelion sample` is recognized by its columns stratum and inclusion_weight:
    estimates are then for all texts that it was drawn from.

    If all texts were flagged before, as in appeals, they show only precision, not what was missed.
    """
    with readable_errors():
        check_output()
        classifier = Classifier.load(choose(locate(artifacts, model, variant), model, variant))
        names = classifier.manifest.labels
        if len(names) > 2:
            raise UsageError(f"{model} has more than two labels; expected two")
        files = [
            read_rows(path, text_column, encoding=encoding, delimiter=delimiter) for path in data
        ]
        labels = [read_labels(rows, names, label_column, positive) for rows in files]
        found = evaluate(
            classifier,
            [text for rows in files for text in rows.texts],
            [label for one in labels for label in one],
            **_origins(files),
            by={column: _values(files, column) for column in by or ()},
            points=points or (),
            prior=prior,
            only_flagged=only_flagged,
        )
        unlabelled = sum(one.count(None) for one in labels)
        _write(found, files, unlabelled, as_json=as_json)
        if output is not None:  # after the report, which is then not lost if there is no policy
            found.policy_file().write(output)
            typer.echo(f"Wrote {output}.", err=True)


def _origins(files: Sequence[Rows]) -> dict[str, Any]:
    """Return the strata and weights of samples; else the sources, one for each file.

    Raises:
        UsageError: some files are samples, others are not; or two have the same name.
        TableError: see `read_strata`.
    """
    names = [rows.table.path.name.partition(".")[0] for rows in files]
    if len(set(names)) < len(names):
        raise UsageError("two files of --data have the same name, which is their source's")
    found = [read_strata(rows) for rows in files]
    drawn = [one for one in found if one is not None]
    if not drawn:
        return {
            "sources": [name for name, rows in zip(names, files, strict=True) for _ in rows.texts]
        }
    if len(drawn) < len(files) or len(files) > 1:
        raise UsageError("a sample, with its strata, is evaluated alone: give one file as --data")
    return {"strata": drawn[0][0], "weights": drawn[0][1]}


def _values(files: Sequence[Rows], column: str) -> list[str]:
    return ["" if value is None else str(value) for rows in files for value in rows.column(column)]


def _write(found: Evaluation, files: Sequence[Rows], unlabelled: int, *, as_json: bool) -> None:
    left_out = [bad for rows in files for bad in rows.left_out]
    for rows in files:
        lines = [*rows.table.notes, *describe_bad_rows(rows.left_out, _LISTED)]
        for line in lines:
            typer.echo(f"{rows.table.path}: {line}", err=True)
    if as_json:
        values = asdict(found)
        del values["evidence"]
        values |= {"unlabelled": unlabelled, "left_out": len(left_out)}
        typer.echo(json.dumps(values, ensure_ascii=False))
        return
    paths = ", ".join(quoted(str(rows.table.path)) for rows in files)
    typer.echo(f"{found.model}/{found.variant}, version {found.artifact[:12]}, on {paths}\n")
    typer.echo(report(found, unlabelled=unlabelled, left_out=len(left_out)))
