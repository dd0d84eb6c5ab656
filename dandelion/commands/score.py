"""``dandelion score``: files of any size, with the score of every row."""

import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal, cast

import typer

from ..bulk import file_scoring, ray_engine
from ..bulk.addresses import File, plan_files
from ..bulk.errors import BulkError, NotStartedError, RefusedError
from ..bulk.job import UTF_8, Format, Job, added_columns
from ..bulk.plan import SIDE_FILE, Item, Request, Shard, plan
from ..bulk.ray_engine import Cluster
from ..bulk.rows import NOT_UTF_8
from ..bulk.run import Options, Totals, score_files
from ..bulk.sources import FORMATS, PIPE, kind_of
from ..bulk.state import aside
from ..bulk.workers import usable_cores
from ..classifier import Classifier
from ..decision.policy import Policy
from ..explanation import MAX_SPANS
from ..json_values import quoted
from ..plural import number_of
from ..remote import is_address
from ..tables.decoding import DecodingError, single_byte_encoding
from ..tables.delimited import delimiter_named
from .artifacts import ArtifactsOption, VariantOption, choose, locate
from .errors import UsageError, check_output, readable_errors
from .in_force import Asked, PolicyOption, policy_in_force
from .numbers import ThresholdOption, TrafficPriorOption
from .progress import Progress, duration

BROKEN_ROWS: Final = 5
"""The exit code if rows were left out."""

_OTHER_ENCODING: Final = (
    "Text is read as UTF-8. Give --encoding for CSV and TSV in another encoding, such as cp1252 of "
    "Excel; or convert the file first: iconv -f cp1252 -t utf-8"
)

_TERMINATED: Final = 128 + signal.SIGTERM  # the convention of shells
_SHARD: Final = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


class _TerminatedError(BaseException):
    """SIGTERM."""


def score(  # noqa: PLR0913, PLR0917
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN", help="Files, or a pattern in quotes; - is standard input."),
    ],
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="The output: a file, or - for standard output; for several inputs or a pattern, a "
            "directory.",
        ),
    ],
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="See `dandelion models`.")],
    threshold: ThresholdOption = None,
    policy: PolicyOption = None,
    operating_point: Annotated[
        str | None,
        typer.Option(
            metavar="POINT",
            help="How the threshold is chosen, such as 'precision>=0.95'; see `dandelion "
            "classify --help`.",
        ),
    ] = None,
    prior: TrafficPriorOption = None,
    explain: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_SPANS,
            metavar="NUMBER",
            help="Add a column with the spans that raise the logit of each text most, at most this "
            "many. Takes 40 to 80 times as long.",
        ),
    ] = None,
    text_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column of the texts. Default: the one with a name that is usual for texts, such "
            "as `text` or `message`.",
        ),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="csv, tsv, jsonl or parquet. Default: that of the extension.",
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTER",
            help="Delimiter of a CSV file. Default: recognized from the first line.",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Encoding of CSV and TSV, of both IN and OUT: one with one byte for each "
            "character, such as cp1252. Default: UTF-8.",
        ),
    ] = None,
    prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Prefix for the names of the added columns.")
    ] = "",
    side_file: Annotated[
        Path | None,
        typer.Option(
            "--errors",
            metavar="FILE",
            help=f"Side file for rows that cannot be scored. Default: OUT{SIDE_FILE}.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Score only the I-th of N parts; the outputs' names then end in .I-of-N.",
        ),
    ] = None,
    resumes: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, metavar="NUMBER", help="Number of processes. Default: one per core."
        ),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            help="Where files are scored: in processes on this machine, or in Ray actors (extra "
            "`ray`). --workers sets their number, by default one per processor of the cluster.",
        ),
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address of the Ray cluster that this machine is part of; auto finds it. Default: "
            "Ray is started on this machine.",
        ),
    ] = None,
    is_quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    variant: VariantOption = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Score files of any size: CSV, TSV, JSON Lines (also .gz) and Parquet.

    Writes all rows in their order with their columns unchanged, and adds label, score, decision and
    notice, as in `dandelion classify --json`. The notice is no_content if there is nothing to
    judge, or low_evidence if few words are known. With more than two labels there is no decision.

    A row that cannot be read goes to the side file, with its line and the reason, and the exit code
    is 5. An output appears when it is complete. An interrupted run leaves its parts next to it, in
    OUT.part; --resume continues from them, and the result has the same bytes.

    IN and OUT may be addresses such as s3://bucket/texts/*.jsonl (extra `s3`). Then, and with
    --engine ray, one process scores each file, and --resume skips files that are complete.
    """
    with readable_errors(), _terminable():
        if output == PIPE:
            check_output()
        request = Request(inputs, output, _format(file_format), side_file, _shard(shard))
        directory = locate(artifacts, model, variant)
        artifact = choose(directory, model, variant)
        classifier = Classifier.load(artifact)
        asked = Asked(threshold, policy, operating_point, prior)
        in_force = policy_in_force(classifier, directory, asked, variant)
        classifier.decision.at(None if in_force else threshold)
        job = Job(
            artifact,
            classifier.manifest.content_hash,
            in_force,
            None if in_force else threshold,
            prefix,
            explain,
        )
        added = added_columns(job, is_binary=classifier.decision.is_binary)
        options = Options(
            job,
            added,
            classifier.engine,
            text_column,
            _delimiter(delimiter),
            _encoding(encoding, (*added, *classifier.manifest.labels)),
            workers or usable_cores(),
            resumes,
        )
        cluster = Cluster(ray_address, workers) if engine == "ray" else None
        if cluster is None and ray_address is not None:
            raise UsageError("--ray-address needs --engine ray")
        if ray_address is not None and "://" in ray_address:
            raise UsageError(
                "--ray-address: Ray Data does not work through an address such as ray://host. Run "
                "the command on a machine of the cluster, with --ray-address auto"
            )
        if not is_quiet:
            typer.echo(_what_decides(classifier, in_force, threshold), err=True)
        totals = _run(request, options, cluster, is_quiet=is_quiet)
    if totals.broken:
        raise typer.Exit(BROKEN_ROWS)


def _run(request: Request, options: Options, cluster: Cluster | None, *, is_quiet: bool) -> Totals:
    items: list[Item] = []
    files: list[File] = []
    try:
        is_mixed = request.output == PIPE and sys.stdout is not None and sys.stdout.isatty()
        with Progress(is_quiet=is_quiet or is_mixed) as progress:
            if cluster is not None:
                files = plan_files(request)
                totals = ray_engine.score_files(files, options, cluster, progress)
            elif any(map(is_address, (*request.inputs, request.output))):
                files = plan_files(request)
                totals = file_scoring.score_files(files, options, progress)
            else:
                items = plan(request)
                totals = score_files(items, options, progress, sys.stdout and sys.stdout.buffer)
    except (BulkError, KeyboardInterrupt, _TerminatedError) as error:
        if len(files) > 1 and not isinstance(error, NotStartedError):
            typer.echo("Files that are complete are kept: go on with --resume.", err=True)
        elif not isinstance(error, RefusedError) and any(
            item.output is not None and aside(item.output).state.exists() for item in items
        ):
            typer.echo("What is complete is kept: go on with --resume.", err=True)
        raise
    if not is_quiet:
        rate = totals.scored / max(progress.seconds, 1e-9)
        before = totals.rows - totals.scored
        typer.echo(
            f"Scored {number_of(totals.scored, 'row')} in {duration(progress.seconds)} "
            f"({rate:,.0f} texts/s)" + (f"; {before:,} were scored before." if before else "."),
            err=True,
        )
    if totals.broken:
        where = ", ".join(map(str, totals.side_files)) or "--errors FILE keeps them"
        typer.echo(f"Left out {number_of(totals.broken, 'row')} ({where}):", err=True)
        for source, line, reason in totals.listed:
            kind = kind_of(source, request.format)
            unit = "row" if kind is not None and kind.format == "parquet" else "line"
            typer.echo(f"  {source}, {unit} {line}: {reason}", err=True)
        if any(reason == NOT_UTF_8 for _, _, reason in totals.listed):
            typer.echo(_OTHER_ENCODING, err=True)
    return totals


def _what_decides(classifier: Classifier, policy: Policy | None, threshold: float | None) -> str:
    """Return the model and its threshold, in a sentence."""
    manifest = classifier.manifest
    model = f"{manifest.model}/{manifest.variant}, version {manifest.version}"
    if manifest.threshold is None:
        return f"{model}."
    if policy is None:
        at = manifest.threshold if threshold is None else threshold
        point = manifest.operating_point if threshold is None else None
        return f"{model}: positive at {at:.4g}" + (f" ({point})." if point else ".")
    reasons = [f"policy {policy.name}"] if policy.name else []
    reasons += [policy.operating_point] if policy.operating_point else []
    reasons += [f"prior {policy.prior:g}"] if policy.prior is not None else []
    band = "" if policy.review is None else f", for review at {policy.review:.4g}"
    because = f" ({', '.join(reasons)})" if reasons else ""
    return f"{model}: positive at {policy.threshold:.4g}{band}{because}."


def _format(name: str | None) -> Format | None:
    if name is not None and name not in FORMATS.values():
        known = ", ".join(dict.fromkeys(FORMATS.values()))
        raise UsageError(f"unknown format {quoted(name)}; expected one of {known}")
    return cast("Format | None", name)


def _delimiter(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        found = delimiter_named(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not found.isascii():
        raise UsageError(f"the delimiter {found!r} is not in ASCII")
    return found


def _encoding(name: str | None, written: Sequence[str]) -> str:
    """Return an encoding in which all that is written can be encoded."""
    if name is None:
        return UTF_8
    try:
        found = single_byte_encoding(name) or UTF_8
        "".join(written).encode(found)
    except DecodingError as error:
        raise UsageError(str(error)) from None
    except UnicodeEncodeError:
        raise UsageError(
            f"the labels or added columns contain characters that {quoted(name)} lacks. Convert "
            "the file to UTF-8 first"
        ) from None
    return found


def _shard(name: str | None) -> Shard | None:
    if name is None:
        return None
    found = _SHARD.fullmatch(name)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"the shard is {quoted(name)}; expected I/N, from 1/N to N/N")
    return Shard(int(found[1]), int(found[2]))


@contextmanager
def _terminable() -> Iterator[None]:
    """End as tidily for SIGTERM as for Ctrl-C."""

    def stop(*_: object) -> None:
        raise _TerminatedError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except _TerminatedError:
        raise typer.Exit(_TERMINATED) from None
    finally:
        signal.signal(signal.SIGTERM, before)
