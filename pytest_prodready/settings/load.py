"""The expected load, its stages, and the limits of the load suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from pytest_prodready.settings.base import Count, Seconds, Table

Share = Annotated[float, Field(ge=0, lt=1)]
Milliseconds = Annotated[float, Field(gt=0, le=600_000)]
MOST_USERS = 100_000  # of a locustfile


class LoadSettings(Table):
    """[load]: what the service is expected to serve, the stages up to a multiple of it, and the limits."""

    expected_rps: Annotated[float, Field(gt=0, le=100_000)] | None = None  # on a usual day
    multiplier: Annotated[float, Field(ge=1, le=1000)] = 10
    steps: tuple[Annotated[float, Field(gt=1, le=1000)], ...] = (2, 4, 7)  # those below multiplier
    self_test_s: Seconds = 3.0  # of the generator, at 1.5 times the most, on a server that does nothing
    warm_up_s: Seconds = 3.0  # not judged
    usual_s: Seconds = 8.0
    step_s: Seconds = 4.0
    peak_s: Seconds = 15.0
    again_s: Seconds = 8.0  # the usual load after the peak
    users: Count | None = None  # requests under way at most; else by what is due within deadline_s
    locustfile: Path | None = None  # the user's own, instead of the declared requests
    users_at_1x: Count | None = None  # of the locustfile: so many make the usual load
    locust_arguments: tuple[str, ...] = ()  # as on Locust's command line
    writes: Annotated[float, Field(ge=0, le=0.4)] = (
        0.1  # of the requests are [writes] create, where it is given, and as many read them back
    )
    settle_s: Annotated[float, Field(ge=0, le=60)] = 1.0  # a write is read back no sooner
    deadline_s: Seconds = 10.0  # of each request, from its intended start
    failures: Share = 0.005  # of the requests of a stage
    p95_ms: Milliseconds = 300
    p99_ms: Milliseconds = 1000
    slowdown: Annotated[float, Field(gt=1)] = 10  # p95 at the peak over that at the usual load
    unnoticed_ms: Milliseconds = 100  # below it no slowdown counts
    achieved: Annotated[float, Field(gt=0, le=1)] = 0.99  # of the requests are answered in their stage
    goodput: Annotated[float, Field(gt=0, le=1)] = 0.9  # at the peak, over that of any other stage
    recover_within_s: Seconds = 3.0
    pool_full: Share = 0.1  # of the looks at the pool at the peak
    memory_growth: Annotated[float, Field(ge=1)] = 1.5  # from the usual load to the same after the peak
    memory_growth_mb: Annotated[float, Field(ge=0)] = 100  # less than this is no growth
    slower: Annotated[float, Field(gt=1)] = 1.5  # p50 and p95 over those of the run that is compared with
    slower_ms: Annotated[float, Field(ge=0)] = 10  # so much more is no slowdown
    headroom: Annotated[float, Field(ge=1)] = 1.2  # advice only: estimated limit over the peak

    @field_validator("locustfile", mode="before")
    @classmethod
    def _none_where_empty(cls, value: Any) -> Any:
        return value or None  # so that an option can take it away

    @model_validator(mode="after")
    def _users_for_the_locustfile(self) -> LoadSettings:
        if self.locustfile is not None and self.users_at_1x is None:
            raise ValueError(
                "locustfile needs users_at_1x: how many of its users make expected_rps together"
                " (rps times the seconds from one request of a user to the next)"
            )
        if self.locustfile is not None and self.expected_rps is None:
            raise ValueError("locustfile needs expected_rps, too: what its users have to make at 1x")
        if (self.users_at_1x or 0) * self.multiplier > MOST_USERS:
            raise ValueError(f"users_at_1x times multiplier is more than {MOST_USERS:,} users")
        return self

    @model_validator(mode="after")
    def _no_more_than_can_be_held(self) -> LoadSettings:
        if self.expected_rps is not None and self.peak_rps > 100_000:
            raise ValueError("expected_rps times multiplier is more than 100,000 requests a second")
        return self

    @property
    def peak_rps(self) -> float:
        """Requests a second at the peak."""
        return (self.expected_rps or 0.0) * self.multiplier

    @property
    def climb(self) -> tuple[float, ...]:
        """The multiples between the usual load and the peak."""
        return tuple(sorted(step for step in set(self.steps) if step < self.multiplier))
