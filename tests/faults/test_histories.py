"""Random histories of an archive: whatever was decided, withdrawn, described anew, merged late or undone, and whatever
the clock did, who harvests it bit by bit sees what it shows.

LANTAI_HISTORIES: how many. LANTAI_SEED: others (tests/chance.py). LANTAI_HISTORY: the one that failed and printed this.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
from lxml import etree

from lantai.catalog import Catalog, exposed
from lantai.model import Shown
from lantai.oai.formats import FORMATS
from tests.chance import seeded
from tests.faults.archive_in_time import NAMESPACE, OAI, Archive, second
from tests.faults.truth import Look

HISTORIES = int(os.environ.get("LANTAI_HISTORIES") or 1000)
PARTS, ENOUGH = 8, 100
"""So many histories have every kind of step among them."""
SHOWN: tuple[Shown, ...] = ("open", "description", "closed")
TITLE = "{http://purl.org/dc/elements/1.1/}title"
LONG = (0.0, 0.4, 1.0, 1.7, 3.0, 59.5, 3600.0, 86_400.0, 30 * 86_400.0)
"""Seconds that pass."""


class Row(NamedTuple):
    stamp: int
    look: Look


View = dict[str, Row]


def rows_of(root: etree._Element) -> View:
    """What a page of oai_dc lists, by record."""
    titles = {
        one.findtext(f"{OAI}header/{OAI}identifier"): one.findtext(f"{OAI}metadata/*/{TITLE}") or ""
        for one in root.iter(f"{OAI}record")
    }
    return {record: Row(row.stamp, Look(titles[name(record)], row.look.sets)) for record, row in headers(root).items()}


def headers(root: etree._Element) -> View:
    """In their order; title: "live" or ""."""
    found: View = {}
    for header in root.iter(f"{OAI}header"):
        is_live = header.get("status") != "deleted"
        assert header.getparent().find(f"{OAI}metadata") is not None or not is_live  # type: ignore[union-attr]
        identifier = header.findtext(f"{OAI}identifier") or ""
        assert identifier.startswith(f"oai:{NAMESPACE}:")
        record = "urn:uuid:" + identifier.rpartition(":")[2]
        assert record not in found, "listed twice on a page"
        sets = frozenset(one.text or "" for one in header.findall(f"{OAI}setSpec"))
        found[record] = Row(second(header.findtext(f"{OAI}datestamp")), Look("live" if is_live else "", sets))
    return found


def told_by(root: etree._Element) -> dict[str, bytes]:
    """What stands in the metadata of a page, by record, as it would be kept."""
    return {
        one.findtext(f"{OAI}header/{OAI}identifier") or "": etree.tostring(inside, method="c14n", exclusive=True)
        for one in root.iter(f"{OAI}record")
        for inside in one.iterfind(f"{OAI}metadata/*")
    }


def nothing() -> None:
    """Between two pages."""


@dataclass
class Harvester:
    """Who comes again and asks for what is new since the answer that began the last harvest."""

    archive: Archive
    view: View = field(default_factory=dict)
    since: str | None = None

    def harvest(self, page_size: int, between: Callable[[], None] = nothing) -> None:
        found, date = listed(self.archive, page_size, between, **({"from_": self.since} if self.since else {}))
        self.view |= found
        self.since = date


def listed(
    archive: Archive, page_size: int, between: Callable[[], None] = nothing, **more: str
) -> tuple[View, str]:  # fmt: skip
    """A whole list, and the responseDate of its first page."""
    root = archive.ask(page_size, verb="ListRecords", metadataPrefix="oai_dc", **more)
    first = root.findtext(f"{OAI}responseDate") or ""
    found: View = {}
    sizes = set[int]()
    while True:
        date = second(root.findtext(f"{OAI}responseDate"))
        page = rows_of(root)
        assert [row.stamp for row in page.values()] == sorted(row.stamp for row in page.values())
        assert all(row.stamp < date for row in page.values())
        for record, row in page.items():
            if row.look.title:
                archive.truth.show(record, row.look.sets)
        found |= page
        token = root.findtext(f".//{OAI}resumptionToken")
        sizes |= {int(one.get("completeListSize", -1)) for one in root.iter(f"{OAI}resumptionToken")}
        if not token:
            assert between is not nothing or sizes <= {len(found)}
            return found, first
        assert 0 < len(page) <= page_size
        between()
        root = archive.ask(page_size, verb="ListRecords", resumptionToken=token)


def unnamed(sets: frozenset[str]) -> frozenset[str]:
    """With the number of parts of a fonds in the place of their names: what was open for less than a second, or at a
    time that had been answered for, nobody saw under the name that it had then.
    """
    return frozenset(f"fonds/{spec.count(':')}" if spec.startswith("fonds:") else spec for spec in sets)


@dataclass
class History:
    """chance decides what happens next."""

    archive: Archive
    chance: random.Random
    met: Counter[str]
    eager: Harvester = field(init=False)
    lazy: Harvester = field(init=False)
    last: tuple[int, View] = (0, {})
    """The whole list, when it was looked at last, and its responseDate."""
    told: dict[tuple[str, str, int], bytes] = field(default_factory=dict)
    """The metadata of each record by format and datestamp."""
    stirred: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.eager, self.lazy = Harvester(self.archive), Harvester(self.archive)

    def run(self, steps: int) -> None:
        self.archive.ingest(self.chance.choice(SHOWN), self.archive.clock, self.chance.randrange(3))
        for _step in range(steps):
            kind = self.chance.choices(list(STEPS), [weight for weight, _step in STEPS.values()])[0]
            self.met[kind] += 1
            STEPS[kind][1](self)
            if self.chance.random() < 0.5:
                self.archive.pass_time(self.chance.choice(LONG))
        self.check()

    def change(self) -> None:
        kind = self.chance.choice([name for name in STEPS if name in CHANGES])
        self.met[kind] += 1
        STEPS[kind][1](self)

    # -- steps

    def record(self) -> str:
        """Mostly one that is there; else one that left its package."""
        known = list(self.archive.truth.every)
        here = list(self.archive.truth.created)
        return self.chance.choice(here if self.chance.random() < 0.95 else known)

    def since(self) -> float:
        """Now, in the past, or one day."""
        far = self.chance.choice([0, 0, 0, -86_400 * 20, -5, 2, 30, 3600, 86_400 * 10])
        return self.archive.clock + far if self.chance.random() < 0.5 else float(round(self.archive.clock + far))

    def ingest(self) -> None:
        self.archive.ingest(self.chance.choice(SHOWN), self.since(), self.chance.choice([0, 0, 1, 2, 4]))

    def update(self) -> None:
        self.archive.update(self.chance.choice(list(self.archive.packages)))

    def drop(self) -> None:
        self.archive.update(self.chance.choice(list(self.archive.packages)), drop=True)

    def decide(self) -> None:
        alone = self.chance.random() < 0.15
        self.archive.enter(
            self.archive.decision(self.record(), self.chance.choice(SHOWN), self.since(), alone=alone)
        )  # fmt: skip

    def withdraw(self) -> None:
        self.archive.enter(self.archive.withdrawal(self.record(), withdrawn=self.chance.random() < 0.6))

    def several(self) -> None:
        """In one segment, and one second."""
        archive = self.archive
        archive.enter(
            archive.decision(self.record(), "open", self.since(), alone=False),
            archive.withdrawal(self.record(), withdrawn=True),
            archive.decision(self.record(), self.chance.choice(SHOWN), self.since(), alone=True),
        )

    def elsewhere(self) -> None:
        """The other home decides; when that comes, it is the past."""
        archive, alone = self.archive, self.chance.random() < 0.5
        if self.chance.random() < 0.3:
            archive.waiting.append(archive.withdrawal(self.record(), withdrawn=self.chance.random() < 0.6))
        else:
            archive.waiting.append(
                archive.decision(self.record(), self.chance.choice(SHOWN), self.since(), alone=alone)
            )  # fmt: skip

    def merge(self) -> None:
        self.archive.merge()

    def back(self) -> None:
        """What was seen until then, somebody has seen: of what nobody has, the catalogue would know nothing."""
        self.archive.pass_time(2)
        self.archive.ask(verb="Identify")
        self.archive.pass_time(-self.chance.choice([0.5, 1, 20, 4000, 90_000]))

    def jump(self) -> None:
        """To about the next opening."""
        truth, clock = self.archive.truth, self.archive.clock
        ahead = [one for record in truth.created for one in truth.instants(record) if one > clock]
        if ahead:
            self.archive.pass_time(min(ahead) + self.chance.choice([-1.5, -0.2, 0, 0.3, 1, 2.5]) - clock)

    def answer(self) -> None:
        """Somebody asks for something."""
        record = self.chance.choice(list(self.archive.truth.every))
        self.archive.ask(
            self.chance.randrange(1, 5),
            **self.chance.choice([
                {"verb": "Identify"},
                {"verb": "ListSets"},
                {"verb": "ListIdentifiers", "metadataPrefix": "oai_dc"},
                {"verb": "GetRecord", "metadataPrefix": "oai_dc", "identifier": name(record)},
                {"verb": "ListMetadataFormats", "identifier": name(record)},
                {"verb": "GetRecord"},
            ]),
        )  # fmt: skip

    def harvest(self) -> None:
        def between() -> None:
            if self.chance.random() < 0.3:
                self.change()
            if self.chance.random() < 0.5:
                self.archive.pass_time(self.chance.choice(LONG[:5]))

        self.eager.harvest(self.chance.randrange(1, 6), between)

    def rebuild(self) -> None:
        self.archive.rebuild()

    # -- what must be so

    def check(self) -> None:
        """When nothing has changed for two seconds. The clock may have been set back: by then it has come round."""
        archive, truth = self.archive, self.archive.truth
        archive.clock = max(archive.clock, archive.answered + 2.0, archive.busy + 2.0)
        for harvester in (self.eager, self.lazy):
            harvester.harvest(self.chance.randrange(1, 6))
        whole, date = listed(archive, self.chance.randrange(1, 6))
        assert self.eager.view == whole, "harvested bit by bit"
        assert self.lazy.view == whole, "harvested at a stretch"
        moment = second(date) - 1
        live = {record: row.look for record, row in whole.items() if row.look.title}
        assert live == truth.live(moment)
        deleted = whole.keys() - live.keys()
        assert deleted <= truth.ever_open, "was never open"
        assert truth.shown - live.keys() <= deleted, "its deletion was lost"
        for record in deleted:
            was = {unnamed(sets) for sets in truth.open_sets[record]}
            assert unnamed(whole[record].look.sets) in was, "it was never open in these sets"
        # What it shows now it goes on showing, but for what it is in when it is opened again.
        truth.open_sets.update((record, {row.look.sets}) for record, row in whole.items())
        self.met["seen live"] += len(live)
        self.met["seen deleted"] += len(deleted)
        self._one_by_one(whole)
        self._by_format(whole)
        self._by_set(whole)
        self._as_before(second(date), whole)

    def _one_by_one(self, whole: View) -> None:
        every = sorted(self.archive.truth.every)
        for record in self.chance.sample(every, min(3, len(every))):
            root = self.archive.ask(verb="GetRecord", metadataPrefix="oai_dc", identifier=name(record))
            if record in whole:
                assert rows_of(root) == {record: whole[record]}
            else:
                assert [one.get("code") for one in root.iter(f"{OAI}error")] == ["idDoesNotExist"]

    def _by_format(self, whole: View) -> None:
        """In each the same records, and under one datestamp the same is said of one."""
        for prefix in self.chance.sample(sorted(FORMATS), 1):
            root = self.archive.ask(1000, verb="ListRecords", metadataPrefix=prefix)
            stamps = {record: row.stamp for record, row in whole.items()}
            assert {record: row.stamp for record, row in headers(root).items()} == stamps
            for identifier, said in told_by(root).items():
                key = prefix, identifier, stamps["urn:uuid:" + identifier.rpartition(":")[2]]
                assert self.told.setdefault(key, said) == said, f"{prefix} says another thing"

    def _by_set(self, whole: View) -> None:
        """Each set holds the records that name it, and there are no others; a node's title is told while it is open."""
        archive = self.archive
        specs = {spec for row in whole.values() for spec in row.look.sets}
        root = archive.ask(1000, verb="ListSets")
        sizes = [one.get("completeListSize") for one in archive.ask(1, verb="ListSets").iter(f"{OAI}resumptionToken")]
        assert sizes in ([], [str(len(root.findall(f".//{OAI}set")))])
        names = {one.findtext(f"{OAI}setSpec"): one.findtext(f"{OAI}setName") for one in root.iter(f"{OAI}set")}
        assert names.keys() == {*specs, "type"} - {"fonds", "level"}
        for spec in self.chance.sample(sorted(specs), min(2, len(specs))):
            found, _date = listed(archive, 3, set=spec)
            assert found == {record: row for record, row in whole.items() if spec in row.look.sets}

    def _as_before(self, date: int, whole: View) -> None:
        """What was shown once stays, and what has changed since has a datestamp since then."""
        before_date, before = self.last
        assert before.keys() <= whole.keys()
        for record, row in whole.items():
            if (known := before.get(record)) != row:
                assert row.stamp >= before_date
                assert known is None or row.stamp > known.stamp
                assert record in self.stirred | self.archive.truth.stirred, "another datestamp for the same"
        # What stirred within the last seconds is seen only next time.
        self.stirred, self.archive.truth.stirred = self.archive.truth.stirred, set()
        self.last = date, whole


def name(record: str) -> str:
    return f"oai:{NAMESPACE}:{record.removeprefix('urn:uuid:')}"


STEPS: dict[str, tuple[int, Callable[[History], None]]] = {
    "ingest": (4, History.ingest), "update": (5, History.update), "drop": (2, History.drop),
    "decide": (8, History.decide), "withdraw": (4, History.withdraw), "several": (2, History.several),
    "elsewhere": (4, History.elsewhere), "merge": (3, History.merge), "back": (2, History.back),
    "jump": (3, History.jump), "answer": (3, History.answer), "harvest": (6, History.harvest),
    "rebuild": (2, History.rebuild), "check": (2, History.check),
}  # fmt: skip
"""How often, and what."""
CHANGES = ("ingest", "update", "drop", "decide", "withdraw", "several", "merge")


@contextmanager
def catalogue(folder: Path) -> Iterator[Callable[[random.Random], Archive]]:
    """A new archive, again and again in one catalogue."""
    empty, path = folder / "empty.db", folder / "catalog.db"
    Catalog.open(f"sqlite:///{empty}").close()
    with Catalog.open(f"sqlite:///{path}", durable=False) as catalog:
        yield lambda chance: Archive(empty, path, catalog, chance)


@contextmanager
def its_time(archive: Archive) -> Iterator[None]:
    # Who writes waits here for who asks meanwhile.
    patient = mock.patch.multiple(exposed, _PATIENCE=0, _BEHIND=math.inf)
    with mock.patch.object(time, "time", side_effect=lambda: archive.clock), patient:
        yield


def ran(new: Callable[[random.Random], Archive], seed: int, met: Counter[str]) -> None:
    chance = random.Random(seed)
    archive = new(chance)
    try:
        with its_time(archive):
            History(archive, chance, met).run(chance.randrange(5, 11))
        met["late"] += archive.late
    except BaseException:
        print(f"LANTAI_HISTORY={seed}")
        raise


@pytest.mark.parametrize("part", range(PARTS))
def test_who_harvests_bit_by_bit_sees_what_the_archive_shows(tmp_path: Path, part: int) -> None:
    given = os.environ.get("LANTAI_HISTORY")
    seeds = [int(given)] if given else seeded().sample(range(1 << 32), -(-HISTORIES // PARTS) * PARTS)[part::PARTS]
    met: Counter[str] = Counter()
    with catalogue(tmp_path) as new:
        for seed in seeds:
            ran(new, seed, met)
    print(dict(met))
    assert len(seeds) < ENOUGH or all(met[kind] for kind in (*STEPS, "seen live", "seen deleted"))


def test_a_list_whose_rest_is_described_anew_before_its_last_page_has_one(tmp_path: Path) -> None:
    """The catalogue has what it is, and not what it was: in the second of the change it shows neither."""
    late = 0
    with catalogue(tmp_path) as new:
        for seed in range(20):
            archive = new(random.Random(seed))
            with its_time(archive):
                for _record in range(3):
                    archive.ingest("open", archive.clock, 0)
                archive.pass_time(5)
                *_first, last = rows_of(archive.ask(verb="ListRecords", metadataPrefix="oai_dc"))
                root = archive.ask(2, verb="ListRecords", metadataPrefix="oai_dc")
                archive.update(last)
                token = root.findtext(f".//{OAI}resumptionToken") or ""
                assert rows_of(archive.ask(2, verb="ListRecords", resumptionToken=token))
            late += archive.late
    assert late
