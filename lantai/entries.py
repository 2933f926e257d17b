"""Entries of the journal on their way: appended to this home's chain, sent to every store, told to the catalogue; and
those of other homes, taken in.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from .access import in_force
from .catalog import Catalog
from .errors import Damaged, LantaiError, UsageError
from .model import Agent, Decision, Entry, EntryKind, RecordId, Shown
from .storage import Store
from .storage import journal as chains
from .storage.journal import Journal, Link, moment
from .storage.linux import machine
from .stores import Stores


class Entries:
    """The journal of an archive, as one home writes it and takes it in. by, organization: on whose behalf; new_id: a
    urn:uuid: with a UUIDv7.
    """

    def __init__(
        self, home: Path, stores: Stores, catalog: Catalog, *, by: Agent, organization: str,
        now: Callable[[], datetime], new_id: Callable[[], str],
    ) -> None:  # fmt: skip
        self._stores, self._catalog, self._now, self._new_id = stores, catalog, now, new_id
        self._by, self._organization = by, organization
        self._archive = stores.identity.archive
        self._own = Journal(
            home / "journal", archive=self._archive, machine=machine(), new_writer=lambda: str(uuid.uuid4())
        )

    def decide(
        self, record: RecordId, shown: Shown, since: datetime | None, *, reason: str, ground: str, clause: str
    ) -> tuple[Decision, bool]:
        """A decision on the access to a record, in the place of all that stand; since: by default from now on. Whether
        it is new: what stands already is not decided again.
        """
        self.catch_up()
        now = self._now()
        standing = in_force(self._catalog.decisions(record))
        same = (shown, reason, ground, clause, self._by.name)
        if len(standing) == 1 and _said_by(standing[0]) == same:
            (one,) = standing
            if one.since == since or (since is None and one.since == one.at):
                return one, False
        entry = self._entry(
            "decision", "record", record, {"shown": shown, "since": moment(since or now), "reason": reason}, at=now,
            ground=ground, clause=clause, replaces=tuple(one.id for one in standing),
        )  # fmt: skip
        self.add([entry])
        return next(one for one in self._catalog.decisions(record) if one.id == entry.id), True

    def withdraw(self, subject: RecordId, *, withdrawn: bool, reason: str) -> bool:
        """Hide a record, and so a package, from every open answer, or show it again. Whether that is new."""
        self.catch_up()
        if self._catalog.is_withdrawn(subject) == withdrawn:
            return False
        told = [one for one in self._catalog.entries(subject) if one.kind == "withdrawal"]
        replaced = {id for one in told for id in one.replaces}
        standing = tuple(one.id for one in told if one.id not in replaced)
        state = {"withdrawn": withdrawn, "reason": reason}
        self.add([self._entry("withdrawal", "record", subject, state, at=self._now(), replaces=standing)])
        return True

    def _entry(
        self, kind: EntryKind, subject_type: str, subject: str, state: Mapping[str, Any], *, at: datetime,
        ground: str = "", clause: str = "", replaces: tuple[str, ...] = (),
    ) -> Entry:  # fmt: skip
        return Entry(
            self._new_id(),
            kind,
            subject_type,
            subject,
            at,
            self._by,
            state,
            self._organization,
            ground,
            clause,
            replaces,
        )

    def add(self, entries: Sequence[Entry]) -> None:
        """They count: each is in every store that can be reached, and in the catalogue.

        Raises StoreUnavailable if no store took them: then they are sent before anything new. Damaged.
        """
        with self._own.writing() as chain:
            chain = self._send(chain)
            heads = {writer: link for writer, link in self._known().items() if writer != chain.writer}
            left = iter(entries)
            while some := list(islice(left, chains.MOST)):
                chain = self._own.append(chain, some, heads=heads, at=self._now())
            self._send(chain)
            self._take_in_own(chain)

    def catch_up(self) -> None:
        """Send what was not, and take in what any store has that the catalogue lacks. Damaged, StoreUnavailable."""
        if self._own.chain() is not None:
            with self._own.writing() as chain:
                self._take_in_own(self._send(chain))
        for _name, root in self._stores.reachable():
            self._take_in(root.store)

    def heal(self) -> None:
        """Tell the catalogue what a crash kept it from hearing, though it counts. Costs nothing if there is nothing."""
        chain = self._own.chain()
        known = self._known()
        if chain is not None and chain.head != known.get(chain.writer):
            self.catch_up()

    def _known(self) -> dict[str, Link]:
        return {writer: Link(*link) for writer, link in self._catalog.chains().items()}

    def _send(self, chain: chains.Chain) -> chains.Chain:
        """The chain, which may be a new one. One store has it whole then, and each that could be reached."""
        sent, failed = False, None
        for _name, root in self._stores.reachable():
            try:
                self._own.send(chain, root.store)
                sent = True
            except chains.Ahead:
                return self._own.begin()
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
        for segment, seal in self._own.segments(chain, self._known().get(chain.writer)):
            self._catalog.apply(segment.entries, writer=segment.writer, number=segment.number, seal=seal)

    def _take_in(self, store: Store) -> None:
        """What cannot be believed is passed over: lantai journal verify tells of it, and another store may have it."""
        known = self._known()
        for writer in chains.writers(store):
            with suppress(Damaged):
                for segment, seal in chains.segments(store, self._archive, writer, known.get(writer)):
                    self._catalog.apply(segment.entries, writer=writer, number=segment.number, seal=seal)


def _said_by(decision: Decision) -> tuple[Shown, str, str, str, str]:
    return decision.shown, decision.reason, decision.ground, decision.clause, decision.by
