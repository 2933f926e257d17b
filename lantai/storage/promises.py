"""The contract of Store, tried sentence by sentence on any store: lantai check-store asks the user's own server.

Each writes below a folder of its own and leaves nothing. One that is broken is told as a Finding.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..digest import Digests, digest_of
from ..errors import Damaged, Exists, LantaiError, NotFound, StoreUnavailable
from ..messages import _
from ..model import Finding
from . import MAX_COMPONENT, Body, Bucket, Store, open_store

WRITERS = 32
"""So many at once a server is tried with."""
_LARGE = 20_000_000  # bytes: some servers let two large bodies win where they let one small one
_RACES = ((WRITERS, 1024), (WRITERS, 1024), *[(8, _LARGE)] * 4)  # writers, bytes
_PAGE = 1050  # keys: more than one answer of S3 holds
_SKEW = timedelta(minutes=15)
_NAMES = (
    "兰台/秋节.docx", "e\u0301", "\u00e9", "\U00020000", "\ue000", "a b/c ", "%2F%00", "+&?#", "quo'te\"",
    "back\\slash", "line\nbreak", "...", "~", "x" * MAX_COMPONENT, "/".join(["x" * 161] * 5),
)  # fmt: skip


class Broken(Exception):
    """A promise that is not kept; the message says how, in a few words of English."""


@dataclass(frozen=True, slots=True)
class Promise:
    """code: of the finding that tells of a breach. kept: raises Broken; folder ends in "/"."""

    code: str
    kept: Callable[[Store, str], None]


@contextmanager
def tried(place: Path | Bucket) -> Iterator[Store]:
    """The store at place as it is to be tried: where its own lists do not look, and with many connections."""
    if isinstance(place, Bucket):
        yield open_store(replace(place, prefix=f"{place.prefix}.tmp/", connections=WRITERS))
        return
    try:
        (place / ".tmp").mkdir(exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="check-", dir=place / ".tmp")
    except OSError as error:
        raise StoreUnavailable(
            _("nothing can be written here ({reason})").format(reason=error.strerror), subject=str(place),
            remedy=_("Give this user read and write permission on the store's folder."),
        ) from error  # fmt: skip
    with folder as name:
        yield open_store(Path(name))


def check(store: Store, codes: Collection[str] | None = None) -> Iterator[tuple[str, Finding | None]]:
    """Each promise's code, or those of codes, with a Finding if it is broken.

    StoreUnavailable if it cannot be reached.
    """
    store.properties  # noqa: B018 -- whoever cannot be reached says so here
    for promise in PROMISES:
        if codes is not None and promise.code not in codes:
            continue
        folder = f"check-{secrets.token_hex(4)}/"
        finding = None
        try:
            promise.kept(store, folder)
        except (Broken, LantaiError) as error:
            reason = error.what if isinstance(error, LantaiError) else str(error)
            finding = Finding.of(promise.code, promise.code, reason=reason)
        finally:
            with suppress(LantaiError):
                _empty(store, folder)
        yield promise.code, finding


def _empty(store: Store, folder: str) -> None:
    for key in list(store.keys(folder)):
        store.delete(key)
    store.delete(folder.rstrip("/"))


def _require(kept: object, otherwise: str) -> None:
    if not kept:
        raise Broken(otherwise)


def _of(*chunks: bytes) -> Body:
    return lambda: iter(chunks)


def _read(store: Store, key: str, start: int = 0, stop: int | None = None) -> bytes:
    with store.open(key, start, stop) as file:
        return file.read()


def _is_there(store: Store, key: str) -> bool:
    try:
        store.stat(key)
    except NotFound:
        return False
    return True


def _keys(store: Store, folder: str, after: str = "") -> Sequence[str]:
    return [found.key for found in store.list(folder, after)]


def _names(store: Store, folder: str) -> None:
    for name in _NAMES:
        key = folder + name
        store.put(key, _of(name.encode()), algorithms=())
        _require(_read(store, key) == name.encode(), f"{name!r} gives back other bytes")
        _require(_keys(store, key) == [key], f"{name!r} is listed under another name")
        store.delete(key)


def _bytes(store: Store, folder: str) -> None:
    for size in (0, 1, 100_000, _LARGE):
        data = secrets.token_bytes(size)
        said = store.put(folder + "a", _of(data[: size // 3], data[size // 3 :]), algorithms=("sha256",))
        _require(said == digest_of(data, ("sha256",)), f"a put of {size} bytes tells another digest")
        _require(_read(store, folder + "a") == data, f"a put of {size} bytes gives back others")
        _require(store.stat(folder + "a").size == size, f"a put of {size} bytes has another size")


def _expected(store: Store, folder: str) -> None:
    key, wrong = folder + "a", digest_of(b"other", ("sha256",))
    store.put(key, _of(b"before"), algorithms=())
    for data in (b"after", bytes(_LARGE)):
        try:
            store.put(key, _of(data), algorithms=(), expect=Digests(None, wrong.values))
        except Damaged:
            _require(_read(store, key) == b"before", "a put that was refused replaced what was there")
        else:
            raise Broken("a put with another digest than stated was taken")


def _all_or_nothing(store: Store, folder: str) -> None:
    class Cut(Exception): ...

    def cut() -> Iterator[bytes]:
        yield bytes(_LARGE)
        raise Cut

    with suppress(Cut):
        store.put(folder + "a", cut, algorithms=())
    _require(not _is_there(store, folder + "a"), "a put that was cut left something")
    _require(_keys(store, folder) == [], "a put that was cut is listed")
    whole = bytes(_LARGE) + b"the end"
    store.put(folder + "a", _of(whole), algorithms=())
    _require(_read(store, folder + "a") == whole, "a put after one that was cut gives back other bytes")


def _at_once(store: Store, folder: str) -> None:
    key = folder + "a"
    for turn in range(20):
        store.put(key, _of(b"%d" % turn), algorithms=())
        _require(_read(store, key) == b"%d" % turn, "a read after a put gives what was there before")
        _require(_keys(store, folder) == [key], "a list after a put lacks the key")
        store.delete(key)
        _require(not _is_there(store, key), "a deleted key is still there")
        _require(_keys(store, folder) == [], "a deleted key is still listed")
    store.delete(key)


def _once(store: Store, folder: str) -> None:
    key = folder + "a"
    store.create(key, _of(b"first"))
    store.create(key, _of(b"first"))
    for data in (b"second", b"first and more", b""):
        with suppress(Exists):
            store.create(key, _of(data))
            raise Broken("a second create with other bytes was taken")
    _require(_read(store, key) == b"first", "a second create replaced what was there")


def _one_winner(store: Store, folder: str) -> None:
    for turn, (writers, size) in enumerate(_RACES):
        key, start, rest = f"{folder}{turn}", threading.Barrier(writers), bytes(size - 2)

        def write(number: int, key: str = key, start: threading.Barrier = start, rest: bytes = rest) -> bool:
            start.wait()
            try:
                store.create(key, _of(number.to_bytes(2, "big"), rest))
            except Exists:
                return False
            return True

        with ThreadPoolExecutor(writers) as threads:
            won = [number for number, did in enumerate(threads.map(write, range(writers))) if did]
        _require(len(won) == 1, f"of {writers} writers of {size} bytes {len(won)} were told that they won")
        _require(_read(store, key, 0, 2) == won[0].to_bytes(2, "big"), "what is stored is not the winner's")


def _ranges(store: Store, folder: str) -> None:
    data = bytes(range(256)) * 4
    store.put(folder + "a", _of(data), algorithms=())
    for start, stop in ((0, 1), (5, 5), (100, 300), (1023, None), (1000, 2000), (1024, None), (5000, 6000)):
        _require(_read(store, folder + "a", start, stop) == data[start:stop], f"bytes {start} to {stop} are others")
    try:
        store.open(folder + "b").__enter__()
    except NotFound:
        return
    raise Broken("what was never stored can be read")


def _times(store: Store, folder: str) -> None:
    store.put(folder + "a", _of(b"x"), algorithms=())
    away = store.stat(folder + "a").modified - datetime.now(UTC)
    _require(abs(away) < _SKEW, f"the clock of the server is {away.total_seconds() / 60:.0f} minutes away from ours")


def _order(store: Store, folder: str) -> None:
    names = ("a", "a-", "b/c", "b-c", "b.c", "bb", "B", "é", "e\u0301", "中", "\ue000", "\U00020000")
    for name in names:
        store.put(folder + name, _of(b"x"), algorithms=())
    wanted = sorted((folder + name for name in names), key=str.encode)
    _require(_keys(store, folder) == wanted, "keys are not listed in the order of their bytes")
    for at, key in enumerate(wanted):
        _require(_keys(store, folder, key) == wanted[at + 1 :], "a list after a key does not begin with the next")
    _require(_keys(store, folder + "b/") == [folder + "b/c"], "a list of a prefix holds others")


def _pages(store: Store, folder: str) -> None:
    keys = [f"{folder}{number:04d}" for number in range(_PAGE)]
    with ThreadPoolExecutor(store.properties.connections) as threads:
        list(threads.map(lambda key: store.put(key, _of(b"x"), algorithms=()), keys))
        _require(_keys(store, folder) == keys, f"of {_PAGE} keys not every one is listed once")
        list(threads.map(store.delete, keys))
    _require(_keys(store, folder) == [], f"of {_PAGE} keys some are listed after they were deleted")


PROMISES: Sequence[Promise] = (
    Promise("store-names", _names),
    Promise("store-bytes", _bytes),
    Promise("store-expected", _expected),
    Promise("store-all-or-nothing", _all_or_nothing),
    Promise("store-at-once", _at_once),
    Promise("store-create-once", _once),
    Promise("store-one-winner", _one_winner),
    Promise("store-ranges", _ranges),
    Promise("store-clock", _times),
    Promise("store-order", _order),
    Promise("store-pages", _pages),
)
