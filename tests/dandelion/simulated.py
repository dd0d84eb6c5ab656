"""Simulated traffic: made-up texts, whose labels are drawn with a probability known from logits."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dandelion import Classifier
from dandelion.artifact import Artifact, Golden
from dandelion.decision.calibration import Calibration
from dandelion.decision.evidence import Evidence
from dandelion.decision.operating_points import fit
from dandelion.decision.policy import score_at

from .examples import TEXTS, TOKENS, make_artifact

SLOPE, OFFSET = 1.5, 4.0
"""The true logit of the positive label, of a logit z of the artifact: SLOPE z + OFFSET."""

_WORDS = [*TOKENS[:5], "word", "other"]


def texts(count: int, seed: int = 0) -> list[str]:
    """Draw texts without near copies: each has a word of its own."""
    rng = np.random.default_rng(seed)
    drawn = [" ".join(rng.choice(_WORDS, rng.integers(1, 15))) for _ in range(count)]
    return [f"{text} {_word(seed * count + at)}" for at, text in enumerate(drawn)]


def _word(number: int) -> str:
    return "q" + "".join("abcdefghij"[int(digit)] for digit in str(number))


def labels(logits: NDArray[np.floating], seed: int = 0) -> NDArray[np.int64]:
    """Draw labels, int64[n] of 0 and 1, for logits of the artifact."""
    chances = 1 / (1 + np.exp(-(SLOPE * logits.astype(np.float64) + OFFSET)))
    return (np.random.default_rng(seed).random(len(logits)) < chances).astype(np.int64)


@cache
def deciding_artifact() -> Artifact:
    """Return an artifact with evidence and calibration, on texts like the simulated ones."""
    plain = make_artifact(seed=0)
    logits = Classifier(plain).logits(texts(4000, seed=99))
    truth = labels(logits, seed=99)
    shift = float(np.log(truth.mean() / (1 - truth.mean())))
    evidence = Evidence.of(logits, truth, np.zeros(len(truth), dtype=np.int64), ("simulated",))
    calibration: dict[str, Any] = {"method": "platt", "a": SLOPE, "b": SLOPE, "c": OFFSET - shift}
    threshold = score_at(fit("fpr<=0.05", evidence).logit, Calibration(**calibration))
    manifest = replace(
        plain.manifest,
        calibration=calibration,
        operating_point="fpr<=0.05",
        threshold=threshold,
    )
    decided = replace(plain, manifest=manifest, evidence=evidence)
    golden = Golden(TEXTS, tuple(Classifier(decided).scores(TEXTS).tolist()))
    return replace(decided, golden=golden)
