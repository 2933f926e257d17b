"""BagIt 1.0 tag files (RFC 8493). Bytes out, pairs in; and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from ..digest import Algorithm, Digests
from .xml import legible

PAYLOAD = "data/"
_LINE = re.compile(r"(\S+)[ \t]+\*?(.*)")
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def declaration() -> Iterator[bytes]:
    yield b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def info(tags: Sequence[tuple[str, str]], *, at: date, octets: int, streams: int) -> Iterator[bytes]:
    """bag-info.txt (2.2.2). Line breaks and control characters in a value become spaces: readers refuse them. A byte
    that is no text is told as \\xff.
    """
    yield f"Bagging-Date: {at.isoformat()}\nPayload-Oxum: {octets}.{streams}\n".encode()
    for label, value in tags:
        yield f"{label}: {legible(_BREAKS.sub(' ', value)).strip()}\n".encode()


def read_info(data: bytes) -> tuple[tuple[str, str], ...]:
    """Label and value, in order; continuation lines are joined."""
    tags: list[tuple[str, str]] = []
    for line in data.decode("utf-8").splitlines():
        if line[:1] in " \t" and tags:
            tags[-1] = (tags[-1][0], f"{tags[-1][1]} {line.strip()}")
        elif ":" in line:
            label, value = line.split(":", 1)
            tags.append((label.strip(), value.strip()))
    return tuple(tags)


def manifest(files: Iterable[tuple[str, Digests]], algorithm: Algorithm) -> Iterator[bytes]:
    """A payload or tag manifest (2.1.3, 2.2.1): files are those it is to list."""
    lines: list[str] = []
    for path, digests in files:
        lines.append(f"{digests.values[algorithm]}  {path}\n")
        if len(lines) == 1000:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join(lines).encode()


def manifest_name(algorithm: Algorithm) -> str:
    """The algorithm's name normalised as 2.4 says: lower case, without separators."""
    return f"manifest-{algorithm.replace('-', '')}.txt"


def read_manifest(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """(path, digest) of each line; percent-encoded CR, LF and % are decoded (2.1.3). ValueError for what is no line."""
    for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(line)
        path = re.sub("%(0[AaDd]|25)", lambda found: chr(int(found[1], 16)), match[2])
        yield path, match[1].lower()
