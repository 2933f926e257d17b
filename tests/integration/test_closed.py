"""Closed means closed: who asks for what was never open sees no difference to what is not there, neither in the answer
nor in what is asked of the database for it.
"""

from __future__ import annotations

import shutil
import sqlite3
import sqlite3.dbapi2
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lantai.catalog import Catalog
from lantai.model import PackageId
from lantai.oai import Repository
from lantai.oai.files import NoList, listed
from lantai.oai.formats import FORMATS
from lantai.oai.protocol import respond
from lantai.oai.records import Harvest
from tests.integration.command import Lantai, folder
from tests.integration.schemas import judged

REPOSITORY = Repository(
    "云岭县档案馆", "https://example.org/oai", ("a@example.org",), "example.org",
    "00000000-0000-7000-8000-000000000000", datetime(2024, 1, 1, tzinfo=UTC),
)  # fmt: skip
ABSENT = "01890a5d-ac96-774b-bcce-b302099a8057"
NAMELESS = (
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "12345678-1234-4234-9234-123456789012",
)  # fmt: skip
"""In the form of a uuid, but such as no record has."""


Ask = Callable[..., tuple[bytes, "Heard"]]


class Heard(list[tuple[str, str, int]]):
    """Each statement, the shape of its parameters, and how many rows were fetched."""

    def rows(self) -> int:
        return sum(rows for _statement, _shape, rows in self)


def shape(parameters: object) -> str:
    """Names and types; of texts whether they are lists of ids, not how long they are."""
    if isinstance(parameters, dict):
        return repr({name: type(one).__name__ for name, one in sorted(parameters.items())})
    return repr([type(one).__name__ for one in parameters]) if isinstance(parameters, (list, tuple)) else ""


@contextmanager
def heard() -> Iterator[Heard]:
    """Of all databases that are opened in it."""
    told = Heard()

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
            told.append((sql, shape(parameters), 0))
            super().execute(sql, parameters)
            return self

        def executemany(self, sql: str, parameters: Any, /) -> Cursor:
            every = list(parameters)
            told.append((sql, repr([shape(one) for one in every]), 0))
            super().executemany(sql, every)
            return self

        def __next__(self) -> Any:
            row = super().__next__()
            self._fetched(1)
            return row

        def _fetched(self, rows: int) -> None:
            if told:
                sql, parameters, before = told[-1]
                told[-1] = (sql, parameters, before + rows)

        def fetchone(self) -> Any:
            row = super().fetchone()
            self._fetched(row is not None)
            return row

        def fetchmany(self, size: int | None = None) -> list[Any]:
            rows = super().fetchmany(size) if size is not None else super().fetchmany()
            self._fetched(len(rows))
            return rows

        def fetchall(self) -> list[Any]:
            rows = super().fetchall()
            self._fetched(len(rows))
            return rows

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, sql: str, parameters: Any = (), /) -> Any:
            return self.cursor().execute(sql, parameters)

    connect = sqlite3.dbapi2.connect

    def listening(*arguments: Any, **more: Any) -> Any:
        return connect(*arguments, factory=Connection, **more)

    with mock.patch.object(sqlite3.dbapi2, "connect", listening):
        yield told


@dataclass(frozen=True, slots=True)
class Archive:
    """now: a second after all that was done. Of what is never open, and of what is, uuids by what they are; deleted: of
    what was open once; described: of what is open without its files.
    """

    url: str
    now: datetime
    never: Mapping[str, str]
    open: str
    deleted: str
    described: str


@pytest.fixture(scope="module")
def archive(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    place = tmp_path_factory.mktemp("closed")
    lantai = Lantai(Path(shutil.copytree(pristine, place / "home")))
    files = folder(
        place / "closed",
        {"a.txt": "a\n", "b.txt": "b\n", "metadata.csv": "文件名,题名,档号\na.txt,秘密,Z109\nb.txt,机密,Z110\n"},
    )
    found = {}
    for name, access, what in (
        ("closed", "closed", files),
        ("opens one day", "2051-01-01", folder(place / "later", {"a.txt": "later\n"})),
        ("open", "open", folder(place / "open", {"a.txt": "open\n"})),
        ("deleted", "open", folder(place / "deleted", {"a.txt": "deleted\n"})),
        ("described", "description", folder(place / "described", {"a.txt": "described\n"})),
        ("hidden", "closed", folder(place / "hidden", {"a.txt": "hidden\n"})),
    ):
        found[name] = lantai.stored(what, "--access", access)["package"]
    assert lantai("withdraw", found["hidden"], "--reason", "隐私").code == 0
    time.sleep(1.1)
    assert lantai("access", "set", found["deleted"], "closed", "--reason", "误开").code == 0
    url = f"sqlite:///{lantai.folder / 'catalog.db'}"
    with Catalog.open(url) as catalog:
        _root, *parts = catalog.records(PackageId(found["closed"]))
        found |= {f"part {number}": one.id for number, one in enumerate(parts)}
        found["file"] = next(catalog.files(PackageId(found["open"]))).file.id
    assert len(parts) == 2
    uuids = {name: id.removeprefix("urn:uuid:") for name, id in found.items()}
    time.sleep(2.1)
    others = [uuids.pop(name) for name in ("open", "deleted", "described")]
    return Archive(url, datetime.now(UTC).replace(microsecond=0), uuids, *others)


@contextmanager
def asking(archive: Archive) -> Iterator[Ask]:
    """Of the archive: the answer without what it repeats of the request, and what was asked of the database for it."""
    with heard() as told, Catalog.open(archive.url) as catalog:

        def ask(verb: str, **arguments: str) -> tuple[bytes, Heard]:
            told.clear()
            answer = respond(
                [("verb", verb), *arguments.items()], Harvest(catalog, REPOSITORY), repository=REPOSITORY,
                now=archive.now, key=bytes(32), page_size=10, token_ttl=600,
            )  # fmt: skip
            judged(answer)
            before, request, after = answer.partition(b"<request")
            return before + request + after.partition(b">")[2], Heard(told)

        # The first answer of a second notes it, and what asks for one and for many opens connections.
        ask("ListRecords", metadataPrefix="oai_dc")
        ask("GetRecord", metadataPrefix="oai_dc", identifier=f"oai:example.org:{ABSENT}")
        yield ask


@pytest.mark.parametrize("prefix", [None, *FORMATS])
def test_who_asks_for_what_was_never_open_sees_what_is_not_there(archive: Archive, prefix: str | None) -> None:
    """prefix None: ListMetadataFormats."""

    with asking(archive) as ask:

        def of(uuid: str) -> tuple[bytes, Heard]:
            identifier = f"oai:example.org:{uuid}"
            if prefix is None:
                return ask("ListMetadataFormats", identifier=identifier)
            return ask("GetRecord", metadataPrefix=prefix, identifier=identifier)

        answer, statements = of(ABSENT)
        assert b"idDoesNotExist" in answer
        assert statements
        for uuid in (*archive.never.values(), *NAMELESS):
            assert of(uuid) == (answer, statements)
        # Who listens hears a difference where there is one.
        other, more = of(archive.open)
        assert other != answer
        assert more.rows() > statements.rows()


@pytest.mark.parametrize("spelt", [str.upper, "{{{}}}".format, "urn:uuid:{}".format, " {}".format, "{}/".format])
def test_what_is_spelt_otherwise_is_nothing_be_it_there_or_not(archive: Archive, spelt: Callable[[str], str]) -> None:
    with asking(archive) as ask:
        found = [
            ask("ListMetadataFormats", identifier=f"oai:example.org:{spelt(uuid)}")
            for uuid in (ABSENT, archive.open, *archive.never.values())
        ]
    assert b"idDoesNotExist" in found[0][0]
    assert found == [found[0]] * len(found)


@pytest.mark.parametrize("verb", ["ListRecords", "ListIdentifiers"])
def test_a_set_that_is_unknown_closed_or_empty_is_the_same(archive: Archive, verb: str) -> None:
    closed = archive.never["closed"]
    with asking(archive) as ask:
        answer, statements = ask(verb, metadataPrefix="oai_dc", set="no:such")
        assert b"noRecordsMatch" in answer
        for spec in (
            f"fonds:{closed}", f"fonds:{ABSENT}", "fonds:Z109", "level:item", "level:fonds", "type", "type:text",
            "level", "fonds",
        ):  # fmt: skip
            assert ask(verb, metadataPrefix="oai_dc", set=spec) == (answer, statements), spec
        assert ask(verb, metadataPrefix="oai_dc", set="level:file") != (answer, statements)


def test_sets_tell_nothing_of_what_is_closed(archive: Archive) -> None:
    with asking(archive) as ask:
        text = ask("ListSets")[0].decode()
    assert "level:file" in text
    assert not any(word in text for word in ("Z109", "level:item", "密", *archive.never.values()))


def test_who_asks_for_files_that_are_not_open_sees_what_is_not_there(archive: Archive) -> None:
    with heard() as told, Catalog.open(archive.url) as catalog:
        harvest = Harvest(catalog, REPOSITORY)
        at = harvest.now(archive.now)

        def of(uuid: str, *more: tuple[str, str]) -> tuple[str, Heard]:
            told.clear()
            arguments = [("identifier", f"oai:example.org:{uuid}"), *more]
            try:
                answer = listed(arguments, harvest, repository=REPOSITORY, at=at).decode()
            except NoList as none:
                answer = repr(none)
            return answer, Heard(told)

        of(ABSENT)
        for more in ((), (("after", f"urn:uuid:{archive.never['file']}"),)):
            answer, statements = of(ABSENT, *more)
            assert answer.startswith("NoList")
            assert statements
            for uuid in (*archive.never.values(), *NAMELESS, archive.deleted, archive.described):
                assert of(uuid, *more) == (answer, statements)
        # Who listens hears a difference where there is one.
        answer, statements = of(archive.open)
        assert '"name":"a.txt"' in answer
        assert statements.rows() > 1
