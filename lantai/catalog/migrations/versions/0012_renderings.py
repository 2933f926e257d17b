"""What was given of records, where it is found faster: empty, since it is made again when it is asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.drop_table("renderings")
    op.create_table(
        "renderings",
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("xml", sa.LargeBinary, nullable=False),
    )
    op.create_index("renderings_given", "renderings", ["prefix", "since", "record"], unique=True)
    op.create_index("renderings_record", "renderings", ["record"])
