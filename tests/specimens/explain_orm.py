"""N+1 as an ORM makes it: by a relationship that is loaded lazily, and by a template that asks a database."""

from __future__ import annotations

from typing import Any

from tests.specimens import Specimen, Swap

MODELS, QUERIES = "jobboard/models.py", "jobboard/queries.py"
COLUMNS = "    request_digest: Mapped[str | None]\n"
LIST = "    return [dict(row) for row in (await connection.execute(query)).mappings()]\n\n\ndef _criteria"
TRAFFIC: dict[str, Any] = {
    "requests": [{"name": "list", "path": "/jobs?region=Region%205&limit=20"}],
    "explain.rows": {"jobs": 20_000, "applications": 20_000},
}
SOUND = ("explain.statements-captured", "explain.no-large-seq-scan", "explain.foreign-keys-indexed")

# The list as an ORM gives it: objects first, and what belongs to them when somebody looks.
BY_OBJECTS = """    return await connection.run_sync(_listed, query.with_only_columns(Job))


def _listed(connection, query):
    from sqlalchemy.orm import Session

    with Session(bind=connection) as session:
        return [_shown(job) for job in session.scalars(query).all()]


def _shown(job):
    row = {{"id": job.id, "title": job.title, "posted_at": job.posted_at}}
    {line}
    return row


def _criteria"""

SPECIMENS = (
    Specimen(
        name="explain-n-plus-one-by-lazy-loading",
        breaks="explain.no-n-plus-one",
        says="FROM applications WHERE",
        changes="joined or select-in loading",
        swaps=(
            Swap(
                MODELS,
                COLUMNS,
                f"{COLUMNS}\n    applications: Mapped[list['Application']] = relationship()\n",
            ),
            Swap(
                MODELS,
                "DeclarativeBase, Mapped, mapped_column",
                "DeclarativeBase, Mapped, mapped_column, relationship",
            ),
            Swap(QUERIES, LIST, BY_OBJECTS.format(line='row["applications"] = len(job.applications)')),
        ),
        settings=TRAFFIC,
        still_passes=SOUND,
    ),
    Specimen(
        name="explain-n-plus-one-in-a-template",
        breaks="explain.no-n-plus-one",
        says="SELECT count(*)",
        changes="WHERE … = ANY($1)",
        swaps=(
            Swap(
                MODELS,
                COLUMNS,
                f"""{COLUMNS}
    @property
    def applicants(self) -> int:
        from sqlalchemy import select
        from sqlalchemy.orm import object_session

        number = select(func.count()).select_from(Application).where(Application.job_id == self.id)
        return object_session(self).scalar(number)
""",
            ),
            Swap(
                QUERIES,
                LIST,
                BY_OBJECTS.format(
                    line='row["html"] = "<li>{job.title} ({job.applicants} applicants)</li>".format(job=job)'
                ),
            ),
        ),
        settings=TRAFFIC,
        still_passes=SOUND,
    ),
)
