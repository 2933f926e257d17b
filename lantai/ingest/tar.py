"""A tar file as a submission (POSIX.1-2017 pax: ustar, pax; GNU; v7), plain or through gzip, bzip2 or xz."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Literal, cast

from ..messages import _
from ..model import Finding
from .archives import CHUNK, Broken, Member, TopFolder, inside, is_utf8, unpacked
from .entry import Batch, refused, utc

_LONGEST_HEADER = 16 << 20  # bytes that tarfile may take into memory for one extended header
_BLOCK = bytes(tarfile.BLOCKSIZE)

_OPENERS: Mapping[bytes, Callable[[Path], gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_ZSTANDARD = b"\x28\xb5\x2f\xfd"

# What tarfile and the decompressors let through when bytes are not what they should be.
_FAULTS = (
    *(tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError),
    *(ValueError, IndexError, OverflowError, RecursionError),
)


def is_tar(file: Path) -> bool:
    """Whether file, decompressed if need be, begins like a tar. Raises Rejected if it cannot be decompressed."""
    if _head(file).startswith(_ZSTANDARD):
        raise refused(Finding.of("archive-unsupported", file.name, method="zstd"))
    try:
        with _opened(file) as stream:
            block = stream.read(tarfile.BLOCKSIZE)
            if block == _BLOCK:
                # An empty tar is nothing but zeros; so do disk images begin.
                return len(rest := stream.read(1 << 20)) < 1 << 20 and not rest.strip(b"\0")
    except _FAULTS as error:
        if isinstance(error, PermissionError):
            raise refused(Finding.of("file-unreadable", file.name, reason=error.strerror)) from error
        raise refused(_broken(error).finding(file.name)) from error
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(6)


def _opener(file: Path) -> Callable[[Path], gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile] | None:
    head = _head(file)
    return next((one for magic, one in _OPENERS.items() if head.startswith(magic)), None)


def _opened(file: Path) -> IO[bytes]:
    opener = _opener(file)
    return cast(IO[bytes], opener(file)) if opener else file.open("rb")


def _broken(error: BaseException) -> Broken:
    if isinstance(error, EOFError) or "unexpected end of data" in str(error):
        return Broken("archive-truncated")
    return Broken("archive-damaged", reason=error)


class _Forwards(io.RawIOBase):
    """The unpacked archive. Remembers the last block read: it tells the archive's end from a torn header,
    which tarfile takes for the end as well."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        if size > _LONGEST_HEADER:
            raise tarfile.ReadError(_("a header too large to be one"))
        self.last = self._stream.read(size)
        return self.last

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        return self._stream.tell()


class TarSubmission:
    """The members of a tar file, read from front to end in memory that does not grow with their number."""

    def __init__(self, file: Path, *, scratch: Path) -> None:
        self._file, self._scratch = file, scratch

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def kind(self) -> Literal["tar"]:
        return "tar"

    @property
    def top_folder(self) -> str:
        return self._names.top_folder

    def batches(self) -> Iterator[Batch]:
        """See archives.unpacked."""
        return unpacked(self, self._file, self._scratch)

    def findings(self) -> Iterator[Finding]:
        if self._names.encoding == "gb18030":
            yield Finding.of("names-decoded", self.name, encoding="GB18030")

    @cached_property
    def _names(self) -> _Names:
        return _names(self._file)

    def members(self) -> Iterator[Member]:
        try:
            with _opened(self._file) as stream:
                for archive, info in _infos(stream):
                    yield self._member(archive, info)
        except _FAULTS as error:
            raise _broken(error) from error

    def _member(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
        encoding = self._names.encoding
        stated = "path" in info.pax_headers  # pax records are in UTF-8
        name, guessed = (info.name, False) if stated else _decoded(info.name, encoding)
        findings: list[Finding] = []
        if guessed and encoding is None:
            findings.append(Finding.of("names-decoded", name, encoding="GB18030"))
        kind: Literal["file", "folder", "link"] = "file"
        target, shown = None, ""
        if info.isdir():
            kind = "folder"
        elif info.islnk() or info.issym():
            kind = "link"
            shown = info.linkname if "linkpath" in info.pax_headers else _decoded(info.linkname, encoding)[0]
            target = inside(name.rpartition("/")[0] if info.issym() else "", shown)
        elif not info.isreg():
            what = _("a named pipe") if info.isfifo() else _("a device") if info.isdev() else f"tar {info.type!r}"
            findings.append(Finding.of("file-special", name, what=what))
        size = info.size if kind == "file" else 0
        chunks = partial(_content, archive, info)
        return Member(name, kind, size, utc(info.mtime), chunks, target, shown, tuple(findings))


@dataclass(frozen=True, slots=True)
class _Names:
    """What the names of all members tell. encoding: None: each by itself."""

    encoding: Literal["utf-8", "gb18030"] | None
    top_folder: str


def _names(file: Path) -> _Names:
    """Read the headers, before the members are.

    In a plain tar that costs little. A compressed one has to be unpacked for it, and is so to its end only if all lies
    in one folder, since only the last member tells that it does. Else each of its names that is not UTF-8 is taken for
    GB18030 where it can be, and said so.
    """
    compressed = _opener(file) is not None
    top = TopFolder()
    doubtful, stated, is_chinese = False, False, True
    try:
        with _opened(file) as stream:
            for _archive, info in _infos(stream):
                top.see(info.name, is_folder=info.isdir())
                if compressed and not top.is_possible:
                    return _Names(None, "")
                if "path" in info.pax_headers:
                    stated = True
                    continue
                raw = _raw(info.name)
                doubtful = doubtful or not is_utf8(raw)
                is_chinese = is_chinese and _decodes(raw, "gb18030")
    except _FAULTS:
        return _Names(None, "")  # told where the members are read
    encoding: Literal["utf-8", "gb18030"] | None = "utf-8" if not doubtful else "gb18030" if is_chinese else None
    name = _decoded(top.name, encoding)[0]
    # Where names are in several encodings, the folder might be read differently in each of them.
    return _Names(encoding, name if name.isascii() or (encoding and not (doubtful and stated)) else "")


def _infos(stream: IO[bytes]) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Every header in sequence, to a proper end. Raises what _FAULTS lists."""
    forwards = _Forwards(stream)
    with tarfile.TarFile(fileobj=cast(IO[bytes], forwards), encoding="utf-8", errors="surrogateescape") as archive:
        while (info := archive.next()) is not None:
            yield archive, info
            archive.members.clear()  # type: ignore[attr-defined]     # tarfile would keep them all
        if len(forwards.last) < tarfile.BLOCKSIZE:
            raise EOFError
        if forwards.last != _BLOCK:
            raise tarfile.ReadError(_("a broken header"))
    # To the last byte: only there does gzip check its CRC-32, and what comes after the end would be lost.
    while chunk := stream.read(CHUNK):
        if chunk.strip(b"\0"):
            raise tarfile.ReadError(_("something follows after its end"))


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    try:
        content = archive.extractfile(info)
        if content is None:
            return
        with content:
            while chunk := content.read(CHUNK):
                yield chunk
    except _FAULTS as error:
        raise _broken(error) from error


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(name: str, encoding: str | None) -> tuple[str, bool]:
    """A name that tarfile took for UTF-8, in the archive's encoding or by itself; and whether GB18030 was a guess."""
    raw = _raw(name)
    if encoding == "utf-8" or raw.isascii() or (encoding is None and is_utf8(raw)):
        return name, False
    return (raw.decode("gb18030"), True) if _decodes(raw, "gb18030") else (name, False)
