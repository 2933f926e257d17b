"""What is seen of a record while it is live: its sets, and digests of all that any format may say.

A part of the arrangement of a fonds is called in setSpecs by its code, if it can be, else by its uuid; never by its
title, which may be closed, and changes. What it was called when it was seen first it is called for good.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from sqlalchemy import Connection

from ..model import Holdings, RecordId
from . import queries, shown
from . import tables as t
from .rows import FONDS

TYPE = "type"
_TYPES: Mapping[str, Sequence[str]] = {
    "collection": ("合集",), "dataset": ("数据集", "数据"), "event": ("事件",),
    "image": ("图像", "图片"), "interactiveresource": ("交互资源",), "movingimage": ("录像", "视频", "影像"),
    "physicalobject": ("实物",), "service": ("服务",), "software": ("软件",), "sound": ("录音", "音频"),
    "stillimage": ("照片", "静态图像"), "text": ("文本", "文字", "文书"),
}  # fmt: skip
"""The DCMI Type Vocabulary, folded, and what the same is called in Chinese sheets."""
_TYPE_OF = {name: type for type, names in _TYPES.items() for name in (type, *names)}
_IN_FONDS = ("fonds", "subfonds", "series", "subseries")
_SPEC = re.compile(r"[A-Za-z0-9\-_.!~*'()]+")
"""A part of a setSpec (OAI-PMH 2.0 section 2.7.1)."""


class Node(NamedTuple):
    """A part of the arrangement of a fonds. part: of a setSpec, what it is called; code: what it would be, seen now."""

    id: str
    part: str
    code: str


class Content(NamedTuple):
    """nodes: of those above it and itself the parts of the arrangement, from the fonds down; specs: of the other sets
    that it is in; told, files: digests of the description and of its files.
    """

    nodes: tuple[Node, ...]
    specs: tuple[str, ...]
    told: str
    files: str

    def sets(self, live: Collection[str]) -> str:
        """setSpecs, spaces between them, while those are live: what is not is no set, and neither is what is below."""
        parts = [one.part for one in takewhile(lambda node: node.id in live, self.nodes)]
        return " ".join(sorted([":".join(("fonds", *parts)), *self.specs] if parts else self.specs))


def contents(connection: Connection, lines: Mapping[str, Sequence[str]], instant: int) -> Mapping[str, Content]:
    """Of the records that are in their packages. lines: of each, itself and those above it in the fonds, the nearest
    first; instant: now.
    """
    if not lines:
        return {}
    nodes = _nodes(connection, {one for line in lines.values() for one in line}, instant)
    files = {id: digest(_listed(one)) for id, one in shown.holdings(connection, [RecordId(one) for one in lines])}
    found: dict[str, Content] = {}
    for stored in queries.stored_records(connection, t.records.c.id.in_(list(lines))):
        record = stored.record
        types = {_TYPE_OF.get(value.replace(" ", "").casefold()) for value in record.description.values("dc.type")}
        told = [
            record.description.level,
            [[one.term, one.value, one.language, one.scheme] for one in record.description.elements],
            [[place.hierarchy, place.parent, place.reference_code] for place in stored.places],
        ]
        found[record.id] = Content(
            tuple(nodes[one] for one in reversed(lines[record.id]) if one in nodes),
            (f"level:{record.description.level}", *(f"{TYPE}:{one}" for one in types if one)),
            digest(told),
            files.get(record.id, ""),
        )
    return found


def _listed(held: Holdings) -> object:
    listed = [
        [one.id, one.original_name, one.digests.size, sorted(one.digests.values.items())]
        + [[form.puid, form.name, form.version, form.mime] for form in one.formats]
        for one in held.listed
    ]
    return [held.files, held.bytes, sorted(held.formats.items()), listed]


def digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _nodes(connection: Connection, records: Iterable[str], instant: int) -> dict[str, Node]:
    asked = (
        "SELECT records.id, places.reference_code AS code, nodes.part FROM records"
        " LEFT JOIN places ON places.record = records.key AND places.hierarchy = ?"
        " LEFT JOIN nodes ON nodes.record = records.id AND (nodes.since < ? OR nodes.entered IS NOT NULL)"
        " WHERE records.level IN (SELECT value FROM json_each(?)) AND records.id IN (SELECT value FROM json_each(?))"
    )
    values = (FONDS, instant, json.dumps(_IN_FONDS), json.dumps(sorted(records)))
    found: dict[str, Node] = {}
    for id, code, part in connection.exec_driver_sql(asked, values):
        now = code if code and _SPEC.fullmatch(code) else id.removeprefix("urn:uuid:")
        found[id] = Node(id, part or now, now)
    return found


def nodes_left(connection: Connection, limit: int) -> dict[str, tuple[str, int]]:
    """What parts of the arrangement are called, and since when, that the journal was not told of yet."""
    asked = "SELECT record, part, since FROM nodes WHERE NOT entered ORDER BY record LIMIT ?"
    return {record: (part, since) for record, part, since in connection.exec_driver_sql(asked, (limit,))}


def name(connection: Connection, node: Node, since: int | None, instant: int) -> None:
    """Keep what a node is called from when it is seen first: since; None: it is not seen. instant: now."""
    if since is None:
        connection.exec_driver_sql("DELETE FROM nodes WHERE record = ? AND entered IS NULL", (node.id,))
        return
    connection.exec_driver_sql(
        "INSERT INTO nodes (record, part, since) VALUES (?, ?, ?) ON CONFLICT (record) DO UPDATE"
        " SET part = excluded.part, since = excluded.since WHERE nodes.since >= ? AND nodes.entered IS NULL",
        (node.id, node.part, since, instant),
    )
    if node.part != node.code:  # a rebuild could not know
        connection.exec_driver_sql("UPDATE nodes SET entered = 0 WHERE record = ? AND entered IS NULL", (node.id,))


def with_above(specs: Iterable[str]) -> list[str]:
    """Sets and those they are part of: a:b:c is in a:b. What has one part only is no set, but type."""
    found = set[str]()
    for spec in specs:
        parts = spec.split(":")
        found |= {":".join(parts[:end]) for end in range(2, len(parts) + 1)}
        found |= {TYPE} if parts[0] == TYPE else set()
    return sorted(found)
