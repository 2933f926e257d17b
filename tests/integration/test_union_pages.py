"""A list of our records and of those that are shown on, page by page: all of it, in order, each once."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lantai.catalog import Catalog, exposed, union
from lantai.model import Agent, Gathered, Received, Scope
from lantai.oai import Repository
from lantai.oai.formats import FORMATS
from lantai.oai.protocol import respond
from lantai.oai.records import Harvest
from tests.integration.county import Item

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


def gather(catalog: Catalog, prefix: str, parts: list[tuple[int, str, list[tuple[int, bool]]]]) -> None:
    told: dict[str, int] = {}
    with catalog.writing() as writing:
        for at, source, records in parts:
            name = f"{source}-{prefix}"
            told[name] = told.get(name, 0) + 1
            received = tuple(
                Received(f"oai:county:{number}", "2026-01-01", live, (), METADATA if live else "")
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
    records, found = Harvest(catalog, REPOSITORY, formats), list[tuple[int, str, bool]]()
    arguments = [("verb", verb), ("metadataPrefix", prefix), *asked.items()]
    while arguments:
        answer = respond(
            arguments, records, repository=REPOSITORY, now=datetime.fromtimestamp(at, UTC), key=bytes(32),
            page_size=size, token_ttl=600, formats=formats,
        ).decode()  # fmt: skip
        rows = re.findall(r"<header(.*?)><identifier>(.*?)</identifier><datestamp>(.*?)</datestamp>", answer)
        assert "completeListSize" not in answer
        found += [(int(datetime.fromisoformat(stamp).timestamp()), id, not status) for status, id, stamp in rows]
        token = re.search(r"<resumptionToken expirationDate[^>]*>([^<]+)<", answer)
        assert 1 <= len(rows) <= size or token is None
        arguments = [("verb", verb), ("resumptionToken", token[1])] if token else []
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
