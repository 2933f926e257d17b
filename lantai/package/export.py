"""A version given back: as the bag it is, as the payload alone, or as the bag in a zip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ..digest import Digests, Hasher
from ..errors import Damaged, Exists, UsageError
from ..messages import _
from ..model import PackageId
from ..storage.ocfl import Reader, Root
from . import anatomy

Form: TypeAlias = Literal["bag", "files", "zip"]


@dataclass(frozen=True, slots=True)
class Exported:
    """verdict: of the bagit library on what was written; None if it was not asked."""

    package: PackageId
    version: int
    path: Path
    files: int
    bytes: int
    verdict: Literal["valid"] | None


def export(
    root: Root,
    package: PackageId,
    target: Path,
    *,
    version: int | None,
    form: Form,
    verify: bool,
    progress: Callable[[int, int], None],
) -> Exported:
    """Write a version into the folder target (made if need be), under the package's uuid.

    Every file is hashed on the way out and compared with the inventory. Raises NotFound, Exists if something lies
    there, Damaged (nothing is left then), UsageError if target cannot be written.
    """
    with root.version(package, version) as reader:
        name = package.removeprefix("urn:uuid:") + (f"-v{version}" if version else "")
        place = target / (name + ".zip" if form == "zip" else name)
        prefix = anatomy.payload(package) if form == "files" else ""
        try:
            if place.exists():
                raise Exists(
                    _("something lies here already"), subject=str(place), remedy=_("Remove it, or name another folder.")
                )
            target.mkdir(parents=True, exist_ok=True)
            with _in_the_making(place) as making:
                writer = _write_zip if form == "zip" else _write_folder
                files, octets = writer(_checked(reader, prefix, progress), making, name)
                verdict: Literal["valid"] | None = None
                if form == "bag" and verify:
                    _ask_bagit(making)
                    verdict = "valid"
        except OSError as error:
            raise UsageError(
                _("this cannot be written ({reason})").format(reason=error.strerror),
                subject=str(error.filename or place),
                remedy=_("Make room, or name a folder that you may write to."),
            ) from error
        return Exported(package, reader.number, place, files, octets, verdict)


@contextmanager
def _in_the_making(place: Path) -> Iterator[Path]:
    """What is not whole never has its name."""
    making = place.with_name(f".{place.name}.{os.getpid()}.partial")
    try:
        yield making
        making.rename(place)
    finally:
        if making.is_dir():
            shutil.rmtree(making, ignore_errors=True)
        else:
            making.unlink(missing_ok=True)


_Files: TypeAlias = Iterable[tuple[str, Iterator[bytes]]]


def _checked(
    reader: Reader, prefix: str, progress: Callable[[int, int], None]
) -> Iterator[tuple[str, Iterator[bytes]]]:
    for path, digests in reader.paths(prefix):
        yield path.removeprefix(prefix), _hashed(reader, path, digests, progress)


def _hashed(reader: Reader, path: str, expected: Digests, progress: Callable[[int, int], None]) -> Iterator[bytes]:
    hasher = Hasher((reader.algorithm,))
    for chunk in reader(path):
        hasher.update(chunk)
        progress(0, len(chunk))
        yield chunk
    if expected.conflicts(hasher.result()):
        raise Damaged(
            _("the stored bytes are not those that were stored"), subject=path,
            remedy=_("Nothing was exported. Run lantai validate on the package."),
        )  # fmt: skip
    progress(1, 0)


def _write_folder(files: _Files, place: Path, name: str) -> tuple[int, int]:
    count = octets = 0
    place.mkdir()
    folders = {""}
    for path, chunks in files:
        folder = path.rpartition("/")[0]
        if folder not in folders:
            (place / folder).mkdir(parents=True, exist_ok=True)
            folders.add(folder)
        with (place / path).open("xb") as file:
            octets += sum(file.write(chunk) for chunk in chunks)
        count += 1
    return count, octets


def _write_zip(files: _Files, place: Path, name: str) -> tuple[int, int]:
    """Deflated, Zip64 where it must; dates are of no meaning here and stand at their least."""
    count = octets = 0
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, chunks in files:
            entry = zipfile.ZipInfo(f"{name}/{path}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as file:
                octets += sum(file.write(chunk) for chunk in chunks)
            count += 1
    return count, octets


def _ask_bagit(folder: Path) -> None:
    """In a process of its own: the library sets up logging and signals as a program does."""
    # Its pool of processes needs shared memory, which not every container has.
    processes = str(os.cpu_count() or 1) if os.access("/dev/shm", os.W_OK) else "1"
    judge = subprocess.run(
        [sys.executable, "-m", "bagit", "--validate", "--quiet", "--processes", processes, str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if judge.returncode != 0:
        raise Damaged(
            _("the bagit library refuses what was written ({reason})").format(reason=judge.stderr.strip()[-500:]),
            subject=str(folder),
            remedy=_("Nothing was exported. Run lantai validate on the package."),
        )
