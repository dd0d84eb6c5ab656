"""`Classifier.scores` on many texts at once: time and memory, by its threads.

Each turn is a process of its own, ``python -m benchmarks.bulk WORKERS TEXTS``, so that the largest
memory it ever had is its own.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dandelion import Classifier

from . import samples
from .machine import ROOT, cores
from .measure import Scale, interleaved, spreads

_MODEL = "spam"


def measure(scale: Scale) -> dict[str, Any]:
    """Return texts a second and megabytes beyond the scores, by texts and workers."""
    counts = (100_000,) if scale.is_quick else (100_000, 1_000_000)
    turns = {
        (count, workers): lambda count=count, workers=workers: _turn(workers, count)
        for count in counts
        for workers in range(1, len(cores()) + 1)
    }
    found = interleaved(turns, scale.of_long_parts().rounds)
    return {
        f"{count:,} texts, workers={workers}": spreads(
            {name: [turn[name] for turn in rounds] for name in rounds[0]}
        )
        for (count, workers), rounds in found.items()
    }


def _turn(workers: int, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bulk", str(workers), str(count)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _score(workers: int, count: int) -> dict[str, float]:
    classifier = Classifier.load(samples.variants(_MODEL)["default"])
    some = samples.texts(_MODEL, 4096)
    texts = [some[number % len(some)] for number in range(count)]
    classifier.scores(texts[:4096], workers)
    before = _peak_kb()
    started = time.perf_counter()
    scores = classifier.scores(texts, workers)
    seconds = time.perf_counter() - started
    beyond = (_peak_kb() - before) * 1024 - scores.nbytes
    return {"texts_per_s": count / seconds, "beyond_mb": round(beyond / 1e6, 2)}


def _peak_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_score(int(sys.argv[1]), int(sys.argv[2]))))
