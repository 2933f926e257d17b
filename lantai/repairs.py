"""What an audit found, put right: each thing from where it is whole, what was damaged kept in HOME/damaged before.

Whose a store is, and the journal, come first: without them nothing can be entered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from .beside import laid
from .catalog import Catalog
from .entries import Entries
from .errors import Damaged, LantaiError
from .fixity.audit import audit
from .fixity.beside import put_back
from .fixity.outcome import Fault, Lost, Repaired
from .fixity.pieced import Pieced
from .fixity.repair import highest, repair
from .home import keeping
from .messages import _
from .model import Finding, PackageId
from .storage import remote
from .storage.identity import KEY
from .storage.ocfl import Root
from .storage.workers import Progress
from .stores import Stores

_ROUNDS = 2
"""Of repairs: what an inventory that could not be read hid is seen once it can be."""


class Repairs:
    """The stores of a home."""

    def __init__(
        self, home: Path, stores: Stores, catalog: Catalog, entries: Entries, *, now: Callable[[], datetime]
    ) -> None:  # fmt: skip
        self._home, self._stores, self._catalog, self._entries, self._now = home, stores, catalog, entries, now

    def identity(self, store: str) -> Repaired | Lost:
        """Let a store say again whose it is, if it is certainly ours."""
        try:
            self._stores.restore(store, self._entries.sources(), self._entries.told(), keep=self._kept(store))
        except LantaiError as error:
            return Lost(store, None, KEY, error.what)
        return Repaired(store, None, None, (KEY,), True)

    def journal(self, faults: Sequence[Fault]) -> Iterator[Repaired | Lost]:
        """What other stores, or the home, hold whole of the journal. faults: what was found wrong with it; a store that
        is merely behind is brought up, which is no repair.
        """
        given: dict[str, list[str]] = {}
        wrong = dict.fromkeys(one.store for one in faults)
        try:
            for one in self._entries.merge(tuple(wrong), keep=self._kept):
                given.setdefault(one.store, []).append(one.key)
        except LantaiError as error:
            yield from (Lost(store, None, "journal/", error.what) for store in wrong)
            return
        hurt = {one.store for one in faults if one.finding.fatal}
        found = (Fault(store, None, finding) for store, finding in self._entries.verify({}) if store in wrong)
        left = [one for one in found if one.finding.fatal]
        for store, keys in ((one, keys) for one, keys in given.items() if one in hurt):
            yield Repaired(store, None, None, tuple(keys), not any(one.store == store for one in left))
        reason = _("no store that can be reached has it whole, nor the home")
        yield from (Lost(one.store, None, one.finding.subject, reason) for one in left)

    def beside(self, store: str, findings: Sequence[Finding]) -> Iterator[Repaired | Lost]:
        """What lies beside packages in a store, by what was found of it."""
        try:
            root = self._stores.root(store)
            keys = tuple(put_back(root, laid(), findings, keep=self._kept(store)))
            left = [one for one in self._stores.judge(store, root) if one.code in ("store-file", "store-stray")]
        except LantaiError as error:
            yield Lost(store, None, error.subject, error.what)
            return
        if keys:
            yield Repaired(store, None, None, keys, not any(one.subject in keys for one in left))

    def harvested(self, store: str, findings: Sequence[Finding]) -> Iterator[Repaired | Lost]:
        """What a store holds of harvests, by what was found of it: from another that holds it whole."""
        keys: list[str] = []
        try:
            target = self._stores.root(store).store
            others = [root.store for name, root in self._stores.reachable(strict=False) if name != store]
            for source in sorted({one.subject.split("/")[1] for one in findings}):
                keys += remote.mend(source, target, others, keep=self._kept(store))
            left = [one.subject for one in remote.wrong(target) if one.code in ("remote-damaged", "remote-missing")]
            left += [one.subject for one in findings if one.code == "remote-cut" and one.subject not in keys]
        except LantaiError as error:
            yield Lost(store, None, error.subject, error.what)
            return
        if keys:
            yield Repaired(store, None, None, tuple(keys), not left)
        yield from (Lost(store, None, key, _("no other store that can be reached has it whole")) for key in left)

    def package(
        self, store: str, package: PackageId, findings: Sequence[Finding], *, progress: Progress
    ) -> tuple[Repaired | Lost, tuple[Finding, ...]]:  # fmt: skip
        """Make a package in a store whole again; and what was found only once its inventories could be read.

        From the first other store that has it whole by a full audit, else from several, each thing from one that has
        it whole, where by a full audit all of it is.
        """
        try:
            target = self._stores.root(store)
            known = max(self._catalog.held_in(store, [package]).get(package, 0), highest(target, package))
            keys: list[str] = []
            seen: list[Finding] = []
            with ThreadPoolExecutor() as threads:
                name, source = self._source(store, target, package, known, threads, progress)
                for _round in range(_ROUNDS):
                    keys += repair(target, source, package, (*findings, *seen), keep=self._kept(store))
                    after = audit(target, package, "full", threads=threads, progress=progress)
                    if after.valid:
                        break
                    seen += (one for one in after.findings if one.fatal and one not in (*findings, *seen))
        except LantaiError as error:
            return Lost(store, package, package, error.what), ()
        is_whole = after.valid and highest(target, package) >= known
        return Repaired(store, package, name, tuple(keys), is_whole), tuple(seen)

    def _source(
        self, store: str, target: Root, package: PackageId, known: int, threads: ThreadPoolExecutor, progress: Progress
    ) -> tuple[str, Root]:  # fmt: skip
        """Where a package is whole up to the version that is known, and whose that is."""
        others = {name: root for name, root in self._stores.reachable(strict=False) if name != store}
        for name, root in others.items():
            whole = highest(root, package) >= known and audit(root, package, "full", threads=threads, progress=progress)
            if whole and whole.valid:
                return name, root
        roots = (target, *others.values())
        pieced = Pieced(roots, package)
        root = Root(pieced, prefix=target.prefix)
        if pieced.head < known or not audit(root, package, "full", threads=None, progress=progress).valid:
            raise Damaged(
                _("no other store that can be reached has this package whole"), subject=package,
                remedy=_("Nothing was changed. Bring another copy back, from a backup too, and run the audit again."),
            )  # fmt: skip
        return ", ".join((store, *others)), root

    def enter(self, done: Iterable[Repaired | Lost]) -> None:
        """In the journal."""
        for one in done:
            if isinstance(one, Repaired) and one.keys:
                self._entries.repaired(
                    one.package, store=one.store, source=one.source, keys=one.keys, valid=one.valid
                )  # fmt: skip

    def _kept(self, store: str) -> Callable[[str, Iterable[bytes]], None]:
        return keeping(self._home, store, self._now())
