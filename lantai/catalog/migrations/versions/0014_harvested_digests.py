"""Digests of what was harvested, of which the receipts of those are made who show it on."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op
from lxml import etree

revision = "0014"
down_revision = "0013"

_PAGE = 500


def upgrade() -> None:
    op.add_column("remote_records", sa.Column("digest", sa.Text, nullable=False, server_default=""))
    connection, last = op.get_bind(), 0
    asked = "SELECT key, metadata FROM remote_records WHERE live AND key > ? ORDER BY key LIMIT ?"
    while rows := connection.exec_driver_sql(asked, (last, _PAGE)).all():
        told = [(_digest(metadata), key) for key, metadata in rows]
        connection.exec_driver_sql("UPDATE remote_records SET digest = ? WHERE key = ?", told)
        last = rows[-1][0]


def _digest(metadata: str) -> str:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        element = etree.fromstring(metadata.encode(), parser)
    except etree.XMLSyntaxError:
        return ""
    canonical: bytes = etree.tostring(element, method="c14n", exclusive=True, with_comments=False)
    return hashlib.sha256(canonical).hexdigest()
