"""Runs found among the entries, the newest first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index("entries_runs", "entries", ["at", "id"], sqlite_where=sa.text("kind = 'run'"))
