"""The sets that what is deleted keeps.

Those of a record that left its package stand in the catalogue alone: the journal is told of them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("applied", sa.Column("sets", sa.Text))
    op.execute(
        "UPDATE applied SET entered = 0, sets = (SELECT sets FROM exposures e WHERE e.record = applied.record"
        " AND e.since = applied.at) WHERE record NOT IN (SELECT id FROM records)"
    )
