"""Runs that wait for a worker: who has taken one up, until when, and how far it is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

UNFINISHED = sa.text("state IN ('queued', 'running')")


def upgrade() -> None:
    op.add_column("runs", sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("progress", sa.JSON(), nullable=True))
    op.create_index("ix_runs_unfinished", "runs", ["id"], sqlite_where=UNFINISHED, postgresql_where=UNFINISHED)


def downgrade() -> None:
    # The version before knows finished runs only.
    op.execute("DELETE FROM runs WHERE state IN ('queued', 'running')")
    op.drop_index("ix_runs_unfinished", "runs")
    for column in ("progress", "lease_until", "attempt"):
        op.drop_column("runs", column)
