"""The tables, the same on SQLite and PostgreSQL; migrations/ makes them, a test compares the two."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    TypeDecorator,
    Uuid,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Moment(TypeDecorator[datetime]):
    """A point in time to the microsecond: timestamptz on PostgreSQL, ISO text in UTC on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Hand UTC to the driver: SQLite drops the offset."""
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    """What every table shares: names for constraints, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Moment(), UUID: Uuid(), bytes: LargeBinary()}  # noqa: RUF012


class GraphRow(Table):
    """A graph document, once per owner however often it is posted."""

    __tablename__ = "graphs"

    owner: Mapped[str] = mapped_column(String(128), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # the content hash
    created_at: Mapped[datetime]
    name: Mapped[str | None]
    node_count: Mapped[int]
    # Last, so that SQLite lists graphs without reading the documents' overflow pages.
    document: Mapped[bytes]

    __table_args__ = (Index(None, "owner", "created_at", "id"),)


_UNFINISHED = text("state IN ('queued', 'running')")


class RunRow(Table):
    """One computation: what was asked, when, and what there is to say about it besides numbers."""

    __tablename__ = "runs"

    id: Mapped[UUID] = mapped_column(primary_key=True)  # version 7: in order of creation
    owner: Mapped[str] = mapped_column(String(128))
    graph_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    findings: Mapped[dict[str, Any]] = mapped_column(JSON)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # Of those that wait, or are being computed, on their own: how often they were taken up, and by when whoever
    # did so last has to say that they are still at it.
    attempt: Mapped[int] = mapped_column(server_default="0")
    lease_until: Mapped[datetime | None]
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    __table_args__ = (
        ForeignKeyConstraint(["owner", "graph_id"], ["graphs.owner", "graphs.id"], ondelete="RESTRICT"),
        Index(None, "owner", "id"),
        Index(None, "owner", "graph_id", "id"),
        Index("ix_runs_unfinished", "id", sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
    )


class RunArrayRow(Table):
    """The numbers of a run, by name: float64, little-endian, in rows; see docs/storage-format.md."""

    __tablename__ = "run_arrays"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    shape: Mapped[list[int]] = mapped_column(JSON)
    data: Mapped[bytes]


class KeyRow(Table):
    """An API key, known by its hash alone. Rows stay when keys are revoked: they say who had access when."""

    __tablename__ = "keys"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256, in hexadecimal
    id: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(128))
    scope: Mapped[str] = mapped_column(String(8))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "name"),)


class IdempotencyRow(Table):
    """A request that may come again: who works on it until when, then what it was answered."""

    __tablename__ = "idempotency_keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256 of owner, path and key
    fingerprint: Mapped[str] = mapped_column(String(64))  # SHA-256 of query and body
    created_at: Mapped[datetime] = mapped_column(index=True)
    attempt: Mapped[int]  # who holds the claim: it grows with every holder
    claimed_until: Mapped[datetime]
    run_id: Mapped[UUID]  # for the run that comes of it, if one does
    status: Mapped[int | None]
    headers: Mapped[list[tuple[str, str]] | None] = mapped_column(JSON(none_as_null=True))
    body: Mapped[bytes | None]
