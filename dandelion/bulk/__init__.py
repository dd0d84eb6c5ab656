"""Files of any size, scored in constant memory: rows in, the same rows with their scores out.

`Job`, `Layout` and `Block` describe what is to be done, can be pickled, and determine the bytes of
the result: a `Scorer` gives the same ones in any process, on any machine with the same engine.

Example:
    >>> import io
    >>> from pathlib import Path
    >>> from dandelion import Classifier
    >>> artifact = Path("artifacts/spam/dice")
    >>> job = Job(artifact, Classifier.load(artifact).manifest.content_hash)
    >>> scorer = Scorer(job)
    >>> stream = Unpacked(io.BytesIO(b'{"text": "Lunch?"}\\n'), "a.jsonl", is_packed=False)
    >>> file = TextFile(stream, Asked("a.jsonl", "jsonl", None, None, scorer.added))
    >>> layout = file.beginning.layout
    >>> [scorer.score_block(block, layout).data[:35] for block in file.blocks()]
    [b'{"text": "Lunch?", "label": "ham", ']
"""

from .beginning import Asked, Beginning
from .cutting import BLOCK_BYTES
from .errors import BulkError, RefusedError
from .job import (
    MAX_ROW_BYTES,
    Block,
    BrokenRow,
    Format,
    Job,
    Layout,
    ScoredBlock,
    added_columns,
)
from .reading import TextFile
from .scorer import Scorer
from .side_file import written
from .sources import FORMATS, PIPE, Kind, Unpacked, kind_of

__all__ = [
    "BLOCK_BYTES",
    "FORMATS",
    "MAX_ROW_BYTES",
    "PIPE",
    "Asked",
    "Beginning",
    "Block",
    "BrokenRow",
    "BulkError",
    "Format",
    "Job",
    "Kind",
    "Layout",
    "RefusedError",
    "ScoredBlock",
    "Scorer",
    "TextFile",
    "Unpacked",
    "added_columns",
    "kind_of",
    "written",
]
