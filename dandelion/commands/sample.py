"""``dandelion sample``: which of a user's own texts to label."""

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ..classifier import Classifier
from ..json_values import quoted
from ..labelled import logits_of
from ..plural import number_of
from ..sampling import Sample, draw, stratum_name
from ..tables import describe_bad_rows
from ..text.copies import copies
from ..traffic import LABEL, STRATUM, TEXT, WEIGHT, Rows, read_rows
from ..writing import write_atomically
from .artifacts import ArtifactsOption, VariantOption, choose, locate
from .data import DelimiterOption, EncodingOption, TextColumnOption
from .errors import OutputError, UsageError, check_output, readable_errors

SOURCE_LINE: Final = "source_line"
SCORE: Final = "score"

_LISTED: Final = 5


def sample(  # noqa: PLR0913, PLR0917
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, TSV, JSON Lines or Parquet.")],
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="Model whose scores form the strata.")
    ],
    count: Annotated[
        int, typer.Option("--n", min=1, metavar="NUMBER", help="Texts to draw.")
    ] = 600,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A new CSV file. Default: standard output."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random draw.")] = 0,
    with_scores: Annotated[
        bool,
        typer.Option("--with-scores", help="Add the scores, which labellers should not see."),
    ] = False,
    text_column: TextColumnOption = TEXT,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    variant: VariantOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Draw texts to label, by score: rare positive texts are found, and every text has a weight.

    Writes the drawn rows as CSV, in random order, with all their columns and: source_line; label,
    to be filled in; stratum and inclusion_weight, for `dandelion evaluate`. Keep these two columns
    and all rows: leave a label empty rather than delete a row. Show labellers only the text: a
    weight, like a score, hints at what the model found.

    Near copies count once. Nearly all texts with the highest scores are drawn, and equally many
    from each lower stratum; strata grow by a constant factor. The file contains your texts; only
    you can read it (mode 600).
    """
    with readable_errors():
        if output is None:
            check_output()
        elif output.exists():
            raise UsageError(f"{output} exists, and may have labels; choose another --output")
        classifier = Classifier.load(choose(locate(artifacts, model, variant), model, variant))
        if not classifier.decision.is_binary:
            raise UsageError(f"{model} has more than two labels; strata are bands of one score")
        rows = read_rows(file, text_column, encoding=encoding, delimiter=delimiter)
        _check_columns(rows, with_scores=with_scores)
        distinct = _distinct(rows)
        drawn = draw(logits_of(classifier, distinct.texts), count, seed=seed)
        texts = [distinct.texts[row] for row in drawn.rows]
        scores = classifier.scores(texts).tolist() if with_scores else None
        version = classifier.manifest.version
        data = _as_csv(distinct, drawn, version, scores)
        if output is None:
            sys.stdout.buffer.write(data)
        else:
            if not output.parent.is_dir():
                raise OutputError(f"{output.parent}: no such directory")
            write_atomically(output, data, mode=0o600)
        _report(rows, distinct, drawn)


def _distinct(rows: Rows) -> Rows:
    """Return the first row of each group of near copies: a copy is no further evidence."""
    first: dict[str, int] = {}
    for row, key in enumerate(copies(rows.texts)):
        first.setdefault(key, row)
    kept = [*first.values()]
    return replace(
        rows,
        at=tuple(rows.at[row] for row in kept),
        texts=tuple(rows.texts[row] for row in kept),
    )


def _check_columns(rows: Rows, *, with_scores: bool) -> None:
    """Check that each column has its own name, and none that of an added one.

    Raises:
        UsageError: one has, or two have the same name.
    """
    added = [SOURCE_LINE, LABEL, STRATUM, WEIGHT, *([SCORE] if with_scores else [])]
    taken = [name for name in rows.table.columns if name in added]
    if taken:
        raise UsageError(
            f"{rows.table.path} has a column {taken[0]!r}, which the sample adds; rename it"
        )
    repeated = [name for name, count in Counter(rows.table.columns).items() if count > 1]
    if repeated:
        raise UsageError(
            f"{rows.table.path} has more than one column {quoted(repeated[0])}, and the sample "
            "keeps all columns; rename them"
        )


def _as_csv(rows: Rows, drawn: Sample, version: str, scores: Sequence[float] | None) -> bytes:
    columns: dict[str, Sequence[Any]] = {}
    for name in rows.table.columns:
        values = rows.column(name)
        columns[name] = [_cell(values[row]) for row in drawn.rows]
    columns[SOURCE_LINE] = [rows.table.lines[rows.at[row]] for row in drawn.rows]
    columns[LABEL] = [""] * len(drawn.rows)
    columns[STRATUM] = [stratum_name(version, letter) for letter in drawn.strata]
    columns[WEIGHT] = drawn.weights.tolist()
    if scores is not None:
        columns[SCORE] = scores
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue().encode(errors="replace")


def _cell(value: object) -> object:
    """Return a value as CSV can hold it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return value


def _report(rows: Rows, distinct: Rows, drawn: Sample) -> None:
    """Report on standard error what was drawn, and what was left out."""
    parts = ", ".join(f"{part:,} of {size:,}" for size, part in drawn.sizes.values())
    strata = "1 stratum" if len(drawn.sizes) == 1 else f"{len(drawn.sizes)} strata"
    total = f"{number_of(len(distinct.texts), 'text')} of {strata}"
    lines = [*rows.table.notes, f"Drew {len(drawn.rows):,} of {total}: {parts}."]
    repeated = len(rows.texts) - len(distinct.texts)
    if repeated:
        are = "is a near copy" if repeated == 1 else "are near copies"
        count = "counts" if repeated == 1 else "count"
        lines.append(f"{number_of(repeated, 'row')} {are} of another one, and {count} with it.")
    if rows.left_out:
        lines.append(f"Left out {number_of(len(rows.left_out), 'row')}:")
        lines += describe_bad_rows(rows.left_out, _LISTED)
    typer.echo("\n".join(lines), err=True)
