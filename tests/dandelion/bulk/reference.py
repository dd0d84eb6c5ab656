"""What `dandelion score` should write, computed in the simplest way: all rows in memory."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dandelion import Classifier
from dandelion.bulk import Asked, Job, Scorer, TextFile, Unpacked
from dandelion.bulk.job import BrokenRow, Format

ADDED = ("label", "score", "decision", "notice")


def job_of(artifact: Path, **options: Any) -> Job:
    return Job(artifact, Classifier.load(artifact).manifest.content_hash, **options)


def score_bytes(
    scorer: Scorer, data: bytes, form: Format, block_bytes: int = 2**20, **asked: Any
) -> tuple[bytes, list[BrokenRow]]:
    """Score a file in memory."""
    stream = Unpacked(io.BytesIO(data), "file", is_packed=None)
    known = {"text": "text", "delimiter": None} | asked
    file = TextFile(stream, Asked("file", form, added=scorer.added, **known))
    written, broken = [file.beginning.head], list[BrokenRow]()
    for block in file.blocks(block_bytes=block_bytes):
        scored = scorer.score_block(block, file.beginning.layout)
        written.append(scored.data)
        broken += scored.broken
    return b"".join(written), broken


def expected(classifier: Classifier, texts: Sequence[str]) -> list[tuple[object, ...]]:
    """Return label, score, decision and notice of each text, without a policy."""
    rows = []
    for one in classifier.classify(texts) if texts else ():
        decision = "positive" if one.label == classifier.manifest.labels[1] else "negative"
        notice = one.reason or ("low_evidence" if one.low_evidence else None)
        rows.append((one.label, one.score, one.decision or decision, notice))
    return rows


def csv_rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def json_rows(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.split(b"\n") if line.strip()]
