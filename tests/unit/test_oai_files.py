"""The list of a record's files, as a function of what is held."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from lantai.model import PayloadFile
from lantai.oai import files
from lantai.oai.files import BadList, NoList, listed
from tests.conformance.shelf import Shelf
from tests.unit.test_oai_formats import PHOTO, a_file
from tests.unit.test_oai_protocol import CLOCK, REPOSITORY, uuid

HERE = replace(REPOSITORY, base_url="https://archive.example.org/oai")
IDENTIFIER = HERE.identifier(PHOTO.id)
AFTER = f"urn:uuid:{uuid(2)}"


def asked(shelf: Shelf, *arguments: tuple[str, str]) -> list[dict[str, Any]]:
    told = listed(arguments, shelf, repository=HERE, at=CLOCK).decode()
    assert not told or told.endswith("\n")
    return [json.loads(line) for line in told.split("\n")[:-1]]


def holding(held: Sequence[PayloadFile]) -> Shelf:
    return Shelf(held={PHOTO.id: held})


def test_of_each_file_name_size_digests_and_format_are_told() -> None:
    shelf = holding([a_file(1, "照片/开幕式 <&>.jpg"), a_file(2, 'b\x01\udcff\n"', puid=None, size=7)])
    assert asked(shelf, ("identifier", IDENTIFIER)) == [
        {
            "file": f"urn:uuid:{uuid(1)}", "name": "照片/开幕式 <&>.jpg", "size": 3,
            "digests": {"sha256": f"{1:064x}", "md5": f"{1:032x}"},
            "format": {"puid": "fmt/43", "name": "JPEG", "version": "1.01", "mime": "image/jpeg"},
        },
        {
            "file": f"urn:uuid:{uuid(2)}", "name": 'b\\x01\\xff\n"', "size": 7,
            "digests": {"sha256": f"{2:064x}", "md5": f"{2:032x}"}, "format": None,
        },
    ]  # fmt: skip
    assert asked(holding([]), ("identifier", IDENTIFIER)) == []


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 15])
def test_a_long_list_says_where_it_goes_on(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(files, "_TOGETHER", 7)
    shelf, found = holding([a_file(number) for number in range(count)]), list[str]()
    arguments = [("identifier", IDENTIFIER)]
    while arguments:
        *told, last = asked(shelf, *arguments) or [{"file": ""}]
        onward = last.get("next", "")
        found += [one["file"] for one in ([*told] if onward else [*told, last])]
        assert not onward or len(told) == 7
        where = urlsplit(onward)
        assert not onward or f"{where.scheme}://{where.netloc}{where.path}" == f"{HERE.base_url}/files"
        arguments = parse_qsl(where.query)
    assert found == ([f"urn:uuid:{uuid(number)}" for number in range(count)] or [""])


@pytest.mark.parametrize(
    "arguments",
    [
        (), (("after", AFTER),), (("identifier", IDENTIFIER), ("identifier", IDENTIFIER)),
        (("identifier", IDENTIFIER), ("verb", "GetRecord")), (("identifier", IDENTIFIER), ("after", ""), ("after", "")),
    ],
)  # fmt: skip
def test_what_is_no_question_is_told(arguments: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(BadList):
        asked(holding([a_file(1)]), *arguments)


@pytest.mark.parametrize(
    "given", [IDENTIFIER.upper(), PHOTO.id, "", f"{IDENTIFIER}/", "oai:other.org:1", "\x00", "\ud800"]
)
def test_what_is_no_identifier_of_ours_has_no_files_and_is_not_looked_for(given: str) -> None:
    shelf = holding([a_file(1)])
    with pytest.raises(NoList):
        asked(shelf, ("identifier", given))
    assert shelf.asked == []


def test_a_record_without_open_files_and_a_place_that_is_none_are_the_same() -> None:
    told = set()
    for shelf, arguments in (
        (Shelf(), (("identifier", IDENTIFIER),)),
        (holding([a_file(1)]), (("identifier", IDENTIFIER), ("after", AFTER))),
        (holding([a_file(1)]), (("identifier", IDENTIFIER), ("after", ""))),
    ):
        with pytest.raises(NoList) as refused:
            asked(shelf, *arguments)
        told.add(str(refused.value))
    assert len(told) == 1
