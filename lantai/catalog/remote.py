"""The union catalogue: what was harvested from other archives, as the parts of harvests in the store tell, taken in by
their order. What the newest part says of a record holds; one that is deleted keeps its header.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lxml import etree
from sqlalchemy import Connection, select

from ..digest import of_element
from ..model import Gathered
from . import days, exposures
from . import tables as t
from .pen import gathered
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
    "INSERT INTO remote_records"
    " (source, prefix, identifier, datestamp, live, sets, title, metadata, about, part, namespace, digest, since,"
    " hops) VALUES"
    " (:source, :prefix, :identifier, :datestamp, :live, :sets, :title, :metadata, :about, :part, :namespace, :digest,"
    " :since, :hops) ON CONFLICT (source, prefix, identifier) DO UPDATE SET datestamp = excluded.datestamp,"
    " live = excluded.live, sets = excluded.sets, title = excluded.title, metadata = excluded.metadata,"
    " about = excluded.about, namespace = excluded.namespace, digest = excluded.digest,"
    " hops = min(hops, excluded.hops),"
    " part = CASE WHEN live OR excluded.live THEN excluded.part ELSE part END,"
    " since = CASE WHEN live OR excluded.live THEN excluded.since ELSE since END RETURNING key"
)
_PART = "INSERT INTO remote_parts (source, number, url, answered) VALUES (:source, :number, :url, :answered)"
_PROVENANCE = "{http://www.openarchives.org/OAI/2.0/provenance}"
_UNTOLD = 1 << 16
"""Hops of what was deleted when it came first: nothing is said of them."""
_EVERY = ("", 0)
"""In the place of a part: all that was harvested, since when it is shown on."""
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[^\s<>\"{}|\\^`\[\]#%]|%[0-9A-Fa-f]{2})+")
"""What OAI-PMH.xsd takes for an identifier: a URI, or an IRI, without a fragment."""


_GONE = (
    "UPDATE remote_records SET live = 0, title = '', metadata = '', about = '', namespace = '', digest = '',"
    " datestamp = :datestamp, part = :part, since = :since WHERE source = :source AND identifier = :identifier"
    " AND prefix <> :prefix AND live AND datestamp <= :datestamp RETURNING key"
)
"""What its source says is deleted is so in every format that was harvested before: what became of it there is not known
before the next harvest, and what was withdrawn is not shown on until then.
"""


def apply(connection: Connection, part: Gathered, seal: str) -> None:
    """See Writing.gather."""
    known = heads(connection).get(part.source, (0, ""))[0]
    if part.number <= known:
        return
    assert part.number == known + 1, "parts come in their order"
    values: dict[str, Any] = {
        "source": part.source, "prefix": part.asked.prefix, "spec": part.asked.spec or "", "url": part.url,
        "number": part.number, "seal": seal, "at": t.instant(part.at), "identify": part.identify,
        "token": part.token, "wanted": part.asked.since, "began": part.began, "answered": part.answered,
    }  # fmt: skip
    connection.exec_driver_sql(_SOURCE, _of(_SOURCE, values))
    connection.exec_driver_sql(_PART, _of(_PART, values))
    since = _since(connection, part)
    shown_on = is_shown_on(connection)
    names = [record.identifier for record in part.records] if shown_on else []
    before = _stamps(connection, names)
    for record in part.records:
        title, body = said(record.metadata) if record.live else ("", ())
        told = {
            "source": part.source, "prefix": part.asked.prefix, "identifier": record.identifier,
            "datestamp": record.datestamp, "live": record.live, "sets": json.dumps(record.sets), "title": title,
            "metadata": record.metadata, "about": json.dumps(record.about, ensure_ascii=False) if record.about
            else "", "part": part.number, **_element(record.metadata),
            "hops": _hops(record.about) if record.live else _UNTOLD,
            "since": since if _IDENTIFIER.fullmatch(record.identifier) else None,
        }  # fmt: skip
        key = connection.exec_driver_sql(_RECORD, told).scalar_one()
        gone = [] if record.live else connection.exec_driver_sql(_GONE, _of(_GONE, told)).scalars().all()
        connection.exec_driver_sql("DELETE FROM remote_words WHERE rowid = ?", [(one,) for one in (key, *gone)])
        if record.live:
            _index(connection, key, title, body)
    if shown_on:
        days.forget(connection, before | _stamps(connection, names), others=True)
    if part.asked.until is None:  # else it was a look at some days once more
        going = _ENDED if part.token is None else _GOES_ON
        connection.exec_driver_sql(going, _of(going, values))


def _stamps(connection: Connection, identifiers: Sequence[str]) -> set[int]:
    """Datestamps of these records, whoever told of them, in every format."""
    asked = (
        "SELECT DISTINCT since FROM remote_records WHERE identifier IN (SELECT value FROM json_each(?))"
        " AND since IS NOT NULL"
    )
    return set(connection.exec_driver_sql(asked, (json.dumps(identifiers),)).scalars())


def _since(connection: Connection, part: Gathered) -> int:
    """The datestamp of what a part tells. Where that is shown on, none comes before an answer that was given."""
    known: dict[tuple[str, int], int] = {
        (source, number): at
        for source, number, at in connection.exec_driver_sql(
            "SELECT source, number, at FROM gathered WHERE (source, number) IN ((?, ?), ('', 0))",
            (part.source, part.number),
        )
    }
    since = max(math.ceil(part.at.timestamp()), *known.values(), 0)
    before = exposures.served(connection)
    if _EVERY in known and since < before:
        since = max(before, math.ceil(time.time()))
        _note(connection, part.source, part.number, since)
    return since


def _note(connection: Connection, source: str, number: int, at: int) -> None:
    """That what a part told has no datestamp before that, which the journal is to be told."""
    for sql, values in gathered(source, number, at, entered=False):
        connection.exec_driver_sql(sql, values)


def show_on(connection: Connection, *, is_shown: bool) -> None:
    """Whether what was harvested is shown on, from now: what nobody saw so far is new, whenever it came."""
    if not is_shown:
        connection.exec_driver_sql("DELETE FROM gathered WHERE source = ''")
    elif not is_shown_on(connection):
        _note(connection, *_EVERY, max(exposures.served(connection), math.ceil(time.time())))


def go_on(connection: Connection, before: Mapping[str, int]) -> None:
    """As the catalogue before had it. before: all that it had of what left tells of."""
    known = noted(connection)
    for name, at in before.items():
        if at > known.get(name, 0):
            source, _slash, number = name.rpartition("/")
            _note(connection, source, int(number or 0), at)
    if "" not in before:
        show_on(connection, is_shown=False)


def is_shown_on(connection: Connection) -> bool:
    return connection.exec_driver_sql("SELECT 1 FROM gathered WHERE source = ''").first() is not None


def noted(connection: Connection, limit: int = -1, *, left: bool = False) -> dict[str, int]:
    """Of parts, as <source>/<number>, and of "": datestamps that cannot be derived. left: of which the journal was not
    told yet.
    """
    asked = f"SELECT source, number, at FROM gathered {'WHERE NOT entered' if left else ''} ORDER BY 1, 2 LIMIT ?"
    rows = connection.exec_driver_sql(asked, (limit,))
    return {f"{source}/{number}" if source else "": at for source, number, at in rows}


def _hops(about: Sequence[str]) -> int:
    """How many archives passed a record on, by its provenance."""
    told = [root for root in map(_parsed, about) if root is not None and root.tag == f"{_PROVENANCE}provenance"]
    return sum(1 for root in told for _one in root.iter(f"{_PROVENANCE}originDescription"))


def _element(metadata: str) -> dict[str, str]:
    """Its namespace, and the digest of it that receipts have."""
    root = _parsed(metadata) if metadata else None
    if root is None:
        return {"namespace": "", "digest": ""}
    return {"namespace": etree.QName(root).namespace or "", "digest": of_element(root)}


def _parsed(element: str) -> Any:
    """None: it was read once, but a limit of the parser was another one then."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        return etree.fromstring(element.encode(), parser)
    except etree.XMLSyntaxError:
        return None


def _of(statement: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f":{name}" in statement}


def said(metadata: str) -> tuple[str, Sequence[str]]:
    """The title of a description in whatever format, and all else that it says: the text of every element."""
    root = _parsed(metadata)
    if root is None:
        return "", ()
    every = list(root.iter("{*}*"))
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
