"""The suite on the stores that need no server, and on the doubles themselves; then what only the doubles do."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lantai.errors import Exists, NotFound, StoreUnavailable, UsageError
from lantai.storage import Skip, Store, is_key, still_odd
from lantai.storage.filesystem import FilesystemStore, SyncMode
from tests.conformance.doubles import Crash, CrashingStore, FaultyStore, MemoryStore, When
from tests.conformance.store import Fresh, StoreSuite, fill, keys, of, read


class TestFilesystem(StoreSuite):
    mode: SyncMode = "auto"

    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Fresh:
        numbers = itertools.count()

        def make() -> Store:
            root = tmp_path / str(next(numbers))
            root.mkdir()
            return FilesystemStore(root, sync_mode=self.mode)

        return make


class TestFilesystemThatSyncsEachFile(TestFilesystem):
    mode: SyncMode = "fsync"


class TestMemory(StoreSuite):
    @pytest.fixture
    def fresh(self) -> Fresh:
        return MemoryStore


class TestFaultyWithoutFaults(StoreSuite):
    @pytest.fixture
    def fresh(self) -> Fresh:
        return lambda: FaultyStore(MemoryStore())


class TestCrashingThatLives(StoreSuite):
    @pytest.fixture
    def fresh(self) -> Fresh:
        return lambda: CrashingStore(MemoryStore())


# --- the file system only


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def entries(root: Path) -> list[str]:
    """Everything below root but .tmp, which itself must be empty."""
    assert list((root / ".tmp").iterdir()) == [] if (root / ".tmp").exists() else True
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if ".tmp" not in path.parts)


@pytest.mark.parametrize("key", [".tmp", ".tmp/x", "lost+found", "lost+found/x"])
def test_reserved_names_are_refused(root: Path, key: str) -> None:
    with pytest.raises(UsageError):
        FilesystemStore(root).put(key, of(b"x"), algorithms=())
    FilesystemStore(root).put(key.replace("/", "") + "y", of(b"x"), algorithms=())


def test_a_key_is_a_path_and_no_temporary_file_is_left(root: Path) -> None:
    store = FilesystemStore(root)
    store.put("a/b", of(b"one"), algorithms=())
    store.create("a/c", of(b"two"))
    store.create("a/c", of(b"two"))
    with pytest.raises(Exists):
        store.create("a/c", of(b"three"))
    assert (root / "a" / "b").read_bytes() == b"one"
    assert (root / "a" / "c").stat().st_nlink == 1
    assert entries(root) == ["a", "a/b", "a/c"]


def test_a_reader_writes_nothing(root: Path) -> None:
    (root / "a").write_bytes(b"x")
    store = FilesystemStore(root)
    assert keys(store) == ["a"]
    assert read(store, "a") == b"x"
    store.sync()
    with pytest.raises(NotFound):
        store.stat("b")
    assert entries(root) == ["a"]
    assert not (root / ".tmp").exists()


def test_a_store_whose_folder_is_missing_is_not_made(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "unmounted")
    calls = (
        lambda: store.put("a/b", of(b"x"), algorithms=()),
        lambda: store.create("a", of(b"x")),
        lambda: keys(store),
    )
    for call in calls:
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert caught.value.subject.rstrip("/") == str(tmp_path / "unmounted")
        assert "mounted" in caught.value.remedy
    assert not store.properties.create_only
    assert list(tmp_path.iterdir()) == []


def test_the_working_directory_may_change(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    store = FilesystemStore(Path("store"))
    monkeypatch.chdir("/")
    store.put("a", of(b"x"), algorithms=())
    assert (root / "a").read_bytes() == b"x"


def test_the_root_may_be_a_link(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    store = FilesystemStore(link, sync_mode="fsync")
    store.create("a/b", of(b"x"))
    store.put("a/c", of(b"x"), algorithms=())
    store.sync()
    assert keys(store) == ["a/b", "a/c"]


def test_what_is_no_key_is_told_by_the_way_and_is_none_of_the_keys(root: Path) -> None:
    store = FilesystemStore(root)
    fill(store, ("a/b/file", "a/c", "esc", "z/file"))
    (root / "a" / "link").symlink_to("c")
    (root / "a" / "gone").symlink_to("nowhere")
    os.mkfifo(root / "a" / "b" / "pipe")
    (root / "a" / "b" / "empty" / "within").mkdir(parents=True)
    for name in (b"a/b/\xff\xfe", b"a/esc\x1bx", b"a/del\x9b\x07", b".tmp/left", b"z/d\x1b/file"):
        path = os.fsencode(root) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 -- no text
        Path(os.fsdecode(path)).write_bytes(b"x")
    (root / "lost+found").mkdir()

    def odd(prefix: str = "", after: str = "", skip: Skip | None = None) -> list[str]:
        told: list[str] = []
        assert all(map(is_key, store.keys(prefix, after, skip, told.append)))
        return told

    assert keys(store) == ["a/b/file", "a/c", "esc", "z/file"]
    below = ["a/b/empty/within/", "a/b/pipe", "a/b/\\xff\\xfe"]
    beside = ["a/del\\x9b\\x07", "a/esc\\x1bx", "a/gone", "a/link"]
    assert odd() == [*below, *beside, "z/d\\x1b"]
    assert odd("a/b/") == below
    assert odd("a/b/empty/within/") == below[:1]
    assert odd("a/g") == ["a/gone"]
    assert odd("a/", after="a/b/file") == [*below[1:], *beside]
    assert odd("a/", skip=lambda key: "a/b/" if key.startswith("a/b/") else "") == [below[0], *beside]
    assert list(still_odd(store, odd())) == odd()
    found = odd()
    store.put("a/b/empty/within/file", of(b"x"), algorithms=())
    assert list(still_odd(store, found)) == [*below[1:], *beside, "z/d\\x1b"]


def test_links_and_special_files_are_no_keys(root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store = FilesystemStore(root)
    store.put("a/file", of(b"x"), algorithms=())
    (root / "a" / "folder-link").symlink_to(outside)
    (root / "a" / "file-link").symlink_to(outside / "secret")
    (root / "a" / "loop").symlink_to("loop")
    os.mkfifo(root / "a" / "fifo")
    assert keys(store) == keys(store, "a/") == ["a/file"]
    assert keys(store, "a/folder-link/") == []
    for key in ("a/file-link", "a/fifo", "a/loop", "a/folder-link"):
        assert list(store.digests((key,), "sha256")) == [None]
        with pytest.raises(NotFound):
            store.stat(key)
        with pytest.raises(NotFound):
            store.open(key)
        with pytest.raises(Exists):
            store.create(key, of(b"secret"))
    store.delete("a/folder-link")
    assert (outside / "secret").read_bytes() == b"secret"


def test_names_that_are_not_utf8_are_no_keys(root: Path) -> None:
    (root / "a").mkdir()
    Path(os.fsdecode(os.fsencode(root / "a") + b"/\xd6\xd0")).write_bytes(b"gbk")
    Path(os.fsdecode(os.fsencode(root) + b"/\xce\xc4")).mkdir()
    Path(os.fsdecode(os.fsencode(root) + b"/\xce\xc4/x")).write_bytes(b"gbk")
    store = FilesystemStore(root)
    store.put("a/b", of(b"x"), algorithms=())
    assert keys(store) == ["a/b"]


def test_delete_leaves_no_empty_folder_and_keeps_the_root(root: Path) -> None:
    store = FilesystemStore(root)
    fill(store, ("a/b/c/d", "a/b/e"))
    store.delete("a/b/c/d")
    assert entries(root) == ["a", "a/b", "a/b/e"]
    (root / "a" / "x" / "y" / "z").mkdir(parents=True)
    (root / "a" / "x" / "w").mkdir()
    store.delete("a/x")
    assert entries(root) == ["a", "a/b", "a/b/e"]
    (root / "a" / "b" / "hollow").mkdir()
    store.delete("a/b")
    assert entries(root) == ["a", "a/b", "a/b/e"]
    store.delete("a/b/e")
    assert entries(root) == []
    (root / "n" / "m").mkdir(parents=True)
    store.delete("n/m/gone")
    assert entries(root) == []
    assert root.exists()


def test_an_empty_folder_is_no_obstacle(root: Path) -> None:
    store = FilesystemStore(root)
    (root / "a" / "b" / "c").mkdir(parents=True)
    store.put("a", of(b"x"), algorithms=())
    (root / "d" / "e").mkdir(parents=True)
    store.create("d", of(b"y"))
    assert entries(root) == ["a", "d"]


def test_what_dead_writers_left_is_removed_after_a_day(root: Path) -> None:
    (root / ".tmp").mkdir()
    for name, hours in (("old", 25), ("young", 23)):
        (root / ".tmp" / name).write_bytes(b"x")
        then = datetime.now(UTC).timestamp() - hours * 3600
        os.utime(root / ".tmp" / name, (then, then))
    store = FilesystemStore(root)
    assert keys(store) == []
    assert len(list((root / ".tmp").iterdir())) == 2
    store.put("a", of(b"x"), algorithms=())
    assert [path.name for path in (root / ".tmp").iterdir()] == ["young"]


def test_a_removed_tmp_comes_back(root: Path) -> None:
    store = FilesystemStore(root)
    store.put("a", of(b"x"), algorithms=())
    (root / ".tmp").rmdir()
    with pytest.raises(StoreUnavailable):
        store.put("b", of(b"x"), algorithms=())
    store.put("b", of(b"x"), algorithms=())
    assert keys(store) == ["a", "b"]


def test_a_skipped_subtree_is_not_walked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FilesystemStore(root)
    fill(store, ("a/b/c", "b/x", "b/y", "c"))
    real, walked = os.scandir, []

    def scandir(path: bytes) -> object:
        walked.append(path.removeprefix(os.fsencode(root)))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert list(store.keys(after="b/x")) == ["b/y", "c"]
    assert walked == [b"/", b"/b/"]


# --- the doubles


def test_a_faulty_put_succeeds_at_every_second_attempt() -> None:
    inner = MemoryStore()
    store = FaultyStore(inner, fail_puts=True)
    attempts: list[int] = []

    def body() -> list[bytes]:
        attempts.append(1)
        return [b"x"]

    for turn in range(2):
        with pytest.raises(StoreUnavailable):
            store.put("a", body, algorithms=())
        assert keys(inner) == ["a"] * turn
        store.put("a", body, algorithms=())
        assert read(inner, "a") == b"x"
    assert len(attempts) == 4


def test_a_lost_answer_was_a_create_all_the_same() -> None:
    store = FaultyStore(MemoryStore(), lose_creates=True)
    with pytest.raises(StoreUnavailable):
        store.create("a", of(b"x"))
    assert read(store, "a") == b"x"
    store.create("a", of(b"x"))
    with pytest.raises(Exists):
        store.create("a", of(b"y"))


def test_a_failed_sync_lies_afterwards() -> None:
    store = FaultyStore(MemoryStore(), failing_syncs=1)
    with pytest.raises(StoreUnavailable):
        store.sync()
    store.sync()


def test_a_flipped_bit_is_one_bit() -> None:
    store = FaultyStore(MemoryStore(), flip={"a"})
    fill(store, ("a", "b"))
    assert read(store, "a") == bytes([ord("a") ^ 1])
    assert read(store, "b") == b"b"
    assert read(FaultyStore(store.store, flip=True), "b") != b"b"


@pytest.mark.parametrize(("when", "done"), [("before", ["1"]), ("during", ["1"]), ("after", ["1", "2"])])
def test_a_crash_stops_everything(when: When, done: list[str]) -> None:
    inner = MemoryStore()
    store = CrashingStore(inner, at=2, when=when)
    store.create("1", of(b"1"))
    with pytest.raises(Crash):
        store.put("2", of(b"2"), algorithms=())
    calls = (
        lambda: store.put("3", of(b"3"), algorithms=()),
        lambda: store.create("3", of(b"3")),
        lambda: store.delete("1"),
        lambda: keys(store),
        lambda: read(store, "1"),
        lambda: store.stat("1"),
        store.sync,
        lambda: store.properties,
    )
    for call in calls:
        with pytest.raises(Crash):
            call()
    assert keys(inner) == done
    assert store.operations == ["create 1", "put 2"]


def test_a_power_cut_takes_what_was_not_synced() -> None:
    store = MemoryStore()
    fill(store, ("a", "b"))
    store.sync()
    store.put("a", of(b"new"), algorithms=())
    store.put("c", of(b"new"), algorithms=())
    store.delete("b")
    store.create("d", of(b"durable"))
    store.power_cut()
    assert {key: read(store, key) for key in keys(store)} == {"a": b"a", "b": b"b", "d": b"durable"}


def test_the_clock_of_a_memory_store_is_the_tests() -> None:
    then = datetime(2021, 6, 1, tzinfo=UTC)
    store = MemoryStore(clock=lambda: then)
    store.put("a", of(b"x"), algorithms=())
    assert store.stat("a").modified == then
