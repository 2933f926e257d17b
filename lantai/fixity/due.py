"""What is due for its next audit, so that a promise is kept and the load is even. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ..model import PackageId

Checked = tuple[PackageId, datetime | None]
"""A package, and when it was checked; None: never."""


def due(last: Iterable[Checked], every: timedelta, now: datetime, *, store: str) -> Iterator[PackageId]:
    """Those that are due, in the order of last: never checked first, then from the longest ago.

    A promise to look at each package every so often is kept if each is looked at between a half and the whole of that
    time after the last audit; when, is drawn for each package, store and audit, so that what was taken in on one day is
    not all due on one day.
    """
    for package, at in last:
        if at is not None and at > now - every / 2:
            return
        if at is None or at + every * _share(package, store, at) <= now:
            yield package


def _share(package: PackageId, store: str, at: datetime) -> float:
    """Of the promised time: from a half to the whole, the same whenever it is asked for."""
    drawn = hashlib.sha256(f"{package} {store} {at.isoformat()}".encode()).digest()
    return 0.5 + int.from_bytes(drawn[:4]) / 2**33
