"""``GET /models``, ``GET /models/{model}`` and ``GET /models/{model}/card``."""

from dataclasses import fields
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from .. import errors
from ..api import problems, queries
from ..api.queries import VariantName
from ..api.schemas import ModelDetails, ModelList, model_examples
from ..serving.registry import Registry, Served
from ..telemetry.metrics import Metrics

# What a client can do next with the response.
_LINKS: Final = {
    "classify": {
        "operationId": "classify_classify__model__post",
        "parameters": {"model": "$response.body#/models/0/model"},
        "description": "Classify with the first model.",
    }
}


def router(registry: Registry, metrics: Metrics, generation: int) -> APIRouter:
    """Return the routes.

    Args:
        registry: of the models.
        metrics: counts the workers.
        generation: of this process.
    """
    routes = APIRouter(tags=["models"])

    @routes.get(
        "/models",
        response_model=ModelList,
        responses={200: {"links": _LINKS}, **problems.documented(errors.not_ready())},
    )
    async def models() -> dict[str, Any]:
        """List the served models."""
        return {
            "models": [_facts(served, served) for served in registry.all()],
            "generation": generation,
            "workers": [count._asdict() for count in metrics.generations.workers()],
        }

    @routes.get(
        "/models/{model}",
        response_model=ModelDetails,
        responses=problems.documented(
            errors.unknown_model(["cyberbullying", "spam"]),
            queries.refused("variant"),
            errors.not_ready(),
        ),
        dependencies=[Depends(queries.only("variant"))],
    )
    async def model(
        model: Annotated[str, Path(openapi_examples=model_examples(registry.available))],
        variant: VariantName = None,
    ) -> dict[str, Any]:
        """Describe a model: labels, threshold, metrics, training."""
        return _facts(registry.get(model, variant), registry.get(model))

    @routes.get(
        "/models/{model}/card",
        response_class=_MarkdownResponse,
        responses=problems.documented(
            errors.no_card(), queries.refused("variant"), errors.not_ready()
        ),
        dependencies=[Depends(queries.only("variant"))],
    )
    async def card(
        model: Annotated[str, Path(openapi_examples=model_examples(registry.available))],
        variant: VariantName = None,
    ) -> Response:
        """Return the model card: what the model is for and not for, and what was measured."""
        found = registry.get(model, variant).card
        if found is None:
            raise errors.no_card()
        return _MarkdownResponse(found)

    return routes


class _MarkdownResponse(Response):
    """Markdown (RFC 7763)."""

    media_type = "text/markdown"


def _facts(found: Served, served: Served) -> dict[str, Any]:
    """Describe a variant of a model, which may be the served one."""
    manifest, shadow = found.manifest, served.shadow
    names = {field.name for field in fields(manifest)} & set(ModelDetails.model_fields)
    return {name: getattr(manifest, name) for name in names} | {
        "version": manifest.version,
        "variants": served.variants,
        "shadow": shadow and shadow.served.manifest.variant,
        "labels": list(manifest.labels),
        "calibrated": manifest.calibration is not None,
        "policies": [
            {
                "name": name,
                "operating_point": policy.policy.operating_point,
                "threshold": policy.policy.threshold,
                "review": policy.choice.review,
                "review_threshold": policy.policy.review,
                "prior": policy.policy.prior,
            }
            for name, policy in found.policies.configured.items()
        ],
        "default_policy": found.policies.default_name,
        "engine": found.classifier.engine,
        "evaluation": found.evaluation,
    }
