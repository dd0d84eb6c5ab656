"""Baselines timed in one process in their own environment, driven over standard input and output.

``python -m benchmarks.baselines.scoring WORDS VECTORS`` first writes the names of its scorers, a
JSON list. Then it reads one JSON object per line, ``{"name", "texts", "batch", "at_least_s"}``,
where ``texts`` is a file, and writes the microseconds per text of each.
"""

import json
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from ..measure import seconds_per_call


def main(words: Path, vectors: Path) -> None:
    """Serve measurements until standard input ends."""
    known = ["[UNK]", *words.read_text(encoding="utf-8").split("\n")]
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(known)}, "[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    table = np.load(vectors)
    static = StaticModel(np.concatenate([table.mean(axis=0, keepdims=True), table]), tokenizer)

    def embed(texts: Sequence[str]) -> object:
        return static.encode(texts, use_multiprocessing=False)

    scorers: dict[str, Callable[[Sequence[str]], object]] = {
        "Hugging Face tokenizers alone": tokenizer.encode_batch,
        "model2vec, GloVe": embed,
    }
    _write(json.dumps(list(scorers)))
    for line in sys.stdin:
        request = json.loads(line)
        batch = request["batch"]
        score = partial(_score, scorers[request["name"]], _batches(request["texts"], batch))
        _write(str(seconds_per_call(score, request["at_least_s"]) / batch * 1e6))


def _score(
    score: Callable[[Sequence[str]], object], batches: Sequence[Sequence[str]], number: int
) -> object:
    return score(batches[number % len(batches)])


@cache
def _batches(path: str, batch: int) -> list[list[str]]:
    texts = json.loads(Path(path).read_text(encoding="utf-8"))
    return [texts[start : start + batch] for start in range(0, len(texts) - batch + 1, batch)]


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
