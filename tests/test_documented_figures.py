"""The figures in the text of README and guide are those that are stored in docs/."""

import re
import statistics
from typing import Final

from dandelion import serving
from dandelion.manifest import load_manifest
from study import migration, storage
from study.pages.benchmark import ahead
from study.pages.wording import percent
from study.schema.evaluation import Evaluation
from study.schema.results import Results
from study.schema.robustness import Count, Robustness, ScorerFigures
from study.schema.studies import FinerLabels
from study.schema.transfer import Transfer
from training.quality.metrics import Metric
from training.tables import figure

from .conftest import ROOT

DOCS: Final = ROOT / "docs"
BENCHMARKS: Final = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
# The prose, with line breaks as spaces.
README: Final = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
QUALITY: Final = " ".join((DOCS / "quality.md").read_text(encoding="utf-8").split())
OPERATING: Final = " ".join((DOCS / "guide" / "operating.md").read_text(encoding="utf-8").split())
RESULTS: Final = storage.read(Results, DOCS / "results" / "results.json")


def in_benchmarks(pattern: str) -> list[str]:
    return re.findall(pattern, BENCHMARKS, re.MULTILINE)


def test_throughput_of_readme() -> None:
    (paragraph,) = re.findall(r"On one core of .*? behind FastAPI\.", README)
    figures = re.findall(r"\b\d+,\d{3}\b", paragraph)
    assert len(figures) == 4
    assert all(f"| {figure} (" in BENCHMARKS for figure in figures)


def test_time_of_fasttext() -> None:
    pairs = re.findall(r"\(([\d.]+) against ([\d.]+) µs\)", QUALITY)
    predict = in_benchmarks(r"^\| fastText default \(predict alone\) \| (\S+) ")
    ours = in_benchmarks(r"^\| \*\*\S+, compiled\*\* \| (\S+) ")
    measured = [*map(float, predict)], [*map(float, ours)]
    assert [(float(theirs), float(own)) for theirs, own in pairs] == [*zip(*measured, strict=True)]


def test_figures_of_moving_from_perspective_api() -> None:
    page = " ".join((DOCS / "guide" / "perspective.md").read_text(encoding="utf-8").split())
    decisions = (DOCS / "results" / "decisions-abuse.md").read_text(encoding="utf-8")
    (found,) = re.findall(
        r"finds (\S+) % of the abusive texts at a score of (\S+), and flags (\S+) % of the "
        r"harmless ones; at (\S+) it finds (\S+) % and flags (\S+) %",
        page,
    )
    rows = re.findall(r"^\| (0\.\d+) \| (\S+) % \(\S+\) \| (\S+) % \(", decisions, re.MULTILINE)
    assert {(found[1], found[0], found[2]), (*found[3:],)} <= set(rows)
    (comments,) = re.findall(r"On comments on news it finds (\d+ %) at its default", page)
    assert f"| `abuse`: comments on news | {comments} |" in README


def test_figures_of_operating() -> None:
    (two_workers,) = in_benchmarks(r"^\| Dandelion, two workers \| .* \| (.*) \|$")
    megabytes = [round(float(process)) for process in two_workers.split(", ")]
    assert f"each process takes {min(megabytes)} to {max(megabytes)} MB" in OPERATING
    # One text at 16 connections and at one; 256 texts; 256 tweets.
    throughput = in_benchmarks(r"^\| \*\*Dandelion\*\* \| \S+ \S+ \| (\S+) ")
    one, _, many, _ = (int(figure.replace(",", "")) for figure in throughput)
    assert f"classifies {many // one} times as many texts per second" in OPERATING


def test_finer_labels() -> None:
    stored = storage.read(FinerLabels, DOCS / "results" / "finer-labels.json")
    metrics = {(row.name.split()[-1], row.labels): row.metrics for row in stored.rows}

    def shown(name: str, labels: int, metric: Metric) -> str:
        return figure(metrics[name, labels].mean(metric))

    ours = RESULTS.chosen["cyberbullying"].variant
    assert (
        f"LinearSVC reaches a macro-F1 of {shown('LinearSVC', 6, 'macro_f1')} and LR an AUROC of "
        f"{shown('LR', 6, 'auroc')}, ours {shown(ours, 6, 'macro_f1')} and "
        f"{shown(ours, 6, 'auroc')}. Without the finer labels ours drops to a macro-F1 of "
        f"{shown(ours, 2, 'macro_f1')}, behind both baselines without them "
        f"({shown('LR', 2, 'macro_f1')} and {shown('LinearSVC', 2, 'macro_f1')})."
    ) in QUALITY


# Row of the README's table → model and source.
SHOWN: Final = {
    "`abuse`: tweets, hate or not": ("abuse", "davidson"),
    "`abuse`: what people say to chatbots": ("abuse", "convabuse"),
    "`abuse`: Wikipedia talk": ("abuse", "wikipedia_talk"),
    "`abuse`: comments on news": ("abuse", "civil_comments"),
    "`abuse`: ordinary text messages": ("abuse", "sms_ham"),
    "`abuse`: sentences that name a group": ("abuse", "identity_mentions"),
    "`abuse`: swearing at nobody": ("abuse", "profanity"),
    "`spam`: text messages of about 2011": ("spam", "sms_spam"),
    "`spam`: newer text messages": ("spam", "mishra_soni"),
    "`spam`: codes, deliveries, bills": ("spam", "service_messages"),
}


def test_rates_by_source_of_readme() -> None:
    served = serving.read(ROOT / "artifacts", {})
    by_source = {model: load_manifest(path).by_source or {} for model, path in served.items()}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(
        re.findall(r"^\| (`(?:abuse|spam)`: [^|]+) \| ([^|]*\| [^|]*) \|$", text, re.MULTILINE)
    )
    expected = {}
    for name, (model, source) in SHOWN.items():
        rates = by_source[model]["out_of_fold"][source]
        recall = "" if rates["recall"] is None else percent(rates["recall"])
        expected[name] = f"{recall} | {percent(rates['false_positive_rate'], 1)}"
    assert rows == expected


def evaluation_of(model: str) -> Evaluation:
    path = serving.read(ROOT / "artifacts", {})[model]
    return storage.read(Evaluation, path / "evaluation.json")


def test_alerts_at_a_base_rate_of_readme() -> None:
    found = {}
    for model in ("spam", "abuse"):
        rates = evaluation_of(model).at_base_rates
        assert rates is not None
        (precision,) = (one.precision for one in rates.rates if one.prior == 0.01)
        found[model] = percent(rates.recall.value), percent(precision.value)
    (spam, right), (abuse, few) = found["spam"], found["abuse"]
    assert (
        f"`spam` finds {spam} of them, and {right} of its alerts are right. `abuse` finds {abuse}, "
        f"and {few} of its alerts are right"
    ) in README


def test_what_cannot_be_promised_of_readme() -> None:
    (point,) = (
        one for one in evaluation_of("spam").points if one.point == "precision>=0.9@prior=0.01"
    )
    found = re.search(r"at best precision>=0(\.\d+)@.* some ([\d,]+) more\.", point.problem or "")
    assert found is not None
    best, more = found.groups()
    assert (
        f"`precision>=0.9` at this base rate would take some {more} more harmless texts; "
        f"the best that can be promised is {best}."
    ) in README


def three_digits(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def test_transfer_of_readme() -> None:
    (study,) = (
        one
        for one in storage.read(Transfer, DOCS / "results" / "transfer.json").studies
        if (one.model, one.variant) == ("abuse", None)
    )
    means = {one.recipe: one.auroc for one in study.means if one.over == "left-out units"}
    ours, linear = (means[recipe] for recipe in ("ours", "TF-IDF words, characters + LinearSVC"))
    assert ours is not None
    assert linear is not None
    assert (
        f"mean AUROC {three_digits(ours.value)}, TF-IDF with LinearSVC "
        f"{three_digits(linear.value)}."
    ) in README
    aurocs = {(one.recipe, one.source): three_digits(one.auroc.value) for one in study.rows}
    pairs = [
        f"{aurocs['alt-profanity-check', source]} against {aurocs['ours', source]}"
        for source in ("civil_comments", "convabuse", "stormfront")
    ]
    assert f"({pairs[0]}, {pairs[1]}), the third worse ({pairs[2]})" in README


def share(count: Count) -> float:
    return count.count / count.of


def served_figures(model: str) -> ScorerFigures:
    stored = storage.read(Robustness, DOCS / "results" / "robustness.json")
    (found,) = (one for one in stored.variants if one.served and one.model == model)
    return found.scorers[0]


def test_harmless_texts_of_readme() -> None:
    worst = {
        model: percent(max(share(row.flagged) for row in served_figures(model).lengths), 1)
        for model in ("abuse", "spam")
    }
    assert f"`abuse` flags {worst['abuse']} at the worst length, `spam` {worst['spam']}." in README
    (passages,) = (
        row.flagged
        for row in served_figures("cyberbullying").lengths
        if (row.corpus, row.words) == ("speeches", 40)
    )
    assert f"flags {percent(share(passages))} of the 40-word passages" in README


def test_mentions_of_groups_of_readme() -> None:
    groups = served_figures("abuse").identity
    worst = percent(max(share(one.harmless) for one in groups), 1)
    found = [share(one.hateful) for one in groups]
    assert (
        f"`abuse` flags {worst} in the worst group; it finds {percent(min(found))} to "
        f"{percent(max(found))} of the hateful ones"
    ) in README


def test_evasion_of_readme() -> None:
    kept = {}
    for model in ("abuse", "spam"):
        rows = [one for one in served_figures(model).changes if one.kind == "evasion"]
        kept[model] = percent(statistics.fmean(share(one.kept) for one in rows))
    assert (
        f"`spam` keeps {kept['spam']} of its recall on average, `abuse` {kept['abuse']}." in README
    )


def test_interval() -> None:
    rows = [line.split(" | ") for line in ahead(RESULTS).splitlines() if "SMS Spam" in line]
    apart = {}
    for _, _, metric, _, interval, _ in rows:
        (low, lowest), (high, highest) = re.findall(r"([+-])0(\.\d{4})", interval)
        if low == high:
            apart[metric] = f"({low}{lowest} … {high}{highest})"
    assert apart.keys() == {"AP"}
    assert (
        "On SMS only the difference in AP from the best baseline has a 95 % interval without zero "
        f"{apart['AP']};"
    ) in QUALITY


def test_thresholds_of_the_migration_page() -> None:
    page = (ROOT / migration.PAGE).read_text(encoding="utf-8")
    assert migration.tables(ROOT / "artifacts", DOCS / "results") in page
