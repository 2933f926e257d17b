"""Each kind of stored thing, harmed in each way: `validate` names it, on every kind of store.

On the file system each harm is done by itself. A server is slower: there some are done at once, each to another
thing, and none that hides the rest.

LANTAI_FAULTS=full: each by itself everywhere, with many bits. LANTAI_SEED: other bits (tests/chance.py).
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import boto3
import pytest

from lantai.model import PackageId
from lantai.storage import Bucket, Store, open_store, promises
from lantai.storage.ocfl import Root
from tests.chance import seeded
from tests.conformance.objects import keys
from tests.integration.command import Done, Lantai, folder
from tests.services import bucket

FULL = os.environ.get("LANTAI_FAULTS") == "full"
BITS = 20 if FULL else 1
"""Flipped in each class of places of each thing."""
CLASSES = (rb'[][{}:,"]', rb'(?<=")[A-Za-z]+(?=" ?:)', rb"[0-9a-f]{64}", rb"\s", rb"[\s\S]")
"""Of bytes: syntax, a key's name, a digest, space, and any. Each is found to be wrong by another rule."""


Changes = Mapping[str, bytes | None]
"""Bytes by key; None: it is deleted."""


@dataclass(frozen=True, slots=True)
class Harm:
    """What is changed, and which keys validate must name for it."""

    changes: Changes
    keys: set[str]


@dataclass(frozen=True, slots=True)
class Kept:
    """An archive with a package of three versions. at: its store, in words of validate; whole: every key of the store,
    and what lies there.
    """

    backend: str
    at: Sequence[str]
    lantai: Lantai
    store: Store
    package: str
    submission: Path
    whole: Mapping[str, bytes]

    @property
    def place(self) -> str:
        return Root(self.store).object_key(PackageId(self.package))

    def content(self, version: int) -> list[str]:
        return [key for key in self.whole if key.startswith(f"{self.place}/v{version}/content/")]

    def things(self) -> dict[str, str]:
        """What is harmed: key by what it is."""
        place = self.place
        found = {
            "store.json": "store.json",
            "root declaration": "ocfl/0=ocfl_1.1",
            "layout": "ocfl/ocfl_layout.json",
            "layout's configuration": "ocfl/extensions/0003-hash-and-id-n-tuple-storage-layout/config.json",
            "layout document": "ocfl/0003-hash-and-id-n-tuple-storage-layout.md",
            "specification": "ocfl/ocfl_1.1.md",
            "schema": "schemas/premis-3.0.xsd",
            "object declaration": f"{place}/0=ocfl_object_1.1",
        }
        for folder_name in ("", "v1/", "v2/", "v3/"):
            found[f"{folder_name}inventory"] = f"{place}/{folder_name}inventory.json"
            found[f"{folder_name}sidecar"] = f"{place}/{folder_name}inventory.json.sha256"
        for version in (1, 3):
            keys = self.content(version)
            for kind in (r"\.txt", "METS.xml", "premis.xml", "manifest-sha256.txt", "bag-info.txt"):
                named = [key for key in keys if re.search(kind + "$", key)]
                found |= {f"v{version} {key.rsplit('/content/')[-1]}": key for key in (named if FULL else named[:1])}
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """What is swapped: two of one kind."""
        at = self.things()
        first = [key for key in self.content(1) if key.endswith(".txt")]
        return [
            (at["v1/inventory"], at["v2/inventory"]), (at["v2/inventory"], at["v3/inventory"]),
            (at["v1/inventory"], at["inventory"]), (at["v1/sidecar"], at["v2/sidecar"]),
            (at["v1/sidecar"], at["sidecar"]), (at["object declaration"], at["root declaration"]),
            (at["layout"], at["layout's configuration"]), (at["layout document"], at["specification"]),
            (at["schema"], "schemas/mets-1.12.xsd"), (first[0], first[1]),
            (first[-1], self.content(3)[0]), (self.content(3)[1], self.content(3)[2]),
        ]  # fmt: skip

    def put(self, key: str, data: bytes) -> None:
        self.store.put(key, lambda: (data,), algorithms=())

    @contextmanager
    def harmed(self, changed: Changes) -> Iterator[None]:
        """The store with these changes, put right afterwards."""
        try:
            for key, data in changed.items():
                if data is None:
                    self.store.delete(key)
                else:
                    self.put(key, data)
            yield
        finally:
            for key in changed:
                if key in self.whole:
                    self.put(key, self.whole[key])
                else:
                    self.store.delete(key)

    def unnamed(self, harms: Sequence[Harm], chance: random.Random) -> list[tuple[set[str], str]]:
        """The keys of harms that validate does not name, and what it says instead."""
        found = []
        for one in harms if FULL or self.backend == "filesystem" else at_once(harms, chance):
            with self.harmed(one.changes):
                done = self.lantai("validate", "--json")
            if done.code == 0 or one.keys - names(done):
                at = [(key, first_difference(self.whole.get(key, b""), data)) for key, data in one.changes.items()]
                found.append((one.keys - names(done), f"{at}: {done.out}{done.err}"))
        return found


def at_once(harms: Sequence[Harm], chance: random.Random) -> list[Harm]:
    """One harm to an inventory or sidecar, since after it no content may be looked at; and one to each other thing, but
    store.json, after which nothing may be.
    """
    inventories, others, taken = [], Harm({}, set()), {"store.json"}
    for one in chance.sample(harms, len(harms)):
        if any(re.search(r"inventory\.json(\.sha256)?$", key) for key in one.changes):
            inventories.append(one)
        elif not taken & one.changes.keys():
            others = Harm({**others.changes, **one.changes}, others.keys | one.keys)
            taken |= one.changes.keys()
    return [*inventories[:1], others]


def names(done: Done) -> set[str]:
    """What the findings name: a key, or a key and a path in it; and what an error names."""
    found: set[str] = set()
    for line in done.objects:
        for one in (*line.get("errors", ()), *line.get("warnings", ())):
            found |= set(one["subject"].split(" "))
        if "error" in line and line["error"]["subject"].endswith("/store.json"):
            found.add("store.json")
    return found


def first_difference(one: bytes, other: bytes | None) -> object:
    if other is None:
        return None
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return at, one[max(0, at - 20) : at + 20], other[at : at + 1]


def flipped(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """data with one bit changed, BITS times in each class of places that it has."""
    for pattern in CLASSES:
        spans = [match.span() for match in re.finditer(pattern, data)]
        for start, stop in (chance.choice(spans) for _one in range(BITS if spans else 0)):
            changed = bytearray(data)
            changed[chance.randrange(start, stop)] ^= 1 << chance.randrange(8)
            yield bytes(changed)


@pytest.fixture(scope="module", params=["filesystem", "moto_server", "ceph_server"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    place = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "filesystem":
            at, environment = [str(place / "store")], {}
            where: Path | Bucket = place / "store"
        else:
            server = request.getfixturevalue(request.param)
            name = bucket(server)
            at = [f"s3://{name}/兰台", "--endpoint-url", server.endpoint_url]
            where = Bucket(name, "兰台/", server.endpoint_url)
            environment = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
            for variable, value in environment.items():
                patch.setenv(variable, value)
            # One for all commands: to make one takes each longer than its work.
            session = boto3.session.Session()
            patch.setattr(boto3.session, "Session", lambda: session)
        with mock.patch.object(promises, "_RACES", ((4, 1024),)):  # the whole is tried where a server is to be refused
            done = Lantai(place, environment)("init", "home", "--name", "云岭县档案馆", "--store", *at)
        assert done.code == 0, done
        lantai = Lantai(place / "home", environment)
        submission = folder(place / "records", {"活动方案.txt": "plan\n", "照片/1.txt": "one\n", "照片/2.txt": "two\n"})
        package = lantai.stored(submission)["package"]
        for number in (2, 3):
            more = folder(place / f"more-{number}", {f"补交-{number}.txt": f"more {number}\n"})
            change = lantai("update", package, "--add", more / f"补交-{number}.txt", "--reason", "补交", "--json")
            assert change.object["version"] == number
        assert lantai("validate", "--json").objects == [
            {"object": package, "valid": True, "errors": [], "warnings": []}
        ]  # fmt: skip
        store = open_store(where)
        yield Kept(request.param, at, lantai, store, package, submission, lying(store))


def lying(store: Store) -> dict[str, bytes]:
    """All that lies there, but the journal, which grows with every look."""

    def read(key: str) -> tuple[str, bytes]:
        with store.open(key) as file:
            return key, file.read()

    with ThreadPoolExecutor(8) as pool:
        return dict(pool.map(read, (key for key in keys(store) if not key.startswith("journal/"))))


@pytest.fixture
def chance() -> random.Random:
    return seeded()


def test_a_flipped_bit_is_named(kept: Kept, chance: random.Random) -> None:
    things = kept.things().values()
    harms = [Harm({key: data}, {key}) for key in things for data in flipped(kept.whole[key], chance)]
    assert kept.unnamed(harms, chance) == []


def test_a_truncation_is_named(kept: Kept, chance: random.Random) -> None:
    harms = []
    for key in kept.things().values():
        data = kept.whole[key]
        lengths = {0, len(data) - 1, chance.randrange(len(data))}
        harms += [Harm({key: data[:length]}, {key}) for length in lengths]
    assert kept.unnamed(harms, chance) == []


def test_a_deletion_is_named(kept: Kept, chance: random.Random) -> None:
    """A version's inventory is missed by its object."""
    version = re.compile(r"/v\d/inventory\.json$")
    harms = [Harm({key: None}, {kept.place if version.search(key) else key}) for key in kept.things().values()]
    assert kept.unnamed(harms, chance) == []


def test_an_extra_file_is_named(kept: Kept, chance: random.Random) -> None:
    beside = [f"{key}.bak" for key in kept.things().values()]
    beside += ["other/thing", "ocfl/abc/thing", "ocfl/abc/def/012/thing/v1/inventory.json", f"{kept.place}/logs/thing"]
    assert kept.unnamed([Harm({key: b"extra"}, {key}) for key in beside], chance) == []


def test_what_was_swapped_is_named(kept: Kept, chance: random.Random) -> None:
    harms = [Harm({a: kept.whole[b], b: kept.whole[a]}, {a, b}) for a, b in kept.pairs()]
    harms.append(Harm({"store.json": another_archives(kept)}, {"store.json"}))
    assert kept.unnamed(harms, chance) == []


def test_a_store_is_judged_whole_without_a_home(kept: Kept) -> None:
    harms: Changes = {
        "store.json": None,
        "other/thing": b"extra",
        "schemas/premis-3.0.xsd": b"",
        "ocfl/ocfl_1.1.md": b"",
    }
    assert kept.lantai("validate", *kept.at, "--json").code == 0
    with kept.harmed(harms):
        done = kept.lantai("validate", *kept.at, "--json")
    assert done.code == 1
    assert names(done) == harms.keys()


def another_archives(kept: Kept, names: Sequence[str] = ("archive", "store", "primary")) -> bytes:
    values = json.loads(kept.whole["store.json"])
    for name in names:
        values[name] = values[name].replace("-7", "-4")
    return (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode()


def test_the_store_is_judged_with_the_whole_only(kept: Kept) -> None:
    with kept.harmed({"ocfl/0=ocfl_1.1": b"ocfl_1.0\n", "store.json": kept.whole["store.json"][:-2]}):
        done = kept.lantai("validate", "--package", kept.package, "--json")
    assert (done.code, done.object["object"], done.object["valid"]) == (0, kept.package, True)


LOST = {
    "the head's inventory": ("v3/inventory.json",),
    "its sidecar as well": ("v3/inventory.json", "v3/inventory.json.sha256"),
    "the root pair as well": ("v3/inventory.json", "inventory.json", "inventory.json.sha256"),
}


@pytest.mark.parametrize("lost", LOST)
def test_nothing_starts_from_the_version_before_a_lost_head(kept: Kept, tmp_path: Path, lost: str) -> None:
    more = folder(tmp_path / "more", {"总结.txt": "圆满结束\n"}) / "总结.txt"
    commands: list[Sequence[str | Path]] = [
        ["update", kept.package, "--add", more, "--reason", "补交"],
        ["update", kept.package, "--remove", "活动方案.txt", "--reason", "补交"],
        ["update", kept.package, "--title", "文化节", "--reason", "更正"],
        ["clean", "--older-than", "0"],
    ]
    if lost != "the root pair as well":  # a reader asks the store alone, which does not know better then
        commands += [
            ["ingest", kept.submission],
            ["export", kept.package, tmp_path / "out", "--version", "2"],
            ["export", kept.package, tmp_path / "out"],
        ]
    with kept.harmed({f"{kept.place}/{name}": None for name in LOST[lost]}):
        before = lying(kept.store)
        told = kept.lantai("validate", "--json")
        assert (told.code, told.object["object"], told.object["valid"]) == (1, kept.package, False)
        for words in commands:
            done = kept.lantai(*words, "--json")
            assert (done.code, done.error["kind"], done.error["subject"]) == (1, "Damaged", kept.package), words
        assert lying(kept.store) == before
        assert not (tmp_path / "out").exists()


def test_of_a_damaged_store_json_every_command_tells_and_writes_nothing(
    kept: Kept, tmp_path: Path, chance: random.Random
) -> None:
    whole = kept.whole["store.json"]
    harms = [None, b"", whole[:-1], another_archives(kept), another_archives(kept, ["store"]), *flipped(whole, chance)]
    more = folder(tmp_path / "more", {"总结.txt": "圆满结束\n"})
    package = kept.package
    for data in harms if FULL or kept.backend == "filesystem" else chance.sample(harms, 1):
        with kept.harmed({"store.json": data}):
            before = lying(kept.store)
            for words in (
                ["list"], ["show", package], ["search", "plan"], ["ingest", more],
                ["ingest", kept.submission, "--again"], ["update", package, "--title", "t", "--reason", "r"],
                ["export", package, tmp_path / "out"],
                ["clean", "--older-than", "0"], ["replicate"], ["check-store"], ["validate"],
            ):  # fmt: skip
                done = kept.lantai(*words, "--json")
                assert done.code != 0, (data, words)
                assert "store.json" in names(done), (data, words, done)
            assert lying(kept.store) == before
            assert not (tmp_path / "out").exists()
