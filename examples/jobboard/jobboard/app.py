"""The service: its parts put together, and its routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jobboard import queries, redis_client
from jobboard.answers import HANDLERS, Json, isoformat
from jobboard.cache import Cache
from jobboard.db import Database, make_engine
from jobboard.guard import AccessLog, Guard
from jobboard.health import Health
from jobboard.replica import Reads
from jobboard.schemas import ApplicationFilters, Id, JobFilters, Key, NewApplication, NewJob, Position
from jobboard.settings import Settings, SettingsError
from jobboard.views import Views

ID: TypeAdapter[int] = TypeAdapter(Id)
KEY: TypeAdapter[str | None] = TypeAdapter(Key | None)


class Service:
    """The handlers, and what they work with."""

    def __init__(self, settings: Settings) -> None:
        self.draining = False
        self.database = Database(make_engine(settings=settings), settings.max_waiting)
        self.reads = Reads(self.database, _replica(settings), settings.replica_stale_after_s)
        redis = redis_client.connect(settings)
        self.cache = Cache(redis, settings.cache_ttl_s, settings.redis_timeout_s)
        self.views = Views(redis, settings.redis_timeout_s)
        self.health = Health(self.database, self.cache)

    async def list_jobs(self, request: Request) -> Response:
        """Return a page of jobs, and the cursor of the next."""
        wanted = JobFilters.model_validate(dict(request.query_params))
        jobs = await self.reads.read(lambda connection: queries.list_jobs(connection, wanted))
        more = len(jobs) == wanted.limit
        return Json(
            {"jobs": jobs, "next": str(Position(jobs[-1]["posted_at"], jobs[-1]["id"])) if more else None}
        )

    async def show_job(self, request: Request) -> Response:
        """Return a job, from the cache if it is there."""
        job_id = _id(request)

        async def load() -> dict[str, Any] | None:
            # From the primary: what was stale for a moment would be so in the cache for long.
            job = await self.database.read(lambda connection: queries.job_detail(connection, job_id))
            return job and {**job, "posted_at": isoformat(job["posted_at"])}

        job = await self.cache.fetch(_key(job_id), load)
        if job is None:
            raise HTTPException(404, "there is no such job")
        return Json(job)

    async def create_job(self, request: Request) -> Response:
        """Create a job; a repeated request with the same Idempotency-Key creates no other."""
        job = NewJob.model_validate_json(await request.body())
        key = KEY.validate_python(request.headers.get("Idempotency-Key"))
        job_id = await self.database.write(lambda connection: queries.create_job(connection, job, key))
        return Json({"id": job_id}, status_code=201, headers={"Location": f"/jobs/{job_id}"})

    async def list_applications(self, request: Request) -> Response:
        """Return a page of a job's applications, and the cursor of the next."""
        job_id = _id(request)
        wanted = ApplicationFilters.model_validate(dict(request.query_params))
        found = await self.reads.read(
            lambda connection: queries.list_applications(connection, job_id, wanted)
        )
        if found is None:
            raise HTTPException(404, "there is no such job")
        more = len(found) == wanted.limit
        return Json({"applications": found, "next": found[-1]["id"] if more else None})

    async def apply(self, request: Request) -> Response:
        """Apply for a job; its counts change, so that the cache forgets it."""
        job_id = _id(request)
        new = NewApplication.model_validate_json(await request.body())
        made = await self.database.write(lambda connection: queries.apply(connection, job_id, new))
        if made is None:
            raise HTTPException(404, "there is no such job")
        await self.cache.forget(_key(job_id))
        return Json({"id": made}, status_code=201)

    async def count_view(self, request: Request) -> Response:
        """Count a view of a job; the answer says that it counts."""
        return Json({"views": await self.views.add(_id(request))}, status_code=201)

    async def show_views(self, request: Request) -> Response:
        """Return how often a job was viewed."""
        return Json({"views": await self.views.number(_id(request))})

    async def live(self, _: Request) -> Response:
        """Say that the process answers; nothing outside of it is asked, nor able to have it restarted."""
        return Json({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """Say whether to send requests here."""
        if self.draining:
            return Json({"status": "draining"}, status_code=503)
        if await self.health.ready():
            return Json({"status": "ok"})
        return Json({"status": "unavailable"}, status_code=503, headers={"Retry-After": "1"})

    async def deep(self, _: Request) -> Response:
        """Say how each part is."""
        status, checks = await self.health.deep()
        return Json({"status": status, "checks": checks}, status_code=503 if status == "failing" else 200)

    async def close(self) -> None:
        """Close every connection, so that the servers are left no idle ones."""
        await self.cache.close()
        await self.reads.close()
        await self.database.close()


def create_app(settings: Settings) -> tuple[Starlette, Service]:
    """Return the application and the service behind it; neither connects to anything yet."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await service.close()

    application = Starlette(
        routes=_routes(service),
        middleware=[
            Middleware(AccessLog, draining=lambda: service.draining),
            Middleware(Guard, deadline_s=settings.request_deadline_s, max_body_bytes=settings.max_body_bytes),
        ],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    # A redirect would repeat the Host that the client claims.
    application.router.redirect_slashes = False
    return application, service


def _routes(service: Service) -> list[Route]:
    return [
        Route("/jobs", service.list_jobs, methods=["GET"]),
        Route("/jobs", service.create_job, methods=["POST"]),
        Route("/jobs/{id}", service.show_job, methods=["GET"]),
        Route("/jobs/{id}/applications", service.list_applications, methods=["GET"]),
        Route("/jobs/{id}/applications", service.apply, methods=["POST"]),
        Route("/jobs/{id}/views", service.count_view, methods=["POST"]),
        Route("/jobs/{id}/views", service.show_views, methods=["GET"]),
        Route("/health/live", service.live, methods=["GET"]),
        Route("/health/ready", service.ready, methods=["GET"]),
        Route("/health/deep", service.deep, methods=["GET"]),
    ]


def _replica(settings: Settings) -> Database | None:
    url = settings.replica_database_url
    # The primary under another name would be a second pool on the same server.
    if url is None or url == settings.database_url:
        return None
    try:
        return Database(make_engine(url, settings), settings.max_waiting)
    except SettingsError as error:
        raise SettingsError(f"REPLICA_{error}") from None


def _id(request: Request) -> int:
    try:
        return ID.validate_strings(request.path_params["id"])
    except ValidationError:
        raise HTTPException(404, "there is no such job") from None


def _key(job_id: int) -> str:
    return f"job:{job_id}"


def __getattr__(name: str) -> Starlette:
    # `jobboard.app:app` for any ASGI server; made when asked for, since it takes the environment.
    if name == "app":
        return create_app(Settings.from_env())[0]
    raise AttributeError(name)
