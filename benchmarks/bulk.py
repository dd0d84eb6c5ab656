"""`Classifier.scores` on many texts at once: throughput and memory by number of threads.

Each measurement is a process of its own, ``python -m benchmarks.bulk WORKERS TEXTS``, so that the
peak memory is that of one measurement.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from dandelion import Classifier

from . import samples
from .figures import BulkFigures
from .machine import ROOT, cores
from .measure import Scale, Spread, interleaved

_MODEL: Final = "spam"


def measure(scale: Scale) -> dict[str, BulkFigures]:
    """Return number of texts and workers → texts per second and memory."""
    counts = (100_000,) if scale.is_quick else (100_000, 1_000_000)
    measurements = {
        (count, workers): lambda count=count, workers=workers: _in_new_process(workers, count)
        for count in counts
        for workers in range(1, len(cores()) + 1)
    }
    found = interleaved(measurements, scale.for_long_parts().rounds)
    return {
        f"{count:,} texts, workers={workers}": BulkFigures(
            texts_per_s=Spread.of(rate for rate, _ in rounds),
            beyond_mb=Spread.of(memory for _, memory in rounds),
        )
        for (count, workers), rounds in found.items()
    }


def _in_new_process(workers: int, count: int) -> tuple[float, float]:
    """Return texts per second, and megabytes beyond texts and scores."""
    command = [sys.executable, "-m", "benchmarks.bulk", str(workers), str(count)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    rate, memory = json.loads(done.stdout)
    return rate, memory


def _score(workers: int, count: int) -> tuple[float, float]:
    classifier = Classifier.load(samples.variants(_MODEL)["default"])
    distinct = samples.texts(_MODEL, 4096)
    texts = [distinct[number % len(distinct)] for number in range(count)]
    classifier.scores(texts[:4096], workers)
    before = _peak_kb()
    started = time.perf_counter()
    scores = classifier.scores(texts, workers)
    seconds = time.perf_counter() - started
    beyond = (_peak_kb() - before) * 1024 - scores.nbytes
    return count / seconds, round(beyond / 1e6, 2)


def _peak_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_score(int(sys.argv[1]), int(sys.argv[2]))))
