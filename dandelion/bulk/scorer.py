"""Rows in, scored rows out: what every worker does, on this machine or another."""

import gzip
import json
from collections.abc import Sequence
from typing import Final

from ..chunks import placed_chunks
from ..classifier import Classifier
from ..decision.notices import Notice, shifted
from ..decision.rule import Verdict
from ..manifest import ArtifactError
from . import delimited, json_lines
from .job import Block, BrokenRow, Job, Layout, ScoredBlock, added_columns
from .rows import Scores

# Packing at level 6 takes longer than scoring, for an eighth less.
_GZIP_LEVEL: Final = 1


class Scorer:
    """Scores rows as a job describes; create one for each worker, as it loads the artifact.

    Args:
        job: what to do.

    Raises:
        ArtifactError: the artifact is missing or damaged, or is not the job's.
        ThresholdError: a policy or a threshold is given for more than two labels.

    Example:
        >>> from pathlib import Path
        >>> from dandelion import Classifier
        >>> artifact = Path("artifacts/spam/dice")
        >>> job = Job(artifact, Classifier.load(artifact).manifest.content_hash)
        >>> block = Block(b'{"text": "Lunch at 12?"}\\n', 0, 25, 1, 2)
        >>> scored = Scorer(job).score_block(block, Layout("jsonl", "text"))
        >>> scored.data[:41]
        b'{"text": "Lunch at 12?", "label": "ham", '
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._classifier = Classifier.load(job.artifact)
        if self._classifier.manifest.content_hash != job.content_hash:
            raise ArtifactError(
                f"{job.artifact}: the artifact has changed since the job began. Start again"
            )
        decision = self._classifier.decision.at(job.threshold)
        self._decision = decision if job.policy is None else decision.under(job.policy)
        self._added = added_columns(job, is_binary=decision.is_binary)

    @property
    def added(self) -> tuple[str, ...]:
        """The names of the added columns, in their order."""
        return self._added

    def score(self, texts: Sequence[str]) -> Scores:
        """Return the added columns of texts.

        The compiled engine gives a text the same score whatever the others are; NumPy one that may
        differ in its last digit.
        """
        classifier, decision = self._classifier, self._decision
        labels: list[str] = []
        scores: list[float | None] = []
        verdicts: list[Verdict] = []
        notices: dict[int, Notice] = {}
        for start, chunk in placed_chunks(texts) if texts else ():
            encoded = classifier.encode(chunk)
            found = classifier.encoded_notices(encoded)
            decided = decision.decide(classifier.infer(encoded, decision.policy), found)
            labels += decision.names(decided)
            scores += decided.scores
            if decided.verdicts is not None:
                verdicts += decided.verdicts
            elif decision.is_binary:
                own = [_VERDICTS[position] for position in decided.positions]
                for at, notice in found.items():
                    if notice == Notice.NO_CONTENT:
                        own[at] = "none"
                verdicts += own
            notices.update(shifted(found, start))
        explanations = None
        if self._job.explain is not None:
            explanations = [
                json.dumps(one.to_json(), ensure_ascii=False)
                for one in classifier.explain(texts, self._job.explain)
            ]
        return Scores(
            labels, scores, verdicts if decision.is_binary else None, notices, explanations
        )

    def score_block(self, block: Block, layout: Layout) -> ScoredBlock:
        """Score the rows of a block of JSON Lines, CSV or TSV.

        Args:
            block: of the file.
            layout: of the file.
        """
        if block.problem:
            return ScoredBlock(b"", 0, (BrokenRow(block.line, block.problem, block.data),))
        if layout.format == "jsonl":
            rows = json_lines.parse(block, layout, self._added)
            written = json_lines.render(rows, self.score(rows.texts), self._added)
        else:
            rows = delimited.parse(block, layout)
            written = delimited.render(rows, self.score(rows.texts), layout)
        data = written.encode(layout.encoding)
        if layout.is_packed and data:
            data = gzip.compress(data, _GZIP_LEVEL, mtime=0)
        return ScoredBlock(data, len(rows.raw), tuple(rows.broken))


_VERDICTS: Final[tuple[Verdict, Verdict]] = ("negative", "positive")
