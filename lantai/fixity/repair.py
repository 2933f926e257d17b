"""A package of one store made whole again from another's, which was proven whole a moment before.

Nothing that is whole is replaced; what is damaged is kept aside, until a person removes it. Another version, whole by
itself, is never settled here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from ..digest import Algorithm, Digests
from ..errors import Damaged, Exists, NotFound
from ..messages import _
from ..model import Finding, PackageId
from ..storage.ocfl import DECLARATION, DECLARED, Root, digest_of_chunks
from ..storage.ocfl.copy import Diverged
from ..storage.ocfl.inventory import sidecar
from ..storage.ocfl.layout import DRAFT_CONTENT
from .audit import whole

Keep: TypeAlias = Callable[[str, Iterable[bytes]], None]
"""Told of a key and of the bytes that lie there, before they are replaced or removed; on stable storage on return."""


@dataclass(frozen=True, slots=True)
class _Object:
    """The same package in two stores."""

    package: PackageId
    target: Root
    source: Root
    keep: Keep

    @property
    def place(self) -> str:
        return self.source.object_key(self.package)


def repair(target: Root, source: Root, package: PackageId, findings: Iterable[Finding], *, keep: Keep) -> Iterator[str]:
    """Make package in target what it is in source, of which an audit found it whole; each key that was put right.

    findings: of an audit of target. Raises Diverged (target holds another version, whole by itself), StoreUnavailable,
    Damaged (source is not whole after all).
    """
    one = _Object(package, target, source, keep)
    head = source.head(package)
    _require_same(one, head)
    yield from _content(one)
    for number in range(1, head + 1):
        yield from _inventory(one, number)
    yield from _root_pair(one, head)
    # Last, for until the inventories are whole nothing here can tell what is too much. What a draft left is clean's.
    for key in (finding.subject for finding in findings if finding.code == "E023"):
        if not _is_of_draft(one, key) and not source.exists(key) and target.exists(key):
            keep(key, target.chunks(key))
            target.store.delete(key)
            yield key
    target.store.sync()


def _is_of_draft(one: _Object, key: str) -> bool:
    """Whether it lies where a draft wrote that may yet be settled: of one that became its version nothing comes."""
    match = DRAFT_CONTENT.match(key.removeprefix(f"{one.place}/"))
    return match is not None and not one.source.is_ours(one.package, int(match[1]), match[2])


def _require_same(one: _Object, head: int) -> None:
    """A version that is whole by itself in the target is the source's, or is left to a person."""
    if highest(one.target, one.package) > head:
        raise Damaged(
            _("the other store lacks the newest version, and so cannot say what belongs here"), subject=one.package,
            remedy=_("Run lantai replicate, then the audit again."),
        )  # fmt: skip
    for number in range(1, head + 1):
        key = one.source.inventory_key(one.package, number)
        found = whole(one.target, key)
        if found is not None and found != whole(one.source, key):
            raise Diverged(
                _("version {number} is another one in each of the two stores").format(number=number),
                subject=one.package, remedy=_("Nothing was changed. Export it from both, and decide which is right."),
            )  # fmt: skip


def highest(root: Root, package: PackageId) -> int:
    """The head of a package; 0: it has none, or what there is cannot be read."""
    try:
        return root.head(package)
    except Damaged:
        return 0


def _content(one: _Object) -> Iterator[str]:
    with one.source.version(one.package) as head:
        for digest, path in head.table.manifest():
            key = f"{one.place}/{path}"
            expect = Digests(None, {head.algorithm: digest})
            if _put_right(one, key, expect):
                yield key
    one.target.store.sync()


def _inventory(one: _Object, number: int) -> Iterator[str]:
    """Its own pair; a missing inventory by create, after its content."""
    key = one.source.inventory_key(one.package, number)
    algorithm = _algorithm(one, key)
    digest = digest_of_chunks(one.source.chunks(key), algorithm)
    if not one.target.exists(key):
        try:
            one.target.store.create(key, partial(one.source.chunks, key))
            yield key
        except Exists:
            pass  # by another, who repairs it too
    elif _put_right(one, key, Digests(None, {algorithm: digest})):
        yield key
    side = f"{key}.{algorithm}"
    if _write(one, side, sidecar(digest)):
        yield side


def _root_pair(one: _Object, head: int) -> Iterator[str]:
    """What follows from the versions: it is removed where it is wrong, and derived again."""
    own = one.source.inventory_key(one.package, head)
    algorithm = _algorithm(one, own)
    digest = digest_of_chunks(one.target.chunks(own), algorithm)
    key = f"{one.place}/inventory.json"
    if _put_right(one, key, Digests(None, {algorithm: digest})):
        yield key
    for name, data in ((f"{key}.{algorithm}", sidecar(digest)), (f"{one.place}/{DECLARATION}", DECLARED)):
        if _write(one, name, data):
            yield name


def _algorithm(one: _Object, inventory: str) -> Algorithm:
    return "sha512" if one.source.exists(f"{inventory}.sha512") else "sha256"


def _put_right(one: _Object, key: str, expect: Digests) -> bool:
    """Whether the target had other bytes, or none. The source's are proven while they are written."""
    ((algorithm, digest),) = expect.values.items()
    try:
        if digest_of_chunks(one.target.chunks(key), algorithm) == digest:
            return False
        one.keep(key, one.target.chunks(key))
    except NotFound:
        pass
    one.target.store.put(key, partial(one.source.chunks, key), algorithms=(), expect=expect)
    return True


def _write(one: _Object, key: str, data: bytes) -> bool:
    found = one.target.small(key)
    if found == data:
        return False
    if found is not None:
        one.keep(key, (found,))
    one.target.store.put(key, lambda: (data,), algorithms=())
    return True
