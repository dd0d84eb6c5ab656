"""Promotions: what they change in ``serving.toml``, and ``promotions.jsonl``, which records them.

A variant is first the shadow, then served, with the previous one as its shadow. Each step is a line
of ``promotions.jsonl`` in the directory of the artifacts: what was chosen before and after it, what
the gate found, and who forced it for which reason. By it the last step can be taken back.
"""

import json
import os
import stat
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from .files import read_bounded
from .gate import Requirement, ShadowCounts
from .installation import SERVING_FILE
from .json_values import loads
from .serving import ServingError, choices, read_serving_file
from .serving_edit import Value, edited
from .writing import write_atomically

if sys.platform != "win32":
    import fcntl

HISTORY_FILE: Final = "promotions.jsonl"
_MAX_BYTES: Final = 2**26

Step = Literal["shadow", "serving", "rollback"]

# What a promotion changes, and a rollback restores.
_KEYS: Final = ("variant", "shadow", "shadow_share")


class PromotionError(ValueError):
    """A step cannot be taken, or there is none to take back."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A line of ``promotions.jsonl``.

    Attributes:
        model: the task.
        step: what was done.
        variant: that became the shadow, or is served; of a rollback, that is served afterwards.
        content_hash: of its artifact.
        before: key of the model's table → value, before the step; None for an absent key.
        after: the same afterwards.
        requirements: of the gate, those that were looked at.
        forced: why it was done although the gate was not passed; None if it was passed.
        shadow_counts: what the service had counted of a shadow of this name when it became the
            shadow; these texts do not count.
        time: RFC 3339, UTC.
    """

    model: str
    step: Step
    variant: str
    content_hash: str
    before: Mapping[str, Value]
    after: Mapping[str, Value]
    requirements: tuple[Mapping[str, Any], ...] = ()
    forced: str | None = None
    shadow_counts: Mapping[str, int] | None = None
    time: str = ""


def state(data: bytes, model: str) -> dict[str, Value]:
    """Return which variants of a model a valid ``serving.toml`` chooses; None for absent keys."""
    table = tomllib.loads(data.decode())["models"][model]
    values = {"variant": table} if isinstance(table, str) else table
    return {key: values.get(key) for key in _KEYS}


def after(step: Step, before: Mapping[str, Value], variant: str) -> dict[str, Value]:
    """Return what a step of a promotion chooses.

    Args:
        step: ``shadow`` or ``serving``.
        before: see `state`.
        variant: that is promoted.

    Raises:
        PromotionError: it is served already.
    """
    if before["variant"] == variant:
        raise PromotionError(f"{variant} is served already")
    if step == "shadow":
        return {**before, "shadow": variant}
    return {**before, "variant": variant, "shadow": before["variant"]}


def change(artifacts: Path, step: Promotion) -> tuple[bytes, bytes]:
    """Return the content of ``serving.toml`` before and after a step, which is checked.

    Args:
        artifacts: the directory that contains it.
        step: to take.

    Raises:
        ServingError: the file cannot be read or edited, has been changed since the step was
            planned, or would be invalid afterwards.
    """
    path = artifacts / SERVING_FILE
    data = read_serving_file(artifacts)
    if state(data, step.model) != step.before:
        raise ServingError(f"{path}: was changed meanwhile; nothing was replaced. Try again.")
    changes = {key: value for key, value in step.after.items() if value != step.before[key]}
    new = edited(data, path, step.model, changes) if changes else data
    choices(artifacts, {}, new)
    return data, new


def replace_serving_file(artifacts: Path, expected: bytes, data: bytes) -> None:
    """Replace ``serving.toml`` at once, with the owner and the permissions that it has.

    Args:
        artifacts: the directory that contains it.
        expected: its present content; if it has another one, nothing is replaced.
        data: its new content.

    Raises:
        ServingError: it cannot be read, or has been changed meanwhile.
        OSError: it cannot be written.
    """
    path = (artifacts / SERVING_FILE).resolve()  # a link stays one
    if read_serving_file(artifacts) != expected:
        raise ServingError(f"{path}: was changed meanwhile; nothing was replaced. Try again.")
    status = path.stat()
    owner = None
    if sys.platform != "win32" and os.geteuid() == 0:
        owner = status.st_uid, status.st_gid
    write_atomically(path, data, stat.S_IMODE(status.st_mode), owner)


def history(artifacts: Path) -> tuple[Promotion, ...]:
    """Return all promotions, the oldest first; none if there is no file.

    Raises:
        PromotionError: the file cannot be read or is damaged.
    """
    path = artifacts / HISTORY_FILE
    try:
        data = read_bounded(path, _MAX_BYTES)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise PromotionError(f"{path}: cannot be read ({error.strerror})") from error
    found = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            one = Promotion(**loads(line))
            _check(one)
            found.append(one)
        except (ValueError, TypeError) as error:
            raise PromotionError(f"{path}, line {number}: no promotion: {error}") from error
    return tuple(found)


def _check(one: Promotion) -> None:
    for choice in (one.before, one.after):
        if not isinstance(choice, dict) or set(choice) != set(_KEYS):
            raise ValueError(f"expected {', '.join(_KEYS)} in 'before' and 'after'")
    counts = one.shadow_counts
    if counts is not None and not all(isinstance(counts.get(key), int) for key in _COUNTS):
        raise ValueError("expected texts and disagreements in 'shadow_counts'")


_COUNTS: Final = ("texts", "disagreements")


@contextmanager
def locked(artifacts: Path) -> Iterator[None]:
    """Keep other promotions out while one is carried out and recorded; Windows has no such lock.

    Raises:
        PromotionError: another one is running.
        OSError: a promotion cannot be recorded.
    """
    path = artifacts / HISTORY_FILE
    with path.open("a", encoding="utf-8") as file:
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PromotionError(f"{path}: another promotion is running. Try again.") from None
            except OSError:  # a file system without locks
                pass
        yield


def record(artifacts: Path, promotion: Promotion) -> None:
    """Append a promotion to ``promotions.jsonl``, with the time.

    Raises:
        OSError: it cannot be written.
    """
    values = asdict(promotion) | {"time": datetime.now(UTC).isoformat(timespec="seconds")}
    line = json.dumps(values, ensure_ascii=False) + "\n"
    with (artifacts / HISTORY_FILE).open("a", encoding="utf-8") as file:
        file.write(line)


def as_records(requirements: Sequence[Requirement]) -> tuple[dict[str, Any], ...]:
    """Return requirements as ``promotions.jsonl`` has them."""
    return tuple(
        {"key": one.key, "value": one.value, "limit": one.limit, "passed": one.passed}
        for one in requirements
    )


def last_step(promotions: Sequence[Promotion], model: str) -> Promotion:
    """Return the step of a model that a rollback takes back.

    Raises:
        PromotionError: there is none that has not been taken back.
    """
    taken: list[Promotion] = []
    for one in promotions:
        if one.model != model:
            continue
        if one.step != "rollback":
            taken.append(one)
        elif taken:
            taken.pop()
    if not taken:
        raise PromotionError(f"no promotion of {model} to take back is recorded")
    return taken[-1]


def since_shadow(
    counts: ShadowCounts, promotions: Sequence[Promotion], model: str, variant: str
) -> ShadowCounts:
    """Return what a shadow has counted since it became the shadow.

    Args:
        counts: of the running service, since it was started.
        promotions: see `history`.
        model: the task.
        variant: the shadow.
    """
    for one in reversed(promotions):
        if (one.model, one.variant, one.step) == (model, variant, "shadow"):
            before = one.shadow_counts
            # Smaller counts are those of a service that was started since.
            if before is None or counts.texts < before["texts"]:
                return counts
            return ShadowCounts(
                counts.texts - before["texts"],
                max(0, counts.disagreements - before["disagreements"]),
            )
    return counts
