"""Where each version of a package lies, and since when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

KEY = sa.Integer().with_variant(postgresql.BIGINT(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "copies",
        sa.Column(
            "package",
            KEY,
            sa.ForeignKey("packages.key", ondelete="CASCADE"),
            primary_key=True,
            nullable=False,
            autoincrement=False,
        ),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("store", sa.Text(), primary_key=True),
        sa.Column("since", sa.Text(), nullable=False),
    )
