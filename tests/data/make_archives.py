"""Makes the small awkward archives of this folder: python tests/data/make_archives.py

name               what is awkward about it
gbk-names.zip      names in GBK without the UTF-8 flag, as Windows in Chinese writes them
utf8-unflagged.zip names in UTF-8 without the UTF-8 flag, as macOS and older Info-ZIP write them
encrypted.zip      both files under the traditional encryption (ZipCrypto); the password is "lantai"
truncated.zip      the first two thirds of a good zip: no central directory
slip.zip           holds ../evil.txt
absolute.zip       holds /tmp/evil.txt
backslash.zip      holds folders divided by backslashes, as some Windows programs write them
link-out.zip       holds a symbolic link to /etc/passwd
collision.zip      筹备/通知.txt twice: once in GBK, once in UTF-8 with the flag
lookalike.zip      通知.txt in GBK, whose bytes happen to be UTF-8 as well: U+0368 U+05AA
duplicate.zip      通知.txt twice, both in UTF-8 with the flag
zip64.zip          Zip64 records throughout, sizes in them only
damaged.zip        one byte of the second file is not what its CRC-32 says
plain.tar          a folder and two files with Chinese names (pax headers)
plain.tar.gz       the same
truncated.tar.gz   the first two thirds of plain.tar.gz
gbk-names.tar      names in GBK, old GNU headers
slip.tar           holds ../evil.txt
link-out.tar       a symbolic link to ../../etc/passwd and a hard link to /etc/passwd
device.tar         a fifo and a character device beside a good file

Needs Info-ZIP's zip 3.0 for encrypted.zip and zip64.zip. The same bytes on every run, except encrypted.zip, whose
encryption header is random by design: it is made only when it is not there. Both hold UTF-8 names without the flag,
for so does zip when it is told to leave out extra fields.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
WHEN = datetime(2021, 10, 15, 9, 30, 0, tzinfo=UTC)
DOS, UNIX = 0, 3
FOLDER, ARCHIVE = 0x10, 0x20  # MS-DOS attributes, the low byte of a zip's external ones

NOTICE = ("关于举办第十二届金秋文化节的通知\r\n" * 20).encode()
LIST = ("序号,姓名,单位\r\n" + "".join(f"{n},嘉宾{n},云岭县第{n}单位\r\n" for n in range(1, 60))).encode("gb18030")
PAPERS = (("筹备/通知.txt", NOTICE), ("筹备/嘉宾名单.csv", LIST))
EVIL = (("good.txt", b"good\n"),)


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a zip, its name as the bytes that shall stand in the file."""

    name: bytes
    data: bytes
    utf8_flag: bool = False
    system: int = DOS
    mode: int = 0


def zip_of(members: Iterable[Member]) -> bytes:
    """A zip with exactly these names. zipfile writes ASCII only without the UTF-8 flag, so each name is written as a
    stand-in of the same length and put in place afterwards: once in the local header, once in the central directory.
    """
    buffer = io.BytesIO()
    members = tuple(members)
    stand_ins = [f"@{number}".ljust(len(member.name), "@") for number, member in enumerate(members)]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, stand_in in zip(members, stand_ins, strict=True):
            info = zipfile.ZipInfo(stand_in, WHEN.timetuple()[:6])
            attributes = FOLDER if member.name.endswith(b"/") else ARCHIVE
            info.create_system, info.external_attr = member.system, member.mode << 16 | attributes
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.data)
    data = buffer.getvalue()
    for member, stand_in in zip(members, stand_ins, strict=True):
        parts = data.split(stand_in.encode())
        if len(parts) != 3:
            raise ValueError(f"{stand_in} stands {len(parts) - 1} times in the archive, not twice")
        if member.utf8_flag:
            # The flags end 22 bytes before the name in a local header and 36 bytes before it in a central one.
            parts[0] = _with_flag(parts[0], 22)
            parts[1] = _with_flag(parts[1], 36)
        data = member.name.join(parts)
    return data


def _with_flag(header: bytes, before_name: int) -> bytes:
    """Bit 11 of the general purpose flags (APPNOTE 4.4.4), in the byte that ends before_name bytes before the end."""
    at = len(header) - before_name - 1
    return header[:at] + bytes([header[at] | 0x08]) + header[at + 1 :]


def papers(encoding: str, system: int) -> list[Member]:
    file_mode, folder_mode = (stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755) if system == UNIX else (0, 0)
    folder = Member("筹备/".encode(encoding), b"", system=system, mode=folder_mode)
    return [folder, *(Member(name.encode(encoding), data, system=system, mode=file_mode) for name, data in PAPERS)]


def zips() -> dict[str, bytes]:
    evil = [Member(name.encode(), data) for name, data in EVIL]
    notice = "通知.txt"
    good = zip_of(Member(name.encode(), data, utf8_flag=True) for name, data in PAPERS)
    return {
        "gbk-names.zip": zip_of(papers("gbk", DOS)),
        "utf8-unflagged.zip": zip_of(papers("utf-8", UNIX)),
        "truncated.zip": good[: len(good) * 2 // 3],
        "slip.zip": zip_of([*evil, Member(b"../evil.txt", b"evil\n")]),
        "absolute.zip": zip_of([*evil, Member(b"/tmp/evil.txt", b"evil\n")]),
        "backslash.zip": zip_of([Member("筹备\\通知.txt".encode("gbk"), NOTICE)]),
        "link-out.zip": zip_of([*evil, Member(b"link", b"/etc/passwd", system=UNIX, mode=stat.S_IFLNK | 0o777)]),
        "collision.zip": zip_of(
            [
                Member(f"筹备/{notice}".encode("gbk"), b"first\n"),
                Member(f"筹备/{notice}".encode(), b"second\n", utf8_flag=True),
            ]
        ),
        "lookalike.zip": zip_of([Member(notice.encode("gbk"), NOTICE)]),
        "duplicate.zip": zip_of(Member(notice.encode(), data, utf8_flag=True) for data in (b"first\n", b"second\n")),
        "damaged.zip": damaged(),
    }


def damaged() -> bytes:
    """Stored, not deflated, so that the CRC-32 alone can tell."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in (("good.txt", b"good\n"), ("bad.txt", b"a file that was whole once\n")):
            archive.writestr(zipfile.ZipInfo(name, WHEN.timetuple()[:6]), data)
    return buffer.getvalue().replace(b"whole once", b"whole 0nce")


def info_zip(target: Path, *options: str) -> None:
    """PAPERS by Info-ZIP's zip."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in PAPERS:
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (WHEN.timestamp(), WHEN.timestamp()))
        names = [name for name, _ in PAPERS]
        environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        subprocess.run(["zip", "-q", "-X", *options, str(target), *names], cwd=folder, env=environment, check=True)


def tar_of(members: Iterable[tuple[tarfile.TarInfo, bytes]], *, layout: int, encoding: str = "utf-8") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=layout, encoding=encoding) as archive:
        for info, data in members:
            info.mtime, info.size = int(WHEN.timestamp()), len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def entry(
    name: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    if kind == tarfile.CHRTYPE:
        info.devmajor, info.devminor = 1, 3
    return info, data


def tars() -> dict[str, bytes]:
    def contents() -> list[tuple[tarfile.TarInfo, bytes]]:
        return [entry("筹备", kind=tarfile.DIRTYPE), *(entry(name, data) for name, data in PAPERS)]

    evil = [entry(name, data) for name, data in EVIL]
    plain = tar_of(contents(), layout=tarfile.PAX_FORMAT)
    packed = gzip.compress(plain, mtime=0)
    out = [
        entry("soft", kind=tarfile.SYMTYPE, link="../../etc/passwd"),
        entry("hard", kind=tarfile.LNKTYPE, link="/etc/passwd"),
    ]
    devices = [entry("pipe", kind=tarfile.FIFOTYPE), entry("null", kind=tarfile.CHRTYPE)]
    return {
        "plain.tar": plain,
        "plain.tar.gz": packed,
        "truncated.tar.gz": packed[: len(packed) * 2 // 3],
        "gbk-names.tar": tar_of(contents(), layout=tarfile.GNU_FORMAT, encoding="gbk"),
        "slip.tar": tar_of([*evil, entry("../evil.txt", b"evil\n")], layout=tarfile.PAX_FORMAT),
        "link-out.tar": tar_of([*evil, *out], layout=tarfile.PAX_FORMAT),
        "device.tar": tar_of([*evil, *devices], layout=tarfile.PAX_FORMAT),
    }


def main() -> None:
    for name, data in (zips() | tars()).items():
        HERE.joinpath(name).write_bytes(data)
    zip64 = HERE / "zip64.zip"
    zip64.unlink(missing_ok=True)
    info_zip(zip64, "-fz")
    encrypted = HERE / "encrypted.zip"
    if not encrypted.exists():
        info_zip(encrypted, "-P", "lantai")


if __name__ == "__main__":
    main()
