"""The responses of the routes that change what is served."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class Begun(BaseModel):
    """A generation that has begun to load."""

    generation: int = Field(description="Its number: `GET /admin/reloads/{generation}` reports.")
    state: Literal["loading"]


class LoadedModel(BaseModel):
    """A model of a generation."""

    variant: str
    version: str = Field(description="Of the artifact: the start of its content hash.")


class ReloadReport(BaseModel):
    """What became of a generation."""

    generation: int
    action: Literal["start", "reload", "rollback", "restart"] = Field(
        description="What began it; `restart`: its predecessor's process was killed."
    )
    state: Literal["loading", "serving", "failed", "superseded", "rolled_back"] = Field(
        description="`failed`: it never served, and the one before goes on. `superseded`, "
        "`rolled_back`: it served until a later one did, or until a rollback."
    )
    reason: str | None = Field(description="Why it failed; null otherwise.")
    restores: int | None = Field(
        description="For a rollback or a restart: the generation whose models it has."
    )
    started: datetime
    finished: datetime | None = Field(description="When it began to serve, or failed.")
    models: dict[str, LoadedModel] = Field(description="Empty until they are loaded.")
