"""The file-system store under real faults: killed processes, full and read-only disks, races between processes.

The other processes are filesystem_process.py, beside this file.
"""

from __future__ import annotations

import errno
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from hashlib import md5
from pathlib import Path

import pytest

from lantai.errors import Exists, StoreUnavailable, UsageError
from lantai.storage import filesystem, linux
from lantai.storage.filesystem import FilesystemStore, SyncMode
from tests.faults.filesystem_process import LARGE, content, of

PROJECT = Path(__file__).parents[2]
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def read(store: FilesystemStore, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()


def temporaries(root: Path) -> list[Path]:
    return list((root / ".tmp").iterdir())


def start(work: str, root: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROJECT / "tests/faults/filesystem_process.py"), work, str(root), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def finish(process: subprocess.Popen[str]) -> list[str]:
    out, _nothing = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.splitlines()


def unmount(folder: Path) -> None:
    gc.collect()  # a store holds its disk while it lives; in a test that failed it does so even now
    if subprocess.run(["umount", "--quiet", folder], check=False).returncode != 0:
        subprocess.run(["umount", "--lazy", folder], check=True)


def kill(process: subprocess.Popen[str], after: int) -> list[str]:
    """Kill process when it has printed so many lines; every whole line that it did print."""
    with process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _number in range(after)]
        process.kill()
        printed += process.stdout.readlines()
    return [line.rstrip("\n") for line in printed if line.endswith("\n")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "lantai-test", folder], check=True)
    yield folder
    unmount(folder)


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 of 64 MiB on a sparse file with room for 24 MiB: writing succeeds, keeping does not."""
    below, folder, image = tmp_path / "below", tmp_path / "disk", tmp_path / "below" / "image"
    below.mkdir()
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "lantai-test", below], check=True)
    try:
        with image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        subprocess.run(["mount", "-o", "loop,errors=continue", image, folder], check=True)
        try:
            yield folder
        finally:
            unmount(folder)
    finally:
        unmount(below)


# --- killed


@pytest.mark.parametrize("work", ["put", "create"])
@pytest.mark.parametrize("after", [1, 2, 7, 40, 41, 90])
def test_a_killed_writer_leaves_only_whole_files(root: Path, work: str, after: int) -> None:
    returned = kill(start(work, root, "w"), after)
    store = FilesystemStore(root)
    listed = [found.key for found in store.list()]
    assert set(returned) <= set(listed)
    assert len(listed) <= len(returned) + 1
    for key in listed:
        assert read(store, key) == content(key), key
    assert len(temporaries(root)) <= 1
    for left in temporaries(root):
        os.utime(left, (0, 0))
    for key in (listed[0], f"{listed[-1]}-next"):
        store.create(key, of(content(key)))
    assert temporaries(root) == []


def test_folders_that_a_killed_writer_was_moving_in_are_swept(root: Path) -> None:
    left = root / ".tmp" / "1-2-3-folders"
    (left / "d" / "e").mkdir(parents=True)
    (left / "d" / "e" / "mine").write_bytes(b"x")
    os.utime(left, (0, 0))
    store = FilesystemStore(root)
    store.put("a", of(b"x"), algorithms=())
    assert [found.key for found in store.list()] == ["a"]
    assert not left.exists()


def test_writers_killed_in_turn_end_with_everything_stored(root: Path) -> None:
    store = FilesystemStore(root)
    for turn in range(4):
        kill(start("put", root, "same"), 10 * turn + 5)
    wanted = [f"same/{number // 10}/{number}" for number in range(35)]
    assert set(wanted) <= {found.key for found in store.list()}
    assert all(read(store, key) == content(key) for key in wanted)


# --- full, read-only, forbidden, lost


@ROOT_ONLY
def test_a_full_disk_is_told_and_forgotten(small_disk: Path) -> None:
    store = FilesystemStore(small_disk)
    store.put("a", of(b"old"), algorithms=())
    large = [b"x" * 100_000] * 20
    calls = (
        lambda: store.put("a", of(*large), algorithms=()),
        lambda: store.put("n/e/w", of(*large), algorithms=()),
        lambda: store.create("n/e/w", of(*large)),
        lambda: store.put("b", of(b"".join(large)), algorithms=()),
    )
    for call in calls:
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert caught.value.what == "the disk is full"
        assert caught.value.subject.startswith(str(small_disk))
    assert [found.key for found in store.list()] == ["a"]
    assert read(store, "a") == b"old"
    assert temporaries(small_disk) == []
    store.put("a", of(b"x" * 500_000), algorithms=())
    store.sync()


def test_a_file_beyond_the_limit_is_told(root: Path) -> None:
    assert finish(start("limited", root)) == ["StoreUnavailable: the file is larger than this system allows"]
    assert [found.key for found in FilesystemStore(root).list()] == ["small"]
    assert temporaries(root) == []


@ROOT_ONLY
def test_a_read_only_disk_can_be_read(small_disk: Path) -> None:
    FilesystemStore(small_disk).put("a/b", of(b"x"), algorithms=())
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    store = FilesystemStore(small_disk)
    assert read(store, "a/b") == b"x"
    assert [found.key for found in store.list()] == ["a/b"]
    store.sync()
    assert not store.properties.create_only
    calls = (
        lambda: store.put("a/b", of(b"y"), algorithms=()),
        lambda: store.create("c", of(b"y")),
        lambda: store.delete("a/b"),
    )
    for call in calls:
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert caught.value.what == "the file system is read-only"
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    store.put("a/b", of(b"y"), algorithms=())
    assert store.properties.create_only


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of root's, seen as another user; or one of ours that we may not write to."""
    folder = Path(tempfile.mkdtemp(prefix="lantai-"))
    (folder / "a").mkdir()
    (folder / "a" / "b").write_bytes(b"x")
    (folder / "secret").mkdir()
    (folder / "secret" / "c").write_bytes(b"x")
    (folder / "secret").chmod(0)
    (folder / "a").chmod(0o555)
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    for path in (folder, folder / "a", folder / "secret"):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_forbidden_folder_is_told(as_nobody: Path) -> None:
    store = FilesystemStore(as_nobody)
    assert read(store, "a/b") == b"x"
    assert [found.key for found in store.list("a")] == ["a/b"]
    assert not store.properties.create_only
    calls = (
        lambda: store.put("a/c", of(b"y"), algorithms=()),
        lambda: store.create("c", of(b"y")),
        lambda: store.delete("a/b"),
        lambda: read(store, "secret/c"),
        lambda: store.stat("secret/c"),
        lambda: list(store.list("secret/")),
    )
    for call in calls:
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert caught.value.what == "permission is denied"
        assert "permission" in caught.value.remedy
        assert caught.value.subject.startswith(str(as_nobody))


@ROOT_ONLY
@pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="needs mkfs.ext4")
def test_what_the_disk_lost_is_told_by_sync_and_not_denied_afterwards(failing_disk: Path) -> None:
    store, other = FilesystemStore(failing_disk), FilesystemStore(failing_disk)
    other.put("other", of(b"x"), algorithms=())
    for number in range(32):
        store.put(f"a/{number}", of(b"x" * (1 << 20)), algorithms=())
    for one in (store, store, other, other):
        with pytest.raises(StoreUnavailable) as caught:
            one.sync()
        assert "may not have reached the disk" in caught.value.what
    with pytest.raises(StoreUnavailable):
        store.put("b", of(b"x"), algorithms=())
    with pytest.raises(StoreUnavailable):
        store.create("b", of(b"x"))


@ROOT_ONLY
@pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="needs mkfs.ext4")
@pytest.mark.parametrize("mode", ["syncfs", "fsync"])
def test_a_power_cut_takes_nothing_that_was_promised(tmp_path: Path, mode: SyncMode) -> None:
    """The image below a mounted disk, copied, is the disk as a power cut at this moment leaves it."""
    image, cut, disk, after = (tmp_path / name for name in ("image", "cut", "disk", "after"))
    disk.mkdir()
    after.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)

    def found_after_cut() -> dict[str, bytes]:
        shutil.copyfile(image, cut)
        subprocess.run(["mount", "-o", "loop", cut, after], check=True)
        try:
            store = FilesystemStore(after)
            return {found.key: read(store, found.key) for found in store.list()}
        finally:
            unmount(after)

    subprocess.run(["mount", "-o", "loop", image, disk], check=True)
    try:
        store, other = FilesystemStore(disk, sync_mode=mode), FilesystemStore(disk, sync_mode=mode)
        keys = [f"p/{number // 7}/{number}" for number in range(50)]
        for key in keys:
            store.put(key, of(content(key)), algorithms=())
        assert not set(keys) <= set(found_after_cut())  # else this test could not fail
        store.sync()
        assert found_after_cut() == {key: content(key) for key in keys}
        other.put("new/folder/by/another", of(b"x"), algorithms=())
        store.create("new/folder/key", of(b"created"))
        assert found_after_cut()["new/folder/key"] == b"created"
        other.put("new/put", of(b"by put"), algorithms=())
        store.create("new/put", of(b"by put"))
        assert found_after_cut()["new/put"] == b"by put"
        store.delete("new/folder/key")
        other.delete("new/folder/by/another")
        other.put("new/folder/again", of(b"x"), algorithms=())
        store.create("new/folder/key", of(b"created again"))
        assert found_after_cut()["new/folder/key"] == b"created again"
        del store, other
    finally:
        unmount(disk)


def refuse(number: int) -> Callable[..., None]:
    def call(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def test_without_hard_links_create_renames(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    store = FilesystemStore(root)
    assert store.properties.create_only
    store.create("a/b", of(b"one"))
    store.create("a/b", of(b"one"))
    with pytest.raises(Exists):
        store.create("a/b", of(b"two"))
    assert read(store, "a/b") == b"one"
    assert temporaries(root) == []


def test_with_no_way_to_create_only_it_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refuse(errno.EOPNOTSUPP))
    monkeypatch.setattr(linux, "_rename_noreplace", refuse(errno.EINVAL))
    store = FilesystemStore(root)
    assert not store.properties.create_only
    with pytest.raises(UsageError):
        store.create("a/b", of(b"one"))
    store.put("a/b", of(b"one"), algorithms=())
    assert [found.key for found in store.list()] == ["a/b"]
    assert temporaries(root) == []


@pytest.mark.parametrize("mode", ["syncfs", "fsync"])
def test_a_failed_sync_is_not_denied_afterwards(root: Path, mode: SyncMode, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above without root: the kernel's answer is made up, once."""
    store = FilesystemStore(root, sync_mode=mode)
    store.put("a", of(b"one"), algorithms=())
    with monkeypatch.context() as once:
        once.setattr(filesystem, mode, refuse(errno.EIO))
        with pytest.raises(StoreUnavailable):
            store.sync()
    with pytest.raises(StoreUnavailable):
        store.sync()
    with pytest.raises(StoreUnavailable):
        store.put("b", of(b"one"), algorithms=())
    assert read(store, "a") == b"one"


def test_a_network_that_gives_little_at_once_is_read_to_the_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, pread = FilesystemStore(root), os.pread
    store.put("a", lambda: (b"0123456789",), algorithms=())
    monkeypatch.setattr(os, "pread", lambda descriptor, length, at: pread(descriptor, min(length, 3), at))
    with store.open("a") as whole, store.open("a", 2, 9) as part:
        assert (whole.read(), part.read()) == (b"0123456789", b"2345678")
    at_once = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, length: at_once(descriptor, min(length, 3)))
    assert list(store.digests(["a"], "md5")) == [(10, md5(b"0123456789", usedforsecurity=False).hexdigest())]


def test_a_disk_that_cannot_be_read_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_words: int) -> bytes:
        raise OSError(errno.EIO, "broken")

    store = FilesystemStore(root)
    store.put("a", lambda: (b"0123456789",), algorithms=())
    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(StoreUnavailable, match="error"), store.open("a") as source:
        source.read()
    monkeypatch.setattr(os, "read", broken)
    with pytest.raises(StoreUnavailable, match="error"):
        list(store.digests(["a"], "sha256"))


# --- between processes


def test_one_of_several_processes_creates(root: Path) -> None:
    processes = [start("race", root, name) for name in "abcd"]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won = {name: set(finish(process)) for name, process in zip("abcd", processes, strict=True)}
    store = FilesystemStore(root)
    for number in range(60):
        winners = [name for name in won if str(number) in won[name]]
        assert len(winners) == 1, number
        assert read(store, f"race/{number}") == winners[0].encode() * 1000
    assert temporaries(root) == []


def test_puts_beside_deletes_of_another_process_always_arrive(root: Path) -> None:
    store = FilesystemStore(root)
    process = start("delete", root)
    try:
        for turn in range(500):
            key = f"d/e/f/{turn % 2}"
            if turn % 100 == 0:
                store.create(key, of(b"x"))
            else:
                store.put(key, of(b"x"), algorithms=())
            assert read(store, key) == b"x"
            store.delete(key)
    finally:
        assert finish(process) == []
    assert list(store.list()) == []
    assert [path.name for path in root.iterdir()] == [".tmp"]


def test_a_forked_child_writes_beside_its_parent(root: Path) -> None:
    assert finish(start("fork", root)) == ["parent", "True"]
    store = FilesystemStore(root)
    for name in ("child", "parent"):
        keys = [found.key for found in store.list(f"{name}/")]
        assert len(keys) == 40
        assert all(read(store, key) == content(key) for key in keys)
        assert read(store, f"{name}-large") == LARGE * 2
