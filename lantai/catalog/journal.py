"""What the catalogue knows from the journal: entries, decisions on access, withdrawals. Nothing depends on the order in
which chains and packages were taken in.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Text,
    and_,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    tuple_,
    type_coerce,
    update,
)

from ..access import Exposure
from ..access import timeline as over_time
from ..model import Agent, Decision, Entry, PackageId, RecordId, Run
from . import tables as t
from .index import decide
from .pen import ADOPT, APPLY, CAST_ANEW, NAMED, NAMED_ANEW, TOUCH, Pen, gathered
from .queries import closeness, damage
from .rows import CHECK_LEVELS, Check, Checks, Coverage, Held

# Of two chains that give a person the same name, or one name to two persons, the later entry counts.
_NAME = (
    "INSERT INTO names (name, agent, at, entry) VALUES (:name, :agent, :at, :entry)"
    " ON CONFLICT (name) DO UPDATE SET agent = excluded.agent, at = excluded.at, entry = excluded.entry"
    " WHERE (excluded.at, excluded.entry) > (names.at, names.entry)"
)


# Of two checks in one second one that failed is kept, so that nothing looks better than it is; else one of the two.
_CHECKED = (
    "INSERT INTO checked (package, store, level, at, valid, software)"
    " VALUES (:package, :store, :level, :at, :valid, :software)"
    " ON CONFLICT (package, store, level) DO UPDATE SET at = excluded.at, valid = excluded.valid,"
    " software = excluded.software"
    " WHERE (excluded.at, NOT excluded.valid, excluded.software) > (checked.at, NOT checked.valid, checked.software)"
)


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
        # What one chain had no place for stands again in the next of its home.
        pen.add(
            t.entries, once=True, id=entry.id, writer=writer, number=number, kind=entry.kind, subject=entry.subject,
            at=entry.at, body=_body(entry),
        )  # fmt: skip
        if entry.kind in ("decision", "withdrawal"):
            pen.then(TOUCH, record=entry.subject)
        if entry.kind == "decision":
            decide(pen, decision_of(entry))
        elif entry.kind == "exposure":
            sets = entry.state.get("sets", {})
            for record, at in entry.state["records"].items():
                pen.then(TOUCH, record=record)
                pen.then(APPLY, record=record, at=at, sets=sets.get(record), entered=True)
            for record, (part, since) in entry.state.get("nodes", {}).items():
                pen.then(NAMED_ANEW, record=record, part=part, since=since)
                pen.then(NAMED, record=record, part=part, since=since)
            if crosswalk := entry.state.get("crosswalk"):
                pen.then(ADOPT, version=crosswalk["version"], since=crosswalk["since"])
                if crosswalk["since"]:
                    pen.then(CAST_ANEW, last="")
            for name, at in entry.state.get("gathered", {}).items():
                source, _slash, number = name.rpartition("/")
                for sql, values in gathered(source, int(number or 0), at, entered=True):
                    pen.then(sql, **values)
        elif entry.kind == "check":
            told = {name: entry.state[name] for name in ("store", "level", "valid")}
            software = entry.state.get("software", "")
            pen.then(_CHECKED, package=entry.subject, at=t.instant(entry.at), software=software, **told)
        elif entry.kind == "agent":
            pen.then(_NAME, name=entry.state["name"], agent=entry.subject, at=t.instant(entry.at), entry=entry.id)
    for subject in {entry.subject for entry in segment if entry.kind == "withdrawal"}:
        pen.flush()
        connection.execute(delete(t.withdrawn).where(t.withdrawn.c.subject == subject))
        if _holds_back(entries(connection, subject)):
            connection.execute(insert(t.withdrawn).values(subject=subject))


def checks(connection: Connection, package: str) -> list[Check]:
    mine = select(t.checked).where(t.checked.c.package == package).order_by(t.checked.c.store, t.checked.c.level)
    return [Check(row.store, row.level, row.at, row.valid, row.software) for row in connection.execute(mine)]


def _found_whole(store: str, level: str) -> ScalarSelect[str]:
    """When a package was last found whole at that level or a closer one. NULL: never, or damage is known that an audit
    of that level could have found.
    """
    every, found, least = t.checked, t.checked.alias("found"), CHECK_LEVELS.index(level)
    # Not asked of each package: they are few.
    its = and_(found.c.store == store, closeness(found) <= least, damage(found))
    whole = and_(every.c.package == t.packages.c.id, every.c.store == store, closeness(every) >= least, every.c.valid)
    newest = select(func.max(type_coerce(every.c.at, Text)))
    return newest.where(whole, every.c.package.not_in(select(found.c.package).where(its))).scalar_subquery()


def last_checked(
    connection: Connection, store: str, level: str, after: tuple[str, str], limit: int
) -> list[tuple[PackageId, datetime | None]]:
    """Of the packages that lie in the store: when each was checked at that level or a closer one and found whole, and
    not since found otherwise; never, and longest ago, first.
    """
    held = select(t.copies.c.package).where(t.copies.c.package == t.packages.c.key, t.copies.c.store == store)
    at = func.coalesce(_found_whole(store, level), "")
    asked = (
        select(t.packages.c.id, at.label("at"))
        .where(held.exists(), tuple_(at, t.packages.c.id) > tuple_(*map(literal, after)))
        .order_by(at, t.packages.c.id)
        .limit(limit)
    )
    return [(row.id, datetime.fromisoformat(row.at) if row.at else None) for row in connection.execute(asked)]


def checked_since(
    connection: Connection, store: str, level: str, packages: Sequence[str], since: datetime
) -> dict[PackageId, int]:  # fmt: skip
    """See Catalog.checked_since. A version's time is by the clock of the store, and by that of who wrote it: by both it
    must be older than the check.
    """
    c, at = t.checked.c, type_coerce(t.checked.c.at, Text)
    mine = and_(c.package == t.packages.c.id, c.store == store, c.level == level, c.valid, c.at > since)
    lies = and_(t.copies.c.package == t.packages.c.key, t.copies.c.store == store)
    written = select(t.versions.c.at).where(
        t.versions.c.package == t.packages.c.key, type_coerce(t.versions.c.at, Text) >= at
    )
    asked = (
        select(t.packages.c.id, func.max(t.copies.c.number))
        .join_from(t.packages, t.checked, mine)
        .join(t.copies, lies)
        .where(t.packages.c.id.in_(packages), ~written.exists())
        .group_by(t.packages.c.id)
        .having(func.max(type_coerce(t.copies.c.since, Text)) < func.max(at))
    )
    return {row[0]: row[1] for row in connection.execute(asked)}


def held(connection: Connection, store: str, level: str, after: str, limit: int) -> list[Held]:
    """Of the packages that lie in the store, in the order of their ids: since when, and the newest check at a level."""
    is_its = and_(t.checked.c.package == t.packages.c.id, t.checked.c.store == store, t.checked.c.level == level)
    since = select(func.min(type_coerce(t.copies.c.since, Text))).where(
        t.copies.c.package == t.packages.c.key, t.copies.c.store == store
    )
    lies = select(t.copies.c.package).where(t.copies.c.package == t.packages.c.key, t.copies.c.store == store)
    asked = (
        select(t.packages.c.id, since.scalar_subquery().label("since"), t.checked.c.at, t.checked.c.valid)
        .outerjoin(t.checked, is_its)
        .where(t.packages.c.id > after, lies.exists())
        .order_by(t.packages.c.id)
        .limit(limit)
    )
    return [
        Held(row.id, datetime.fromisoformat(row.since), row.at, bool(row.valid)) for row in connection.execute(asked)
    ]


def checks_by_hour(connection: Connection, level: str) -> Iterator[Checks]:
    """All that the journal tells of checks at that level, added up, in the order of time."""
    hour = func.substr(type_coerce(t.entries.c.at, Text), 1, 13).label("hour")
    store, valid = (func.json_extract(t.entries.c.body, f"$.state.{name}").label(name) for name in ("store", "valid"))
    asked = (
        select(hour, store, valid, func.count().label("found"))
        .where(t.entries.c.kind == "check", func.json_extract(t.entries.c.body, "$.state.level") == level)
        .group_by(hour, store, valid)
        .order_by(hour, store, valid)
    )
    for row in connection.execute(asked):
        yield Checks(
            datetime.strptime(row.hour, "%Y-%m-%dT%H").replace(tzinfo=UTC), row.store, bool(row.valid), row.found
        )


def covered(connection: Connection, store: str, level: str, before: datetime) -> Coverage:
    """See Catalog.covered. One look at each package, whatever their number."""
    lies = select(t.copies.c.package).where(t.copies.c.package == t.packages.c.key, t.copies.c.store == store)
    each = select(_found_whole(store, level).label("at")).select_from(t.packages).where(lies.exists()).subquery()
    late = func.count().filter(each.c.at < t.instant(before))
    row = connection.execute(select(func.count(), func.count(each.c.at), late, func.min(each.c.at))).one()
    oldest = datetime.fromisoformat(row[3]) if row[3] else None
    return Coverage(store, level, row[0], row[0] - row[1], row[2], oldest)


def agent_named(connection: Connection, name: str) -> str | None:
    """The person who took that name."""
    return connection.scalar(select(t.names.c.agent).where(t.names.c.name == name))


def name_of(connection: Connection, agent: str) -> str | None:
    """The newest name that a person took."""
    mine = select(t.names.c.name).where(t.names.c.agent == agent)
    return connection.scalar(mine.order_by(t.names.c.at.desc(), t.names.c.entry.desc()).limit(1))


def has_acted(connection: Connection, agent: str) -> bool:
    """Whether any package or entry names that person. Looks at all of them."""
    told = "SELECT 1 FROM entries WHERE json_extract(body, '$.by[0]') = ? LIMIT 1"
    in_package = select(t.agents.c.id).where(t.agents.c.id == agent).limit(1)
    return bool(connection.scalar(in_package) or connection.exec_driver_sql(told, (agent,)).first())


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


def runs(connection: Connection, before: tuple[datetime, str] | None, limit: int) -> list[Entry]:
    """Entries of runs, the newest first."""
    mine = t.entries.c.kind == literal_column("'run'")  # as its index has it
    if before:
        last = tuple_(literal(before[0], t.Instant), literal(before[1]))
        mine = and_(mine, tuple_(t.entries.c.at, t.entries.c.id) < last)
    asked = select(t.entries).where(mine).order_by(t.entries.c.at.desc(), t.entries.c.id.desc()).limit(limit)
    return list(map(_entry, connection.execute(asked)))


def run_of(entry: Entry) -> Run:
    state = entry.state
    ended = datetime.fromisoformat(state["ended"]) if state["ended"] else None
    return Run(
        entry.subject, state["command"], state["asked"], datetime.fromisoformat(state["began"]), ended,
        state["verdict"], entry.by.name, state.get("reason", ""),
        {name: state[name] for name in _COUNTS if name in state},
    )  # fmt: skip


_COUNTS = ("packages", "files", "bytes", "faults", "repaired", "lost")


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
    above = parents(connection, [record])
    return line(record, above, decisions(connection, above))


def line(
    record: str, parents: Mapping[str, Sequence[str]], own: Mapping[str, Sequence[Decision]],
    below: frozenset[str] = frozenset(),
) -> tuple[Exposure, ...]:  # fmt: skip
    """Its timeline, by its own decisions and those of the records above it. Records that stand above each other in a
    circle count as if nothing stood above.
    """
    mine = below | {record}
    above = [line(one, parents, own, mine) for one in parents.get(record, ()) if one not in mine]
    return over_time(own.get(record, ()), [one for one in above if one])


def hidden(told: Sequence[Entry]) -> list[tuple[datetime, bool]]:
    """From when on a record was withdrawn or shown again, by its entries in the order of time."""
    ends = [at for at, one in enumerate(told, 1) if one.kind == "withdrawal"]
    return [(told[end - 1].at, _holds_back(told[:end])) for end in ends]


def withdrawn_with(connection: Connection, records: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Of each of these records that is hidden: what was withdrawn, itself or records above it."""
    if not records or connection.execute(select(t.withdrawn).limit(1)).first() is None:
        return {}
    over = parents(connection, records)
    own = set(connection.scalars(select(t.withdrawn.c.subject).where(t.withdrawn.c.subject.in_(over))))
    found: dict[str, tuple[str, ...]] = {}
    for record in records:
        above, left = set[str](), [record]
        while left:
            one = left.pop()
            if one not in above:
                above.add(one)
                left += over.get(one, ())
        if hidden := own & above:
            found[record] = tuple(sorted(hidden))
    return found


def withdrawals(connection: Connection, after: str, limit: int) -> list[Entry]:
    """Of each subject that is withdrawn, in the order of their ids, the newest entry that withdrew it."""
    subject = t.withdrawn.c.subject
    found = []
    for one in connection.scalars(select(subject).where(subject > after).order_by(subject).limit(limit)).all():
        told = [entry for entry in entries(connection, one) if entry.kind == "withdrawal" and entry.state["withdrawn"]]
        found.append(told[-1])
    return found


def parents(connection: Connection, records: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Of the records and of all above them, which stand right above, in whatever hierarchy."""
    found: dict[str, list[str]] = {record: [] for record in records}
    asked = list(found)
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
