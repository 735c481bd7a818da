"""Graphs, runs, and the arrays of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "graphs",
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("node_count", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_graphs"),
    )
    op.create_index("ix_graphs_owner_created_at_id", "graphs", ["owner", "created_at", "id"])
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("graph_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.ForeignKeyConstraint(
            ["owner", "graph_id"],
            ["graphs.owner", "graphs.id"],
            name="fk_runs_owner_graph_id_graphs",
            ondelete="RESTRICT",
        ),
    )
    op.create_index("ix_runs_owner_id", "runs", ["owner", "id"])
    op.create_index("ix_runs_owner_graph_id_id", "runs", ["owner", "graph_id", "id"])
    op.create_table(
        "run_arrays",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("shape", sa.JSON(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", name="pk_run_arrays"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_arrays_run_id_runs", ondelete="CASCADE"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # float64 hardly compresses; without this PostgreSQL spends its time trying.
        op.execute("ALTER TABLE run_arrays ALTER COLUMN data SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_table("run_arrays")
    op.drop_table("runs")
    op.drop_table("graphs")
