"""The figures in the text of README and guide are those that are stored in docs/."""

import re
from typing import Final

from study import storage
from study.pages.benchmark import ahead
from study.pages.scope import BASE_RATE, alerts
from study.pages.wording import percent
from study.schema.results import Results
from study.schema.robustness import Robustness
from study.schema.studies import FinerLabels
from training.quality import slices
from training.quality.metrics import Metric
from training.tables import figure

from .conftest import ROOT

DOCS: Final = ROOT / "docs"
BENCHMARKS: Final = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
# The prose, with line breaks as spaces.
README: Final = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
OPERATING: Final = " ".join((DOCS / "guide" / "operating.md").read_text(encoding="utf-8").split())
RESULTS: Final = storage.read(Results, DOCS / "results" / "results.json")


def in_benchmarks(pattern: str) -> list[str]:
    return re.findall(pattern, BENCHMARKS, re.MULTILINE)


def test_throughput_of_readme() -> None:
    (paragraph,) = re.findall(r"On one core of .*? behind FastAPI\.", README)
    figures = re.findall(r"\b\d+,\d{3}\b", paragraph)
    assert len(figures) == 4
    assert all(f"| {figure} (" in BENCHMARKS for figure in figures)


def test_time_of_fasttext_in_readme() -> None:
    pairs = re.findall(r"\(([\d.]+) against ([\d.]+) µs\)", README)
    predict = in_benchmarks(r"^\| fastText default \(predict alone\) \| (\S+) ")
    ours = in_benchmarks(r"^\| \*\*\S+, compiled\*\* \| (\S+) ")
    measured = [*map(float, predict)], [*map(float, ours)]
    assert [(float(theirs), float(own)) for theirs, own in pairs] == [*zip(*measured, strict=True)]


def test_figures_of_operating() -> None:
    (two_workers,) = in_benchmarks(r"^\| Dandelion, two workers \| .* \| (.*) \|$")
    megabytes = [round(float(process)) for process in two_workers.split(", ")]
    assert f"each process takes {min(megabytes)} to {max(megabytes)} MB" in OPERATING
    # One text at 16 connections and at one; 256 texts; 256 tweets.
    throughput = in_benchmarks(r"^\| \*\*Dandelion\*\* \| \S+ \S+ \| (\S+) ")
    one, _, many, _ = (int(figure.replace(",", "")) for figure in throughput)
    assert f"classifies {many // one} times as many texts per second" in OPERATING


def test_finer_labels_of_readme() -> None:
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
    ) in README


def test_flagged_harmless_texts_of_readme() -> None:
    stored = storage.read(Robustness, DOCS / "results" / "robustness.json")
    (passages,) = (
        row.flagged
        for one in stored.variants
        for row in one.scorers[0].lengths
        if (one.model, one.served) == ("cyberbullying", True)
        if (row.corpus, row.words) == ("speeches", 40)
    )
    flagged = percent(passages.count / passages.of)
    assert f"{flagged} of the 40-word passages" in README

    ours = RESULTS.chosen["cyberbullying"].variant
    (rate,) = (
        row.false_positive_rate
        for row in RESULTS.slices
        if (row.name, row.slice) == (ours, slices.MENTIONED)
    )
    assert rate is not None
    assert f"So are {percent(rate)} of the harmless texts that mention an identity" in README


def test_base_rate_of_readme() -> None:
    (majority,) = (
        row.metrics.mean("accuracy")
        for row in RESULTS.rows
        if (row.kind, row.model, row.protocol) == ("majority", "cyberbullying", "grouped")
    )
    assert f"{percent(majority)} of the tweets are bullying" in README
    served, *_ = alerts(RESULTS, "cyberbullying")
    assert (
        f"where {percent(BASE_RATE)} of the texts are, only "
        f"{percent(served.precision(BASE_RATE), 1)} of the alerts"
    ) in README


def test_interval_of_readme() -> None:
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
    ) in README
