"""The tables. They are new and empty, so that nobody waits for their indexes and constraints."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "organisations",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="organisations_pkey"),
        sa.UniqueConstraint("name", name="organisations_name_key"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.UniqueConstraint("email", name="users_email_key"),
    )
    _create_jobs()
    _create_applications()


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("organisation_id", sa.BigInteger, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("district", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("featured", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="jobs_pkey"),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name="jobs_organisation_id_fkey"),
        sa.CheckConstraint("status IN ('draft', 'open', 'closed')", name="jobs_status_check"),
    )
    op.create_index("jobs_organisation_id_idx", "jobs", ["organisation_id"])
    op.create_index("jobs_status_posted_idx", "jobs", ["status", "posted_at", "id"])
    op.create_index("jobs_region_posted_idx", "jobs", ["region", "status", "posted_at", "id"])
    op.create_index("jobs_district_posted_idx", "jobs", ["district", "status", "posted_at", "id"])
    op.create_index("jobs_title_idx", "jobs", ["title"])
    op.create_index(
        "jobs_featured_posted_idx",
        "jobs",
        ["status", "posted_at", "id"],
        postgresql_where=sa.text("featured"),
    )


def _create_applications() -> None:
    op.create_table(
        "applications",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("job_id", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.Text, server_default=sa.text("'applied'"), nullable=False),
        sa.Column("rating", sa.SmallInteger, nullable=True),
        sa.Column("cover_letter", sa.Text, nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="applications_pkey"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="applications_job_id_fkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="applications_user_id_fkey"),
        sa.UniqueConstraint("user_id", "job_id", name="applications_user_id_job_id_key"),
        sa.CheckConstraint(
            "stage IN ('applied', 'screening', 'interview', 'offer', 'hired', 'rejected')",
            name="applications_stage_check",
        ),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name="applications_rating_check"),
    )
    op.create_index("applications_job_id_idx", "applications", ["job_id", "id"])


def downgrade() -> None:
    """Drop the tables, those that refer to others first."""
    for table in ("applications", "jobs", "users", "organisations"):
        op.drop_table(table)
