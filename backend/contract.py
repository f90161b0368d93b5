"""What Label Studio sends, and what it is answered; fields that Winnow has no use for are let through unread."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, StrictInt


class Task(BaseModel):
    """One task, as far as a classifier needs it."""

    id: StrictInt | str | None = None
    data: dict[str, Any]


class PredictParams(BaseModel):
    """What comes with the tasks: the project's credentials for the hosts that its images lie on."""

    login: str | None = None
    password: str | None = None


class PredictRequest(BaseModel):
    """Body of POST /predict."""

    tasks: list[Task]
    label_config: str = Field(description="The project's labeling config (XML)")
    project: str | StrictInt | None = None
    params: PredictParams | None = None

    @property
    def project_number(self) -> int | None:
        """Number of the project, which Label Studio sends as `7.1795557815`, with a time; None where it is not told."""
        number = str(self.project).partition(".")[0]
        return int(number) if number.isascii() and number.isdigit() else None

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password for the hosts that the images lie on, where the project has them."""
        if self.params is None or not self.params.login:
            return None
        return self.params.login, self.params.password or ""


class SetupRequest(BaseModel):
    """Body of POST /setup. Host name and access token that come with it are not used (see `Settings`)."""

    project: str | StrictInt | None = None
    label_config: str | None = Field(default=None, alias="schema", description="The project's labeling config (XML)")


class Health(BaseModel):
    """Whether the server is there, and how far its classifier is."""

    status: str = Field(description="UP, or DOWN where the classifier could not be loaded")
    classifier: str = Field(description="loading, ready or failed")
    model_version: str | None


class SetupAnswer(BaseModel):
    """The version that predictions carry."""

    model_version: str | None = Field(description="null while the classifier is being loaded")


class Prediction(BaseModel):
    """What is filled in for one task."""

    result: list[dict[str, Any]]
    score: float = Field(ge=0, le=1, description="How sure the classifier is; Label Studio shows the lowest first")
    model_version: str


class PredictAnswer(BaseModel):
    """One entry for each task, in the order of the request."""

    results: list[Prediction | list[Any]] = Field(description="A prediction, or [] where there is none")


class Versions(BaseModel):
    """Versions that are served or could be, the served one first."""

    versions: list[str]


class Receipt(BaseModel):
    """What became of an event."""

    status: str = Field(description="queued, duplicate or ignored")
    detail: str


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str
