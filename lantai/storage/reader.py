"""A range of what is stored, as a file of its own; and how one of a file-system store is read."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from ..errors import LantaiError
from . import absent
from .linux import unavailable

if TYPE_CHECKING:
    from hashlib import _Hash

    from _typeshed import WriteableBuffer

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO})
_SMALL = 1024 * 1024
"""Bytes that are read at once."""
_BUFFERED = 128 * 1024
_AT_ONCE = 64 * 1024
"""Bytes that are asked for where nothing is known of a file but its path: the C library keeps what holds so few."""
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
"""Not blocking: a FIFO that someone put here must not hang the reader."""


def reader(key: str, path: bytes, start: int = 0, stop: int | None = None) -> BinaryIO:
    """The bytes start to stop of the file at path, which key names; small ones are read at once. NotFound;
    StoreUnavailable.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise unreadable(error, key, path) from error
    kept = False
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise absent(key)
        end = seen.st_size if stop is None else min(stop, seen.st_size)
        if end - start > _SMALL:
            kept = True
            return io.BufferedReader(_FileRange(descriptor, path, start, end), _BUFFERED)
        data = os.pread(descriptor, max(0, end - start), start)
        while start + len(data) < end and (more := os.pread(descriptor, end - start - len(data), start + len(data))):
            data += more  # a network's file system may give less than it has
        return io.BytesIO(data)
    except OSError as error:
        raise unavailable(error, path) from error
    finally:
        if not kept:
            os.close(descriptor)


def digest(path: bytes, hashing: Callable[[bytes], _Hash]) -> tuple[int, str] | None:
    """Size and digest of the file at path; None: there is none. StoreUnavailable. With as few calls as can be: of a
    small file they cost more than its bytes.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise unavailable(error, path) from error
    try:
        chunk = os.read(descriptor, _AT_ONCE)
        size, hashed = len(chunk), hashing(chunk)
        if size in (0, _AT_ONCE) and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None  # of devices, some have no end
        while chunk and (chunk := os.read(descriptor, _AT_ONCE)):
            hashed.update(chunk)
            size += len(chunk)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise unavailable(error, path) from error
    finally:
        os.close(descriptor)
    return size, hashed.hexdigest()


def unreadable(error: OSError, key: str, path: bytes) -> LantaiError:
    return absent(key) if error.errno in _ABSENT else unavailable(error, path)


class Range(io.RawIOBase):
    """The bytes from start to stop of something longer, for whoever says how they are read: from _position on."""

    def __init__(self, start: int, stop: int) -> None:
        self._start, self._position, self._stop = start, start, stop

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: self._start, os.SEEK_CUR: self._position, os.SEEK_END: self._stop}[whence]
        self._position = max(self._start, origin + offset)
        return self._position - self._start


class _FileRange(Range):
    """Of an open file, which is closed with it."""

    def __init__(self, descriptor: int, path: bytes, start: int, stop: int) -> None:
        super().__init__(start, stop)
        self._descriptor, self._path = descriptor, path

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)[: max(0, self._stop - self._position)]
        if not view:
            return 0
        try:
            number = os.preadv(self._descriptor, [view], self._position)
        except OSError as error:
            raise unavailable(error, self._path) from error
        self._position += number
        return number

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
