"""No job without a title. The table is in use meanwhile, and its rows are searched without a lock in the way."""

from alembic import op

revision = "0003"
down_revision = "0002"

NAME = "jobs_title_check"


def upgrade() -> None:
    """Declare the constraint for new rows, then look for old ones that break it."""
    # In one statement, so that it can be tried again after it was interrupted half way.
    op.execute(
        f"ALTER TABLE jobs DROP CONSTRAINT IF EXISTS {NAME}, ADD CONSTRAINT {NAME} CHECK (title <> '') NOT VALID"
    )
    # Committed first: the search would else hold the lock that the declaration took.
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE jobs VALIDATE CONSTRAINT {NAME}")


def downgrade() -> None:
    """Drop the constraint."""
    op.execute(f"ALTER TABLE jobs DROP CONSTRAINT {NAME}")
