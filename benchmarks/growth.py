"""How cost grows with the work: texts, characters, connections, models, vocabulary."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from dandelion import artifact
from dandelion.installation import SERVING_FILE
from dandelion.quantization import quantize
from dandelion.text.vocabulary import Vocabulary

from . import engines, load, over_http, resources, samples, servers
from .figures import Growth, ModelsFigures, ServerFigures, VocabularyFigures
from .in_process import us_per_text
from .machine import cores, pinned
from .measure import Scale, Spread, interleaved, seconds_per_call, spreads
from .over_http import OURS, SUBWORDS, Workload
from .servers import ECHO, RAW, Server

TEXTS: Final = (1, 4, 16, 64, 256, 1024, 4096)
CHARACTERS: Final = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
CONNECTIONS: Final = (1, 4, 16, 64, 256)
MODELS: Final = (1, 2, 5, 10, 20)
TOKENS: Final = (10_000, 100_000, 300_000, 1_000_000)
_TOKENS_PER_TEXT: Final = 15


def measure(scale: Scale) -> Growth:
    """Return the figures for each thing that grows."""
    scale = scale.for_long_parts()
    launches = over_http.launches()
    names = (RAW, ECHO, OURS) if scale.is_quick else (RAW, ECHO, SUBWORDS, OURS)
    with over_http.all_running({name: launches[name] for name in names}) as running:
        texts = _texts(running, names, scale)
        connections = _connections(running, scale)
    return Growth(
        texts=texts,
        connections=connections,
        characters=_characters(scale),
        models=_models(scale),
        vocabulary=_vocabulary(scale),
    )


def _steps(scale: Scale, steps: Sequence[int]) -> Sequence[int]:
    """Return the first and last step alone in a quick run, and no large vocabulary."""
    if not scale.is_quick:
        return steps
    return steps[:2] if steps is TOKENS else (steps[0], steps[-1])


def _texts(
    running: Mapping[str, Server], names: tuple[str, ...], scale: Scale
) -> dict[str, dict[str, ServerFigures]]:
    # With 16 connections, fastText would finish some of the largest requests after the end.
    return _by_server(
        {
            step: over_http.measure_workload(running, Workload("spam", step, 4, names), scale)
            for step in _steps(scale, TEXTS)
        }
    )


def _connections(
    running: Mapping[str, Server], scale: Scale
) -> dict[str, dict[str, ServerFigures]]:
    names = (RAW, ECHO, OURS)
    return _by_server(
        {
            step: over_http.measure_workload(running, Workload("spam", 1, step, names), scale)
            for step in _steps(scale, CONNECTIONS)
        }
    )


def _by_server(
    found: Mapping[int, Mapping[str, ServerFigures]],
) -> dict[str, dict[str, ServerFigures]]:
    """Regroup step → server → figures as server → step → figures."""
    names = next(iter(found.values()))
    return {name: {str(step): figures[name] for step, figures in found.items()} for name in names}


def _characters(scale: Scale) -> dict[str, dict[str, Spread]]:
    """Measure seconds for one text of a given number of characters, cut from real texts.

    Each call takes another text, until all were used: a processor learns the branches of a short
    text that it reads again and again.
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

    found: dict[str, dict[str, Spread]] = {name: {} for name in scorers}
    with pinned(cores()[0]), threadpool_limits(1):
        for step in CHARACTERS:
            measurements = {name: partial(seconds, name, step) for name in scorers}
            for name, spread in spreads(interleaved(measurements, scale.rounds)).items():
                found[name][str(step)] = spread
    return found


def _models(scale: Scale) -> dict[str, dict[str, ModelsFigures]]:
    """Measure start, memory and requests of one text with a given number of models loaded."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        launches, running = {}, {}
        for step in map(str, _steps(scale, MODELS)):
            home = Path(directory) / step
            _copy_artifacts(home, int(step))
            launches[step] = servers.ours("spam00", artifacts=home)
            running[step] = stack.enter_context(servers.running(launches[step], cores()[:1]))
        bodies = samples.write_bodies(Path(directory) / "bodies", samples.texts("spam", 64), 1)
        memory = {step: resources.memory_of(server) for step, server in running.items()}
        starts = interleaved(
            {
                step: partial(servers.seconds_to_first_response, launch, cores()[:1])
                for step, launch in launches.items()
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
        step: ModelsFigures(
            rss_mb=memory[step].rss_mb,
            start_s=Spread.of(starts[step]),
            requests_per_s=Spread.of(one.requests_per_s for one in loads[step]),
        )
        for step in launches
    }
    return {OURS: found}


def _copy_artifacts(home: Path, count: int) -> None:
    """Write the default SMS artifact under ``count`` names, with a ``serving.toml``."""
    source = artifact.load(samples.variants("spam")["default"])
    names = [f"spam{number:02}" for number in range(count)]
    for name in names:
        manifest = replace(source.manifest, model=name, variant="copy")
        artifact.save(replace(source, manifest=manifest), home / name / "copy")
    lines = "".join(f'{name} = "copy"\n' for name in names)
    (home / SERVING_FILE).write_text(f"[models]\n{lines}", encoding="utf-8")


def _vocabulary(scale: Scale) -> dict[str, dict[str, VocabularyFigures]]:
    """Measure cost per text, loading time and size on disk with a given number of known tokens.

    The tokens of each text are drawn uniformly from all of them, the worst case for every cache.
    """
    found: dict[str, dict[str, VocabularyFigures]] = {}
    for step in _steps(scale, TOKENS):
        with _synthetic_artifact(step) as path:
            started = time.perf_counter()
            engine, classifier = engines.load(path).popitem()
            load_s = time.perf_counter() - started
            size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
        texts = _draw_texts(step)
        with pinned(cores()[0]), threadpool_limits(1):
            us = [
                us_per_text(classifier.scores, texts, len(texts), scale.slice_s)
                for _ in range(scale.rounds)
            ]
        found.setdefault(f"plain, {engine}", {})[str(step)] = VocabularyFigures(
            us_per_text=Spread.of(us),
            load_s=round(load_s, 3),
            artifact_mb=round(size, 1),
        )
    return found


@contextmanager
def _synthetic_artifact(tokens: int) -> Iterator[Path]:
    """Write a plain artifact with a given number of made-up tokens."""
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


def _draw_texts(tokens: int) -> list[str]:
    random = np.random.default_rng(1)
    rows = random.integers(tokens, size=(1024, _TOKENS_PER_TEXT)).tolist()
    return [" ".join(map(_token, row)) for row in rows]


def _token(number: int) -> str:
    """Spell a number in letters: digits in a token would turn it into a placeholder."""
    letters = ""
    for _ in range(5):
        number, digit = divmod(number, 26)
        letters = chr(ord("a") + digit) + letters
    return letters
