"""How the cost grows with the work: texts, characters, connections, models, vocabulary."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from dandelion import artifact
from dandelion.quantization import quantize
from dandelion.serving import SERVING_FILE
from dandelion.text.vocabulary import Vocabulary

from . import engines, load, over_http, resources, samples, servers
from .in_process import us_per_text
from .machine import cores, pinned
from .measure import Scale, Spread, interleaved, seconds_per_call, spreads
from .over_http import OURS, SUBWORDS, Shape
from .servers import ECHO, RAW

TEXTS: Final = (1, 4, 16, 64, 256, 1024, 4096)
CHARACTERS: Final = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
CONNECTIONS: Final = (1, 4, 16, 64, 256)
MODELS: Final = (1, 2, 5, 10, 20)
TOKENS: Final = (10_000, 100_000, 300_000, 1_000_000)
_TOKENS_A_TEXT: Final = 15


def measure(scale: Scale) -> dict[str, Any]:
    """Return what grows → who → step → figures."""
    scale = scale.of_long_parts()
    return {
        **_over_http(scale),
        "characters": _characters(scale),
        "models": _models(scale),
        "vocabulary": _vocabulary(scale),
    }


def _steps(scale: Scale, steps: Sequence[int]) -> Sequence[int]:
    """In the quick run the ends alone, the largest of the vocabularies left out."""
    if not scale.is_quick:
        return steps
    return steps[:2] if steps is TOKENS else (steps[0], steps[-1])


def _over_http(scale: Scale) -> dict[str, Any]:
    everyone = over_http.contestants()
    names = (RAW, ECHO, OURS) if scale.is_quick else (RAW, ECHO, SUBWORDS, OURS)
    with over_http.all_running({name: everyone[name] for name in names}) as running:
        # 16 connections would have fastText answer some of the largest requests after the end.
        texts = {
            step: over_http.measure_shape(running, Shape("spam", step, 4, names), scale)
            for step in _steps(scale, TEXTS)
        }
        who = (RAW, ECHO, OURS)
        connections = {
            step: over_http.measure_shape(running, Shape("spam", 1, step, who), scale)
            for step in _steps(scale, CONNECTIONS)
        }
    return {"texts": _turned(texts), "connections": _turned(connections)}


def _turned(found: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Step → who → figures becomes who → step → figures."""
    names = next(iter(found.values()))
    return {name: {str(step): figures[name] for step, figures in found.items()} for name in names}


def _characters(scale: Scale) -> dict[str, Any]:
    """Seconds for one text of so many characters, made of real ones.

    Another text each time, until all have been read: a processor learns the branches of a text
    that it reads again and again, as long as it is short.
    """
    real = " ".join(samples.texts("spam", 4096))
    whole = (real * (CHARACTERS[-1] // len(real) + 1))[: CHARACTERS[-1]]
    texts_of = {
        step: [[whole[start : start + step]] for start in range(0, len(whole), step)]
        for step in CHARACTERS
    }
    scorers = {
        f"{title}, {engine}": classifier.scores
        for title, path in samples.variants("spam").items()
        for engine, classifier in engines.load(path).items()
    }

    def seconds(name: str, characters: int) -> float:
        texts = texts_of[characters]
        return seconds_per_call(
            lambda number: scorers[name](texts[number % len(texts)]), scale.slice_s
        )

    found: dict[str, Any] = {name: {} for name in scorers}
    with pinned(cores()[0]), threadpool_limits(1):
        for step in CHARACTERS:
            turns = {name: partial(seconds, name, step) for name in scorers}
            for name, figures in spreads(interleaved(turns, scale.rounds)).items():
                found[name][str(step)] = figures
    return found


def _models(scale: Scale) -> dict[str, Any]:
    """Start, memory and one text's requests with so many models loaded."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        kinds, running = {}, {}
        for step in _steps(scale, MODELS):
            home = Path(directory) / str(step)
            _copy_artifacts(home, step)
            kinds[str(step)] = servers.ours("spam00", artifacts=home)
            running[str(step)] = stack.enter_context(servers.running(kinds[str(step)], cores()[:1]))
        bodies = samples.write_bodies(Path(directory) / "bodies", samples.texts("spam", 64), 1)
        memory = {step: resources.memory_of(server)["rss_mb"] for step, server in running.items()}
        starts = interleaved(
            {
                step: partial(servers.seconds_to_first_answer, kind, cores()[:1])
                for step, kind in kinds.items()
            },
            scale.rounds,
        )
        loads = interleaved(
            {
                step: partial(
                    load.run,
                    server.url,
                    bodies,
                    connections=16,
                    seconds=scale.load_s,
                    cores=cores()[1:2],
                )
                for step, server in running.items()
            },
            scale.rounds,
        )
    found = {
        step: {
            "rss_mb": memory[step],
            "start_s": Spread.of(starts[step]).to_json(),
            "requests_per_s": Spread.of(one.requests_per_s for one in loads[step]).to_json(),
        }
        for step in kinds
    }
    return {OURS: found}


def _copy_artifacts(home: Path, count: int) -> None:
    """Write the default artifact of SMS under ``count`` names, and the ``serving.toml``."""
    source = artifact.load(samples.variants("spam")["default"])
    names = [f"spam{number:02}" for number in range(count)]
    for name in names:
        manifest = replace(source.manifest, model=name, variant="copy")
        artifact.save(replace(source, manifest=manifest), home / name / "copy")
    lines = "".join(f'{name} = "copy"\n' for name in names)
    (home / SERVING_FILE).write_text(f"[models]\n{lines}", encoding="utf-8")


def _vocabulary(scale: Scale) -> dict[str, Any]:
    """Microseconds a text, seconds to load and megabytes on disk, with so many known tokens.

    Each text's tokens are drawn evenly from all of them, the worst case for every cache.
    """
    found: dict[str, Any] = {}
    for step in _steps(scale, TOKENS):
        with _synthetic(step) as path:
            started = time.perf_counter()
            engine, classifier = engines.load(path).popitem()
            load_s = time.perf_counter() - started
            size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
        texts = _drawn(step)
        with pinned(cores()[0]), threadpool_limits(1):
            turn = partial(us_per_text, classifier.scores, texts, len(texts), scale.slice_s)
            rounds = interleaved({engine: turn}, scale.rounds)
        found.setdefault(f"plain, {engine}", {})[str(step)] = {
            "us_per_text": spreads(rounds)[engine],
            "load_s": round(load_s, 3),
            "artifact_mb": round(size, 1),
        }
    return found


@contextmanager
def _synthetic(tokens: int) -> Iterator[Path]:
    """Write a plain artifact with so many made-up tokens."""
    source = artifact.load(samples.variants("spam")["plain"])
    weights = source.network.weights()
    random = np.random.default_rng(0)
    shape = (tokens + 1, weights["embedding"].shape[1])
    table = random.standard_normal(shape, dtype=np.float32) * weights["embedding"].std()
    network = quantize(replace(source.network, embedding=table), source.manifest.precision)
    vocabulary = Vocabulary(_token(number) for number in range(tokens))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "synthetic"
        artifact.save(replace(source, network=network, vocabulary=vocabulary), path)
        yield path


def _drawn(tokens: int) -> list[str]:
    random = np.random.default_rng(1)
    rows = random.integers(tokens, size=(1024, _TOKENS_A_TEXT)).tolist()
    return [" ".join(map(_token, row)) for row in rows]


def _token(number: int) -> str:
    """Write a number in letters: a token with digits would be read as a placeholder."""
    letters = ""
    for _ in range(5):
        number, digit = divmod(number, 26)
        letters = chr(ord("a") + digit) + letters
    return letters
