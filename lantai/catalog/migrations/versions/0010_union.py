"""What was harvested, shown on to who harvests here: since when, and where it came from.

Of what was taken in before, the date of the harvest is that of the newest one of its source, until a rebuild.
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op
from lxml import etree

revision = "0010"
down_revision = "0009"

_PAGE = 500
_HOP = re.compile(r"<(?:[\w.-]+:)?originDescription\b")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[^\s<>\"{}|\\^`\[\]#%]|%[0-9A-Fa-f]{2})+")


def upgrade() -> None:
    op.create_table(
        "remote_parts",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("answered", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "gathered",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("entered", sa.Boolean(name="entered_known"), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("gathered_left", "gathered", ["source", "number"], sqlite_where=sa.text("NOT entered"))
    op.add_column("remote_records", sa.Column("namespace", sa.Text, nullable=False, server_default=""))
    op.add_column("remote_records", sa.Column("since", sa.Integer))
    op.add_column("remote_records", sa.Column("hops", sa.Integer, nullable=False, server_default="0"))
    op.execute(
        "INSERT INTO remote_parts (source, number, url, answered) SELECT DISTINCT r.source, r.part, s.url,"
        " substr(s.at, 1, 19) || 'Z' FROM remote_records r JOIN remote_sources s ON s.source = r.source"
    )
    _fill()
    op.create_index("remote_records_identifier", "remote_records", ["identifier", "prefix", "since", "source"])
    op.create_index("remote_records_part", "remote_records", ["source", "part"])
    op.create_index("remote_records_since", "remote_records", ["prefix", "since", "identifier"])


def _fill() -> None:
    """since: before it is shown on for the first time all gets a later one."""
    connection, last = op.get_bind(), 0
    asked = "SELECT key, identifier, live, metadata, about FROM remote_records WHERE key > ? ORDER BY key LIMIT ?"
    while rows := connection.exec_driver_sql(asked, (last, _PAGE)).all():
        for key, identifier, live, metadata, about in rows:
            parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            name = etree.QName(etree.fromstring(metadata.encode(), parser)).namespace or "" if live else ""
            since = 0 if _IDENTIFIER.fullmatch(identifier) else None
            hops = len(_HOP.findall(about)) if live else 1 << 16
            connection.exec_driver_sql(
                "UPDATE remote_records SET namespace = ?, since = ?, hops = ? WHERE key = ?", (name, since, hops, key)
            )
        last = rows[-1][0]
