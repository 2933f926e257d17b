"""The catalogue as it was first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

ORDERED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
KEY = sa.Integer().with_variant(postgresql.BIGINT(), "postgresql")
ENDING = sa.text("substr(id, 40, 6)")


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("record", ORDERED, nullable=False),
        sa.Column(
            "shown",
            sa.Text(),
            sa.CheckConstraint("shown IN ('closed', 'description', 'open')", name="shown_known"),
            nullable=False,
        ),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("ground", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("replaces", sa.Text()),
    )
    op.create_index("decisions_record", "decisions", ["record", "at"])
    op.create_table(
        "formats",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("puid", sa.Text()),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("mime", sa.Text()),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
    )
    op.create_table(
        "packages",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("id", ORDERED, nullable=False, unique=True),
        sa.Column("version", sa.Integer(), sa.CheckConstraint("version >= 1", name="version_counts"), nullable=False),
        sa.Column("created", sa.Text(), nullable=False),
        sa.Column("submission", sa.LargeBinary(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("bytes", KEY, nullable=False),
    )
    op.create_index("packages_ending", "packages", [ENDING])
    op.create_table(
        "state",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_table(
        "agents",
        sa.Column(
            "package",
            KEY,
            sa.ForeignKey("packages.key", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            sa.CheckConstraint("kind IN ('person', 'organization', 'software')", name="kind_known"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text()),
        sa.UniqueConstraint("package", "id"),
    )
    op.create_table(
        "contents",
        sa.Column("content", sa.Text(), primary_key=True),
        sa.Column(
            "package",
            KEY,
            sa.ForeignKey("packages.key", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("contents_package", "contents", ["package"])
    op.create_table(
        "events",
        sa.Column(
            "package",
            KEY,
            sa.ForeignKey("packages.key", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column(
            "outcome",
            sa.Text(),
            sa.CheckConstraint("outcome IN ('success', 'warning', 'fail')", name="outcome_known"),
            nullable=False,
        ),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("objects", sa.Text),
        sa.UniqueConstraint("package", "id"),
    )
    op.create_table(
        "package_formats",
        sa.Column(
            "package",
            KEY,
            sa.ForeignKey("packages.key", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("puid", sa.Text(), primary_key=True),
        sa.Column("files", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "records",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("id", ORDERED, nullable=False, unique=True),
        sa.Column("package", KEY, sa.ForeignKey("packages.key", ondelete="CASCADE")),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "level",
            sa.Text(),
            sa.CheckConstraint(
                "level IN ('fonds', 'subfonds', 'series', 'subseries', 'file', 'item')", name="level_known"
            ),
            nullable=False,
        ),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False, server_default="0"),
    )
    op.create_index("records_ending", "records", [ENDING])
    op.create_index("records_package", "records", ["package", "position"])
    op.create_table(
        "versions",
        sa.Column(
            "package",
            KEY,
            sa.ForeignKey("packages.key", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_table(
        "dates",
        sa.Column(
            "record",
            KEY,
            sa.ForeignKey("records.key", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("earliest", sa.Date()),
        sa.Column("latest", sa.Date()),
        sa.Column("approximate", sa.Boolean(create_constraint=True, name="approximate_known"), nullable=False),
        sa.Column("edtf", sa.Text()),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "elements",
        sa.Column(
            "record",
            KEY,
            sa.ForeignKey("records.key", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("term", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("language", sa.Text()),
        sa.Column("scheme", sa.Text()),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_agents",
        sa.Column("package", KEY, primary_key=True, autoincrement=False),
        sa.Column("event", sa.Text(), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["package", "event"], ["events.package", "events.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["package", "agent"], ["agents.package", "agents.id"], ondelete="CASCADE"),
    )
    op.create_index("event_agents_agent", "event_agents", ["package", "agent"])
    op.create_table(
        "extents",
        sa.Column(
            "record",
            KEY,
            sa.ForeignKey("records.key", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Float(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "files",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("id", ORDERED, nullable=False, unique=True),
        sa.Column(
            "package",
            KEY,
            sa.ForeignKey("packages.key", ondelete="CASCADE"),
            nullable=False,
            autoincrement=False,
        ),
        sa.Column("record", KEY, sa.ForeignKey("records.key"), nullable=False),
        sa.Column("path", ORDERED, nullable=False),
        sa.Column("original_name", sa.LargeBinary()),
        sa.Column("size", KEY, sa.CheckConstraint("size >= 0", name="size_counts"), nullable=False),
        sa.Column("modified", sa.Text()),
        sa.UniqueConstraint("package", "path"),
    )
    op.create_index("files_ending", "files", [ENDING])
    op.create_index("files_record", "files", ["record"])
    op.create_table(
        "places",
        sa.Column(
            "record",
            KEY,
            sa.ForeignKey("records.key", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("hierarchy", sa.Text(), primary_key=True),
        sa.Column("parent", ORDERED),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("reference_code", ORDERED),
    )
    op.create_index("places_parent", "places", ["hierarchy", "parent", "position"])
    op.create_index("places_reference_code", "places", ["reference_code"])
    op.create_table(
        "record_paths",
        sa.Column(
            "record",
            KEY,
            sa.ForeignKey("records.key", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("path", ORDERED, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "digests",
        sa.Column("file", KEY, sa.ForeignKey("files.key", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("algorithm", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "file_events",
        sa.Column("file", KEY, sa.ForeignKey("files.key", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("package", KEY, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["package", "event"], ["events.package", "events.id"], deferrable=True, initially="DEFERRED"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("file_events_event", "file_events", ["package", "event"])
    op.create_table(
        "identifications",
        sa.Column("file", KEY, sa.ForeignKey("files.key", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("format", KEY, sa.ForeignKey("formats.key"), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("warning", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    if op.get_context().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE record_words USING fts5(title, body, tokenize='ascii')")
        op.execute("CREATE VIRTUAL TABLE file_words USING fts5(name, tokenize='ascii')")
