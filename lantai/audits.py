"""Audits of the stores of a home: what is due, held against catalogue and journal, entered there, and repaired."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from .catalog import Catalog
from .entries import Entries
from .errors import Damaged, NotFound
from .fixity.audit import Level, audit, catalog_to_store, store_to_catalog, store_to_store
from .fixity.due import due
from .fixity.repair import Keep, repair
from .fixity.run import Segment, run
from .messages import _
from .model import Finding, PackageId
from .package.index import index
from .storage.linux import unavailable
from .storage.ocfl import Root
from .storage.workers import Progress
from .stores import Stores, write_chunks


@dataclass(frozen=True, slots=True)
class Repaired:
    """keys: that were put right in store, from the store source; valid: by a full audit afterwards."""

    store: str
    package: PackageId
    source: str
    keys: tuple[str, ...]
    valid: bool


class Audits:
    """every: the promise for stores that have none of their own; software: what the journal calls this lantai."""

    def __init__(
        self, home: Path, stores: Stores, catalog: Catalog, entries: Entries, *, every: timedelta, software: str,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._home, self._stores, self._catalog, self._entries = home, stores, catalog, entries
        self._every, self._software, self._now = every, software, now

    def due(self, store: str, level: Level) -> Iterator[PackageId]:
        """What the promise for the store asks for now, the longest ago first."""
        every = self._stores.audited_every(store) or self._every
        return due(self._catalog.last_checked(store, level), every, self._now(), store=store)

    def run(
        self, store: str, packages: Iterable[PackageId] | None, level: Level, *, progress: Progress
    ) -> Iterator[Segment]:
        """Audit packages, or all, in a store. What counts is entered in the journal, what is void is not.

        What the catalogue does not know of is indexed on the way. StoreUnavailable, Damaged, NotFound.
        """
        root = self._stores.root(store)
        every = self._met(root) if packages is None else packages
        for segment in run(root, self._stores.place(store), every, level, progress=progress, chance=Random()):
            if not segment.void:
                with self._entries.checking(store, software=self._software, level=level, control=True) as note:
                    for verdict in segment.verdicts:
                        note(verdict.package, verdict.findings)
            yield segment

    def _met(self, root: Root) -> Iterator[PackageId]:
        for package, known in store_to_catalog(root, self._catalog):
            if not known:
                with suppress(Damaged, NotFound):
                    index(self._catalog, root, package)
            yield package

    def beside(self, store: str, packages: Sequence[PackageId] | None) -> Iterator[tuple[PackageId | None, Finding]]:
        """What only holding a store against the catalogue, the primary and the home can find; None: of no package."""
        root = self._stores.root(store)
        known = (row.id for row in self._catalog.packages()) if packages is None else packages
        yield from catalog_to_store(self._catalog, known, root, store)
        if store != self._stores.primary:
            primary = self._stores.root(self._stores.primary)
            for package in packages or root.packages():
                for finding in store_to_store(root, primary, package):
                    yield package, finding
        if packages is None:
            for finding in self._stores.judge(store, root):
                yield None, finding

    def repair(self, store: str, package: PackageId, findings: Sequence[Finding], *, progress: Progress) -> Repaired:
        """Make a package in a store whole again, from the first other store that has it whole by a full audit.

        What was damaged is kept in HOME/damaged. Raises Damaged (no other store has it whole; Diverged).
        """
        target = self._stores.root(store)
        with ThreadPoolExecutor() as threads:
            for other, source in self._stores.reachable():
                if other == store or not audit(source, package, "full", threads=threads, progress=progress).valid:
                    continue
                keys = tuple(repair(target, source, package, findings, keep=self._kept(store)))
                after = audit(target, package, "full", threads=threads, progress=progress)
                if keys:
                    self._entries.repaired(package, store=store, source=other, keys=keys, valid=after.valid)
                return Repaired(store, package, other, keys, after.valid)
        raise Damaged(
            _("no other store that can be reached has this package whole"), subject=package,
            remedy=_("Nothing was changed. Bring another copy back, from a backup too, and run the audit again."),
        )  # fmt: skip

    def _kept(self, store: str) -> Keep:
        """Damaged bytes are kept by store, second and key, until a person removes them."""
        folder = self._home / "damaged" / store / f"{self._now():%Y%m%dT%H%M%SZ}"

        def keep(key: str, chunks: Iterable[bytes]) -> None:
            try:
                write_chunks(folder / key, chunks)
            except OSError as error:
                raise unavailable(error, os.fsencode(folder / key)) from error

        return keep
