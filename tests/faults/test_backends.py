"""Processes that are killed, and processes that work at once, on every kind of store.

LANTAI_FAULTS=full: as often as one would before a release. LANTAI_SEED: other points of death (tests/chance.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

import boto3
import pytest

from lantai.errors import Exists
from lantai.model import PackageId
from lantai.storage import Bucket, open_store, promises
from lantai.storage.ocfl import Root
from tests.chance import seeded
from tests.conformance.doubles import MemoryStore
from tests.conformance.objects import PACKAGE, copied, keys, lay, objects, of, refused, swept
from tests.conformance.objects import home as writing
from tests.integration.command import ENVIRONMENT, Lantai, folder
from tests.services import Server, bucket, client

FULL = os.environ.get("LANTAI_FAULTS") == "full"
KILLS = 200 if FULL else 25
ON_MOTO = 200 if FULL else 12
"""It is slow, and no server that anybody keeps an archive on."""
WRITERS, ROUNDS, ENOUGH = 8, 5 if FULL else 1, 12 if FULL else 3
PAUSE = 4.0
"""Seconds that a clean may rest: without a rest no draft would live to its end."""
PATIENCE = 300.0
"""Seconds after which a process that does not end is given up."""


@dataclass(frozen=True, slots=True)
class Process:
    """One of backend_process.py, and what it has told: told names the files."""

    server: subprocess.Popen[str]
    id: int
    told: Path

    def kill(self) -> None:
        os.kill(self.id, signal.SIGKILL)  # it is waited for by join alone, so nobody else has its id

    def join(self) -> int:
        """Its exit code; it has ended."""
        return ask(self.server, wait=self.id)

    def succeeds(self) -> None:
        code = self.join()
        assert code == 0, (code, self.lines, self.told.with_suffix(".err").read_text("utf-8"))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Whole lines only: the last may be cut by death."""
        file = self.told.with_suffix(".json")
        text = file.read_text("utf-8") if file.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    @property
    def changes(self) -> int:
        """Of the store, which a command began that ended by itself."""
        return int(self.told.with_suffix(".changes").read_text())


def ask(server: subprocess.Popen[str], **words: Any) -> int:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(words) + "\n")
    server.stdin.flush()
    ready, _, _ = select.select([server.stdout], [], [], PATIENCE)
    assert ready, f"no answer in {PATIENCE} seconds: {words}"
    return int(server.stdout.readline())


@dataclass(frozen=True, slots=True)
class Place:
    """An archive on one backend: its first home, its primary store to look at, and who starts processes."""

    lantai: Lantai
    root: Root
    processes: subprocess.Popen[str]
    server: Server | None
    bucket: str

    def another_home(self, name: str) -> Lantai:
        """Of the same archive, with a catalogue that knows what the first one knows."""
        home = self.lantai.folder.with_name(name)
        shutil.copytree(self.lantai.folder, home)
        values = json.loads((home / "home.json").read_text("utf-8"))
        (home / "home.json").write_text(json.dumps({**values, "id": str(uuid.uuid4())}), "utf-8")
        return Lantai(home, self.lantai.environment)

    def begin(self, do: str, file: str, home: Lantai, **more: Any) -> Process:
        told = self.lantai.folder.with_name("told") / file
        told.parent.mkdir(exist_ok=True)
        environment = {**ENVIRONMENT, **self.lantai.environment}
        words = {"home": str(home.folder), "told": str(told), "environment": environment, **more}
        return Process(self.processes, ask(self.processes, do=do, **words), told)

    def run(
        self, name: str, words: Sequence[str | Path], *, home: Lantai | None = None, start: str = "", at: int = 0,
        when: str = "before",
    ) -> Process:  # fmt: skip
        """A command in a process of its own."""
        told = [str(one) for one in words]
        return self.begin("command", name, home or self.lantai, words=told, start=start, at=at, when=when)


@pytest.fixture(scope="module")
def processes() -> Iterator[subprocess.Popen[str]]:
    program = [sys.executable, "-P", str(Path(__file__).with_name("backend_process.py"))]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        yield server


@pytest.fixture(params=["filesystem", "moto_server", "ceph_server"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: subprocess.Popen[str]
) -> Place:  # fmt: skip
    if request.param == "filesystem":
        server, name, words, environment = None, "", ["--store", str(tmp_path / "store")], {}
        where: Path | Bucket = tmp_path / "store"
    else:
        server = request.getfixturevalue(request.param)
        name = bucket(server)
        words = ["--store", f"s3://{name}/兰台", "--endpoint-url", server.endpoint_url]
        where = Bucket(name, "兰台/", server.endpoint_url)
        environment = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        # One for all commands: to make one takes each longer than its work.
        session = boto3.session.Session()
        monkeypatch.setattr(boto3.session, "Session", lambda: session)
    with mock.patch.object(promises, "_RACES", ((4, 1024),)):  # the whole is tried where a server is to be refused
        done = Lantai(tmp_path, environment)("init", "home", "--name", "云岭县档案馆", *words)
    assert done.code == 0, done
    return Place(Lantai(tmp_path / "home", environment), Root(open_store(where)), processes, server, name)


def submission(where: Path, *, large: bool = False) -> Path:
    """Seven small files, two of them alike; a large one goes in parts."""
    name = where.name
    files: dict[str, str | bytes] = {f"照片/{number}.jpg": f"\xff\xd8\xff{name} {number}" for number in range(4)}
    files |= {"活动方案.txt": f"plan {name}\n", "副本.txt": f"plan {name}\n", "纪要.txt": f"minutes {name}\n"}
    if large:
        files["录音.wav"] = random.Random(name).randbytes(9_000_000)
    return folder(where, files)


State = dict[str, int]
"""The newest version of each package."""


def listed(lantai: Lantai) -> State:
    """What the catalogue tells."""
    done = lantai("list", "--json")
    assert done.code == 0, done
    return {one["package"]: one["version"] for one in done.objects}


def shown(lantai: Lantai, package: str) -> list[dict[str, Any]]:
    done = lantai("show", package, "--json")
    assert done.code == 0, done
    return list(done.object["versions"])


def heads(root: Root) -> State:
    """The highest N of each package whose vN/inventory.json exists, by one listing."""
    found: State = {}
    for key in keys(root.store, "ocfl/"):
        if match := re.fullmatch(r"ocfl/.{11}/([^/]+)/v(\d+)/inventory\.json", key):
            package = unquote(match[1])
            found[package] = max(found.get(package, 0), int(match[2]))
    return found


def read_whole(root: Root, package: str, number: int) -> dict[str, bytes]:
    """Every file of a version, as a reader gets it: each must be there, with the bytes that its inventory names."""
    with root.version(PackageId(package), number) as version:
        found = {path: b"".join(version(path)) for path, _digests in version.paths()}
        for path, digests in version.paths():
            assert hashlib.sha256(found[path]).hexdigest() == digests.values["sha256"], path
    return found


def judged(root: Root, copy: Path) -> None:
    """The judge from outside says yes to the root and to every object, and there are no others."""
    store = copied(root.store, copy)
    assert {path.name.replace("%3a", ":") for path in objects(store)} == set(heads(root))
    assert refused(store / "ocfl", *objects(store)) == ""


def nothing_is_left(place: Place, tmp_path: Path) -> None:
    """No staging, no draft, no unfinished upload, nothing that no inventory names; the judge says yes to all."""
    assert keys(place.root.store, "staging/") == []
    judged(place.root, tmp_path / "judged")
    drafts = place.lantai.folder / "drafts"
    assert not drafts.exists() or list(drafts.iterdir()) == []
    if place.server is not None:
        with closing(client(place.server)) as raw:
            assert raw.list_multipart_uploads(Bucket=place.bucket).get("Uploads", []) == []
    done = place.lantai("validate", tmp_path / "judged" / "ocfl", "--json")
    assert [one for one in done.objects if not one["valid"]] == []
    assert done.code == 0


# --- killed


class Killing:
    """Ingests and updates that are killed, one after the other, each at another point of its way."""

    def __init__(self, place: Place, folder: Path, chance: random.Random) -> None:
        self.place, self.folder, self.chance = place, folder, chance
        self.names = count(1)
        self.state: State = {}
        self.met: Counter[tuple[str, str]] = Counter()
        self.length: dict[str, tuple[int, float]] = {}
        """Of a run that nobody kills: changes of the store, and seconds."""
        for kind in ("ingest", "update"):
            words, _package = self.words(kind)
            begun = time.monotonic()
            process = place.run(f"whole-{kind}", words)
            process.succeeds()
            self.length[kind] = (process.changes, time.monotonic() - begun)
            self.state = listed(place.lantai)
        self.length["clean"] = self.length["ingest"]

    def words(self, kind: str) -> tuple[list[str | Path], str | None]:
        """A command that changes the archive, and the package that it changes."""
        name = f"{kind}-{next(self.names)}"
        if kind == "ingest":
            return ["ingest", submission(self.folder / name, large=self.chance.random() < 0.2), "--json"], None
        package = self.chance.choice(list(self.state)[-4:])
        file = folder(self.folder / name, {f"{name}.txt": f"added {name}\n"}) / f"{name}.txt"
        return ["update", package, "--add", file, "--reason", name, "--json"], package

    def kill(self, kind: str, words: Sequence[str | Path], name: str, part: float) -> list[dict[str, Any]]:
        """The command, killed when part of its way is done, counted in changes of the store or in seconds."""
        changes, seconds = self.length[kind]
        if self.chance.random() < 0.6:
            when = self.chance.choice(["before", "after"])
            process = self.place.run(name, words, at=1 + int(part * changes), when=when)
        else:
            process = self.place.run(name, words)
            time.sleep(part * seconds)
            process.kill()
        killed = process.join() == -signal.SIGKILL
        if not killed:  # the machine is quicker now than it was
            self.length[kind] = (changes, seconds * 0.9)
        self.met[name.split("-")[0], "killed" if killed else "ended before"] += 1
        return process.lines

    def look(self, package: str | None, stored: bool) -> bool:
        """Whether the new state is there; it is that or the old one, to the catalogue and to a reader of the store."""
        now = listed(self.place.lantai)
        kept = heads(self.place.root)
        fresh = [one for one in kept if one not in self.state]
        assert len(fresh) <= (package is None)
        changed = package or next(iter(fresh), "")
        new = {**self.state, changed: self.state.get(changed, 0) + 1} if changed else self.state
        assert kept in (self.state, new)
        assert now in (self.state, kept)
        if changed in kept:
            read_whole(self.place.root, changed, kept[changed])
        if stored:
            assert now == kept == new != self.state
        if changed in now:
            assert [one["version"] for one in shown(self.place.lantai, changed)] == [*range(1, now[changed] + 1)]
        return kept != self.state

    def go_on(self, kind: str, words: Sequence[str | Path], became: bool) -> None:
        """The next command of the home works, be it the same again, another or a clean; and tells all that there is."""
        next_one = self.chance.choice(["again", "again", "other", "other", "clean"])
        expected = sum(self.state.values()) + became
        if next_one == "clean":
            done = self.place.lantai("clean", "--json")
            assert done.code == 0, done
        else:
            if next_one == "other" or kind == "update":  # the same file cannot be added twice
                words, _package = self.words("ingest" if next_one == "other" else "update")
            done = self.place.lantai(*words)
            assert done.code == 0, done
            if next_one == "again" and kind == "ingest" and became:
                assert done.object["status"] == "present"
            expected += done.object["status"] == "stored"
        now = listed(self.place.lantai)
        assert now == heads(self.place.root)
        # One more, if the commit was asked for, and what was killed between that and the act.
        assert sum(now.values()) - expected in ((0,) if became else (0, 1))
        self.state = now


def test_a_process_killed_at_any_moment_leaves_the_old_state_or_the_new(
    place: Place, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Every fourth time what follows is killed as well, so that settling what was left is interrupted too."""
    chance, kills = seeded(), ON_MOTO if "moto" in request.node.name else KILLS
    killing = Killing(place, tmp_path / "submissions", chance)
    left: Counter[tuple[str, str]] = Counter()
    for number in range(kills):
        kind = chance.choice(["ingest", "update"]) if number % 2 else "ingest"
        words, package = killing.words(kind)
        lines = killing.kill(kind, words, f"killed-{number}", (number + chance.random()) / kills)
        stored = any(one.get("status") == "stored" for one in lines)
        became = killing.look(package, stored)
        left[kind, "new" if became else "old"] += 1
        if number % 4 == 3:
            killing.kill("clean", ["clean", "--json"], f"settling-{number}", chance.uniform(0, 0.3))
            became = killing.look(package, stored)
        killing.go_on(kind, words, became)
    print(dict(left), dict(killing.met), killing.length)
    assert killing.met["killed", "killed"] >= kills * 0.4  # those that die by the clock may have ended before
    assert {state for _kind, state in left} == {"old", "new"}
    assert place.lantai("clean", "--older-than", "0").code == 0
    assert listed(place.lantai) == killing.state
    nothing_is_left(place, tmp_path)


# --- at once


def test_of_many_that_update_one_package_while_it_is_cleaned_none_is_told_a_lie(place: Place, tmp_path: Path) -> None:
    """Half of them in one home, half each in its own; what was refused is done again."""
    seed = seeded().randrange(1 << 32)
    package = place.lantai.stored(submission(tmp_path / "first"))["package"]
    homes = [place.another_home(f"home-{number}") for number in range(WRITERS // 2 + 1)]
    homes += [place.lantai] * (WRITERS - len(homes) + 1)
    won: dict[int, str] = {}
    newest: dict[Path, int] = {}
    answers: Counter[str] = Counter()
    settled: list[str] = []
    for turn in range(ROUNDS):
        start, end = tmp_path / f"start-{turn}", tmp_path / f"end-{turn}"
        times = {"start": str(start), "end": str(end)}
        cleaner = place.begin("cleaning", f"{turn}-clean", homes[0], pause=PAUSE, seed=seed + turn, **times)
        writers: list[Process] = []
        for at, home in enumerate(homes[1:]):
            name = f"{turn}-{at}"
            writers.append(place.begin("updating", name, home, package=package, name=name, **times))
        start.touch()
        deadline = time.monotonic() + PATIENCE
        while sum("version" in line for process in writers for line in process.lines) < ENOUGH:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        end.touch()
        for process in (*writers, cleaner):
            process.succeeds()
        settled += [one for line in cleaner.lines for one in (line["settled"] or ["nothing"])]
        for home, process in zip(homes[1:], writers, strict=True):
            for line in process.lines:
                answers[re.sub(r"\d+", "N", line.get("what", "stored"))] += 1
                if "version" in line:
                    assert won.setdefault(line["version"], line["reason"]) == line["reason"]
                    newest[home.folder] = max(newest.get(home.folder, 0), line["version"])
                else:
                    assert line["kind"] == "Exists", line
    print(dict(answers), "clean:", dict(Counter(settled)))

    assert place.lantai("clean", "--older-than", "0").code == 0
    judged(place.root, tmp_path / "after one clean")
    versions = list(place.root.versions(PackageId(package)))
    assert {one.number: one.reason for one in versions[1:]} == won
    for one in versions:
        files = read_whole(place.root, package, one.number)
        added = {data.decode() for path, data in files.items() if re.search(r"/\d+-\d+-\d+\.txt$", path)}
        assert added == {won[number] for number in range(2, one.number + 1)}
    for home in {one.folder: one for one in homes}.values():
        assert home("clean", "--older-than", "0").code == 0
        assert listed(home)[package] >= newest.get(home.folder, 1), "what a home was told, its catalogue knows"
    nothing_is_left(place, tmp_path)


@pytest.mark.parametrize("cleans", [1, 2])
def test_a_writer_that_misses_what_it_wrote_is_told_of_the_clean(tmp_path: Path, cleans: int) -> None:
    """It reads its own documents before it asks for the commit."""
    store = lay(MemoryStore())
    with pytest.raises(Exists, match="given up by a clean"), writing(store, tmp_path / "a").draft(
        PACKAGE, algorithms=["sha256"]
    ) as draft:  # fmt: skip
        draft.put("data/a", of(b"a"))
        assert [one.outcome for one in swept(writing(store, tmp_path / "b"), turns=cleans)] == ["removed"]
        list(draft.read("data/a"))
    assert keys(store, "staging/") == keys(store, Root(store).object_key(PACKAGE)) == []


@pytest.mark.parametrize("homes", ["two homes", "one home"])
def test_of_overlapping_ingests_of_one_submission_nothing_is_lost(place: Place, tmp_path: Path, homes: str) -> None:
    other = place.another_home("other") if homes == "two homes" else place.lantai
    known: set[str] = set()
    for turn in range(8 if FULL else 2):
        words = ["ingest", str(submission(tmp_path / f"records-{turn}")), "--json"]
        start = tmp_path / f"start-{turn}"
        runs = [place.run(f"{turn}-{home.folder.name}-{at}", words, home=home, start=str(start))
                for at, home in enumerate((place.lantai, other))]  # fmt: skip
        start.touch()
        answers = []
        for process in runs:
            process.succeeds()
            answers += process.lines
        assert sorted(one["status"] for one in answers) in (["present", "stored"], ["stored", "stored"])
        known |= {one["package"] for one in answers}
        assert heads(place.root) == dict.fromkeys(known, 1)
        for one in answers:
            read_whole(place.root, one["package"], 1)
        assert keys(place.root.store, "staging/") == []
    nothing_is_left(place, tmp_path)


def test_a_home_that_names_the_stores_in_another_order_is_refused(place: Place, tmp_path: Path) -> None:
    settings = place.lantai.folder / "lantai.toml"
    head, first, rest = split(settings.read_text("utf-8"))
    (tmp_path / "copy").mkdir()
    second = f'[[store]]\nname = "copy"\npath = "{tmp_path / "copy"}"\n\n'
    settings.write_text(head + first + second + rest, "utf-8")
    place.lantai.stored(submission(tmp_path / "first"))
    other = place.another_home("other")
    (other.folder / "lantai.toml").write_text(head + second + first + rest, "utf-8")

    def stored() -> list[str]:
        return keys(place.root.store) + sorted(str(path) for path in (tmp_path / "copy").rglob("*"))

    before = stored()
    (package,) = listed(place.lantai)
    for words in (
        ["ingest", str(submission(tmp_path / "second")), "--json"], ["clean", "--older-than", "0", "--json"],
        ["update", package, "--title", "t", "--reason", "r", "--json"], ["list", "--json"], ["replicate", "--json"],
    ):  # fmt: skip
        process = place.run(f"refused-{words[0]}", words, home=other)
        assert process.join() == 2
        (line,) = process.lines
        assert line["error"]["kind"] == "UsageError"
        assert "primary" in line["error"]["what"]
    assert stored() == before
    place.lantai.stored(submission(tmp_path / "second"))


def split(settings: str) -> tuple[str, str, str]:
    """What stands before the only store, the store, what stands after it."""
    start, end = settings.index("[[store]]"), settings.index("[ingest]")
    return settings[:start], settings[start:end], settings[end:]
