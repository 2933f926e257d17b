"""The bench's own data: the same bytes on every machine."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

_TEXT = "云岭县第十二届金秋文化节 活动方案 opening ceremony, rehearsal, press "
_CHUNK = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kind:
    """What files of one format begin and end with; filler is random where the format is compressed, else text."""

    ending: str
    head: bytes
    tail: bytes
    random: bool


_KINDS = (
    Kind(".txt", b"", b"\n", False),
    Kind(".jpg", bytes.fromhex("ffd8ffe000104a46494600010101004800480000"), bytes.fromhex("ffd9"), True),
    Kind(".pdf", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", b"\n%%EOF\n", True),
    Kind(".xml", b'<?xml version="1.0" encoding="UTF-8"?>\n<records>', b"</records>\n", False),
    Kind(".csv", b"filename,dc.title\n", b"\n", False),
)


@dataclass(frozen=True, slots=True)
class Set:
    """files of least to most bytes each."""

    name: str
    files: int
    least: int
    most: int


SETS = (
    Set("large", 3, 1_000_000_000, 1_000_000_000),
    Set("medium", 2_000, 100_000, 1_000_000),
    Set("small", 20_000, 2_000, 20_000),
)


def make(one: Set, folder: Path) -> int:
    """Write the set below folder, 500 files a folder; the number of its bytes."""
    chance = random.Random(one.name)
    octets = 0
    for number in range(one.files):
        kind = _KINDS[number % len(_KINDS)] if one.files > 10 else Kind(".bin", b"", b"", True)
        place = folder / f"{number // 500:03d}_案卷"
        place.mkdir(parents=True, exist_ok=True)
        size = chance.randint(one.least, one.most)
        octets += size
        with (place / f"{number:06d}_件{kind.ending}").open("wb") as file:
            file.write(kind.head)
            left = size - len(kind.head) - len(kind.tail)
            while left > 0:
                step = min(left, _CHUNK)
                file.write(chance.randbytes(step) if kind.random else _filler(number, step))
                left -= step
            file.write(kind.tail)
    return octets


def _filler(number: int, size: int) -> bytes:
    line = f"{number} {_TEXT}\n".encode()
    # Cut between two lines, so that the text stays UTF-8, and filled up with spaces.
    whole = line * (size // len(line))
    return whole + b" " * (size - len(whole))
