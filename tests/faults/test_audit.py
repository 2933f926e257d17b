"""Archives in two stores, harmed everywhere: audits find all of it, name it, put it right, and enter only what is true.

On the file system each harm is tried; with Ceph as the copy, some. LANTAI_FAULTS=full: as often as one would before a
release. LANTAI_SEED: other harms and points of death (tests/chance.py).
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, cast
from unittest import mock

import boto3
import pytest

from lantai.digest import Algorithm
from lantai.errors import StoreUnavailable
from lantai.fixity import audit as auditing
from lantai.model import PackageId
from lantai.storage import Bucket, Odd, Skip, Stat, Store, absent, open_store, promises, read_digests, workers
from lantai.storage.ocfl import Root, copy, validate
from lantai.storage.s3.client import Client
from tests.chance import seeded
from tests.conformance.objects import keys
from tests.faults.backend_process import of_session
from tests.faults.gates import PATIENCE
from tests.faults.test_backends import FULL, processes
from tests.faults.test_backends import ask as ask_process
from tests.integration.command import ENVIRONMENT, Done, Lantai, add_store, folder
from tests.services import Server, bucket
from tests.services.proxy import (
    ALWAYS,
    EVERY_OTHER,
    Exchange,
    cut,
    cut_in_answer,
    proxied,
    refusing,
)  # fmt: skip

__all__ = ["processes"]  # a fixture

THINGS = 100
KILLS = 200 if FULL else 25
REPAIRS = 100 if FULL else 12
PACKAGES = 5


@dataclass(frozen=True, slots=True)
class Kept:
    """An archive in two stores, with packages of one and of two versions; how it was, to be put back before a test."""

    lantai: Lantai
    stores: Mapping[str, Store]
    packages: Sequence[str]
    home: Path
    whole: Mapping[str, Mapping[str, bytes]]

    def again(self) -> None:
        for name, store in self.stores.items():
            for key in set(keys(store)) - self.whole[name].keys():
                store.delete(key)
            for key, data in self.whole[name].items():
                if lying_at(store, key) != data:
                    put(store, key, data)
        shutil.rmtree(self.lantai.folder / "damaged", ignore_errors=True)
        shutil.rmtree(self.lantai.folder / "journal")
        shutil.copytree(self.home / "journal", self.lantai.folder / "journal")
        for file in self.lantai.folder.glob("catalog.db*"):
            file.unlink()
        shutil.copy(self.home / "catalog.db", self.lantai.folder / "catalog.db")
        # The journal's folder is another one now, and would be taken for a copy of the home.
        writer = self.lantai.folder / "journal" / "writer.json"
        values = json.loads(writer.read_bytes())
        inode = (self.lantai.folder / "journal").stat().st_ino
        writer.write_text(json.dumps({**values, "machine": f"{values['machine'].split(' ')[0]} {inode}"}))


def put(store: Store, key: str, data: bytes) -> None:
    store.put(key, lambda: (data,), algorithms=())


def lying_at(store: Store, key: str) -> bytes | None:
    return Root(store).small(key)


def lying(store: Store) -> dict[str, bytes]:
    found = {key: lying_at(store, key) for key in keys(store)}
    return {key: data for key, data in found.items() if data is not None}


@pytest.fixture(scope="module", params=["filesystem", "ceph_server"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    place = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        done = Lantai(place)("init", "home", "--name", "云岭县档案馆")
        assert done.code == 0, done
        environment: dict[str, str] = {}
        where: Path | Bucket = place / "second"
        lines = f'name = "second"\npath = "{where}"'
        if request.param == "filesystem":
            (place / "second").mkdir()
        else:
            server = request.getfixturevalue(request.param)
            name = bucket(server)
            where = Bucket(name, "兰台/", server.endpoint_url)
            lines = f'name = "second"\nkind = "s3"\nbucket = "{name}"\nprefix = "兰台"\n'
            lines += f'endpoint_url = "{server.endpoint_url}"'
            environment = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
            for variable, value in environment.items():
                patch.setenv(variable, value)
            session = boto3.session.Session()  # one for all commands: to make one takes each longer than its work
            patch.setattr(boto3.session, "Session", lambda: session)
        home = Lantai(place / "home", environment)
        add_store(home, lines)
        packages = []
        with mock.patch.object(promises, "_RACES", ((4, 1024),)):
            for number in range(PACKAGES):
                files = {f"{at}.txt": f"{number} {at}\n" * (at + 1) for at in range(3)}
                packages.append(home.stored(folder(place / f"submission-{number}", files))["package"])
        for number in range(2):
            words = ("--title", f"第二版 {number}", "--reason", "更正")
            assert home("update", packages[number], *words).code == 0
        for number in range(3):  # segments of the journal, each known to the home and to both stores
            assert home("access", "set", packages[number], "open", "--reason", "期满").code == 0
        assert home("audit", "--all").code == 0
        stores = {"local": open_store(place / "home" / "store"), "second": open_store(where)}
        aside = place / "aside"
        shutil.copytree(place / "home", aside, ignore=shutil.ignore_patterns("store", "drafts"))
        yield Kept(home, stores, packages, aside, {name: lying(store) for name, store in stores.items()})


FILES = pytest.mark.parametrize("made", ["filesystem"], indirect=True)


@pytest.fixture
def kept(made: Kept, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr(workers, "PROCESSES", 0)  # processes of its own are started where a test asks for them
    made.again()
    return made


@pytest.fixture
def chance() -> random.Random:
    return seeded()


# --- one harm in each of 100 things


Harm = Mapping[str, bytes | None]
"""Of one store: bytes by key; None: deleted."""


def flipped(key: str, data: bytes, chance: random.Random, _others: Sequence[bytes]) -> Harm:
    changed = bytearray(data)
    changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return {key: bytes(changed)}


def deleted(key: str, _data: bytes, _chance: random.Random, _others: Sequence[bytes]) -> Harm:
    return {key: None}


def truncated(key: str, data: bytes, chance: random.Random, _others: Sequence[bytes]) -> Harm:
    return {key: data[: chance.randrange(len(data))]}


def swapped(key: str, data: bytes, chance: random.Random, others: Sequence[bytes]) -> Harm:
    return {key: chance.choice([one for one in others if one != data])}


def added(key: str, data: bytes, _chance: random.Random, _others: Sequence[bytes]) -> Harm:
    """Beside it. What lies at the top of a disk may be somebody's."""
    return {f"schemas/{key}.bak" if "/" not in key else f"{key}.bak": data}


HARMS = {"flip": flipped, "delete": deleted, "truncate": truncated, "swap": swapped, "add": added}


_LATER = re.compile(r"schemas/(journal-\w+-[2-9]|remote-\w+-[1-9])\.json")


def drawn(kept: Kept, chance: random.Random) -> dict[str, list[str]]:
    """By store, 100 things over both, of every kind, never both copies of one."""
    kinds: dict[str, list[str]] = {}
    for key in kept.whole["local"]:
        # Of later schemas none is missed where one is not: a store may be older than they are.
        if key in kept.whole["second"] and not _LATER.fullmatch(key):
            kind = re.sub(r"[0-9a-f]{3}/[0-9a-f]{3}/[0-9a-f]{3}/[^/]+", "*", key)
            kinds.setdefault(kind if "/content/" not in kind else "content", []).append(key)
    found: dict[str, list[str]] = {name: [] for name in kept.stores}
    for keys_of_kind in kinds.values():
        chance.shuffle(keys_of_kind)
    while sum(map(len, found.values())) < THINGS:
        for left in kinds.values():
            if left and sum(map(len, found.values())) < THINGS:
                found[chance.choice(list(found))].append(left.pop())
    return found


def newer(data: bytes | None) -> bool:
    """A store.json that says that a newer lantai wrote it is left to a person."""
    match = re.search(rb'"format": (\d+)', data or b"")
    return match is not None and int(match[1]) > 1


def named(done: Done) -> set[tuple[str, str]]:
    """What the answer names, in which store: what was found, and what was put right."""
    told = done.object
    found = {(one["store"], word) for one in told["failed"] for word in one["subject"].split(" ")}
    return found | {(one["store"], key) for one in told["repairs"] for key in one["keys"]}


@pytest.mark.parametrize("how", HARMS)
def test_of_100_things_harmed_in_two_stores_all_are_named_and_put_right(
    kept: Kept, chance: random.Random, how: str
) -> None:
    harmed: dict[tuple[str, str], bytes | None] = {}
    for name, chosen in drawn(kept, chance).items():
        others = [kept.whole[name][key] for key in chosen]
        for key in chosen:
            while True:
                harm = HARMS[how](key, kept.whole[name][key], chance, others)
                if not newer(harm.get("store.json")):
                    break
            harmed |= {(name, one): data for one, data in harm.items()}
    assert len(harmed) == THINGS
    for (name, key), data in harmed.items():
        if data is None:
            kept.stores[name].delete(key)
        else:
            put(kept.stores[name], key, data)
    done = kept.lantai("audit", "--all", "--json", LANTAI_LANG="en")
    assert (done.code, done.object["not_reached"], done.object["void"]) == (1, [], False), done
    assert done.object["lost"] == []
    missing = {
        (store, key)
        for store, key in harmed
        # A missing inventory of a version is missed by its object.
        if not {(store, key), (store, re.sub(r"/v\d+/inventory\.json$", "", key))} & named(done)
    }
    assert not missing
    again = kept.lantai("audit", "--all", "--json", LANTAI_LANG="en")
    assert (again.code, again.object["failed"], again.object["warnings"]) == (0, [], []), again
    for name, store in kept.stores.items():
        now = lying(store)
        assert {key: now.get(key) for key in kept.whole[name]} == dict(kept.whole[name])
        assert {key for key in now.keys() - kept.whole[name].keys() if not key.startswith("journal/")} == set()
    kept_aside = [one.read_bytes() for one in (kept.lantai.folder / "damaged").rglob("*") if one.is_file()]
    assert Counter(kept_aside) == Counter(data for data in harmed.values() if data is not None)


# --- what is not to be settled


def test_of_what_both_have_damaged_it_is_said_at_the_top_and_nothing_is_overwritten(
    kept: Kept, chance: random.Random
) -> None:
    key = next(key for key in kept.whole["local"] if key.endswith("/0.txt"))
    for store in kept.stores.values():
        put(store, key, flipped(key, kept.whole["local"][key], chance, ())[key] or b"")
    before = {name: lying(store) for name, store in kept.stores.items()}
    done = kept.lantai("audit", "--all", "--json")
    assert done.code == 1
    assert [(one["store"], one["package"] in kept.packages) for one in done.object["lost"]] == [
        ("local", True), ("second", True),
    ]  # fmt: skip
    assert done.object["lost"][0]["keys"] == [key]
    first, second, *_more = kept.lantai("audit", "--all", LANTAI_LANG="en").out.splitlines()
    assert (first[:6], second.strip()) == ("lost: ", key)
    for name, store in kept.stores.items():
        now = lying(store)
        assert {key: now[key] for key in before[name]} == before[name]
    assert not (kept.lantai.folder / "damaged").exists()


@FILES
def test_an_empty_disk_and_another_archives_are_never_taken_for_ours(made: Kept, tmp_path: Path) -> None:
    made.again()
    second = made.lantai.folder.parent / "second"
    aside = second.rename(tmp_path / "aside")
    try:
        assert Lantai(tmp_path)("init", "other", "--name", "别馆").code == 0
        other = Lantai(tmp_path / "other")
        package = other.stored(folder(tmp_path / "its", {"a.txt": "a\n"}))["package"]
        assert other("access", "set", package, "open", "--reason", "期满").code == 0
        for disk in ("empty", "other", "other without store.json", "with a note"):
            if disk.startswith("other"):
                shutil.copytree(tmp_path / "other" / "store", second)
            else:
                second.mkdir()
            if disk == "other without store.json":
                (second / "store.json").unlink()
            if disk == "with a note":
                (second / "ocfl").mkdir()
                (second / "ocfl" / "note.txt").write_text("hello")
            before = {one: one.read_bytes() for one in second.rglob("*") if one.is_file()}
            done = made.lantai("audit", "--all", "--json")
            assert (done.code, done.object["not_reached"]) == (1, ["second"]), disk
            assert {one: one.read_bytes() for one in second.rglob("*") if one.is_file()} == before, disk
            shutil.rmtree(second)
    finally:
        aside.rename(second)


@FILES
def test_a_disk_in_the_place_of_another_of_ours_is_left_to_a_person(made: Kept, tmp_path: Path) -> None:
    made.again()
    second, first = made.lantai.folder.parent / "second", made.lantai.folder / "store"
    aside = second.rename(tmp_path / "aside")
    try:
        shutil.copytree(first, second)
        done = made.lantai("audit", "--all", "--json")
        assert (done.code, done.object["not_reached"]) == (1, ["second"])
        assert (second / "store.json").read_bytes() == (first / "store.json").read_bytes()
        shutil.rmtree(second)
    finally:
        aside.rename(second)


# --- killed


@pytest.fixture
def archive(made: Kept, tmp_path: Path) -> Lantai:
    """A home of its own with two stores in folders, for what is killed."""
    made.again()
    home = Path(shutil.copytree(made.home.parent / "home", tmp_path / "home"))
    shutil.copytree(made.home.parent / "second", tmp_path / "second")
    settings = home / "lantai.toml"
    settings.write_text(settings.read_text().replace(str(made.home.parent), str(tmp_path)))
    return Lantai(home)


def entered(lantai: Lantai, kind: str) -> list[dict[str, Any]]:
    return [one for one in lantai("journal", "list", "--json").objects if one["kind"] == kind]


def begin(
    server: Any, lantai: Lantai, told: Path, *, after: float = 0, at: int = 0, when: str = "before", processes: int = 0,
    together: bool = False,
) -> int:  # fmt: skip
    """An audit of all in segments of two packages, killed after some seconds, alone or with its processes, or at a
    change of a store; its code. None of its processes outlives it.
    """
    told.parent.mkdir(exist_ok=True)
    words = {"words": ["audit", "--all", "--json"], "after": after, "segment": 2, "home": str(lantai.folder)}
    words |= {"at": at, "when": when, "told": str(told), "environment": {**ENVIRONMENT}}
    began = ask_process(server, do="auditing", processes=processes, together=together, **words)
    code = ask_process(server, wait=began)
    until = time.monotonic() + PATIENCE
    while (left := of_session(began)) and time.monotonic() < until:
        time.sleep(0.01)
    for one in left:
        os.kill(one, signal.SIGKILL)
    assert left == [], "they outlived it"
    return code


@FILES
def test_a_repair_killed_anywhere_leaves_nothing_half_done(
    archive: Lantai, processes: Any, tmp_path: Path, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "PROCESSES", 0)
    assert archive("audit", "--all", "--json").code == 0  # the journal knows where the stores lie now
    stores = {"local": open_store(archive.folder / "store"), "second": open_store(tmp_path / "second")}
    changes, killed = 0, 0
    for number in range(REPAIRS + 1):
        whole = {name: lying(store) for name, store in stores.items()}
        damaged, segments = Counter[bytes](), [key for key in whole["local"] if key.startswith("journal/")]
        some = [key for key in sorted(whole["local"]) if key.startswith("ocfl/")]
        chosen = [*chance.sample(some, 5), "schemas/mets-1.12.xsd", "store.json", chance.choice(segments)]
        for key in chosen:
            store = chance.choice(list(stores.values()))
            put(store, key, f"harmed {number} {key}".encode())
            damaged[f"harmed {number} {key}".encode()] += 1
        put(stores["second"], "schemas/extra", f"extra {number}".encode())
        damaged[f"extra {number}".encode()] += 1
        # The first lives, and tells how many changes there are.
        at, when = chance.randint(1, changes) if changes else 0, chance.choice(["before", "after"])
        code = begin(processes, archive, tmp_path / "told" / f"repair-{number}", at=at, when=when)
        assert code in (1, -signal.SIGKILL), (tmp_path / "told" / f"repair-{number}.err").read_text()
        killed += code == -signal.SIGKILL
        changes = changes or int((tmp_path / "told" / f"repair-{number}.changes").read_text())
        done = archive("audit", "--all", "--json")
        assert done.object["lost"] == [], done
        assert done.object["not_reached"] == []
        assert archive("audit", "--all", "--json").code == 0
        for name, store in stores.items():
            now = lying(store)
            assert {key: now.get(key) for key in whole[name]} == whole[name]
            assert {key for key in now.keys() - whole[name].keys() if not key.startswith("journal/")} == set()
        aside = archive.folder / "damaged"
        kept_aside = Counter(one.read_bytes() for one in aside.rglob("*") if one.is_file() and one.name[0] != ".")
        assert damaged - kept_aside == Counter()  # perhaps twice, if death came between keeping and repairing
        shutil.rmtree(aside)
    assert killed >= REPAIRS * 0.6
    assert archive("journal", "verify").code == 0


@FILES
def test_what_the_home_lost_of_its_journal_comes_back_from_a_store(kept: Kept) -> None:
    own = sorted((kept.lantai.folder / "journal").glob("*/*.ndjson"))
    before = own[1].read_bytes()
    own[1].write_bytes(before[:-9])
    done = kept.lantai("audit", "--all", "--json")
    assert (done.code, {one["store"] for one in done.object["failed"]}) == (1, {"the home"})
    assert kept.lantai("audit", "--all", "--json").code == 0
    assert own[1].read_bytes() == before


@FILES
def test_an_audit_killed_anywhere_is_completed_by_the_next(
    archive: Lantai, processes: Any, tmp_path: Path, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third time there is something to repair, so that the repair is killed as well. It dies alone, and leaves
    processes behind that are at work, or with them.
    """
    monkeypatch.setattr(workers, "PROCESSES", 0)
    stores = {"local": archive.folder / "store", "second": tmp_path / "second"}
    whole = {name: files_of(place) for name, place in stores.items()}
    packages = len(archive("list", "--json").objects)
    code = begin(processes, archive, tmp_path / "told" / "whole", processes=2)
    assert code == 0, (tmp_path / "told" / "whole.json").read_text() + (tmp_path / "told" / "whole.err").read_text()
    length = float((tmp_path / "told" / "whole.seconds").read_text())
    met: Counter[str] = Counter()
    for number in count():
        if met["killed"] == KILLS:
            break
        assert number < 3 * KILLS
        harmed = []
        if number % 3 == 2:
            for key in chance.sample(sorted(whole["local"]), 4):
                name = chance.choice(list(stores))
                (stores[name] / key).write_bytes(b"harmed")
                harmed.append((name, key))
        checks_before, runs_before = len(entered(archive, "check")), archive("jobs", "--json").objects
        together, file = chance.choice([False, True]), tmp_path / "told" / str(number)
        after = chance.uniform(0.1, 1) * length
        code = begin(processes, archive, file, after=after, processes=2, together=together)
        killed = code == -signal.SIGKILL
        if killed and file.with_suffix(".processes").read_text() != "0":
            met["with its processes" if together else "without them"] += 1
        assert killed or code in (0, 1)
        runs = archive("jobs", "--limit", "1000", "--json").objects
        new = runs[: len(runs) - len(runs_before)] if len(runs_before) < 20 else runs[:1]
        met["killed" if killed else "ended"] += 1
        done = archive("audit", "--all", "--json")
        assert done.code in (0, 1), done
        told = done.object
        first = [one for one in new if killed and one["verdict"] is None]
        # The machine may be quicker now than it was, or slower.
        length *= 0.9 if not killed else 1.0 if first else 1.2
        met["begun"] += len(first)
        assert told["checked"] + told["before"] == 2 * packages, told
        assert told["lost"] == []
        checked: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for one in entered(archive, "check")[checks_before:]:
            checked.setdefault((one["state"]["store"], one["subject"]["id"]), []).append(one)
        met["went on"] += told["before"] > 0
        # Every one was entered; twice only what was not whole the first time, or was looked at in the second in which
        # the run began that was killed: the journal tells no less.
        assert len(checked) == 2 * packages
        # One that died after its end was entered had done all: the next looks at all anew.
        if killed and not any(one["verdict"] for one in new):
            twice = [entries[0] for entries in checked.values() if len(entries) > 1]
            began = {one["began"][:19] for one in first}
            assert all(not one["state"]["valid"] or one["at"][:19] in began for one in twice)
            # And once more what was repaired, of the audit that proved it.
            assert all(len(entries) <= 2 + (not entries[0]["state"]["valid"]) for entries in checked.values())
        for name, place in stores.items():
            assert files_of(place) == whole[name], harmed
        if harmed:
            assert archive("audit", "--all", "--json").code == 0
    print(dict(met))
    assert met["begun"] > KILLS / 3
    assert met["went on"] > 0
    assert met["with its processes"] > 0
    assert met["without them"] > 0
    assert archive("journal", "verify").code == 0
    assert archive("validate").code == 0


def files_of(place: Path) -> dict[str, bytes]:
    return {one.relative_to(place).as_posix(): one.read_bytes() for one in place.glob("ocfl/**/*") if one.is_file()}


# --- a store that is not to be relied on


class Around:
    """A store around a store, as it is."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def digests(self, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        return read_digests(cast(Store, self), keys, algorithm)


class Yesterday(Around):
    """Gives what lay there before, of the keys that match; keeps what it is given, and does not show it."""

    def __init__(self, store: Store, before: Mapping[str, bytes], pattern: str) -> None:
        super().__init__(store)
        self._before, self._is_old = before, re.compile(pattern)

    def open(self, key: str, start: int = 0, stop: int | None = None) -> Any:
        if not self._is_old.search(key):
            return self.store.open(key, start, stop)
        if key not in self._before:
            raise absent(key)
        return io.BytesIO(self._before[key][start:stop])

    def stat(self, key: str) -> Stat:
        found = self.store.stat(key)
        if not self._is_old.search(key):
            return found
        if key not in self._before:
            raise absent(key)
        return replace(found, size=len(self._before[key]))

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        for found in self.store.list(prefix, after, skip):
            if found.key in self._before or not self._is_old.search(found.key):
                yield found

    def keys(
        self, prefix: str = "", after: str = "", skip: Skip | None = None, odd: Odd | None = None
    ) -> Iterator[str]:  # fmt: skip
        return (found.key for found in self.list(prefix, after, skip))


class Failing(Around):
    """Cannot be read, or only in part, where the key matches."""

    def __init__(self, store: Store, pattern: str, *, cut: bool) -> None:
        super().__init__(store)
        self._fails, self._cut = re.compile(pattern), cut

    def open(self, key: str, start: int = 0, stop: int | None = None) -> Any:
        if not self._fails.search(key):
            return self.store.open(key, start, stop)
        if not self._cut:
            raise StoreUnavailable("the line is cut", subject=key, remedy="Wait.")
        with self.store.open(key, start, stop) as file:
            return io.BytesIO(file.read()[:-1])


@contextmanager
def in_place_of_the_second(around: Callable[[Store], Any], where: str = "second") -> Iterator[None]:
    """The second store is opened as around says."""
    opened = open_store

    def other(place: Path | Bucket) -> Store:
        return around(opened(place)) if str(place).endswith(where) else opened(place)

    with mock.patch("lantai.stores.open_store", other):
        yield


@FILES
@pytest.mark.parametrize("what", ["^ocfl/", "^ocfl/.*inventory.json", "/v2/"])
def test_yesterdays_bytes_are_never_said_to_be_whole(kept: Kept, what: str) -> None:
    package = kept.packages[-1]
    before = lying(kept.stores["second"])
    assert kept.lantai("update", package, "--title", "今日", "--reason", "更正").code == 0
    known = len(entered(kept.lantai, "check"))
    with in_place_of_the_second(lambda store: Yesterday(store, before, what)):
        for _turn in range(2):
            done = kept.lantai("audit", "--all", "--json")
            assert (done.code, done.object["not_reached"]) == (1, []), done
            assert {(one["store"], one["package"]) for one in done.object["failed"]} == {("second", package)}
            assert all(not one["valid"] for one in done.object["repairs"] if one["package"] == package)
    of_it = [
        one["state"]["valid"]
        for one in entered(kept.lantai, "check")[known:]
        if (one["subject"]["id"], one["state"]["store"]) == (package, "second")
    ]
    assert of_it == [False, False]
    assert kept.lantai("audit", "--all", "--json").code == 0


@FILES
@pytest.mark.parametrize("cut", [True, False])
def test_what_cannot_be_read_is_never_said_to_be_whole(kept: Kept, cut: bool) -> None:
    package = kept.packages[-1]
    known = len(entered(kept.lantai, "check"))
    pattern = re.escape(package.replace(":", "%3a")) + ".*/0.txt$"
    with in_place_of_the_second(lambda store: Failing(store, pattern, cut=cut)):
        done = kept.lantai("audit", "--all", "--json")
    assert done.code == 1
    assert done.object["not_reached"] == ([] if cut else ["second"])
    checks = [one for one in entered(kept.lantai, "check")[known:] if one["state"]["store"] == "second"]
    of_it = [one["state"]["valid"] for one in checks if one["subject"]["id"] == package]
    assert of_it == ([False] if cut else [])
    assert kept.lantai("audit", "--all", "--json").code == 0


@pytest.mark.parametrize("made", ["ceph_server"], indirect=True)
def test_what_passes_on_a_bad_line_is_no_finding(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing is refused, cut in its answer, or slow, when it is asked for the first time."""
    assert Client.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(Client.__init__.__kwdefaults__, "pause", lambda _seconds: None)
    settings = kept.lantai.folder / "lantai.toml"
    text = settings.read_text()
    (endpoint,) = re.findall(r'endpoint_url = "(.*)"', text)
    keys_of = kept.lantai.environment
    behind = Server("ceph", endpoint, keys_of["AWS_ACCESS_KEY_ID"], keys_of["AWS_SECRET_ACCESS_KEY"], "us-east-1")
    chance = random.Random(1)

    def trouble(exchange: Exchange) -> None:
        chance.choice([refusing(503, "SlowDown"), refusing(500, "InternalError"), cut_in_answer, cut, slow])(exchange)

    def slow(exchange: Exchange) -> None:
        time.sleep(0.05)
        exchange.answer(exchange.forward())

    with proxied(behind) as proxy:
        settings.write_text(text.replace(endpoint, proxy.server.endpoint_url))
        try:
            proxy.on("^(GET|HEAD)", trouble, EVERY_OTHER)
            done = kept.lantai("audit", "--all", "--json")
            assert (done.code, done.object["failed"], done.object["warnings"]) == (0, [], []), done
            assert done.object["checked"] == 2 * PACKAGES
            proxy.calm()
            proxy.on(r"^GET .*/0\.txt", refusing(500, "InternalError"), ALWAYS)
            done = kept.lantai("audit", "--all", "--json")
            assert (done.code, done.object["failed"], done.object["not_reached"]) == (1, [], ["second"])
        finally:
            settings.write_text(text)


# --- what changes meanwhile


@FILES
@pytest.mark.parametrize("words", [("update", "--title", "今日"), ("withdraw",)])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_changes_while_it_is_audited_is_no_finding(
    kept: Kept, words: Sequence[str], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, changed = kept.packages[-1], list[int]()
    seen = validate.structure

    def structure(root: Root, id: PackageId, content: Any = None) -> Any:
        def change() -> None:
            if id == package and not changed:
                changed.append(1)
                done = kept.lantai(words[0], package, *words[1:], "--reason", "更正")
                assert done.code == 0, done

        def meanwhile(reader: Any) -> Any:
            if when == "before":
                change()
            yield from content(reader)
            change()

        return seen(root, id, meanwhile if content else None)

    monkeypatch.setattr(auditing, "structure", structure)
    done = kept.lantai("audit", "--all", "--json")
    assert (done.code, done.object["failed"], done.object["warnings"]) == (0, [], []), done
    assert changed
    assert kept.lantai("audit", "--all", "--json").code == 0


@FILES
def test_what_is_being_copied_is_no_finding(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_content, audits = copy._copy_content, list[Done]()

    def copied(*words: Any) -> None:
        copy_content(*words)
        audits.append(kept.lantai("audit", "--all", "--json"))

    monkeypatch.setattr(copy, "_copy_content", copied)
    assert kept.lantai("update", kept.packages[-1], "--title", "今日", "--reason", "更正").code == 0
    (done,) = audits
    assert (done.code, done.object["failed"]) == (0, []), done
    assert kept.lantai("audit", "--all", "--json").code == 0
