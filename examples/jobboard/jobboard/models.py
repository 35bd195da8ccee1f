"""The tables, and the indexes that their queries need."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# The migration that these models describe.
REVISION = "0003"

JOB_STATUSES = ("draft", "open", "closed")
STAGES = ("applied", "screening", "interview", "offer", "hired", "rejected")


class Base(DeclarativeBase):
    """What all tables share: names of constraints that migrations can rely on."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )
    type_annotation_map: ClassVar = {int: BigInteger, str: Text, datetime: DateTime(timezone=True)}


class Organisation(Base):
    """An employer."""

    __tablename__ = "organisations"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class User(Base):
    """Somebody who applies for jobs."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)


class Job(Base):
    """A job listing."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ('draft', 'open', 'closed')", name="status"),
        CheckConstraint("title <> ''", name="title"),
        Index("jobs_organisation_id_idx", "organisation_id"),
        # Each list is read newest first: what it filters by leads, what it is ordered by follows, so that a
        # page is a short backward scan of one index.
        Index("jobs_status_posted_idx", "status", "posted_at", "id"),
        Index("jobs_region_posted_idx", "region", "status", "posted_at", "id"),
        Index("jobs_district_posted_idx", "district", "status", "posted_at", "id"),
        Index("jobs_featured_posted_idx", "status", "posted_at", "id", postgresql_where=text("featured")),
        Index("jobs_title_idx", "title"),
        Index(
            "jobs_title_words_idx",
            func.to_tsvector(literal_column("'english'::regconfig"), literal_column("title")),
            postgresql_using="gin",
        ),
        Index("jobs_idempotency_key_idx", "idempotency_key", unique=True),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    title: Mapped[str]
    description: Mapped[str]
    district: Mapped[str]
    region: Mapped[str]
    status: Mapped[str]
    featured: Mapped[bool] = mapped_column(server_default=text("false"))
    posted_at: Mapped[datetime] = mapped_column(server_default=func.now())
    idempotency_key: Mapped[str | None]
    request_digest: Mapped[str | None]


class Application(Base):
    """One user's application for one job."""

    __tablename__ = "applications"
    __table_args__ = (
        CheckConstraint(
            "stage IN ('applied', 'screening', 'interview', 'offer', 'hired', 'rejected')", name="stage"
        ),
        CheckConstraint("rating BETWEEN 1 AND 5", name="rating"),
        # Leads with the user, so that it also serves that foreign key; the index below serves the other.
        UniqueConstraint("user_id", "job_id", name="applications_user_id_job_id_key"),
        Index("applications_job_id_idx", "job_id", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    stage: Mapped[str] = mapped_column(server_default=text("'applied'"))
    rating: Mapped[int | None] = mapped_column(SmallInteger)
    cover_letter: Mapped[str]
    applied_at: Mapped[datetime] = mapped_column(server_default=func.now())
