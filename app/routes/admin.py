"""``POST /admin/reload``, ``POST /admin/rollback`` and ``GET /admin/reloads/{generation}``."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from .. import errors
from ..api import problems
from ..api.admin_schemas import Begun, ReloadReport
from ..serving.generations import Action, Control, Refused, Report, State
from ..telemetry.generation_metrics import GenerationMetrics

_REFUSALS = problems.documented(
    errors.browser_refused(),
    errors.reload_running(7),
    errors.no_reload(),
    errors.no_reply(),
)


def router(control: Control, generations: GenerationMetrics) -> APIRouter:
    """Return the routes.

    Args:
        control: how to ask for another generation.
        generations: which of them have workers that accept connections.
    """
    routes = APIRouter(tags=["admin"], prefix="/admin")

    async def begin(action: Action, request: Request, response: Response) -> dict[str, Any]:
        # Without keys, a page of any origin could send this to a service on the same machine.
        if "caller" not in request.scope and "origin" in request.headers:
            raise errors.browser_refused()
        reply = await control.ask(action)
        if reply.refused is Refused.BUSY:
            raise errors.reload_running(reply.generation)
        if reply.refused is Refused.NO_PREVIOUS:
            raise errors.no_previous_generation()
        if reply.refused is Refused.STOPPING:
            raise errors.shutting_down()
        prefix = request.scope["root_path"]
        response.headers["Location"] = f"{prefix}/admin/reloads/{reply.generation}"
        return {"generation": reply.generation, "state": "loading"}

    @routes.post(
        "/reload",
        status_code=HTTPStatus.ACCEPTED,
        response_model=Begun,
        responses=_REFUSALS,
    )
    async def reload(request: Request, response: Response) -> dict[str, Any]:
        """Load what is on disk now, in a new generation, and serve that instead."""
        return await begin(Action.RELOAD, request, response)

    @routes.post(
        "/rollback",
        status_code=HTTPStatus.ACCEPTED,
        response_model=Begun,
        responses=_REFUSALS,
    )
    async def rollback(request: Request, response: Response) -> dict[str, Any]:
        """Serve what was served before the current generation."""
        return await begin(Action.ROLLBACK, request, response)

    @routes.get(
        "/reloads/{generation}",
        response_model=ReloadReport,
        responses=problems.documented(errors.unknown_generation(), errors.no_reload()),
    )
    async def report(generation: str) -> dict[str, Any]:
        """Report what became of a generation."""
        if control.reports is None:
            raise errors.no_reload()
        # Text, so that any other path is unknown rather than invalid.
        is_number = generation.isascii() and generation.isdecimal() and len(generation) < 16
        found = control.reports.find(int(generation)) if is_number else None
        if found is None:
            raise errors.unknown_generation()
        if found.state is State.SERVING and generations.accept_before(found.generation):
            # Who asks next, on a new connection, might get what was served before.
            found = msgspec.structs.replace(found, state=State.LOADING, finished=None)
        return _facts(found)

    return routes


def _facts(report: Report) -> dict[str, Any]:
    return {
        "generation": report.generation,
        "action": report.action,
        "state": report.state,
        "reason": report.reason,
        "restores": report.restores,
        "started": _time(report.started),
        "finished": None if report.finished is None else _time(report.finished),
        "models": report.models,
    }


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
