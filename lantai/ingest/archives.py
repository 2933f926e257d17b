"""Archives as submissions, whatever their kind: unpacked batch by batch into scratch, never whole."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Literal, Protocol

from ..errors import StoreUnavailable
from ..messages import _
from ..model import Finding
from .entry import Batch, Entry, Filling, mark_of
from .names import Names, Taken, extension, octets

BATCH_FILES = 256
BATCH_BYTES = 64 << 20
CHUNK = 1 << 20
_LONGEST_NAME = 4095  # bytes; PATH_MAX of Linux: no longer one was ever a file's
_SPARE = 1 << 20  # bytes of scratch left to others

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_APPLE = "__MACOSX"


class Broken(Exception):
    """The archive cannot be read on from here: the code of the finding, and the values of its text."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code, self.values = code, values

    def finding(self, subject: str) -> Finding:
        return Finding.of(self.code, subject, **self.values)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive. With a fatal finding it is not unpacked."""

    name: str  # decoded, "/" between components; undecodable bytes as surrogate escapes
    kind: Literal["file", "folder", "link"]
    size: int  # bytes that it declares to unpack to
    modified: datetime | None  # in UTC
    chunks: Callable[[], Iterator[bytes]]  # raises Broken; to be called before the next member is asked for
    target: str | None = None  # of a link: the member's name, None if it points out of the archive
    shown_target: str = ""  # of a link: as it is written
    findings: tuple[Finding, ...] = ()


class TopFolder:
    """Finds the one folder that all members of an archive lie in, while their names go by: so a folder is packed by
    most programs, and the folder is what is handed over.

    What macOS puts beside it, __MACOSX/ and ._folder, does not count: it stays where it is. An archive that has its own
    root as a member (./) says by that what is handed over, and has no such folder; nor has one in which a name leads
    out.
    """

    def __init__(self) -> None:
        self._name = ""
        self._beside: set[str] = set()
        self.is_possible = True

    def see(self, name: str, *, is_folder: bool) -> None:
        """Take note of one member. name: as in Member."""
        first, below, _rest = _normal(name).partition("/")
        if not first or _unusable(name):
            self.is_possible = False
        elif first == _APPLE or first.startswith("._"):
            self._beside.add(first)
            self.is_possible &= len(self._beside) <= 2
        else:
            self.is_possible &= self._name in ("", first) and bool(is_folder or below)
            self._name = first

    @property
    def name(self) -> str:
        """Of the folder; "" if there is none."""
        is_all = self.is_possible and self._beside <= {_APPLE, f"._{self._name}"}
        return self._name if is_all else ""


class Reader(Protocol):
    @property
    def top_folder(self) -> str:
        """See TopFolder; as in the names of members."""
        ...

    def findings(self) -> Iterable[Finding]:
        """What there is to say of the archive as a whole."""
        ...

    def members(self) -> Iterator[Member]:
        """Every member in the archive's order; may be called again. Raises Broken."""
        ...


def inside(folder: str, target: str) -> str | None:
    """The member that a link in folder points to; None if that is outside the archive."""
    if target.startswith("/") or _DRIVE.match(target):
        return None
    resolved = posixpath.normpath(posixpath.join(folder, target))
    return None if resolved in (".", "..") or resolved.startswith("../") else resolved


def unpacked(reader: Reader, archive: Path, scratch: Path) -> Iterator[Batch]:
    """The members as batches: at most 256 files or 64 MiB, or one larger file, removed before the next.

    Where all lie in one folder at the top, their names are those in that folder, as if it were handed over itself.
    archive: the file. Raises StoreUnavailable if scratch has no room for a batch.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unpack-", dir=scratch) as own, Names(Path(own) / "names.db") as names:
        room = _Room(Path(own) / "files")
        filling = Filling(BATCH_FILES, BATCH_BYTES)
        filling.findings.extend(reader.findings())
        mark = mark_of(archive.stat())
        top = reader.top_folder
        if top:
            filling.find("archive-top-folder", archive.name, folder=top)
        try:
            for member in _inside_of(top, reader.members()):
                if filling.is_full(member.size):
                    yield filling.take()
                    room.clear()
                _take_in(member, filling, names, room, mark)
            if names.follow_links():
                for member in _linked(_inside_of(top, reader.members())):
                    links = names.links_to(member.name)
                    if links and filling.is_full(member.size):
                        yield filling.take()
                        room.clear()
                    file = _unpack(member, filling, room) if links else None
                    if file is None:
                        continue
                    for path, original in links:
                        if filling.is_full(0):
                            yield filling.take()
                        filling.find("link-copied", original, target=member.name)
                        filling.add(
                            Entry(path, original, file, member.size, None, member.modified, room.seen(file), mark)
                        )
        except Broken as broken:
            filling.findings.append(broken.finding(archive.name))
        for original, target in names.links():
            filling.find("archive-link", original, target=target)
            if filling.is_full(0):
                yield filling.take()
        for original in names.empty_folders():
            filling.empty_folders.append(original)
            if filling.is_full(0):
                yield filling.take()
        if not filling.is_empty():
            yield filling.take()


def _inside_of(top: str, members: Iterator[Member]) -> Iterator[Member]:
    """The members as they are named in the folder top, and what lies beside it as it is; "": as they are.

    Links were resolved by their full names: one that leaves the folder points out, and never to a namesake in it.
    """
    for member in members:
        if not top:
            yield member
            continue
        full = _normal(member.name)
        name = "." if full == top else full.removeprefix(f"{top}/")
        target = member.target.removeprefix(f"{top}/") if member.target else None
        findings = tuple(replace(one, subject=name) for one in member.findings)
        yield replace(member, name=name, target=None if target == member.target else target, findings=findings)


class _Room:
    """The folder in scratch that holds one batch. Files are numbered: no name from an archive ever becomes a path.

    Small files are kept and written over: ext4 does not give an inode out again for seconds after it was freed, and
    searches for another one each time (0.9 ms a file seen, against 0.09).
    """

    _SMALL = 1 << 20

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._numbers = count()
        self._used: list[Path] = []
        self._spare: list[Path] = []

    def write(self, member: Member) -> Path:
        """Unpack member, never more than it declares. Raises Broken, and StoreUnavailable if there is no room."""
        free = shutil.disk_usage(self._folder).free
        if free < member.size + _SPARE:
            raise self._full(member.size + _SPARE, free)
        file = self._folder / f"{next(self._numbers)}{extension(member.name)}"
        fresh = not self._spare
        if not fresh:
            self._spare.pop().rename(file)
        self._used.append(file)
        left = member.size
        try:
            with file.open("xb" if fresh else "r+b", buffering=0) as out:
                for chunk in member.chunks():
                    left -= len(chunk)
                    if left < 0:
                        raise Broken("archive-damaged", reason=_("it unpacks to more than its declared size"))
                    rest = memoryview(chunk)
                    while rest:
                        rest = rest[out.write(rest) :]
                if left:
                    raise Broken("archive-damaged", reason=_("it unpacks to less than its declared size"))
                if not fresh:
                    out.truncate()
        except OSError as error:
            raise self._full(member.size, shutil.disk_usage(self._folder).free) from error
        return file

    def seen(self, file: Path) -> tuple[int, int]:
        status = file.stat()
        return status.st_ino, status.st_mtime_ns

    def clear(self) -> None:
        """What was unpacked is no longer needed."""
        for file in self._used:
            if len(self._spare) < BATCH_FILES and file.stat().st_size <= self._SMALL:
                self._spare.append(file)
            else:
                file.unlink()
        self._used.clear()

    def _full(self, needed: int, free: int) -> StoreUnavailable:
        return StoreUnavailable(
            _("no room to unpack: {needed} bytes needed, {free} free").format(needed=needed, free=free),
            subject=os.fspath(self._folder),
            remedy=_("Make room there, or name another folder as [ingest] staging in lantai.toml."),
        )


def _take_in(member: Member, filling: Filling, names: Names, room: _Room, mark: str) -> None:
    filling.findings.extend(member.findings)
    if any(finding.fatal for finding in member.findings):
        return
    reason = _unusable(member.name)
    if reason:
        filling.find("archive-path", member.name, reason=reason)
        return
    original = _normal(member.name)
    if not original and member.kind == "folder":
        return  # "./": the archive's own root
    try:
        if member.kind == "folder":
            names.folder(original)
            return
        path = names.file(original)
    except Taken:
        filling.find("name-collision", original)
        return
    if member.kind == "link":
        if member.target is None:
            filling.find("archive-link", original, target=member.shown_target)
        else:
            names.link(path, original, member.target)
        return
    file = _unpack(replace(member, name=original), filling, room)
    if file:
        filling.add(Entry(path, original, file, member.size, None, member.modified, room.seen(file), mark))


def _unpack(member: Member, filling: Filling, room: _Room) -> Path | None:
    try:
        return room.write(member)
    except Broken as broken:
        filling.findings.append(broken.finding(member.name))
        return None


def _linked(members: Iterator[Member]) -> Iterator[Member]:
    """The files that a link may point to, under their normal names."""
    for member in members:
        if member.kind == "file" and not any(finding.fatal for finding in member.findings):
            yield replace(member, name=_normal(member.name))


def is_utf8(raw: bytes) -> bool:
    """Whether a name is UTF-8 that somebody may have meant.

    Two Chinese characters in GBK are now and then valid UTF-8 too: they spell accents upon nothing, or characters that
    are none.
    """
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    kinds = [unicodedata.category(one) for one in name]
    upon_nothing = any(one == "Mn" and before[0] in "ZPC" for before, one in zip(["Zs", *kinds], kinds, strict=False))
    return not upon_nothing and "Cn" not in kinds


def _normal(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _unusable(name: str) -> str | None:
    """Why a name cannot be a path in an archive (APPNOTE 4.4.17.1; POSIX.1-2017 pax), or None."""
    if name.startswith("/"):
        return _("it is absolute")
    if _DRIVE.match(name):
        return _("it begins with a drive letter")
    if ".." in name.split("/") or ".." in name.split("\\"):
        return _("it leads out through ..")
    if not name:
        return _("it is empty")
    if len(octets(name)) > _LONGEST_NAME:
        return _("it is too long")
    return None
