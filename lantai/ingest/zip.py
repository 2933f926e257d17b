"""A zip file as a submission (APPNOTE.TXT 6.3.10).

zipfile reads the central directory, and holds it: some 0.6 KB a member. The members themselves are unpacked here,
because zipfile has no bound for what bzip2 and LZMA unpack to at once, and drops what exceeds the declared size.
"""

from __future__ import annotations

import bz2
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from ..messages import _
from ..model import Finding
from .archives import CHUNK, Broken, Member, TopFolder, inside, is_utf8, unpacked
from .entry import Batch, refused, utc

_ENCRYPTED = 0x1 | 0x40 | 0x2000  # APPNOTE 4.4.4: bit 0, strong encryption, masked directory
_UTF8 = 0x800  # APPNOTE 4.4.4 bit 11
_UNIX = (3, 19)  # APPNOTE 4.4.2: UNIX, OS X: the attributes' upper half is a mode
_LONGEST_TARGET = 4096
_READ = 1 << 16
_UNSUPPORTED = {1: "Shrink", 6: "Implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 98: "PPMd"}  # APPNOTE 4.4.5
_UNICODE_PATH, _EXTENDED_TIME, _NTFS = 0x7075, 0x5455, 0x000A
_FILETIME_OF_1970 = 116_444_736_000_000_000


class ZipSubmission:
    """The members of a zip file. Raises Rejected if it has no readable central directory."""

    def __init__(self, file: Path, *, scratch: Path) -> None:
        self._file, self._scratch = file, scratch
        try:
            with zipfile.ZipFile(file) as archive:
                self._infos = archive.infolist()
        except zipfile.BadZipFile as error:
            code = "archive-damaged" if zipfile.is_zipfile(file) else "archive-truncated"
            raise refused(Finding.of(code, file.name, reason=error)) from error
        except (UnicodeDecodeError, ValueError, struct.error, NotImplementedError) as error:
            raise refused(Finding.of("archive-damaged", file.name, reason=error)) from error
        except OSError as error:
            raise refused(Finding.of("file-unreadable", file.name, reason=error.strerror)) from error
        self._encoding = _encoding(self._infos)
        names = [self._decoded(info) for info in self._infos]
        self._backslash = any("\\" in name for name in names) and not any("/" in name for name in names)
        self._overlapping = _overlapping(self._infos)

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def kind(self) -> Literal["zip"]:
        return "zip"

    @cached_property
    def top_folder(self) -> str:
        found = TopFolder()
        for info in self._infos:
            name = self._name(info)
            found.see(name, is_folder=_is_folder(name, _mode(info)))
        return found.name

    def batches(self) -> Iterator[Batch]:
        """See archives.unpacked."""
        return unpacked(self, self._file, self._scratch)

    def is_document(self) -> bool:
        """Whether this is one document in a zip's clothes (OOXML, OFD, ODF, EPUB, jar), not an archive of many."""
        names = [self._decoded(info) for info in self._infos]
        if names and names[0] in ("mimetype", "META-INF/", "META-INF/MANIFEST.MF"):
            return True
        return not {"[Content_Types].xml", "OFD.xml", "AndroidManifest.xml"}.isdisjoint(names)

    def findings(self) -> Iterator[Finding]:
        if self._encoding != "ascii":
            yield Finding.of("names-decoded", self.name, encoding=self._encoding.upper())
        if self._backslash:
            yield Finding.of("names-backslash", self.name)

    def members(self) -> Iterator[Member]:
        for number, info in enumerate(self._infos):
            yield self._member(info, overlapping=number in self._overlapping)

    def _decoded(self, info: zipfile.ZipInfo) -> str:
        if info.flag_bits & _UTF8:
            return info.orig_filename
        return _unicode_path(info) or _raw(info).decode(self._encoding)

    def _name(self, info: zipfile.ZipInfo) -> str:
        name = self._decoded(info)
        return name.replace("\\", "/") if self._backslash else name

    def _member(self, info: zipfile.ZipInfo, *, overlapping: bool) -> Member:
        name, mode = self._name(info), _mode(info)
        chunks = partial(_content, self._file, info)
        kind: Literal["file", "folder", "link"] = "file"
        target, shown = None, ""
        fault = _fault(info, mode, overlapping=overlapping)
        if fault is None and _is_folder(name, mode):
            kind, name = "folder", name.rstrip("/") or name
            if info.file_size:
                fault = Broken("archive-damaged", reason=_("a folder with content"))
        elif fault is None and stat.S_ISLNK(mode):
            kind = "link"
            try:
                shown = self._target(info)
            except Broken as broken:
                fault = broken
            target = inside(name.rpartition("/")[0], shown)
        findings = (fault.finding(name),) if fault else ()
        return Member(name, kind, info.file_size, _modified(info), chunks, target, shown, findings)

    def _target(self, info: zipfile.ZipInfo) -> str:
        if info.file_size > _LONGEST_TARGET:
            raise Broken("archive-damaged", reason=_("a link with too long a target"))
        written = b"".join(_content(self._file, info))
        encodings = ("utf-8", self._encoding)
        return next((text for text in (_attempt(written, one) for one in encodings) if text is not None), repr(written))


def _mode(info: zipfile.ZipInfo) -> int:
    return info.external_attr >> 16 if info.create_system in _UNIX else 0


def _is_folder(name: str, mode: int) -> bool:
    return name.endswith("/") or stat.S_ISDIR(mode)


def _raw(info: zipfile.ZipInfo) -> bytes:
    # What has no UTF-8 flag zipfile decodes as CP437, which has a character for every byte: nothing is lost.
    return info.orig_filename.encode("cp437")


def _attempt(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _encoding(infos: list[zipfile.ZipInfo]) -> str:
    """The encoding of the names that do not state theirs, one for the whole archive (APPNOTE appendix D says CP437).

    Chinese Windows wrote GBK, macOS UTF-8 without the flag; the first that fits every name.
    """
    raws = [_raw(info) for info in infos if not info.flag_bits & _UTF8 and _unicode_path(info) is None]
    for encoding in ("ascii", "utf-8", "gb18030"):
        if all(is_utf8(raw) if encoding == "utf-8" else _attempt(raw, encoding) is not None for raw in raws):
            return encoding
    return "cp437"


def _overlapping(infos: list[zipfile.ZipInfo]) -> frozenset[int]:
    """Members whose bytes are also another's: how a small zip is made to hold a thousand times the same bytes."""
    found: set[int] = set()
    order = sorted(range(len(infos)), key=lambda number: infos[number].header_offset)
    end = 0
    for number in order:
        info = infos[number]
        if info.header_offset < end:
            found.add(number)
        end = max(end, info.header_offset + 30 + info.compress_size)
    return frozenset(found)


def _fault(info: zipfile.ZipInfo, mode: int, *, overlapping: bool) -> Broken | None:
    if info.flag_bits & _ENCRYPTED:
        return Broken("archive-encrypted")
    if overlapping:
        return Broken("archive-damaged", reason=_("its bytes overlap those of another member"))
    if info.volume:
        return Broken("archive-damaged", reason=_("it lies in another part of a split archive"))
    if info.compress_type not in _METHODS:
        return Broken("archive-unsupported", method=_UNSUPPORTED.get(info.compress_type, info.compress_type))
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        return Broken("file-special", what=_("a device, pipe or socket"))
    return None


def _extra(info: zipfile.ZipInfo, wanted: int) -> bytes | None:
    """One extra field (APPNOTE 4.5), if it is there and whole."""
    rest = info.extra
    while len(rest) >= 4:
        tag, size = struct.unpack_from("<HH", rest)
        if tag == wanted and len(rest) >= 4 + size:
            return rest[4 : 4 + size]
        rest = rest[4 + size :]
    return None


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    """APPNOTE 4.6.9: the name in UTF-8, if it belongs to the name in the header."""
    data = _extra(info, _UNICODE_PATH)
    if data is None or len(data) < 6 or data[0] != 1:
        return None
    if int.from_bytes(data[1:5], "little") != zlib.crc32(_raw(info)):
        return None
    return _attempt(data[5:], "utf-8")


def _modified(info: zipfile.ZipInfo) -> datetime | None:
    """From the extra fields that state UTC: Info-ZIP's extended timestamp, or NTFS (APPNOTE 4.5.5).

    The time in the header is local to a zone that nobody wrote down; it is not guessed.
    """
    data = _extra(info, _EXTENDED_TIME)
    if data and data[0] & 1 and len(data) >= 5:
        return utc(int.from_bytes(data[1:5], "little", signed=True))
    data = _extra(info, _NTFS)
    if data and len(data) >= 16 and data[4:8] == b"\x01\x00\x18\x00":
        return utc((int.from_bytes(data[8:16], "little") - _FILETIME_OF_1970) / 10_000_000)
    return None


def _content(file: Path, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """A member's bytes, at most a megabyte at once, their CRC-32 checked at the end (APPNOTE 4.4.7). Raises Broken."""
    checksum = 0
    try:
        with file.open("rb") as archive:
            archive.seek(info.header_offset)
            header = archive.read(30)
            if len(header) < 30 or header[:4] != b"PK\x03\x04":
                raise Broken("archive-damaged", reason=_("it has no header where the directory says"))
            archive.seek(sum(struct.unpack_from("<HH", header, 26)), 1)
            for chunk in _METHODS[info.compress_type](archive, info.compress_size):
                checksum = zlib.crc32(chunk, checksum)
                yield chunk
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise Broken("archive-damaged", reason=error) from error
    if checksum != info.CRC:
        raise Broken("archive-damaged", reason=_("its CRC-32 is wrong"))


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Inflater:
    """zlib's decompressor with the face of bz2's and lzma's."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _stored(archive: BinaryIO, size: int) -> Iterator[bytes]:
    while chunk := archive.read(min(CHUNK, size)):
        size -= len(chunk)
        yield chunk


def _deflated(archive: BinaryIO, size: int) -> Iterator[bytes]:
    return _decompressed(_Inflater(), archive, size)


def _bzip2(archive: BinaryIO, size: int) -> Iterator[bytes]:
    return _decompressed(bz2.BZ2Decompressor(), archive, size)


def _lzma(archive: BinaryIO, size: int) -> Iterator[bytes]:
    # APPNOTE 5.8.8: version, length of the properties, properties (lc, lp, pb in one byte; dictionary size).
    head = archive.read(9)
    if len(head) < 9 or head[2:4] != b"\x05\x00":
        raise ValueError(_("broken LZMA properties"))
    rest, lc = divmod(head[4], 9)
    pb, lp = divmod(rest, 5)
    if lc + lp > 4 or pb > 4:
        raise ValueError(_("broken LZMA properties"))
    dictionary = int.from_bytes(head[5:9], "little")
    chain = [{"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": max(dictionary, 4096)}]
    return _decompressed(lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=chain), archive, size - 9)


def _decompressed(decompressor: _Decompressor, archive: BinaryIO, size: int) -> Iterator[bytes]:
    """Until the stream ends or its bytes do: LZMA need not mark its end; what is missing shows by size and CRC-32."""
    while not decompressor.eof:
        data = archive.read(min(_READ, size)) if decompressor.needs_input else b""
        size -= len(data)
        chunk = decompressor.decompress(data, CHUNK)
        if chunk:
            yield chunk
        elif not data:
            break


_METHODS = {
    zipfile.ZIP_STORED: _stored,
    zipfile.ZIP_DEFLATED: _deflated,
    zipfile.ZIP_BZIP2: _bzip2,
    zipfile.ZIP_LZMA: _lzma,
}
