"""The union catalogue: what was harvested from other archives, as the parts of harvests in the store tell, taken in by
their order. What the newest part says of a record holds; one that is deleted keeps its header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lxml import etree
from sqlalchemy import Connection, select

from ..model import Gathered
from . import tables as t
from .tokens import joined

_PAGE = 500
_SOURCE = (
    "INSERT INTO remote_sources (source, url, number, seal, at, identify)"
    " VALUES (:source, :url, :number, :seal, :at, :identify)"
    " ON CONFLICT (source) DO UPDATE SET url = excluded.url, number = excluded.number, seal = excluded.seal,"
    " at = excluded.at, identify = CASE excluded.identify WHEN '' THEN identify ELSE excluded.identify END"
)
_GOES_ON = (
    "INSERT INTO remote_lists (source, prefix, spec, token, wanted, began)"
    " VALUES (:source, :prefix, :spec, :token, :wanted, :began) ON CONFLICT (source, prefix, spec)"
    " DO UPDATE SET token = excluded.token, wanted = excluded.wanted, began = excluded.began"
)
_ENDED = (
    "INSERT INTO remote_lists (source, prefix, spec, since) VALUES (:source, :prefix, :spec, :began)"
    " ON CONFLICT (source, prefix, spec)"
    " DO UPDATE SET since = excluded.since, token = NULL, wanted = NULL, began = NULL"
)
_RECORD = (
    "INSERT INTO remote_records (source, prefix, identifier, datestamp, live, sets, title, metadata, about, part)"
    " VALUES (:source, :prefix, :identifier, :datestamp, :live, :sets, :title, :metadata, :about, :part)"
    " ON CONFLICT (source, prefix, identifier) DO UPDATE SET datestamp = excluded.datestamp, live = excluded.live,"
    " sets = excluded.sets, title = excluded.title, metadata = excluded.metadata, about = excluded.about,"
    " part = excluded.part RETURNING key"
)


def apply(connection: Connection, part: Gathered, seal: str) -> None:
    """See Writing.gather."""
    known = heads(connection).get(part.source, (0, ""))[0]
    if part.number <= known:
        return
    assert part.number == known + 1, "parts come in their order"
    values: dict[str, Any] = {
        "source": part.source, "prefix": part.asked.prefix, "spec": part.asked.spec or "", "url": part.url,
        "number": part.number, "seal": seal, "at": t.instant(part.at), "identify": part.identify,
        "token": part.token, "wanted": part.asked.since, "began": part.began,
    }  # fmt: skip
    connection.exec_driver_sql(_SOURCE, _of(_SOURCE, values))
    for record in part.records:
        title, body = said(record.metadata) if record.live else ("", ())
        key = connection.exec_driver_sql(
            _RECORD,
            {
                "source": part.source, "prefix": part.asked.prefix, "identifier": record.identifier,
                "datestamp": record.datestamp, "live": record.live, "sets": json.dumps(record.sets), "title": title,
                "metadata": record.metadata, "about": json.dumps(record.about, ensure_ascii=False) if record.about
                else "", "part": part.number,
            },
        ).scalar_one()  # fmt: skip
        connection.exec_driver_sql("DELETE FROM remote_words WHERE rowid = ?", (key,))
        if record.live:
            _index(connection, key, title, body)
    if part.asked.until is None:  # else it was a look at some days once more
        told = _ENDED if part.token is None else _GOES_ON
        connection.exec_driver_sql(told, _of(told, values))


def _of(statement: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f":{name}" in statement}


def said(metadata: str) -> tuple[str, Sequence[str]]:
    """The title of a description in whatever format, and all else that it says: the text of every element."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        every = list(etree.fromstring(metadata.encode(), parser).iter("{*}*"))
    except etree.XMLSyntaxError:  # it was read once: a limit of the parser was another one then
        return "", ()
    titles = [one for one in every if etree.QName(one).localname == "title" and one.text and one.text.strip()]
    texts = [text.strip() for one in every if one not in titles for text in (one.text, one.tail) if text]
    return "; ".join((one.text or "").strip() for one in titles), [text for text in texts if text]


def _index(connection: Connection, key: int, title: str, body: Sequence[str]) -> None:
    connection.exec_driver_sql(
        "INSERT INTO remote_words (rowid, title, body) VALUES (?, ?, ?)", (key, joined(title), joined(*body))
    )


def reindex(connection: Connection) -> None:
    """Fill the search table anew, which is empty."""
    last = 0
    asked = "SELECT key, metadata FROM remote_records WHERE live AND key > ? ORDER BY key LIMIT ?"
    while rows := connection.exec_driver_sql(asked, (last, _PAGE)).all():
        for key, metadata in rows:
            _index(connection, key, *said(metadata))
        last = rows[-1].key


def heads(connection: Connection) -> dict[str, tuple[int, str]]:
    rows = connection.execute(select(t.remote_sources.c.source, t.remote_sources.c.number, t.remote_sources.c.seal))
    return {source: (number, seal) for source, number, seal in rows}
