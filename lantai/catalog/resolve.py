"""What a person's short way of naming a thing stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Table, literal_column, select

from ..errors import NotFound, UsageError
from ..messages import _
from . import tables as t
from .rows import Found

_UUID = re.compile(r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
_ENDING = re.compile(r"[0-9a-f-]*[0-9a-f]{6}", re.IGNORECASE)

_NAMED = 10
"""Candidates that a message names."""


def resolve(connection: Connection, text: str) -> Found:
    """See Catalog.resolve."""
    text = text.strip()
    if match := _UUID.fullmatch(text):
        whole = f"urn:uuid:{match[1].lower()}"
        found = list(_having(connection, lambda table: table.c.id == whole))
    else:
        # A code that stands as it was typed means itself, even where it could be the end of an id.
        found = list(_coded(connection, text))
        if not found and _ENDING.fullmatch(text):
            found = list(_ending(connection, text.lower().replace("-", "")))
    if not found:
        raise NotFound(
            _("there is no package, record or file of this name"),
            subject=text,
            remedy=_("Give its id, the last six or more hex digits of it, or its reference code."),
        )
    if len(found) > 1:
        names = ", ".join(one.id for one in found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
        raise UsageError(
            _("this stands for more than one thing: {names}").format(names=names),
            subject=text,
            remedy=_("Give more digits of its id, or all of it."),
        )
    return found[0]


def _coded(connection: Connection, code: str) -> Iterator[Found]:
    coded = select(t.places.c.record).where(t.places.c.reference_code == code)
    packages = select(t.packages.c.id)
    records = select(t.records.c.id, t.records.c.id.in_(packages)).where(t.records.c.key.in_(coded))
    for id, is_package in connection.execute(records.order_by(t.records.c.id).limit(_NAMED + 1)):
        yield Found("package" if is_package else "record", id)


def _ending(connection: Connection, digits: str) -> Iterator[Found]:
    last: ColumnElement[str] = literal_column(t.ENDING)
    for found in _having(connection, lambda table: last == digits[-6:]):
        if found.id.replace("-", "").endswith(digits):
            yield found


def _having(connection: Connection, condition: Callable[[Table], ColumnElement[bool]]) -> Iterator[Found]:
    """Packages, then records that are no package's root, then files."""
    seen = set()
    kinds: tuple[tuple[Literal["package", "record", "file"], Table], ...]
    kinds = (("package", t.packages), ("record", t.records), ("file", t.files))
    for kind, table in kinds:
        for id in connection.scalars(select(table.c.id).where(condition(table)).order_by(table.c.id)):
            if id not in seen:
                seen.add(id)
                yield Found(kind, id)
