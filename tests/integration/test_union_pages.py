"""A list of our records and of those that are shown on, page by page: all of it, in order, each once."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from lantai.catalog import Catalog, exposed, union
from lantai.model import Agent, Entry, Gathered, Received, Scope
from lantai.oai import Page, Repository, Wanted
from lantai.oai.formats import FORMATS
from lantai.oai.protocol import respond
from lantai.oai.receipt import attested
from lantai.oai.records import Harvest
from tests.integration.county import Item
from tests.integration.test_adoption import by_hand

REPOSITORY = Repository(
    "市档案馆", "https://example.org/oai", ("a@example.org",), "example.org",
    "00000000-0000-7000-8000-000000000000", datetime(1970, 1, 1, tzinfo=UTC), union=True,
)  # fmt: skip
DC = FORMATS["oai_dc"]
METADATA = Item(1, "题名").metadata
UNTOLD = 1
"""How far a record is that nobody has ever shown."""
TIMES = st.integers(1, 6)
PARTS = st.lists(
    st.tuples(TIMES, st.sampled_from("ab"), st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=4)),
    max_size=6,
).map(lambda parts: sorted(parts, key=lambda one: one[0]))
_numbers = count()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Catalog, Path]]:
    path = tmp_path_factory.mktemp("pages") / "catalog.db"
    with Catalog.open(f"sqlite:///{path}") as catalog:
        yield catalog, path


@pytest.fixture(scope="module")
def shown_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Catalog, Path]]:
    """Of an archive that shows on what it harvests."""
    path = tmp_path_factory.mktemp("shown") / "catalog.db"
    with Catalog.open(f"sqlite:///{path}") as catalog:
        yield catalog, path


def gather(
    catalog: Catalog, prefix: str, parts: list[tuple[int, str, list[tuple[int, bool]]]], told_before: int = 0,
    given: Received | None = None,
) -> None:  # fmt: skip
    """All but the first ones, which were told before. given: what is said of those that are live."""
    told: dict[str, int] = {}
    with catalog.writing() as writing:
        for place, (at, source, records) in enumerate(parts):
            name = f"{source}-{prefix}"
            told[name] = told.get(name, 0) + 1
            if place < told_before:
                continue
            received = tuple(
                replace(given, identifier=f"oai:county:{number}", datestamp="2026-01-01")
                if given and live
                else Received(f"oai:county:{number}", "2026-01-01", live, (), METADATA if live else "")
                for number, live in records
            )
            part = Gathered(
                archive="x", source=name, number=told[name], previous="", at=datetime.fromtimestamp(at, UTC),
                by=Agent("urn:uuid:x", "person", "王芳"), software="x", url="http://county.example.org/oai",
                asked=Scope(prefix), began="", answered="2026-01-02T00:00:00Z", token=None, identify="",
                records=received,
            )  # fmt: skip
            writing.gather(part, seal="")


def model(parts: list[tuple[int, str, list[tuple[int, bool]]]]) -> dict[str, tuple[int, bool]]:
    """Datestamp and whether it is live, by identifier."""
    held: dict[tuple[int, str], tuple[int, int, bool]] = {}
    for at, source, records in parts:
        for number, live in records:
            far, since, was = held.get((number, source), (UNTOLD, at, True))
            held[number, source] = (0 if live else far, at if live or was else since, live)
    found = {}
    for number in {number for number, _source in held}:
        _far, since, _source, live = max(
            (-far, since, source, live) for (one, source), (far, since, live) in held.items() if one == number
        )
        found[f"oai:county:{number}"] = (since, live)
    return found


def pages(catalog: Catalog, prefix: str, size: int, verb: str, at: int, **asked: str) -> list[tuple[int, str, bool]]:
    formats = {"oai_dc": DC, prefix: replace(DC, prefix=prefix)}
    records, found, sizes = Harvest(catalog, REPOSITORY, formats), list[tuple[int, str, bool]](), set[str]()
    arguments = [("verb", verb), ("metadataPrefix", prefix), *asked.items()]
    while arguments:
        answer = respond(
            arguments, records, repository=REPOSITORY, now=datetime.fromtimestamp(at, UTC), key=bytes(32),
            page_size=size, token_ttl=600, formats=formats,
        ).decode()  # fmt: skip
        rows = re.findall(r"<header(.*?)><identifier>(.*?)</identifier><datestamp>(.*?)</datestamp>", answer)
        sizes |= set(re.findall(r'completeListSize="(\d+)"', answer))
        found += [(int(datetime.fromisoformat(stamp).timestamp()), id, not status) for status, id, stamp in rows]
        token = re.search(r"<resumptionToken expirationDate[^>]*>([^<]+)<", answer)
        assert 1 <= len(rows) <= size or token is None
        arguments = [("verb", verb), ("resumptionToken", token[1])] if token else []
    assert sizes <= {str(len(found))}
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(TIMES, max_size=6), PARTS, st.integers(1, 3), st.integers(3, 8), st.none() | TIMES, st.none() | TIMES,
    st.sampled_from([1, 8 << 20]), st.sampled_from([1, 8 << 20]),
)  # fmt: skip
def test_pages_of_both_have_all_in_order_and_each_once(
    place: tuple[Catalog, Path], own: list[int], parts: list[tuple[int, str, list[tuple[int, bool]]]], size: int,
    at: int, since: int | None, until: int | None, octets: int, passed_on: int,
) -> None:  # fmt: skip
    """octets, passed_on: after which a page of either ends, as it does where records are large."""
    catalog, path = place
    prefix = f"p{next(_numbers)}"
    ours = {f"00000000-0000-7000-8000-{number:012}": stamp for number, stamp in enumerate(own)}
    with sqlite3.connect(path) as rows:  # what is ours, without the packages it comes from
        rows.execute("DELETE FROM exposures")
        rows.executemany(
            "INSERT INTO exposures (record, since, live, sets, content) VALUES ('urn:uuid:' || ?, ?, 0, '', '')",
            ours.items(),
        )
    rows.close()
    gather(catalog, prefix, parts)
    every = [(stamp, f"urn:uuid:{id}", f"oai:example.org:{id}", False) for id, stamp in ours.items()]
    every += [(stamp, id, id, live) for id, (stamp, live) in model(parts).items()]
    expected = [
        (stamp, id, live)
        for stamp, _key, id, live in sorted(every)
        if stamp < at and (since is None or stamp >= since) and (until is None or stamp <= until)
    ]
    bounds = {"from": since, "until": until}
    asked = {name: f"1970-01-01T00:00:0{bound}Z" for name, bound in bounds.items() if bound is not None}
    if since is not None and until is not None and since > until:
        return
    for verb in ("ListIdentifiers", "ListRecords"):
        with mock.patch.object(exposed, "_MANY", octets), mock.patch.object(union, "_MANY", passed_on):
            assert pages(catalog, prefix, size, verb, at, **asked) == expected


DAYS = st.lists(
    st.tuples(st.integers(0, 100_000), st.sampled_from("ab"), st.lists(st.tuples(st.integers(1, 4), st.booleans()))),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DAYS, st.integers(0, 300_000))
def test_what_was_counted_is_true_whatever_is_told_in_between(
    shown_on: tuple[Catalog, Path], steps: list[tuple[int, str, list[tuple[int, bool]]]], until: int
) -> None:
    """How long after the one before each part is told, of which source, with which records."""
    catalog, path = shown_on
    show(path, (1, 100, None), (2, 90_000, 200_000), (2, 200_000, None))
    with closing(sqlite3.connect(path)) as database, database:  # of another example
        database.execute("DELETE FROM state WHERE name = 'served'")
        database.execute("INSERT OR IGNORE INTO gathered (source, number, at, entered) VALUES ('', 0, 0, 1)")
    prefix, clock, parts = f"d{next(_numbers)}", 0, list[tuple[int, str, list[tuple[int, bool]]]]()
    form = replace(DC, prefix=prefix)
    records = Harvest(catalog, REPOSITORY, {prefix: form})
    for wait, source, told in steps:
        for at in (clock := clock + wait, clock + 1):
            answer = respond(
                [("verb", "ListRecords"), ("metadataPrefix", prefix)], records, repository=REPOSITORY,
                now=datetime.fromtimestamp(at, UTC), key=bytes(32), page_size=100, token_ttl=600,
                formats={prefix: form},
            )  # fmt: skip
            root = etree.fromstring(answer)
            found = by_hand(root)
            assert {day: told for day, *told in days(records, prefix, at)} == {
                day: list(told) for day, told in found.items()
            }
            assert records.size(Wanted(prefix=prefix), at) == sum(number for number, _root in found.values())
            stamps = [one.text or "" for one in root.iterfind(".//{*}header/{*}datestamp")]
            last = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            expected = sum(stamp <= last for stamp in stamps)
            assert records.size(Wanted(until=until, prefix=prefix), at) == expected
            assert sum(number for _day, number, _root in days(records, prefix, at, until)) == expected
        parts.append((clock + 1, source, told))
        gather(catalog, prefix, parts, told_before=len(parts) - 1)
        clock += 1


def test_what_the_journal_says_of_a_part_is_counted(shown_on: tuple[Catalog, Path]) -> None:
    """As another home, which told of it later, entered it."""
    catalog, path = shown_on
    show(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM state WHERE name = 'served'")
        database.execute("INSERT OR IGNORE INTO gathered (source, number, at, entered) VALUES ('', 0, 0, 1)")
    gather(catalog, "late", [(5, "a", [(1, True), (2, True)]), (100_000, "a", [(2, True)])])
    records = Harvest(catalog, REPOSITORY, {"late": replace(DC, prefix="late")})

    def counted(at: int) -> list[tuple[str, int]]:
        size = records.size(Wanted(until=at, prefix="late"), at)
        found = [told[:2] for told in days(records, "late", at)]
        assert size == sum(number for _day, number in found)
        return found

    assert counted(500_000) == [("1970-01-01", 1), ("1970-01-02", 1)]
    for number, state in enumerate(({"a-late/1": 200_000}, {"": 300_000}), 1):
        by = Agent("urn:uuid:a", "person", "李明")
        told = {"records": {}, "gathered": state}
        entry = Entry(f"urn:uuid:e{number}", "exposure", "archive", "x", datetime(2026, 1, 1, tzinfo=UTC), by, told)
        catalog.apply([entry], writer="w", number=number, seal=str(number))
        assert counted(500_000) == [
            [("1970-01-02", 1), ("1970-01-03", 1)],
            [("1970-01-04", 2)],
        ][number - 1]  # fmt: skip


BARE = METADATA.replace("</oai_dc:dc>", "<a><b/></a></oai_dc:dc>")
RIGHTS = '<r:rights xmlns:r="http://example.org/r"><c>x</c></r:rights>'


def test_what_has_no_namespace_has_none_where_it_is_shown_on(place: tuple[Catalog, Path]) -> None:
    """Though the envelope that it stands in has one by default, where that of its own server had none."""
    catalog, path = place
    show(path)
    gather(catalog, "bare", [(5, "a", [(1, True)])], given=Received("", "", True, (), BARE, (RIGHTS,)))
    form = replace(DC, prefix="bare")
    records = Harvest(catalog, REPOSITORY, {"bare": form})
    answer = respond(
        [("verb", "ListRecords"), ("metadataPrefix", "bare")], records, repository=REPOSITORY,
        now=datetime.fromtimestamp(10, UTC), key=bytes(32), page_size=100, token_ttl=600, formats={"bare": form},
    )  # fmt: skip
    root = etree.fromstring(answer)
    assert [len(list(root.iter(name))) for name in ("a", "b", "c", "{*}a", "{*}b", "{*}c")] == [1] * 6
    (day,) = days(records, "bare", 10)
    assert by_hand(root) == {day[0]: day[1:]}


def test_what_was_harvested_before_there_were_digests_is_in_receipts(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with Catalog.open(f"sqlite:///{path}") as catalog:
        gather(catalog, "old", [(5, "a", [(1, True), (2, False)])])
        now = days(Harvest(catalog, REPOSITORY, {"old": replace(DC, prefix="old")}), "old", 10)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE remote_records DROP COLUMN digest")
        database.execute("DELETE FROM exposure_days")
        database.execute("UPDATE alembic_version SET version_num = '0013'")
    with Catalog.open(f"sqlite:///{path}") as catalog:
        assert days(Harvest(catalog, REPOSITORY, {"old": replace(DC, prefix="old")}), "old", 10) == now


def days(records: Harvest, prefix: str, at: int, last: int | None = None) -> list[tuple[str, int, str]]:
    """A receipt, of datestamps up to last."""
    until = () if last is None else [("until", datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))]
    told = json.loads(attested([("metadataPrefix", prefix), *until], records, at=at, formats=[prefix]))
    return [(day["day"], day["count"], day["root"]) for day in told["days"]]


def show(path: Path, *rows: tuple[int, int, int | None]) -> None:
    """What is ours, without the packages it comes from: number, since, until. It is in a set."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM exposures")
        database.execute("DELETE FROM exposure_sets")
        for number, since, until in rows:
            id = f"urn:uuid:00000000-0000-7000-8000-{number:012}"
            database.execute(
                "INSERT INTO exposures (record, since, until, live, sets, content)"
                " VALUES (?, ?, ?, 0, 'level:file', '')",
                (id, since, until),
            )
            database.executemany(
                "INSERT INTO exposure_sets (spec, since, record) VALUES (?, ?, ?)",
                [(spec, since, id) for spec in ("level", "level:file")],
            )


@pytest.mark.parametrize("union", [False, True])
@pytest.mark.parametrize("spec", [None, "level:file"])
@pytest.mark.parametrize("prefix", [None, "oai_dc"])
def test_the_rest_of_a_list_that_changed_just_now_is_said_to_come(
    place: tuple[Catalog, Path], union: bool, spec: str | None, prefix: str | None
) -> None:
    catalog, path = place
    harvest = Harvest(catalog, replace(REPOSITORY, union=union))

    def rest(at: int, after: tuple[int, str] | None, until: int | None = None, spec: str | None = spec) -> Page:
        wanted = Wanted(until=until, spec=spec, prefix="oai_dc")
        return harvest.items(wanted, at, after, 10, prefix, lambda one: one.record.encode())

    show(path, (1, 100, None), (2, 200, None))
    first = harvest.items(Wanted(spec=spec, prefix="oai_dc"), 200, None, 10, prefix, lambda one: one.record.encode())
    assert (first.count, first.more) == (1, False)
    assert rest(200, first.last).more
    assert rest(197, first.last).more
    assert rest(201, first.last).count == 1
    # It is far, it is beyond until, it is in no such set, it was shown, or the list begins.
    assert not rest(196, first.last).more
    assert not rest(200, first.last, 199).more
    assert rest(200, first.last, 200).more
    assert not rest(200, first.last, spec="level:item").more
    assert not rest(201, (200, "urn:uuid:f")).more
    assert not rest(100, None).more


def test_the_rest_of_a_list_is_said_to_come_where_it_is_passed_on(place: tuple[Catalog, Path]) -> None:
    catalog, path = place
    show(path)
    gather(catalog, "soon", [(500, "soon", [(77, True)])])
    harvest = Harvest(catalog, REPOSITORY, {"soon": replace(DC, prefix="soon")})

    def rest(at: int, after: tuple[int, str], spec: str | None = None, until: int | None = None) -> Page:
        return harvest.items(Wanted(None, until, spec, "soon"), at, after, 10, "soon", lambda one: b"x")

    assert rest(500, (400, "")).more
    assert rest(497, (400, "")).more
    assert rest(501, (400, "")).count == 1
    assert not rest(496, (400, "")).more
    assert not rest(500, (400, ""), until=499).more
    assert not rest(500, (400, ""), spec="level").more
