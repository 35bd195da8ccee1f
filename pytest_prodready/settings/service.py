"""The service under test, its servers and its traffic: what is started, and how it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from pytest_prodready.settings.base import Image, Name, Seconds, Table, UrlPath


class ServiceSettings(Table):
    """[service]: how to start the service under test, or where it already answers."""

    name: Name
    command: str | None = None
    image: Image | None = None
    build: Path | None = None
    build_args: dict[str, str] = {}
    url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    cwd: Path = Path()
    env: dict[str, str] = {}
    setup: tuple[str, ...] = ()
    engine: str | None = Field(default=None, pattern=r"^[\w.]+:[\w.]+$")
    port: int | None = Field(default=None, ge=1, le=65535)
    ready_within_s: Seconds = 30.0

    @property
    def in_container(self) -> bool:
        """Whether it is started as a container; then `command` takes the place of the image's own."""
        return self.image is not None or self.build is not None

    @model_validator(mode="after")
    def _started_or_given(self) -> ServiceSettings:
        ways = ("command", "image", "build", "url")
        given = [way for way in ways if getattr(self, way) is not None]
        if not given:
            raise ValueError(
                "give either command (to start the service), image or build (to start it as a container)"
                " or url (where it answers)"
            )
        several = given if "url" in given else [way for way in given if way != "command"]
        if len(several) > 1:
            raise ValueError(f"{' and '.join(several)} exclude each other: give one of them")
        return self

    @model_validator(mode="after")
    def _keys_with_effect(self) -> ServiceSettings:
        if self.build_args and self.build is None:
            raise ValueError("build_args are those of build, which isn't given")
        if self.in_container and self.cwd != Path() and self.engine is None:
            raise ValueError(
                "cwd has no effect in a container, which runs where its image says (WORKDIR): remove it;"
                " beside engine it is the folder that engine is imported from"
            )
        return self


class PostgresSettings(Table):
    """[postgres]: the database; without url we start one of our own."""

    url: SecretStr | None = None
    admin_url: SecretStr | None = None
    ca: Path | None = None
    image: Image | None = None
    bin: Path | None = None
    user: str | None = None
    database: str | None = None
    hba: Path | None = None
    settings: Path | dict[str, str | int | float | bool] | None = None
    certificate: Path | None = None
    server_name: str | None = None


class RedisSettings(Table):
    """[redis]: the cache; without url we start one of our own."""

    url: SecretStr | None = None
    ca: Path | None = None
    image: Image | None = None
    bin: Path | None = None
    optional: bool = False
    tls: bool = False


class FaultProxySettings(Table):
    """[faultproxy]: what stands between the service and its servers."""

    image: Image | None = None


class Request(Table):
    """One request of the service's traffic; `{token}` becomes a new unique word each time."""

    name: str = ""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: UrlPath
    headers: dict[str, str] = {}
    json_: Any = Field(default=None, alias="json")
    weight: Annotated[float, Field(gt=0)] = 1.0
    expect: tuple[Annotated[int, Field(ge=100, le=599)], ...] = ()
    contains: str = ""  # what the body of a right answer holds
    cacheable: bool = False  # Redis only makes it faster

    @field_validator("expect", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value

    @property
    def label(self) -> str:
        """Its name in reports: the given one, or method and path."""
        return self.name or f"{self.method} {self.path}"

    @property
    def expects_error(self) -> bool:
        """Whether the declared answer is an error (4xx or 5xx)."""
        return bool(self.expect) and all(status >= 400 for status in self.expect)

    def accepts(self, status: int | None) -> bool:
        """Whether this is the declared answer; without one, any 2xx or 3xx is."""
        if status is None:
            return False
        return status in self.expect if self.expect else 200 <= status < 400


class WritesSettings(Table):
    """[writes]: a write that can be read back by its token."""

    create: Request
    read_back: Request
