"""What Linux offers a store beyond os: syncfs, claiming a name, fsync by path, a file written whole; and why a call
failed, in words.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..errors import StoreUnavailable, UsageError
from ..messages import N_, _

_libc = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_PR_SET_PDEATHSIG = 1

# Since Linux 5.17 syncfs reports every failed write, on these file systems (magic numbers of statfs(2)).
_SYNCFS_SINCE = (5, 17)
_SYNCFS_TRUSTED = frozenset({0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994})  # ext, xfs, btrfs, f2fs, tmpfs

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_NOREPLACE = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})

_PERMISSION = N_("Give this user read and write permission on the store's folder.")
_REASONS = {
    errno.ENOENT: (N_("the folder is not there"), N_("See whether its disk is mounted, and the path right.")),
    errno.ENOSPC: (N_("the disk is full"), N_("Free space, or move the store to a larger disk; then try again.")),
    errno.EDQUOT: (N_("the disk quota is used up"), N_("Free space, or ask for a larger quota; then try again.")),
    errno.EFBIG: (N_("the file is larger than this system allows"), N_("Raise the limit (ulimit -f) and try again.")),
    errno.EROFS: (N_("the file system is read-only"), N_("Mount it writable; was it so, then check the disk.")),
    errno.EACCES: (N_("permission is denied"), _PERMISSION),
    errno.EPERM: (N_("the operation is not permitted"), _PERMISSION),
    errno.EIO: (N_("the disk reports an error"), N_("Check the disk and the system's log, then audit the store.")),
    errno.EXDEV: (N_("the store spans two file systems"), N_("Keep its folder, .tmp included, on one file system.")),
    errno.EMFILE: (N_("too many files are open"), N_("Raise the limit (ulimit -n), or run fewer jobs at once.")),
    errno.ENAMETOOLONG: (N_("the name is too long for the file system"), N_("Use one that takes names of 255 bytes.")),
}
_OTHERWISE = N_("See the system's log, then try again.")


def unavailable(error: OSError, path: bytes, what: str = "{reason}") -> StoreUnavailable:
    """error, met at path, as a person understands it; what may put it into a sentence of its own."""
    reason, remedy = _REASONS.get(error.errno or 0, (error.strerror or str(error), _OTHERWISE))
    return StoreUnavailable(what.format(reason=_(reason)), subject=os.fsdecode(path), remedy=_(remedy))


def is_of_a_full_disk(error: BaseException | None) -> bool:
    """Whether an error of a store is that there was no room."""
    return isinstance(error, StoreUnavailable) and isinstance(error.__cause__, OSError) and error.__cause__.errno in (
        errno.ENOSPC, errno.EDQUOT
    )  # fmt: skip


def machine() -> str:
    """What tells this machine from others: its id (machine-id(5)), where it has none its name."""
    with suppress(OSError, ValueError):
        if found := Path("/etc/machine-id").read_text("ascii").strip():
            return found
    return platform.node()


def end_with_parent(parent: int) -> None:
    """This process, a child of parent, ends when that ends, however that may be (PR_SET_PDEATHSIG of prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def fsync(path: bytes) -> None:
    """fsync(2) of a file or folder, if it is there. OSError: something written to it may be lost."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems do not know it for folders
            raise
    finally:
        os.close(descriptor)


def write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """A file that is there whole or not at all, in the place of what was there, on stable storage; folders that are
    missing are made. OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name[:60]}.new")  # of at most 60 characters, so that no name is too long
    try:
        with new.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise
    fsync(os.fsencode(path.parent.resolve()))


def syncfs(descriptor: int) -> None:
    """syncfs(2): OSError if anything written to this file system since descriptor was opened is lost. Told once."""
    _check(_libc.syncfs(descriptor))


def claim(source: bytes, target: bytes) -> None:
    """Give the file at source the name target, by link(2), else by renameat2(2) with RENAME_NOREPLACE.

    source may be left or gone. OSError: EEXIST if something is there. UsageError: this file system can do neither.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            _rename_noreplace(source, target)
        except OSError as second:
            if second.errno not in _NO_NOREPLACE:
                raise
            raise UsageError(
                _("this file system can neither link a file nor rename one without replacing"),
                subject=os.fsdecode(target),
                remedy=_("Use another one for the primary store; it can hold a copy."),
            ) from second


def syncfs_trusted(descriptor: int) -> bool:
    """Whether syncfs on descriptor's file system is known to report what it lost. Unknown is no."""
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if version is None or (int(version[1]), int(version[2])) < _SYNCFS_SINCE or not hasattr(_libc, "syncfs"):
        return False
    answer = (ctypes.c_long * 64)()  # struct statfs is shorter, and begins with f_type
    return _libc.fstatfs(descriptor, answer) == 0 and answer[0] in _SYNCFS_TRUSTED


def _rename_noreplace(source: bytes, target: bytes) -> None:
    if not hasattr(_libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    _check(_libc.renameat2(_AT_FDCWD, source, _AT_FDCWD, target, _RENAME_NOREPLACE))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
