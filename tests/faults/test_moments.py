"""What harvesters see of the moments that are easily got wrong: two commits in one second, one that takes minutes, a
journal that comes weeks late, a clock that is set back.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from lantai.model import Shown
from tests.faults.archive_in_time import OAI, Archive, second
from tests.faults.test_histories import Harvester, catalogue, name

WEEKS = 21 * 86_400.0


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Its clock stands at the middle of a second."""
    with catalogue(tmp_path) as new:
        archive = new(random.Random(0))
        archive.clock = float(int(archive.clock)) + 0.5
        with (
            mock.patch.object(time, "time", side_effect=lambda: archive.clock),
            mock.patch.object(archive, "_meanwhile", return_value=None),
        ):
            yield archive


def kept(archive: Archive, shown: Shown) -> str:
    """A record so shown from now on."""
    archive.ingest(shown, archive.clock, 0)
    return list(archive.truth.created)[-1]


def decided(archive: Archive, record: str, shown: Shown) -> None:
    archive.enter(archive.decision(record, shown, archive.clock, alone=False))


def retitled(archive: Archive, record: str) -> str:
    before = archive.truth.said[record].title
    while archive.truth.said[record].title == before:
        archive.update(record)
    return archive.truth.said[record].title


def answered(archive: Archive) -> int:
    """The responseDate of an answer given now."""
    return second(archive.ask(verb="Identify").findtext(f"{OAI}responseDate"))


def test_of_two_commits_in_one_second_the_last_is_seen_and_neither_is_missed(archive: Archive) -> None:
    record = kept(archive, "open")
    archive.pass_time(10)
    harvester = Harvester(archive)
    harvester.harvest(10)
    first = harvester.view[record]
    retitled(archive, record)
    harvester.harvest(10)  # in the same second: it does not tell of it yet
    assert harvester.view[record] == first
    archive.pass_time(0.2)
    last = retitled(archive, record)
    archive.pass_time(2)
    harvester.harvest(10)
    assert harvester.view[record].look.title == last
    assert harvester.view[record].stamp > first.stamp


def test_what_opens_and_closes_within_a_second_was_never_seen(archive: Archive) -> None:
    record = kept(archive, "closed")
    archive.pass_time(10)
    answered(archive)
    decided(archive, record, "open")
    archive.pass_time(0.2)
    decided(archive, record, "closed")
    archive.pass_time(10)
    root = archive.ask(verb="GetRecord", metadataPrefix="oai_dc", identifier=name(record))
    assert [one.get("code") for one in root.iter(f"{OAI}error")] == ["idDoesNotExist"]


def test_a_commit_that_takes_minutes_is_seen_when_it_is_through(archive: Archive) -> None:
    harvester = Harvester(archive)
    dates = []

    def minutes() -> None:
        archive.pass_time(240)
        harvester.harvest(10)
        dates.append(answered(archive))
        archive.pass_time(0.2)

    archive.pass_time(1)
    answered(archive)
    with mock.patch.object(archive, "_meanwhile", minutes):
        record = kept(archive, "open")
    assert record not in harvester.view
    # Another process wrote just then, so that answers were as of the second before it began.
    assert dates[0] < archive.clock - 200
    archive.pass_time(2)
    harvester.harvest(10)
    assert harvester.view[record].stamp >= dates[0]


@pytest.mark.parametrize(("before", "after"), [("open", "closed"), ("closed", "open")])
def test_a_journal_that_comes_weeks_late_is_seen_when_it_came(archive: Archive, before: Shown, after: Shown) -> None:
    record = kept(archive, before)
    archive.pass_time(60)
    archive.waiting.append(archive.decision(record, after, archive.clock, alone=False))
    harvester = Harvester(archive)
    archive.pass_time(WEEKS)
    harvester.harvest(10)
    archive.pass_time(5)
    came = answered(archive)
    archive.merge()
    archive.pass_time(2)
    harvester.harvest(10)
    assert bool(harvester.view[record].look.title) == (after == "open")
    assert harvester.view[record].stamp >= came
    archive.rebuild()


@pytest.mark.parametrize("withdrawn", [True, False])
def test_a_part_that_comes_to_what_is_no_longer_open_was_never_seen(archive: Archive, *, withdrawn: bool) -> None:
    record = kept(archive, "open")
    archive.pass_time(60)
    answered(archive)
    if withdrawn:
        archive.enter(archive.withdrawal(record, withdrawn=True))
    else:
        decided(archive, record, "closed")
    archive.pass_time(60)
    answered(archive)
    while len(archive.truth.created) == 1:
        archive.update(record)
    (part,) = archive.truth.created.keys() - {record}
    archive.pass_time(60)
    root = archive.ask(verb="GetRecord", metadataPrefix="oai_dc", identifier=name(part))
    assert [one.get("code") for one in root.iter(f"{OAI}error")] == ["idDoesNotExist"]
    archive.rebuild()


def test_what_is_opened_while_the_clock_is_set_back_comes_when_it_has_come_round(archive: Archive) -> None:
    record = kept(archive, "closed")
    archive.pass_time(10)
    harvester = Harvester(archive)
    harvester.harvest(10)
    before = answered(archive)
    archive.pass_time(-3600)
    decided(archive, record, "open")
    archive.pass_time(5)
    harvester.harvest(10)
    assert harvester.view == {}
    archive.pass_time(3600)
    harvester.harvest(10)
    assert harvester.view[record].look.title
    assert harvester.view[record].stamp == before
    archive.rebuild()


def test_what_is_closed_while_the_clock_is_set_back_is_shown_no_more(archive: Archive) -> None:
    record = kept(archive, "open")
    archive.pass_time(7200)
    harvester = Harvester(archive)
    harvester.harvest(10)
    assert harvester.view[record].look.title
    archive.pass_time(-3600)
    decided(archive, record, "closed")
    root = archive.ask(verb="ListRecords", metadataPrefix="oai_dc")
    assert [one.get("code") for one in root.iter(f"{OAI}error")] == ["noRecordsMatch"]
    archive.pass_time(3605)
    harvester.harvest(10)
    assert not harvester.view[record].look.title
    archive.rebuild()
