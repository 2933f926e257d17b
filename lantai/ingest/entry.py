"""The nouns of a submission: Entry, Batch, Submission; and a Batch while it is filled."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from ..digest import Digests
from ..errors import Rejected
from ..messages import _
from ..model import Finding

_CHUNK = 1 << 20
_JUNK = re.compile(r"(?:eh)?thumbs\.db|desktop\.ini|\.ds_store|~\$.*|\._.*|\.~lock\..*#", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a submission, readable until the next batch is asked for."""

    path: str  # safe, relative, POSIX: where it will lie below representations/original/data/
    original_name: str  # relative path as the producer wrote it; undecodable bytes as surrogate escapes
    file: Path  # a local file; its path can always be encoded in UTF-8
    size: int
    claimed: Digests | None  # what the submission's own manifest says
    modified: datetime | None  # in UTC
    seen: tuple[int, int] | None = None  # inode and mtime in nanoseconds when the entry was made
    mark: str = ""  # the producer's bytes at this path are the same where it is the same; "": that is not known

    def body(self) -> Iterator[bytes]:
        """The file's bytes in large chunks; may be called again.

        Raises Rejected with a file-unreadable or file-changed finding: size, mtime or inode differ between the first
        and the last byte, or from what was seen when the entry was made.
        """
        try:
            # O_NONBLOCK: a pipe that has taken the file's place must not hold us up.
            handle = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                before = os.fstat(handle)
                if not self._is_as_seen(before):
                    raise self._changed()
                left = self.size
                while left:
                    chunk = os.read(handle, min(left, _CHUNK))
                    if not chunk:
                        raise self._changed()
                    left -= len(chunk)
                    yield chunk
            finally:
                os.close(handle)
            after = self.file.stat()
        except FileNotFoundError as error:
            raise self._changed() from error
        except OSError as error:
            raise refused(Finding.of("file-unreadable", self.original_name, reason=error.strerror)) from error
        if (after.st_ino, after.st_mtime_ns, after.st_size) != (before.st_ino, before.st_mtime_ns, self.size):
            raise self._changed()

    def _is_as_seen(self, now: os.stat_result) -> bool:
        if not stat.S_ISREG(now.st_mode) or now.st_size != self.size:
            return False
        return self.seen is None or self.seen == (now.st_ino, now.st_mtime_ns)

    def _changed(self) -> Rejected:
        return refused(Finding.of("file-changed", self.original_name))


@dataclass(frozen=True, slots=True)
class Batch:
    """A bounded part of a submission: in number of files, and for archives in bytes unpacked into scratch."""

    entries: tuple[Entry, ...]
    empty_folders: tuple[str, ...]  # original names
    findings: tuple[Finding, ...]  # subject: the original name; fatal ones do not stop the iteration

    def told(self) -> tuple[Finding, ...]:
        """The findings, and one for each empty folder."""
        return (*self.findings, *(Finding.of("folder-empty", original) for original in self.empty_folders))


class Submission(Protocol):
    @property
    def name(self) -> str:
        """The last component of the path, as the producer named it."""
        ...

    @property
    def kind(self) -> Literal["folder", "zip", "tar"]: ...

    @property
    def top_folder(self) -> str:
        """Of an archive all of which lies in one folder: that folder's name, which is in no name of the entries.
        "" for any other.
        """
        ...

    def batches(self) -> Iterator[Batch]:
        """Every file once; memory does not grow with their number. May be called again."""
        ...


@dataclass(slots=True)
class Filling:
    """A batch while it is filled: at most so many files, and so many bytes or one larger file."""

    most_files: int
    most_bytes: int
    entries: list[Entry] = field(default_factory=list)
    empty_folders: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    size: int = 0

    def add(self, entry: Entry) -> None:
        """Take entry in, with what there is to say of its names."""
        self.entries.append(entry)
        self.size += entry.size
        original = entry.original_name
        if entry.path != original:
            self.findings.append(Finding.of("name-changed", original, path=entry.path))
        if is_junk(original):
            self.findings.append(Finding.of("file-junk", original))

    def find(self, code: str, subject: str, **values: object) -> None:
        self.findings.append(Finding.of(code, subject, **values))

    def is_full(self, size: int) -> bool:
        """Whether a file of this size, the next, belongs into the next batch."""
        if len(self.findings) + len(self.empty_folders) >= 2 * self.most_files:
            return True
        return bool(self.entries) and (len(self.entries) >= self.most_files or self.size + size > self.most_bytes)

    def is_empty(self) -> bool:
        return not (self.entries or self.empty_folders or self.findings)

    def take(self) -> Batch:
        """The batch as it stands; a new one begins."""
        batch = Batch(tuple(self.entries), tuple(self.empty_folders), tuple(self.findings))
        self.entries.clear()
        self.empty_folders.clear()
        self.findings.clear()
        self.size = 0
        return batch


def mark_of(status: os.stat_result) -> str:
    """Differs if the file was changed or replaced, as far as the file system can tell."""
    return f"{status.st_dev}-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def is_junk(original: str) -> bool:
    """Whether an operating system or office program left this file behind."""
    return bool(_JUNK.fullmatch(original, original.rfind("/") + 1)) or "__MACOSX" in original.split("/")


def refused(finding: Finding) -> Rejected:
    """The error for one fatal finding with which nothing can go on."""
    return Rejected(
        finding.message, subject=finding.subject, remedy=_("Put this right and try again."), findings=(finding,)
    )


def utc(seconds: float) -> datetime | None:
    """A time since 1970 in UTC; None if it is one that no calendar here can hold."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
