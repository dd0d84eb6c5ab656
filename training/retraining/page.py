"""``VERDICT.md``, a page for the person who decides, and the model card of a retrained variant."""

from collections.abc import Iterator, Sequence
from typing import Final

from dandelion.gate import Requirement
from dandelion.manifest import Manifest
from dandelion.retraining_file import Compared, Comparison, Difference, RetrainingVerdict

from .. import builtin_card
from ..tables import as_markdown, markdown_table

_METRICS: Final = {
    "recall": "found (recall)",
    "false_positive_rate": "false alarms (false positive rate)",
    "precision": "precision",
    "decided_as_labelled": "decided as labelled",
    "auroc": "AUROC",
    "average_precision": "average precision",
}


def verdict(found: RetrainingVerdict, requirements: Sequence[Requirement]) -> str:
    """Return the page.

    Args:
        found: the figures.
        requirements: what the gate finds in them.
    """
    return "\n".join(
        [
            _heading(found, requirements),
            _added(found),
            _changed(found),
            _by_source(found, requirements),
            _next(found, requirements),
        ]
    )


def _heading(found: RetrainingVerdict, requirements: Sequence[Requirement]) -> str:
    passed = all(one.passed for one in requirements)
    outcome = "**It passes the gate.**" if passed else "**It does not pass the gate.**"
    reasons = "".join(
        f"- {'passed' if one.passed else '**failed**'}: {one.sentence}\n" for one in requirements
    )
    return f"""\
# Is {found.model}/{found.candidate.variant} better than {found.serving.variant}?

{outcome} Written by `dandelion retrain` on {found.created[:10]}. The new version learnt from the
data of the served one, and from feedback; neither has learnt from the texts on which they are
compared here.

{reasons}"""


def _added(found: RetrainingVerdict) -> str:
    files = ", ".join(
        f"{as_markdown(one.name)} (SHA-256 {one.sha256[:12]}…)" for one in found.files
    )
    counts = "".join(f"- {kind}: {number:,}\n" for kind, number in found.counts.items() if number)
    parts = [f"## What was added\n\n{files}:\n\n{counts}"]
    if found.forced:
        listed = "".join(f"- {as_markdown(one)}\n" for one in found.forced)
        parts.append(f"**Forced** (`--force`), although:\n\n{listed}")
    if found.warnings:
        listed = "".join(f"- {as_markdown(one)}\n" for one in found.warnings)
        parts.append(f"To bear in mind:\n\n{listed}")
    return "\n".join(parts)


def _changed(found: RetrainingVerdict) -> str:
    evidence, added = (dict(_cells(one)) for one in (found.evidence, found.feedback))
    blank = ["", ""]
    lines = [
        [title, *evidence.get(name, blank), *added.get(name, blank)]
        for name, title in _METRICS.items()
        if name in evidence or name in added
    ]
    header = ["", "evidence: served → new", "change", "feedback: served → new", "change"]
    return f"""\
## What changed

{_in_words(found)}
{markdown_table(header, lines)}
Changes are in points, with their 95 % intervals; one on both sides of zero may be chance.

- The held-out **evidence**, {_size(found.evidence)}, is what training
  sets aside of its data: it shows what is lost.
- The held-out **feedback**, {_size(found.feedback)}, shows what is gained where
  something was reported. Nobody drew it at random: it is no error rate of your traffic.

One text of each group of near copies counts.
"""


def _size(one: Comparison) -> str:
    return f"{one.negatives:,} negative and {one.positives:,} positive texts"


def _in_words(found: RetrainingVerdict) -> str:
    sentences: list[str] = []
    for what, one in (
        ("Of 1,000 positive texts like those of the evidence it finds", found.evidence),
        ("Of 1,000 positive texts like those of the feedback it finds", found.feedback),
    ):
        sentences += _instead(what, one.serving.recall, one.candidate.recall)
    for what, one in (
        ("Of 1,000 negative texts like those of the evidence it flags", found.evidence),
        ("Of 1,000 negative texts like those of the feedback it flags", found.feedback),
    ):
        rates = one.serving.false_positive_rate, one.candidate.false_positive_rate
        sentences += _instead(what, *rates)
    return "".join(f"- {one}\n" for one in sentences)


def _instead(what: str, before: float | None, after: float | None) -> Iterator[str]:
    if before is not None and after is not None:
        yield f"{what} {after * 1000:,.0f} instead of {before * 1000:,.0f}."


def _cells(comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Yield each metric that is defined: its name, both values, and the change."""
    for name in _METRICS:
        before = getattr(comparison.serving, name)
        after = getattr(comparison.candidate, name)
        if before is None and after is None:
            continue
        change = comparison.differences.get(name)
        values = f"{_percent(before) or '–'} → {_percent(after) or '–'}"
        yield name, [values, "" if change is None else _points(change)]


def _by_source(found: RetrainingVerdict, requirements: Sequence[Requirement]) -> str:
    limits = {one.key: one.limit for one in requirements}
    lines = []
    for source, one in found.sources.items():
        recall = one.differences.get("recall")
        alarms = one.differences.get("false_positive_rate")
        worse = [
            name
            for name, is_worse in (
                ("found", recall is not None and -recall.estimate > limits["max_recall_drop"]),
                ("flagged", alarms is not None and alarms.estimate > limits["max_fpr_increase"]),
            )
            if is_worse
        ]
        lines.append(
            [
                as_markdown(source),
                f"{one.negatives:,}",
                _change(one.serving.false_positive_rate, one.candidate.false_positive_rate),
                f"{one.positives:,}",
                _change(one.serving.recall, one.candidate.recall),
                ", ".join(worse),
            ]
        )
    table = markdown_table(["source", "negative", "flagged", "positive", "found", "worse"], lines)
    return f"""\
## By source

A mean hides the source where a model fails. The last column names what is worse by more than the
gate allows over all; with few texts that may be chance.

{table}"""


def _next(found: RetrainingVerdict, requirements: Sequence[Requirement]) -> str:
    passed = all(one.passed for one in requirements)
    command = f"dandelion promote {found.model} {found.candidate.variant}"
    advice = (
        f"`{command}` makes it the shadow of what is served; the same command again serves it, "
        "once it has scored enough texts."
        if passed
        else f"It is not served. `{command} --force REASON` would do so all the same, and record "
        "the reason."
    )
    return f"""\
## What next

{advice} This page is about these two artifacts alone:

{_artifact("new", found.candidate)}{_artifact("served", found.serving)}"""


def _artifact(which: str, one: Compared) -> str:
    return (
        f"- {which}: {one.variant}, version `{one.content_hash[:12]}`; it decides by "
        f"{_rule(one.decides)}, at a score of {one.threshold:.4f}\n"
    )


def _rule(decides: str) -> str:
    """Write how a variant decides, an operating point as code: readable without Markdown, too."""
    what, _, point = decides.partition(", ")
    return f"{what}, `{point}`" if point and "`" not in decides else as_markdown(decides)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def _change(before: float | None, after: float | None) -> str:
    return "" if before is None or after is None else f"{before:.1%} → {after:.1%}"


def _points(change: Difference) -> str:
    estimate = f"{change.estimate * 100:+.2f}"
    if change.lower == change.upper:  # the same in every draw: no interval, not an empty one
        return estimate
    return f"{estimate} ({change.lower * 100:+.2f} to {change.upper * 100:+.2f})"


def card(manifest: Manifest, found: RetrainingVerdict) -> str:
    """Return the model card of a retrained variant, in Markdown."""
    labels = ", ".join(as_markdown(label) for label in manifest.labels)
    heading = f"""\
# {manifest.model}

Written by `dandelion retrain`: variant `{manifest.variant}`, version `{manifest.version}`, made of
`{found.serving.variant}`, version `{found.serving.content_hash[:12]}`, and of
{found.counts["learnt"]:,} texts of feedback. `VERDICT.md` compares the two. Labels: {labels}.
"""
    parts = [heading]
    if builtin_card.has_card(manifest):
        parts.append(builtin_card.purpose(manifest))
    return "\n".join([*parts, builtin_card.figures(manifest)])
