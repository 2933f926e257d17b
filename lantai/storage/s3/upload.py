"""A large object in parts: each is proven by its digest, and an upload that was broken off goes on where it was."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

from ...digest import Digests, Hasher
from ...errors import NotFound, StoreUnavailable
from .client import Client, code_of

PART = 8 * 1024 * 1024
"""Bytes of the first thousand parts; it doubles with every thousand, so that 10,000 hold 8 TiB, more than S3 takes."""
_DOUBLES = 1000
_ENDED = frozenset({"InvalidPart", "EntityTooSmall"})
"""What a server says of an upload that holds other parts than ours: a last one may be too small."""


def pieces(chunks: Iterable[bytes], *, part: int) -> Iterator[bytes]:
    """chunks as parts: the first of part bytes, the last of what is left; an empty body is one empty part."""
    held: list[bytes] = []
    size = number = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        while size >= (wanted := part << number // _DOUBLES):
            whole = held[0] if len(held) == 1 else b"".join(held)
            yield whole[:wanted] if size > wanted else whole
            held, size, number = [whole[wanted:]], size - wanted, number + 1
    if size or not number:
        yield b"".join(held)


def md5_of(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def base64_of(digest: bytes) -> str:
    """As a header has it."""
    return base64.b64encode(digest).decode()


def etag_of(*md5s: bytes) -> str:
    """The ETag of one put whose bytes have that MD5; of several, that of an object made of such parts."""
    if len(md5s) == 1:
        return f'"{md5s[0].hex()}"'
    return f'"{md5_of(b"".join(md5s)).hex()}-{len(md5s)}"'


class Ended(Exception):
    """Another writer of the same key has ended or completed the upload, put parts into it, or replaced what it made."""


class Multipart:
    """An upload of key in parts: the newest that was begun and not ended, else a new one. Every method may raise Ended.

    own: a new one in any case. threads: that send the parts; room: how many parts may be in memory, over all uploads
    of the store. tagged: the ETag of a part is its MD5, if it arrived as it was sent.
    """

    def __init__(
        self, client: Client, key: str, *, own: bool, threads: ThreadPoolExecutor, room: threading.Semaphore,
        tagged: bool,
    ) -> None:  # fmt: skip
        self._client, self._key, self._threads, self._room, self._tagged = client, key, threads, room, tagged
        begun = [] if own else sorted(_of_key(client, key), key=lambda upload: upload["Initiated"])
        self._there: dict[int, tuple[str, int]] = {}
        self._md5s: dict[int, bytes] = {}
        if begun:
            self._id: str = begun[-1]["UploadId"]
            self._there = dict(self._listed())
        else:
            self._id = self._new()

    def _new(self) -> str:
        """Begin an upload. One whose answer was lost is ended: once the object is there, nobody looks for it."""
        name = self._client.name(self._key)
        try:
            return str(self._client.once().call("create_multipart_upload", self._key, Key=name)["UploadId"])
        except StoreUnavailable:
            own = str(self._client.call("create_multipart_upload", self._key, Key=name)["UploadId"])
        for other in _of_key(self._client, self._key):
            if other["UploadId"] != own:
                end(self._client, self._key, other)
        return own

    def _listed(self) -> Iterator[tuple[int, tuple[str, int]]]:
        marker = 0
        while True:
            answer = self._call("list_parts", PartNumberMarker=marker)
            for part in answer.get("Parts", ()):
                yield part["PartNumber"], (part["ETag"], part["Size"])
            if not answer.get("IsTruncated"):
                return
            marker = answer["NextPartNumberMarker"]

    def send(self, parts: Iterator[bytes], hasher: Hasher) -> list[str]:
        """Every part, several at once; what the server has of it already is not sent again. Their ETags, in order."""
        tags: list[str] = []
        waiting: deque[Future[str]] = deque()
        try:
            while (data := self._next(parts)) is not None:
                hasher.update(data)
                future = self._threads.submit(self._part, len(tags) + len(waiting) + 1, data)
                future.add_done_callback(lambda _done: self._room.release())
                waiting.append(future)
                while waiting and waiting[0].done():
                    tags.append(waiting.popleft().result())
            while waiting:
                tags.append(waiting.popleft().result())
        except BaseException:
            for future in waiting:
                future.cancel()
            wait(waiting)  # a part that came later would be left for nobody to end
            raise
        return tags

    def _next(self, parts: Iterator[bytes]) -> bytes | None:
        """The next part, once there is room for it; None: there is none."""
        self._room.acquire()
        data = None
        try:
            data = next(parts, None)
        finally:
            if data is None:
                self._room.release()
        return data

    def _part(self, number: int, data: bytes) -> str:
        self._md5s[number] = digest = md5_of(data)
        tag, size = self._there.get(number, ("", 0))
        for _turn in range(2 if self._tagged else 1):
            if tag == etag_of(digest) and size == len(data):
                break
            answer = self._call("upload_part", PartNumber=number, Body=data, ContentMD5=base64_of(digest))
            tag, size = str(answer["ETag"]), len(data)
        return tag

    def complete(self, tags: list[str], whole: Digests) -> str:
        """Make the object of its parts; the ETag of what is there then. An answer that was lost is no loss."""
        parts = [{"ETag": tag, "PartNumber": number} for number, tag in enumerate(tags, 1)]
        for client in (self._client.once(), self._client):
            try:
                self._call("complete_multipart_upload", client, MultipartUpload={"Parts": parts})
                break
            except (StoreUnavailable, Ended) as error:
                if self._head().get("ETag") == (self.expected(tags) or ""):
                    break
                if isinstance(error, StoreUnavailable):
                    next(self._listed(), None)  # Ceph answers 500, not 404, where the upload has ended
                if isinstance(error, Ended) or client is self._client:
                    raise
        found = self._head()
        if found.get("ContentLength") != whole.size:
            raise Ended
        return str(found["ETag"])

    def expected(self, tags: list[str]) -> str | None:
        """The ETag of the whole, where that of each part is the MD5 of what was sent. None: of some it is not."""
        md5s = [self._md5s[number] for number in range(1, len(tags) + 1)]
        return etag_of(*md5s) if all(tag == etag_of(md5) for tag, md5 in zip(tags, md5s, strict=True)) else None

    def abort(self) -> None:
        end(self._client, self._key, {"Key": self._client.name(self._key), "UploadId": self._id})

    def _head(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._client.call("head_object", self._key, Key=self._client.name(self._key))
        except NotFound:
            return {}
        return found

    def _call(self, operation: str, client: Client | None = None, **parameters: Any) -> Any:
        client = client or self._client
        try:
            return client.call(operation, self._key, Key=client.name(self._key), UploadId=self._id, **parameters)
        except NotFound as error:
            raise Ended from error
        except StoreUnavailable as error:
            if code_of(error) in _ENDED:
                raise Ended from error
            raise


def end(client: Client, key: str, upload: Mapping[str, Any]) -> None:
    """Remove an unfinished upload and its parts."""
    with suppress(NotFound):
        client.call("abort_multipart_upload", key, Key=upload["Key"], UploadId=upload["UploadId"])


def unfinished(client: Client, prefix: str) -> Iterator[dict[str, Any]]:
    """Uploads of the key prefix and of keys below it that were begun and not ended."""
    name = client.name(prefix)
    more: dict[str, Any] = {}
    while True:
        answer = client.call("list_multipart_uploads", prefix, Prefix=name, **more)
        for upload in answer.get("Uploads", ()):
            if upload["Key"] == name or upload["Key"].startswith(name + "/"):
                yield upload
        if not answer.get("IsTruncated"):
            return
        more = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}


def _of_key(client: Client, key: str) -> Iterator[dict[str, Any]]:
    """Those of the key alone."""
    return (upload for upload in unfinished(client, key) if upload["Key"] == client.name(key))
