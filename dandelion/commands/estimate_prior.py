"""``dandelion estimate-prior``: the share of positive texts among unlabelled ones."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from ..classifier import Classifier
from ..decision.prior import NotEstimableError, estimate_prior
from ..labelled import logits_of
from ..manifest import ArtifactError
from ..plural import number_of
from ..tables import describe_bad_rows
from ..traffic import TEXT, read_rows
from .artifacts import ArtifactsOption, VariantOption, choose, locate
from .columns import percent
from .data import DelimiterOption, EncodingOption, TextColumnOption
from .errors import UsageError, check_output, readable_errors

NOT_ESTIMABLE: Final = 3
"""The exit code where the texts do not allow an estimate."""

_LISTED: Final = 5


def estimate(  # noqa: PLR0913, PLR0917
    model: Annotated[str, typer.Argument(metavar="MODEL", help="See `dandelion models`.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Unlabelled texts: CSV, JSON Lines, Parquet.")
    ],
    text_column: TextColumnOption = TEXT,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Source of the artifact, or group, whose texts are like these."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    variant: VariantOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Estimate the share of positive texts, from scores alone.

    It holds if only the base rate differs from the texts that the artifact was measured on. Whether
    the scores allow that is tested: if not, nothing is estimated, and the exit code is 3. The test
    can miss other kinds of texts: fifty to two hundred labels are always better.
    """
    with readable_errors():
        check_output()
        classifier = Classifier.load(choose(locate(artifacts, model, variant), model, variant))
        evidence = classifier.basis().evidence
        if evidence is None:
            raise ArtifactError(
                f"{model}/{classifier.manifest.variant}: has no evidence (held-out scores) to "
                "estimate with. Choose another variant, or label a sample: `dandelion sample`."
            )
        if where is not None and where not in {*evidence.groups, *evidence.counts}:
            known = ", ".join([*evidence.groups, *evidence.counts])
            raise UsageError(f"unknown source or group; expected one of: {known}")
        rows = read_rows(file, text_column, encoding=encoding, delimiter=delimiter)
        for line in [*rows.table.notes, *describe_bad_rows(rows.left_out, _LISTED)]:
            typer.echo(f"{file}: {line}", err=True)
        try:
            found = estimate_prior(evidence, logits_of(classifier, rows.texts), where=where)
        except NotEstimableError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(NOT_ESTIMABLE) from error
        if as_json:
            typer.echo(json.dumps(asdict(found)))
        else:
            typer.echo(
                f"{percent(found.estimate)} % {classifier.manifest.labels[1]}, 95 % interval "
                f"[{percent(found.lower)}, {percent(found.upper)}], of "
                f"{number_of(found.texts, 'text')}, if only the base rate differs from the texts "
                "that the artifact was measured on "
                f"(test: p = {found.p_value:.2g})."
            )
