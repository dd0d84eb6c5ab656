"""From comments without labels to a policy: run the commands of the guide "Choosing a threshold".

Shows: which texts to label, what a model does on them, and which policy follows. The comments are
those of the YouTube Spam Collection (Alberto, Lochter & Almeida 2015), which no model learned from;
its labels stand for those that you would give.

Run (the extra `evaluate` fits the calibration)::

    python examples/choose_a_threshold.py youtube_spam.zip
    python examples/choose_a_threshold.py youtube_spam.zip docs/guide/choosing-a-threshold.md

Prints each command of the guide with its output, and the answer to its question; given the page, it
writes them there instead. The archive is that of the UCI repository, data set 380, and
`python -m training download --source youtube_spam` gets it.
"""

import csv
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path

from dandelion import Classifier, evaluate, serving
from dandelion.decision.operating_points import Interval, at
from dandelion.installation import default_artifacts

GUIDE = Path(__file__).parent.parent / "docs" / "guide" / "choosing-a-threshold.md"
PRIOR = 0.005
RATE = "rate<=0.005"
WIDTH = 100

# A command of the guide, and the output that follows it.
STEP = re.compile(r"(```console\n\$ (dandelion [^`]*?)\n```\n\n)```text\n.*?```", re.DOTALL)
ANSWER = re.compile(r"(<!-- answer -->\n).*?(<!-- end -->)", re.DOTALL)


def comments(archive: Path) -> list[dict[str, str]]:
    """Read the comments: text, video and, for later, whether it is spam."""
    rows = []
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist()):
            if name.endswith(".csv") and not name.startswith("__MACOSX"):
                with files.open(name) as file:
                    for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig")):
                        label = "spam" if row["CLASS"] == "1" else "ham"
                        video = Path(name).stem[:2]
                        rows.append({"text": row["CONTENT"], "video": video, "label": label})
    return rows


def write(path: Path, rows: list[dict[str, str]], columns: list[str]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def run(command: str, directory: Path) -> str:
    """Run a command of the guide in a directory, and return what it writes."""
    program, *arguments = shlex.split(command.replace("\\\n", " "))
    assert program == "dandelion"
    environment = os.environ | {"DANDELION_ARTIFACTS": str(default_artifacts().resolve())}
    environment["PYTHONPATH"] = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-m", "dandelion.command", *arguments],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def label(directory: Path, rows: list[dict[str, str]]) -> None:
    """Give the sampled comments their labels, as a person would, by their line in the file."""
    drawn = directory / "sample.csv"
    if not drawn.exists():
        return
    lines = {}
    with (directory / "comments.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        next(reader)
        for row in rows:
            first = reader.line_num + 1
            next(reader)
            lines[str(first)] = row["label"]
    with drawn.open(newline="", encoding="utf-8") as file:
        sampled = [row | {"label": lines[row["source_line"]]} for row in csv.DictReader(file)]
    write(directory / "labelled.csv", sampled, [*sampled[0]])


def percent(interval: Interval) -> str:
    """Return an estimate and its interval in percent."""
    estimate, lower, upper = (
        f"{100 * share:.0f}" for share in (interval.estimate, interval.lower, interval.upper)
    )
    return f"{estimate} % [{lower}, {upper}]"


def answer(directory: Path, rows: list[dict[str, str]]) -> str:
    """Answer the guide's question from the sample, and check it against all labels."""
    classifier = Classifier.load(serving.read(default_artifacts(), {})["spam"])
    with (directory / "labelled.csv").open(newline="", encoding="utf-8") as file:
        drawn = [*csv.DictReader(file)]
    sample = evaluate(
        classifier,
        [row["text"] for row in drawn],
        [int(row["label"] == "spam") for row in drawn],
        strata=[row["stratum"] for row in drawn],
        weights=[float(row["inclusion_weight"]) for row in drawn],
        prior=PRIOR,
    )
    found = next((point for point in sample.curve if point.point == RATE), None)
    if found is None:
        return "No threshold raises alerts as rarely as that."
    labels = [int(row["label"] == "spam") for row in rows]
    whole = evaluate(classifier, [row["text"] for row in rows], labels)
    truth = at(whole.evidence, found.logit, prior=PRIOR)
    return (
        f"**At most one alert in 200 messages: {percent(found.recall)} of the spam is caught, and "
        f"{percent(found.precision)} of the alerts are right**, estimated from {sample.texts} "
        f"labels. That threshold raises about one alert in {1 / found.rate.estimate:,.0f} "
        "messages; the next lower one would raise more than one in 200. The brackets are 95 % "
        "intervals: this is how sure we are. The labels of all "
        f"{sum(whole.counted):,} distinct comments, which you would not have, give "
        f"{100 * truth.recall.estimate:.0f} % and {100 * truth.precision.estimate:.0f} % at that "
        "threshold."
    )


def main(archive: Path, page: Path | None) -> None:
    """Run the guide, and print or write what its commands return."""
    rows = comments(archive)
    guide = (page or GUIDE).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write(directory / "comments.csv", rows, ["text", "video"])

        def step(found: re.Match[str]) -> str:
            label(directory, rows)
            return f"{found[1]}```text\n{run(found[2], directory).rstrip()}\n```"

        guide = STEP.sub(step, guide)
        found = answer(directory, rows)
    guide = ANSWER.sub(lambda match: f"{match[1]}{textwrap.fill(found, WIDTH)}\n{match[2]}", guide)
    if page is None:
        print("\n\n".join(match[0] for match in STEP.finditer(guide)))
        print(f"\n{found}")
    else:
        page.write_text(guide, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit("usage: python examples/choose_a_threshold.py youtube_spam.zip [PAGE]")
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
