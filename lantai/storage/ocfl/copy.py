"""A package taken from one store to another: the same keys and bytes, versions in order, nothing ever replaced."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

from ...digest import Algorithm, Digests
from ...errors import Damaged, Exists, NotFound
from ...messages import _
from ...model import PackageId
from ..workers import Progress
from . import Inventory, Root, digest_of_chunks
from .inventory import sidecar


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of version number of package in the target: copied now, or present before. since: by its clock."""

    package: PackageId
    number: int
    outcome: Literal["copied", "present"]
    since: datetime


class Diverged(Damaged):
    """The same version of a package is another in each of two stores. Nobody settles that but a person."""


def copy_package(source: Root, target: Root, package: PackageId, *, progress: Progress) -> Iterator[Copied]:
    """Bring target up to source's head of package, a version at a time.

    Idempotent; what a broken off copy stored is not sent again. Raises Diverged, Damaged if source does not hold what
    its inventory says, StoreUnavailable; versions before that are whole.
    """
    head = source.whole_head(package)
    unfinished = False
    for number in range(1, head + 1):
        present = _is_present(source, target, package, number)
        if not present:
            _copy_version(source, target, package, number, progress)
            unfinished = True
        since = target.store.stat(target.inventory_key(package, number)).modified
        yield Copied(package, number, "present" if present else "copied", since)
    if unfinished or not target.exists(f"{target.object_key(package)}/inventory.json"):
        target.finish(package)
    if target.head(package) > head:
        raise _diverged(package, head + 1)


def _is_present(source: Root, target: Root, package: PackageId, number: int) -> bool:
    """Whether target has the version already; Diverged if it has another one."""
    key = source.inventory_key(package, number)
    try:
        if target.store.stat(key).size != source.store.stat(key).size:
            raise _diverged(package, number)
    except NotFound:
        if not source.exists(key):
            raise
        return False
    ours, theirs = (digest_of_chunks(root.chunks(key), "sha256") for root in (source, target))
    if ours != theirs:
        raise _diverged(package, number)
    return True


def _copy_version(source: Root, target: Root, package: PackageId, number: int, progress: Progress) -> None:
    key = source.inventory_key(package, number)
    with closing(source.loaded(package, number)) as table:
        algorithm: Algorithm = "sha512" if table.fields.get("digestAlgorithm") == "sha512" else "sha256"
        digest = digest_of_chunks(source.chunks(key), algorithm)
        stated = source.small(f"{key}.{algorithm}")
        if stated is not None and stated != sidecar(digest):
            raise Damaged(
                _("the inventory is not the one that its sidecar names"), subject=key,
                remedy=_("Run lantai validate on the package; copy it from another store."),
            )  # fmt: skip
        _copy_content(source, target, package, _own(table, number), algorithm, progress)
    target.store.sync()
    try:
        target.store.create(key, partial(source.chunks, key))
    except Exists as error:
        raise _diverged(package, number) from error


def _own(table: Inventory, number: int) -> Iterator[tuple[str, str]]:
    """Digest and path of the content that came with version number."""
    return ((digest, path) for digest, path in table.manifest() if path.startswith(f"v{number}/"))


def _copy_content(
    source: Root, target: Root, package: PackageId, content: Iterator[tuple[str, str]], algorithm: Algorithm,
    progress: Progress,
) -> None:  # fmt: skip
    def copy(digest: str, path: str) -> int:
        key = f"{source.object_key(package)}/{path}"
        size = source.store.stat(key).size
        try:
            if target.store.stat(key).size == size:
                return size  # an earlier attempt proved it when it stored it
        except NotFound:
            pass
        expect = Digests(None, {algorithm: digest})
        target.store.put(key, partial(source.chunks, key), algorithms=(), expect=expect)
        return size

    def done(futures: set[Future[int]]) -> None:
        for future in futures:
            progress(1, future.result())

    connections = target.store.properties.connections
    with ThreadPoolExecutor(connections, thread_name_prefix="copy") as threads:
        waiting: set[Future[int]] = set()
        try:
            for digest, path in content:
                waiting.add(threads.submit(copy, digest, path))
                if len(waiting) >= 2 * connections:
                    finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    done(finished)
            done(wait(waiting).done)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _diverged(package: PackageId, number: int) -> Diverged:
    return Diverged(
        _("version {number} is another one in each of the two stores").format(number=number), subject=package,
        remedy=_("Nothing was changed. Export it from both, and decide which is right."),
    )  # fmt: skip
