"""An object of our own, held against OCFL 1.1: its structure here; its content is hashed by whoever asks for digests.

Codes are those of the specification's validation table; their texts stand in findings.csv.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from ...errors import Damaged, NotFound
from ...model import Finding, PackageId
from .. import still_odd
from . import DECLARATION, DECLARED, Reader, digest_of_chunks, layout
from .inventory import TYPE, sidecar, valid_digest, valid_digests, valid_path, valid_paths
from .layout import DRAFT_CONTENT
from .table import Inventory

if TYPE_CHECKING:
    from . import Root

Line = TypeVar("Line")


def packages(root: Root) -> Iterator[PackageId]:
    """Every one of which the store holds anything."""
    return (package for package in root.places() if is_package(root, package))


def is_package(root: Root, package: PackageId) -> bool:
    """Whether it has a version, or anything else but content: content alone may be what a draft is writing, or what a
    copy is taking over.
    """
    with suppress(Damaged):
        return root.head(package) > 0 or _holds_more_than_content(root, package)
    return True


def _holds_more_than_content(root: Root, package: PackageId) -> bool:
    place = root.object_key(package) + "/"

    def content(key: str) -> str:
        match = _CONTENT.match(key, len(place))
        return key[: match.end()] if match else ""

    return any(not content(key) for key in root.store.keys(place, skip=content))


def strays(root: Root, known: set[str]) -> Iterator[Finding]:
    """All of root's store that is neither known nor lies in an object's place or in a room for what is written later.
    Objects and rooms are passed over, not listed.
    """
    judged = partial(_judged_elsewhere, root)
    odd: list[str] = []
    for key in root.store.keys(skip=judged, odd=odd.append):
        if key not in known and not judged(key):
            yield Finding.of("store-stray", key)
    for name in still_odd(root.store, odd):
        folder = judged(name)
        # No key is there, no object: what else is in its place is judged here.
        if not folder or (folder.startswith(root.prefix) and next(root.store.keys(folder), None) is None):
            yield Finding.of("store-odd", name)


_ROOMS = ("journal", "remote", "staging")


def _judged_elsewhere(root: Root, key: str) -> str:
    """The folder that key lies in, if it is such a one; else ""."""
    if not key.startswith(root.prefix):
        room, slash, _rest = key.partition("/")
        return room + slash if slash and room in _ROOMS else ""
    parts = key[len(root.prefix) :].split("/")
    place = "/".join(parts[:4])
    in_place = len(parts) > 4 and layout.object_path(PackageId(unquote(parts[3]))) == place
    return f"{root.prefix}{place}/" if in_place else ""


def structure(
    root: Root, package: PackageId, content: Callable[[Reader], Iterable[Finding]] | None = None
) -> Iterator[Finding]:
    """Declaration, inventories and their sidecars, versions that agree with each other, content present and no more.

    What stops the rest from being looked at comes last. Nothing is hashed but inventories. If a version is committed
    meanwhile, all is looked at anew: a writer beside us is no finding.

    content: asked of the head, where the inventories can be read, for what else there is to find.
    """
    while True:
        head, findings = _structure(root, package, content)
        if not findings or not root.exists(root.inventory_key(package, head + 1)):
            yield from findings
            return


def _structure(
    root: Root, package: PackageId, content: Callable[[Reader], Iterable[Finding]] | None
) -> tuple[int, list[Finding]]:
    """The head that was looked at (0 if it is not known), and what was found."""
    place = root.object_key(package)
    findings: list[Finding] = []
    if root.small(f"{place}/{DECLARATION}") != DECLARED:
        findings.append(Finding.of("E003", f"{place}/{DECLARATION}"))
    try:
        head = root.whole_head(package)
    except Damaged as error:
        if not error.subject.endswith("/inventory.json"):
            findings.append(Finding.of("E010", place, reason=error.what))
            own = f"{place}/inventory.json"  # perhaps nothing is missing, and this one is wrong
            against = list(_contradicted(root, own))
            return -1, [*findings, *(Finding.of("E060", own) for _one in against), *against]
        findings.append(Finding.of("E033", error.subject, reason=error.what))
        return -1, [*findings, *_contradicted(root, error.subject)]
    if not head:
        return 0, [*findings, Finding.of("E008", place)]
    tables: list[Inventory] = []
    digests: list[str] = []
    try:
        for number in range(1, head + 1):
            key = root.inventory_key(package, number)
            try:
                tables.append(root.loaded(package, number))
            except Damaged as error:
                return head, [*findings, Finding.of("E033", key, reason=error.what), *_contradicted(root, key)]
            algorithm = tables[-1].fields.get("digestAlgorithm", "")
            if algorithm not in ("sha256", "sha512"):
                return head, [*findings, Finding.of("E025", key, algorithm=algorithm), *_contradicted(root, key)]
            digests.append(tables[-1].digest)
            findings += _sidecar(root, key, algorithm, digests[-1])
            findings += _fields(tables[-1], package, number, key)
        findings += _root_pair(root, place, key, algorithm, digests)
        for number, table in enumerate(tables[:-1], 1):
            findings += _agrees(table, tables[-1], number, root.inventory_key(package, number))
        findings += _content(root, package, head, tables[-1])
        if content is not None:
            findings += content(Reader(root, package, head, tables[-1]))
    finally:
        for table in tables:
            table.close()
    return head, findings


def _sidecar(root: Root, key: str, algorithm: str, digest: str) -> Iterator[Finding]:
    """Where inventory and sidecar differ, either may be wrong: both are named, unless the sidecar is none at all."""
    found = root.small(side := f"{key}.{algorithm}")
    if found is None:
        yield Finding.of("E058", side)
    elif found.split() != sidecar(digest).split():
        stated, _space, rest = found.partition(b" ")
        if rest == b"inventory.json\n" and valid_digest(algorithm, stated.decode("latin-1")):
            yield Finding.of("E060", key)
        yield Finding.of("E060", side)
    elif found != sidecar(digest):
        yield Finding.of("E061", side)


def _contradicted(root: Root, key: str) -> Iterator[Finding]:
    """An inventory that cannot be read names no algorithm: whichever sidecar is there is held against its bytes."""
    for algorithm in ("sha512", "sha256") if root.exists(key) else ():
        found = root.small(f"{key}.{algorithm}")
        if found is not None and found != sidecar(digest_of_chunks(root.chunks(key), algorithm)):
            yield Finding.of("E060", f"{key}.{algorithm}")


_CONTENT = re.compile(r"v[1-9][0-9]*/content/")
_LINES = 1000
"""Of an inventory that are looked at together: what is wrong with one is asked only where anything is."""


def _fields(table: Inventory, package: PackageId, number: int, key: str) -> Iterator[Finding]:
    if table.fields.get("id") != package:
        yield Finding.of("E110", key)
    if table.fields.get("type") != TYPE:
        yield Finding.of("E038", key)
    numbers = [info.number for info in table.versions()]
    if numbers != list(range(1, number + 1)) or table.fields.get("head") != f"v{number}":
        yield Finding.of("E040", key)
    algorithm = table.fields.get("digestAlgorithm", "")
    for lines in _batches(table.manifest()):
        digests, paths = zip(*lines, strict=True)
        if valid_digests(algorithm, digests) and all(map(_CONTENT.match, paths)) and valid_paths(paths):
            continue
        for digest, path in lines:
            if not valid_digest(algorithm, digest):
                yield Finding.of("E025", f"{key} {digest}", algorithm=algorithm)
            if not _CONTENT.match(path) or not valid_path(path):
                yield Finding.of("E099", f"{key} {path}")
    for info in table.versions():
        for path, digest in table.lacking(info.number):
            yield Finding.of("E050", f"{key} {path}", digest=digest)
        for state in _batches(table.state(info.number)):
            if not valid_paths(path for path, _digest in state):
                yield from (Finding.of("E052", f"{key} {path}") for path, _digest in state if not valid_path(path))


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while some := list(islice(lines, _LINES)):
        yield some


def _root_pair(root: Root, place: str, head: str, algorithm: str, digests: list[str]) -> Iterator[Finding]:
    """Each of the two, by itself, is that of some version, or damaged; of which version clean can put right. Where the
    inventory at head is the one that is damaged, its sidecar still tells that this copy is not.
    """
    known = [sidecar(digest) for digest in digests]
    whole = (known[-1], root.small(f"{head}.{algorithm}"))
    key = f"{place}/inventory.json"
    try:
        found = sidecar(digest_of_chunks(root.chunks(key), "sha512" if algorithm == "sha512" else "sha256"))
    except NotFound:
        yield Finding.of("E063", key)
    else:
        if found not in whole:
            yield Finding.of("E064" if found in known else "E060", key)
    key = f"{key}.{algorithm}"
    own = root.small(key)
    if own is None:
        yield Finding.of("E058", key)
    elif own not in whole:
        yield Finding.of("E064" if own in known else "E060", key)


def _agrees(earlier: Inventory, newest: Inventory, number: int, key: str) -> Iterator[Finding]:
    """A version's own inventory and the head's must tell the same of it (E066)."""
    for version in range(1, number + 1):
        for one, other in zip_longest(earlier.state(version), newest.state(version)):
            if one != other:
                yield Finding.of("E066", f"{key} {(one or other)[0]}")
                return


def _content(root: Root, package: PackageId, head: int, table: Inventory) -> Iterator[Finding]:
    """Everything the manifest names is there, and nothing else is, but what belongs to a live draft."""
    place = root.object_key(package) + "/"
    algorithm = table.fields["digestAlgorithm"]
    own = re.compile(rf"{DECLARATION}|(?:v([1-9][0-9]*)/)?inventory\.json(?:\.{algorithm})?")
    alive: dict[tuple[int, str], bool] = {}
    contents = table.contents()
    named = next(contents, None)  # both come in byte order
    odd: list[str] = []
    for key in root.store.keys(place, odd=odd.append):
        path = key[len(place) :]
        while named and named[0] < path:
            yield Finding.of("E092", place + named[0], expected=named[1], found="-")
            named = next(contents, None)
        if named and named[0] == path:
            while named and named[0] == path:
                named = next(contents, None)
        elif (match := own.fullmatch(path)) and int(match[1] or 0) <= head:
            continue
        elif not _is_of_live_draft(root, package, path, alive) and root.exists(key):
            yield Finding.of("E023", key)
    while named:
        yield Finding.of("E092", place + named[0], expected=named[1], found="-")
        named = next(contents, None)
    for name in still_odd(root.store, odd):
        if not _is_of_live_draft(root, package, name[len(place) :], alive):
            yield Finding.of("store-odd", name)


def _is_of_live_draft(root: Root, package: PackageId, path: str, alive: dict[tuple[int, str], bool]) -> bool:
    """Content whose draft has a staging folder belongs to that draft and is no finding."""
    match = DRAFT_CONTENT.match(path)
    if not match:
        return False
    draft = int(match[1]), match[2]
    if draft not in alive:
        alive[draft] = next(root.store.keys(root.staging_key(package, *draft)), None) is not None
    return alive[draft]
