"""The copies of an archive brought up to its primary: after each version, and whenever it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from .catalog import Catalog, Copy
from .entries import Entries
from .errors import LantaiError, UsageError
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
    and the segments of the journal and of harvests that were.
    """

    package: PackageId | None
    store: str
    versions: int
    error: LantaiError | None


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
        primary = self._stores.root(self._stores.primary)
        for one in self._stores.copies:
            try:
                self._copy(package, primary, self._stores.root(one.name, found=True), one.name, unheard)
            except LantaiError as error:
                findings.append(Finding.of("copy-missing", one.name, reason=error.what))
                if one.required:
                    missing.append(one.name)
        return tuple(missing), tuple(findings)

    def _copy(self, package: PackageId, source: Root, target: Root, name: str, progress: Progress) -> int:
        """How many versions the store name lacked."""
        copied = list(copy_package(source, target, package, progress=progress))
        if self._catalog.version_of(package):
            self._catalog.keep(package, (Copy(one.number, name, one.since) for one in copied))
        return sum(one.outcome == "copied" for one in copied)

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
                        copied = self._copy(package, origin, root, name, progress)
                    except LantaiError as error:
                        yield Replicated(package, name, 0, error)
                    else:
                        note(package, copied)
                        yield Replicated(package, name, copied, None)

    def _merge(self, names: Sequence[str], of_journal: Sequence[str]) -> Iterator[Replicated]:
        """Of what was harvested, and of the journal, which the home keeps too, what any lacks and another has."""
        given = self._entries.merge(of_journal, keep=lambda store: keeping(self._home, store, self._now()))
        every = chain((one.store for one in given), (name for name, _key in self._gathered(names)))
        for name, segments in sorted(Counter(every).items()):
            yield Replicated(None, name, segments, None)
        self._entries.catch_up()
