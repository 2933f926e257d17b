"""When each package was last checked, in which store and how."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "checked",
        sa.Column("package", sa.Text(), primary_key=True),
        sa.Column("store", sa.Text(), primary_key=True),
        sa.Column("level", sa.Text(), primary_key=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("valid", sa.Boolean(name="valid_known"), nullable=False),
        sa.Column("software", sa.Text(), nullable=False),
    )
    # What was taken in from the journal before there was this table.
    op.execute(
        "INSERT INTO checked (package, store, level, at, valid, software)"
        " SELECT subject, json_extract(body, '$.state.store'), json_extract(body, '$.state.level'), max(at),"
        " json_extract(body, '$.state.valid'), coalesce(json_extract(body, '$.state.software'), '')"
        " FROM entries WHERE kind = 'check'"
        " GROUP BY subject, json_extract(body, '$.state.store'), json_extract(body, '$.state.level')"
    )
