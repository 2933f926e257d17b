"""What the catalogue knows from the journal: entries, decisions on access, withdrawals. Nothing depends on the order in
which chains and packages were taken in.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, literal, select, update

from ..access import Exposure
from ..access import timeline as over_time
from ..model import Agent, Decision, Entry, RecordId
from . import tables as t
from .index import decide
from .pen import Pen


def apply(pen: Pen, segment: Sequence[Entry], *, writer: str, number: int, seal: str) -> None:
    """See Catalog.apply."""
    connection = pen.connection
    known = connection.execute(select(t.chains.c.number).where(t.chains.c.writer == writer)).scalar_one_or_none() or 0
    if number <= known:
        return
    assert number == known + 1, "segments come in their order"
    if known:
        connection.execute(update(t.chains).where(t.chains.c.writer == writer).values(number=number, seal=seal))
    else:
        connection.execute(insert(t.chains).values(writer=writer, number=number, seal=seal))
    for entry in segment:
        pen.add(
            t.entries, id=entry.id, writer=writer, number=number, kind=entry.kind, subject=entry.subject, at=entry.at,
            body=_body(entry),
        )  # fmt: skip
        if entry.kind == "decision":
            decide(pen, decision_of(entry))
    for subject in {entry.subject for entry in segment if entry.kind == "withdrawal"}:
        pen.flush()
        connection.execute(delete(t.withdrawn).where(t.withdrawn.c.subject == subject))
        if _holds_back(entries(connection, subject)):
            connection.execute(insert(t.withdrawn).values(subject=subject))


def _holds_back(told: Iterable[Entry]) -> bool:
    """Whether any withdrawal stands that no later entry takes the place of: of two that conflict the stricter holds."""
    found = [one for one in told if one.kind == "withdrawal"]
    replaced = {id for one in found for id in one.replaces}
    return any(one.state["withdrawn"] for one in found if one.id not in replaced)


def decision_of(entry: Entry) -> Decision:
    state = entry.state
    return Decision(
        id=entry.id, record=RecordId(entry.subject), shown=state["shown"], since=datetime.fromisoformat(state["since"]),
        ground=entry.ground, at=entry.at, by=entry.by.name, reason=state["reason"], replaces=entry.replaces,
        clause=entry.clause,
    )  # fmt: skip


def _body(entry: Entry) -> str:
    rest = {
        "subject_type": entry.subject_type, "by": [entry.by.id, entry.by.name], "state": entry.state,
        "organization": entry.organization, "ground": entry.ground, "clause": entry.clause, "replaces": entry.replaces,
    }  # fmt: skip
    return json.dumps(rest, ensure_ascii=False)


def _entry(row: Any) -> Entry:
    rest = json.loads(row.body)
    id, name = rest.pop("by")
    replaces = tuple(rest.pop("replaces"))
    return Entry(
        row.id, row.kind, subject=row.subject, at=row.at, by=Agent(id, "person", name), replaces=replaces, **rest
    )


def chains(connection: Connection) -> dict[str, tuple[int, str]]:
    return {row.writer: (row.number, row.seal) for row in connection.execute(select(t.chains))}


def entries(connection: Connection, subject: str) -> tuple[Entry, ...]:
    mine = select(t.entries).where(t.entries.c.subject == subject).order_by(t.entries.c.at, t.entries.c.id)
    return tuple(map(_entry, connection.execute(mine)))


def withdrawal_of(subject: ColumnElement[str]) -> ColumnElement[bool]:
    return select(t.withdrawn.c.subject).where(t.withdrawn.c.subject == subject).exists()


def is_withdrawn(connection: Connection, subject: str) -> bool:
    return bool(connection.scalar(select(withdrawal_of(literal(subject)))))


def decisions(connection: Connection, records: Iterable[str]) -> dict[str, tuple[Decision, ...]]:
    """Of each record that has any, in the order of time."""
    found: defaultdict[str, list[Decision]] = defaultdict(list)
    of_these = t.decisions.c.record.in_(list(records))
    replaces: defaultdict[str, list[str]] = defaultdict(list)
    pairs = select(t.replacements).join(t.decisions, t.decisions.c.id == t.replacements.c.decision).where(of_these)
    for decision, replaced in connection.execute(pairs.order_by(t.replacements.c.replaced)):
        replaces[decision].append(replaced)
    asked = select(t.decisions).where(of_these).order_by(t.decisions.c.at, t.decisions.c.id)
    for row in connection.execute(asked).mappings():
        found[row["record"]].append(Decision(**row, replaces=tuple(replaces[row["id"]])))
    return {record: tuple(own) for record, own in found.items()}


def timeline(connection: Connection, record: RecordId) -> tuple[Exposure, ...]:
    """Records that stand above each other in a circle count as if nothing stood above."""
    parents = _parents(connection, record)
    own = decisions(connection, parents)

    def line(id: str, below: frozenset[str]) -> tuple[Exposure, ...]:
        above = [line(one, below | {id}) for one in parents.get(id, ()) if one not in below and one != id]
        return over_time(own.get(id, ()), [one for one in above if one])

    return line(record, frozenset())


def _parents(connection: Connection, record: str) -> Mapping[str, Sequence[str]]:
    """Of the record and of all above it, which stand right above, in whatever hierarchy."""
    found: dict[str, list[str]] = {record: []}
    asked = [record]
    while asked:
        above = (
            select(t.records.c.id, t.places.c.parent)
            .join(t.places, t.places.c.record == t.records.c.key)
            .where(t.records.c.id.in_(asked), t.places.c.parent.is_not(None))
            .order_by(t.records.c.id, t.places.c.hierarchy)
        )
        asked = []
        for id, parent in connection.execute(above):
            found[id].append(parent)
            if parent not in found:
                found[parent] = []
                asked.append(parent)
    return found
