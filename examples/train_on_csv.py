"""Train a model on a CSV file and use it.

Shows: the command that trains on your own labelled texts, what it writes, and how the artifact is
loaded. The file is made up here, so small that training takes seconds; the options after
`--output` make the network small as well, and you would leave them out.

Run, from the root of a checkout (`make install-training` first)::

    python examples/train_on_csv.py            # writes into a temporary directory
    python examples/train_on_csv.py mine       # or into the directory `mine`

Prints what the command prints (rows read, columns guessed, test metrics, how to serve the model),
then a label for two new texts.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from dandelion import Classifier

TOPICS = {
    "abusive": ["get lost, nobody wants you here", "you are useless, just leave", "what a loser"],
    "fine": ["see you at practice", "thanks for the notes", "shall we meet at noon"],
}
WORDS = ["today", "tomorrow", "again", "please", "now", "then", "maybe", "still"]


def write_csv(path: Path) -> None:
    """Write 96 made-up messages with their labels."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["body", "label"])
        for first in WORDS:
            for second in WORDS[:6]:
                for label, phrases in TOPICS.items():
                    phrase = phrases[len(first + second) % len(phrases)]
                    writer.writerow([f"{first} {phrase} {second}", label])


def main(directory: Path) -> None:
    """Write the file, train on it, and classify two texts with the new model."""
    data = directory / "messages.csv"
    write_csv(data)
    subprocess.run(
        [
            *(sys.executable, "-m", "training", "train"),
            *("--name", "moderation", "--data", str(data)),
            *("--text-column", "body", "--label-column", "label", "--positive", "abusive"),
            *("--output", str(directory / "artifacts")),
            *("--set", "hidden=16", "--set", "epochs=6", "--set", "wide.bits=12"),
        ],
        check=True,
    )
    classifier = Classifier.load(directory / "artifacts" / "moderation" / "wide")
    for text in ("nobody wants you, leave", "see you at noon"):
        print(f"{classifier.classify([text])[0].label}: {text}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
