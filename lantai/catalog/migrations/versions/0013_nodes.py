"""What parts of the arrangement of a fonds are called in sets, kept: after each migration all is derived anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("record", sa.Text, primary_key=True),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("entered", sa.Boolean(name="entered_known")),
        sqlite_with_rowid=False,
    )
    op.create_index("nodes_part", "nodes", ["part"])
    op.create_index("nodes_left", "nodes", ["record"], sqlite_where=sa.text("NOT entered"))
