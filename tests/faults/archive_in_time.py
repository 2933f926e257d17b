"""An archive that lives under a clock of its own: packages and journal in memory, the real catalogue on a real SQLite
file, and beside it what is true (truth.py).
"""

from __future__ import annotations

import math
import random
import shutil
import sqlite3
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lxml import etree

from lantai.catalog import FONDS, Catalog
from lantai.digest import Digests
from lantai.metadata.elements import description
from lantai.model import (
    Agent,
    Decision,
    Element,
    Entry,
    EntryKind,
    Event,
    FileId,
    Format,
    Level,
    Package,
    PackageId,
    PayloadFile,
    Place,
    Record,
    RecordId,
    Shown,
    Version,
)
from lantai.oai import NotYet, Repository
from lantai.oai.protocol import respond
from lantai.oai.records import Harvest
from tests.faults.truth import TYPES, Said, Truth, at
from tests.integration.schemas import judged

BEGIN = 1_800_000_000.0
WANG = Agent("urn:uuid:00000000-0000-5000-8000-000000000001", "person", "王芳")
JPEG = Format("fmt/43", "JPEG", "1.01", "image/jpeg", "byte match at 0", "", "siegfried 1.11.2", "PRONOM v125")
NAMESPACE = "example.org"
REPOSITORY = Repository(
    "云岭县档案馆", "https://example.org/oai", ("a@example.org",), NAMESPACE, "00000000-0000-7000-8000-000000000000",
    datetime(2024, 1, 1, tzinfo=UTC),
)  # fmt: skip
Told = tuple[str, str | None, Said]
"""Of a record in a version of its package: its id, the one above it, and what is said of it."""
OAI = "{http://www.openarchives.org/OAI/2.0/}"


class Archive:
    """Two homes write its journal: this one, and one whose chain comes when it comes (merge)."""

    def __init__(self, empty: Path, path: Path, catalog: Catalog, chance: random.Random) -> None:
        """catalog: the one at path, which becomes as empty as the one at empty."""
        self.chance, self.empty, self.path, self.catalog = chance, empty, path, catalog
        with closing(sqlite3.connect(empty)) as new, closing(sqlite3.connect(path)) as old:
            new.backup(old)
        self.clock = BEGIN + chance.random()
        self.truth = Truth()
        self.packages: dict[str, tuple[Package, list[PayloadFile], list[str]]] = {}
        """With its files, and the contents of earlier versions."""
        self.chains: dict[str, list[list[Entry]]] = {"here": [], "there": []}
        self.waiting: list[Entry] = []
        """What the other home entered and has not brought yet."""
        self.answered = 0
        """The newest responseDate."""
        self.busy = BEGIN
        """When something was changed last, by the clock that was the latest."""
        self.made = 0
        self.late = 0
        """How often an answer was not ready yet."""

    def urn(self) -> str:
        """With a UUIDv7, of the clock's millisecond."""
        self.made += 1
        clock = f"{int(self.clock * 1000):012x}"
        return f"urn:uuid:{clock[:8]}-{clock[8:]}-7{self.chance.randrange(4096):03x}-8000-{self.made:012x}"

    def pass_time(self, seconds: float) -> None:
        self.clock += seconds

    # -- what people do. Each is told to the catalogue and the truth, when its commit is through.

    def said(self, level: Level) -> Said:
        self.made += 1
        code = self.chance.choice(["", "", f"Z({self.made})"])
        files = tuple(f"照{self.made}-{number}。" for number in range(self.chance.choice([0, 0, 1, 2])))
        return Said(f"第{self.made}件。", level, self.chance.choice(list(TYPES)), code, files)

    def ingest(self, shown: Shown, since: float, parts: int) -> None:
        began, id = self.clock, self.urn()
        decision = Decision(self.urn(), RecordId(id), shown, at(since), "default", at(began), WANG.name, "接收")
        levels: list[Level] = ["fonds", "series", "file", "item"]
        top = self.chance.randrange(3)
        told: list[Told] = [(id, None, self.said(levels[top]))]
        for _part in range(parts):
            parent, _above, above = self.chance.choice(told)
            told.append((self.urn(), parent, self.said(levels[min(levels.index(above.level) + 1, 3)])))
        event = Event(self.urn(), "ingestion", at(began), "success", "", (WANG.id,), "package")
        package = Package(PackageId(id), (), (), (), (WANG,), (event,), decision, "材料", self.urn())
        self._version(package, told, began)

    def update(self, id: str, *, drop: bool = False) -> None:
        """The next version: the files alone, or the descriptions of some, with one more part, or one part less."""
        began, truth = self.clock, self.truth
        package, _files, _earlier = self.packages[id]
        mine: list[str] = [one.id for one in package.records]
        told: list[Told] = [(one, truth.parent[one], truth.said[one]) for one in mine]
        leaves = [one for one in mine[1:] if one not in truth.parent.values()]
        if drop and leaves:
            gone = self.chance.choice(leaves)
            told = [one for one in told if one[0] != gone]
        elif self.chance.random() < 0.2:
            above, _over, said = self.chance.choice(told)
            told.append((self.urn(), above, self.said("item" if said.level in ("file", "item") else "file")))
        if self.chance.random() < 0.7:
            changed = self.chance.randrange(len(told))
            one, parent, said = told[changed]
            new = self.said(self.chance.choice(["file", "item"]) if said.level in ("file", "item") else said.level)
            kept = self.chance.choice(
                [("files",), ("files", "code", "type"), ("title",), ("title", "level", "code", "type")]
            )
            told[changed] = (one, parent, replace(new, **{name: getattr(said, name) for name in kept}))
        self._version(replace(package, content=self.urn()), told, began)

    def _version(self, package: Package, told: list[Told], began: float) -> None:
        id = package.id
        number = len(package.versions) + 1
        paths = {one: self._path(one, {one: parent for one, parent, _said in told}) for one, _parent, _said in told}
        records = [
            Record(RecordId(one), id, description(said.level, _elements(said)), (paths[one],) if parent else ())
            for one, parent, said in told
        ]
        files = [
            _file(id, f"{paths[one]}/{name}".lstrip("/")) for one, _parent, said in told for name in said.files
        ]  # fmt: skip
        places = [
            Place(RecordId(one), FONDS, RecordId(parent) if parent else None, position, said.code or None)
            for position, (one, parent, said) in enumerate(told)
        ]
        version = Version(number, at(began), WANG.name, "")
        new = replace(package, versions=(*package.versions, version), records=tuple(records), places=tuple(places))
        earlier = self.packages[id][2] if id in self.packages else []
        self.truth.look(max(self.clock, self.answered))  # at what was open until now
        with self.catalog.writing() as writing:
            writing.index(new, files, earlier=earlier)
            self._meanwhile()
        self.packages[id] = (new, files, [*earlier, new.content])
        kept = {one for one, _parent, _said in told}
        for record in package.records:
            if record.id not in kept:
                self.truth.leave(record.id)
        for one, parent, said in told:
            created = self.truth.created.get(one, max(new.versions[0].at.timestamp(), math.floor(began)))
            self.truth.describe(one, parent, created, said, max(self.clock, self.answered))
        if number == 1:
            self.truth.decisions[id].append(new.access)
        self._changed()

    def _path(self, record: str, parents: Mapping[str, str | None]) -> str:
        """Of a part its folder, in that of the part above it."""
        above = parents[record]
        return "" if above is None else f"{self._path(above, parents)}/夹{int(record[-4:], 16)}".lstrip("/")

    def decision(self, record: str, shown: Shown, since: float, *, alone: bool) -> Entry:
        """alone: by somebody who does not know of any other."""
        own = self.truth.decisions[record]
        replaced = {id for one in own for id in one.replaces}
        standing = () if alone else tuple(one.id for one in own if one.id not in replaced)
        state = {"shown": shown, "since": at(since).isoformat(), "reason": ""}
        return self._entry("decision", "record", record, state, standing)

    def withdrawal(self, record: str, *, withdrawn: bool) -> Entry:
        own = self.truth.withdrawals[record]
        replaced = {id for one in own for id in one.replaces}
        standing = tuple(one.id for one in own if one.id not in replaced)
        return self._entry("withdrawal", "record", record, {"withdrawn": withdrawn, "reason": ""}, standing)

    def _entry(
        self, kind: EntryKind, type: str, subject: str, state: Mapping[str, Any], replaces: tuple[str, ...] = ()
    ) -> Entry:
        return Entry(self.urn(), kind, type, subject, at(self.clock), WANG, state, "", "policy", "", replaces)

    def enter(self, *entries: Entry) -> None:
        self._apply("here", list(entries))

    def merge(self) -> None:
        """What the other home entered comes, however late."""
        if self.waiting:
            some, self.waiting = self.waiting, []
            self._apply("there", some)

    def _apply(self, writer: str, entries: list[Entry]) -> None:
        self.chains[writer].append(entries)
        with self.catalog.writing() as writing:
            writing.apply(entries, writer=writer, number=len(self.chains[writer]), seal=f"{len(self.chains[writer])}")
            self._meanwhile()
        for entry in entries:
            if entry.kind in ("decision", "withdrawal"):
                self.truth.decided(entry.subject)
            if entry.kind == "decision":
                state = entry.state
                self.truth.decisions[entry.subject].append(Decision(
                    entry.id, RecordId(entry.subject), state["shown"], datetime.fromisoformat(state["since"]),
                    entry.ground, entry.at, WANG.name, "", entry.replaces,
                ))  # fmt: skip
            elif entry.kind == "withdrawal":
                self.truth.withdrawals[entry.subject].append(entry)
        self._changed()

    def _meanwhile(self) -> None:
        """A commit may take long, and answers are given all the same."""
        if self.chance.random() < 0.2:
            self.clock += self.chance.choice([0.3, 1.1, 2.5, 240])
            self.ask(verb="Identify")

    def _changed(self) -> None:
        self.busy = max(self.busy, self.clock)
        self.truth.look(max(self.clock, self.answered))
        self._expose()

    def _expose(self) -> None:
        """As a home does after each change: what cannot be derived goes into the journal."""
        left, nodes = self.catalog.exposures.left(1000), self.catalog.exposures.nodes_left(1000)
        if left or nodes:
            records = {str(record): one.at for record, one in left.items()}
            sets = {str(record): one.sets for record, one in left.items() if one.sets is not None}
            state = {"records": records, "sets": sets, "nodes": nodes}
            entry = self._entry("exposure", "archive", f"urn:uuid:{REPOSITORY.archive}", state)
            self._apply("here", [entry])

    # -- what harvesters do

    def ask(self, page_size: int = 100, /, **arguments: str) -> etree._Element:
        """The answer by its schemas; nothing is in it of what was never open."""
        pairs = [(name.rstrip("_"), value) for name, value in arguments.items()]
        for _time in range(5):
            now = datetime.fromtimestamp(int(self.clock), UTC)
            self.truth.look(max(self.clock, self.answered))
            try:
                answer = respond(
                    pairs, Harvest(self.catalog, REPOSITORY), repository=REPOSITORY, now=now, key=bytes(32),
                    page_size=page_size, token_ttl=1 << 30,
                )  # fmt: skip
                break
            except NotYet:
                self.late += 1
                self.pass_time(1)
        else:
            raise AssertionError("it was not shown soon")
        said = answer.decode().partition("</request>")[2]
        for secret in self.truth.secrets():
            assert secret not in said, f"{secret} was never open"
        root = judged(answer)
        date = second(root.findtext(f"{OAI}responseDate"))
        assert date <= self.clock
        self.answered = max(self.answered, date)
        return root

    def rebuild(self) -> None:
        """The catalogue made anew shows the same, and takes the place of this one."""
        path = self.path.with_suffix(".new")
        shutil.copy(self.empty, path)
        with Catalog.open(f"sqlite:///{path}", durable=False) as new:
            packages = list(self.packages.values())
            self.chance.shuffle(packages)
            for package, files, earlier in packages:
                new.index(package, files, earlier=earlier)
            for writer, segments in sorted(self.chains.items(), reverse=self.chance.random() < 0.5):
                with new.writing() as writing:
                    for number, entries in enumerate(segments, 1):
                        writing.apply(entries, writer=writer, number=number, seal=f"{number}")
            assert rows(path) == rows(self.path)
            Catalog.replace(f"sqlite:///{self.path}", new, lambda: None)
        self.answered = max(self.answered, math.ceil(self.clock))  # the new one may not know what the old one answered


def _elements(said: Said) -> list[Element]:
    return [Element("dc.title", said.title), *([Element("dc.type", said.type)] if said.type else [])]


def _file(package: str, path: str) -> PayloadFile:
    id = uuid.uuid5(uuid.UUID(package.removeprefix("urn:uuid:")), path).urn
    return PayloadFile(FileId(id), path, path, Digests(10, {"sha256": f"{len(path):064x}"}), (JPEG,), None)


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that the catalogue keeps of what harvesters see."""
    names = ("exposures", "exposure_sets", "applied")
    with closing(sqlite3.connect(path)) as database:
        found = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in names}
        found["nodes"] = database.execute("SELECT record, part FROM nodes JOIN records ON id = record").fetchall()
        return {name: sorted(told, key=repr) for name, told in found.items()}


def second(stamp: str | None) -> int:
    assert stamp is not None
    return int(datetime.fromisoformat(stamp).timestamp())
