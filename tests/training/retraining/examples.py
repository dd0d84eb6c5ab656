"""Made-up messages, and feedback on them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dandelion.retraining_file import FeedbackFile
from training.data.datasets import Dataset
from training.data.splits import Split
from training.retraining.feedback import Feedback

HAM = [
    *("lunch", "home", "mum", "later", "train", "garden", "tomorrow"),
    *("coffee", "kids", "school", "dinner", "walk", "doctor", "shop"),
    *("office", "letter", "station", "form", "appointment", "desk"),
]
SPAM = [
    *("prize", "win", "free", "claim", "cash", "urgent"),
    *("offer", "reward", "ringtone", "award", "bonus", "voucher"),
]
# Among harmless words: what a filter that does not know it misses.
SCAM = [
    *("dad", "phone", "number", "broke", "lend"),
    *("transfer", "rent", "tonight", "please", "saved"),
]
NAMES = ("ham", "spam")


def sentences(words: Sequence[str], count: int, seed: int) -> list[str]:
    """Draw different texts of seven words, three or five of them of their kind."""
    rng = np.random.default_rng(seed)
    own = 3 if words is SCAM else 5
    found: dict[str, None] = {}
    while len(found) < count:
        found[" ".join([*rng.choice(words, own), *rng.choice(HAM, 7 - own)])] = None
    return list(found)


def write_base(path: Path, seed: int = 0) -> Path:
    """Write the data that the first version learns from."""
    rows = [("ham", text) for text in sentences(HAM, 360, seed)]
    rows += [("spam", text) for text in sentences(SPAM, 120, seed + 1)]
    path.write_text("label,text\n" + "".join(f"{label},{text}\n" for label, text in rows))
    return path


def feedback_rows(count: int = 60, seed: int = 10) -> list[dict[str, object]]:
    """Return feedback on a new kind of message, and as many harmless ones."""
    scams = [{"text": text, "label": "spam"} for text in sentences(SCAM, count, seed)]
    return [*scams, *({"text": text, "label": "ham"} for text in sentences(HAM, count, seed + 1))]


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def feedback_of(
    texts: Sequence[str],
    labels: Sequence[int],
    was_flagged: Sequence[bool | None] | None = None,
    ids: Sequence[str | None] | None = None,
) -> Feedback:
    count = len(texts)
    return Feedback(
        tuple(texts),
        np.array(labels, dtype=np.int64),
        np.ones(count),
        ("feedback",) * count,
        tuple(was_flagged or [None] * count),
        tuple(ids or [None] * count),
        tuple(f"f.jsonl, line {row + 1}" for row in range(count)),
        (FeedbackFile("f.jsonl", "0" * 64),),
        0,
        0,
        (),
    )


def base_of(
    texts: Sequence[str], labels: Sequence[int], test: Sequence[int]
) -> tuple[Dataset, Split]:
    """Return a data set whose given rows are the test fold, and its folds."""
    dataset = Dataset("base", tuple(texts), np.array(labels, dtype=np.int64), NAMES, "b")
    rest = np.setdiff1d(np.arange(len(texts)), test)
    return dataset, Split(rest[:-1], rest[-1:], np.array(test, dtype=np.int64))
