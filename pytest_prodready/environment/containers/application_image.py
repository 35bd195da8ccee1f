"""The image of the service under test: found, pulled or built; and what it says about itself."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
from docker.utils.build import tar

from pytest_prodready.environment.containers.engine import Engine
from pytest_prodready.environment.containers.failures import explained
from pytest_prodready.environment.containers.images import Image, ensure
from pytest_prodready.environment.placeholders import names_in
from pytest_prodready.errors import ConfigError, ServerError
from pytest_prodready.settings import ServiceSettings

REPOSITORY = "prodready-service"
BUILT_WITHIN_S = 1800  # between two signs of life
USUAL_PORT = 8000
SHOWN_LINES = 20
NOT_SENT = [".prodready", "**/.prodready"]  # our own records, which change with every run
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ServiceImage:
    """An image that the engine has, and what it declares."""

    image: Image
    id: str
    exposed: tuple[int, ...]
    stop_signal: str

    def __str__(self) -> str:
        return f"{self.image} ({self.id[:19]})"

    def port(self, service: ServiceSettings) -> int:
        """The port in the container that the service listens on: configured, declared, or ours to choose."""
        if service.port is not None:
            return service.port
        if len(self.exposed) == 1:
            return self.exposed[0]
        if any("port" in names_in(text) for text in (service.command or "", *service.env.values())):
            return USUAL_PORT
        declared = ", ".join(map(str, self.exposed))
        raise ConfigError(
            "Which port the service listens on in its container isn't known.",
            value=self.image,
            source=self.image.source,
            tried=[f"its image declares the ports {declared}" if declared else "its image declares no port"],
            remedy="add port = … to [service], or let its command or env take {port}",
        )


def service_image(engine: Engine, service: ServiceSettings, folder: Path, progress: Progress) -> ServiceImage:
    """The service's image, pulled or built where it has to be."""
    if service.build is not None:
        name = _built(engine, service, (folder / service.build).resolve(), progress)
        image = Image(name, "[service] build", exact=True)
    else:
        image = Image(str(service.image), "[service] image", exact=True)
        ensure(engine, image, progress)
    with explained(f"Looking at the image {image}", image.source):
        about = engine.api.images.get(image.name)
    config: dict[str, Any] = about.attrs["Config"] or {}
    ports = (port.partition("/") for port in config.get("ExposedPorts") or {})
    return ServiceImage(
        image,
        str(about.id),
        tuple(sorted(int(number) for number, _, protocol in ports if protocol in ("", "tcp"))),
        str(config.get("StopSignal") or "SIGTERM"),
    )


def _built(engine: Engine, service: ServiceSettings, context: Path, progress: Progress) -> str:
    """Build the image; returns its tag, which stays the same so that the next build finds its layers."""
    wanted = repr((str(context), sorted(service.build_args.items())))
    tag = f"{REPOSITORY}:{service.name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    before = _id(engine, tag)
    progress(f"building the image of {service.name}")
    with tempfile.TemporaryFile() as archive, explained("Building the service's image", "[service] build"):
        _pack(context, archive)
        said = engine.api.api.build(
            fileobj=archive,
            custom_context=True,
            tag=tag,
            buildargs=service.build_args,
            rm=True,
            forcerm=True,
            decode=True,
            timeout=BUILT_WITHIN_S,
        )
        _follow(said, context, lambda step: progress(f"building the image of {service.name}: {step}"))
    if before not in (None, _id(engine, tag)):
        with suppress(docker.errors.APIError):  # another run may use it
            engine.api.images.remove(before)
    return tag


def _pack(context: Path, archive: Any) -> None:
    """The folder's files, but for those that .dockerignore names, and our own."""
    ignored: list[str] = []
    with suppress(FileNotFoundError):
        ignored = (context / ".dockerignore").read_text(encoding="utf-8-sig").splitlines()
    patterns = [line.strip() for line in ignored if line.strip() and not line.startswith("#")]
    tar(str(context), exclude=[*patterns, *NOT_SENT], dockerfile=("Dockerfile", None), fileobj=archive)
    archive.seek(0)


def _follow(said: Iterator[dict[str, Any]], context: Path, progress: Progress) -> None:
    """Read what the engine says about the build; raises ServerError with the end of it when it fails."""
    lines: list[str] = []
    for event in said:
        if "error" in event:
            raise _failed(str(event["error"]), lines, context)
        for line in str(event.get("stream", "")).splitlines():
            if step := re.match(r"Step (\d+/\d+)", line):
                progress(f"step {step[1]}")
            if line.strip():
                lines = [*lines, line.rstrip()][-SHOWN_LINES:]


def _failed(reason: str, lines: list[str], context: Path) -> ServerError:
    newer = "buildkit" in reason.lower()
    printed = "\n".join(lines)
    return ServerError(
        "The service's image can't be built.",
        value=reason,
        source="[service] build",
        tried=[f"the build's last lines:\n{printed}"] if printed else [],
        remedy=(
            f"its Dockerfile needs BuildKit: build it by “docker build {context}” and name it by image = …"
            if newer
            else f"“docker build {context}” shows it all; values of ARGs come from build_args"
        ),
    )


def _id(engine: Engine, tag: str) -> str | None:
    try:
        return str(engine.api.images.get(tag).id)
    except docker.errors.ImageNotFound:
        return None
