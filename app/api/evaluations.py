"""From a request with labelled texts to an evaluation, within the service's limits."""

import asyncio
from collections.abc import AsyncIterator, Sequence, Sized
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
from msgspec.json import Decoder
from starlette.requests import Request

from dandelion import EvaluationError, OperatingPointError
from dandelion.decision import operating_points
from dandelion.decision.evidence import MAX_WEIGHT
from dandelion.evaluation import evaluate_scored
from dandelion.labelled import ScoredTexts, score_texts

from .. import errors
from ..errors import FieldError, Problem
from ..serving.admission import SMALL_BODY, Admission, Admitted
from ..serving.limits import TextLimits
from ..serving.pool import Check, Pool, Work
from ..serving.registry import Served
from . import body, evaluation_schemas
from .evaluation_reports import Reporter
from .evaluation_schemas import (
    KEY_CHARS,
    MAX_ROWS,
    MAX_STRATA,
    EvaluationRequest,
    Requests,
    Scored,
)

# Evaluations at a time, in one worker. Each takes a second or two of a thread.
_AT_A_TIME: Final = 1


class Evaluations:
    """Reads requests, and works on them in a thread, within the limits of the service.

    Args:
        admission: bounds what is read and scored at a time.
        pool: of threads.
        limits: on the texts, after normalization.
        requests: the types of the requests, with their limits.
        max_body_bytes: the size of a body at most.
        max_texts: the number of texts at most.
        max_wait_ms: milliseconds that an evaluation waits for another one.
    """

    def __init__(  # noqa: PLR0913
        self,
        admission: Admission,
        pool: Pool,
        limits: TextLimits,
        requests: Requests,
        *,
        max_body_bytes: int,
        max_texts: int,
        max_wait_ms: int,
    ) -> None:
        self._admission = admission
        self._pool = pool
        self._limits = limits
        self._texts = Decoder(requests.texts)
        self._evaluation = Decoder(requests.evaluation)
        self._max_body_bytes = max_body_bytes
        self._max_texts = max_texts
        self._max_wait_s = max_wait_ms / 1e3
        self._free = asyncio.Semaphore(_AT_A_TIME)

    async def score(self, request: Request, served: Served) -> bytes:
        """Score texts for an evaluation.

        Raises:
            Problem: 413, 415, 400, 422, 429 or 504.
            ClientDisconnect: the client is gone.
        """
        async with self._read(request) as (content, admitted):

            def start() -> Work[bytes]:
                texts = body.decode(self._texts, content, self._max_texts).texts
                _charge(request, texts)
                return lambda check: _encode(served, self._score(served, texts, check))

            texts = min(body.most_strings(content), self._max_texts)
            return await self._pool.run(start, texts, admitted)

    async def evaluate(self, request: Request, served: Served) -> bytes:
        """Evaluate a model.

        Raises:
            Problem: 409, 413, 415, 400, 422, 429 or 504.
            ClientDisconnect: the client is gone.
        """
        async with self._read(request) as (content, admitted), self._alone():

            def start() -> Work[bytes]:
                asked = self._decode(content, served)
                _charge(request, asked.texts or ())

                def work(check: Check) -> bytes:
                    scored = (
                        _joined(asked.scored)
                        if asked.scored is not None
                        else self._score(served, asked.texts or (), check)
                    )
                    check()
                    return _evaluate(served, asked, scored)

                return work

            return await self._pool.run(start, self._max_texts, admitted)

    @asynccontextmanager
    async def _read(self, request: Request) -> AsyncIterator[tuple[bytes, Admitted]]:
        """Read a body, and hold what it takes until the response is ready.

        Raises:
            Problem: 413, 415 or 429.
            ClientDisconnect: the client is gone.
        """
        admitted = self._admission.enter(request.receive)
        try:
            headers = request.scope["first_headers"]
            content = await body.read(
                request.receive, headers, self._max_body_bytes, admitted.take_bytes, SMALL_BODY
            )
            admitted.has_body(len(content))
            yield content, admitted
        finally:
            admitted.leave()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Wait until no other evaluation runs.

        Raises:
            Problem: 429, it takes too long.
        """
        try:
            async with asyncio.timeout(self._max_wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise errors.overloaded() from None
        try:
            yield
        finally:
            self._free.release()

    def _score(self, served: Served, texts: Sequence[str], check: Check) -> ScoredTexts:
        """Score texts chunk by chunk.

        Raises:
            Problem: 422, a text or all of them are too long after normalization.
        """
        parts = []
        start = 0
        for chunk in self._limits.chunks(texts):  # in NFKC, for its limits and its size alone
            check()
            parts.append(score_texts(served.classifier, texts[start : start + len(chunk)]))
            start += len(chunk)
        return ScoredTexts(
            np.concatenate([part.logits for part in parts]),
            [key[:KEY_CHARS] for part in parts for key in part.copies],
            [digest[:KEY_CHARS] for part in parts for digest in part.digests],
        )

    def _decode(self, content: bytes, served: Served) -> EvaluationRequest:
        """Decode the body of a request to evaluate, and check what its type does not.

        Raises:
            Problem: 400, 409 or 422.
        """
        most = max(self._max_texts, MAX_ROWS)  # texts, or strata
        if not body.has_few_strings(content, most + body.NAMES):
            raise _invalid("", f"Expected at most {MAX_ROWS} texts; see `dandelion evaluate`")
        asked = body.decode(self._evaluation, content, most)
        if (asked.texts is None) == (asked.scored is None):
            raise _invalid("", "Expected either 'texts' or 'scored'")
        if asked.scored is not None and asked.scored.version != served.manifest.version:
            raise errors.other_version(served.manifest.version)
        _check_lengths(asked)
        _check_strata(asked)
        for at, point in enumerate(asked.operating_points):
            _check_point(at, point)
        return asked


def _charge(request: Request, texts: Sequence[str]) -> None:
    """Charge the caller for texts.

    Raises:
        Problem: 429.
    """
    if texts and "caller" in request.scope:
        request.scope["caller"].take(len(texts))


def _encode(served: Served, scored: ScoredTexts) -> bytes:
    manifest = served.manifest
    return (
        evaluation_schemas.ScoredTexts(
            model=manifest.model,
            variant=manifest.variant,
            version=manifest.version,
            logits=[logit if np.isfinite(logit) else None for logit in scored.logits.tolist()],
            copies="".join(scored.copies),
            digests="".join(scored.digests),
        )
        .model_dump_json()
        .encode()
    )


def _joined(scored: Scored) -> ScoredTexts:
    logits = [-np.inf if logit is None else logit for logit in scored.logits]
    return ScoredTexts(
        np.array(logits, dtype=np.float64), _split(scored.copies), _split(scored.digests)
    )


def _split(keys: str) -> list[str]:
    return [keys[at : at + KEY_CHARS] for at in range(0, len(keys), KEY_CHARS)]


def _evaluate(served: Served, asked: EvaluationRequest, scored: ScoredTexts) -> bytes:
    """Evaluate, in a thread.

    Raises:
        Problem: 422, no text has a label; or all were flagged, and a prior or points were given.
    """
    labels = asked.labels
    try:
        found = evaluate_scored(
            served.classifier,
            scored,
            labels,
            strata=asked.strata,
            weights=asked.weights,
            sources=None if asked.strata is not None else [asked.source] * len(labels),
            points=asked.operating_points,
            prior=asked.prior,
        )
    except EvaluationError as error:
        raise _invalid("labels", str(error)) from None
    reporter = Reporter(found, served.manifest, asked.prior)
    return reporter.report(unlabelled=labels.count(None))


def _check_lengths(asked: EvaluationRequest) -> None:
    """Check that each text has its label, and whatever else is given of the texts.

    Raises:
        Problem: 422.
    """
    scored = asked.scored
    columns: dict[str, Sized | None] = {
        "texts": asked.texts,
        "strata": asked.strata,
        "weights": asked.weights,
        "scored/logits": None if scored is None else scored.logits,
    }
    for name, values in columns.items():
        if values is not None and len(values) != len(asked.labels):
            raise _invalid(name, f"Expected {len(asked.labels)} values, one for each label")
    for name in ("copies", "digests"):
        if scored is not None and len(getattr(scored, name)) != KEY_CHARS * len(asked.labels):
            raise _invalid(f"scored/{name}", f"Expected {KEY_CHARS} characters for each label")
    if (asked.strata is None) != (asked.weights is None):
        raise _invalid("weights", "Expected 'strata' and 'weights', or neither")


def _check_strata(asked: EvaluationRequest) -> None:
    """Check that the strata are those of a sample.

    Raises:
        Problem: 422.
    """
    totals: dict[str, float] = {}
    labelled = set()
    rows = zip(asked.strata or (), asked.weights or (), asked.labels, strict=False)
    for stratum, weight, label in rows:
        totals[stratum] = totals.get(stratum, 0.0) + weight
        if label is not None:
            labelled.add(stratum)
    if len(totals) > MAX_STRATA:
        raise _invalid("strata", f"Expected at most {MAX_STRATA} different strata")
    if len(labelled) < len(totals) and labelled:
        raise _invalid(
            "strata",
            "No text of a stratum has a label, so nothing is known of the texts that it stands "
            "for; label some of each stratum",
        )
    if any(total > MAX_WEIGHT for total in totals.values()):
        raise _invalid("weights", f"Expected at most {MAX_WEIGHT:g} messages in each stratum")


def _check_point(at: int, point: str) -> None:
    """Check an operating point to fit.

    Raises:
        Problem: 422.
    """
    name = f"operating_points/{at}"
    try:
        parsed = operating_points.parse(point)
    except OperatingPointError as error:
        raise _invalid(name, str(error)) from None
    if any(constraint.where is not None for constraint in parsed.constraints):
        raise _invalid(name, "Expected constraints about all texts, without a source")


def _invalid(name: str, detail: str) -> Problem:
    if name:
        return errors.invalid_field(name, detail)
    return errors.invalid(FieldError(pointer="#", detail=detail))
