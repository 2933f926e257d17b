"""What other archives show, gathered from their servers into every store and the catalogue, a part at a time."""

from __future__ import annotations

import fcntl
import heapq
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from .catalog import Catalog, Source
from .errors import Exists, LantaiError, NotFound, StoreUnavailable
from .messages import _
from .model import Agent, Budget, Finding, Gathered, Received, Scope
from .oai.compare import Days, Had, differing, had, held, spans, told
from .oai.fetch import Fetcher, Limits, refused
from .oai.harvest import answers
from .oai.remote import About, Answer, Remote
from .settings import HarvestSettings
from .storage import Store, remote
from .storage.linux import unavailable
from .storage.sealed import moment
from .stores import Stores

_RECORDS, _OCTETS, _SECONDS = 1000, 4 << 20, 10.0
"""A part is written once it has so many records or so much text, or so long after the one before."""
_ROUNDS = 3
_SPANS = 50
"""Requests of one round; more days are asked for as one span."""
RECEIPT = "/receipt"


@dataclass(slots=True)
class Harvested:
    """What came of a harvest. name: how the archive calls itself; received: records in the answers; of these own: of
    this archive's namespace, left out; unchanged: as they were known, not written again; live, deleted: written. gone:
    were live before; held: are live now; until: the newest responseDate; missing: the required stores that lack any of
    it. differing: days that three more rounds did not settle; None: it was not asked for. left_out: of own, where they
    are to be verified, what came of each.
    """

    source: str
    url: str
    asked: Scope
    name: str = ""
    received: int = 0
    own: int = 0
    unchanged: int = 0
    live: int = 0
    deleted: int = 0
    gone: int = 0
    held: int = 0
    parts: int = 0
    until: str = ""
    resumed: bool = False
    missing: tuple[str, ...] = ()
    warnings: list[Finding] = field(default_factory=list)
    differing: list[Finding] | None = None
    rounds: int = 0
    left_out: dict[str, Had] | None = None


@dataclass(slots=True)
class _Part:
    """What is to be written next."""

    asked: Scope
    records: list[Received] = field(default_factory=list)
    octets: int = 0
    since: float = field(default_factory=time.monotonic)
    began: str = ""
    answered: str = ""
    token: str | None = None

    def take(self, records: Iterable[Received], began: str, answer: Answer) -> None:
        for one in records:
            self.records.append(one)
            self.octets += len(one.metadata) + sum(map(len, one.about))
        self.began, self.answered, self.token = began, answer.at, answer.token

    @property
    def is_full(self) -> bool:
        """And not the last: that one is written when the list ends."""
        late = time.monotonic() - self.since > _SECONDS
        much = len(self.records) >= _RECORDS or self.octets >= _OCTETS or late
        return bool(self.records) and self.token is not None and much


class Harvests:
    """Of an archive. by: the person; contact: whom those may ask whose servers are harvested."""

    def __init__(
        self, home: Path, stores: Stores, catalog: Catalog, settings: HarvestSettings, *, by: Callable[[], Agent],
        software: Agent, contact: str, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._home, self._stores, self._catalog, self._by = home, stores, catalog, by
        self._software, self._now, self._archive = software, now, stores.identity.archive
        self._agent = f"lantai/{software.version} (OAI-PMH harvester; {contact})"
        self._limits = Limits(
            octets=Budget.parse(settings.answer_size).bytes or 0, seconds=settings.answer_seconds,
            all_octets=Budget.parse(settings.size).bytes or 0, all_seconds=settings.hours * 3600,
        )  # fmt: skip
        self._identify = ""
        """What the server says of itself, until it is written."""
        self._progress: Callable[[int], object] = lambda _records: None

    def harvest(
        self, url: str, asked: Scope, *, verify: bool, progress: Callable[[int], object]
    ) -> Harvested:  # fmt: skip
        """Take in what is new at the server at url since the last harvest; with asked.since, all from then on. Where
        the last one was broken off it is gone on with. verify: hold it against the server's receipt; progress: told of
        so many records that came.

        It is in every store that can be reached when this returns. UsageError, StoreUnavailable, Damaged: what came
        whole until then is kept.
        """
        fetcher = Fetcher(url, agent=self._agent, limits=self._limits)
        source = remote.source_of(fetcher.url)
        with self._alone(source):
            self.catch_up(source)
            server = Remote(fetcher.url, fetcher.get)
            about = server.identify()
            done = Harvested(source, fetcher.url, asked, about.name, left_out={} if verify else None)
            before = self._catalog.remote.held(source, asked.prefix)
            known = self._catalog.remote.source(source)
            done.asked, going = self._plan(known, asked, about)
            done.resumed = going is not None
            self._progress = progress
            self._identify = "" if known and known.identify == about.xml else about.xml
            try:
                self._gather(done, server, done.asked, going)
                if verify:
                    done.differing = list(self._verified(done, fetcher, server))
            except BaseException:
                with suppress(LantaiError):
                    self._spread(done)
                raise
            self._spread(done)
        done.held = self._catalog.remote.held(source, asked.prefix)
        done.warnings += _warnings(done, about, before, self._stores.identity.namespace)
        return done

    def _plan(
        self, known: Source | None, asked: Scope, about: About
    ) -> tuple[Scope, tuple[str, str] | None]:  # fmt: skip
        """From when on, and where a list that was broken off goes on."""
        lists = known.lists if known else ()
        mine = next((one for one in lists if (one.asked.prefix, one.asked.spec) == (asked.prefix, asked.spec)), None)
        since, going = asked.since, None
        if mine is not None:
            if since is None and mine.token is not None:
                since, going = mine.asked.since, (mine.token, mine.began or "")
            elif mine.complete is not None:
                # Nothing between what was complete and what is asked for may be passed over, nor what a server whose
                # clock is ahead has yet to show.
                now = moment(self._now())
                since = min(one for one in (since, mine.complete, now) if one is not None)
        return replace(asked, since=since[:10] if since and about.by_day else since), going

    def _gather(self, done: Harvested, server: Remote, asked: Scope, going: tuple[str, str] | None) -> None:
        """A list to its end, part by part. What is known already is not written again."""
        part = _Part(asked)
        try:
            for began, answer in answers(server, asked, going, done.url):
                done.received += len(answer.records)
                self._progress(len(answer.records))
                part.take(self._new(done, asked.prefix, answer.records), began, answer)
                if part.is_full:
                    self._write(done, part)
                    part = _Part(asked)
        except LantaiError:
            if part.records:
                self._write(done, part)
            raise
        if part.records or asked.until is None:
            self._write(done, part)
        done.until = max(done.until, part.answered)

    def _new(self, done: Harvested, prefix: str, records: Sequence[Received]) -> Iterator[Received]:
        own = f"oai:{self._stores.identity.namespace}:".casefold()
        known = self._catalog.remote.known(done.source, prefix, [one.identifier for one in records])
        for one in records:
            if one.identifier.casefold().startswith(own):
                done.own += 1
                if done.left_out is not None:
                    done.left_out[one.identifier] = had(one)
            elif known.get(one.identifier) == one:
                done.unchanged += 1
            else:
                was = known.get(one.identifier)
                done.live, done.deleted = done.live + one.live, done.deleted + (not one.live)
                done.gone += was is not None and was.live and not one.live
                known[one.identifier] = one
                yield one

    def _write(self, done: Harvested, part: _Part) -> None:
        """Into the primary, which decides its place, and the catalogue."""
        known = remote.Head(*self._catalog.remote.heads().get(done.source, (0, "")))
        made = Gathered(
            archive=self._archive, source=done.source, number=known.number + 1, previous=known.seal, at=self._now(),
            by=self._by(), software=self._software.id, url=done.url, asked=part.asked, began=part.began,
            answered=part.answered, token=part.token, identify=self._identify, records=tuple(part.records),
        )  # fmt: skip
        try:
            seal = remote.add(self._primary(), made)
        except Exists as error:
            raise StoreUnavailable(
                _("another harvest of this source wrote meanwhile"), subject=done.url,
                remedy=_("Run it again when that has ended."),
            ) from error  # fmt: skip
        with self._catalog.writing() as writing:
            writing.gather(made, seal=seal)
        self._identify = ""
        done.parts += 1

    def _verified(self, done: Harvested, fetcher: Fetcher, server: Remote) -> Iterator[Finding]:
        """The days that differ from the receipt after three more harvests of them."""
        prefix, spec = done.asked.prefix, done.asked.spec
        for number in range(_ROUNDS + 1):
            there = self._receipt(fetcher, prefix, spec)
            # Of the server's records that are ours, those of days that were asked for as a whole are all there.
            known = map(had, self._catalog.remote.records(done.source, prefix))
            here = held(heapq.merge(known, sorted((done.left_out or {}).values())), spec)
            days = differing(there, here)
            if not days:
                return
            if number < _ROUNDS:
                done.rounds += 1
                some = spans(days)
                for first, last in some if len(some) <= _SPANS else [(days[0], days[-1])]:
                    self._gather(done, server, Scope(prefix, spec, first, last), None)
        for day in days:
            counts = {"there": there.get(day, (0,))[0], "here": here.get(day, (0,))[0]}
            yield Finding.of("harvest-differs", day, **counts)

    def _receipt(self, fetcher: Fetcher, prefix: str, spec: str | None) -> Days:
        arguments = {"metadataPrefix": prefix, **({"set": spec} if spec else {})}
        try:
            return told(fetcher.get(arguments, below=RECEIPT), prefix, spec)
        except NotFound as error:
            raise NotFound(
                _("this server gives no receipt, so that the harvest cannot be verified"), subject=error.subject,
                remedy=_("Everything was harvested. Run it without --verify; lantai serve gives receipts."),
            ) from error  # fmt: skip
        except ValueError as error:
            raise refused(f"{fetcher.url}{RECEIPT}", _("this is no receipt ({reason})").format(reason=error)) from error

    # -- stores

    def _primary(self) -> Store:
        return self._stores.root(self._stores.primary).store

    def _reachable(self) -> dict[str, Store]:
        return {name: root.store for name, root in self._stores.reachable(strict=False)}

    def catch_up(self, source: str) -> None:
        """Bring the stores together, and tell the catalogue what it lacks of a source. Damaged, StoreUnavailable."""
        primary = self._primary()
        for _done in remote.bring(source, self._reachable(), {self._stores.primary: primary}):
            pass
        known = remote.Head(*self._catalog.remote.heads().get(source, (0, "")))
        for part, seal in remote.parts(primary, self._archive, source, known):
            with self._catalog.writing() as writing:
                writing.gather(part, seal=seal)

    def _spread(self, done: Harvested) -> None:
        """To every copy; what could not be reached is told."""
        missing = []
        primary = {self._stores.primary: self._primary()}
        for one in self._stores.copies:
            try:
                target = self._stores.root(one.name, found=True).store
                for _key in remote.bring(done.source, {**primary, one.name: target}, {one.name: target}):
                    pass
            except LantaiError as error:
                done.warnings.append(Finding.of("harvest-pending", one.name, reason=error.what))
                missing += [one.name] if one.required else []
        done.missing = tuple(missing)

    def merge(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Give stores what they lack of all that was harvested, from any that can be reached; store and key."""
        targets = {}
        for name in names:
            with suppress(LantaiError):
                targets[name] = self._stores.root(name, found=True).store
        stores = self._reachable()
        for source in sorted({source for store in stores.values() for source in remote.sources(store)}):
            yield from remote.bring(source, stores, targets)
            self.catch_up(source)

    @contextmanager
    def _alone(self, source: str) -> Iterator[None]:
        """One process of the home asks a server at a time. StoreUnavailable."""
        folder = self._home / "harvests"
        try:
            folder.mkdir(exist_ok=True)
            descriptor = os.open(folder / source, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise unavailable(error, os.fsencode(folder / source)) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreUnavailable(
                    _("this source is being harvested just now"), subject=source,
                    remedy=_("Wait until that has ended."),
                ) from error  # fmt: skip
            yield
        finally:
            os.close(descriptor)


def _warnings(done: Harvested, about: About, before: int, namespace: str) -> Iterator[Finding]:
    """before: how many records were live."""
    if done.asked.spec and not (done.received or done.asked.since or done.resumed):
        # Of what changed since then there may be nothing; a set that has nothing at all is perhaps misspelt.
        yield Finding.of("harvest-nothing", done.source, set=done.asked.spec)
    if done.own:
        yield Finding.of("harvest-own", namespace, count=done.own)
    if done.gone * 2 > before:
        yield Finding.of("harvest-deleted", done.source, count=done.gone, held=before)
    if about.deleted != "persistent":
        yield Finding.of("harvest-untold", done.source, deleted=about.deleted)
