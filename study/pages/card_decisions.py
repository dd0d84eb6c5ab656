"""The sections of a model card about decisions: points, promises, base rates, calibration."""

from dandelion.decision.shortfall import OUT_OF_REACH
from training.tables import as_markdown, figure, markdown_table

from ..schema.evaluation import Evaluation, Needed, PointFigures, ScoreQuality
from ..schema.transfer import Interval
from .wording import percent, seeds, small_percent


def points(evaluation: Evaluation) -> str:
    """Return the section about operating points."""
    if not evaluation.evidence:
        return """\
## Operating points

None: this artifact has no evidence, that is, no counts of held-out scores to fit them on."""
    texts = [sum(counts[label] for counts in evaluation.evidence.values()) for label in (0, 1)]
    lines = [_point(one, evaluation.default_point) for one in evaluation.points]
    header = ["operating point", "threshold", "promised", "recall", "false-positive rate"]
    problems = "\n".join(
        f"- {as_markdown(one.problem)}" for one in evaluation.points if one.problem is not None
    )
    return f"""\
## Operating points

Fitted on {texts[0]:,} harmless and {texts[1]:,} positive texts that the network of their fold did
not learn from, one of each group of near copies. *Promised*: with a confidence of 95 %, the
constraint holds for further texts of the same kind. The promise is about the procedure: the scores
are those of five networks, each fitted on 80 % of the texts, and the served network is a sixth. A
constraint without a source holds for the source where it is hardest. *Recall*: share of the
positive texts that are flagged; *false-positive rate* (`fpr`): share of the harmless ones, over
all sources, with 95 % intervals. `rate` is the share of all texts that are flagged, `prior` the
assumed share of positive ones.

{markdown_table(header, lines)}
{problems}"""


def _point(one: PointFigures, default: str | None) -> list[str]:
    name = f"`{one.point}`" + (" (default)" if one.point == default else "")
    if one.threshold is None:
        return [name, "infeasible", "", "", ""]
    return [
        name,
        f"{one.threshold:.4f}",
        "yes" if one.promised else "no",
        "" if one.recall is None else _shares(one.recall),
        "" if one.fpr is None else _shares(one.fpr),
    ]


def promises(evaluation: Evaluation) -> str:
    """Return the section about what several seeds promised and kept."""
    if not evaluation.promises:
        return """\
## Promised and kept

Not measured: no study in `docs/results` has fitted this variant's points on several seeds."""
    lines = [
        [
            f"`{one.point}`",
            f"{len(one.seeds)} of {len(one.seeds) + one.infeasible}",
            "; ".join(
                f"{kept.quantity} {_shares(kept.found)} in {as_markdown(kept.source)}"
                for kept in one.kept
            ),
            str(one.broken) if one.kept else "",
            "" if one.recall is None else _shares(one.recall),
            "" if one.fpr is None else _shares(one.fpr),
        ]
        for one in evaluation.promises
    ]
    header = ["point", "seeds", "kept, worst source", "broken", "recall", "false-positive rate"]
    return f"""\
## Promised and kept

The whole procedure, once per seed: points fitted out of fold, then read on the test fold. *Seeds*:
in how many the point could be promised. The rates are of the test folds of all seeds, near copies
once; *broken*: in how many seeds a constraint was broken beyond chance. See the decisions page in
`docs/results`.

{markdown_table(header, lines)}"""


def base_rates(evaluation: Evaluation) -> str:
    """Return the section about precision at base rates."""
    found = evaluation.at_base_rates
    if found is None:
        return """\
## Precision at base rates

Not known: there is no count of false alarms at the default threshold in this artifact."""
    basis = {
        "out_of_fold": "held-out texts, out of fold",
        "test": f"the test fold of seed {evaluation.seed}, near copies included",
    }[found.basis]
    lines = [
        [small_percent(one.prior), _shares(one.precision), _numbers(one.alerts)]
        for one in found.rates
    ]
    header = ["positive texts", "precision", "alerts per 10,000"]
    return f"""\
## Precision at base rates

The default threshold flags {_shares(found.recall)} of {found.positives:,} positive and
{_shares(found.fpr)} of {found.negatives:,} harmless texts ({basis}). Where positive texts are rarer
or more frequent than there, and nothing else differs:

{markdown_table(header, lines)}
The bounds are computed from the ends of both 95 % intervals."""


def needed(evaluation: Evaluation) -> str:
    """Return the section about the labelled texts that a promise takes."""
    if not evaluation.needed:
        return """\
## Labelled texts that a promise takes

Not known: this takes evidence."""
    targets = list(dict.fromkeys(one.precision for one in evaluation.needed))
    by_prior: dict[float, dict[float, Needed]] = {}
    for one in evaluation.needed:
        by_prior.setdefault(one.prior, {})[one.precision] = one
    lines = [
        [small_percent(prior), *(_need(row[target]) for target in targets)]
        for prior, row in by_prior.items()
    ]
    header = ["positive texts", *(f"precision ≥ {target:g}" for target in targets)]
    return f"""\
## Labelled texts that a promise takes

*Precision*: share of the flagged texts that are positive. Each line is for a share of positive
texts in your traffic. **Recall** stands where this precision can be promised at 95 % with these
texts: that is what the point still finds. A number is how many labelled texts, of the source where
it is hardest, the promise would take in all, if further ones are like these (harmless ones where
false alarms limit it, else see `evaluation.json`). *Out of reach*: over a million texts would not
do, so this model cannot promise this precision on texts like these at this base rate.

{markdown_table(header, lines)}"""


def _need(one: Needed) -> str:
    if one.is_promised:
        return f"**recall {percent(one.recall or 0.0)}**"
    is_out_of_reach = one.texts is None or one.texts > OUT_OF_REACH
    return "out of reach" if is_out_of_reach else f"{one.texts:,}"


def calibration(evaluation: Evaluation) -> str:
    """Return the section about calibration."""
    found = evaluation.calibration
    if found is None:
        return """\
## Calibration

None: scores of this artifact are not calibrated, so they are no probabilities."""
    parameters = ", ".join(
        f"{name} {value:.3f}" if isinstance(value, float) else str(value)
        for name, value in found.parameters.items()
    )
    parts = [
        f"""\
## Calibration

A score is the probability of the label where all labels are equally frequent. The map of logits
(the log-odds of scores): {parameters}."""
    ]
    if found.log_losses:
        tried = ", ".join(f"{name} {loss:.4f}" for name, loss in found.log_losses.items())
        where = {"out_of_fold": "out-of-fold scores"}.get(found.fitted_on or "", "validation")
        parts.append(
            f"Fitted on the {where} of {sum(found.texts):,} texts, each label weighted equally. "
            f"Log loss in cross-validation: {tried}; the simplest within one standard error of the "
            "best was chosen."
        )
    if found.before is not None and found.before.brier is not None:
        parts.append(
            "Brier score and ECE (expected calibration error) measure how far scores are from "
            'probabilities; 0 is best. Here each label has the same weight; under "On the test '
            'fold" they are for the share of positive texts there.'
        )
    if found.before is not None and found.after is not None:
        parts.append(
            f"On the texts that it was fitted on:\n\n{_qualities(found.before, found.after)}"
        )
    over = evaluation.calibration_over_seeds
    if over is not None:
        parts.append(
            f"On the test folds of {seeds(over.seeds)}, means:\n\n"
            + _qualities(over.before, over.after)
        )
    return "\n\n".join(parts)


def _qualities(before: ScoreQuality, after: ScoreQuality) -> str:
    lines = [
        [name, figure(one.log_loss), figure(one.brier), figure(one.ece)]
        for name, one in (("uncalibrated", before), ("calibrated", after))
    ]
    return markdown_table(["scores", "log loss", "Brier", "ECE"], lines).strip("\n")


def _shares(one: Interval) -> str:
    """Write a share with its interval, in percent.

    Example:
        >>> _shares(Interval(0.0123, 0.01, 0.02))
        '1.23 % (1.00–2.00)'
    """
    return f"{percent(one.value, 2)} ({100 * one.low:.2f}–{100 * one.high:.2f})"


def _numbers(one: Interval) -> str:
    return f"{one.value:,.0f} ({one.low:,.0f}–{one.high:,.0f})"
