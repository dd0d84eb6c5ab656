"""``GET /models`` and ``GET /models/{model}``."""

from dataclasses import fields
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path

from .. import errors
from ..api import problems
from ..api.schemas import ModelDetails, ModelList, model_examples
from ..serving.registry import Registry, Served

# What a client can do next with the response.
_LINKS: Final = {
    "classify": {
        "operationId": "classify_classify__model__post",
        "parameters": {"model": "$response.body#/models/0/model"},
        "description": "Classify with the first model.",
    }
}


def router(registry: Registry) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["models"])

    @routes.get(
        "/models",
        response_model=ModelList,
        responses={200: {"links": _LINKS}, **problems.documented(errors.not_ready())},
    )
    async def models() -> dict[str, Any]:
        """List the served models."""
        return {"models": [_facts(served) for served in registry.all()]}

    @routes.get(
        "/models/{model}",
        response_model=ModelDetails,
        responses=problems.documented(
            errors.unknown_model(["cyberbullying", "spam"]), errors.not_ready()
        ),
    )
    async def model(
        model: Annotated[str, Path(openapi_examples=model_examples(registry.available))],
    ) -> dict[str, Any]:
        """Describe a model: labels, threshold, metrics, training."""
        return _facts(registry.get(model))

    return routes


def _facts(served: Served) -> dict[str, Any]:
    manifest = served.manifest
    names = {field.name for field in fields(manifest)} & set(ModelDetails.model_fields)
    return {name: getattr(manifest, name) for name in names} | {
        "version": manifest.version,
        "labels": list(manifest.labels),
        "calibrated": manifest.calibration is not None,
        "policies": [
            {
                "name": name,
                "operating_point": found.policy.operating_point,
                "threshold": found.policy.threshold,
                "review": found.choice.review,
                "review_threshold": found.policy.review,
                "prior": found.policy.prior,
            }
            for name, found in served.policies.configured.items()
        ],
        "default_policy": served.policies.default_name,
        "engine": served.classifier.engine,
        "evaluation": served.evaluation,
    }
