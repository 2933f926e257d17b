"""Fido agrees with the recorded formats.

The rule: where fido knows a file by its content, the recorded PUID is one that fido gives. Fido's signatures are those
of PRONOM v109 (2022), its container signatures of 2020, so a newer registry may say more: each such pair stands in
fido_differences.csv with its reason.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from lantai.archive import Archive
from lantai.package.read import read_files
from tests.judges import ask
from tests.judges.ask import HERE
from tests.judges.material import Material


@dataclass(frozen=True, slots=True)
class Compared:
    """By path: what fido says by content, and the PUID recorded, where they are the same and where they are not."""

    same: frozenset[str]
    other: Mapping[str, tuple[str, str | None]]


def differences() -> Mapping[tuple[str, str | None], str]:
    """Reason by what fido says and what is recorded."""
    with (HERE / "fido_differences.csv").open(encoding="utf-8", newline="") as file:
        return {(row["fido"], row["recorded"]): row["reason"] for row in csv.DictReader(file)}


def compare(recorded: Mapping[str, str | None], said: Mapping[str, frozenset[str]]) -> Compared:
    known = {path: puid for path, puid in recorded.items() if path in said}
    same = frozenset(path for path, puid in known.items() if puid in said[path])
    return Compared(same, {path: (" ".join(sorted(said[path])), known[path]) for path in known.keys() - same})


def recorded(material: Material, version: int) -> Mapping[str, str | None]:
    """PUIDs by path: the answer that counts."""
    with Archive(material.home, by="") as archive, archive.root.version(material.package, version) as read:
        return {one.path: one.formats[0].puid for one in read_files(material.package, read)}


@pytest.fixture(scope="session")
def compared(materials: Callable[[str], Material]) -> Callable[[str, int], Compared]:
    @cache
    def give(name: str, version: int) -> Compared:
        material = materials(name)
        return compare(recorded(material, version), ask.fido(material.data(version)))

    return give


@pytest.mark.parametrize(("name", "version"), [("example", 3), ("corpus", 1), ("difficult", 1), ("difficult", 3)])
def test_fido_agrees_where_it_knows_a_file_by_its_content(
    compared: Callable[[str, int], Compared], name: str, version: int
) -> None:
    unexplained = {path: pair for path, pair in compared(name, version).other.items() if pair not in differences()}
    assert not unexplained


def test_most_of_the_real_files_are_compared(compared: Callable[[str, int], Compared]) -> None:
    assert len(compared("corpus", 1).same) > 150


def test_every_difference_that_is_excused_occurs(compared: Callable[[str, int], Compared]) -> None:
    assert set(differences()) == set(compared("corpus", 1).other.values())
    assert all(differences().values())


def test_a_file_whose_first_bytes_are_others_is_no_longer_what_was_recorded(bag: Path, example: Material) -> None:
    data = bag / example.data(3).relative_to(example.bags[3])
    pictures = sorted(data.rglob("*.jpg"))
    before = recorded(example, 3)
    names = {one.relative_to(data).as_posix() for one in pictures}
    assert names <= compare(before, ask.fido(data)).same
    for picture in pictures:
        picture.write_bytes(b"\x89PNG\r\n\x1a\n" + picture.read_bytes()[8:])
    assert not names & compare(before, ask.fido(data)).same
