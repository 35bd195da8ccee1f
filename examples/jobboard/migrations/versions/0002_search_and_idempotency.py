"""Search by words, and keys that make a repeated request harmless. The table is in use meanwhile."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INDEXES = {
    "jobs_title_words_idx": "INDEX CONCURRENTLY {} ON jobs USING gin (to_tsvector('english'::regconfig, title))",
    "jobs_idempotency_key_idx": "UNIQUE INDEX CONCURRENTLY {} ON jobs (idempotency_key)",
}


def upgrade() -> None:
    """Add the columns, then build their indexes while rows are written."""
    # Nullable and without a default, so that no row is rewritten.
    op.add_column("jobs", sa.Column("idempotency_key", sa.Text, nullable=True), if_not_exists=True)
    op.add_column("jobs", sa.Column("request_digest", sa.Text, nullable=True), if_not_exists=True)
    with op.get_context().autocommit_block():
        # Nobody waits behind a concurrent build, so that it may wait for others as long as it must.
        op.execute("SET lock_timeout = 0")
        for name, definition in INDEXES.items():
            # An interrupted build leaves an invalid index behind; it is replaced.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE {definition.format(name)}")
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    """Drop the indexes while rows are written, then the columns."""
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    for column in ("request_digest", "idempotency_key"):
        op.drop_column("jobs", column)
