"""``POST /classify/{model}``."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic_core import to_json
from starlette.responses import Response

from dandelion import Prediction
from dandelion.classifier import chunks

from .. import body, errors, schemas
from ..registry import Registry, Served
from ..schemas import ClassifyAnswer, ClassifyRequest, MulticlassAnswer
from ..settings import Settings

# A larger batch takes more than a few milliseconds: it leaves the event loop, so that small ones
# and health checks need not wait for it. Two threads: NumPy releases the interpreter, tokens don't.
_INLINE_TEXTS: Final = 256
_INLINE_CHARS: Final = 10_000
_THREADS: Final = 2


def router(settings: Settings, registry: Registry) -> APIRouter:
    """Make the route."""
    routes = APIRouter(tags=["classify"])
    schema = schemas.limited_request(settings.max_texts, settings.max_text_chars)
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="classify")

    @routes.post(
        "/classify/{model}",
        name="classify",
        response_model=ClassifyAnswer | MulticlassAnswer,
        responses=errors.documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.METHOD_NOT_ALLOWED,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": schema.model_json_schema(),
                        "examples": schemas.EXAMPLES,
                    }
                },
            }
        },
    )
    async def classify(
        request: Request,
        model: Annotated[str, Path(openapi_examples=schemas.model_examples(registry.names))],
    ) -> Response:
        """Label a batch of texts, in their order."""
        served = registry.get(model)
        asked = await body.read(request, schema, settings.max_body_bytes)
        if asked.threshold is not None and served.manifest.threshold is None:
            raise errors.needless_threshold(len(served.manifest.labels))
        if len(asked.texts) <= _INLINE_TEXTS and sum(map(len, asked.texts)) <= _INLINE_CHARS:
            answer = _answer(served, asked)
        else:
            answer = await asyncio.get_running_loop().run_in_executor(pool, _answer, served, asked)
        return Response(answer, media_type="application/json")

    return routes


def _answer(served: Served, asked: ClassifyRequest) -> bytes:
    """Classify the texts and write a `ClassifyAnswer` or a `MulticlassAnswer`."""
    classifier, manifest = served.classifier, served.manifest
    threshold = manifest.threshold if asked.threshold is None else asked.threshold
    predictions: list[Prediction] = []
    tokenize_s = infer_s = 0.0
    for texts in chunks(asked.texts):
        started = time.perf_counter()
        batch = classifier.encode(texts)
        tokenized = time.perf_counter()
        scores = classifier.infer(batch)
        inferred = time.perf_counter()
        predictions += classifier.label(scores, threshold)
        tokenize_s += tokenized - started
        infer_s += inferred - tokenized
    served.metrics.observe(
        [one.label for one in predictions],
        [one.score for one in predictions],
        tokenize_s,
        infer_s,
    )
    return to_json(
        {
            "model": manifest.model,
            "variant": manifest.variant,
            "version": manifest.version,
            "threshold": threshold,
            "results": list(map(_result, predictions)),
        }
    )


def _result(prediction: Prediction) -> dict[str, Any]:
    """Shape a `Result`, or a `MulticlassResult` where there are more than two labels."""
    label, score, scores = prediction
    result: dict[str, Any] = {"label": label, "score": score}
    return result if scores is None else result | {"scores": scores}
