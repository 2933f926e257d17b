"""A folder as a submission."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal

from ..messages import _
from .entry import Batch, Entry, Filling, mark_of, utc
from .names import candidates, extension, fits, key, short_folder

BATCH_FILES = 512
BATCH_BYTES = 256 << 20


@dataclass(slots=True)
class _Open:
    """A folder on the way down: the names in it still to come, and the safe names given in it so far."""

    original: str
    path: str
    names: Iterator[str]
    taken: set[str] = field(default_factory=set)


class _Aliases:
    """Links, in a folder of their own, to files whose paths cannot be encoded in UTF-8."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Path] = []

    def to(self, file: str) -> Path:
        """A path for file that can be encoded in UTF-8 and keeps its extension."""
        alias = self._folder / f"{len(self._made)}{extension(file)}"
        alias.symlink_to(file)
        self._made.append(alias)
        return alias

    def clear(self) -> None:
        for alias in self._made:
            alias.unlink(missing_ok=True)
        self._made.clear()


class FolderSubmission:
    """The files below root, in the order of their names, a batch at a time. Only the names of open folders are kept."""

    def __init__(self, root: Path, *, scratch: Path) -> None:
        self._root = os.fspath(root.absolute())
        self._real = os.path.realpath(self._root)
        self._scratch = scratch
        self._name = Path(os.path.normpath(self._root)).name or self._root

    @property
    def name(self) -> str:
        return self._name

    @property
    def kind(self) -> Literal["folder"]:
        return "folder"

    @property
    def top_folder(self) -> Literal[""]:
        return ""

    def batches(self) -> Iterator[Batch]:
        """Every file once, at most 512 or 256 MiB (or one larger file) a batch; a folder is listed when entered."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="alias-", dir=self._scratch) as own:
            aliases = _Aliases(Path(own))
            filling = Filling(BATCH_FILES, BATCH_BYTES)
            names = self._list("", filling)
            stack = [_Open("", "", iter(names or ()))]
            while stack:
                here = stack[-1]
                name = next(here.names, None)
                if name is None:
                    stack.pop()
                    continue
                original = f"{here.original}/{name}" if here.original else name
                status = self._look(original, filling)
                if filling.is_full(status.st_size if status else 0):
                    yield filling.take()
                    aliases.clear()
                if status is None:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    names = self._list(original, filling)
                    if names:
                        stack.append(_Open(original, _give(here, name), iter(names)))
                    elif names is not None:
                        filling.empty_folders.append(original)
                else:
                    self._add(here, name, original, status, filling, aliases)
            if not filling.is_empty():
                yield filling.take()

    def _list(self, original: str, filling: Filling) -> list[str] | None:
        try:
            with os.scandir(f"{self._root}/{original}") as found:
                return sorted(one.name for one in found)
        except OSError as error:
            filling.find("file-unreadable", original or self._name, reason=error.strerror)
            return None

    def _look(self, original: str, filling: Filling) -> os.stat_result | None:
        try:
            return os.lstat(f"{self._root}/{original}")
        except OSError as error:
            filling.find("file-unreadable", original, reason=error.strerror)
            return None

    def _add(
        self, here: _Open, name: str, original: str, status: os.stat_result, filling: Filling, aliases: _Aliases
    ) -> None:
        """Put the file into the batch, or the reason why it cannot be there."""
        file = f"{self._root}/{original}"
        if stat.S_ISLNK(status.st_mode):
            target = self._followed(original, filling)
            if target is None:
                return
            file, status = target
        if not stat.S_ISREG(status.st_mode):
            filling.find("file-special", original, what=_special(status.st_mode))
            return
        if not os.access(file, os.R_OK):
            filling.find("file-unreadable", original, reason=_("no read permission"))
            return
        filling.add(
            Entry(
                self._path(here, name),
                original,
                Path(file) if _is_encodable(file) else aliases.to(file),
                status.st_size,
                None,
                utc(status.st_mtime),
                (status.st_ino, status.st_mtime_ns),
                mark_of(status),
            )
        )

    def _followed(self, original: str, filling: Filling) -> tuple[str, os.stat_result] | None:
        """The file that a link points to; None, with a finding, if it is not a file of this submission."""
        file = Path(self._root, original)
        shown = os.fspath(file.readlink())
        target = os.path.realpath(file)
        try:
            status = Path(target).stat()
        except OSError:
            filling.find("link-broken", original, target=shown)
            return None
        if not target.startswith(self._real.rstrip("/") + "/"):
            filling.find("link-outside", original, target=shown)
            return None
        if stat.S_ISDIR(status.st_mode):
            filling.find("link-folder", original, target=shown)
            return None
        filling.find("link-copied", original, target=shown)
        return target, status

    def _path(self, here: _Open, name: str) -> str:
        path = _give(here, name)
        if fits(path):
            return path
        for attempt in count():
            head = short_folder(here.original, here.path, attempt)
            if not os.path.lexists(f"{self._root}/{head}"):
                return f"{head}/{path.rpartition('/')[2]}"
        raise AssertionError


def _give(here: _Open, name: str) -> str:
    """The safe path of a name, unique in its folder after NFC."""
    for candidate in candidates(name):
        mark = key(candidate)
        if mark not in here.taken:
            here.taken.add(mark)
            return f"{here.path}/{candidate}" if here.path else candidate
    raise AssertionError


def _is_encodable(path: str) -> bool:
    if path.isascii():
        return True
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _special(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return _("a named pipe")
    if stat.S_ISSOCK(mode):
        return _("a socket")
    return _("a device")
