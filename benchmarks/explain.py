"""Explanations compared with scores: the same texts, in one process on one core.

Each round measures scores and explanations of a block of texts, as `dandelion score --explain`
asks for them, and of one text at a time, as the service does. Processor time is measured, which a
busy machine changes less than that by the clock::

    python -m benchmarks.explain
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from threadpoolctl import threadpool_limits

from dandelion import Classifier
from dandelion.explanation import DEFAULT_TOP

from . import machine, samples
from .markdown import table
from .measure import Spread, digits, interleaved

_MODEL: Final = "spam"
_BLOCK: Final = 256


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args(arguments)
    texts = samples.texts(_MODEL, _BLOCK)
    rows = []
    with machine.pinned(machine.cores()[0]), threadpool_limits(1):
        for title, path in samples.variants(_MODEL).items():
            classifier = Classifier.load(path)
            explain = partial(classifier.explain, top=DEFAULT_TOP)
            classifier.scores(texts)
            explain(texts[:_BLOCK])
            found = interleaved(
                {
                    "score": partial(_us_per_text, classifier.scores, texts, _BLOCK, 10),
                    "block": partial(_us_per_text, explain, texts, _BLOCK, 1),
                    "one": partial(_us_per_text, explain, texts[:64], 1, 1),
                },
                given.rounds,
            )
            ratios = Spread.of(
                both / alone for both, alone in zip(found["block"], found["score"], strict=True)
            )
            medians = [digits(Spread.of(values).median) for values in found.values()]
            factor = f"{ratios.median:.0f} ({ratios.low:.0f}–{ratios.high:.0f})"
            rows.append([title, *medians, factor])
    header = [
        "µs per text",
        f"score, {_BLOCK} texts",
        f"explanation, {_BLOCK} texts",
        "explanation, 1 text",
        "explanation ÷ score",
    ]
    sys.stdout.write(f"{table(header, rows)}\n")
    return 0


def _us_per_text(
    call: Callable[[Sequence[str]], object], texts: Sequence[str], size: int, repeat: int
) -> float:
    """Return microseconds of the processor per text, in blocks of one size."""
    before = time.process_time()
    for _ in range(repeat):
        for start in range(0, len(texts), size):
            call(texts[start : start + size])
    return (time.process_time() - before) / (repeat * len(texts)) * 1e6


if __name__ == "__main__":
    sys.exit(main())
