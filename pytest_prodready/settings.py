"""What prodready.toml may say: every table, key, unit and default."""

from __future__ import annotations

from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from pytest_prodready.names import PINNED_SETTINGS, PLANNER_SETTINGS

Seconds = Annotated[float, Field(gt=0, le=3600)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")]
Image = Annotated[str, Field(pattern=r"^[a-z0-9][\w./:@-]*$")]
RowCount = Annotated[int, Field(ge=1, le=100_000_000)]
UrlPath = Annotated[str, Field(pattern=r"^/")]


class Table(BaseModel):
    """A table of prodready.toml: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


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


class SslSettings(Table):
    """[ssl]: limits of the ssl suite."""

    certificate_days: Annotated[int, Field(ge=1, le=3650)] = 21
    attempt_within_s: Seconds = 6.0


class PoolSettings(Table):
    """[pool]: the pool that the service declares, and the limits of the pool suite."""

    size: Count | None = None  # of one process, overflow included
    workers: Count = 1  # processes of one replica
    replicas: Count = 1
    requests_per_minute: Count | None = None
    spare: Annotated[float, Field(ge=0, lt=1)] = 0.2
    refuse_within_s: Seconds = 2.0
    recover_within_s: Seconds = 2.0
    deadline_s: Seconds = 10.0
    lock_wait_s: Seconds = 5.0
    connect_within_s: Seconds = 6.0
    idle_in_transaction_s: Seconds = 1.0
    slowdown: Annotated[float, Field(gt=1)] = 2.0
    reconnects: Annotated[float, Field(ge=1)] = 1.5
    statement_timeout_s: Seconds = 30.0
    idle_s: Seconds = 1800.0

    @property
    def capacity(self) -> int | None:
        """Connections that one replica may open: size of each process times processes."""
        return None if self.size is None else self.size * self.workers


class HealthSettings(Table):
    """[health]: the paths of the checks and their limits."""

    liveness: UrlPath | None = None
    readiness: UrlPath | None = None
    deep: UrlPath | None = None
    liveness_within_s: Seconds = 1.0
    readiness_within_s: Seconds = 2.0
    deep_within_s: Seconds = 3.0
    answer_within_s: Seconds = 5.0
    fall_within_s: Seconds = 5.0
    recover_within_s: Seconds = 5.0
    degraded_within_s: Seconds = 2.0
    drain_s: Annotated[float, Field(ge=0, le=120)] = 0.5
    grace_s: Seconds = 30.0


class CounterSettings(Table):
    """[failover] counter: a request that adds one to a number in Redis, and one that reads the number.

    `value` names the number in the answer (`stats.views`), where that isn't its only one.
    """

    increment: Request
    read: Request
    value: str = ""


class FailoverSettings(Table):
    """[failover]: how long faults last, and the limits of the failover suite."""

    standby: Literal["asynchronous", "synchronous"] | None = None
    outage_s: Seconds = 5.0
    refuse_within_s: Seconds = 1.0
    recover_within_s: Seconds = 3.0
    deadline_s: Seconds = 10.0
    stall_s: Seconds = 8.0  # at least deadline_s + 2
    dead_peer_within_s: Seconds = 8.0
    slow_s: Seconds = 5.0  # at least deadline_s + 2
    slowdown: Annotated[float, Field(gt=1)] = 2.0
    flaps: Annotated[int, Field(ge=2, le=100)] = 7
    flap_s: Annotated[float, Field(ge=0.2, le=60)] = 1.0
    accepts_per_s: Count = 150
    long_outage_s: Seconds = 20.0
    long_recover_within_s: Seconds = 5.0
    follow_within_s: Seconds = 10.0
    moved_within_s: Seconds = 35.0  # Java keeps an address for 30 s, and that is following too
    lost_writes: Annotated[int, Field(ge=0)] = 0
    stale_within_s: Seconds = 5.0  # as soon as people look again for what they saved
    redis_outage_s: Seconds = 2.0  # dead; and silent, or for degraded_within_s + 2 where that is longer
    redis_load: Annotated[float, Field(ge=1)] = 2.0  # times the statements of a request that isn't cached
    crowd: Count = 40  # requests at once for what is cached
    cold_loads: Count = 3  # by each process, for such a crowd on a cold cache
    counter: CounterSettings | None = None


class QuerySettings(Table):
    """[[explain.queries]]: a statement that no declared request runs; `$1` and so on stand for `params`."""

    name: Name
    sql: str | None = None
    file: Path | None = None
    params: tuple[str | int | float | bool | None, ...] = ()
    buffers: Count | None = None

    @model_validator(mode="after")
    def _one_text(self) -> QuerySettings:
        if (self.sql is None) == (self.file is None):
            raise ValueError("give either sql or file")
        return self


class ExplainSettings(Table):
    """[explain]: the data that plans are made for, and the budgets of the explain suite."""

    seed: str | None = None  # a command that fills the database with as much as production has
    rows: dict[str, RowCount] = {}  # of production's tables; what is missing is generated
    statistics: Path | None = None  # production's, by pg_dump --statistics-only
    settings: dict[str, str | int | float | bool] = {}  # production's planner settings, such as work_mem
    queries: tuple[QuerySettings, ...] = ()
    baseline: Path = Path("prodready.plans.json")
    buffers: Count | None = None  # pages that a statement may touch
    buffers_growth: Annotated[float, Field(ge=1)] = 1.25  # over the baseline
    buffers_slack: Annotated[int, Field(ge=0)] = 50  # pages that don't count as growth
    examined_per_row: Annotated[float, Field(ge=1)] = 100
    examined_rows: Count = 1000  # fewer rows removed than this are nobody's trouble
    large_table_rows: Count = 10_000
    estimate_error: Annotated[float, Field(gt=1)] = 100
    loops: Count = 100  # of a sequential scan inside a nested loop
    heap_fetches: Annotated[float, Field(ge=0, le=1)] = 0.1
    repeats: Annotated[int, Field(ge=2, le=1000)] = 5  # of one statement in one request
    generic_growth: Annotated[float, Field(gt=1)] = 10  # of a generic plan over a custom one, in pages
    slow_ms: Annotated[float, Field(gt=0)] = 100  # advice only: milliseconds are this machine's
    sequence_used: Annotated[float, Field(gt=0, lt=1)] = 0.9
    unused_index_mb: Annotated[float, Field(ge=0)] = 10
    bloat_mb: Annotated[float, Field(ge=0)] = 100

    @property
    def has_data(self) -> bool:
        """Whether it says what plans are made for: on ten rows they mean nothing."""
        return bool(self.rows or self.seed is not None or self.statistics is not None)

    @field_validator("settings")
    @classmethod
    def _of_the_planner(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if name in PINNED_SETTINGS:
                raise ValueError(f"{name} is always {PINNED_SETTINGS[name]} here: remove it")
            if name not in PLANNER_SETTINGS:
                nearest = get_close_matches(name, PLANNER_SETTINGS, n=1)
                hint = f": did you mean {nearest[0]}?" if nearest else ", such as work_mem: remove it"
                raise ValueError(f"{name} is not a setting of the planner{hint}")
        return value


class Waiver(Table):
    """[[waivers]]: a finding accepted by a named person until a date."""

    rule: str
    reason: Annotated[str, Field(min_length=3)]
    approver: Annotated[str, Field(min_length=2)]
    expires: date


class Settings(Table):
    """All of prodready.toml after profiles, environment variables and options were laid over it."""

    service: ServiceSettings
    postgres: PostgresSettings | None = None
    redis: RedisSettings | None = None
    faultproxy: FaultProxySettings = FaultProxySettings()
    health: HealthSettings = HealthSettings()
    requests: tuple[Request, ...] = ()
    writes: WritesSettings | None = None
    ssl: SslSettings = SslSettings()
    pool: PoolSettings = PoolSettings()
    failover: FailoverSettings = FailoverSettings()
    explain: ExplainSettings = ExplainSettings()
    bypass: dict[str, Annotated[str, Field(min_length=3)]] = {}
    waivers: tuple[Waiver, ...] = ()

    @property
    def traffic(self) -> tuple[Request, ...]:
        """The declared requests that expect success."""
        return tuple(request for request in self.requests if not request.expects_error)

    @property
    def errors(self) -> tuple[Request, ...]:
        """The declared requests that expect an error."""
        return tuple(request for request in self.requests if request.expects_error)
