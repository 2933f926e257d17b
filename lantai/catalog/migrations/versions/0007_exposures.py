"""What harvesters see of records over time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "exposures",
        sa.Column("record", sa.Text, primary_key=True),
        sa.Column("since", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("until", sa.Integer),
        sa.Column("live", sa.Boolean(name="live_known"), nullable=False),
        sa.Column("sets", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_index("exposures_since", "exposures", ["since", "record"])
    op.create_table(
        "exposure_sets",
        sa.Column("spec", sa.Text, primary_key=True),
        sa.Column("since", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("record", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("exposure_sets_record", "exposure_sets", ["record"])
    op.create_table(
        "applied",
        sa.Column("record", sa.Text, primary_key=True),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("entered", sa.Boolean(name="entered_known"), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("applied_left", "applied", ["record"], sqlite_where=sa.text("NOT entered"))
