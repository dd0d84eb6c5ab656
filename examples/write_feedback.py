"""Write labelled messages as feedback, for `dandelion retrain spam --add feedback.jsonl`.

Shows: the rows that retraining reads, here made of the YouTube Spam Collection (Alberto, Lochter &
Almeida 2015); its labels stand for those of your users or moderators.

Run::

    python examples/write_feedback.py youtube_spam.zip feedback.jsonl

Prints how many rows of each label were written. The archive is that of the UCI repository, data
set 380, and `python -m training download --source youtube_spam` gets it.
"""

import csv
import io
import json
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path


def rows(archive: Path) -> Iterator[dict[str, str]]:
    """Yield a row of feedback for each comment."""
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist()):
            if not name.endswith(".csv") or name.startswith("__MACOSX"):
                continue
            with files.open(name) as file:
                for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig")):
                    label = "spam" if row["CLASS"] == "1" else "ham"
                    yield {"text": row["CONTENT"], "label": label}


def main(archive: Path, output: Path) -> None:
    """Write the file."""
    found = list(rows(archive))
    with output.open("w", encoding="utf-8") as file:
        for row in found:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    counts = Counter(row["label"] for row in found)
    print(f"{output}: {counts['spam']} spam, {counts['ham']} ham")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
