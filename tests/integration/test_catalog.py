"""The catalogue on a real SQLite file."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

import lantai
from lantai.catalog import Access, Catalog, FileRow, Found, search, tables
from lantai.digest import Digests
from lantai.errors import Damaged, NotFound, UsageError
from lantai.model import (
    Agent,
    DateSpan,
    Decision,
    Description,
    Element,
    Entry,
    Event,
    Extent,
    FileId,
    Format,
    Level,
    Package,
    PackageId,
    PayloadFile,
    Place,
    Record,
    RecordId,
    Version,
)

AT = datetime(2025, 10, 1, 8, 30, 0, 123456, tzinfo=UTC)
JPEG = Format("fmt/43", "JPEG", "1.01", "image/jpeg", "byte match at 0", "", "siegfried 1.11.2", "PRONOM v125")
TEXT = Format("x-fmt/111", "Plain Text", "", "text/plain", "extension", "weak", "siegfried 1.11.2", "PRONOM v125")
NOTHING = Format(None, "", "", None, "", "no match", "fido 1.6.1", "PRONOM v109")
SEARCHED = settings(max_examples=25, deadline=None)


def urn(number: int, end: str = "") -> str:
    """A UUIDv7 in the order of number, ending in end."""
    digits = f"{number:012x}7000800000000000{number:04x}"
    digits = digits[: 32 - len(end)] + end
    return uuid.UUID(digits).urn


def description(*elements: tuple[str, str], title: str = "", level: Level = "file") -> Description:
    return Description(level, tuple(Element(term, value) for term, value in (("dc.title", title), *elements) if value))


def a_file(
    path: str, package: str = urn(1), *, name: str | None = None, size: int = 10, **values: object
) -> PayloadFile:
    file = PayloadFile(
        FileId(uuid.uuid5(uuid.UUID(package[9:]), path).urn),
        path,
        path if name is None else name,
        Digests(size, {"sha256": f"{size:064x}"}),
        (JPEG,),
        AT,
    )
    return replace(file, **values)  # type: ignore[arg-type]


def a_package(
    id: str = urn(1),
    *,
    version: int = 1,
    root: Description | None = None,
    parts: Sequence[tuple[str, Description, tuple[str, ...]]] = (),
    code: str | None = None,
    content: str = "c0",
) -> Package:
    """A package with a root record and part records (id, description, paths)."""
    at = AT + timedelta(days=version)
    records = [Record(RecordId(id), PackageId(id), root or description(title="中秋晚会"))]
    records += [Record(RecordId(part), PackageId(id), said, paths) for part, said, paths in parts]
    places = [Place(RecordId(id), "fonds", None, 0, code)]
    places += [Place(record.id, "fonds", RecordId(id), at, None) for at, record in enumerate(records[1:])]
    return Package(
        PackageId(id),
        tuple(Version(n, AT + timedelta(days=n), "李明", f"reason {n}") for n in range(1, version + 1)),
        tuple(records),
        tuple(places),
        (Agent("a1", "software", "siegfried", "1.11.2"), Agent("a2", "person", "李明")),
        (
            Event("e1", "ingestion", at, "success", "接收", ("a2", "a1"), "package"),
            Event("e2", "format identification", at, "warning", "", ("a1",), "files"),
        ),
        Decision(f"d-{id}", RecordId(id), "closed", AT, "default", AT, "李明", "接收时"),
        "中秋晚会材料",
        content,
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/catalog.db"


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    with Catalog.open(url) as catalog:
        yield catalog


def answers(catalog: Catalog, queries: Iterable[str] = ("中秋", "a", "jpg")) -> list[object]:
    """Everything that the catalogue says."""
    said: list[object] = [list(catalog.search(query)) for query in queries]
    for package in catalog.packages():
        said += [package, catalog.versions(package.id), catalog.events(package.id), catalog.agents(package.id)]
        said += [list(catalog.records(package.id)), list(catalog.files(package.id))]
    return said


def dump(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, keys included."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        mine = [name for name in names if "_words_" not in name]
        found = {name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in mine}
    database.close()
    return found


def hits(catalog: Catalog, query: str) -> list[str]:
    return [hit.id for hit in catalog.search(query)]


# -- what goes in comes out


def test_a_package_comes_back_as_it_was_told(catalog: Catalog) -> None:
    root = Description(
        "file",
        (Element("dc.title", "桂花节", "zh"), Element("期限", "永久", None, "DA/T 13"), Element("dc.date", "约1998年")),
        (
            DateSpan("约1998年", date(1998, 1, 1), date(1998, 12, 31), True, "1998~"),
            DateSpan("不详", None, None, False),
        ),
        (Extent(3, "卷"), Extent(0.5, "米")),
    )
    part = (urn(2), description(title="照片", level="item"), ("照片", "附件/a.txt"))
    package = a_package(root=root, parts=[part], code="Z109-WS·2021")
    east = timezone(timedelta(hours=8))
    told = [
        a_file("照片/2.jpg", size=7, modified=datetime(2025, 1, 1, 8, tzinfo=east)),
        a_file("b.txt", size=5, formats=(TEXT, NOTHING), modified=None, events=("e2", "e1")),
        a_file("a%.txt", name="a\udcff.txt", size=0, formats=(NOTHING,)),
        a_file("附件/a.txt", formats=(), digests=Digests(3, {"sha256": "aa", "sm3": "bb"})),
    ]
    catalog.index(package, iter(told))

    row = catalog.package(package.id)
    assert (row.id, row.title, row.level, row.reference_code) == (package.id, "桂花节", "file", "Z109-WS·2021")
    assert (row.created, row.version, row.files, row.bytes) == (AT + timedelta(days=1), 1, 4, 15)
    assert row.formats == {"fmt/43": 1, "unknown": 2, "x-fmt/111": 1}
    assert list(row.formats) == ["fmt/43", "unknown", "x-fmt/111"]
    assert (row.access, row.submission) == (Access("closed", AT), "中秋晚会材料")
    assert list(catalog.packages()) == [row]
    assert catalog.versions(package.id) == package.versions
    assert catalog.events(package.id) == package.events
    assert catalog.agents(package.id) == package.agents
    assert catalog.version_of(package.id) == 1

    records = list(catalog.records(package.id))
    assert [Record(one.id, one.package, one.description, one.paths) for one in records] == list(package.records)
    assert tuple(place for one in records for place in one.places) == package.places
    assert [(one.files, one.children, one.parent) for one in records] == [(2, 1, None), (2, 0, urn(1))]
    assert catalog.record(RecordId(urn(2))) == records[1]

    in_order = sorted(told, key=lambda file: file.path)
    rows = list(catalog.files(package.id))
    assert [row.file for row in rows] == in_order
    assert [(row.package, row.record) for row in rows] == [(urn(1), urn(n)) for n in (1, 1, 2, 2)]
    assert catalog.file(told[0].id) == FileRow(package.id, RecordId(urn(2)), told[0])


def test_what_is_not_there_is_not_found(catalog: Catalog) -> None:
    nothing = PackageId(urn(9))
    questions: list[Callable[[], object]] = [
        lambda: catalog.package(nothing),
        lambda: catalog.versions(nothing),
        lambda: catalog.events(nothing),
        lambda: catalog.agents(nothing),
        lambda: catalog.record(RecordId(nothing)),
        lambda: catalog.file(FileId(nothing)),
    ]
    for ask in questions:
        with pytest.raises(NotFound) as caught:
            ask()
        assert caught.value.subject == nothing
    assert catalog.version_of(nothing) is None
    assert catalog.find_content("no") is None
    assert not [*catalog.files(nothing), *catalog.records(nothing), *catalog.packages()]


def test_names_that_are_no_text_are_kept(catalog: Catalog) -> None:
    catalog.index(replace(a_package(), submission="bad\udcff"), [])
    assert catalog.package(PackageId(urn(1))).submission == "bad\udcff"


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("top.txt", 1),
        ("photos/1.jpg", 2),
        ("photos/day 2/raw/1.jpg", 3),
        ("photos/day 2/cover.jpg", 4),
        ("photos/day 20/1.jpg", 2),
        ("photos2/1.jpg", 1),
        ("texts/1.txt", 2),
        ("photos/day 2", 3),
    ],
)
def test_a_file_belongs_to_the_nearest_record_above_it(catalog: Catalog, path: str, owner: int) -> None:
    parts = [
        (urn(2), description(title="photos"), ("photos", "texts/")),
        (urn(3), description(title="day 2"), ("photos/day 2",)),
        (urn(4), description(title="cover"), ("photos/day 2/cover.jpg",)),
    ]
    catalog.index(a_package(parts=parts), [a_file(path)])
    assert [row.record for row in catalog.files(PackageId(urn(1)))] == [urn(owner)]
    assert [record.files for record in catalog.records(PackageId(urn(1)))] == [int(n == owner) for n in range(1, 5)]


# -- idempotent, forward only, all or nothing


def test_indexed_twice_is_indexed_once(catalog: Catalog, url: str) -> None:
    package = a_package(parts=[(urn(2), description(title="照片"), ("照片",))], version=2, code="A-1")
    files = [a_file("照片/1.jpg", events=("e2",)), a_file("b", formats=(TEXT, NOTHING))]
    catalog.index(package, files)
    before = dump(url)
    catalog.index(package, reversed(files))
    assert dump(url) == before
    assert any(before.values())


def test_an_older_version_changes_nothing(catalog: Catalog, url: str) -> None:
    catalog.index(a_package(version=2), [a_file("a")])
    before = dump(url)
    catalog.index(a_package(version=1, root=description(title="old"), content="c9"), [a_file("b")])
    assert dump(url) == before


def test_a_newer_version_leaves_what_did_not_change(catalog: Catalog, url: str) -> None:
    kept = a_file("kept.jpg", events=("e2",))
    catalog.index(a_package(), [kept, a_file("gone.jpg"), a_file("changed.jpg", size=1)])
    before = {row[4]: row for row in dump(url)["files"]}
    catalog.index(a_package(version=2), [a_file("changed.jpg", size=2), a_file("new.jpg"), kept])
    after = {row[4]: row for row in dump(url)["files"]}
    assert sorted(str(path) for path in after) == ["changed.jpg", "kept.jpg", "new.jpg"]
    assert after["kept.jpg"] == before["kept.jpg"]
    assert hits(catalog, "gone") == []
    assert hits(catalog, "new") == [urn(1)]
    assert catalog.package(PackageId(urn(1))).bytes == 22


PATHS = st.sampled_from(["a.txt", "照片/1.jpg", "照片/2.jpg", "照片/中秋/3.jpg", "b/a.jpg"])
FILES = st.dictionaries(PATHS, st.tuples(st.integers(0, 2), st.sampled_from([(JPEG,), (TEXT, NOTHING), ()])))
FOLDERS = st.lists(st.sampled_from(["照片", "照片/中秋", "a.txt"]), unique=True)
PARTS = st.dictionaries(st.integers(2, 4), st.tuples(st.sampled_from(["中秋", "a", ""]), FOLDERS))
State = tuple[str, dict[str, tuple[int, tuple[Format, ...]]], dict[int, tuple[str, list[str]]]]
STATES = st.tuples(st.sampled_from(["中秋晚会", "a b"]), FILES, PARTS)


def told(version: int, state: State) -> tuple[Package, list[PayloadFile]]:
    title, files, parts = state
    records = [(urn(n), description(title=said), tuple(paths)) for n, (said, paths) in parts.items()]
    package = a_package(version=version, root=description(title=title), parts=records)
    return package, [a_file(path, size=size, formats=formats) for path, (size, formats) in files.items()]


@SEARCHED
@given(st.lists(STATES, min_size=2, max_size=4))
def test_a_catalogue_that_lived_through_versions_answers_as_one_made_of_the_last(states: list[State]) -> None:
    with (
        TemporaryDirectory() as folder,
        Catalog.open(f"sqlite:///{folder}/lived.db") as lived,
        Catalog.open(f"sqlite:///{folder}/new.db") as new,
    ):
        for version, state in enumerate(states, 1):
            lived.index(*told(version, state))
        new.index(*told(len(states), states[-1]))
        assert answers(lived) == answers(new)


def test_a_failure_while_files_are_read_leaves_the_catalogue_as_it_was(catalog: Catalog, url: str) -> None:
    def broken() -> Iterator[PayloadFile]:
        yield from (a_file(f"{n}.jpg") for n in range(1500))
        raise OSError("worksheet")

    before = dump(url)
    with pytest.raises(OSError, match="worksheet"):
        catalog.index(a_package(), broken())
    assert dump(url) == before
    catalog.index(a_package(), [a_file("a")])
    assert catalog.package(PackageId(urn(1))).files == 1


def test_of_two_hierarchies_the_stricter_holds_for_what_is_below_both(catalog: Catalog) -> None:
    event, photo = RecordId(urn(7)), RecordId(urn(2))
    package = a_package(parts=[(photo, description(title="剪彩"), ())])
    catalog.index(replace(package, places=(*package.places, Place(photo, "event", event, 0, None))), [])

    def decided(number: int, record: str, shown: str) -> Entry:
        state = {"shown": shown, "since": "2025-11-01T00:00:00Z", "reason": "r"}
        by = Agent("urn:uuid:a", "person", "李明")
        at = datetime(2025, 11, 1, tzinfo=UTC) + timedelta(days=number)
        return Entry(urn(100 + number), "decision", "record", record, at, by, state, "", "policy", replaces=())

    def shown() -> list[str]:
        return [one.shown for one in catalog.timeline(photo)]

    first = replace(decided(1, urn(1), "open"), replaces=(package.access.id,))
    catalog.apply([first], writer="w", number=1, seal="1")
    assert shown() == ["closed", "open"]  # of its fonds; nothing was decided of the event
    catalog.apply([decided(2, event, "description")], writer="w", number=2, seal="2")
    assert shown() == ["closed", "description"]
    catalog.apply([decided(3, photo, "open")], writer="w", number=3, seal="3")
    assert shown()[-1] == "open"  # its own


def test_a_record_known_without_a_package_can_come_into_one(catalog: Catalog, url: str) -> None:
    catalog.index(a_package(urn(1), parts=[(urn(7), description(title="菊花展"), ())]), [])
    catalog.index(a_package(urn(2), parts=[(urn(7), description(title="桂花展"), ("a",))]), [a_file("a", urn(2))])
    record = catalog.record(RecordId(urn(7)))
    assert (record.package, record.description.title, record.files) == (urn(2), "桂花展", 1)
    assert (hits(catalog, "菊花"), hits(catalog, "桂花")) == ([], [urn(7)])


# -- lists


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lantai.catalog._PAGE", 4)


@pytest.mark.usefixtures("small_pages")
def test_packages_come_in_the_order_of_their_creation_page_by_page(catalog: Catalog) -> None:
    ids = [urn(n) for n in range(1, 23)]
    for id in reversed(ids):
        catalog.index(a_package(id, content=id), [])
    assert [row.id for row in catalog.packages()] == ids
    assert [row.id for row in catalog.packages(after=PackageId(ids[5]), limit=10)] == ids[6:16]
    assert [row.id for row in catalog.packages(limit=3)] == ids[:3]
    assert [row.id for row in catalog.packages(limit=8)] == ids[:8]
    assert list(catalog.packages(limit=0)) == list(catalog.packages(after=PackageId(ids[-1]))) == []


@pytest.mark.usefixtures("small_pages")
def test_files_and_records_come_page_by_page(catalog: Catalog) -> None:
    paths = [f"{n:02d}.jpg" for n in range(40)]
    parts = [(urn(n + 2), description(title=str(n)), (path,)) for n, path in enumerate(paths)]
    catalog.index(a_package(parts=parts), (a_file(path) for path in reversed(paths)))
    package = PackageId(urn(1))
    assert [row.file.path for row in catalog.files(package)] == paths
    assert [row.file.path for row in catalog.files(package, after="09.jpg", limit=21)] == paths[10:31]
    assert [row.id for row in catalog.records(package)] == [urn(n) for n in range(1, 42)]
    some = catalog.records(package, after=RecordId(urn(20)), limit=7)
    assert [row.id for row in some] == [urn(n) for n in range(21, 28)]
    assert catalog.record(RecordId(urn(1))).children == 40


def test_a_package_changes_while_its_files_are_read(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lantai.catalog._PAGE", 1)
    catalog.index(a_package(), [a_file("a"), a_file("b"), a_file("c")])
    reading = catalog.files(PackageId(urn(1)))
    assert next(reading).file.path == "a"
    catalog.index(a_package(version=2), [a_file("a"), a_file("c"), a_file("d")])
    assert [row.file.path for row in reading] == ["c", "d"]


def test_more_files_than_are_written_at_once(catalog: Catalog) -> None:
    paths = [f"{n:05d}.jpg" for n in range(2500)]
    catalog.index(a_package(), (a_file(path) for path in paths))
    catalog.index(a_package(version=2), (a_file(path) for path in paths[1:]))
    assert [row.file.path for row in catalog.files(PackageId(urn(1)))] == paths[1:]
    assert catalog.package(PackageId(urn(1))).formats == {"fmt/43": 2499}


def test_a_submission_known_by_its_content_is_found_in_any_version(catalog: Catalog) -> None:
    catalog.index(a_package(urn(2), content="c1"), [])
    catalog.index(a_package(urn(2), version=2, content="c2"), [])
    catalog.index(a_package(urn(1), content="c1"), [])
    assert catalog.find_content("c1") == urn(1)
    assert catalog.find_content("c2") == urn(2)
    assert catalog.find_content("c3") is None


# -- names that people use


ONE = urn(1, "0123456789ab")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    with Catalog.open(f"sqlite:///{tmp_path_factory.mktemp('named')}/catalog.db") as catalog:
        part = (urn(2, "abcdef012345"), description(title="part"), ())
        catalog.index(a_package(ONE, parts=[part], code="Z109-WS·2021"), [a_file("f", ONE)])
        catalog.index(a_package(urn(3, "0f56789ab"), code="202105"), [])
        catalog.index(a_package(urn(4), code="Z109"), [])
        catalog.index(a_package(urn(5), code="Z109"), [])
        catalog.index(a_package(urn(6, "0000202105")), [])
        yield catalog


@pytest.mark.parametrize(
    ("text", "kind", "id"),
    [
        (ONE, "package", ONE),
        (ONE.removeprefix("urn:uuid:").upper(), "package", ONE),
        (f" {urn(2, 'abcdef012345')} ", "record", urn(2, "abcdef012345")),
        ("012345", "record", urn(2, "abcdef012345")),
        ("EF012345", "record", urn(2, "abcdef012345")),
        ("3456789ab", "package", ONE),
        ("8000-0123456789ab", "package", ONE),
        ("Z109-WS·2021", "package", ONE),
        ("202105", "package", urn(3, "0f56789ab")),
        (a_file("f", ONE).id, "file", a_file("f", ONE).id),
        (a_file("f", ONE).id[-8:], "file", a_file("f", ONE).id),
    ],
)
def test_a_thing_is_found_by_its_short_name(named: Catalog, text: str, kind: str, id: str) -> None:
    assert named.resolve(text) == Found(kind, id)  # type: ignore[arg-type]


def test_a_name_of_several_things_names_them_all(named: Catalog) -> None:
    for text, one, other in (("6789ab", ONE, urn(3, "0f56789ab")), ("Z109", urn(4), urn(5))):
        with pytest.raises(UsageError) as caught:
            named.resolve(text)
        assert one in caught.value.what
        assert other in caught.value.what


@pytest.mark.parametrize("text", ["12345", "fffffff", urn(99), "z109-ws·2021", "", "%", "789ab", "1" * 40])
def test_a_name_of_nothing_is_not_found(named: Catalog, text: str) -> None:
    with pytest.raises(NotFound):
        named.resolve(text)


# -- search


@pytest.fixture(scope="module")
def festival(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    parts = [
        (urn(2), description(("dc.creator", "县文化局"), title="2021年中秋晚会活动方案"), ("方案.docx",)),
        (urn(3), description(("dc.description", "活动现场，方案见附件。Autumn Festival"), title="照片"), ("照片",)),
        (urn(4), description(("文号", "桂府办〔2021〕5号"), title="關於舉辦中秋活動的通知"), ()),
        (urn(5), description(("dc.subject", "Green"), ("dc.subject", "Tea")), ()),
    ]
    package = a_package(parts=parts, root=description(title="桂花节"), code="Z109-WS·2021-Y-BGS-0001")
    names = ["方案.docx", "照片/IMG_2041 开幕式.jpg", "预算.xlsx", "预算表.xlsx"]
    with Catalog.open(f"sqlite:///{tmp_path_factory.mktemp('festival')}/catalog.db") as catalog:
        catalog.index(package, [a_file(name) for name in names])
        yield catalog


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("活动", {2, 3, 4}),
        ("活动方案", {2}),
        ("活动 方案", {2, 3}),
        ("晚", {2}),
        ("年", {2}),
        ("2021年中秋", {2}),
        ("關于舉办", {4}),
        ("关于举办", {4}),
        ("〔2021〕5号", {4}),
        ("[2021]5", {4}),
        ("Z109-WS·2021", {1}),
        ("z109", {1}),
        ("BGS 0001", {1}),
        ("autumn", {3}),
        ("autum", set()),
        ("autum*", {3}),
        ('"festival autumn"', set()),
        ('"autumn festival"', {3}),
        ("festival autumn", {3}),
        ("文化局 晚会", {2}),
        ("文化局 照片", set()),
        ("IMG_2041", {3}),
        ("2041 jpg 开幕", {3}),
        ("xlsx", {1}),
        ("docx", {2}),
        ("", set()),
        ("。", set()),
        ('" OR * NEAR( ^', set()),
        ("附件 autumn", {3}),
        ("附件autumn", {3}),
        ("green tea", {5}),
        ('"green tea"', set()),
    ],
)
def test_what_a_query_finds(festival: Catalog, query: str, found: set[int]) -> None:
    assert set(hits(festival, query)) == {urn(n) for n in found}


def test_a_hit_says_what_was_found_and_where(festival: Catalog) -> None:
    first, second, third = festival.search("活动")
    assert {first.id, second.id} == {urn(2), urn(4)}  # the word is in their title
    assert third.id == urn(3)
    assert third.snippet is not None
    assert third.snippet.text[third.snippet.start : third.snippet.end] == "活动"
    assert third.snippet.text.endswith("Autumn Festival")
    (hit,) = festival.search("预算")
    assert (hit.id, hit.package, hit.title, hit.level, hit.path) == (urn(1), urn(1), "桂花节", "file", "预算.xlsx")
    assert hit.reference_code == "Z109-WS·2021-Y-BGS-0001"
    assert hit.snippet is not None
    assert (hit.snippet.text, hit.snippet.start, hit.snippet.end) == ("预算.xlsx", 0, 2)


def test_a_long_text_is_shown_around_the_hit(catalog: Catalog) -> None:
    catalog.index(a_package(root=description(("dc.description", "前" * 500 + "中秋晚会" + "后" * 500))), [])
    (hit,) = catalog.search("中秋晚会")
    assert hit.snippet is not None
    shown = hit.snippet.text
    assert shown[hit.snippet.start : hit.snippet.end] == "中秋晚会"
    assert shown.startswith("…前")
    assert shown.endswith("后…")
    assert len(shown) < 120


def test_the_same_score_comes_in_the_order_of_ids_and_page_by_page(catalog: Catalog) -> None:
    parts = [(urn(n), description(title="中秋 晚会"), ()) for n in range(2, 400)]
    # The word is in nearly every description and in one name of many, so a name would weigh more.
    files = [a_file("中秋.jpg"), *(a_file(f"{n}.jpg") for n in range(50))]
    catalog.index(a_package(parts=list(reversed(parts)), root=description(title="别的")), files)
    ids = [urn(n) for n in range(2, 400)]
    assert hits(catalog, "中秋") == [*ids, urn(1)]
    assert [hit.id for hit in catalog.search("中秋", after=150, limit=120)] == ids[150:270]


LETTERS = "活动方案中秋ab1 ，"
WORDS = st.text(LETTERS, max_size=8)


def runs(text: str) -> list[str]:
    """The oracle's own idea of words: neighbours of one kind."""

    def kind(letter: str) -> str:
        return "han" if letter in "活动方案中秋" else "digit" if letter in "1" else "word" if letter in "ab" else ""

    return ["".join(run) for name, run in itertools.groupby(text, kind) if name]


def says(text: str, word: str) -> bool:
    """Whether text has word: runs one after the other, the outermost of which, if Chinese, may be parts."""
    have, want = runs(text), runs(word)

    def matches(at: int) -> bool:
        for n, (mine, asked) in enumerate(zip(have[at : at + len(want)], want, strict=True)):
            han = asked[0] in "活动方案中秋"
            if len(want) == 1 and han:
                ok = asked in mine
            elif n == 0 and han:
                ok = mine.endswith(asked)
            elif n == len(want) - 1 and han:
                ok = mine.startswith(asked)
            else:
                ok = mine == asked
            if not ok:
                return False
        return True

    return any(matches(at) for at in range(len(have) - len(want) + 1))


CORPUS = st.lists(st.tuples(WORDS, WORDS, st.lists(WORDS, max_size=2)), min_size=1, max_size=4)
QUERY = st.lists(st.text(LETTERS.replace(" ", ""), min_size=1, max_size=4), min_size=1, max_size=2)


@SEARCHED
@given(CORPUS, st.lists(QUERY, min_size=8, max_size=20))
def test_search_finds_what_a_plain_look_at_every_text_finds(
    corpus: list[tuple[str, str, list[str]]], queries: list[list[str]]
) -> None:
    parts = [
        (urn(n), description(("note", note), title=title), (str(n),))
        for n, (title, note, _names) in enumerate(corpus, 2)
    ]
    files = [
        a_file(f"{n}/{at}", name=name)
        for n, (_title, _note, names) in enumerate(corpus, 2)
        for at, name in enumerate(names)
    ]
    with TemporaryDirectory() as folder, Catalog.open(f"sqlite:///{folder}/catalog.db") as catalog:
        catalog.index(a_package(parts=parts, root=description(title="")), files)
        for words in queries:
            words = [word for word in words if runs(word)]
            expected = {
                urn(n)
                for n, (title, note, found) in enumerate(corpus, 2)
                if all(says(title, word) or says(note, word) for word in words)
                or any(all(says(name, word) for word in words) for name in found)
            }
            assert set(hits(catalog, " ".join(words))) == (expected if words else set())


@SEARCHED
@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=2, max_size=12), st.text(max_size=5))
def test_every_part_of_a_chinese_title_finds_its_record(chinese: str, around: str) -> None:
    title = f"{around} {chinese} {around}".replace("\0", "").encode("utf-8", "ignore").decode()
    with TemporaryDirectory() as folder, Catalog.open(f"sqlite:///{folder}/catalog.db") as catalog:
        catalog.index(a_package(root=description(title=title)), [])
        for start, end in itertools.combinations(range(len(chinese) + 1), 2):
            assert hits(catalog, chinese[start:end]) == [urn(1)]


# -- the database


def test_another_tokenizer_indexes_anew(catalog: Catalog, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.index(a_package(code="A-1"), [a_file("预算.xlsx"), a_file("b", name="原名.txt")])
    before = dump(url)
    monkeypatch.setattr(search, "joined", lambda *texts: " ".join(text.replace("中秋", "new") for text in texts))
    monkeypatch.setattr(search, "TOKENIZER", 999)
    with pytest.raises(UsageError):
        Catalog.open(url, read_only=True)
    with Catalog.open(url) as later:
        assert hits(later, "new") == []
    assert dump(url)["record_words"] != before["record_words"]
    monkeypatch.undo()
    with Catalog.open(url) as again:
        assert hits(again, "中秋") == hits(again, "原名") == hits(again, "A-1") == [urn(1)]
    assert dump(url) == before


def test_a_catalogue_can_be_read_only(catalog: Catalog, url: str) -> None:
    catalog.index(a_package(), [])
    with Catalog.open(url, read_only=True) as reader:
        assert hits(reader, "中秋") == [urn(1)]
        with pytest.raises(UsageError):
            reader.index(a_package(version=2), [])
    with pytest.raises(UsageError):
        Catalog.open(url + "-none", read_only=True)
    assert not Path(url.removeprefix("sqlite:///") + "-none").exists()


def test_a_newer_schema_is_refused(url: str) -> None:
    Catalog.open(url).close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    before = dump(url)
    with pytest.raises(UsageError, match="9999"):
        Catalog.open(url)
    assert dump(url) == before


def test_a_database_of_something_else_is_refused(url: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute("CREATE TABLE theirs (a)")
    database.close()
    with pytest.raises(UsageError):
        Catalog.open(url)
    assert list(dump(url)) == ["theirs"]


@pytest.mark.parametrize("content", [b"this is no database, but it is long enough to be read as one" * 100, b"garbage"])
def test_a_file_that_is_no_database_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(content)
    with pytest.raises(Damaged):
        Catalog.open(f"sqlite:///{path}")
    assert path.read_bytes() == content


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/catalog.db", "mysql://host/base", "nothing", "sqlite://"])
def test_an_address_that_cannot_be_is_wrong_use(url: str) -> None:
    with pytest.raises(UsageError):
        Catalog.open(url)


def test_the_migrations_make_the_tables_as_they_are_described(url: str) -> None:
    Catalog.open(url).close()
    described = create_engine("sqlite://")
    statement = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '%\\_words%' ESCAPE '\\'"
    with described.begin() as connection:
        tables.metadata.create_all(connection)
        expected = {name: _plain(sql) for name, sql in connection.exec_driver_sql(statement)}
    described.dispose()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        made = {name: _plain(sql) for name, sql in database.execute(statement)}
    database.close()
    made.pop("alembic_version")
    assert made == expected


def test_several_processes_open_and_index_at_once(url: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(lantai.__file__).parents[1])}
    workers = [
        subprocess.Popen([sys.executable, __file__, url, first], env=environment, stderr=subprocess.PIPE, text=True)
        for first in ("1", "2", "3")
    ]
    ends = [(worker.communicate(timeout=120)[1], worker.returncode) for worker in workers]
    assert ends == [("", 0)] * 3
    with Catalog.open(url) as catalog:
        assert [row.id for row in catalog.packages()] == [urn(n) for n in range(1, 31)] + [urn(99)]
        assert catalog.version_of(PackageId(urn(99))) == 30
        assert [row.file.path for row in catalog.files(PackageId(urn(99)))] == ["30.jpg"]
        assert all(row.files == 3 for row in catalog.packages(limit=30))
        assert len(hits(catalog, "中秋")) == 31


def _index_some(url: str, first: int) -> None:
    """Every third package, and between them versions of one that all processes write."""
    with Catalog.open(url) as catalog:
        for number in range(first, 31, 3):
            id = urn(number)
            catalog.index(a_package(id), [a_file(f"{n}.jpg", id) for n in range(3)])
            catalog.index(a_package(urn(99), version=number), [a_file(f"{number}.jpg", urn(99))])
            assert catalog.package(PackageId(id)).files == 3


def _plain(sql: str) -> str:
    return " ".join(sql.replace("(", " ( ").replace(")", " ) ").replace(",", " , ").split())


if __name__ == "__main__":
    _index_some(sys.argv[1], int(sys.argv[2]))
