"""The copies of an archive brought up to its primary: after each version, and whenever it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path

from .catalog import Catalog, Copy
from .entries import Entries
from .errors import LantaiError, UsageError
from .fixity.audit import audit
from .fixity.outcome import Fault, Repaired
from .home import keeping
from .messages import _
from .model import Finding, PackageId
from .storage.journal.verify import HOME
from .storage.ocfl import Root
from .storage.ocfl.copy import copy_package
from .storage.workers import Progress, unheard
from .stores import Stores


@dataclass(frozen=True, slots=True)
class Replicated:
    """What became of package in store: so many versions were copied, or the error. package None: of the whole store,
    and the segments of the journal and of harvests that were. faults: what store had had of it and had lost; repaired:
    how it came back.
    """

    package: PackageId | None
    store: str
    versions: int
    error: LantaiError | None
    faults: tuple[Fault, ...] = ()
    repaired: tuple[Repaired, ...] = ()


class Copies:
    """The stores of an archive that are not its primary."""

    def __init__(
        self, home: Path, stores: Stores, catalog: Catalog, entries: Entries,
        gathered: Callable[[Sequence[str]], Iterable[tuple[str, str]]], *, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        """gathered: gives stores what they lack of what was harvested, and tells which store got which key."""
        self._gathered = gathered
        self._home, self._stores, self._catalog, self._entries, self._now = home, stores, catalog, entries, now

    def spread(self, package: PackageId) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
        """Bring every copy up to the primary's head of package. The required stores that lack it now, and why."""
        missing: list[str] = []
        findings: list[Finding] = []
        self.note_primary(package)
        for one in self._stores.copies:
            try:
                root = self._stores.root(one.name, found=True)
                done = self._copy(package, self._stores.primary, root, one.name, unheard)
                findings += (replace(fault.finding, subject=one.name) for fault in done.faults)
            except LantaiError as error:
                findings.append(Finding.of("copy-missing", one.name, reason=error.what))
                if one.required:
                    missing.append(one.name)
        return tuple(missing), tuple(findings)

    def _copy(self, package: PackageId, source: str, target: Root, name: str, progress: Progress) -> Replicated:
        """The versions that the store name lacked; of what it had had before the journal tells that it came back."""
        every = list(copy_package(self._stores.root(source), target, package, progress=progress))
        copied = [one.number for one in every if one.outcome == "copied"]
        lost: list[int] = []
        if self._catalog.version_of(package):
            if copied:
                held = {one.number for one in self._catalog.copies(package) if one.store == name}
                lost = [number for number in copied if number in held]
            self._catalog.keep(package, (Copy(one.number, name, one.since) for one in every))
        if not lost:
            return Replicated(package, name, len(copied), None)
        place = target.object_key(package)
        keys = tuple(key for number in lost for key in target.store.keys(f"{place}/v{number}/"))
        is_whole = audit(target, package, "full", threads=None, progress=progress).valid
        self._entries.repaired(package, store=name, source=source, keys=keys, valid=is_whole)
        # Of a whole store that was lost every key would be too many to hold.
        inventories = tuple(target.inventory_key(package, number) for number in lost)
        repaired = Repaired(name, package, source, inventories, is_whole)
        fault = Fault(name, package, Finding.of("copy-lost", package, versions=", ".join(map(str, lost))))
        return Replicated(package, name, len(copied), None, (fault,), (repaired,))

    def note_primary(self, package: PackageId) -> None:
        """Which versions of a package the primary holds, and since when."""
        root = self._stores.root(self._stores.primary)
        known = {one.number for one in self._catalog.copies(package) if one.store == self._stores.primary}
        lacking = [number for number in range(1, root.head(package) + 1) if number not in known]
        since = [root.store.stat(root.inventory_key(package, number)).modified for number in lacking]
        self._catalog.keep(
            package, (Copy(number, self._stores.primary, at) for number, at in zip(lacking, since, strict=True))
        )

    def replicate(self, source: str, target: str | None, progress: Progress) -> Iterator[Replicated]:
        origin = self._stores.root(source)
        names = [target] if target else [one.name for one in self._stores.settings]
        yield from self._merge(names, [*names, *([] if target else [HOME])])
        for name in [target] if target else [one.name for one in self._stores.copies]:
            if name == source:
                raise UsageError(
                    _("a store cannot be copied to itself"), subject=name,
                    remedy=_("Name two with --from and --to; the first is by default the primary."),
                )  # fmt: skip
            try:
                root = self._stores.root(name, found=True)
            except LantaiError as error:
                yield Replicated(None, name, 0, error)
                continue
            with self._entries.replicating(source, name) as note:
                for package in origin.packages():
                    try:
                        done = self._copy(package, source, root, name, progress)
                    except LantaiError as error:
                        yield Replicated(package, name, 0, error)
                    else:
                        note(package, done.versions)
                        yield done

    def _merge(self, names: Sequence[str], of_journal: Sequence[str]) -> Iterator[Replicated]:
        """Of what was harvested, and of the journal, which the home keeps too, what any lacks and another has."""
        given = list(self._entries.merge(of_journal, keep=lambda store: keeping(self._home, store, self._now())))
        every = Counter(chain((one.store for one in given), (name for name, _key in self._gathered(names))))
        self._entries.catch_up()
        lost = [Fault(one.store, None, one.lost) for one in given if one.lost]
        still = self._entries.verify({}) if lost else ()
        left = {(store, finding.subject) for store, finding in still if finding.fatal}
        for name, segments in sorted(every.items()):
            faults = tuple(one for one in lost if one.store == name)
            keys = tuple(one.finding.subject for one in faults)
            if not keys:
                yield Replicated(None, name, segments, None)
                continue
            repaired = Repaired(name, None, None, keys, not any((name, key) in left for key in keys))
            self._entries.repaired(None, store=name, source=None, keys=keys, valid=repaired.valid)
            yield Replicated(None, name, segments, None, faults, (repaired,))
