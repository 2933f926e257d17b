"""What the catalogue is told, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..model import Entry, Gathered, Package, PackageId, PayloadFile
from . import journal, remote
from . import tables as t
from .index import index
from .pen import Pen
from .rows import Copy

_KEEP = (
    "INSERT INTO copies (package, number, store, since)"
    " SELECT key, :number, :store, :since FROM packages WHERE id = :id"
    " ON CONFLICT (package, number, store) DO UPDATE SET since = excluded.since"
)


class Writing:
    """Counts as a whole when its transaction ends; what is told in it may be told again."""

    def __init__(self, pen: Pen) -> None:
        self._pen = pen

    def index(self, package: Package, files: Iterable[PayloadFile], *, earlier: Iterable[str] = ()) -> None:
        """Take in a package. files: those of its newest version, each once, in any order; earlier: Package.content of
        versions before that one, which may be known already.

        The only way in: live work and rebuild both call it, so that a rebuilt catalogue cannot differ. Idempotent; an
        older version than the one indexed changes nothing. Memory does not grow with the number of files.
        """
        index(self._pen, package, files, earlier)

    def keep(self, package: PackageId, copies: Iterable[Copy]) -> None:
        """Note where versions of an indexed package lie. Idempotent."""
        for one in copies:
            self._pen.then(_KEEP, id=package, number=one.number, store=one.store, since=t.instant(one.since))

    def apply(self, segment: Sequence[Entry], *, writer: str, number: int, seal: str) -> None:
        """Take in a segment of the journal. The only way in beside index(), and idempotent too.

        Segments of one chain come in their order; those of several chains, and packages, in any: what follows from
        them is the same.
        """
        journal.apply(self._pen, segment, writer=writer, number=number, seal=seal)

    def gather(self, part: Gathered, *, seal: str) -> None:
        """Take in a part of a harvest of another archive. Idempotent. Parts of one source come in their order."""
        remote.apply(self._pen.connection, part, seal)
