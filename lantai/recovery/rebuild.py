"""The catalogue made anew from a store: inventories, METS and PREMIS of every package, and the journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from ..catalog import Catalog, Copy
from ..errors import Damaged, LantaiError, NotFound, StoreUnavailable
from ..messages import _
from ..model import Finding, PackageId
from ..package.index import index
from ..storage import Bucket, journal, remote
from ..storage.identity import KEY
from ..storage.journal import Link
from ..storage.ocfl import Root
from ..storage.workers import Progress
from .reading import Asked, Seen, look_at

_TOGETHER = 200
_CAST = 500
"""Records that are told of together."""
"""Packages that the catalogue is told in one transaction."""
_SEGMENTS, _ENTRIES = 100, 2000
"""Segments of the journal likewise, and about as many entries."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the new catalogue holds, and what is wrong with the store or missing in it."""

    packages: int
    entries: int
    gathered: int  # records of other archives
    findings: tuple[Finding, ...]


def rebuild(
    url: str, source: str, place: Path | Bucket, roots: Mapping[str, Root], *, archive: str, progress: Progress
) -> Rebuilt:
    """Put a catalogue of all that the store of that name holds in the place of the one at url, which serves until then.

    A run that was broken off goes on. place: where that store lies; roots: the stores that can be reached, by name.
    Raises UsageError (something else lies at url), StoreUnavailable.
    """
    making = f"{url}.new"
    try:
        with ExitStack() as opened:
            new, old = opened.enter_context(_begun(making)), None
            with suppress(LantaiError):
                old = opened.enter_context(Catalog.open(url, read_only=True))
            told = fill(new, source, place, roots, archive=archive, old=old, progress=progress)
            last = partial(catch_up, new, roots[source], archive=archive, old=old)
            Catalog.replace(url, new, last)
            return told
    except LantaiError as error:
        # Where it is the store that failed, the next run goes on; else it may be what fills the disk.
        if not isinstance(error, StoreUnavailable) or error.subject in (url, making):
            Catalog.remove(making)
        raise


def _begun(url: str) -> Catalog:
    """A catalogue that an earlier run began; one that cannot be used is begun anew."""
    try:
        return Catalog.open(url, durable=False)
    except LantaiError:
        Catalog.remove(url)
        return Catalog.open(url, durable=False)


def fill(
    new: Catalog, source: str, place: Path | Bucket, roots: Mapping[str, Root], *, archive: str, old: Catalog | None,
    progress: Progress,
) -> Rebuilt:  # fmt: skip
    """Everything that the store of that name holds, into new; what new has of it already is not read again.

    place: where that store lies; roots: the stores that can be reached, by name; old: the catalogue so far, if it can
    be read: with it and with the other stores the source is compared. Raises StoreUnavailable; a package that is
    Damaged is a finding.
    """
    root, findings, packages, entries = roots[source], list[Finding](), 0, 0
    further: dict[PackageId, int] = {}
    for some in look_at(place, _batches(new, root)):
        for seen in some:
            if seen.damage:
                findings.append(Finding.of("rebuild-damaged", seen.package, reason=seen.damage))
            if seen.told is not None and seen.told.files is None:
                index(new, root, seen.package)
        whole = [seen for seen in some if seen.head]
        with new.writing() as writing:
            for seen in whole:
                if seen.told is not None and seen.told.files is not None:
                    writing.index(seen.told.package, seen.told.files, earlier=seen.told.earlier)
                copies = tuple(_copies(seen, source, roots))
                writing.keep(seen.package, copies)
                if (highest := max((one.number for one in copies), default=0)) > seen.head:
                    further[seen.package] = highest
        packages += len(whole)
        progress(len(some), 0)
    for writer in journal.writers(root.store):
        try:
            entries += _take_in(new, root, archive, writer)
        except Damaged as error:
            findings.append(Finding.of("rebuild-journal", error.subject, reason=error.what))
    for one in remote.sources(root.store):
        try:
            _gather(new, root, archive, one)
        except Damaged as error:
            findings.append(Finding.of("rebuild-remote", error.subject, reason=error.what))
    while new.exposures.cast(_CAST):
        progress(0, 0)
    findings += _lacking(new, source, roots, old, further)
    _require_there(root, source)
    gathered = sum(one.live + one.deleted for one in new.remote.sources())
    return Rebuilt(packages, entries, gathered, tuple(findings))


def _require_there(root: Root, source: str) -> None:
    """A disk that was taken away meanwhile looks like one that holds nothing more."""
    try:
        root.store.stat(KEY)
    except NotFound as error:
        raise StoreUnavailable(
            _("the store went away while it was read"), subject=source,
            remedy=_("Bring it back, and run lantai rebuild again: it goes on. The catalogue so far still serves."),
        ) from error  # fmt: skip


def _batches(new: Catalog, root: Root) -> Iterator[Sequence[Asked]]:
    """Every package of the source."""
    places = root.places()
    while some := list(islice(places, _TOGETHER)):
        known = new.versions_of(some)
        yield [(package, known.get(package)) for package in some]


def catch_up(new: Catalog, root: Root, *, archive: str, old: Catalog | None) -> None:
    """What was told to the old catalogue while the new one was made."""
    if old is None:
        return
    for package, _head, _known in _behind(new, ((row.id, row.version) for row in old.packages())):
        with suppress(NotFound, Damaged):  # what the store lacks was found already
            index(new, root, package)
            new.keep(package, old.copies(package))
    for writer in old.chains():
        with suppress(Damaged):
            _take_in(new, root, archive, writer)
    for one in old.remote.heads():
        with suppress(Damaged):
            _gather(new, root, archive, one)


def _gather(catalog: Catalog, root: Root, archive: str, source: str) -> None:
    """What the catalogue lacks of what was harvested from a source. Damaged."""
    known = remote.Head(*catalog.remote.heads().get(source, (0, "")))
    for part, seal in remote.parts(root.store, archive, source, known):
        with catalog.writing() as writing:
            writing.gather(part, seal=seal)


def _take_in(catalog: Catalog, root: Root, archive: str, writer: str) -> int:
    """What the catalogue lacks of a chain; how many entries. Damaged."""
    known = catalog.chains().get(writer)
    segments = journal.segments(root.store, archive, writer, Link(*known) if known else None)
    entries, damage = 0, None
    while damage is None:
        some = []
        try:
            for one in islice(segments, _SEGMENTS):
                some.append(one)
                if sum(len(segment.entries) for segment, _seal in some) >= _ENTRIES:
                    break
        except Damaged as error:
            damage = error
        if not some:
            break
        with catalog.writing() as writing:
            for segment, seal in some:
                writing.apply(segment.entries, writer=writer, number=segment.number, seal=seal)
                entries += len(segment.entries)
    if damage is not None:
        raise damage
    return entries


def _copies(seen: Seen, source: str, roots: Mapping[str, Root]) -> Iterator[Copy]:
    """Where its versions lie, as each store says."""
    for name, root in roots.items():
        try:
            head = seen.head if name == source else root.head(seen.package)
        except LantaiError:
            continue
        for number in range(1, head + 1):
            with suppress(NotFound):  # one that is missing below the head is for validate to tell
                yield Copy(number, name, root.store.stat(root.inventory_key(seen.package, number)).modified)


def _lacking(
    new: Catalog, source: str, roots: Mapping[str, Root], old: Catalog | None, heads: dict[PackageId, int]
) -> Iterator[Finding]:
    """What other stores and the old catalogue know and the source does not have. heads: of packages of the source that
    are further in another store.
    """
    chains: dict[str, int] = {}
    for name, root in roots.items():
        if name != source:
            for writer in journal.writers(root.store):
                chains[writer] = max(chains.get(writer, 0), *journal.numbers(root.store, writer))
            for package, _none, known in _behind(new, ((package, 1) for package in root.places())):
                if not known and (head := _head(root, package)):
                    heads[package] = max(heads.get(package, 0), head)
    if old is not None:
        for writer, (number, _seal) in old.chains().items():
            chains[writer] = max(chains.get(writer, 0), number)
        for package, head, _known in _behind(new, ((row.id, row.version) for row in old.packages())):
            heads[package] = max(heads.get(package, 0), head)
    known_of: dict[str, int] = {one: number for one, (number, _seal) in (old.remote.heads() if old else {}).items()}
    for root in roots.values():
        for one in remote.sources(root.store):
            known_of[one] = max(known_of.get(one, 0), *remote.numbers(root.store, one))
    gathered = new.remote.heads()
    for one, number in sorted(known_of.items()):
        if number > (has := gathered.get(one, (0, ""))[0]):
            yield Finding.of("rebuild-remote-behind", remote.PREFIX + one, has=has, known=number)
    taken_in = new.chains()
    for writer, number in sorted(chains.items()):
        known = taken_in.get(writer, (0, ""))[0]
        if number > known:
            yield Finding.of("rebuild-chain-behind", journal.PREFIX + writer, has=known, known=number)
    for package, head, known in _behind(new, sorted(heads.items())):
        yield Finding.of("rebuild-package-behind", package, has=known, known=head)


def _behind(new: Catalog, heads: Iterable[tuple[PackageId, int]]) -> Iterator[tuple[PackageId, int, int]]:
    """Those of which new knows a lower version, or none: with that head, and what new knows."""
    every = iter(heads)
    while some := list(islice(every, _TOGETHER)):
        known = new.versions_of(package for package, _head in some)
        for package, head in some:
            if head > known.get(package, 0):
                yield package, head, known.get(package, 0)


def _head(root: Root, package: PackageId) -> int:
    try:
        return root.head(package)
    except Damaged:
        return 0
