"""Folders below one root, made, listed and removed while others do the same. Paths are absolute, in bytes."""
# ruff: noqa: PTH102, PTH104, PTH106 -- a Path object costs more than the system call it makes

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from .linux import unavailable

_OCCUPIED = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY})
_NONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Folders:
    """What is below root. Every method raises StoreUnavailable; what another removed meanwhile is no error."""

    root: bytes
    durable: dict[bytes, int] = field(default_factory=dict)

    def names(self, base: bytes) -> list[bytes]:
        """What is in base ("a/b/" or ""), last first. Folders end in "/": their order is then that of whole keys. Links
        and devices end in NUL, which no name has.
        """
        path, names = self.root + b"/" + base, list[bytes]()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        names.append(entry.name)
                    elif entry.is_dir(follow_symlinks=False):
                        names.append(entry.name + b"/")
                    else:
                        names.append(entry.name + b"\0")
        except OSError as error:
            if base and error.errno in _NONE:
                return []
            raise unavailable(error, path) from error
        names.sort(reverse=True)
        return names

    def hold(self, base: bytes) -> bool:
        """Whether base ("a/b/" or "") is folders all the way down, no link among them, nor a way out of root."""
        path = self.root
        for name in base.split(b"/")[:-1]:
            path += b"/" + name
            try:
                if name in (b"", b".", b"..") or b"\0" in name or not stat.S_ISDIR(os.lstat(path).st_mode):
                    return False
            except OSError as error:
                if error.errno in _NONE:
                    return False
                raise unavailable(error, path) from error
        return True

    def make(self, folder: bytes) -> None:
        """Make folder and what is missing above it. A file that is in the way stays, for the caller to find.

        Never the root itself: where its disk is not mounted, nothing may be written.
        """
        try:
            os.mkdir(folder)
        except (FileExistsError, NotADirectoryError):
            pass
        except FileNotFoundError as error:
            above = parent(folder)
            if above == self.root:
                raise unavailable(error, above) from error
            self.make(above)
            with suppress(OSError):  # whatever it is, the caller's next attempt meets it
                os.mkdir(folder)
        except OSError as error:
            raise unavailable(error, folder) from error

    def plant(self, scaffold: bytes, path: bytes) -> bool:
        """Move in, with one rename, what of path is missing, as it stands below scaffold. False: nothing was moved.

        Folders that are made empty can be removed by others before the file is in them, every time; these cannot.
        """
        end = len(self.root)
        while (end := path.find(b"/", end + 1)) >= 0:
            try:
                os.rename(scaffold + path[len(self.root) : end], path[:end])
            except OSError as error:
                if error.errno not in _OCCUPIED | _NONE:
                    raise unavailable(error, path[:end]) from error
            else:
                return True
        return False

    def prune(self, path: bytes) -> bool:
        """Remove the empty folders at and below path, and nothing else. True: nothing is there any more."""
        bases = [path[len(self.root) + 1 :] + b"/"]
        for base in bases:  # it grows on the way, those above before those below
            bases.extend(base + name for name in self.names(base) if name.endswith(b"/"))
        removed = [remove(self.root + b"/" + base) for base in reversed(bases)]
        return removed[-1]

    def pending(self, paths: Iterable[bytes]) -> dict[bytes, int]:
        """What must be fsynced, with its inode, before the names of what is in paths are durable: they and those above.

        Up to the first that is known to be durable: while it is the same folder, so are those that it is in.
        """
        found: dict[bytes, int] = {}
        for path in paths:
            while path not in found:
                found[path] = inode = _inode(path)
                if path == self.root or self.durable.get(path) == inode:
                    break
                path = parent(path)
        return found

    def fsynced(self, found: Mapping[bytes, int]) -> None:
        """What pending said was fsynced: remember it."""
        if len(self.durable) > _REMEMBERED:
            self.durable.clear()
        self.durable.update((path, inode) for path, inode in found.items() if inode)


def parent(path: bytes) -> bytes:
    return path[: path.rindex(b"/")]


def remove(folder: bytes) -> bool:
    """Remove folder if it is empty. False: it holds something."""
    try:
        os.rmdir(folder)
    except OSError as error:
        if error.errno in _OCCUPIED:
            return False
        if error.errno not in _NONE:
            raise unavailable(error, folder) from error
    return True


def _inode(path: bytes) -> int:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return 0
