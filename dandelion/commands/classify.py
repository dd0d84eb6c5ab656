"""``dandelion classify``: labels and scores of texts."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Final

import typer

from ..classifier import Classifier
from ..decision.prediction import Prediction
from ..installation import default_artifacts
from ..json_values import quoted
from ..lines import read_lines
from .artifacts import ArtifactsOption, choose
from .errors import InputError, check_output, readable_errors

# The numbers that JSON has: no digits of other scripts, no NaN.
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def _threshold(text: str) -> float:
    """Parse a threshold.

    Raises:
        BadParameter: it is not a number in [0, 1].
    """
    if not _NUMBER.fullmatch(text) or not 0 <= float(text) <= 1:
        raise typer.BadParameter(f"{quoted(text)} is not a number in [0, 1].")
    return float(text)


def classify(  # noqa: PLR0913, PLR0917
    model: Annotated[str, typer.Argument(metavar="MODEL", help="See `dandelion models`.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Default: lines of standard input."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            parser=_threshold,
            metavar="NUMBER",
            help="Positive at score >= threshold. Default: the model's.",
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Variant of the model. Default: the one that is served."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per text.")
    ] = False,
    artifacts: ArtifactsOption = None,
) -> None:
    """Classify texts.

    Writes a line with label and score, separated by a tab, for each text, in their order. The score
    is empty if a text has no word, and so nothing to judge. In a label, tabs, line breaks and
    backslashes are escaped: \\t, \\n, \\\\.

    Without TEXT, standard input is read: one text per line, UTF-8, classified as it arrives, in
    constant memory. Other users of a machine can see the arguments of a command: pass private texts
    on standard input.
    """
    with readable_errors():
        check_output()
        classifier = Classifier.load(choose(artifacts or default_artifacts(), model, variant))
        classifier.decision.at(threshold)  # refuse a wrong threshold before reading anything
        batches = iter([_arguments(texts)]) if texts else _lines()
        for batch in batches:
            predictions = classifier.classify(batch, threshold)
            written = "".join(map(_as_json if as_json else _as_columns, predictions))
            sys.stdout.buffer.write(written.encode())
            sys.stdout.buffer.flush()


def _as_columns(prediction: Prediction) -> str:
    score = "" if prediction.score is None else f"{prediction.score:.4f}"
    return f"{_escaped(prediction.label)}\t{score}\n"


@lru_cache
def _escaped(label: str) -> str:
    """Escape what would end a column or a line, or control the terminal."""
    return re.sub(r"[\\\0-\x1f\x7f-\x9f\u2028\u2029]", lambda found: repr(found[0])[1:-1], label)


def _as_json(prediction: Prediction) -> str:
    values: dict[str, object] = {"label": prediction.label, "score": prediction.score}
    if prediction.scores is not None:
        values["scores"] = prediction.scores
    if prediction.decision is not None:
        values["decision"] = prediction.decision
    if prediction.reason is not None:
        values["reason"] = prediction.reason
    if prediction.low_evidence:
        values["low_evidence"] = True
    return json.dumps(values, ensure_ascii=False) + "\n"


def _arguments(texts: Sequence[str]) -> Sequence[str]:
    """Return the texts of the command line.

    Raises:
        InputError: one is not UTF-8 (Python decoded it to surrogates).
    """
    for number, text in enumerate(texts, start=1):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"TEXT {number}: not UTF-8, from character {error.start + 1}"
            ) from None
    return texts


def _lines() -> Iterator[list[str]]:
    """Yield the lines of standard input, as many at a time as are available.

    Raises:
        InputError: it is closed.
        LineError: a line is not UTF-8, or too long; the lines before it have been yielded.
    """
    if sys.stdin is None:
        raise InputError("standard input is closed; pass texts as arguments")
    if sys.stdin.isatty():
        typer.echo("Type one text per line; Ctrl-D ends.", err=True)
    return read_lines(sys.stdin.fileno())
