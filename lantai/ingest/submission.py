"""Submission: what a producer hands over, in one shape whatever its kind.

open_submission(path) is the only door; a kind that comes later (bag, E-ARK SIP) is one more class behind it.
"""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path
from typing import Literal

from ..errors import NotFound, Rejected
from ..messages import _
from ..model import Finding
from .entry import Batch, Entry, Submission, is_junk, refused
from .folder import FolderSubmission
from .tar import TarSubmission, is_tar
from .zip import ZipSubmission

__all__ = ["Batch", "Entry", "Submission", "is_junk", "measure", "open_submission", "subfolders"]

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06")
# Programs that unpack themselves; whatever else ends in a zip (a PDF with one attached, a tar with one inside) is none.
_PROGRAM = (b"MZ", b"\x7fELF", b"#!")


def open_submission(path: Path, *, scratch: Path) -> Submission:
    """The submission at path, its kind found by looking at it. scratch: a folder for unpacking.

    Raises NotFound if there is nothing, Rejected if it is a file of no known kind.
    """
    try:
        kind = _kind(path)
        if kind == "folder":
            return FolderSubmission(path, scratch=scratch)
        if kind == "tar":
            return TarSubmission(path, scratch=scratch)
        if kind == "zip":
            found = ZipSubmission(path, scratch=scratch)
            if not found.is_document():
                return found
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(
            _("there is nothing here"),
            subject=str(path),
            remedy=_("Check the spelling, or whether the disk is connected."),
        ) from error
    except OSError as error:
        raise refused(Finding.of("file-unreadable", path.name, reason=error.strerror)) from error
    raise refused(Finding.of("submission-unknown", path.name))


def subfolders(path: Path) -> list[Path]:
    """What `ingest --each` takes one by one: every folder and every archive directly in path, sorted by name.

    A broken archive is among them, so that it is heard of. Raises NotFound if path is no folder that can be listed.
    """
    try:
        return sorted((one for one in path.iterdir() if _is_submission(one)), key=lambda one: one.name)
    except OSError as error:
        raise NotFound(
            _("the folder cannot be listed ({reason})").format(reason=error.strerror), subject=str(path),
            remedy=_("Check the path, and that this user may read it. --each takes a folder of folders."),
        ) from error  # fmt: skip


def _is_submission(path: Path) -> bool:
    try:
        kind = _kind(path)
        return kind is not None and not (kind == "zip" and ZipSubmission(path, scratch=path).is_document())
    except Rejected:
        return True
    except OSError:
        return False


def _kind(path: Path) -> Literal["folder", "zip", "tar"] | None:
    """By content, never by extension. Raises OSError, and Rejected for a compressed file that cannot be unpacked."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        return None  # opening a pipe would wait for ever
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(_ZIP):
        return "zip"
    if is_tar(path):
        return "tar"
    return "zip" if head.startswith(_PROGRAM) and zipfile.is_zipfile(path) else None


def measure(path: Path) -> tuple[int, int] | None:
    """Number of files and bytes to expect at path, for telling how far work is; None if that is not cheaply known."""
    try:
        kind = _kind(path)
        if kind == "folder":
            sizes = [
                os.lstat(os.path.join(folder, name)).st_size
                for folder, _folders, names in os.walk(path)
                for name in names
            ]
            return len(sizes), sum(sizes)
        if kind == "zip":
            with zipfile.ZipFile(path) as archive:
                members = [one for one in archive.infolist() if not one.is_dir()]
                return len(members), sum(one.file_size for one in members)
    except (OSError, zipfile.BadZipFile, NotImplementedError, Rejected):
        pass  # whoever takes the submission meets the same trouble, and tells it
    return None
