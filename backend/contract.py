"""What Label Studio sends; fields that Winnow has no use for are let through unread."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Task(BaseModel):
    """One task, as far as a classifier needs it."""

    id: int | str | None = None
    data: dict[str, Any]


class PredictRequest(BaseModel):
    """Body of POST /predict."""

    tasks: list[Task]
    label_config: str = Field(description="The project's labeling config (XML)")
    project: str | int | None = None


class SetupRequest(BaseModel):
    """Body of POST /setup. Host name and access token that come with it are not used (see `Settings`)."""

    project: str | int | None = None
    label_config: str | None = Field(default=None, alias="schema", description="The project's labeling config (XML)")
