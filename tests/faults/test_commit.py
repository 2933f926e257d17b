"""The commit under attack: a crash at every point, others at work beside it, the cases that once went wrong."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest

from lantai.errors import Damaged, Exists, Rejected, StoreUnavailable
from lantai.storage import Body, Store
from lantai.storage.filesystem import FilesystemStore
from lantai.storage.ocfl import Incoming, Root
from lantai.storage.ocfl.clean import ABANDONED, COMMIT, Settled, clean, settle_own
from lantai.storage.ocfl.validate import structure
from tests.conformance.doubles import Crash, CrashingStore, FaultyStore, MemoryStore, When
from tests.conformance.objects import (
    AT,
    PACKAGE,
    PERSON,
    Files,
    copied,
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
from tests.faults.gates import Gate, Run

FIRST: Files = {
    "bagit.txt": b"bag",
    "data/a": b"one",
    "data/b/c": b"two",
    "data/twin": b"one",
    "data/活动.txt": b"x" * 99,
}
KEPT = ("bagit.txt", "data/a", "data/twin")
ADDED: Files = {"data/new": b"three", "data/same": b"two"}
SECOND: Files = {**ADDED, **{path: FIRST[path] for path in KEPT}}

Fresh = Callable[[], Store]
AStore = TypeVar("AStore", bound=Store)


@pytest.fixture(params=["memory", "filesystem"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    """Makes stores with an OCFL root in them."""
    numbers = count()

    def make() -> Store:
        if request.param == "memory":
            return lay(MemoryStore())
        folder = tmp_path / "stores" / str(next(numbers))
        folder.mkdir(parents=True)
        return lay(FilesystemStore(folder))

    return make


def begun(store: AStore, folder: Path, number: int) -> AStore:
    """store with the versions before number."""
    if number == 2:
        write(home(store, folder), FIRST)
    return store


def go_on(root: Root, number: int) -> None:
    """Write version number."""
    if number == 1:
        write(root, FIRST)
    else:
        write(root, ADDED, base=1, keep=KEPT)


OLD: dict[int, Files | None] = {1: None, 2: FIRST}
NEW: dict[int, Files] = {1: FIRST, 2: SECOND}


def seen(store: Store) -> Files | None:
    """What a reader sees of the package; None: there is none. Every version must be whole."""
    root = Root(store)
    head = root.head(PACKAGE)
    assert list(root.packages()) == ([PACKAGE] if head else [])
    versions = [read(root, number) for number in range(1, head + 1)]
    return versions[-1] if versions else None


def in_order(store: Store) -> None:
    """Nothing is unfinished, and nothing left that no inventory names; a draft's outcome may stay in staging."""
    root = Root(store)
    if root.head(PACKAGE):
        assert [finding.message for finding in structure(root, PACKAGE)] == []
    else:
        assert keys(store, root.object_key(PACKAGE)) == []
    for key in keys(store, "staging/"):
        assert key.endswith("/outcome")
        assert root.small(key) == ABANDONED


def judged(tmp_path: Path, stores: list[Store]) -> None:
    """The judge from outside says yes to every object and every root."""
    found = [
        store.root if isinstance(store, FilesystemStore) else copied(store, tmp_path / "judged" / str(at))
        for at, store in enumerate(stores)
    ]
    assert refused(*(root / "ocfl" for root in found), *(one for root in found for one in objects(root))) == ""


def crashed(store: Store, folder: Path, work: Callable[[Root], object], at: int, when: When) -> CrashingStore:
    crashing = CrashingStore(store, at=at, when=when)
    with pytest.raises(Crash):
        work(home(crashing, folder))
    return crashing


def changes(store: Store, folder: Path, work: Callable[[Root], object]) -> list[str]:
    """What work changes, operation by operation."""
    counting = CrashingStore(store)
    work(home(counting, folder))
    return counting.operations


# --- a crash at every point


@pytest.mark.parametrize("when", ["before", "during", "after"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("settler", ["its own home", "another home"])
def test_a_crash_leaves_the_old_state_or_the_new(
    fresh: Fresh, tmp_path: Path, settler: str, number: int, when: When
) -> None:
    total = changes(begun(fresh(), tmp_path / "a", number), tmp_path / "a", lambda root: go_on(root, number))
    act = next(at for at, name in enumerate(total, 1) if name.startswith("create ocfl/"))
    asked = next(at for at, name in enumerate(total, 1) if name.endswith("/outcome"))
    assert asked < act < len(total)
    stores: list[Store] = []
    for at in range(1, len(total) + 1):
        store = begun(fresh(), tmp_path / "a", number)
        crashed(store, tmp_path / "a", lambda root: go_on(root, number), at, when)
        after = at > act or (at == act and when == "after")
        assert seen(store) == (NEW if after else OLD)[number], total[at - 1]

        settled = (
            list(settle_own(home(store, tmp_path / "a"), tmp_path / "a"))
            if settler == "its own home"
            else swept(home(store, tmp_path / "b"), turns=2)
        )
        committed = at > asked or (at == asked and when == "after")
        assert seen(store) == (NEW if committed else OLD)[number], total[at - 1]
        assert [one.outcome for one in settled] in ([], ["completed" if committed else "removed"]), total[at - 1]
        in_order(store)
        if settler == "its own home":
            assert keys(store, "staging/") == []
            assert list((tmp_path / "a").iterdir()) == []
        shutil.rmtree(tmp_path / "a")

        new = home(store, tmp_path / "c")
        write(new, {"data/next": b"next"}, base=new.head(PACKAGE))
        in_order(store)
        stores.append(store)
    judged(tmp_path, stores)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_clean_that_crashes_is_done_again(tmp_path: Path, when: When) -> None:
    stores: list[Store] = []
    total = changes(lay(MemoryStore()), tmp_path / "a", lambda root: go_on(root, 1))
    for at in range(1, len(total) + 1):
        for second in count(1):
            store = lay(MemoryStore())
            crashed(store, tmp_path / "a", lambda root: go_on(root, 1), at, "after")
            cleaning = CrashingStore(store, at=second, when=when)
            try:
                swept(home(cleaning, tmp_path / "b"))
            except Crash:
                alive = False
            else:
                alive = True
            asked = any("/outcome" in one for one in total[:at])
            assert seen(store) in ((None, FIRST) if asked else (None,))
            swept(home(store, tmp_path / "b"), turns=2)
            assert seen(store) == (FIRST if asked else None)
            in_order(store)
            stores.append(store)
            if alive:
                break
    judged(tmp_path, stores[:: max(1, len(stores) // 40)])


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_crash_while_a_draft_is_given_up_leaves_the_old_state(fresh: Fresh, tmp_path: Path, when: When) -> None:
    def give_up(root: Root) -> None:
        with pytest.raises(Rejected), root.draft(PACKAGE, algorithms=["sha256"]) as draft:
            for path, data in FIRST.items():
                draft.put(path, of(data))
            raise Rejected("refused", subject="s", remedy="Mend it.", findings=())

    for at in range(1, len(changes(fresh(), tmp_path / "a", give_up)) + 1):
        store = fresh()
        crashing = CrashingStore(store, at=at, when=when)
        with pytest.raises(Crash):
            give_up(home(crashing, tmp_path / "a"))
        list(settle_own(home(store, tmp_path / "a"), tmp_path / "a"))
        assert keys(store, "staging/") == keys(store, Root(store).object_key(PACKAGE)) == []
        go_on(home(store, tmp_path / "a"), 1)
        in_order(store)


def test_a_cut_of_power_after_the_act_loses_nothing(tmp_path: Path) -> None:
    total = changes(lay(MemoryStore()), tmp_path / "a", lambda root: go_on(root, 1))
    for at in range(1, len(total) + 1):
        memory = MemoryStore()
        crashed(lay(memory), tmp_path / "a", lambda root: go_on(root, 1), at, "after")
        memory.power_cut()
        assert seen(memory) in (None, FIRST)
        assert (seen(memory) == FIRST) == any(one.startswith("create ocfl/") for one in total[:at])
        list(settle_own(home(memory, tmp_path / "a"), tmp_path / "a"))
        assert (seen(memory) == FIRST) == any(one.endswith("/outcome") for one in total[:at])
        in_order(memory)


# --- others at work meanwhile


def interleaved(
    ready: MemoryStore, first: Callable[[Store], object], second: Callable[[Store], object],
    *, reads: tuple[bool, bool] = (False, True),
) -> Iterator[tuple[Store, object, object]]:  # fmt: skip
    """first up to each of its operations, second up to each of its own, the rest of first, the rest of second.

    reads: whether those that only read count, of first and of second.

    Yields the store, and what each returned or raised.
    """
    for one in count(1):
        reached_one = False
        for two in count(1):
            store = ready.copy()
            left, right = Gate(store, at=one, reads=reads[0]), Gate(store, at=two, reads=reads[1])
            outcome = left.run(first), right.run(second)
            reached_one |= outcome[0].waits()
            reached_two = outcome[1].waits()
            results = outcome[0].finish(), outcome[1].finish()
            yield store, *results
            if not reached_two:
                break
        if not reached_one:
            return


def the_writer_is_told_the_truth(store: Store, told: object, number: int) -> None:
    """Success means that the version is there, whole; Exists that it is not this writer's; nothing else is said."""
    if isinstance(told, BaseException):
        assert isinstance(told, Exists), repr(told)
        assert seen(store) == OLD[number]
    else:
        assert seen(store) == NEW[number]


@pytest.mark.parametrize("number", [1, 2])
def test_a_clean_beside_a_living_writer_decides_once(tmp_path: Path, number: int) -> None:
    ready = begun(lay(MemoryStore()), tmp_path / "a", number)
    outcomes = set()
    for store, told, cleaned in interleaved(
        ready,
        lambda store: go_on(home(store, tmp_path / "a"), number),
        lambda store: swept(home(store, tmp_path / "b")),
    ):
        assert not isinstance(cleaned, BaseException), repr(cleaned)
        the_writer_is_told_the_truth(store, told, number)
        outcomes.add(type(told))
        list(settle_own(home(store, tmp_path / "a"), tmp_path / "a"))
        swept(home(store, tmp_path / "b"), turns=2)
        the_writer_is_told_the_truth(store, told, number)
        in_order(store)
    assert outcomes == {type(None), Exists}


def test_two_cleans_of_one_dead_draft_end_as_one(tmp_path: Path) -> None:
    files: Files = {"data/a": b"one"}
    total = changes(lay(MemoryStore()), tmp_path / "a", lambda root: write(root, files))
    asked = next(at for at, name in enumerate(total, 1) if name.endswith("/outcome"))
    for at in (asked - 1, asked, asked + 1):
        ready = MemoryStore()
        crashed(lay(ready), tmp_path / "a", lambda root: write(root, files), at, "after")
        for store, *cleaned in interleaved(
            ready, lambda store: swept(home(store, tmp_path / "b")), lambda store: swept(home(store, tmp_path / "c"))
        ):
            assert not any(isinstance(one, BaseException) for one in cleaned), cleaned
            swept(home(store, tmp_path / "b"), turns=2)
            assert seen(store) == (None if at < asked else files)
            in_order(store)


@pytest.mark.parametrize("number", [1, 2])
def test_of_two_writers_of_one_version_one_is_told_that_it_lost(tmp_path: Path, number: int) -> None:
    theirs: Files = {"data/theirs": b"other"}

    ready = begun(lay(MemoryStore()), tmp_path / "a", number)
    for store, ours, other in interleaved(
        ready,
        lambda store: go_on(home(store, tmp_path / "a"), number),
        lambda store: write(home(store, tmp_path / "b"), theirs, base=number - 1),
    ):
        lost = [one for one in (ours, other) if isinstance(one, Exists)]
        assert len(lost) == 1, (ours, other)
        assert "another writer" in lost[0].what
        assert seen(store) == (theirs if lost[0] is ours else NEW[number])
        for folder in ("a", "b"):
            list(settle_own(home(store, tmp_path / folder), tmp_path / folder))
        assert seen(store) == (theirs if lost[0] is ours else NEW[number])
        in_order(store)
        assert keys(store, "staging/") == []


@pytest.mark.parametrize("begins", ["the writer", "the clean"])
def test_a_clean_takes_nothing_from_a_draft_with_a_sign_of_life(tmp_path: Path, begins: str) -> None:
    """Content is listed, then staging, then the inventories: in any other order what is put in between would go."""
    ready = begun(lay(MemoryStore()), tmp_path / "a", 2)

    def add(store: Store) -> None:
        go_on(home(store, tmp_path / "a"), 2)

    def look(store: Store) -> None:
        assert list(clean(home(store, tmp_path / "b"), older_than=timedelta(days=1), now=datetime.now(UTC))) == []

    for store, *told in (
        interleaved(ready, add, look) if begins == "the writer" else interleaved(ready, look, add, reads=(True, False))
    ):
        assert told == [None, None]
        assert seen(store) == SECOND
        in_order(store)
        assert keys(store, "staging/") == []


# --- cases with a name


def sleeping_before(store: Store, folder: Path, ending: str) -> Run:
    """A living writer of version 1 that sleeps before its first change of a key with that ending."""
    total = changes(lay(MemoryStore()), folder.with_name("counted"), lambda root: go_on(root, 1))
    at = next(at for at, name in enumerate(total, 1) if name.endswith(ending))
    run = Gate(store, at=at, reads=False).run(lambda store: go_on(home(store, folder), 1))
    assert run.waits()
    return run


@pytest.mark.parametrize("cleans", [1, 2, 3])
@pytest.mark.parametrize("ending", ["/data/b/c", "/inventory.json", "/outcome"])
def test_the_sleeping_laptop_commits_no_version_without_content(
    fresh: Fresh, tmp_path: Path, ending: str, cleans: int
) -> None:
    store = fresh()
    sleeper = sleeping_before(store, tmp_path / "a", ending)
    assert [one.outcome for one in swept(home(store, tmp_path / "b"), turns=cleans)] == ["removed"]
    assert [key.rsplit("/", 1)[1] for key in keys(store, "staging/")] == ["outcome"]
    told = sleeper.finish()
    assert isinstance(told, Exists)
    assert "clean" in told.what
    assert seen(store) is None
    list(settle_own(home(store, tmp_path / "a"), tmp_path / "a"))
    assert keys(store, "staging/") == keys(store, Root(store).object_key(PACKAGE)) == []


def test_the_outcome_of_a_sleeper_goes_once_its_number_is_taken(fresh: Fresh, tmp_path: Path) -> None:
    store = fresh()
    sleeper = sleeping_before(store, tmp_path / "a", "/outcome")
    swept(home(store, tmp_path / "b"), turns=2)
    write(home(store, tmp_path / "b"), {"data/other": b"other"})
    swept(home(store, tmp_path / "b"))
    assert keys(store, "staging/") == []
    assert isinstance(sleeper.finish(), Exists)
    swept(home(store, tmp_path / "b"), turns=2)
    assert seen(store) == {"data/other": b"other"}
    in_order(store)


class LosesTheAnswer(FaultyStore):
    """Of every create below a prefix the answer is lost."""

    prefix = "ocfl/"

    def create(self, key: str, body: Body) -> None:
        self.store.create(key, body)
        if key.startswith(self.prefix):
            raise StoreUnavailable("the answer was lost", subject=key, remedy="Try again.")


@pytest.mark.parametrize("settler", ["a", "b"])
@pytest.mark.parametrize("prefix", ["ocfl/", "staging/"])
def test_a_lost_answer_leaves_the_decision_to_the_next(fresh: Fresh, tmp_path: Path, prefix: str, settler: str) -> None:
    store = fresh()
    losing = LosesTheAnswer(store)
    with pytest.raises(StoreUnavailable), home(losing, tmp_path / "a").draft(PACKAGE, algorithms=["sha256"]) as draft:
        draft.put("data/a", of(b"one"))
        losing.prefix = prefix
        draft.commit(message="one", by=PERSON, at=AT)
    root = home(store, tmp_path / settler)
    settled = list(settle_own(root, tmp_path / "a")) if settler == "a" else swept(root)
    assert settled == [Settled(PACKAGE, 1, draft.id, "completed")]
    assert seen(store) == {"data/a": b"one"}
    in_order(store)


def test_who_finds_its_own_version_has_not_lost(fresh: Fresh, tmp_path: Path) -> None:
    """A clean completed the draft and forgot it; another one found no outcome, and made one."""
    store = fresh()
    root = home(store, tmp_path / "a")
    with root.draft(PACKAGE, algorithms=["sha256"]) as draft:
        draft.put("data/a", of(b"one"))
        crashing = CrashingStore(store)
        draft.root = home(crashing, tmp_path / "other")
        total = changes(lay(MemoryStore()), tmp_path / "counted", lambda root: write(root, {"data/a": b"one"}))
        crashing.at = next(at for at, name in enumerate(total, 1) if name.startswith("create ocfl/")) - 2
        with pytest.raises(Crash):
            draft.commit(message="one", by=PERSON, at=AT)
        assert swept(home(store, tmp_path / "b")) == [Settled(PACKAGE, 1, draft.id, "completed")]
        store.create(draft.staging + "outcome", of(ABANDONED))
        draft.root = root
        assert draft.commit(message="one", by=PERSON, at=AT) == 1
    assert seen(store) == {"data/a": b"one"}
    in_order(store)
    assert keys(store, "staging/") == []


def test_a_version_without_content_of_its_own_is_known_as_its_drafts(fresh: Fresh, tmp_path: Path) -> None:
    store = begun(fresh(), tmp_path / "a", 2)

    def shorten(root: Root) -> None:
        write(root, {}, base=1, keep=["data/a"])

    total = changes(begun(fresh(), tmp_path / "x", 2), tmp_path / "x", shorten)
    act = next(at for at, name in enumerate(total, 1) if name.startswith("create ocfl/"))
    crashed(store, tmp_path / "a", shorten, act, "after")
    assert [one.outcome for one in settle_own(home(store, tmp_path / "a"), tmp_path / "a")] == ["completed"]
    assert seen(store) == {"data/a": b"one"}
    in_order(store)


def test_a_late_put_of_a_dead_attempt_is_removed(fresh: Fresh, tmp_path: Path) -> None:
    store = fresh()
    with pytest.raises(Crash), home(store, tmp_path / "a").draft(PACKAGE, algorithms=["sha256"]) as draft:
        draft.put("data/a", of(b"one"))
        raise Crash
    assert len(list(settle_own(home(store, tmp_path / "a"), tmp_path / "a"))) == 1
    late = f"{draft.object}/v1/content/{draft.id}/data/late"
    store.put(late, of(b"late"), algorithms=())
    assert list(Root(store).packages()) == []
    assert swept(home(store, tmp_path / "b")) == [Settled(PACKAGE, 1, draft.id, "removed")]
    assert keys(store, draft.object) == []
    go_on(home(store, tmp_path / "a"), 1)
    store.put(late, of(b"late"), algorithms=())
    assert [finding.code for finding in structure(Root(store), PACKAGE)] == ["E023"]
    assert len(swept(home(store, tmp_path / "b"))) == 1
    assert seen(store) == FIRST
    in_order(store)


def test_the_sidecar_that_nobody_wrote_is_written_by_the_next_writer(fresh: Fresh, tmp_path: Path) -> None:
    store = fresh()
    total = changes(fresh(), tmp_path / "x", lambda root: go_on(root, 1))
    act = next(at for at, name in enumerate(total, 1) if name.startswith("create ocfl/"))
    crashed(store, tmp_path / "a", lambda root: go_on(root, 1), act, "after")
    object_key = Root(store).object_key(PACKAGE)
    assert f"{object_key}/v1/inventory.json.sha256" not in keys(store)
    go_on(home(store, tmp_path / "b"), 2)
    assert {f"{object_key}/v{number}/inventory.json.sha256" for number in (1, 2)} <= set(keys(store))
    swept(home(store, tmp_path / "b"))
    assert seen(store) == SECOND
    in_order(store)


def test_a_commit_without_its_inventory_is_taken_back(fresh: Fresh, tmp_path: Path) -> None:
    store = fresh()
    with pytest.raises(Crash), home(store, tmp_path / "a").draft(PACKAGE, algorithms=["sha256"]) as draft:
        draft.put("data/a", of(b"one"))
        raise Crash
    store.create(draft.staging + "outcome", of(COMMIT))
    assert swept(home(store, tmp_path / "b")) == [Settled(PACKAGE, 1, draft.id, "removed")]
    assert keys(store, draft.object) == []
    assert keys(store, draft.staging) == [draft.staging + "outcome"]


def test_what_is_left_of_a_sleeper_is_told_of_once(fresh: Fresh, tmp_path: Path) -> None:
    store = fresh()
    with pytest.raises(Crash), home(store, tmp_path / "a").draft(PACKAGE, algorithms=["sha256"]) as draft:
        draft.put("data/a", of(b"one"))
        raise Crash
    root = home(store, tmp_path / "b")
    assert [len(swept(root)) for _turn in range(3)] == [1, 0, 0]
    assert keys(store, "staging/") == [draft.staging + "outcome"]


def test_what_follows_a_commit_and_fails_is_done_by_the_next_run(fresh: Fresh, tmp_path: Path) -> None:
    """The version is there, and the home's catalogue does not know it: the next run must be told."""
    store = fresh()
    root = home(store, tmp_path / "a")
    with pytest.raises(StoreUnavailable, match="locked"), root.draft(PACKAGE, algorithms=["sha256"]) as draft:
        draft.put("data/a", of(b"one"))
        draft.commit(message="one", by=PERSON, at=AT)
        raise StoreUnavailable("the catalogue is locked", subject="catalog.db", remedy="Try again.")
    telling = settle_own(root, tmp_path / "a")
    assert next(telling) == Settled(PACKAGE, 1, draft.id, "completed")
    telling.close()  # killed before the catalogue was told
    assert list(settle_own(root, tmp_path / "a")) == [Settled(PACKAGE, 1, draft.id, "completed")]
    assert list(settle_own(root, tmp_path / "a")) == []
    in_order(store)


# --- left by an error


@pytest.mark.parametrize("error", [
    Rejected("refused", subject="s", remedy="Mend it.", findings=()),
    Damaged("other bytes", subject="s", remedy="Look."),
    KeyboardInterrupt(),
])  # fmt: skip
def test_a_final_error_takes_everything_back(fresh: Fresh, tmp_path: Path, error: BaseException) -> None:
    store = fresh()
    before = keys(store)
    with pytest.raises(type(error)), home(store, tmp_path / "a").draft(PACKAGE, algorithms=["sha256"]) as draft:
        draft.put("data/a", of(b"one"))
        raise error
    assert keys(store) == before
    assert list((tmp_path / "a").iterdir()) == []


@pytest.mark.parametrize("error", [StoreUnavailable("gone", subject="s", remedy="Wait."), RuntimeError("broken")])
def test_any_other_error_leaves_the_decision_to_the_next_run(fresh: Fresh, tmp_path: Path, error: Exception) -> None:
    store = fresh()
    before = keys(store)
    with pytest.raises(type(error)), home(store, tmp_path / "a").draft(PACKAGE, algorithms=["sha256"]) as draft:
        draft.put("data/a", of(b"one"))
        raise error
    assert len(keys(store)) == len(before) + 2
    assert [one.outcome for one in settle_own(home(store, tmp_path / "a"), tmp_path / "a")] == ["removed"]
    assert keys(store) == before


def test_an_interrupt_does_not_wait_for_the_end_of_a_large_file(fresh: Fresh, tmp_path: Path) -> None:
    started = threading.Event()
    read_chunks: list[int] = []

    def large() -> Iterator[bytes]:
        for number in range(100_000):
            started.set()
            read_chunks.append(number)
            yield b"x" * 1000

    def items() -> Iterator[Incoming]:
        yield Incoming("data/large", large, 1 << 40)
        started.wait()
        raise KeyboardInterrupt

    store = fresh()
    before = keys(store)
    with pytest.raises(KeyboardInterrupt), home(store, tmp_path / "a").draft(PACKAGE, algorithms=["sha256"]) as draft:
        list(draft.put_many(items()))
    assert len(read_chunks) < 100_000
    assert keys(store) == before


def test_a_sync_that_failed_is_never_tried_again(fresh: Fresh, tmp_path: Path) -> None:
    store = fresh()
    with pytest.raises(StoreUnavailable):
        go_on(home(FaultyStore(store, failing_syncs=1), tmp_path / "a"), 1)
    assert seen(store) is None
    assert [one.outcome for one in settle_own(home(store, tmp_path / "a"), tmp_path / "a")] == ["removed"]
    assert keys(store, "staging/") == []


class FullToTheLastBlock(FaultyStore):
    """Nothing can be created until something is deleted."""

    full = False

    def create(self, key: str, body: Body) -> None:
        if self.full:
            raise StoreUnavailable("the disk is full", subject=key, remedy="Free space.")
        self.store.create(key, body)

    def delete(self, key: str) -> None:
        self.full = False
        self.store.delete(key)


def test_a_draft_that_filled_the_disk_to_the_last_block_can_be_removed_by_its_home(
    fresh: Fresh, tmp_path: Path
) -> None:
    store = FullToTheLastBlock(fresh())
    before = keys(store)
    with pytest.raises(StoreUnavailable), home(store, tmp_path / "a").draft(PACKAGE, algorithms=["sha256"]) as draft:
        draft.put("data/a", of(b"one"))
        store.full = True
        draft.commit(message="one", by=PERSON, at=AT)
    with pytest.raises(StoreUnavailable):  # another home may not: the writer could be alive
        swept(home(store, tmp_path / "b"))
    assert [one.outcome for one in settle_own(home(store, tmp_path / "a"), tmp_path / "a")] == ["removed"]
    assert keys(store) == before


# --- damage


OTHER = type(PACKAGE)("urn:uuid:01890a5d-ac96-774b-bcce-b302099a8058")


def spoil(store: Store, key: str, data: bytes | None = None) -> None:
    if data is None:
        store.delete(key)
    else:
        store.put(key, of(data), algorithms=())


@pytest.mark.parametrize("of_version", [1, 2])
@pytest.mark.parametrize("data", [None, b"{", b"garbage"])
def test_nothing_is_removed_from_a_package_whose_inventories_are_not_all_there(
    fresh: Fresh, tmp_path: Path, of_version: int, data: bytes | None
) -> None:
    """Even with the root pair gone: what looks like a dead draft's content may be a version's."""
    store = begun(fresh(), tmp_path / "a", 2)
    go_on(home(store, tmp_path / "a"), 2)
    write(home(store, tmp_path / "a"), {"data/third": b"3"}, base=2)
    write(home(store, tmp_path / "a"), FIRST, package=OTHER)
    root = home(store, tmp_path / "b")
    place = root.object_key(PACKAGE)
    for key in ("inventory.json", "inventory.json.sha256"):
        spoil(store, f"{place}/{key}")
    spoil(store, f"{place}/v{of_version}/inventory.json", data)
    orphan = f"{place}/v3/content/ffffffff/data/a"
    store.put(orphan, of(b"late"), algorithms=())
    store.put(f"{root.object_key(OTHER)}/v1/content/ffffffff/data/a", of(b"late"), algorithms=())
    before = keys(store, place)
    for _turn in range(2):
        with pytest.raises(Damaged):
            swept(root)
    assert [key for key in keys(store, place) if "/content/" in key] == [key for key in before if "/content/" in key]
    assert not [key for key in keys(store, root.object_key(OTHER)) if "ffffffff" in key]
    for base in (0, 3) if data is None else ():
        with pytest.raises(Damaged):
            write(root, {"data/a": b"x"}, base=base)


def test_a_damaged_package_does_not_stop_its_home(fresh: Fresh, tmp_path: Path) -> None:
    store = begun(fresh(), tmp_path / "a", 2)
    with pytest.raises(Crash), home(store, tmp_path / "a").draft(PACKAGE, algorithms=["sha256"], base=1) as draft:
        draft.put("data/new", of(b"new"))
        raise Crash
    spoil(store, f"{draft.object}/v1/inventory.json", b"garbage")
    assert list(settle_own(home(store, tmp_path / "a"), tmp_path / "a")) == []
    assert f"{draft.object}/v2/content/{draft.id}/data/new" in keys(store)
    write(home(store, tmp_path / "a"), FIRST, package=OTHER)
    root = Root(store)
    assert set(root.packages()) == {PACKAGE, OTHER}
    with pytest.raises(Damaged):
        read(root)
    assert read(root, package=OTHER) == FIRST
