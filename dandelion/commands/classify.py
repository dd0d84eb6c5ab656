"""``dandelion classify``: labels and scores of texts."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated

import typer

from ..classifier import Classifier
from ..decision.prediction import Prediction
from ..explanation import MAX_SPANS, Contribution, Explanation
from ..lines import read_lines
from .artifacts import ArtifactsOption, VariantOption, choose, locate
from .errors import InputError, check_output, readable_errors
from .in_force import Asked, PolicyOption, policy_in_force
from .numbers import ThresholdOption, TrafficPriorOption


def classify(  # noqa: PLR0913, PLR0917
    model: Annotated[str, typer.Argument(metavar="MODEL", help="See `dandelion models`.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Default: lines of standard input."),
    ] = None,
    threshold: ThresholdOption = None,
    policy: PolicyOption = None,
    operating_point: Annotated[
        str | None,
        typer.Option(
            metavar="POINT",
            help="What the threshold is fitted to: macro_f1, f1, 'cost(fp=1,fn=20)', "
            "'precision>=0.95', 'recall>=0.9', 'fpr<=0.005', 'rate<=0.02'.",
        ),
    ] = None,
    prior: TrafficPriorOption = None,
    variant: VariantOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per text.")
    ] = False,
    explain: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_SPANS,
            metavar="NUMBER",
            help="Add the spans, at most so many, that raise the logit of each text most.",
        ),
    ] = None,
    artifacts: ArtifactsOption = None,
) -> None:
    """Classify texts.

    Writes a line with label and score, separated by a tab, for each text, in their order; the score
    is - for a text without content. Under a policy or an operating point the decision follows:
    positive, review, negative or none. With --explain, a last column has spans of the text and what
    each adds to the logit. In a label, tabs, line breaks and backslashes are escaped: \\t, \\n,
    \\\\.

    Without TEXT, standard input is read: one text per line, UTF-8, classified as it arrives, in
    constant memory. Other users of a machine can see the arguments of a command: pass private texts
    on standard input.
    """
    with readable_errors():
        check_output()
        directory = locate(artifacts, model, variant)
        classifier = Classifier.load(choose(directory, model, variant))
        # Before anything is read: what is wrong is refused at once.
        asked = Asked(threshold, policy, operating_point, prior)
        in_force = policy_in_force(classifier, directory, asked, variant)
        write = _as_json if as_json else _as_columns
        if in_force is None:
            classifier.decision.at(threshold)
        else:
            threshold = None
            if in_force.names_decisions and not as_json:
                write = _as_columns_with_decision
        batches = iter([_arguments(texts)]) if texts else _lines()
        for batch in batches:
            predictions = classifier.classify(batch, threshold, policy=in_force)
            explanations: Sequence[Explanation | None] = [None] * len(batch)
            if explain is not None:
                explanations = classifier.explain(batch, explain)
            written = "".join(map(write, batch, predictions, explanations))
            sys.stdout.buffer.write(written.encode())
            sys.stdout.buffer.flush()


def _as_columns(text: str, prediction: Prediction, explanation: Explanation | None) -> str:
    score = "-" if prediction.score is None else f"{prediction.score:.4f}"
    return _line([_escaped(prediction.label), score], text, explanation)


def _as_columns_with_decision(
    text: str, prediction: Prediction, explanation: Explanation | None
) -> str:
    score = "-" if prediction.score is None else f"{prediction.score:.4f}"
    return _line([_escaped(prediction.label), score, str(prediction.decision)], text, explanation)


def _line(columns: list[str], text: str, explanation: Explanation | None) -> str:
    if explanation is not None:
        columns = [*columns, ", ".join(_span(text, one) for one in explanation.spans)]
    return "\t".join(columns) + "\n"


def _span(text: str, one: Contribution) -> str:
    return f"{_visible(text[one.start : one.end])} {one.contribution:+.2f}"


@lru_cache
def _escaped(label: str) -> str:
    """Escape what would end a column or a line, or control the terminal."""
    return _visible(label)


def _visible(text: str) -> str:
    return re.sub(r"[\\\0-\x1f\x7f-\x9f\u2028\u2029]", lambda found: repr(found[0])[1:-1], text)


def _as_json(_: str, prediction: Prediction, explanation: Explanation | None) -> str:
    values: dict[str, object] = {"label": prediction.label, "score": prediction.score}
    if prediction.scores is not None:
        values["scores"] = prediction.scores
    if prediction.decision is not None:
        values["decision"] = prediction.decision
    if prediction.reason is not None:
        values["reason"] = prediction.reason
    if prediction.low_evidence:
        values["low_evidence"] = True
    if explanation is not None:
        values["explanation"] = explanation.to_json()
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
