"""A submission whose names are as difficult as names get, with a sheet that describes some of them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

NAME = "难名\x01\udcff 100% of\u2028them\u3000"
"""Of the submission itself: it comes to stand in bag-info.txt, METS and PREMIS."""

REPLACED = "twins/caf\u00e9.txt"
REMOVED = b"undecodable/\xff\xfe.bin"
LATE = "late\u2029 %"
LATE_EMPTY = b"empty\x03"

_LONG = "长" * 85
_NAMES: Sequence[str | bytes] = (
    # no path in a bag manifest that all read alike
    "percent/50%.txt", "percent/%0A.txt", "percent/100%25.txt", "percent/%", "percent%41/inside.txt",
    # ends of a line, for some reader
    "lines/LF\n.txt", "lines/CR\r.txt", "lines/CRLF\r\n.txt", "lines/VT\x0b.txt", "lines/FF\x0c.txt",
    "lines/FS\x1c.txt", "lines/GS\x1d.txt", "lines/RS\x1e.txt", "lines/NEL\x85.txt", "lines/LS\u2028.txt",
    "lines/PS\u2029.txt", "lines/ends with LF\n", "a folder\nof two lines/inside.txt",
    # white space at the end, of a file and of a folder
    "space/space ", "space/ideographic space\u3000", "space/tab\t", "space/no-break space\u00a0", "space/dot.",
    "space/folder /inside.txt", "space/folder\u3000/inside.txt", "space/ leading", "space/in ner", "space/in\tner",
    # what XML cannot hold, or no one can see
    "control/\x01.txt", "control/\x07bell", "control/\x1b[31mred", "control/\x7f", "control/\x9b", "control/\ufffe",
    "control/\uffff.txt", "control/\ufeffBOM.txt", "control/\u200bzero width.txt", "control/\u202eright to left.txt",
    b"undecodable/\xff\xfe.bin", "undecodable/云岭.txt".encode("gb18030"), b"undecodable/cut\xe4\xba.txt",
    b"undecodable folder \xb0/inside.txt",
    # one name in two forms, one form alone, one letter in two cases
    "twins/caf\u00e9.txt", "twins/cafe\u0301.txt", "twins/A\u030a/inside.txt", "twins/\u00c5/inside.txt",
    "twins/alone e\u0301.txt", "twins/README", "twins/readme",
    # as long as they may be, and longer than a key may be
    f"long/{_LONG}", f"long/{'n' * 251}.txt", f"deep/{_LONG}/{_LONG}/{_LONG[:-2]}.txt",
    # reserved elsewhere
    "devices/CON", "devices/aux.txt", "devices/NUL.tar.gz", "devices/back\\slash",
    # names that a package has a use for itself
    "METS.xml", "inventory.json", "premis.xml", "bagit.txt", "manifest-sha256.txt", "0=ocfl_object_1.1",
    "data/METS.xml", "metadata/descriptive/dc.xml", "representations/original/METS.xml", "METS.xml.d/METS.xml",
    # plain enough
    "plain/-rf", "plain/& ' \" < > # ? [ ] { } * : ; , = + @ ! ~ $.txt", "plain/.hidden", "plain/emoji 🏮.txt",
    "plain/〔2021〕5号·一.txt", "plain/Z109-WS·2021-Y-BGS-0001",
)  # fmt: skip
_EMPTY_FILES: Sequence[str | bytes] = ("empty/nothing.txt", "empty/nothing either.jpg", "empty/%")
_EMPTY_FOLDERS: Sequence[str | bytes] = (
    "empty/folder", "empty/of two\nlines", "empty/\x02", "empty/100%", "empty/of/of/of", b"empty/\xff",
    "empty/end\u3000",
)  # fmt: skip


def make(above: Path) -> Path:
    """The submission, in a folder above."""
    place = above / NAME
    for name, content in files().items():
        _write(place, name, content)
    for folder in empty_folders():
        (place / os.fsdecode(folder)).mkdir(parents=True)
    (place / "metadata.csv").write_bytes(_sheet())
    return place


def files() -> Mapping[bytes, bytes]:
    """Content by name: a payload's own bytes, some payloads twice, some of no bytes, one of every byte there is."""
    content = {octets(name): f"{number}: {name!a}\n".encode() for number, name in enumerate(_NAMES)}
    content |= {octets(name): b"" for name in _EMPTY_FILES}
    content[b"twice/first.bin"] = content[b"twice/second %.bin"] = bytes(range(256)) * 40
    return content


def empty_folders() -> set[bytes]:
    return {octets(name) for name in _EMPTY_FOLDERS}


def late(above: Path) -> Path:
    """A folder that comes later, with a payload that is there already and names that are."""
    place = above / LATE
    for name, content in late_files().items():
        _write(place, name, content)
    (place / os.fsdecode(LATE_EMPTY)).mkdir()
    return place


def late_files() -> Mapping[bytes, bytes]:
    return {b"inside\n.txt": b"late\n", b"METS.xml": b"<mets/>", b"again.bin": files()[b"twice/first.bin"]}


def octets(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else os.fsencode(name)


def walk(place: Path) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of every file below place."""
    for path in place.rglob("*"):
        if path.is_file():
            yield os.fsencode(path.relative_to(place)), path.read_bytes()


def _write(place: Path, name: bytes, content: bytes) -> None:
    path = place / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _sheet() -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(
        (
            ("filename", "dc.title", "dc.description", "档号", "自拟%项"),
            ("", "难读的文件名 <&>\" ' ]]>", "one line\nand another\r\nand a last", "Z109-WS·2021-Y-BGS", "100%"),
            ("percent/50%.txt", "%0A is not a line", "\u2028 and \u0085 are", "Z109-WS·2021-Y-BGS-0001", ""),
            ("lines/LF\n.txt", "two\nlines", "", "Z109-WS·2021-Y-BGS-0002", "%"),
            ("twins", "a folder", "", "", ""),
            ("twins/caf\u00e9.txt", "composed", "", "", ""),
            ("twins/cafe\u0301.txt", "decomposed", "", "", ""),
            ("METS.xml", "no METS", "", "", ""),
        )
    )
    return text.getvalue().encode("utf-8-sig")
