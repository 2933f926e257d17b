"""What harvesters see of files and of records above; what was given them, and how much of it on each day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("exposures", sa.Column("files", sa.Boolean(), nullable=False, server_default=sa.text("0")))
    op.add_column("exposures", sa.Column("above", sa.Text, nullable=False, server_default=""))
    op.drop_index("exposures_since", "exposures")
    op.create_index("exposures_since", "exposures", ["since", "record", "until"])
    op.create_table(
        "crosswalks",
        sa.Column("since", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "renderings",
        sa.Column("prefix", sa.Text, primary_key=True),
        sa.Column("since", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("record", sa.Text, primary_key=True),
        sa.Column("xml", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("renderings_record", "renderings", ["record"])
    op.create_table(
        "exposure_days",
        sa.Column("spec", sa.Text, primary_key=True),
        sa.Column("prefix", sa.Text, primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer),
        sa.Column("root", sa.Text),
        sa.Column("at", sa.Integer),
        sa.Column("until", sa.Integer),
        sqlite_with_rowid=False,
    )
    op.create_index("exposure_days_all", "exposure_days", ["spec", "prefix"], sqlite_where=sa.text("day = -1"))
