"""`alt-profanity-check`, the package that people install today: a linear SVM over words.

It needs one exact version of scikit-learn, so it lives in an environment of its own.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

NAME: Final = "alt-profanity-check"
ENVIRONMENT: Final = Path(".venv-profanity")

# By its README it learned from Davidson's tweets (`offensive` and hate as positives) and from the
# Toxic Comment Classification Challenge: comments of Wikipedia's talk pages.
HAS_SEEN: Final = frozenset(
    {"davidson", "davidson_offensive", "wikipedia_talk", "wikipedia_context"}
)

_PROGRAM: Final = Path(__file__).with_name("profanity_program.py")
_AT_ONCE: Final = 1000


class MissingEnvironmentError(TrainingError):
    """The package is not installed."""


def scores(texts: Sequence[str], environment: Path = ENVIRONMENT) -> NDArray[np.float64]:
    """Score raw texts, float64[n] in [0, 1].

    Args:
        texts: n of them.
        environment: a virtual environment with the package.

    Raises:
        MissingEnvironmentError: there is none.
        TrainingError: its program failed.
    """
    python = environment / "bin" / "python"
    if not python.exists():
        raise MissingEnvironmentError(
            f"{NAME} is not installed; `make {environment}/.profanity` installs it"
        )
    pieces = [list(texts[start : start + _AT_ONCE]) for start in range(0, len(texts), _AT_ONCE)]
    done = subprocess.run(  # noqa: S603
        [python, "-I", _PROGRAM],
        input="".join(json.dumps(piece) + "\n" for piece in pieces),
        capture_output=True,
        text=True,
        check=False,
    )
    found = [score for line in done.stdout.splitlines() for score in json.loads(line)]
    if done.returncode or len(found) != len(texts):
        last = (done.stderr.strip().splitlines() or ["no error was printed"])[-1]
        raise TrainingError(f"{NAME} failed with exit code {done.returncode}: {last}")
    return np.array(found, dtype=np.float64)
