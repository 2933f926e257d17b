"""Packages read from a store, several at once where they are many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from ..errors import Damaged
from ..model import PackageId
from ..package.index import Told, read
from ..storage import Bucket, open_store
from ..storage.ocfl import Root
from ..storage.workers import Progress, Workers, unheard

_AHEAD = 3 * (os.cpu_count() or 1)
"""Batches that are under way, or held while an earlier one is waited for: each has many packages in memory."""

Asked: TypeAlias = tuple[PackageId, int | None]
"""A package, and the version of it that is known already."""


@dataclass(frozen=True, slots=True)
class Seen:
    """head: 0 where there is no version. told None: nothing that is not known. damage: why it cannot be read."""

    package: PackageId
    head: int
    told: Told | None = None
    damage: str = ""


def look(root: Root, asked: Asked) -> Seen:
    """StoreUnavailable."""
    package, known = asked
    try:
        head = root.head(package)
        return Seen(package, head, read(root, package, head) if head and head != known else None)
    except Damaged as error:
        return Seen(package, 0, damage=f"{error.subject}: {error.what}")


def look_at(place: Path | Bucket, batches: Iterable[Sequence[Asked]]) -> Iterator[Sequence[Seen]]:
    """What the store at place has of the packages of each batch, batch by batch in their order. StoreUnavailable."""
    with Workers(Root(open_store(place)), place, ahead=_AHEAD) as workers:
        yield from workers.answers(_look_at, batches, unheard)


def _look_at(root: Root, threads: Executor | None, batch: Sequence[Asked], _progress: Progress) -> Sequence[Seen]:
    """Over a network, several packages at once."""
    each = map if threads is None else threads.map
    return list(each(partial(look, root), batch))
