"""Entries of the journal on their way: appended to this home's chain, sent to every store, told to the catalogue; and
those of other homes, taken in.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain as chain_of
from itertools import islice
from pathlib import Path
from typing import Any

from .access import in_force
from .catalog import Catalog
from .errors import Damaged, LantaiError, NotFound, UsageError
from .home import Held, note_held, seen_to_hold
from .ingest.events import person
from .messages import _
from .model import Agent, Decision, Entry, EntryKind, Finding, PackageId, RecordId, RunVerdict, Shown
from .storage import Store, open_store
from .storage import journal as chains
from .storage.journal import Journal, Link, moment
from .storage.journal.verify import HOME, Count, Given, Keep, merge, verify
from .storage.linux import machine
from .stores import Stores
from .telling.log import Log

_SUBJECTS: Mapping[EntryKind, str] = {
    "decision": "record", "withdrawal": "record", "export": "package", "check": "package", "replication": "package",
    "store": "store", "agent": "agent", "repair": "package", "run": "run", "exposure": "archive",
}  # fmt: skip
_EXPOSED = 1000
"""Records that one entry names."""
_TOLD = 100
"""Findings of one check that its entry names; it counts them all."""


@dataclass(slots=True)
class Ran:
    """What its journal entry tells of a run when it ends."""

    id: str
    verdict: RunVerdict = "passed"
    reason: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


class Entries:
    """The journal of an archive, as one home writes it and takes it in. catalog: opened when it is needed; by,
    organization: on whose behalf; new_id: a urn:uuid: with a UUIDv7.
    """

    def __init__(
        self, home: Path, stores: Stores, catalog: Callable[[], Catalog], *, by: Callable[[], Agent],
        organization: str, log: Log,
        now: Callable[[], datetime], new_id: Callable[[], str],
    ) -> None:  # fmt: skip
        self._home, self._stores, self._opened, self._now, self._new_id = home, stores, catalog, now, new_id
        self._known_by, self._organization, self._log = by, organization, log
        self.unnoted: list[LantaiError] = []
        """Why what was done could not be entered, though it was done."""
        self._archive = stores.identity.archive
        self._own = Journal(
            home / "journal", archive=self._archive, machine=machine(), new_writer=lambda: str(uuid.uuid4())
        )

    @property
    def _catalog(self) -> Catalog:
        return self._opened()

    @property
    def _by(self) -> Agent:
        return self._known_by()

    def decide(
        self, record: RecordId, shown: Shown, since: datetime | None, *, reason: str, ground: str, clause: str
    ) -> tuple[Decision, bool]:
        """A decision on the access to a record, in the place of all that stand; since: by default from now on. Whether
        it is new: what stands already is not decided again.
        """
        self.catch_up()
        present: list[Decision] = []

        def entries() -> Iterator[Entry]:
            now = self._now()
            standing = in_force(self._catalog.decisions(record))
            same = (shown, reason, ground, clause, self._by.name)
            if len(standing) == 1 and _said_by(standing[0]) == same:
                (one,) = standing
                if one.since == since or (since is None and one.since == one.at):
                    present.append(one)
                    return
            state = {"shown": shown, "since": moment(since or now), "reason": reason}
            replaces = tuple(one.id for one in standing)
            yield self._entry("decision", record, state, at=now, ground=ground, clause=clause, replaces=replaces)

        added = self.add(entries)
        if present:
            return present[0], False
        return next(one for one in self._catalog.decisions(record) if one.id == added[-1].id), True

    def withdraw(self, subject: RecordId, *, withdrawn: bool, reason: str) -> bool:
        """Hide a record, and so a package, from every open answer, or show it again. Whether that is new."""
        self.catch_up()

        def entries() -> Iterator[Entry]:
            if self._catalog.is_withdrawn(subject) != withdrawn:
                told = [one for one in self._catalog.entries(subject) if one.kind == "withdrawal"]
                replaced = {id for one in told for id in one.replaces}
                standing = tuple(one.id for one in told if one.id not in replaced)
                state = {"withdrawn": withdrawn, "reason": reason}
                yield self._entry("withdrawal", subject, state, at=self._now(), replaces=standing)

        return bool(self.add(entries))

    def rename(self, old: str, new: str) -> tuple[Agent, bool]:
        """A person takes a new name and stays the same agent. Whether that is new. UsageError; NotFound: nobody of the
        old name has done anything.
        """
        self.catch_up()
        one, new = person_of(self._catalog, old), person(new).name

        def entries() -> Iterator[Entry]:
            there = person_of(self._catalog, new)
            if there.id != one.id and self._catalog.has_acted(there.id):
                raise UsageError(
                    _("somebody of this name has acted already"), subject=new,
                    remedy=_("Give a name that tells the two apart, such as one with the department."),
                )  # fmt: skip
            if not self._catalog.has_acted(one.id):
                raise NotFound(
                    _("nobody of this name has done anything here"), subject=old,
                    remedy=_("Give the name as it stands in lantai show or lantai journal list."),
                )  # fmt: skip
            if one.name != new:
                yield self._entry("agent", one.id, {"name": new}, at=self._now())

        done = bool(self.add(entries))
        return person_of(self._catalog, new), done

    def exported(self, package: PackageId, *, version: int, form: str, files: int, octets: int, store: str) -> None:
        state = {"version": version, "as": form, "files": files, "bytes": octets, "store": store}
        self._note([self._entry("export", package, state, at=self._now())])

    @contextmanager
    def checking(
        self, store: str, *, software: str, level: str = "full", control: bool = False
    ) -> Iterator[Callable[[PackageId, Sequence[Finding]], None]]:
        """To be told of the results of validate and audit, package by package. control: the audit audited itself, and
        passed.
        """
        with self._batch() as add:

            def note(package: PackageId, findings: Sequence[Finding]) -> None:
                wrong = [one for one in findings if one.fatal]
                told = [{"code": one.code, "subject": one.subject} for one in wrong[:_TOLD]]
                state = {
                    "store": store, "level": level, "valid": not wrong, "errors": len(wrong), "findings": told,
                    "software": software, **({"control": "passed"} if control else {}),
                }  # fmt: skip
                add(self._entry("check", package, state, at=self._now()))

            yield note

    def repaired(
        self, package: PackageId | None, *, store: str, source: str | None, keys: Sequence[str], valid: bool
    ) -> None:  # fmt: skip
        """package: None: what lies beside packages in store."""
        state = {
            "store": store, **({"from": source} if source else {}), "files": len(keys), "keys": list(keys[:_TOLD]),
            "valid": valid,
        }  # fmt: skip
        entry = self._entry("repair", package or store, state, at=self._now())
        self._note([entry if package else replace(entry, subject_type="store")])

    @contextmanager
    def running(
        self, command: str, asked: Mapping[str, Any], *, software: str, begins: bool = True
    ) -> Iterator[Ran]:  # fmt: skip
        """A run of a command, entered when it ends with what is told of it, and, if begins, when it begins: then one
        that was killed has no end. What is raised makes it failed, or incomplete where it was interrupted.
        """
        began, ran = self._now(), Ran(self._new_id())
        state = {"command": command, "asked": asked, "began": moment(began), "software": software}
        first = self._entry("run", ran.id, {**state, "ended": None, "verdict": None}, at=began)
        if begins:
            self._note([first])
        log = self._log.bind(run=ran.id, command=command)
        log.info("run began", asked=asked)
        try:
            yield ran
        except LantaiError as error:
            ran.verdict, ran.reason = "failed", error.what
            raise
        except BaseException:
            ran.verdict, ran.reason = "incomplete", _("interrupted")
            raise
        finally:
            last = {
                **state, "ended": moment(self._now()), "verdict": ran.verdict,
                **({"reason": ran.reason} if ran.reason else {}), **ran.counts,
            }  # fmt: skip
            self._note([self._entry("run", ran.id, last, at=self._now(), replaces=(first.id,) if begins else ())])
            log.info("run ended", verdict=ran.verdict, reason=ran.reason, **ran.counts)

    @contextmanager
    def replicating(self, source: str, target: str) -> Iterator[Callable[[PackageId, int], None]]:
        """To be told how many versions of a package were copied."""
        with self._batch() as add:

            def note(package: PackageId, versions: int) -> None:
                if versions:
                    state = {"from": source, "to": target, "versions": versions}
                    add(self._entry("replication", package, state, at=self._now()))

            yield note

    @contextmanager
    def _batch(self) -> Iterator[Callable[[Entry], None]]:
        """Entries of one command, noted many at a time, the last when it ends, however it ends."""
        held: list[Entry] = []

        def add(entry: Entry) -> None:
            held.append(entry)
            if len(held) >= chains.MOST // 2:
                self._note(held)
                held.clear()

        try:
            yield add
        finally:
            self._note(held)

    def _note(self, entries: Sequence[Entry]) -> None:
        """As add; but what was done is done, whether or not it can be entered now."""
        try:
            if entries:
                self.add(lambda: entries)
        except LantaiError as error:
            self.unnoted.append(error)

    def _configured(self) -> Iterator[Entry]:
        """What lantai.toml says of stores and the journal does not say so yet."""
        for name, state in self._stores.described():
            told = [one for one in self._catalog.entries(name) if one.kind == "store"]
            # Of a store that is away the id is not known now, and has not changed.
            known = {"id": told[-1].state["id"]} if told and "id" in told[-1].state else {}
            if not told or told[-1].state != {**known, **state}:
                replaces = tuple(one.id for one in told[-1:])
                yield self._entry("store", name, {**known, **state}, at=self._now(), replaces=replaces)

    def _entry(
        self, kind: EntryKind, subject: str, state: Mapping[str, Any], *, at: datetime,
        ground: str = "", clause: str = "", replaces: tuple[str, ...] = (),
    ) -> Entry:  # fmt: skip
        by, organization = self._by, self._organization
        subject_type = _SUBJECTS[kind]
        return Entry(self._new_id(), kind, subject_type, subject, at, by, state, organization, ground, clause, replaces)

    def add(self, entries: Callable[[], Iterable[Entry]]) -> list[Entry]:
        """They count: each is in every store that can be reached, and in the catalogue. entries: called when no other
        process of this home adds any, and the catalogue knows all that this home wrote. What was added.

        Raises StoreUnavailable if no store took them: then they are sent before anything new. Damaged.
        """
        with self._own.writing() as chain:
            chain = self._send(chain)
            self._take_in_own(chain)
            if added := list(entries()):
                chain = self._enter(chain, chain_of(self._configured(), added))
            before: Entry | None = None
            while (exposed := self._exposed()) and (before is None or exposed.state != before.state):
                chain, before = self._enter(chain, [exposed]), exposed
            return added

    def _enter(self, chain: chains.Chain, entries: Iterable[Entry]) -> chains.Chain:
        heads = {writer: link for writer, link in self._known().items() if writer != chain.writer}
        left = iter(entries)
        while some := list(islice(left, chains.MOST)):
            chain = self._own.append(chain, some, heads=heads, at=self._now())
        chain = self._send(chain)
        self._take_in_own(chain)
        return chain

    def _exposed(self) -> Entry | None:
        """What harvesters see otherwise than can be derived, and the journal was not told of."""
        applied = self._catalog.exposures.left(_EXPOSED)
        nodes, gathered = self._catalog.exposures.nodes_left(_EXPOSED), self._catalog.remote.left(_EXPOSED)
        if not applied and not nodes and not gathered:
            return None
        sets = {record: one.sets for record, one in applied.items() if one.sets is not None}
        state = {
            "records": {record: one.at for record, one in applied.items()}, **({"sets": sets} if sets else {}),
            **({"nodes": nodes} if nodes else {}), **({"gathered": gathered} if gathered else {}),
        }  # fmt: skip
        return self._entry("exposure", f"urn:uuid:{self._archive}", state, at=self._now())

    def expose(self) -> None:
        """Enter what a change of a package left to be told of what harvesters see."""
        with suppress(LantaiError):  # the next that is entered brings it along
            if self._exposed():
                self.add(tuple)

    def adopt(self, version: str, since: int) -> None:
        """All that harvesters see is given in the way of that version since then (a second to come; 0: always)."""
        state = {"records": {}, "crosswalk": {"version": version, "since": since}}
        self.add(lambda: [self._entry("exposure", f"urn:uuid:{self._archive}", state, at=self._now())])

    def catch_up(self) -> None:
        """Send what was not, and take in what any store has that the catalogue lacks. Damaged, StoreUnavailable."""
        if self._own.chain() is not None:
            with self._own.writing() as chain:
                self._take_in_own(self._send(chain))
        for _name, root in self._stores.reachable(strict=False):
            self._take_in(root.store)

    def heal(self) -> None:
        """Tell the catalogue, if that can be done now, what a crash kept it from hearing, though it counts."""
        chain = self._own.chain()
        if chain is not None and chain.head != self._known().get(chain.writer):
            with suppress(LantaiError):
                self.catch_up()

    def verify(self, counts: dict[str, Count]) -> Iterator[tuple[str, Finding]]:
        """What is wrong with the journal, in which store, in the home and for the catalogue; counts: what was read."""
        writer = self._own.writer()
        held = seen_to_hold(self._home, writer)
        wrong = {HOME}
        for name, finding in verify(self.sources(), self._archive, heads=self._known(), counts=counts, held=held):
            wrong |= {name} if finding.fatal else set()
            yield name, finding
        seen = {name: one.ends for name, one in counts.items()}
        self._note_held(seen, begins=seen.keys() - wrong)

    def merge(self, targets: Sequence[str], *, keep: Callable[[str], Keep]) -> Iterator[Given]:
        """Give stores what they lack of the journal, or hold damaged, from all that can be reached.

        The home gets back what it wrote itself, if it is among the targets. keep: for what is damaged in a store.
        """
        sources, own = self.sources(), self._own.writer()
        held: dict[str, dict[str, int]] = {}
        try:
            for one in merge(
                sources, {name: sources[name] for name in targets if name in sources}, self._archive, keep=keep,
                lacks=lambda name, writer: name != HOME or writer == own,
            ):  # fmt: skip
                held.setdefault(one.store, {})[one.writer] = one.number
                yield one
        finally:
            self._note_held(held)

    def _note_held(self, seen: Held, *, begins: Container[str] = ()) -> None:
        """What cannot be noted is not known later."""
        with suppress(OSError):
            note_held(self._home, self._own.writer(), seen, begins=begins)

    def told(self) -> dict[str, Mapping[str, Any]]:
        """What the journal says last of each store, by its name."""
        found = {name: self._catalog.entries(name) for name, _state in self._stores.described()}
        return {
            name: one.state for name, entries in found.items() for one in entries if one.kind == "store"
        }  # the last of each

    def sources(self) -> dict[str, Store]:
        """Where the journal can be read: stores, and the home, which keeps its own chain."""
        found = {name: root.store for name, root in self._stores.reachable(strict=False)}
        return {**found, HOME: open_store(self._home)} if (self._home / "journal").is_dir() else found

    def listed(self, subjects: Container[str] | None) -> Iterator[Entry]:
        """What a store's journal says of them, or of all, in the order of time: a stream. Damaged, StoreUnavailable."""
        found = next((root for _name, root in self._stores.reachable(strict=False)), None)
        store = (found or self._stores.root(self._stores.primary)).store

        def chain(writer: str) -> Iterator[Entry]:
            for segment, _seal in chains.segments(store, self._archive, writer):
                yield from (one for one in segment.entries if subjects is None or one.subject in subjects)

        return heapq.merge(*map(chain, chains.writers(store)), key=lambda one: (one.at, one.id))

    def _known(self) -> dict[str, Link]:
        return {writer: Link(*link) for writer, link in self._catalog.chains().items()}

    def _send(self, chain: chains.Chain) -> chains.Chain:
        """The chain, which is a new one if a store or the catalogue knows more of it than the home, which was put back.
        One store has it whole then, and each that could be reached.
        """
        known = self._known().get(chain.writer)
        if known is not None and known.number > (chain.head.number if chain.head else 0):
            chain = self._own.begin()
        sent, failed = False, None
        for name, root in self._stores.reachable(strict=False):
            try:
                self._own.send(chain, root.store)
                sent = True
                if chain.head is not None:
                    self._note_held({name: {chain.writer: chain.head.number}})
            except chains.Ahead:
                return self._send(self._own.begin_again(chain, root.store, at=self._now()))
            except (Damaged, UsageError):
                raise
            except LantaiError as error:
                failed = error
        if not sent and chain.head is not None:
            if failed is None:
                self._stores.root(self._stores.primary)  # says why it cannot be reached
            else:
                raise failed
        return chain

    def _take_in_own(self, chain: chains.Chain) -> None:
        """From the home; what cannot be read there any more comes from a store."""
        with suppress(ValueError, OSError):
            for segment, seal in self._own.segments(chain, self._known().get(chain.writer)):
                self._catalog.apply(segment.entries, writer=segment.writer, number=segment.number, seal=seal)

    def _take_in(self, store: Store) -> None:
        """What cannot be believed is passed over: lantai journal verify tells of it, and another store may have it."""
        known = self._known()
        for writer in chains.writers(store):
            with suppress(Damaged):
                for segment, seal in chains.segments(store, self._archive, writer, known.get(writer)):
                    self._catalog.apply(segment.entries, writer=writer, number=segment.number, seal=seal)


def person_of(catalog: Catalog, name: str) -> Agent:
    """The person of that name, be it an old one, under the name now in use. The id outlives a change of name."""
    first = person(name)
    id = catalog.agent_named(first.name) or first.id
    return Agent(id, "person", catalog.name_of(id) or first.name)


def _said_by(decision: Decision) -> tuple[Shown, str, str, str, str]:
    return decision.shown, decision.reason, decision.ground, decision.clause, decision.by
