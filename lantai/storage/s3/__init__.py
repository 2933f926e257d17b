"""The S3 store: a key is an object below a prefix of one bucket.

client: requests and why they failed; upload: parts; reader: ranges; probe: what the server does.
"""

from __future__ import annotations

import os
import threading
import weakref
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import chain
from typing import Any, BinaryIO

from ...digest import Algorithm, Digests, Hasher, digests_of
from ...errors import Damaged, Exists, NotFound, StoreUnavailable
from ...messages import _
from .. import (
    MAX_KEY,
    Body,
    Bucket,
    Odd,
    Properties,
    Skip,
    Stat,
    Store,
    beyond,
    is_key,
    key_bytes,
    read_digests,
    require_expected,
)
from .client import Client, Refused, Source
from .probe import Seen, probe
from .reader import reader
from .upload import PART, Ended, Multipart, base64_of, end, etag_of, md5_of, pieces, unfinished

_PAGE = 1000
_FIRST_PAGE = 50  # many a caller asks for one key only
_LAST = "\U0010ffff"
"""What every name in a folder comes before, but for one that begins so: then a page is asked for in vain."""
_CHUNK = 1024 * 1024
_ANEW = 5  # so often another writer of the same key may end an upload before we give up


class S3Store:
    """Keys below the bucket's prefix. Nothing is written before the first write but the probe's own keys.

    part: bytes of a part; what is smaller goes in one request. client: for tests, one that has less patience.
    """

    def __init__(self, bucket: Bucket, *, part: int = PART, client: Client | None = None) -> None:
        self.bucket, self._part = bucket, part
        self._client = client or Client(bucket)
        self._lock = threading.Lock()
        self._process = 0
        self._seen: Seen | None = None

    @property
    def properties(self) -> Properties:
        seen = self._probed()
        return Properties(
            create_only=seen.create_only,
            verifies_uploads=seen.md5 or seen.tags,
            vouches=seen.vouches,
            connections=self.bucket.connections,
            durable=True,
            resumes=self._part + 1,
        )

    def put(self, key: str, body: Body, *, algorithms: Sequence[Algorithm], expect: Digests | None = None) -> Digests:
        key_bytes(key)
        self._begin()
        wanted: Sequence[Algorithm] = (*algorithms, *(expect.values if expect else ()), "sha256")
        for turn in range(_ANEW + 1):
            hasher = Hasher(dict.fromkeys(wanted))
            parts = pieces(body(), part=self._part)
            first = next(parts)
            second = next(parts, None)
            if second is None:
                hasher.update(first)
                found = hasher.result()
                require_expected(key, found, expect)
                self._put_whole(key, first, md5_of(first), found)
            else:
                try:
                    # One that others may share goes on where it broke off; one of our own they are less likely to end.
                    found = self._put_parts(key, chain((first, second), parts), hasher, expect, own=turn > 0)
                except Ended as error:
                    cause = error
                    continue
            return Digests(found.size, {name: found.values[name] for name in algorithms})
        raise StoreUnavailable(
            _("the upload was ended by another program, or what it made was replaced"),
            subject=self._client.subject(key), remedy=_("Run the same command again."),
        ) from cause  # fmt: skip

    def create(self, key: str, body: Body) -> None:
        key_bytes(key)
        self._begin()
        hasher = Hasher(("sha256", "md5"))
        data: bytes | Source = b""
        for number, piece in enumerate(pieces(body(), part=self._part)):
            hasher.update(piece)
            data = piece if number == 0 else b""
        found = hasher.result()
        assert found.size is not None
        if found.size > self._part:  # an inventory can be larger than memory: read again, for each attempt
            data = Source(body, found.size)
        md5 = bytes.fromhex(found.values["md5"])
        for attempt in range(1, self._client.attempts + 1):
            try:
                return self._put_whole(key, data, md5, found, IfNoneMatch="*")
            except Refused:
                with suppress(NotFound):  # deleted since: begin again
                    # Perhaps an attempt of ours did it, and its answer was lost.
                    if not self._differs(key, found):
                        return None
                    raise Exists(
                        _("other bytes are stored here already"),
                        subject=self._client.subject(key),
                        remedy=_("Another writer was first. Read what it wrote, then decide."),
                    ) from None
            self._client.wait(attempt)
        raise StoreUnavailable(
            _("the server says that this is there, and that it is not"),
            subject=self._client.subject(key),
            remedy=_("See whether the server is well, then run the same command again."),
        )

    def open(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[BinaryIO]:
        key_bytes(key)
        return reader(self._client, key, start, stop)

    def digests(self, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        return read_digests(self, keys, algorithm)

    def stat(self, key: str) -> Stat:
        key_bytes(key)
        more = {"ChecksumMode": "ENABLED"} if self._seen and self._seen.vouches else {}
        try:
            found = self._client.call("head_object", key, Key=self._client.name(key), **more)
        except NotFound:
            # The answer to a HEAD has no words for what is not there: it may be the bucket, or a server of S3 at all.
            self._client.call("head_bucket", key)
            raise
        return Stat(key, found["ContentLength"], found["LastModified"], _vouched(found))

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        # What no key can hold has its place in the order all the same, but cannot be sent: it is looked at here.
        past = after.encode(errors="surrogatepass")
        if not _can_begin_a_key(prefix):
            return
        start = past.split(b"\0")[0][:MAX_KEY].decode(errors="ignore")
        more: dict[str, Any] = {"StartAfter": self._client.name(start)} if start else {}
        size, last = _FIRST_PAGE, b""
        while True:
            page = self._client.call("list_objects_v2", prefix, Prefix=self._client.name(prefix), MaxKeys=size, **more)
            for found in page.get("Contents", ()):
                key = found["Key"][len(self.bucket.prefix) :]
                last = key.encode()
                if is_key(key) and last > past:
                    # Whole seconds, as a HEAD has them.
                    yield Stat(key, found["Size"], found["LastModified"].replace(microsecond=0), None)
                    if skip is not None and (folder := skip(key)):
                        past, start = beyond(folder), folder + _LAST
            if not page.get("IsTruncated"):
                return
            size, more = _PAGE, {"ContinuationToken": page["NextContinuationToken"]}
            if past > last:
                more = {"StartAfter": self._client.name(start)}

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        return (found.key for found in self.list(prefix, after, skip))

    def delete(self, key: str) -> None:
        key_bytes(key)
        self._begin()
        try:
            self.stat(key)
        except NotFound:
            # Looked for only here, since a server may take longer for it than for a hundred deletes: who removes a
            # draft ends with the delete of its folder, which is no key, and so ends what was begun below it.
            for upload in unfinished(self._client, key):
                end(self._client, key, upload)
        else:
            self._client.call("delete_object", key, Key=self._client.name(key))

    def sync(self) -> None:
        """Nothing is left to do: what a put returned for is stored."""

    def _begin(self) -> None:
        """Before the first write, and again in a forked child: the threads of the parent are not in it."""
        if not self._probed().create_only:
            raise StoreUnavailable(
                _("the server replaces objects that it was told not to replace, so nothing is written to it"),
                subject=self._client.subject(""),
                remedy=_(
                    "Switch versioning and object lock of the bucket off, or use another server; see check-store."
                ),
            )
        with self._lock:
            if self._process != os.getpid():
                self._threads = ThreadPoolExecutor(self.bucket.connections, "store")
                self._room = threading.Semaphore(self.bucket.connections + 2)
                weakref.finalize(self, self._threads.shutdown, wait=False)
                self._process = os.getpid()

    def _probed(self) -> Seen:
        with self._lock:
            if self._seen is None:
                self._seen = probe(self._client)
                if self._seen.unsigned:
                    self._client = self._client.unsigned()
            return self._seen

    def _put_whole(self, key: str, data: bytes | Source, md5: bytes, found: Digests, **condition: str) -> None:
        """In one request, with its digests, for the server to refuse it where the bytes differ."""
        seen = self._probed()
        stated = {"ContentMD5": base64_of(md5), **condition}
        if seen.sha256:
            stated["ChecksumSHA256"] = base64_of(bytes.fromhex(found.values["sha256"]))
        tag = self._client.call("put_object", key, Key=self._client.name(key), Body=data, **stated)["ETag"]
        if not (seen.md5 or seen.sha256 or (seen.tags and tag == etag_of(md5))):
            self._prove(key, found, tag)

    def _put_parts(
        self, key: str, parts: Iterator[bytes], hasher: Hasher, expect: Digests | None, *, own: bool
    ) -> Digests:
        """In an upload. Ended."""
        seen = self._probed()
        upload = Multipart(self._client, key, own=own, threads=self._threads, room=self._room, tagged=seen.tags)
        try:
            tags = upload.send(parts, hasher)
            found = hasher.result()
            require_expected(key, found, expect)
            tag = upload.complete(tags, found)
        except Damaged:
            upload.abort()
            raise
        if not seen.tags:
            if not seen.md5:
                self._prove(key, found, tag)
        elif tag != upload.expected(tags):
            with suppress(NotFound, Refused):
                if self._differs(key, found, tag):
                    raise Ended
        return found

    def _prove(self, key: str, found: Digests, tag: str) -> None:
        """What the server did not prove is read back before it counts. tag: the ETag that it has."""
        with suppress(NotFound, Refused):  # another deleted or replaced it since
            if self._differs(key, found, tag):
                self._client.call("delete_object", key, Key=self._client.name(key))
                raise StoreUnavailable(
                    _("the server gives back other bytes than it was sent; they were removed"),
                    subject=self._client.subject(key),
                    remedy=_("Run the same command again; check-store tells what the server does."),
                )

    def _differs(self, key: str, found: Digests, tag: str | None = None) -> bool:
        """Whether other bytes are stored. Refused, if the object has not that ETag.

        Read once more before it is said: an answer that changed on its way tells nothing of what is stored.
        """
        for _turn in range(2):
            with reader(self._client, key, tag=tag) as file:
                if not found.conflicts(digests_of(iter(partial(file.read, _CHUNK), b""), ("sha256",))):
                    return False
        return True


def _can_begin_a_key(prefix: str) -> bool:
    """Whether a server can be asked for it at all."""
    try:
        return len(prefix.encode()) <= MAX_KEY and "\0" not in prefix
    except UnicodeEncodeError:
        return False


def _vouched(found: Mapping[str, Any]) -> Digests | None:
    """The SHA-256 of the whole object; that of an upload in parts is one over the parts' digests, and says nothing."""
    value = str(found.get("ChecksumSHA256", ""))
    if not value or "-" in value:
        return None
    return Digests(found["ContentLength"], {"sha256": b64decode(value).hex()})


def _conforms(store: S3Store) -> Store:
    return store
