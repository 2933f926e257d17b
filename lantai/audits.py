"""Audits of the stores of a home: what is due, held against catalogue and journal, entered there, and repaired."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

from .catalog import Catalog, Copy
from .entries import Entries
from .errors import Damaged, LantaiError, NotFound, StoreUnavailable, UsageError
from .fixity.audit import Level, Verdict, catalog_to_store, is_being_copied, store_to_catalog, store_to_store
from .fixity.control import Missed
from .fixity.due import due
from .fixity.outcome import Fault, Lost, Outcome, Repaired
from .fixity.run import Segment, run
from .fixity.seen import Seen
from .fixity.spending import Spending
from .messages import _
from .model import Budget, Finding, PackageId
from .package.index import index
from .repairs import Repairs
from .storage import remote
from .storage.identity import KEY
from .storage.journal import moment
from .storage.journal.verify import HOME
from .storage.ocfl import PREFIX, Root
from .storage.stop import stoppable
from .storage.workers import Progress
from .stores import Stores
from .telling.telling import Telling

_OF_HARVESTS = ("remote-damaged", "remote-missing", "remote-cut")
_OF_PERSONS = ("audit-diverged", "audit-unlisted", "store-odd")
"""Findings of packages that a person settles."""
What: TypeAlias = Literal["all", "due"] | tuple[PackageId, ...]

_GOES_ON = timedelta(days=7)
"""So long an audit of all that was broken off is gone on with, and not begun anew."""
_BESIDE = timedelta(hours=20)
"""So long what was seen of the journal, and of all else beside packages, holds for an audit of what is due: less than a
day, so that each night's looks, though it begin a little sooner than the last one's.
"""
_ON_ITS_WAY = timedelta(days=1)
"""So long the beginnings of a copy may be those of one that goes on, as clean has it."""
_TOGETHER = 200
"""Packages that the catalogue is asked about at once."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An audit: of what, in which stores, how closely; whether what is damaged is repaired."""

    what: What
    stores: tuple[str, ...]
    level: Level = "full"
    repair: bool = True
    budget: Budget | None = None

    @property
    def kind(self) -> str:
        """Runs of one kind look at the same things: what one of them finds or misses, the next one would."""
        what = self.what if isinstance(self.what, str) else " ".join(sorted(self.what))
        return f"audit {what} {self.level} {' '.join(self.stores)}"

    def state(self, since: datetime | None, *, beside: bool) -> dict[str, Any]:
        """As the journal has it. since: when the run began that this one goes on with; beside: whether it looks at what
        lies beside packages.
        """
        return {
            "what": self.what if isinstance(self.what, str) else list(self.what[:_TOLD]), "stores": list(self.stores),
            "level": self.level, "repair": self.repair,
            **({"bytes": self.budget.bytes} if self.budget and self.budget.bytes else {}),
            **({"seconds": self.budget.seconds} if self.budget and self.budget.seconds else {}),
            **({"since": moment(since)} if since else {}),
            **({"beside": True} if beside else {}),
        }  # fmt: skip


_TOLD = 100
"""Packages of those asked for that the journal names."""


class Audits:
    """every: the promise for stores that have none of their own; software: what the journal calls this lantai."""

    def __init__(
        self, home: Path, stores: Stores, catalog: Catalog, entries: Entries, telling: Telling, *, every: timedelta,
        software: str, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._home, self._stores, self._catalog, self._entries = home, stores, catalog, entries
        self._telling = telling
        self._every, self._software, self._now = every, software, now
        self._repairs = Repairs(home, stores, catalog, entries, now=now)

    def run(self, asked: Asked, *, progress: Progress) -> Outcome:
        """Audit, enter what counts in the journal, repair, tell. A store that cannot be reached stands in the outcome.

        All of a store: what the catalogue does not know of is indexed on the way; where a run of the last week was
        broken off, what was found whole since it began, and has got no version since, is not read again. UsageError,
        Damaged: of the home's own journal.
        """
        for store in asked.stores:
            self._stores.place(store)
        try:
            return self._run(asked, progress)
        except LantaiError as error:
            self._telling.failure(asked.kind, error, command="audit")
            raise

    def _run(self, asked: Asked, progress: Progress) -> Outcome:
        # Before anything is entered: that would put back what is missing at the end of a chain, and needs a whole one.
        beside = asked.what == "all" or (asked.what == "due" and self._is_due_beside(asked))
        faults, done = self._first(asked, beside)
        since = self._broken_off(asked)
        with self._entries.running("audit", asked.state(since, beside=beside), software=self._software) as ran:
            self._repairs.enter(done)
            for store in asked.stores:
                self._require_level(store, asked.level)
            outcome = self._audited(asked, since, beside, faults, progress)
            if asked.repair and not outcome.missed:
                outcome = self._repaired(outcome, progress)
            outcome = outcome.with_done(done)
            ran.verdict, ran.counts = outcome.verdict, outcome.counts
            ran.reason = "; ".join(f"{store}: {reason}" for store, reason in outcome.away)
        self._telling.outcome(asked.kind, outcome, command="audit", run=ran.id)
        return outcome

    def _require_level(self, store: str, level: Level) -> None:
        """UsageError: its server was not seen to vouch for anything."""
        if level != "server":
            return
        with suppress(Damaged, NotFound, StoreUnavailable):  # that it is away is told of where it is audited
            if not self._stores.root(store).store.properties.vouches:
                raise UsageError(
                    _("this store was not seen to vouch for SHA-256, so there is no level server"), subject=store,
                    remedy=_("Choose level listing or full, or --store with one of which lantai check-store says it."),
                )  # fmt: skip

    def _is_due_beside(self, asked: Asked) -> bool:
        """Whether no run looked at what lies beside packages there of late and found nothing wrong: what is wrong is
        told by every run until it is put right.
        """
        for one in self._catalog.runs():
            if one.began < self._now() - _BESIDE:
                break
            looked = one.command == "audit" and one.asked.get("beside") and not one.broken_off
            if looked and {*asked.stores} <= {*one.asked["stores"]}:
                return one.verdict not in ("passed", "incomplete")
        return True

    def _first(self, asked: Asked, beside: bool) -> tuple[list[Fault], list[Repaired | Lost]]:
        """Whose each store is, and, if beside, the journal: what was wrong, and what became of it."""
        faults: list[Fault] = []
        done: list[Repaired | Lost] = []
        told = self._entries.told()
        for store in asked.stores:
            if error := self._stores.misidentified(store, told):
                faults.append(Fault(store, None, Finding.of("store-identity", KEY, reason=error.what)))
                done += [self._repairs.identity(store)] if asked.repair else []
        if beside:
            of_journal = [
                Fault(name, None, finding)
                for name, finding in self._entries.verify({})
                if name in (*asked.stores, HOME)
            ]
            done += self._repairs.journal(of_journal) if asked.repair and of_journal else []
            faults += of_journal
        return faults, done

    def _broken_off(self, asked: Asked) -> datetime | None:
        """When a run of the same kind began that did not come to its end; None: the newest one did."""
        for one in self._catalog.runs():
            same = one.command == "audit" and one.asked["what"] == asked.what == "all"
            if same and one.asked["level"] == asked.level and one.asked["stores"] == list(asked.stores):
                began = datetime.fromisoformat(one.asked.get("since") or moment(one.began))
                is_open = one.verdict is None or one.verdict == "incomplete"
                return began if is_open and self._now() - began < _GOES_ON else None
        return None

    def _audited(
        self, asked: Asked, since: datetime | None, beside: bool, journal: Sequence[Fault], progress: Progress
    ) -> Outcome:  # fmt: skip
        began, tally = self._now(), _Tally()
        for one in journal:
            tally.tell(one.store, one.package, (one.finding,))
        away: list[tuple[str, str]] = []
        spending = Spending(asked.budget, len(asked.stores), progress)
        for store in asked.stores:
            spending.begin()
            try:
                is_owed = asked.what != "due" or next(self.due(store, asked.level), None) is not None
                if not is_owed and not (beside and store in dict(self._stores.reachable(strict=False))):
                    continue  # a disk that lies in a safe need not be there
                with closing(Seen()) as seen:
                    self._store(asked, store, since, tally, seen, spending)
                if beside:
                    tally.tell(store, None, self._beside(store, self._stores.root(store)))
            except LantaiError as error:
                away.append((store, str(error)))
        if asked.what == "all":  # last, since a store may have told the catalogue of what one before it lacks
            for store in (one for one in asked.stores if one not in dict(away)):
                tally.tell(store, None, self._lacking(store, began))
        return Outcome(
            asked.level, tally.packages, tally.before, tally.files, tally.octets, tuple(dict.fromkeys(tally.faults)),
            tuple(tally.warnings), tuple(tally.missed), tuple(away), spending.spent,
        )  # fmt: skip

    def _store(
        self, asked: Asked, store: str, since: datetime | None, tally: _Tally, seen: Seen, spending: Spending
    ) -> None:  # fmt: skip
        """Audit a store. seen: empty, and then what was looked at there."""
        root = self._stores.root(store)
        self._look(asked, store, root, self._chosen(asked, store, root, since, tally, seen), tally, seen, spending)
        if asked.what != "all":
            return
        known = (one.package for one in self._catalog.held(store, asked.level))
        left = self._there(asked, store, root, (package for package in known if package not in seen), tally)
        # What the store did not list, or what came meanwhile: nothing that is known to lie there is passed over.
        for package in left:
            if asked.budget is None:  # with one, what is there comes to its turn
                self._look(asked, store, root, chain((package,), left), tally, seen, spending)

    def _look(
        self, asked: Asked, store: str, root: Root, packages: Iterable[PackageId], tally: _Tally, seen: Seen,
        spending: Spending,
    ) -> None:  # fmt: skip
        """Audit packages of a store, so far as the budget goes. KeyboardInterrupt, once what was read by then is
        entered; a second one does not wait for that.
        """
        with stoppable() as stop:
            for segment in run(
                root, self._stores.place(store), spending.within(packages), asked.level, progress=spending.spend,
                chance=Random(), stop=stop, rate=self._stores.audit_rate(store),
            ):  # fmt: skip
                held = self._held(store, root, segment)
                tally.add(store, held)
                seen.add(self._enter(store, asked.level, held))

    def _there(
        self, asked: Asked, store: str, root: Root, packages: Iterable[PackageId], tally: _Tally
    ) -> Iterator[PackageId]:  # fmt: skip
        """Those that are there; of the others, which the catalogue knows to lie in the store, tally is told, and the
        journal, as of any that are not whole.
        """
        every = iter(packages)
        while some := list(islice(every, _TOGETHER)):
            gone = dict(catalog_to_store(self._catalog, ((one, None) for one in some), root, store))
            for package in (one for one in some if one not in gone):
                place = root.object_key(package)
                if next(root.store.keys(f"{place}/"), None) is None:
                    gone[package] = Finding.of("audit-unlisted", place)
            with self._entries.checking(store, software=self._software, level=asked.level) as note:
                for package, finding in gone.items():
                    tally.tell(store, package, (finding,))
                    note(package, (finding,))
            yield from (one for one in some if one not in gone)

    def _chosen(
        self, asked: Asked, store: str, root: Root, since: datetime | None, tally: _Tally, seen: Seen
    ) -> Iterator[PackageId]:  # fmt: skip
        """What is to be audited in a store; tally, seen: told of what is not, since it was after since."""
        if asked.what == "due":
            yield from self.due(store, asked.level)
        elif asked.what != "all":
            yield from asked.what
        elif asked.budget:  # in an order in which every package comes to its turn
            yield from (package for package, _at in self._catalog.last_checked(store, asked.level))
        else:
            met = store_to_catalog(root, self._catalog, store)
            if since is None:
                yield from met
                return
            while some := list(islice(met, _TOGETHER)):
                known = self._catalog.checked_since(store, asked.level, some, since)
                done = {package for package, head in known.items() if _has(root, package, head)}
                tally.before += len(done)
                seen.add(done)
                yield from (package for package in some if package not in done)

    def due(self, store: str, level: Level) -> Iterator[PackageId]:
        """What the promise for the store asks for now, the longest ago first."""
        every = self._stores.audited_every(store) or self._every
        return due(self._catalog.last_checked(store, level), every, self._now(), store=store)

    def _enter(self, store: str, level: Level, segment: Segment) -> list[PackageId]:
        """What counts goes into the journal, what is void does not. Which packages were seen as they are now: not those
        that got a version while they were read.
        """
        newest = self._catalog.held_in(store, (one.package for one in segment.verdicts))
        seen = [one for one in segment.verdicts if not one.valid or (one.head or 0) >= newest.get(one.package, 0)]
        if not segment.void:
            with self._entries.checking(
                store, software=self._software, level=level, control=segment.controlled
            ) as note:  # fmt: skip
                for verdict in seen:
                    note(verdict.package, verdict.findings)
        return [one.package for one in seen]

    def _held(self, store: str, root: Root, segment: Segment) -> Segment:
        """Each verdict with what holding the package against the catalogue and the primary tells: a store that gives
        back yesterday's versions, whole, has not kept the package. What the catalogue does not know of, it is told.
        """
        packages = [one.package for one in segment.verdicts]
        known, lies = self._catalog.versions_of(packages), self._catalog.held_in(store, packages)
        for one in segment.verdicts:
            if one.head and one.head != known.get(one.package):
                with suppress(Damaged, NotFound):
                    index(self._catalog, root, one.package)
        for one in segment.verdicts:
            if one.head and one.head > lies.get(one.package, 0):  # brought by another home, or by other means
                self._catalog.keep(one.package, tuple(_copies(root, store, one.package, one.head)))
        seen = ((one.package, one.head) for one in segment.verdicts)
        behind = dict(catalog_to_store(self._catalog, seen, root, store))
        primary = dict(self._stores.reachable(strict=False)).get(self._stores.primary)

        def held(verdict: Verdict) -> Verdict:
            package, findings = verdict.package, list(verdict.findings)
            if primary is not None and store != self._stores.primary:
                findings = [one for one in findings if not is_being_copied(root, primary, package, one)]
                findings += store_to_store(root, primary, package)
            findings += [behind[package]] if package in behind else []
            return replace(verdict, findings=tuple(findings))

        return replace(segment, verdicts=tuple(map(held, segment.verdicts)))

    def _beside(self, store: str, root: Root) -> Iterator[Finding]:
        """What no audit of a package can find."""
        yield from self._stores.judge(store, root)
        for source, (number, _seal) in self._catalog.remote.heads().items():
            if (key := remote.key_of(source, number)) not in root.store.keys(key):
                yield Finding.of("remote-cut", key)

    def _lacking(self, store: str, began: datetime) -> Iterator[Finding]:
        """How many packages, or versions of them, a store never had, or lost before the catalogue was made anew.
        Nothing counts as stored before it is in the primary and in each required copy: that it is not there is a
        fault. replicate brings it, not a repair, since the answer was pending and said so. What was made since the run
        began may be on its way, and so is what was made of late and of which something is there.
        """
        root, lacking = self._stores.root(store), 0
        for package, number, at in self._catalog.lacking(store, began):
            place = f"{root.object_key(package)}/v{number}/"
            is_coming = at > began - _ON_ITS_WAY and next(root.store.keys(place), None) is not None
            lacking += not is_coming
        if lacking:
            code = "audit-pending" if self._stores.is_required(store) else "audit-behind"
            yield Finding.of(code, PREFIX, count=lacking)

    def _repaired(self, outcome: Outcome, progress: Progress) -> Outcome:
        """What the audits found, entered as it is done: first what lies beside packages."""
        beside: dict[str, list[Finding]] = {}
        harvested: dict[str, list[Finding]] = {}
        found: dict[tuple[str, PackageId], list[Finding]] = {}
        for one in outcome.faults:
            if one.package is None and one.finding.code in ("store-file", "store-stray"):
                beside.setdefault(one.store, []).append(one.finding)
            elif one.package is None and one.finding.code in _OF_HARVESTS:
                harvested.setdefault(one.store, []).append(one.finding)
            elif one.package is not None and one.finding.code not in _OF_PERSONS:
                found.setdefault((one.store, one.package), []).append(one.finding)
        for which, mended in ((beside, self._repairs.beside), (harvested, self._repairs.harvested)):
            for store, findings in which.items():
                done = tuple(mended(store, findings))
                self._repairs.enter(done)
                outcome = outcome.with_done(done)
        proven: dict[str, list[PackageId]] = {}
        for (store, package), of_package in found.items():
            became, seen = self._repairs.package(store, package, of_package, progress=progress)
            self._repairs.enter([became])
            if isinstance(became, Repaired) and became.valid:
                proven.setdefault(store, []).append(package)
            more = tuple(Fault(store, package, finding) for finding in seen)
            outcome = replace(outcome, faults=(*outcome.faults, *more)).with_done([became])
        self._prove(outcome.level, proven)
        return outcome

    def _prove(self, level: Level, proven: Mapping[str, Sequence[PackageId]]) -> None:
        """Enter that packages were found whole, by store: each was audited in full when it was repaired. level: at
        which they were found damaged before.
        """
        if proven:  # of two checks in one second that one counts which found damage
            time.sleep(1 - self._now().microsecond / 1e6)
        for store, packages in proven.items():
            for one in dict.fromkeys((level, "full")):
                with self._entries.checking(store, software=self._software, level=one) as note:
                    for package in packages:
                        note(package, ())


def _copies(root: Root, store: str, package: PackageId, head: int) -> Iterator[Copy]:
    """Of the versions of a package up to head, where they lie in a store, by its clock."""
    for number in range(1, head + 1):
        with suppress(NotFound):
            yield Copy(number, store, root.store.stat(root.inventory_key(package, number)).modified)


def _has(root: Root, package: PackageId, head: int) -> bool:
    """Whether just that is the newest version of a package in a store."""
    with suppress(Damaged):
        return root.head(package) == head
    return False


@dataclass(slots=True)
class _Tally:
    """What an audit has come to so far; see Outcome."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    packages: int = 0
    before: int = 0
    files: int = 0
    octets: int = 0

    def add(self, store: str, segment: Segment) -> None:
        self.missed += segment.missed
        for one in segment.verdicts:
            self.packages, self.files, self.octets = self.packages + 1, self.files + one.files, self.octets + one.bytes
            self.tell(store, one.package, one.findings)

    def tell(self, store: str, package: PackageId | None, findings: Iterable[Finding]) -> None:
        for finding in findings:
            (self.faults if finding.fatal else self.warnings).append(Fault(store, package, finding))
