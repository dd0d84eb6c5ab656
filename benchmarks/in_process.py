"""Microseconds per text in one process on one core: ours, the baselines, a bare function call."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final, cast

import numpy as np
from threadpoolctl import threadpool_limits

from training.model import embeddings

from . import baseline_fits, engines, samples
from .baseline_fits import Scorer
from .machine import ROOT, BenchmarkError, baselines_python, cores, pinned
from .measure import Scale, Spread, interleaved, seconds_per_call, spreads

BATCH: Final = 1024
CALL: Final = "bare function call"
_TEXTS: Final = 4096
_TFIDF: Final = "TF-IDF words + balanced LR"
_SUBWORDS: Final = "fastText subwords"
_DEFAULTS: Final = "fastText default"

# Name → function that measures once: microseconds per text.
Measurements = dict[str, Callable[[], float]]


def measure(scale: Scale) -> dict[str, dict[str, dict[str, Spread]]]:
    """Return model → texts per call → contender → microseconds per text."""
    found: dict[str, dict[str, dict[str, Spread]]] = {}
    with baseline_process() as in_their_process, pinned(cores()[0]), threadpool_limits(1):
        for model in samples.MODELS:
            texts = samples.texts(model, _TEXTS)
            scorers = _scorers(model)
            found[model] = {}
            for batch in (BATCH, 1):
                measurements: Measurements = {
                    name: partial(us_per_text, score, texts, batch, scale.slice_s)
                    for name, score in scorers.items()
                }
                measurements |= in_their_process(texts, batch, scale.slice_s)
                found[model][str(batch)] = spreads(interleaved(measurements, scale.rounds))
    return found


def us_per_text(score: Scorer, texts: Sequence[str], batch: int, at_least_s: float) -> float:
    """Time scoring from raw text in batches of one size, microseconds per text."""
    batches = [texts[start : start + batch] for start in range(0, len(texts) - batch + 1, batch)]
    return (
        seconds_per_call(lambda number: score(batches[number % len(batches)]), at_least_s)
        / batch
        * 1e6
    )


def _scorers(model: str) -> dict[str, Scorer]:
    ours = {
        f"{title}, {engine}": classifier.scores
        for title, path in samples.variants(model).items()
        for engine, classifier in engines.load(path).items()
    }
    fits = baseline_fits.load(model, (_DEFAULTS, _SUBWORDS, _TFIDF))
    return {
        **ours,
        **{name: baseline_fits.predict_alone(fits[name]) for name in (_DEFAULTS, _SUBWORDS)},
        _TFIDF: fits[_TFIDF].scores,
        CALL: _do_nothing,
    }


def _do_nothing(texts: Sequence[str]) -> object:
    return texts


@contextmanager
def baseline_process() -> Iterator[Callable[[Sequence[str], int, float], Measurements]]:
    """Start a process in the baselines' environment that times the scorers installed there.

    Yields:
        Function of texts, batch size and least seconds that returns the measurements.
    """
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        vectors = embeddings.load()
        (home / "words.txt").write_text("\n".join(vectors.words), encoding="utf-8")
        np.save(home / "vectors.npy", vectors.vectors)
        one_thread = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        with subprocess.Popen(
            [
                *("taskset", "--cpu-list", str(cores()[0]), baselines_python()),
                *("-m", "benchmarks.baselines.scoring"),
                *(str(home / "words.txt"), str(home / "vectors.npy")),
            ],
            cwd=ROOT,
            env=os.environ | one_thread,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            names: list[str] = json.loads(_read_line(process))

            def measurements(texts: Sequence[str], batch: int, at_least_s: float) -> Measurements:
                path = home / f"texts-{batch}-{abs(hash(texts[0]))}.json"
                path.write_text(json.dumps(list(texts)), encoding="utf-8")
                request: dict[str, str | float] = {
                    "texts": str(path),
                    "batch": batch,
                    "at_least_s": at_least_s,
                }
                return {
                    name: partial(_request, process, request | {"name": name}) for name in names
                }

            yield measurements


def _request(process: "subprocess.Popen[str]", request: dict[str, str | float]) -> float:
    stdin = cast("IO[str]", process.stdin)
    stdin.write(json.dumps(request) + "\n")
    stdin.flush()
    return float(_read_line(process))


def _read_line(process: "subprocess.Popen[str]") -> str:
    line = cast("IO[str]", process.stdout).readline()
    if not line:
        raise BenchmarkError("the baselines' process ended; see its error above")
    return line
