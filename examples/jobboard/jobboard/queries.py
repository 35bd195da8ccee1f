"""Every statement of the service; each takes a connection for as long as it runs."""

import hashlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, false, func, literal, literal_column, select, text, true, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from jobboard.models import Application, Job, Organisation, User
from jobboard.schemas import ApplicationFilters, JobFilters, NewApplication, NewJob

Record = dict[str, Any]

# Spelt as in the index on the words of titles, or the index would not fit.
ENGLISH: ColumnElement[str] = literal_column("'english'::regconfig")

SHOWN = (
    Job.id,
    Job.title,
    Job.district,
    Job.region,
    Job.status,
    Job.featured,
    Job.posted_at,
    Job.organisation_id,
    Organisation.name.label("organisation"),
)


class Conflict(Exception):
    """The request contradicts what is stored; the message is for the client."""


async def list_jobs(connection: AsyncConnection, wanted: JobFilters) -> list[Record]:
    """Return a page of jobs, newest first."""
    query = (
        select(*SHOWN)
        .join(Organisation)
        .where(*_criteria(wanted))
        .order_by(Job.posted_at.desc(), Job.id.desc())
        # Spelt out: where a plan doesn't know a limit, it is made for a tenth of the table.
        .limit(literal_column(str(wanted.limit)))
    )
    return [dict(row) for row in (await connection.execute(query)).mappings()]


def _criteria(wanted: JobFilters) -> Iterator[ColumnElement[bool]]:
    yield Job.status == wanted.status
    equal = {Job.title: wanted.title, Job.district: wanted.district, Job.region: wanted.region}
    yield from (column == value for column, value in equal.items() if value is not None)
    if wanted.featured is not None:
        # Spelt without a parameter, so that the partial index is known to fit.
        yield Job.featured == (true() if wanted.featured else false())
    if wanted.q is not None:
        words = func.to_tsvector(ENGLISH, Job.title)
        yield words.op("@@", is_comparison=True)(func.websearch_to_tsquery(ENGLISH, wanted.q))
    if wanted.after is not None:
        yield tuple_(Job.posted_at, Job.id) < tuple_(*map(literal, wanted.after))


async def job_detail(connection: AsyncConnection, job_id: int) -> Record | None:
    """Return a job with its organisation and its number of applications by stage, in one statement."""
    stages = (
        select(Application.stage, func.count().label("number"))
        .where(Application.job_id == job_id)
        .group_by(Application.stage)
        .subquery()
    )
    counts = select(func.jsonb_object_agg(stages.c.stage, stages.c.number)).scalar_subquery()
    query = select(*SHOWN, Job.description, counts.label("applications")).join(Organisation)
    row = (await connection.execute(query.where(Job.id == job_id))).mappings().one_or_none()
    return None if row is None else {**row, "applications": row["applications"] or {}}


async def create_job(connection: AsyncConnection, job: NewJob, key: str | None) -> int:
    """Create a job and return its id; with a key seen before, return that of the job created then."""
    digest = hashlib.sha256(job.model_dump_json().encode()).hexdigest() if key else None
    values = {**job.model_dump(), "idempotency_key": key, "request_digest": digest}
    statement = upsert(Job).values(values).on_conflict_do_nothing(index_elements=[Job.idempotency_key])
    created = (await connection.execute(statement.returning(Job.id))).scalar_one_or_none()
    if created is not None:
        return created
    earlier = select(Job.id, Job.request_digest).where(Job.idempotency_key == key)
    row = (await connection.execute(earlier)).mappings().one()
    if row["request_digest"] != digest:
        raise Conflict("this Idempotency-Key was used for another request")
    return int(row["id"])


async def apply(connection: AsyncConnection, job_id: int, application: NewApplication) -> int | None:
    """Create an application and return its id, or None if there is no such job."""
    values = select(Job.id, literal(application.user_id), literal(application.cover_letter))
    source = values.where(Job.id == job_id, Job.status == "open")
    statement = upsert(Application).from_select(["job_id", "user_id", "cover_letter"], source)
    statement = statement.on_conflict_do_nothing(constraint="applications_user_id_job_id_key")
    created = (await connection.execute(statement.returning(Application.id))).scalar_one_or_none()
    if created is not None:
        return created
    status = await _status(connection, job_id)
    if status is None:
        return None
    raise Conflict("this user has already applied" if status == "open" else "this job is not open")


async def list_applications(
    connection: AsyncConnection, job_id: int, wanted: ApplicationFilters
) -> list[Record] | None:
    """Return a page of a job's applications with their users, or None if there is no such job."""
    query = (
        select(
            Application.id,
            Application.stage,
            Application.rating,
            Application.cover_letter,
            Application.applied_at,
            Application.user_id,
            User.name.label("user"),
        )
        .join(User)
        .where(Application.job_id == job_id, Application.id > wanted.after)
        .order_by(Application.id)
        .limit(literal_column(str(wanted.limit)))
    )
    rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    if not rows and await _status(connection, job_id) is None:
        return None
    return rows


async def schema_revision(connection: AsyncConnection) -> str | None:
    """Return the migration that the database is at."""
    rows = await connection.execute(text("SELECT version_num FROM alembic_version"))
    return next((str(revision) for revision in rows.scalars()), None)


async def wal_position(connection: AsyncConnection) -> int:
    """Return how far the server has come in the log of the primary: written by that, replayed by a replica."""
    reached = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
    return int((await connection.execute(text(f"SELECT pg_wal_lsn_diff({reached}, '0/0')"))).scalar_one())


async def _status(connection: AsyncConnection, job_id: int) -> str | None:
    return (await connection.execute(select(Job.status).where(Job.id == job_id))).scalar_one_or_none()
