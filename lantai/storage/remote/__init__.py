"""What was harvested from other archives, kept in every store: remote/<source>/<number>.ndjson.

A source is a server, by the name that source_of gives its address. Its parts have one order, which the primary decides:
a part is created there first, once, and copied to the other stores byte for byte. docs/remote.md publishes the format.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from ...errors import Damaged, NotFound, UsageError
from ...messages import _
from ...model import Finding, Gathered
from .. import Store, load, whole
from ..chains import Chains, publish
from ..sealed import Newer
from .segment import FORMAT, decode, encode

__all__ = [
    "FORMAT",
    "PREFIX",
    "Head",
    "add",
    "bring",
    "key_of",
    "mend",
    "numbers",
    "parts",
    "source_of",
    "sources",
    "wrong",
]

_CHAINS = Chains("remote/", r"[a-z0-9](?:[a-z0-9.-]{0,60}[a-z0-9])?-[0-9a-f]{8}")
PREFIX, key_of, numbers, sources = _CHAINS.prefix, _CHAINS.key_of, _CHAINS.numbers, _CHAINS.names
Keep: TypeAlias = Callable[[str, Iterable[bytes]], None]
"""Told of a key and of the bytes that lie there, before they are replaced; on stable storage on return."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Head:
    """How far a source is known: number and seal of its last part. number 0: nothing is."""

    number: int = 0
    seal: str = ""


def source_of(url: str) -> str:
    """The name of the server at that address: its host, to be read, and a digest of host, port and path, to tell it
    from others. With TLS or without it is the same.
    """
    where = urlsplit(url)
    host = (where.hostname or "").lower()
    port = "" if where.port in (None, _PORTS.get(where.scheme)) else f":{where.port}"
    digest = hashlib.sha256(f"{host}{port}{where.path.rstrip('/')}".encode()).hexdigest()
    readable = re.sub(r"[^a-z0-9.-]+", "-", host)[:60].strip(".-") or "host"
    return f"{readable}-{digest[:8]}"


def parts(store: Store, archive: str, source: str, known: Head) -> Iterator[tuple[Gathered, str]]:
    """Those of a source that come after known, each with its seal and proven to follow the one before. Damaged;
    UsageError: written by a newer lantai.
    """
    for number in numbers(store, source, known.number):
        key = key_of(source, number)
        if number != known.number + 1:
            raise _damaged(key_of(source, known.number + 1), _("it is missing, though a later one is there"))
        try:
            part, seal = decode(load(store, key))
        except Newer as error:
            raise UsageError(
                _("this part of a harvest was written by a newer lantai ({format})").format(format=error),
                subject=key, remedy=_("Install a newer lantai."),
            ) from error  # fmt: skip
        except ValueError as error:
            raise _damaged(key, str(error)) from error
        if (part.archive, part.source, part.number) != (archive, source, number):
            raise _damaged(key, _("it is a part of another archive, source or place"))
        if part.previous != known.seal:
            raise _damaged(key, _("it does not follow the part before it"))
        yield part, seal
        known = Head(number, seal)


def add(primary: Store, part: Gathered) -> str:
    """Create a part, which follows the newest one, in the primary; its seal. Exists: another one has its number.

    What lies there afterwards is read back and proven. Damaged.
    """
    data = encode(part)
    publish(primary, __package__, FORMAT)
    key = key_of(part.source, part.number)
    primary.create(key, whole(data))
    _require(primary, key, data)
    return decode(data)[1]


def bring(source: str, stores: Mapping[str, Store], targets: Mapping[str, Store]) -> Iterator[tuple[str, str]]:
    """Give each target what it lacks of a source and any of stores holds whole, byte for byte, read back and proven;
    what was written where: target and key. What is there already is never replaced. Damaged.
    """
    held = {name: set(numbers(store, source)) for name, store in stores.items()}
    for number in sorted(set[int]().union(*held.values())):
        key = key_of(source, number)
        lacking = [name for name in targets if number not in held.get(name, ())]
        if not lacking:
            continue
        data = next((one for name in stores if number in held[name] and (one := _sound(stores[name], key))), None)
        for name in lacking if data is not None else ():
            assert data is not None
            publish(targets[name], __package__, FORMAT)
            targets[name].create(key, whole(data))
            _require(targets[name], key, data)
            yield name, key


def mend(source: str, store: Store, others: Iterable[Store], *, keep: Keep) -> Iterator[str]:
    """Put into store what of a source is damaged or missing there and one of others holds whole, after the same part:
    each key. keep: told what lies there first. Damaged, StoreUnavailable.
    """
    stores = tuple(others)
    last = max((number for one in (store, *stores) for number in numbers(one, source)), default=0)
    known: str | None = ""
    for number in range(1, last + 1):
        key = key_of(source, number)
        data = _sound(store, key)
        if data is None:
            sound = (one for other in stores if (one := _sound(other, key)))
            data = next((one for one in sound if known in (None, decode(one)[0].previous)), None)
            if data is not None:
                if next(store.keys(key), None) is not None:
                    keep(key, (load(store, key),))
                store.put(key, whole(data), algorithms=())
                store.sync()
                _require(store, key, data)
                yield key
        known = None if data is None else decode(data)[1]


def _sound(store: Store, key: str) -> bytes | None:
    """The bytes of a part whose seal holds."""
    try:
        decode(data := load(store, key))
    except (ValueError, NotFound):
        return None
    return data


def _require(store: Store, key: str, data: bytes) -> None:
    if load(store, key) != data:
        raise _damaged(key, _("the store does not hold what it was given"))


def wrong(store: Store) -> Iterator[Finding]:
    """What lies below remote/ and is not as it was written, or nobody wrote. Every byte is read."""
    yield from _CHAINS.strays(store)
    for source in sources(store):
        known = Head()
        for number in numbers(store, source):
            key = key_of(source, number)
            try:
                part, seal = decode(load(store, key))
            except Newer as error:
                yield Finding.of("remote-newer", key, format=str(error))
                return
            except (ValueError, NotFound) as error:
                yield Finding.of("remote-damaged", key, reason=str(error))
                known = Head(number, "?")
                continue
            if number != known.number + 1:
                yield Finding.of("remote-missing", key_of(source, known.number + 1))
            elif (part.source, part.number) != (source, number) or known.seal not in (part.previous, "?"):
                yield Finding.of("remote-link", key)
            known = Head(number, seal)


def _damaged(key: str, what: str) -> Damaged:
    return Damaged(
        what, subject=key, remedy=_("Take it out of this store; lantai replicate takes it from another store then.")
    )
