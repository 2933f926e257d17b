"""What was taken in from the journal, and that a decision may replace several."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

ORDERED = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("decisions", sa.Column("clause", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "replacements",
        sa.Column("decision", sa.Text(), sa.ForeignKey("decisions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("replaced", sa.Text(), primary_key=True),
    )
    op.execute(
        "INSERT INTO replacements (decision, replaced) SELECT id, replaces FROM decisions WHERE replaces IS NOT NULL"
    )
    op.drop_column("decisions", "replaces")
    op.create_table(
        "chains",
        sa.Column("writer", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("writer", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", ORDERED, nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_index("entries_subject", "entries", ["subject", "at"])
    op.create_index("entries_at", "entries", ["at"])
    op.create_table("withdrawn", sa.Column("subject", ORDERED, primary_key=True))
