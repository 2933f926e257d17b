"""Archive: opens a home and wires the rooms. The one object that cli, web and jobs hold."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from importlib import metadata
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from . import config
from . import ingest as ingesting
from .access import Exposure
from .audits import Audits
from .catalog import Catalog, Listing
from .copies import Copies, Replicated
from .entries import Entries, person_of
from .errors import UsageError
from .fixity.outcome import Fault, Outcome, Repaired
from .formats import Identifier
from .formats.apart import Apart
from .home import recall, record
from .ingest import Given, Ingested
from .ingest.events import Scribe
from .ingest.submission import open_submission
from .ingest.update import Change, update
from .messages import _
from .metadata.xml import legible
from .model import Agent, Decision, Finding, PackageId, RecordId, Shown
from .oai import Brand, Repository
from .package.export import Exported, Form, export
from .package.index import index
from .recovery import Rebuilt, rebuild
from .reports.fixity import FixityReport, Timed, Watched, fixity
from .reports.loss import Faults
from .settings import days
from .storage.ocfl import PREFIX, Draft, Root
from .storage.ocfl.clean import Settled, clean, clean_copy, settle_own
from .storage.ocfl.layout import object_path
from .storage.promises import check, tried
from .storage.workers import Progress
from .stores import Stores
from .telling.log import Log
from .telling.telling import Telling, Way

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from .harvests import Harvests

_AHEAD, _TOGETHER, _CAST_A_SECOND = timedelta(minutes=1), 500, 500
"""All records are told of, so many at a time, before another way of giving them holds; so many a second at least."""
VERSION = metadata.version("lantai-archive")


@dataclass(frozen=True, slots=True)
class Access:
    """What a person says of access: closed, description only, open, or open from a day on."""

    shown: Shown
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Updated:
    """missing: the required stores that lack the new version; warnings: of what was taken in, and why a store lacks it,
    be it required or not.
    """

    version: int
    missing: tuple[str, ...]
    warnings: tuple[Finding, ...]


class Archive:
    """A home opened. by: the name of the person on whose behalf things are done."""

    def __init__(self, home: Path, *, by: str, now: Callable[[], datetime] | None = None) -> None:
        self.home, self.settings = home, config.read(home)
        self._now = now or utc_now
        self._id, remembered = recall(home)
        self.stores = Stores(home, self.settings.store, remembered)
        self.identity = self.stores.identity
        self.zone = ZoneInfo(self.identity.timezone)
        self._by, self.software = by, Agent(f"lantai {VERSION}", "software", "lantai", VERSION)
        self._open = ExitStack()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._open.close()

    @property
    def catalog_url(self) -> str:
        return self.settings.catalog.at(self.home)

    @cached_property
    def catalog(self) -> Catalog:
        """Opened when it is first asked for: what needs none works without. UsageError, Damaged, StoreUnavailable."""
        catalog = self._open.enter_context(Catalog.open(self.catalog_url, create=False))
        self.__dict__["catalog"] = catalog
        self.entries.heal()
        return catalog

    @cached_property
    def person(self) -> Agent:
        """On whose behalf things are done."""
        return person_of(self.catalog, self._by)

    @cached_property
    def root(self) -> Root:
        """The primary store's, for reading and writing. NotFound, StoreUnavailable: it is away."""
        store = self.stores.root(self.stores.primary).store
        return Root(store, home=self._id, drafts=self.home / "drafts", new_draft=lambda: secrets.token_hex(4))

    # -- take in

    def ingest(self, path: Path, *, given: Given, access: Access | None, progress: Progress) -> Ingested:
        """One submission becomes a package, in every store: pending, where a required one lacks it.

        Raises Rejected, NotFound, Damaged, StoreUnavailable; then nothing is stored.
        """
        self.settle()
        with self.scratch() as scratch:
            submission = open_submission(path, scratch=scratch)
            draft = self._draft_of(f"{submission.kind} {path.resolve()}")
            done = ingesting.ingest(
                submission,
                draft,
                given=given,
                root=self.root,
                catalog=self.catalog,
                identifier=self._identifier,
                access=self._decision(draft.package, access),
                scribe=self._scribe(),
                progress=progress,
            )
        self.entries.expose()
        missing, findings = self._copies.spread(done.package)
        told = replace(done, missing=missing, warnings=(*done.warnings, *findings))
        return replace(told, status="pending") if missing else told

    def _draft_of(self, source: str) -> Draft:
        """Of a new package, or of the one at which an ingest of the same source was broken off."""
        algorithms = self.settings.ingest.digests
        return self.root.resumed(source, algorithms=algorithms) or self.root.draft(
            PackageId(uuid7().urn), algorithms=algorithms, source=source
        )

    def update(self, package: PackageId, change: Change, *, reason: str, progress: Progress) -> Updated:
        """The next version of package, in every store."""
        self.settle()
        with self.scratch() as scratch:
            number, warnings = update(
                package,
                change,
                reason=legible(reason),
                root=self.root,
                catalog=self.catalog,
                identifier=self._identifier,
                scribe=self._scribe(),
                scratch=scratch,
                progress=progress,
            )
        self.entries.expose()
        missing, why = self._copies.spread(package)
        return Updated(number, missing, (*warnings, *why))

    @cached_property
    def _identifier(self) -> Identifier:
        """Started with the first submission, and kept for those that follow."""
        settings = self.settings.ingest
        return self._open.enter_context(Apart(settings.identifier, second_opinion=settings.second_opinion))

    def _scribe(self) -> Scribe:
        return Scribe(self.software, self.person, legible(self.settings.archive.name), self._now, lambda: uuid7().urn)

    def _decision(self, package: PackageId, access: Access | None) -> Decision:
        """The first decision on access: what the person said, else what the settings say."""
        now = self._now()
        said = access or Access(self.settings.access.default)
        return Decision(
            id=uuid7().urn, record=RecordId(package), shown=said.shown, since=self._instant(said) or now,
            ground="policy" if access else ingesting.BY_DEFAULT, at=now, by=self.person.name,
            reason="stated at ingest" if access else "the archive's default",
        )  # fmt: skip

    def _instant(self, access: Access) -> datetime | None:
        """The first second of the day in the archive's time zone."""
        return datetime.combine(access.since, datetime.min.time(), self.zone).astimezone(UTC) if access.since else None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for unpacking, gone afterwards."""
        with scratch_folder(self.settings.ingest.staging) as folder:
            yield folder

    # -- keep

    @cached_property
    def _copies(self) -> Copies:
        return Copies(
            self.home, self.stores, self.catalog, self.entries, lambda names: self.harvests.merge(names),
            now=self._now,
        )  # fmt: skip

    def replicate(self, source: str | None, target: str | None, *, progress: Progress) -> Iterator[Replicated]:
        """Take over what target (every copy, by default) lacks of source (the primary), a package at a time.

        What a target had had and had lost makes the run one with faults, and is told as what an audit finds. Raises
        UsageError, and what keeps source from being read; what is wrong with a target is told.
        """
        asked = {"from": source or self.stores.primary, "to": target or "every copy"}
        with self.entries.running("replicate", asked, software=self.software.id, begins=False) as ran:
            failed, faults, repaired = 0, list[Fault](), list[Repaired]()
            for one in self._copies.replicate(source or self.stores.primary, target, progress):
                failed += one.error is not None
                faults += one.faults
                repaired += one.repaired
                yield one
            outcome = Outcome("full", faults=tuple(faults), repaired=tuple(repaired))
            if failed or faults:
                counts = {"repaired": outcome.counts["repaired"]} if outcome.repaired else {}
                ran.verdict, ran.counts = "faults", {"faults": failed + len(outcome.faults), **counts}
        if outcome.faults or not failed:
            kind = f"replicate {asked['from']} {asked['to']}"
            self.telling.outcome(kind, outcome, command="replicate", run=ran.id)

    def settle(self) -> list[Settled]:
        """Complete or remove what a run of this home that was killed left behind, and no ingest can go on with; send
        what of the journal was not sent, and take in what other homes wrote.
        """
        self.entries.catch_up()
        return list(self._indexed(settle_own(self.root, self.home / "drafts")))

    def clean(self, *, older_than: timedelta) -> Iterator[Settled]:
        """Settle every draft without a sign of life for older_than, and finish every package."""
        now = datetime.now(UTC)
        asked = {"older_than": older_than.total_seconds()}
        with self.entries.running("clean", asked, software=self.software.id, begins=False):
            yield from self._indexed(settle_own(self.root, self.home / "drafts", silent_since=now - older_than))
            yield from self._indexed(clean(self.root, older_than=older_than, now=now))
            for name, root in self.stores.reachable():
                if name != self.stores.primary:
                    yield from clean_copy(self.root, root)

    def _indexed(self, settled: Generator[Settled, None, None]) -> Iterator[Settled]:
        """Each is in the catalogue before the next is asked for, and its draft forgotten: a crash loses neither."""
        with closing(settled):  # at an error the draft's lock is let go of now, not when the error is forgotten
            for one in settled:
                if one.outcome == "completed":
                    self.index(one.package)
                    self._copies.note_primary(one.package)
                yield one

    def index(self, package: PackageId) -> None:
        """Tell the catalogue of the head of package, read from the store alone."""
        index(self.catalog, self.root, package)

    def rebuild(self, store: str | None, *, progress: Progress) -> Rebuilt:
        """Make the catalogue anew from a store, by default the primary; until it is whole the old one serves."""
        name = store or self.stores.primary
        roots = {name: self.stores.root(name), **dict(self.stores.reachable())}
        return rebuild(
            self.catalog_url, name, self.stores.place(name), roots, archive=self.identity.archive, progress=progress
        )

    def check_store(self, name: str) -> Iterator[tuple[str, Finding | None]]:
        """Try every promise of Store on a store, with many writers at once: each code, and what breaks it."""
        broken: list[str] = []
        with tried(self.stores.place(name)) as store:
            for code, finding in check(store):
                broken += [code] if finding else []
                yield code, finding
            record(self.home, name, store.properties, broken=broken)

    def place(self, package: PackageId) -> str:
        """Where a package lies in the primary store, as a person would go there."""
        return f"{self.stores.place(self.stores.primary)}/{PREFIX}{object_path(package)}"

    # -- decide

    @cached_property
    def entries(self) -> Entries:
        return Entries(
            self.home, self.stores, lambda: self.catalog, by=lambda: self.person,
            organization=legible(self.settings.archive.name), log=self.log, now=self._now,
            new_id=lambda: uuid7().urn,
        )  # fmt: skip

    @cached_property
    def audits(self) -> Audits:
        return Audits(
            self.home, self.stores, self.catalog, self.entries, self.telling,
            every=days(self.settings.fixity.every), software=self.software.id, now=self._now,
        )  # fmt: skip

    @cached_property
    def telling(self) -> Telling:
        return Telling(
            self.home, self._ways(), self.log, self._write_figures,
            repeat=days(self.settings.tell.repeat), language=self.settings.archive.language,
            called=self.settings.archive.name or str(self.home), now=self._now,
        )  # fmt: skip

    @cached_property
    def log(self) -> Log:
        file = self.settings.log.file
        return Log(self.home / file if file else None)

    def figures(self) -> CollectorRegistry:
        """For Prometheus, as they are now."""
        from .telling.figures import registry  # noqa: PLC0415

        usual = days(self.settings.fixity.every)
        every = {one.name: self.stores.audited_every(one.name) or usual for one in self.settings.store}
        return registry(self.catalog, every, self._now())

    def _write_figures(self) -> None:
        if file := self.settings.metrics.textfile:
            from .telling.figures import write  # noqa: PLC0415

            write(self.home / file, self.figures())

    def _ways(self) -> tuple[Way, ...]:
        settings = self.settings.tell
        if not settings.mail_to and not settings.webhook:
            return ()
        from .telling.ways import ways  # noqa: PLC0415

        return tuple(ways(settings, self.home))

    def set_access(
        self, record: RecordId, access: Access, *, reason: str, ground: str, clause: str
    ) -> tuple[Decision, bool]:
        """Decide on the access to a record and all below that have no decision of their own. Whether it is new."""
        return self.entries.decide(
            record, access.shown, self._instant(access), reason=legible(reason), ground=ground, clause=legible(clause)
        )

    def holds(self, record: RecordId) -> tuple[Exposure | None, Exposure | None]:
        """How a record is shown now, and what follows. None: closed, since nothing was decided; nothing follows."""
        now = self._now()
        line = self.catalog.timeline(record)
        past = [one for one in line if one.since <= now]
        return past[-1] if past else None, next((one for one in line if one.since > now), None)

    # -- account

    def fixity_report(self, level: str, faults: Faults) -> FixityReport:
        """Whether the promise to audit is kept, as the catalogue knows; no store is asked."""
        usual = days(self.settings.fixity.every)
        return fixity(
            (
                Watched(
                    one.name,
                    self.stores.audited_every(one.name) or usual,
                    self.catalog.held(one.name, level),
                    self.stores.is_required(one.name),
                )
                for one in self.settings.store
            ),
            self.catalog.checks_by_hour(level),
            self.catalog.holdings(),
            (
                Timed(one.began, one.ended, one.counts.get("bytes", 0))
                for one in self.catalog.runs()
                if one.command == "audit" and one.ended and one.asked["level"] == level
            ),
            level=level,
            faults=faults,
            now=self._now(),
            zone=self.zone,
        )

    # -- share

    def repository(self, base_url: str) -> Repository:
        """What harvesters are told of this archive, at that address unless the settings name another. Where nobody
        answers for it an address stands that does not exist.
        """
        settings, identity, oai = self.settings, self.identity, self.settings.oai
        return Repository(
            name=legible(settings.archive.name) or identity.namespace, base_url=oai.base_url or base_url,
            admin_emails=settings.archive.admin_emails or (f"admin@{identity.namespace}",),
            namespace=identity.namespace, archive=identity.archive, earliest=identity.created, friends=oai.friends,
            brand=Brand(oai.brand_url, oai.brand_link or "", legible(oai.brand_title)) if oai.brand_url else None,
            union=oai.union, language=settings.archive.language or "en",
        )  # fmt: skip

    def cast(self, crosswalk: str, progress: Progress) -> None:
        """From a second that is to come on, all records are given to harvesters in the way of that version, and under
        the name and address of the settings, with new datestamps, if any word of it, the name or the address is another
        than until now; that something is given no more is nothing that a harvester sees. Interrupted, it goes on when
        it is called again.
        """
        exposures, known = self.catalog.exposures, self.catalog.exposures.crosswalk()
        named = legible(self.settings.archive.name), self.settings.oai.base_url
        version = f"{crosswalk} {hashlib.sha256(repr(named).encode()).hexdigest()[:16]}"
        if known is None and not exposures.has_answered():
            self.entries.adopt(version, 0)  # nobody was given anything in another way
        elif known is None or not set(version.split()) <= set(known.split()):
            count = exposures.size(Listing(""), 0, 2**62, 2**61) or 0
            ahead = _AHEAD + timedelta(seconds=count // _CAST_A_SECOND)
            self.entries.adopt(version, ceil((self._now() + ahead).timestamp()))
        while told := exposures.cast(_TOGETHER):
            progress(told, 0)
        self.entries.expose()

    @cached_property
    def harvests(self) -> Harvests:
        from .harvests import Harvests  # noqa: PLC0415 -- what it reads with takes long to load

        contact = next(iter(self.settings.archive.admin_emails), self.identity.namespace)
        return Harvests(
            self.home, self.stores, self.catalog, self.settings.harvest, by=lambda: self.person,
            software=self.software, contact=contact, now=self._now,
        )  # fmt: skip

    # -- give back

    def export(
        self, package: PackageId, target: Path, *, version: int | None, form: Form, verify: bool, progress: Progress,
        store: str | None = None,
    ) -> Exported:  # fmt: skip
        """store: the name of the one to read it from, by default the primary."""
        root = self.stores.root(store) if store else self.root
        done = export(root, package, target, version=version, form=form, verify=verify, progress=progress)
        self.entries.exported(
            package, version=done.version, form=form, files=done.files, octets=done.bytes,
            store=store or self.stores.primary,
        )  # fmt: skip
        return done


@contextmanager
def scratch_folder(staging: str | None = None) -> Iterator[Path]:
    """A folder in staging, else where this machine keeps what is temporary; gone afterwards. UsageError."""
    try:
        scratch = tempfile.TemporaryDirectory(prefix="lantai-", dir=staging)
    except OSError as error:
        raise UsageError(
            _("there is no folder for unpacking ({reason})").format(reason=error.strerror),
            subject=staging or "TMPDIR", remedy=_("Make it, or name another as [ingest] staging in lantai.toml."),
        ) from error  # fmt: skip
    with scratch as folder:
        yield Path(folder)


def uuid7() -> uuid.UUID:
    """RFC 9562 section 5.7: 48 bits of milliseconds, then chance."""
    number = (
        time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    )
    return uuid.UUID(int=number)


def utc_now() -> datetime:
    """Whole seconds: what OCFL, OAI-PMH and a reader can tell apart."""
    return datetime.now(UTC).replace(microsecond=0)
