"""A user's code: jobs of employers, through SQLAlchemy."""

from __future__ import annotations

import os

from sqlalchemy import Engine, ForeignKey, create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    """All tables."""


class Employer(Base):
    """Who has jobs."""

    __tablename__ = "employers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Job(Base):
    """What there is to do; nothing is indexed but its key."""

    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    region: Mapped[str]
    employer_id: Mapped[int] = mapped_column(ForeignKey("employers.id"))
    employer: Mapped[Employer] = relationship()


def make_engine() -> Engine:
    """The engine, by the service's own variable."""
    return create_engine(os.environ["DATABASE_URL"])


def list_jobs(session: Session, count: int) -> list[str]:
    """A page of jobs with their employers, which are loaded one by one."""
    jobs = session.scalars(select(Job).order_by(Job.id).limit(count))
    return [f"{job.id} {job.employer.name}" for job in jobs]


async def jobs_by_region(session: AsyncSession, regions: list[str]) -> int:
    """How many jobs the regions have, asked one by one."""
    found = 0
    for region in regions:
        found += len((await session.scalars(select(Job).where(Job.region == region))).all())
    return found
