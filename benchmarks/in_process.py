"""Microseconds a text in one process on one core: ours, the peers, a bare function call."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
from threadpoolctl import threadpool_limits

from training.model import embeddings

from . import engines, peer_fits, samples
from .machine import ROOT, BenchmarkError, cores, peers_python, pinned
from .measure import Scale, interleaved, seconds_per_call, spreads
from .peer_fits import Scorer

BATCH: Final = 1024
CALL: Final = "bare function call"
_TEXTS: Final = 4096
_TFIDF: Final = "TF-IDF words + balanced LR"
_SUBWORDS: Final = "fastText subwords"
_DEFAULTS: Final = "fastText default"

# Name → measures once: microseconds a text.
Turns = dict[str, Callable[[], float]]


def measure(scale: Scale) -> dict[str, Any]:
    """Return data set → texts in a call → who → microseconds a text."""
    found: dict[str, Any] = {}
    with peer_process() as others, pinned(cores()[0]), threadpool_limits(1):
        for model in samples.TITLES:
            texts = samples.texts(model, _TEXTS)
            scorers = _scorers(model)
            found[model] = {}
            for batch in (BATCH, 1):
                turns: Turns = {
                    name: partial(us_per_text, score, texts, batch, scale.slice_s)
                    for name, score in scorers.items()
                }
                turns |= others(texts, batch, scale.slice_s)
                found[model][str(batch)] = spreads(interleaved(turns, scale.rounds))
    return found


def us_per_text(score: Scorer, texts: Sequence[str], batch: int, at_least_s: float) -> float:
    """Time scoring from raw text in batches of one size, microseconds a text."""
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
    fits = peer_fits.load(model, (_DEFAULTS, _SUBWORDS, _TFIDF))
    return {
        **ours,
        **{name: peer_fits.predict_alone(fits[name]) for name in (_DEFAULTS, _SUBWORDS)},
        _TFIDF: fits[_TFIDF].scores,
        CALL: _nothing,
    }


def _nothing(texts: Sequence[str]) -> object:
    return texts


@contextmanager
def peer_process() -> Iterator[Callable[[Sequence[str], int, float], Turns]]:
    """Start the process of those peers that run in their own environment.

    Yields:
        What makes the turns of its members, given texts, batch and least seconds.
    """
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        vectors = embeddings.load()
        (home / "words.txt").write_text("\n".join(vectors.words), encoding="utf-8")
        np.save(home / "vectors.npy", vectors.vectors)
        single = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        with subprocess.Popen(
            [
                *("taskset", "--cpu-list", str(cores()[0]), peers_python()),
                *("-m", "benchmarks.peers.scoring"),
                *(str(home / "words.txt"), str(home / "vectors.npy")),
            ],
            cwd=ROOT,
            env=os.environ | single,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            names: list[str] = json.loads(_line(process))

            def turns(texts: Sequence[str], batch: int, at_least_s: float) -> Turns:
                path = home / f"texts-{batch}-{abs(hash(texts[0]))}.json"
                path.write_text(json.dumps(list(texts)), encoding="utf-8")
                asked = {"texts": str(path), "batch": batch, "at_least_s": at_least_s}
                return {name: partial(_ask, process, asked | {"name": name}) for name in names}

            yield turns


def _ask(process: "subprocess.Popen[str]", asked: Mapping[str, Any]) -> float:
    stdin = cast("IO[str]", process.stdin)
    stdin.write(json.dumps(asked) + "\n")
    stdin.flush()
    return float(_line(process))


def _line(process: "subprocess.Popen[str]") -> str:
    line = cast("IO[str]", process.stdout).readline()
    if not line:
        raise BenchmarkError("the peers' process ended; its error stands above")
    return line
