"""What was harvested from other archives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "remote_sources",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("seal", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("identify", sa.Text, nullable=False),
    )
    op.create_table(
        "remote_lists",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("prefix", sa.Text, primary_key=True),
        sa.Column("spec", sa.Text, primary_key=True),
        sa.Column("since", sa.Text),
        sa.Column("token", sa.Text),
        sa.Column("wanted", sa.Text),
        sa.Column("began", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "remote_records",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("identifier", sa.Text, nullable=False),
        sa.Column("datestamp", sa.Text, nullable=False),
        sa.Column("live", sa.Boolean(name="live_known"), nullable=False),
        sa.Column("sets", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.UniqueConstraint("source", "prefix", "identifier"),
    )
    op.create_index("remote_records_datestamp", "remote_records", ["source", "prefix", "datestamp", "identifier"])
    if op.get_context().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE remote_words USING fts5(title, body, tokenize='ascii')")
