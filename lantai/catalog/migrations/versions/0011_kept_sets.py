"""Sets that what is deleted keeps: after each migration all is derived anew, and keeps those that it is shown in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("applied", sa.Column("sets", sa.Text))
