"""OCFL objects on a store: what a draft writes, what a root reads, what validate finds; ocfl-py has the last word."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lantai.digest import Algorithm, Digests, digest_of
from lantai.errors import Damaged, Exists, NotFound, Rejected, StoreUnavailable
from lantai.model import PackageId
from lantai.storage import Store
from lantai.storage.filesystem import FilesystemStore
from lantai.storage.ocfl import Draft, Incoming, Root
from lantai.storage.ocfl.inventory import sidecar
from lantai.storage.ocfl.validate import structure
from tests.conformance.doubles import Crash, CrashingStore, MemoryStore
from tests.conformance.objects import (
    AT,
    PACKAGE,
    PERSON,
    Files,
    home,
    keys,
    lay,
    objects,
    of,
    read,
    refused,
    swept,
    write,
)  # fmt: skip
from tests.faults.gates import Gate

FIRST: Files = {"bagit.txt": b"bag", "data/a": b"one", "data/b/c": b"two", "data/twin": b"one", "data/活动.txt": b"x"}
OTHERS = [PackageId(f"urn:uuid:01890a5d-ac96-774b-bcce-{number:012x}") for number in range(40)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "store").mkdir()
    return lay(FilesystemStore(tmp_path / "store"))


@pytest.fixture
def root(store: Store, tmp_path: Path) -> Root:
    return home(store, tmp_path / "home")


def drafting(root: Root, *, base: int = 0, algorithms: tuple[Algorithm, ...] = ("sha256",)) -> Draft:
    return root.draft(PACKAGE, algorithms=algorithms, base=base)


def commit(draft: Draft) -> int:
    return draft.commit(message="as it was handed over", by=PERSON, at=AT)


def judged(store: Store) -> None:
    assert isinstance(store, FilesystemStore)
    assert refused(store.root / "ocfl", *objects(store.root)) == ""


# --- the judge from outside


# ocfl-py takes a line feed beside a slash for the end of a path, and so for an empty component.
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\0\n"), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))
WEIRD = st.sampled_from([
    "a%20b", "%0A", "line\nbreak", "tab\t", " lead", "trail ", "　", "é", "e\u0301", "\u2028", "\U0010ffff",
    "-rf", "'\"<&>",
    "v1", "inventory.json", "0=ocfl_object_1.1", "content", "long", "馆" * 85, "a" * 255, "a" * 300, "\\", "*?[]",
    "\u202egpj.exe", "con", "\x7f", "{}",
])  # fmt: skip
PATHS = st.lists(NAMES | WEIRD, min_size=1, max_size=3).map("/".join)


def _is_apart(paths: Iterator[str] | list[str]) -> bool:
    """No path lies below another, which no bag could hold."""
    known = set(paths)
    return not any(part in known for path in known for part in _above(path))


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


VERSIONS = st.lists(
    st.dictionaries(PATHS, st.binary(max_size=3), min_size=1, max_size=6).filter(lambda files: _is_apart(list(files))),
    min_size=1, max_size=4,
)  # fmt: skip


def test_any_files_in_any_versions_come_back_and_are_valid(tmp_path: Path) -> None:
    folders = (tmp_path / str(number) for number in count())
    made: list[Path] = []

    @settings(max_examples=60, deadline=None)
    @given(versions=VERSIONS, algorithm=st.sampled_from(["sha256", "sha512"]))
    def come_back(versions: list[Files], algorithm: Algorithm) -> None:
        folder = next(folders)
        folder.mkdir()
        store = lay(FilesystemStore(folder))
        root = home(store, tmp_path / "home")
        for base, files in enumerate(versions):
            kept = [path for path, data in (versions[base - 1] if base else {}).items() if files.get(path) == data]
            new = {path: data for path, data in files.items() if path not in kept}
            assert write(root, new, base=base, keep=kept, algorithms=[algorithm]) == base + 1
        for number, files in enumerate(versions, 1):
            assert read(root, number) == files
            with root.version(PACKAGE, number) as version:
                assert [path for path, _digests in version.paths()] == sorted(files, key=str.encode)
        assert list(structure(root, PACKAGE)) == []
        stored = [key for key in keys(store, root.object_key(PACKAGE)) if "/content/" in key]
        assert len(stored) == len({data for files in versions for data in files.values()})
        made.append(folder)

    come_back()
    assert refused(*(one for folder in made for one in (folder / "ocfl", *objects(folder)))) == ""


def test_the_judge_says_no_to_a_changed_byte(store: Store, root: Root) -> None:
    write(root, FIRST)
    judged(store)
    key = next(key for key in keys(store, root.object_key(PACKAGE)) if "/content/" in key)
    store.put(key, of(b"changed"), algorithms=())
    with pytest.raises(AssertionError):
        judged(store)


# --- a draft


def test_put_returns_every_digest_asked_for(root: Root) -> None:
    algorithms: tuple[Algorithm, ...] = ("sha256", "md5", "sm3")
    with drafting(root, algorithms=algorithms) as draft:
        assert draft.put("data/a", of(b"one")) == digest_of(b"one", algorithms)


def test_put_refuses_what_is_not_as_expected(store: Store, root: Root) -> None:
    with drafting(root) as draft:
        draft.put("data/a", of(b"one"), digest_of(b"one", ["md5"]))
        for expect in (digest_of(b"other", ["md5"]), Digests(4, {}), digest_of(b"other", ["sha256"])):
            with pytest.raises(Damaged):
                draft.put("data/b", of(b"one"), expect)
        assert [path for path, _digests in draft.paths()] == ["data/a"]
        commit(draft)
    assert read(root) == {"data/a": b"one"}
    judged(store)


def test_many_are_put_in_order_and_errors_stand_in_their_place(root: Root) -> None:
    refusal = Rejected("unreadable", subject="x", remedy="Mend it.", findings=())

    def unreadable() -> Iterator[bytes]:
        yield b"some"
        raise refusal

    wrong = digest_of(b"other", ["sha256"])
    items = [Incoming(f"data/{number:03d}", of(b"%d" % number), 4) for number in range(150)]
    items[7] = Incoming("data/007", unreadable, 4)
    items[90] = Incoming("data/090", of(b"90"), 2, wrong)
    with drafting(root) as draft:
        results = list(draft.put_many(items))
        assert len(results) == 150
        assert results[7] is refusal
        assert isinstance(results[90], Damaged)
        good = [number for number in range(150) if number not in (7, 90)]
        assert [results[number] for number in good] == [digest_of(b"%d" % number, ["sha256"]) for number in good]
        assert [path for path, _digests in draft.paths()] == [f"data/{number:03d}" for number in good]
        commit(draft)
    assert read(root) == {f"data/{number:03d}": b"%d" % number for number in good}


def test_many_are_put_at_once(root: Root) -> None:
    """Each body waits for another one to be read: one after the other would never end."""
    both = threading.Barrier(2, timeout=30)

    def meeting() -> Iterator[bytes]:
        both.wait()
        yield b"x"

    large = 64 * 1024 * 1024  # so that each is a task of its own
    with drafting(root) as draft:
        results = list(draft.put_many(Incoming(f"data/{name}", meeting, large) for name in "ab"))
    assert all(isinstance(one, Digests) for one in results)


def test_any_other_error_of_a_body_goes_through(store: Store, root: Root) -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"), drafting(root) as draft:
        list(draft.put_many([Incoming("data/a", of(b"one"), 3), Incoming("data/b", broken, 3)]))
    assert list(root.packages()) == []


def test_paths_and_read_speak_of_what_the_draft_will_hold(root: Root) -> None:
    write(root, FIRST)
    with drafting(root, base=1) as draft:
        draft.put("data/new/z", of(b"new"))
        draft.put("data/new/\U0010ffff", of(b"last"))
        draft.put("data/newer", of(b"newer"))
        draft.keep([("data/a", digest_of(b"one", ["sha256"]))])
        assert [path for path, _digests in draft.paths()] == [
            "data/a",
            "data/new/z",
            "data/new/\U0010ffff",
            "data/newer",
        ]
        assert dict(draft.paths("data/new/")) == {
            "data/new/z": digest_of(b"new", ["sha256"]), "data/new/\U0010ffff": digest_of(b"last", ["sha256"]),
        }  # fmt: skip
        assert [b"".join(draft.read(path)) for path in ("data/a", "data/new/z")] == [b"one", b"new"]
        for path in ("data/b/c", "data/new", "nothing"):
            with pytest.raises(NotFound):
                list(draft.read(path))


def test_the_same_bytes_are_stored_once(store: Store, root: Root) -> None:
    write(root, FIRST)
    place = root.object_key(PACKAGE)
    assert len([key for key in keys(store, place) if "/content/" in key]) == 4
    with drafting(root, base=1) as draft:
        for path, data in {"data/again": b"one", "data/z": b"new", "data/zz": b"new"}.items():
            draft.put(path, of(data))
        commit(draft)
    assert [key for key in keys(store, f"{place}/v2/") if "/content/" in key] == [
        f"{place}/v2/content/{draft.id}/data/z"
    ]
    assert read(root) == {"data/again": b"one", "data/z": b"new", "data/zz": b"new"}
    judged(store)


def test_keep_refuses_what_the_version_before_does_not_hold(root: Root) -> None:
    write(root, FIRST)
    with drafting(root, base=1) as draft:
        draft.keep([("data/a", Digests(3, {}))])
        for path, digests in {"data/b/c": digest_of(b"other", ["sha256"]), "data/none": Digests(3, {})}.items():
            with pytest.raises(Damaged, match=path):
                draft.keep([(path, digests)])
        assert dict(draft.paths()) == {"data/a": digest_of(b"one", ["sha256"])}


def test_an_object_keeps_its_algorithm(store: Store, root: Root) -> None:
    write(root, FIRST, algorithms=["sha512", "sha256"])
    with drafting(root, base=1) as draft:
        assert draft.algorithms == ("sha512", "sha256")
        draft.put("data/new", of(b"new"))
        commit(draft)
    inventory = json.loads(b"".join(root.chunks(root.inventory_key(PACKAGE, 2))))
    assert inventory["digestAlgorithm"] == "sha512"
    with root.version(PACKAGE) as version:
        assert version.algorithm == "sha512"
        assert list(version.paths()) == [("data/new", Digests(None, digest_of(b"new", ["sha512"]).values))]
    assert list(structure(root, PACKAGE)) == []
    judged(store)


def test_a_draft_is_not_seen_until_it_is_committed(store: Store, root: Root) -> None:
    with drafting(root) as draft:
        draft.put("data/a", of(b"one"))
        assert list(root.packages()) == []
        with pytest.raises(NotFound):
            read(root)
        commit(draft)
        assert read(root) == {"data/a": b"one"}
    assert keys(store, "staging/") == []


def test_a_draft_that_is_not_committed_leaves_nothing(store: Store, root: Root, tmp_path: Path) -> None:
    before = keys(store)
    with drafting(root) as draft:
        draft.put("data/a", of(b"one"))
    with drafting(root) as draft:
        draft.put("data/a", of(b"one"))
        draft.abandon()
        assert keys(store) == before
    assert keys(store) == before
    assert list((tmp_path / "home").iterdir()) == []
    judged(store)


def test_a_draft_that_cannot_begin_leaves_nothing(store: Store, root: Root, tmp_path: Path) -> None:
    write(root, FIRST)
    key = root.inventory_key(PACKAGE, 1)
    for data in (None, b"{"):
        store.put(key, of(data), algorithms=()) if data else store.delete(key)
        before = keys(store)
        threads = threading.active_count()
        with pytest.raises(Damaged), drafting(root, base=1):
            pytest.fail("it began")
        assert keys(store) == before
        assert list((tmp_path / "home").iterdir()) == []
        assert threading.active_count() == threads


def test_a_draft_in_a_home_that_cannot_be_written_is_told(store: Store, tmp_path: Path) -> None:
    root = home(store, tmp_path / "home")
    (tmp_path / "home").rmdir()
    (tmp_path / "home").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="home"):
        root.draft(PACKAGE, algorithms=["sha256"])


def test_the_version_of_another_is_never_replaced(store: Store, root: Root, tmp_path: Path) -> None:
    write(root, FIRST)
    with pytest.raises(Exists, match="another writer"):
        write(home(store, tmp_path / "other"), {"data/a": b"other"})
    assert read(root) == FIRST


# --- a root


def test_versions_tell_who_when_and_why(root: Root) -> None:
    write(root, FIRST)
    write(root, {"data/new": b"new"}, base=1)
    assert [(one.number, one.by, one.reason) for one in root.versions(PACKAGE)] == [
        (1, "王芳", "version 1"), (2, "王芳", "version 2"),
    ]  # fmt: skip
    assert next(root.versions(PACKAGE)).at == AT


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_version_that_is_not_there_is_not_found(root: Root, number: int) -> None:
    write(root, FIRST)
    write(root, FIRST, base=1)
    with pytest.raises(NotFound):
        read(root, number)


def test_a_reader_knows_its_files(root: Root) -> None:
    write(root, FIRST)
    with root.version(PACKAGE) as version:
        assert [path for path, _digests in version.paths("data/b/")] == ["data/b/c"]
        assert dict(version.paths()) == {
            path: Digests(None, digest_of(data, ["sha256"]).values) for path, data in FIRST.items()
        }
        for path in ("data", "data/b", "nothing", "data/a/"):
            with pytest.raises(NotFound):
                version(path)


def test_packages_are_listed_whatever_lies_among_them(store: Store, root: Root, tmp_path: Path) -> None:
    for package in OTHERS:
        write(root, {"data/a": package.encode()}, package=package)
    for package in (PackageId(f"{PACKAGE[:-1]}{digit}") for digit in "0123456789"):
        with pytest.raises(Crash), root.draft(package, algorithms=["sha256"]) as draft:
            draft.put("data/a", of(b"left behind"))
            draft.put("data/b", of(b"left behind too"))
            raise Crash
    store.put("ocfl/extensions/x/y/z/a/b", of(b"not an object"), algorithms=())
    order = sorted(OTHERS, key=root.object_key)
    assert list(root.packages()) == order
    for at in (0, 20, 38, 39):
        assert list(root.packages(after=order[at])) == order[at + 1 :]
    assert len(swept(home(store, tmp_path / "other"))) == 10
    assert list(root.packages()) == order
    store.delete("ocfl/extensions/x/y/z/a/b")
    judged(store)


def test_an_object_is_known_by_its_place(root: Root) -> None:
    place = root.object_key(PACKAGE).removeprefix("ocfl/")
    assert root.package_at(place) == PACKAGE
    for wrong in (place[1:], f"{place}/v1", "0" * 3 + place[3:], "extensions"):
        with pytest.raises(NotFound):
            root.package_at(wrong)


# --- the head, the root pair


@pytest.fixture
def two(root: Root, store: Store) -> str:
    """The key of an object of two versions."""
    write(root, FIRST)
    write(root, {"data/new": b"new"}, base=1, keep=["data/a"])
    return root.object_key(PACKAGE)


PAIR = ("inventory.json", "inventory.json.sha256")


def bytes_at(store: Store, key: str) -> bytes:
    with store.open(key) as source:
        return source.read()


def copy(store: Store, source: str, target: str) -> None:
    store.put(target, of(bytes_at(store, source)), algorithms=())


def behind(store: Store, place: str) -> None:
    for name in PAIR:
        copy(store, f"{place}/v1/{name}", f"{place}/{name}")


def mixed(store: Store, place: str) -> None:
    copy(store, f"{place}/v1/inventory.json.sha256", f"{place}/inventory.json.sha256")


def mixed_otherwise(store: Store, place: str) -> None:
    copy(store, f"{place}/v1/inventory.json", f"{place}/inventory.json")


def lost(*names: str) -> Callable[[Store, str], None]:
    def lose(store: Store, place: str) -> None:
        for name in names:
            store.delete(f"{place}/{name}")

    return lose


UNFINISHED: dict[str, tuple[Callable[[Store, str], None], set[str]]] = {
    "root pair behind": (behind, {"E064"}),
    "root pair mixed": (mixed, {"E064"}),
    "root pair mixed otherwise": (mixed_otherwise, {"E064"}),
    "no root pair": (lost(*PAIR), {"E058", "E063"}),
    "no root inventory": (lost("inventory.json"), {"E063"}),
    "no root sidecar": (lost("inventory.json.sha256"), {"E058"}),
    "no sidecar of the head": (lost("v2/inventory.json.sha256"), {"E058"}),
    "no sidecar of version 1": (lost("v1/inventory.json.sha256"), {"E058"}),
    "no declaration": (lost("0=ocfl_object_1.1"), {"E003"}),
    "nothing but the act": (lost(*PAIR, "v2/inventory.json.sha256", "0=ocfl_object_1.1"), {"E058", "E063", "E003"}),
}


@pytest.mark.parametrize("case", UNFINISHED)
def test_what_is_unfinished_is_read_told_and_finished(store: Store, root: Root, two: str, case: str) -> None:
    mutate, codes = UNFINISHED[case]
    whole = {key: bytes_at(store, key) for key in keys(store, two)}
    mutate(store, two)
    assert root.head(PACKAGE) == 2
    assert read(root) == {"data/new": b"new", "data/a": b"one"}
    assert {finding.code for finding in structure(root, PACKAGE)} == codes
    assert root.finish(PACKAGE) == 2
    assert {key: bytes_at(store, key) for key in keys(store, two)} == whole
    judged(store)


def test_finish_changes_nothing_that_is_finished(store: Store, root: Root, two: str, tmp_path: Path) -> None:
    counting = CrashingStore(store)
    assert home(counting, tmp_path / "other").finish(PACKAGE) == 2
    assert counting.operations == []


def test_a_root_inventory_ahead_of_every_version_is_damage(store: Store, root: Root, two: str) -> None:
    for name in PAIR:
        store.delete(f"{two}/v2/{name}")
    for work in (lambda: root.head(PACKAGE), lambda: read(root), lambda: root.finish(PACKAGE)):
        with pytest.raises(Damaged, match="version 2 is missing"):
            work()
    for base in (1, 2):
        with pytest.raises(Damaged):
            write(root, {"data/x": b"x"}, base=base)
    assert [finding.code for finding in structure(root, PACKAGE)] == ["E010"]


@pytest.mark.parametrize("pair", [True, False])
def test_a_gap_below_the_head_is_damage(store: Store, root: Root, two: str, pair: bool) -> None:
    write(root, {"data/third": b"3"}, base=2)
    store.delete(f"{two}/v2/inventory.json")
    if not pair:
        for name in PAIR:
            store.delete(f"{two}/{name}")
    with pytest.raises(Damaged, match="version 2 is missing"):
        root.finish(PACKAGE)
    with pytest.raises(Damaged, match="version 2 is missing"):
        write(root, {"data/x": b"x"}, base=root.head(PACKAGE))
    assert [finding.code for finding in structure(root, PACKAGE)] == ["E010"]


def test_one_package_that_is_damaged_is_listed_with_the_others(store: Store, root: Root, two: str) -> None:
    write(root, FIRST, package=OTHERS[0])
    store.put(f"{two}/inventory.json", of(b"garbage"), algorithms=())
    assert set(root.packages()) == {PACKAGE, OTHERS[0]}
    assert [finding.code for finding in structure(root, PACKAGE)] == ["E033", "E060"]
    assert list(structure(root, OTHERS[0])) == []


# --- validate


def reworked(number: int, change: Callable[[dict[str, object]], None]) -> Callable[[Store, str], None]:
    """A version's inventory changed, and every digest and copy of it put right, as a program with a fault would."""

    def mutate(store: Store, place: str) -> None:
        key = f"{place}/v{number}/inventory.json"
        inventory = json.loads(bytes_at(store, key))
        algorithm = inventory["digestAlgorithm"]
        change(inventory)
        data = json.dumps(inventory, ensure_ascii=False).encode()
        side = sidecar(digest_of(data, ["sha256"]).values["sha256"])
        for folder in (f"{place}/v{number}", *([place] if number == 2 else [])):
            store.put(f"{folder}/inventory.json", of(data), algorithms=())
            store.put(f"{folder}/inventory.json.{algorithm}", of(side), algorithms=())

    return mutate


def state(number: int) -> Callable[[dict[str, object]], dict[str, list[str]]]:
    return lambda inventory: inventory["versions"][f"v{number}"]["state"]  # type: ignore[index]


def drop_last_of_first(inventory: dict[str, object]) -> None:
    """The path that comes last of all: the one that a careless comparison misses."""
    last = state(1)(inventory)
    digest = max(last, key=lambda one: max(path.encode() for path in last[one]))
    last[digest].remove(max(last[digest], key=str.encode))
    if not last[digest]:
        del last[digest]


def a_content(store: Store, place: str) -> str:
    return next(key for key in keys(store, f"{place}/v1/content/"))


def put_at(name: str, data: bytes) -> Callable[[Store, str], None]:
    return rewritten(name, lambda _data: data)


def rewritten(name: str, change: Callable[[bytes], bytes]) -> Callable[[Store, str], None]:
    def mutate(store: Store, place: str) -> None:
        key = f"{place}/{name}"
        store.put(key, of(change(Root(store).small(key) or b"")), algorithms=())

    return mutate


def moved(inventory: dict[str, object], to: str) -> None:
    manifest: dict[str, list[str]] = inventory["manifest"]  # type: ignore[assignment]
    first = next(iter(manifest))
    manifest[first] = [to]


FAULTS: dict[str, tuple[Callable[[Store, str], None], set[str]]] = {
    "another declaration": (put_at("0=ocfl_object_1.1", b"ocfl_object_1.0\n"), {"E003"}),
    "a version is missing": (lost("v1/inventory.json"), {"E010"}),
    "an inventory is no JSON": (put_at("v1/inventory.json", b"{"), {"E033", "E060"}),
    "the root inventory is no JSON": (put_at("inventory.json", b"\xff"), {"E033", "E060"}),
    "the head's inventory is no JSON": (put_at("v2/inventory.json", b"[]x"), {"E033", "E060"}),
    "a sidecar of other bytes": (put_at("v1/inventory.json.sha256", b"0" * 64 + b" inventory.json\n"), {"E060"}),
    "a sidecar that names another file": (
        rewritten("v1/inventory.json.sha256", lambda data: data.replace(b"json", b"xml")), {"E060"},
    ),
    "a root sidecar of no version": (put_at("inventory.json.sha256", b"0" * 64 + b" inventory.json\n"), {"E060"}),
    "a root inventory of no version": (rewritten("inventory.json", lambda data: data + b"\n"), {"E060"}),
    "a surplus file in content": (put_at("v1/content/extra", b"x"), {"E023"}),
    "content of a draft that is gone": (put_at("v1/content/0123abcd/data/x", b"x"), {"E023"}),
    "a surplus file beside the versions": (put_at("README", b"x"), {"E023"}),
    "a surplus file in a version": (put_at("v1/README", b"x"), {"E023"}),
    "a sidecar of another algorithm": (put_at("v1/inventory.json.sha512", b"x"), {"E023"}),
    "a sidecar beyond the head": (put_at("v7/inventory.json.sha256", b"x"), {"E010"}),
    "content is missing": (lambda store, place: store.delete(a_content(store, place)), {"E092"}),
    "another id": (reworked(2, lambda one: one.update(id="urn:x")), {"E110"}),
    "another type": (reworked(2, lambda one: one.update(type="https://ocfl.io/1.0/spec/#inventory")), {"E038"}),
    "the head is another": (reworked(2, lambda one: one.update(head="v1")), {"E040"}),
    "a version is not told of": (reworked(2, lambda one: one["versions"].pop("v1")), {"E040", "E066"}),  # type: ignore[attr-defined]
    "an algorithm that is not permitted": (reworked(2, lambda one: one.update(digestAlgorithm="md5")), {"E025"}),
    "a digest that is none": (
        reworked(2, lambda one: one["manifest"].update({"abc": ["v2/content/0123abcd/x"]})), {"E025", "E092"},  # type: ignore[attr-defined]
    ),
    "a state without content": (reworked(2, lambda one: state(2)(one).update({"0" * 64: ["data/x"]})), {"E050"}),
    "a logical path that is none": (
        reworked(2, lambda one: next(iter(state(2)(one).values())).append("../x")), {"E052"},
    ),
    "a content path out of the object": (
        reworked(2, lambda one: moved(one, "v1/content/../../x")), {"E099", "E092", "E023"},
    ),
    "a content path outside of content": (reworked(2, lambda one: moved(one, "v1/x")), {"E099", "E092", "E023"}),
    "the versions disagree": (
        reworked(1, lambda one: next(iter(state(1)(one).values())).append("data/more")), {"E066"},
    ),
    "the head knows less of version 1": (reworked(2, drop_last_of_first), {"E066"}),
    "version 1 knows less of itself": (reworked(1, drop_last_of_first), {"E066"}),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_every_fault_has_its_code(store: Store, root: Root, two: str, case: str) -> None:
    assert list(structure(root, PACKAGE)) == []
    mutate, codes = FAULTS[case]
    mutate(store, two)
    assert {finding.code for finding in structure(root, PACKAGE)} == codes


def test_an_object_without_a_version_is_told(root: Root) -> None:
    assert "E008" in {finding.code for finding in structure(root, PACKAGE)}


def test_a_living_draft_is_no_fault(root: Root, two: str) -> None:
    with drafting(root, base=2) as draft:
        draft.put("data/x", of(b"of the draft"))
        assert list(structure(root, PACKAGE)) == []
        commit(draft)
        assert list(structure(root, PACKAGE)) == []
    assert list(structure(root, PACKAGE)) == []


def test_a_writer_that_commits_or_gives_up_meanwhile_is_no_fault(tmp_path: Path) -> None:
    for ends in ("commit", "abandon"):
        for at in range(1, 1000):
            store = lay(MemoryStore())
            root = home(store, tmp_path / "home")
            write(root, FIRST)
            with drafting(root, base=1) as draft:
                draft.put("data/x", of(b"of the draft"))
                gate = Gate(store, at=at, reads=True)
                run = gate.run(lambda gated: list(structure(Root(gated), PACKAGE)))
                waits = run.waits()
                if ends == "commit":
                    commit(draft)
            assert run.finish() == [], (ends, at)
            if not waits:
                break
        assert at > 10
