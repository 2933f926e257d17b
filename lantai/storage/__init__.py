"""Where bytes are kept. Keys are relative POSIX paths.

Store: nine methods, the contract of every backend. tests/conformance/store.py is its judge.
ocfl:  OCFL 1.1 on top of any store, written once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, TypeAlias

from ..digest import Algorithm, Digests, digests_of
from ..errors import Damaged, NotFound, UsageError
from ..messages import _

Body: TypeAlias = Callable[[], Iterable[bytes]]
"""The bytes of a thing; called again for each attempt, and each call starts afresh, so that a put can be retried."""

Skip: TypeAlias = Callable[[str], str]
"""Of a key that was listed: the folder ("a/b/") of which nothing more is to be listed; "": none."""

Odd: TypeAlias = Callable[[str], object]
"""Told of what lies among keys and is none, as a person can read it. Of an empty folder: its own name, and "/"."""

MAX_COMPONENT = 255
"""Bytes of UTF-8 that one component of a key may have, on every backend."""
MAX_KEY = 900
"""Bytes of UTF-8 that a whole key may have, on every backend."""
MAX_PREFIX = 100
"""Bytes of UTF-8 that the prefix of a bucket may have: with it a key stays within S3's 1,024."""
RESERVED = (b".tmp/", b"lost+found/")
"""What no key begins with: where a backend keeps what is under way; ext4's own, where a store is a whole disk."""

_NAME = re.compile(rb"(?!\.\.?\Z)[^/\x00-\x08\x0b\x0c\x0e-\x1f]{1,%d}" % MAX_COMPONENT)


@dataclass(frozen=True, slots=True)
class Stat:
    key: str
    size: int
    modified: datetime  # by the server's clock, in UTC
    digests: Digests | None  # what the server vouches for


@dataclass(frozen=True, slots=True)
class Properties:
    """What this server was seen to do at open, not what its vendor says."""

    create_only: bool
    verifies_uploads: bool  # what was put is proven by its answer, and not read back
    vouches: bool  # answers a stat with a SHA-256 of its own
    connections: int  # how many puts at once serve it best
    durable: bool  # what a put returned for is on stable storage, without sync
    # A put of at least so many bytes goes on where one of the same key was broken off, even by a process that died, and
    # what that one still had under way takes no effect once the put returns. None: no put does.
    resumes: int | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where an S3 store lies. prefix: "" or ends in "/", at most MAX_PREFIX bytes; endpoint_url, region: by default as
    the AWS chain has it; addressing: path where an endpoint is named; connections: at once, per process.
    """

    name: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str | None = None
    addressing: Literal["path", "virtual"] | None = None
    connections: int = 16

    def __str__(self) -> str:
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    @classmethod
    def parse(cls, url: str, endpoint_url: str | None = None) -> Bucket | None:
        """Of s3://BUCKET/PREFIX. None: it is no such URL."""
        match = re.fullmatch(r"s3://([^/]+)(?:/(.*))?", url)
        if match is None:
            return None
        prefix = (match[2] or "").strip("/")
        return cls(match[1], f"{prefix}/" if prefix else "", endpoint_url)


class Store(Protocol):
    """Nine methods. The contract is here; tests/conformance/store.py is its judge.

    Keys: one or more components joined by "/"; none empty, "." or "..", none over MAX_COMPONENT, the whole not over
    MAX_KEY bytes of UTF-8; no control character that XML 1.0 cannot hold, since S3 answers in XML; not below RESERVED.
    Any other key is a UsageError. Two keys are the same only if their bytes are.
    Durability: what put returned is readable at once; it survives a crash after sync().
    Errors: NotFound, Exists, Damaged are final; StoreUnavailable may be retried; nothing else leaves a store
    but what a body raises, which goes through unchanged and leaves key as before.
    Threads: every method may be called from several threads, and from several processes on one store.
    """

    @property
    def properties(self) -> Properties: ...

    def put(self, key: str, body: Body, *, algorithms: Sequence[Algorithm], expect: Digests | None = None) -> Digests:
        """Store body, all or nothing, replacing what was there; return what was written, by each of algorithms.

        If expect contradicts what arrived, Damaged is raised and key is as before (an algorithm that expect has is
        computed even when algorithms lacks it). An interrupted large put leaves its parts: the same key and bytes
        again send only what is missing.
        """
        ...

    def create(self, key: str, body: Body) -> None:
        """Store body if key does not exist, else Exists. All or nothing, durable on return: of two racers one wins.

        After an ambiguous answer (timeout, cut connection, 5xx, 409) it is repeated. Every Exists is read back:
        identical bytes mean that this caller won. Never more than one request, never multipart.
        """
        ...

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        """The bytes from start up to, not including, stop. NotFound."""
        ...

    def digests(self, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        """Of each of keys, in their order, size and digest, from bytes that are read now; None: nothing is there. On a
        file system cheaper than open, where files are small.
        """
        ...

    def stat(self, key: str) -> Stat:
        """NotFound if key does not exist."""
        ...

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        """Committed keys that begin with prefix, in byte order, strictly after after; never an unfinished put.

        prefix is text, not a folder: "a/b" lists "a/b/c" and "a/bc". skip: asked of each key, once the next is wanted.
        """
        ...

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        """What list gives, by its keys alone: on a file system a listing of names is much cheaper than one of sizes.

        odd: told on the way, where a backend can hold what is no key: on a file system links, devices, folders that
        are empty (one may be a writer's, about to be filled: see still_odd), and names that are none of a key.
        """
        ...

    def delete(self, key: str) -> None:
        """Idempotent. Of a key that is not there it ends the unfinished uploads, and those of keys below it.

        On a file system, folders left empty by it disappear, and so do empty folders at and below key, since an OCFL
        root may hold none (OCFL 1.1 E073).
        """
        ...

    def sync(self) -> None:
        """Return when every put that has returned is on stable storage. A failure is final for every live draft."""
        ...


def whole(data: bytes) -> Body:
    """The body of what is in memory."""
    return lambda: (data,)


def load(store: Store, key: str) -> bytes:
    """All bytes of what fits in memory. NotFound."""
    with store.open(key) as source:
        return source.read()


_CHUNK = 1024 * 1024


def read_digests(store: Store, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
    """What digests gives, by open."""
    for key in keys:
        try:
            with store.open(key) as source:
                found = digests_of(iter(partial(source.read, _CHUNK), b""), (algorithm,))
        except NotFound:
            yield None
        else:
            yield found.size or 0, found.values[algorithm]


def still_odd(store: Store, told: Iterable[str]) -> Iterator[str]:
    """What keys told as odd, but for folders that are empty no more: a writer makes one just before its file."""
    for name in told:
        again: list[str] = []
        if name.endswith("/") and (next(store.keys(name, odd=again.append), None) is not None or name not in again):
            continue
        yield name


def beyond(prefix: str) -> bytes:
    """What every text that begins with prefix comes before, and none that comes after them does; in bytes, since it is
    no text.
    """
    return prefix.encode(errors="surrogatepass") + b"\xff"


def key_bytes(key: str) -> bytes:
    """key in UTF-8. UsageError if it is none by the contract of Store."""
    if raw := _encoded(key):
        return raw
    if key.encode(errors="replace").startswith(RESERVED) or f"{key}/".encode(errors="replace") in RESERVED:
        raise UsageError(_("this name is reserved"), subject=key, remedy=_("Use another first component."))
    raise UsageError(
        _("this is no key"),
        subject=repr(key),
        remedy=_("Join components of 1 to 255 bytes by '/', at most 900 in all, no '.' or '..', no control character."),
    )


def is_key(name: str) -> bool:
    """Whether something that lies in a store lies there under a key."""
    return bool(_encoded(name))


def _encoded(key: str) -> bytes:
    """b"": it is no key."""
    folder, slash, name = key.rpartition("/")
    try:
        above, last = _folder(folder) if slash else b"", name.encode()
    except UnicodeEncodeError:
        return b""
    if above is None or not _NAME.fullmatch(last) or len(above) + len(last) > MAX_KEY:
        return b""
    return above + last if slash or last + b"/" not in RESERVED else b""


@lru_cache(maxsize=256)
def _folder(path: str) -> bytes | None:
    """path and "/", if each part of it is a name. Asked of one folder again and again."""
    raw = path.encode() + b"/"
    is_one = not raw.startswith(RESERVED) and all(_NAME.fullmatch(name) for name in raw[:-1].split(b"/"))
    return raw if is_one else None


def absent(key: str) -> NotFound:
    """What every backend says of a key that it does not have."""
    return NotFound(_("nothing is stored here"), subject=key, remedy=_("Check the name; was it here, audit the store."))


def require_expected(key: str, found: Digests, expect: Digests | None) -> None:
    """Damaged, if what arrived contradicts expect: what every backend says before it stores anything."""
    if expect and (wrong := expect.conflicts(found)):
        raise Damaged(
            _("{algorithm} is {found}, not {expected}").format(
                algorithm=wrong[0].of, found=wrong[0].found, expected=wrong[0].expected
            ),
            subject=key,
            remedy=_("Nothing was stored. Take the file from its source again."),
        )


def open_store(place: Path | Bucket) -> Store:
    """The store at place, an existing folder or bucket. Raises NotFound if there is no such folder."""
    # The backends import this room.
    if isinstance(place, Bucket):
        from .s3 import S3Store  # noqa: PLC0415

        return S3Store(place)
    from .filesystem import FilesystemStore  # noqa: PLC0415

    if not place.is_dir():
        raise NotFound(
            _("the store's folder is not there"),
            subject=str(place),
            remedy=_("Check the path in lantai.toml; is the disk mounted?"),
        )
    return FilesystemStore(place)
