"""Submissions: what each kind of hand-over gives, and what is said of a bad one."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import os
import shutil
import socket
import stat
import struct
import tarfile
import tempfile
import tracemalloc
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from lantai.errors import NotFound, Rejected, StoreUnavailable
from lantai.ingest.submission import Batch, Entry, Submission, open_submission, subfolders
from lantai.messages import FINDINGS

Mode = Literal["w:", "w:gz", "w:bz2", "w:xz"]
Pack = Callable[[Path, dict[str, bytes]], Path]


class Seen(NamedTuple):
    """All that a submission said and gave."""

    files: dict[str, bytes]  # by original name
    paths: dict[str, str]  # safe path by original name
    modified: dict[str, datetime | None]
    empty: list[str]
    findings: list[tuple[str, str]]  # code, subject

    @property
    def fatal(self) -> list[tuple[str, str]]:
        return [(code, subject) for code, subject in self.findings if FINDINGS[code].fatal]


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "scratch"
    yield folder
    assert not folder.exists() or not list(folder.iterdir()), "scratch is left clean"


def see(submission: Submission) -> Seen:
    seen = Seen({}, {}, {}, [], [])
    for batch in submission.batches():
        for entry in batch.entries:
            assert entry.original_name not in seen.files
            os.fspath(entry.file).encode("utf-8")
            content = b"".join(entry.body())
            assert content == b"".join(entry.body())
            assert len(content) == entry.size
            seen.files[entry.original_name] = content
            seen.paths[entry.original_name] = entry.path
            seen.modified[entry.original_name] = entry.modified
        seen.empty.extend(batch.empty_folders)
        seen.findings.extend((finding.code, finding.subject) for finding in batch.findings)
    return seen


def opened(path: Path, scratch: Path) -> Seen:
    return see(open_submission(path, scratch=scratch))


def refusal(path: Path, scratch: Path) -> list[str]:
    with pytest.raises(Rejected) as caught:
        open_submission(path, scratch=scratch)
    assert all(finding.fatal for finding in caught.value.findings)
    return [finding.code for finding in caught.value.findings]


def as_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            file.mkdir()
        else:
            file.write_bytes(content)
    return path


def as_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def info_of(name: str | bytes, **values: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
    for key, value in values.items():
        setattr(info, key, value)
    return info


def as_tar(path: Path, files: dict[str, bytes], mode: Mode = "w:", *more: tarfile.TarInfo) -> Path:
    form = tarfile.GNU_FORMAT
    with tarfile.open(path, mode, format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for name, content in files.items():
            folder = name.endswith("/")
            kind = tarfile.DIRTYPE if folder else tarfile.REGTYPE
            archive.addfile(info_of(name, size=len(content), type=kind), io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return path


def as_tar_gz(path: Path, files: dict[str, bytes]) -> Path:
    return as_tar(path, files, "w:gz")


def as_tar_bz2(path: Path, files: dict[str, bytes]) -> Path:
    return as_tar(path, files, "w:bz2")


def as_tar_xz(path: Path, files: dict[str, bytes]) -> Path:
    return as_tar(path, files, "w:xz")


ARCHIVES = [as_zip, as_tar, as_tar_gz, as_tar_bz2, as_tar_xz]
KINDS: list[Pack] = [as_folder, *ARCHIVES]

PAPERS = {
    "秋节/总体方案.docx": b"PK not really",
    "秋节/照片/开幕式 1.jpg": b"\xff\xd8" + bytes(3000),
    "秋节/空文件.txt": b"",
    "签到表.xlsx": os.urandom(70_000),
}


# Of every kind


@pytest.mark.parametrize("pack", KINDS)
def test_every_kind_gives_the_same_files(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    submission = open_submission(pack(tmp_path / "移交2021", PAPERS), scratch=scratch)
    seen = see(submission)
    assert seen.files == PAPERS
    assert seen.paths == {name: name for name in PAPERS}
    assert seen.findings == []
    assert submission.name == "移交2021"
    assert see(submission) == seen, "batches can be asked for again"


@pytest.mark.parametrize("pack", KINDS)
def test_names_that_cannot_be_stored_get_a_safe_path_and_it_is_said(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    awkward = ["100%.txt", "行\n.txt", "é.txt", "e\u0301.txt", "甲\u3000", "文%/a", "x\u2028", "\x01.bin"]
    seen = opened(pack(tmp_path / "s", dict.fromkeys(awkward, b"x")), scratch)
    assert sorted(seen.files) == sorted(awkward)
    changed = {name for name in awkward if seen.paths[name] != name}
    assert len({unicodedata.normalize("NFC", path) for path in seen.paths.values()}) == len(awkward)
    assert len(changed & {"é.txt", "e\u0301.txt"}) == 1
    assert changed | {"é.txt", "e\u0301.txt"} == set(awkward)
    assert sorted(seen.findings) == sorted(("name-changed", name) for name in changed)


@pytest.mark.parametrize("pack", KINDS)
def test_long_paths_are_shortened_and_stay_apart(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    folder = "/".join(f"第{number}级文件夹名字很长很长很长很长很长很长" for number in range(20))
    names = [f"{folder}/{one}.txt" for one in "甲乙"] + [f"{folder}下/甲.txt", "目录.txt"]
    seen = opened(pack(tmp_path / "s", dict.fromkeys(names, b"x")), scratch)
    assert sorted(seen.files) == sorted(names)
    assert len(set(seen.paths.values())) == 4
    assert all(len(path.encode()) <= 700 for path in seen.paths.values())


@pytest.mark.parametrize("pack", KINDS)
def test_what_systems_leave_behind_is_kept_with_a_warning(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    junk = ["Thumbs.db", "照片/.DS_Store", "desktop.ini", "~$方案.docx", "._a.jpg", ".~lock.a.odt#", "__MACOSX/a"]
    seen = opened(pack(tmp_path / "s", dict.fromkeys([*junk, "a~$.txt", ".gitignore", "MyThumbs.db"], b"x")), scratch)
    assert sorted(seen.findings) == sorted(("file-junk", name) for name in junk)
    assert set(junk) <= set(seen.files)


@pytest.mark.parametrize("pack", KINDS)
def test_empty_folders_are_told(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    seen = opened(pack(tmp_path / "s", {"a/": b"", "b/": b"", "b/c/": b"", "d/": b"", "d/x": b"x"}), scratch)
    assert sorted(seen.empty) == ["a", "b/c"]
    assert list(seen.files) == ["d/x"]


@pytest.mark.parametrize("pack", KINDS)
def test_batches_are_bounded_and_nothing_is_lost_between_them(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    files = {f"{number:04d}.txt": b"%d" % number for number in range(1100)}
    submission = open_submission(pack(tmp_path / "s", files), scratch=scratch)
    sizes: list[int] = []
    found: list[str] = []
    for batch in submission.batches():
        assert len([file for file in scratch.rglob("*") if file.is_file()]) <= 257
        assert all(entry.file.exists() for entry in batch.entries)
        sizes.append(len(batch.entries))
        found.extend(entry.original_name for entry in batch.entries)
    assert found == list(files)
    assert max(sizes) == (512 if submission.kind == "folder" else 256)


@pytest.mark.parametrize("pack", ARCHIVES)
def test_an_archive_never_lies_whole_in_scratch(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    path = pack(tmp_path / "s", {f"{number}.bin": bytes(20 << 20) for number in range(5)})
    for batch in open_submission(path, scratch=scratch).batches():
        used = sum(file.stat().st_size for file in scratch.rglob("*") if file.is_file())
        assert used <= 65 << 20
        assert [len(b"".join(entry.body())) for entry in batch.entries] == [20 << 20] * len(batch.entries)


@pytest.mark.parametrize("pack", KINDS)
def test_leaving_in_the_middle_leaves_scratch_clean(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    path = pack(tmp_path / "s", {f"{number}\n": b"x" for number in range(600)})
    batches = open_submission(path, scratch=scratch).batches()
    next(batches)
    getattr(batches, "close")()  # noqa: B009 - an Iterator that is a generator


@pytest.mark.parametrize("pack", KINDS)
def test_an_empty_submission_has_no_entries(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "s").mkdir() if pack is as_folder else pack(tmp_path / "s", {})
    seen = opened(tmp_path / "s", scratch)
    assert seen == Seen({}, {}, {}, [], [])


@pytest.mark.parametrize("pack", [as_folder, as_tar, as_tar_gz])
def test_memory_does_not_grow_with_the_number_of_files(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    turn = itertools.count()

    def peak(count: int) -> int:
        files = {f"{number % 40}/{number}%.txt": b"" for number in range(count)}
        submission = open_submission(pack(tmp_path / f"s{count}-{next(turn)}", files), scratch=scratch)
        files.clear()
        list(map(id, submission.batches()))  # fills the interpreter's own tables, which only grow
        tracemalloc.start()
        try:
            for _batch in submission.batches():
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # The interpreter's own tables grow now and then, in steps of megabytes, but not three times running.
    # 3,000 entries kept would be two megabytes.
    assert min(peak(4500) for _ in range(3)) < min(peak(1500) for _ in range(3)) + 600_000


# The folder that an archive's files lie in


def wrapped(files: dict[str, bytes], folder: str) -> dict[str, bytes]:
    """As a program packs a folder: the folder itself, then what is in it."""
    return {f"{folder}/": b"", **{f"{folder}/{name}": content for name, content in files.items()}}


@pytest.mark.parametrize("pack", ARCHIVES)
def test_an_archive_of_a_folder_gives_what_the_folder_gives(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    files = {**PAPERS, "空/": b"", "秋节/100%.txt": b"x"}
    submission = open_submission(pack(tmp_path / "s", wrapped(files, "移交2021")), scratch=scratch)
    seen, folder = see(submission), opened(as_folder(tmp_path / "f", files), scratch)
    assert (seen.files, seen.paths, seen.empty) == (folder.files, folder.paths, folder.empty)
    assert seen.findings == [("archive-top-folder", "s"), *folder.findings]
    assert submission.top_folder == "移交2021"
    assert see(submission) == seen, "batches can be asked for again"


@pytest.mark.parametrize("pack", ARCHIVES)
def test_only_the_outermost_folder_is_taken_for_the_whole(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    seen = opened(pack(tmp_path / "s", {"a/b/c.txt": b"x", "a/b/a/d.txt": b"x"}), scratch)
    assert sorted(seen.files) == ["b/a/d.txt", "b/c.txt"]


SEVERAL: dict[str, dict[str, bytes]] = {
    "two folders": {"a/x": b"1", "b/x": b"2"},
    "a file beside the folder": {"a/x": b"1", "y": b"2"},
    "a file of a system beside it": {"a/x": b"1", ".DS_Store": b"2"},
    "what macOS left of another folder": {"a/x": b"1", "._b": b"2"},
    "one file": {"a": b"1"},
    "only what macOS left": {"__MACOSX/a/._x": b"1"},
    "names that begin alike": {"ab/x": b"1", "a/x": b"2"},
}


@pytest.mark.parametrize("pack", ARCHIVES)
@pytest.mark.parametrize("files", SEVERAL.values(), ids=list(SEVERAL))
def test_where_not_all_lies_in_one_folder_names_are_as_they_are(
    files: dict[str, bytes], pack: Pack, tmp_path: Path, scratch: Path
) -> None:
    seen = opened(pack(tmp_path / "s", files), scratch)
    assert seen.files == files
    assert "archive-top-folder" not in dict(seen.findings)


@pytest.mark.parametrize("pack", [as_zip, as_tar, as_tar_gz])
def test_an_archive_that_states_its_own_root_is_taken_from_there(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    assert list(opened(pack(tmp_path / "1", {"./": b"", "./a/x": b""}), scratch).files) == ["a/x"]
    assert list(opened(pack(tmp_path / "2", {"./a/": b"", "./a/x": b""}), scratch).files) == ["x"]


@pytest.mark.parametrize("pack", [as_zip, as_tar, as_tar_gz])
def test_what_macos_puts_beside_the_folder_is_kept_and_said(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    beside = {"__MACOSX/移交/._方案.txt": b"fork", "__MACOSX/._移交": b"fork", "._移交": b"fork"}
    seen = opened(pack(tmp_path / "s", {"移交/方案.txt": b"plan", **beside}), scratch)
    assert seen.files == {"方案.txt": b"plan", **beside}
    assert sorted(seen.findings) == [("archive-top-folder", "s"), *(("file-junk", name) for name in sorted(beside))]


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_a_folder_named_in_gb18030_is_known_in_a_tar(mode: Mode, tmp_path: Path, scratch: Path) -> None:
    # 联通 by itself would pass for UTF-8: all that lies in one folder is read by one decision.
    names = {os.fsdecode(name.encode("gbk")): b"x" for name in ("联通/联通", "联通/方案.txt")}
    seen = opened(as_tar(tmp_path / "s", names, mode), scratch)
    assert sorted(seen.files) == ["方案.txt", "联通"]
    assert seen.findings == [("names-decoded", "s"), ("archive-top-folder", "s")]


def test_a_folder_named_in_gb18030_is_known_in_a_zip(tmp_path: Path, scratch: Path) -> None:
    seen = opened(raw_zip(tmp_path / "s", ["移交/方案.txt".encode("gbk"), "移交/照片/一.txt".encode("gbk")]), scratch)
    assert list(seen.files) == ["方案.txt", "照片/一.txt"]


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_a_folder_whose_name_no_one_encoding_reads_stays_in_the_names(
    mode: Mode, tmp_path: Path, scratch: Path
) -> None:
    top = "移交/".encode("gbk")
    seen = opened(
        as_tar(tmp_path / "s", {os.fsdecode(top + b"a"): b"1", os.fsdecode(top + b"\xff"): b"2"}, mode), scratch
    )
    assert set(seen.files) == {"移交/a", os.fsdecode(top + b"\xff")}
    assert "archive-top-folder" not in dict(seen.findings)


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_links_in_a_packed_folder_are_followed_by_their_full_names(mode: Mode, tmp_path: Path, scratch: Path) -> None:
    links = [
        info_of("t/d/up", type=tarfile.SYMTYPE, linkname="../x"),
        info_of("t/hard", type=tarfile.LNKTYPE, linkname="t/d/甲"),
        info_of("t/back", type=tarfile.SYMTYPE, linkname="../t/x"),
        info_of("t/beside", type=tarfile.SYMTYPE, linkname="../x"),  # not the x in the folder
        info_of("t/stale", type=tarfile.LNKTYPE, linkname="x"),
        info_of("t/top", type=tarfile.SYMTYPE, linkname=".."),
        info_of("t/itself", type=tarfile.SYMTYPE, linkname="../t"),
    ]
    files = {"t/x": b"x", "t/t": b"t", "t/d/甲": b"content"}
    seen = opened(as_tar(tmp_path / "s", files, mode, *links), scratch)
    assert seen.files == {"x": b"x", "t": b"t", "d/甲": b"content", "d/up": b"x", "hard": b"content", "back": b"x"}
    assert seen.fatal == [("archive-link", name) for name in ("beside", "stale", "top", "itself")]


@pytest.mark.parametrize("pack", [as_zip, as_tar, as_tar_gz])
@pytest.mark.parametrize("name", ["t/../../evil", "t/../evil", "/t/evil"])
def test_a_name_that_leads_out_is_refused_in_a_packed_folder_too(
    name: str, pack: Pack, tmp_path: Path, scratch: Path
) -> None:
    assert opened(pack(tmp_path / "s", {"t/good": b"x", name: b"x"}), scratch).fatal == [("archive-path", name)]


# Entries


def one_entry(folder: Path, scratch: Path) -> Entry:
    (batch,) = open_submission(folder, scratch=scratch).batches()
    (entry,) = batch.entries
    return entry


def test_a_large_file_comes_in_chunks(tmp_path: Path, scratch: Path) -> None:
    content = os.urandom(5 << 20)
    entry = one_entry(as_folder(tmp_path / "s", {"a": content}), scratch)
    chunks = list(entry.body())
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) <= 1 << 20


def test_the_time_of_a_file_is_told_in_utc(tmp_path: Path, scratch: Path) -> None:
    folder = as_folder(tmp_path / "s", {"a": b""})
    os.utime(folder / "a", (0, 1_632_000_000))
    assert one_entry(folder, scratch).modified == datetime(2021, 9, 18, 21, 20, tzinfo=UTC)


def _grow(file: Path) -> None:
    with file.open("ab") as out:
        out.write(b"more")


def _rewrite(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))
    os.utime(file, ns=(0, 1))


def _replace(file: Path) -> None:
    status = file.stat()
    other = file.with_name("other")
    other.write_bytes(bytes(status.st_size))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


def _make_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


CHANGES = [_grow, lambda file: os.truncate(file, 7), _rewrite, _replace, Path.unlink, _make_pipe]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_before_it_is_read_is_refused(
    change: Callable[[Path], None], tmp_path: Path, scratch: Path
) -> None:
    entry = one_entry(as_folder(tmp_path / "s", {"甲.bin": b"x" * 100}), scratch)
    change(entry.file)
    with pytest.raises(Rejected) as caught:
        list(entry.body())
    assert [(one.code, one.subject) for one in caught.value.findings] == [("file-changed", "甲.bin")]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_refused(
    change: Callable[[Path], None], tmp_path: Path, scratch: Path
) -> None:
    entry = one_entry(as_folder(tmp_path / "s", {"甲.bin": b"x" * (3 << 20)}), scratch)
    body = entry.body()
    next(body)
    change(entry.file)
    with pytest.raises(Rejected) as caught:
        list(body)
    assert [one.code for one in caught.value.findings] == ["file-changed"]


def test_a_file_that_stopped_being_readable_is_refused(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = one_entry(as_folder(tmp_path / "s", {"a": b"x"}), scratch)

    def fail(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(Rejected) as caught:
        list(entry.body())
    assert [one.code for one in caught.value.findings] == ["file-unreadable"]
    assert "Permission denied" in str(caught.value)


# Folders


def test_a_folder_comes_in_the_order_of_its_names(tmp_path: Path, scratch: Path) -> None:
    names = ["a/2", "a/b/1", "a.txt", "b", "甲", "A"]
    assert list(opened(as_folder(tmp_path / "s", dict.fromkeys(names, b"")), scratch).files) == [
        *("A", "a/2", "a/b/1", "a.txt", "b", "甲")
    ]


def test_undecodable_names_are_read_through_an_alias(tmp_path: Path, scratch: Path) -> None:
    folder = tmp_path / os.fsdecode(b"s\xff")
    names = ["图.jpg", os.fsdecode("图.jpg".encode("gb18030")), os.fsdecode(b"\xd6\xd0/a.txt")]
    seen = opened(as_folder(folder, {name: name.encode("utf-8", "surrogateescape") for name in names}), scratch)
    assert seen.files == {name: os.fsencode(name) for name in names}
    assert seen.paths["图.jpg"] == "图.jpg"
    assert seen.paths[names[1]].endswith(".jpg")


def test_an_alias_keeps_the_extension_for_identification(tmp_path: Path, scratch: Path) -> None:
    assert one_entry(as_folder(tmp_path / "s", {os.fsdecode(b"\xff.wps"): b""}), scratch).file.suffix == ".wps"


def test_a_link_to_a_file_inside_is_stored_as_a_copy(tmp_path: Path, scratch: Path) -> None:
    folder = as_folder(tmp_path / "s", {"a/方案.doc": b"plan", "b/": b""})
    (folder / "b/link.doc").symlink_to("../a/方案.doc")
    (folder / "b/again.doc").symlink_to(folder / "b/link.doc")
    seen = opened(folder, scratch)
    assert seen.files == {"a/方案.doc": b"plan", "b/again.doc": b"plan", "b/link.doc": b"plan"}
    assert seen.findings == [("link-copied", "b/again.doc"), ("link-copied", "b/link.doc")]


def test_links_that_cannot_be_copied_are_refused_each_with_its_reason(tmp_path: Path, scratch: Path) -> None:
    folder = as_folder(tmp_path / "s", {"a/x": b"", "secret": b""})
    as_folder(tmp_path / "s2", {"y": b""})
    for name, target in {"1": "a", "2": "nothing", "3": "/etc/passwd", "4": "../s2/y", "5": "5", "6": ".."}.items():
        (folder / name).symlink_to(target)
    assert opened(folder, scratch).fatal == [
        *(("link-folder", "1"), ("link-broken", "2"), ("link-outside", "3")),
        *(("link-outside", "4"), ("link-broken", "5"), ("link-outside", "6")),
    ]


def test_what_is_no_file_is_refused(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = as_folder(tmp_path / "s", {"a": b"x"})
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        seen = opened(folder, scratch)
    assert seen.fatal == [("file-special", "pipe"), ("file-special", "socket")]
    assert list(seen.files) == ["a"]


@contextmanager
def without_privilege() -> Iterator[Path]:
    """A folder whose permissions hold for this process, whoever runs the tests."""
    with tempfile.TemporaryDirectory() as own:
        folder = Path(own)
        folder.chmod(0o777)
        if os.geteuid() != 0:
            yield folder
            return
        groups = os.getgroups()
        os.setgroups([])
        os.setresgid(65534, 65534, 0)
        os.setresuid(65534, 65534, 0)
        try:
            yield folder
        finally:
            os.setresuid(0, 0, 0)
            os.setresgid(0, 0, 0)
            os.setgroups(groups)


def test_unreadable_files_and_folders_are_refused_all_at_once() -> None:
    with without_privilege() as own:
        folder = as_folder(own / "s", {"a": b"x", "b": b"x", "c/d": b"x", "e": b"x"})
        folder.joinpath("b").chmod(0)
        folder.joinpath("c").chmod(0)
        seen = opened(folder, own / "scratch")
        folder.joinpath("c").chmod(0o700)
    assert seen.fatal == [("file-unreadable", "b"), ("file-unreadable", "c")]
    assert list(seen.files) == ["a", "e"]


def test_an_archive_that_may_not_be_read_is_refused() -> None:
    for pack in (as_zip, as_tar_gz):
        with without_privilege() as own:
            path = pack(own / "s", PAPERS)
            path.chmod(0)
            assert refusal(path, own / "scratch") == ["file-unreadable"]


# Zip


def raw_zip(path: Path, names: list[bytes], *, extra: Callable[[bytes], bytes] = lambda name: b"") -> Path:
    """A zip whose names are these bytes, with no word on their encoding."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            info = zipfile.ZipInfo(chr(ord("G") + number) * len(name))
            info.extra = extra(name)
            archive.writestr(info, name)
    data = path.read_bytes()
    for number, name in enumerate(names):
        data = data.replace(chr(ord("G") + number).encode() * len(name), name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("encoding", "names", "told"),
    [
        ("gb18030", ["县文件柜/第一届方案.txt", "ascii.txt"], ["names-decoded"]),
        ("utf-8", ["县文件柜/第一届方案.txt", "ascii.txt"], ["names-decoded"]),
        ("cp437", ["fünfzehn à la carte ñ.txt", "0123456789│.txt"], ["names-decoded"]),
        ("ascii", ["plain.txt"], []),
    ],
)
def test_zip_names_without_a_word_on_their_encoding_are_decoded_and_it_is_said(
    encoding: str, names: list[str], told: list[str], tmp_path: Path, scratch: Path
) -> None:
    seen = opened(raw_zip(tmp_path / "s.zip", [name.encode(encoding) for name in names]), scratch)
    assert list(seen.files) == names
    assert [code for code, _ in seen.findings if code != "name-changed"] == told


def test_the_encoding_is_one_decision_for_the_whole_zip(tmp_path: Path, scratch: Path) -> None:
    # 联通 in GBK is also valid UTF-8: alone it would be misread.
    seen = opened(raw_zip(tmp_path / "s.zip", ["abc联通".encode("gbk"), "档案文件.txt".encode("gbk")]), scratch)
    assert list(seen.files) == ["abc联通", "档案文件.txt"]


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("通知.txt".encode("gbk"), "通知.txt"),  # valid UTF-8 as well: two accents upon nothing
        ("café e\u0301té ❤\ufe0f.txt".encode(), "café e\u0301té ❤\ufe0f.txt"),
        ("שלום.txt".encode(), "שלום.txt"),
    ],
)
def test_what_is_utf8_by_accident_is_not_taken_for_it(raw: bytes, name: str, tmp_path: Path, scratch: Path) -> None:
    assert list(opened(raw_zip(tmp_path / "s.zip", [raw]), scratch).files) == [name]


def unicode_path(name: str, crc: int) -> bytes:
    data = struct.pack("<BL", 1, crc) + name.encode()
    return struct.pack("<HH", 0x7075, len(data)) + data


def test_the_unicode_path_field_is_believed_if_it_belongs_to_the_name(tmp_path: Path, scratch: Path) -> None:
    belongs = zlib.crc32(b"xyz.txt")
    good = raw_zip(tmp_path / "good.zip", [b"xyz.txt"], extra=lambda _: unicode_path("方案.txt", belongs))
    stale = raw_zip(tmp_path / "stale.zip", [b"xyz.txt"], extra=lambda _: unicode_path("方案.txt", belongs ^ 1))
    assert list(opened(good, scratch).files) == ["方案.txt"]
    assert list(opened(stale, scratch).files) == ["xyz.txt"]


def test_backslashes_are_separators_where_nothing_else_is(tmp_path: Path, scratch: Path) -> None:
    seen = opened(as_zip(tmp_path / "1.zip", {"a\\b.txt": b"x", "a\\e\\": b""}), scratch)
    assert (list(seen.files), seen.empty) == (["b.txt"], ["e"])
    assert seen.findings == [("names-backslash", "1.zip"), ("archive-top-folder", "1.zip")]
    seen = opened(as_zip(tmp_path / "2.zip", {"a\\b.txt": b"x", "c/d": b"x"}), scratch)
    assert (list(seen.files), seen.findings) == (["a\\b.txt", "c/d"], [])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_compression_python_writes_is_read(method: int, tmp_path: Path, scratch: Path) -> None:
    files = {"zeros": bytes(3 << 20), "random": os.urandom(1 << 20), "text": "档案".encode() * 9999, "empty": b""}
    with zipfile.ZipFile(tmp_path / "s", "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    assert opened(tmp_path / "s", scratch).files == files


def test_zip64_and_data_descriptors_are_read(tmp_path: Path, scratch: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise OSError

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(b"x" * 100)
    (tmp_path / "s").write_bytes(pipe.getvalue())
    assert opened(tmp_path / "s", scratch).files == {"a": b"x" * 100}


def test_more_members_than_a_plain_zip_can_count_are_read(tmp_path: Path, scratch: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s", "w") as archive:
        for number in range(65_600):
            archive.writestr(zipfile.ZipInfo(f"{number}/"), b"")
    batches = open_submission(tmp_path / "s", scratch=scratch).batches()
    assert sum(len(batch.empty_folders) for batch in batches) == 65_600


def test_a_program_that_unpacks_itself_is_a_zip(tmp_path: Path, scratch: Path) -> None:
    data = as_zip(tmp_path / "s", PAPERS).read_bytes()
    (tmp_path / "s.exe").write_bytes(b"MZ" + bytes(5000) + data)
    assert opened(tmp_path / "s.exe", scratch).files == PAPERS


def test_times_in_a_zip_are_told_only_where_they_are_in_utc(tmp_path: Path, scratch: Path) -> None:
    moment = datetime(2021, 9, 18, 21, 20, tzinfo=UTC)
    seconds = int(moment.timestamp())
    filetime = seconds * 10_000_000 + 116_444_736_000_000_000
    with zipfile.ZipFile(tmp_path / "s", "w") as archive:
        for name, extra in {
            "unix": struct.pack("<HHBl", 0x5455, 5, 1, seconds),
            "ntfs": struct.pack("<HHLHHQQQ", 0x000A, 32, 0, 1, 24, filetime, filetime, filetime),
            "plain": b"",
        }.items():
            info = zipfile.ZipInfo(name, (2021, 9, 18, 0, 0, 0))
            info.extra = extra
            archive.writestr(info, b"")
    assert opened(tmp_path / "s", scratch).modified == {"unix": moment, "ntfs": moment, "plain": None}


def patched(path: Path, offset_in_directory: int, value: bytes, *, header: int | None = None) -> Path:
    """The zip with bytes of its last central directory entry (and of the local header) replaced."""
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02") + offset_in_directory
    data[at : at + len(value)] = value
    if header is not None:
        data[header : header + len(value)] = value
    path.write_bytes(data)
    return path


def two(tmp_path: Path) -> Path:
    return as_zip(tmp_path / "s.zip", {"good.txt": b"good", "坏.txt": b"bad" * 100})


@pytest.mark.parametrize(
    ("offset", "value", "code"),
    [
        (8, b"\x01\x08", "archive-encrypted"),
        (10, b"\x09\x00", "archive-unsupported"),
        (16, b"\x00\x00\x00\x00", "archive-damaged"),  # CRC-32
        (24, b"\x0a\x00\x00\x00", "archive-damaged"),  # declares 10 bytes, has 300
        (24, b"\xff\x01\x00\x00", "archive-damaged"),  # declares more than it has
        (42, b"\x00\x00\x00\x00", "archive-damaged"),  # overlaps the first
        (42, b"\x02\x03\x00\x00", "archive-damaged"),  # no header there
        (34, b"\x01\x00", "archive-damaged"),  # in another part
    ],
)
def test_a_bad_member_is_named_and_the_others_are_read(
    offset: int, value: bytes, code: str, tmp_path: Path, scratch: Path
) -> None:
    seen = opened(patched(two(tmp_path), offset, value), scratch)
    assert seen.fatal == [(code, "坏.txt")]
    assert seen.files == {"good.txt": b"good"}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_is_not_unpacked_beyond_its_word(method: int, tmp_path: Path, scratch: Path) -> None:
    # The CRC-32 is that of the declared part: only the bytes beyond it betray it.
    with zipfile.ZipFile(tmp_path / "s", "w", method) as archive:
        archive.writestr("bomb", bytes(200 << 20))
    patched(tmp_path / "s", 24, struct.pack("<L", 100))
    patched(tmp_path / "s", 16, struct.pack("<L", zlib.crc32(bytes(100))))
    submission = open_submission(tmp_path / "s", scratch=scratch)
    tracemalloc.start()
    try:
        assert see(submission).fatal == [("archive-damaged", "bomb")]
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("position", [60, -140, -30])
def test_bytes_flipped_in_the_content_are_found(position: int, tmp_path: Path, scratch: Path) -> None:
    content = os.urandom(400)
    path = as_zip(tmp_path / "s", {"a.bin": content})
    data = bytearray(path.read_bytes())
    data[100] ^= 0xFF
    path.write_bytes(data)
    assert opened(path, scratch).fatal == [("archive-damaged", "a.bin")]


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_truncated_zip_is_refused(keep: float, tmp_path: Path, scratch: Path) -> None:
    path = as_zip(tmp_path / "s.zip", PAPERS)
    os.truncate(path, int(path.stat().st_size * keep))
    assert refusal(path, scratch) == ["archive-truncated"]


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "C:\\a.txt", "c:/a", "a/..", "x/../a"])
@pytest.mark.parametrize("pack", [as_zip, as_tar, as_tar_gz])
def test_names_that_lead_out_are_refused(name: str, pack: Pack, tmp_path: Path, scratch: Path) -> None:
    seen = opened(pack(tmp_path / "s", {name: b"x", "good/a": b"x"}), scratch)
    assert seen.fatal == [("archive-path", name)]
    assert list(seen.files) == ["good/a"]


@pytest.mark.parametrize("pack", [as_zip, as_tar])
def test_a_name_longer_than_any_system_holds_is_refused(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    seen = opened(pack(tmp_path / "s", {"a/" * 3000 + "b": b"x"}), scratch)
    assert [code for code, _ in seen.fatal] == ["archive-path"]


def test_zip_names_that_are_there_twice_are_refused(tmp_path: Path, scratch: Path) -> None:
    names = ["方案.txt".encode("gbk"), b"xyz.txt"]
    path = raw_zip(tmp_path / "1.zip", names, extra=lambda name: unicode_path("方案.txt", zlib.crc32(b"xyz.txt")))
    assert opened(path, scratch).fatal == [("name-collision", "方案.txt")]
    assert opened(as_zip(tmp_path / "2.zip", {"a": b"", "a/b": b""}), scratch).fatal == [("name-collision", "a/b")]
    assert opened(as_zip(tmp_path / "3.zip", {"a/b": b"", "a//b": b""}), scratch).fatal == [("name-collision", "b")]


def test_links_in_a_zip(tmp_path: Path, scratch: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s", "w") as archive:
        targets = {"d/1": "../late", "2": "/etc/passwd", "3": "../../x", "4": "d", "5": "d/1", "6": "6", "7": "no"}
        for name, target in targets.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
        archive.writestr("late", b"content")
        pipe = zipfile.ZipInfo("pipe")
        pipe.create_system, pipe.external_attr = 3, (stat.S_IFIFO | 0o600) << 16
        archive.writestr(pipe, b"")
    seen = opened(tmp_path / "s", scratch)
    assert seen.files == {"late": b"content", "d/1": b"content", "5": b"content"}
    assert sorted(seen.findings) == [
        *(("archive-link", one) for one in "23467"),
        *(("file-special", "pipe"), ("link-copied", "5"), ("link-copied", "d/1")),
    ]


@pytest.mark.parametrize("pack", ARCHIVES)
def test_files_of_any_size_follow_each_other_whole(pack: Pack, tmp_path: Path, scratch: Path) -> None:
    sizes = [5000, 0, 3 << 20, 7, 2000, 1 << 20]
    files = {f"{number:04d}": bytes([number % 251 + 1]) * sizes[number % 6] for number in range(200)}
    assert opened(pack(tmp_path / "s", files), scratch).files == files


@pytest.mark.parametrize("pack", [as_zip, as_tar_gz])
def test_scratch_without_room_is_said(
    pack: Pack, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path / "s", {"a": b"x" * 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 100))
    with pytest.raises(StoreUnavailable, match="100 free") as caught:
        opened(path, scratch)
    assert str(scratch) in caught.value.subject


# Tar


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_every_form_of_tar_is_read(form: int, mode: Mode, tmp_path: Path, scratch: Path) -> None:
    with tarfile.open(tmp_path / "s", mode, format=form) as archive:
        archive.addfile(info_of("./", type=tarfile.DIRTYPE))
        for name, content in PAPERS.items():
            archive.addfile(info_of("./" + name, size=len(content), mtime=1_632_000_000), io.BytesIO(content))
    seen = opened(tmp_path / "s", scratch)
    assert seen.files == PAPERS
    assert set(seen.modified.values()) == {datetime(2021, 9, 18, 21, 20, tzinfo=UTC)}
    assert seen.findings == []


def test_pax_times_keep_their_fractions(tmp_path: Path, scratch: Path) -> None:
    with tarfile.open(tmp_path / "s", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info_of("a", mtime=1_632_000_000.25))
    assert opened(tmp_path / "s", scratch).modified == {"a": datetime(2021, 9, 18, 21, 20, 0, 250_000, tzinfo=UTC)}


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_tar_names_in_gb18030_are_decoded_and_it_is_said(mode: Mode, tmp_path: Path, scratch: Path) -> None:
    names = ["方案.txt", "a.txt"]
    path = as_tar(tmp_path / "s", {os.fsdecode(name.encode("gbk")): b"x" for name in names}, mode)
    seen = opened(path, scratch)
    assert list(seen.files) == names
    assert seen.findings == [("names-decoded", "方案.txt" if mode == "w:gz" else "s")]


def test_the_encoding_is_one_decision_for_a_plain_tar(tmp_path: Path, scratch: Path) -> None:
    path = as_tar(tmp_path / "s", {os.fsdecode(name.encode("gbk")): b"" for name in ("联通", "档案")})
    assert list(opened(path, scratch).files) == ["联通", "档案"]


def test_tar_names_that_no_encoding_fits_keep_their_bytes(tmp_path: Path, scratch: Path) -> None:
    seen = opened(as_tar(tmp_path / "s", {os.fsdecode(b"\xff\xff.txt"): b"x"}), scratch)
    assert list(seen.files) == [os.fsdecode(b"\xff\xff.txt")]


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_links_in_a_tar(mode: Mode, tmp_path: Path, scratch: Path) -> None:
    links = [
        info_of("hard", type=tarfile.LNKTYPE, linkname="d/甲"),
        info_of("d/soft", type=tarfile.SYMTYPE, linkname="甲"),
        info_of("d/hard", type=tarfile.LNKTYPE, linkname="./d/soft"),
        info_of("out", type=tarfile.SYMTYPE, linkname="../x"),
        info_of("folder", type=tarfile.SYMTYPE, linkname="d"),
        info_of("gone", type=tarfile.LNKTYPE, linkname="gone2"),
    ]
    seen = opened(as_tar(tmp_path / "s", {"d/甲": b"content", "d/b": b"b"}, mode, *links), scratch)
    assert seen.files == {"d/甲": b"content", "d/b": b"b"} | dict.fromkeys(["hard", "d/soft", "d/hard"], b"content")
    assert seen.fatal == [("archive-link", "out"), ("archive-link", "folder"), ("archive-link", "gone")]
    assert [code for code, _ in seen.findings].count("link-copied") == 3


def test_many_links_to_one_file_stay_in_bounded_batches(tmp_path: Path, scratch: Path) -> None:
    links = [info_of(f"l{number}", type=tarfile.LNKTYPE, linkname="a") for number in range(700)]
    submission = open_submission(as_tar(tmp_path / "s", {"a": b"x"}, "w:", *links), scratch=scratch)
    batches: list[Batch] = []
    for batch in submission.batches():
        assert all(b"".join(entry.body()) == b"x" for entry in batch.entries)
        batches.append(batch)
    assert sum(len(batch.entries) for batch in batches) == 701
    assert max(len(batch.entries) for batch in batches) <= 256


def test_devices_and_pipes_in_a_tar_are_refused(tmp_path: Path, scratch: Path) -> None:
    special = [info_of("pipe", type=tarfile.FIFOTYPE), info_of("disk", type=tarfile.BLKTYPE), info_of("m", type=b"M")]
    assert opened(as_tar(tmp_path / "s", {"a": b""}, "w:", *special), scratch).fatal == [
        *(("file-special", "pipe"), ("file-special", "disk"), ("file-special", "m"))
    ]


def test_names_twice_in_a_tar_are_refused(tmp_path: Path, scratch: Path) -> None:
    assert opened(as_tar(tmp_path / "s", {"a": b"1"}, "w:", info_of("./a")), scratch).fatal == [("name-collision", "a")]


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs GNU tar to write a sparse member")
@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_sparse_members_are_read_with_their_holes(form: str, tmp_path: Path, scratch: Path) -> None:
    folder = as_folder(tmp_path / "f", {"sparse": b"begin"})
    with (folder / "sparse").open("r+b") as out:
        out.seek(3 << 20)
        out.write(b"end")
    os.system(f"tar -C {folder} --sparse --format={form} -cf {tmp_path}/s sparse")
    assert (tmp_path / "s").stat().st_size < 1 << 20
    assert opened(tmp_path / "s", scratch).files == {"sparse": (folder / "sparse").read_bytes()}


def codes_of(path: Path, scratch: Path) -> list[str]:
    """The fatal findings, also if not even the first header can be decompressed."""
    try:
        return [code for code, _ in opened(path, scratch).fatal]
    except Rejected as refused:
        return [one.code for one in refused.findings]


def incompressible(names: int) -> dict[str, bytes]:
    return {f"{number}.bin": os.urandom(3000) for number in range(names)}


@pytest.mark.parametrize("pack", [as_tar, as_tar_gz, as_tar_bz2, as_tar_xz])
@pytest.mark.parametrize("keep", [2000, 5000, 9000])
def test_a_truncated_tar_is_told_and_what_came_before_is_read(
    pack: Pack, keep: int, tmp_path: Path, scratch: Path
) -> None:
    path = pack(tmp_path / "s", incompressible(4))
    os.truncate(path, keep)
    assert "archive-truncated" in codes_of(path, scratch)


def test_a_tar_cut_between_two_members_is_told(tmp_path: Path, scratch: Path) -> None:
    path = as_tar(tmp_path / "s", incompressible(4))
    os.truncate(path, 2 * (512 + 3072))
    assert opened(path, scratch).fatal == [("archive-truncated", "s")]


def test_a_broken_header_in_the_middle_is_not_taken_for_the_end(tmp_path: Path, scratch: Path) -> None:
    path = as_tar(tmp_path / "s", incompressible(4))
    data = bytearray(path.read_bytes())
    data[512 + 3072] ^= 0xFF
    path.write_bytes(data)
    assert opened(path, scratch).fatal == [("archive-damaged", "s")]


def test_something_after_the_end_is_not_lost_in_silence(tmp_path: Path, scratch: Path) -> None:
    path, other = as_tar(tmp_path / "s", {"a": b"1"}), as_tar(tmp_path / "o", {"b": b"2"})
    path.write_bytes(path.read_bytes() + other.read_bytes())
    assert opened(path, scratch).fatal == [("archive-damaged", "s")]


def test_a_wrong_crc_of_gzip_is_found(tmp_path: Path, scratch: Path) -> None:
    path = as_tar_gz(tmp_path / "s", PAPERS)
    data = bytearray(path.read_bytes())
    data[-8] ^= 0xFF
    path.write_bytes(data)
    assert opened(path, scratch).fatal == [("archive-damaged", "s")]


def test_a_header_that_asks_for_all_memory_is_refused(tmp_path: Path, scratch: Path) -> None:
    first = info_of("a", size=0).tobuf(tarfile.GNU_FORMAT)
    long = info_of("././@LongLink", type=b"L", size=1 << 33).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "s").write_bytes(first + long + bytes(10240))
    assert opened(tmp_path / "s", scratch).fatal == [("archive-damaged", "s")]


# What is no submission


def test_a_path_with_nothing_there_is_not_found(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "broken").symlink_to("nothing")
    as_folder(tmp_path, {"file": b""})
    for name in ("nothing", "broken", "file/below"):
        with pytest.raises(NotFound) as caught:
            open_submission(tmp_path / name, scratch=scratch)
        assert caught.value.remedy


def pdf_with_a_zip_attached(path: Path) -> None:
    path.write_bytes(b"%PDF-1.7\n" + as_zip(path, {"a": b"x"}).read_bytes() + b"%%EOF")


UNKNOWN: dict[str, Callable[[Path], object]] = {
    "plain text": lambda path: path.write_text("not a submission"),
    "empty file": lambda path: path.write_bytes(b""),
    "disk image": lambda path: path.write_bytes(bytes(32768) + b"CD001" + bytes(1 << 20)),
    "pdf with a zip attached": pdf_with_a_zip_attached,
    "docx": lambda path: as_zip(path, {"[Content_Types].xml": b"<Types/>", "word/document.xml": b""}),
    "odt": lambda path: as_zip(path, {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b""}),
    "ofd": lambda path: as_zip(path, {"OFD.xml": b"<OFD/>", "Doc_0/Document.xml": b""}),
    "gzip of one file": lambda path: path.write_bytes(gzip.compress(b"x" * 10_000)),
    "bzip2 of one file": lambda path: path.write_bytes(bz2.compress(b"x" * 10_000)),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("make", UNKNOWN.values(), ids=list(UNKNOWN))
def test_a_single_file_is_no_submission(make: Callable[[Path], object], tmp_path: Path, scratch: Path) -> None:
    make(tmp_path / "one.zip")
    assert refusal(tmp_path / "one.zip", scratch) == ["submission-unknown"]


def test_an_archive_is_known_by_its_content_not_by_its_name(tmp_path: Path, scratch: Path) -> None:
    assert open_submission(as_zip(tmp_path / "a.tar", PAPERS), scratch=scratch).kind == "zip"
    assert open_submission(as_tar(tmp_path / "b.zip", PAPERS), scratch=scratch).kind == "tar"
    inner = as_zip(tmp_path / "inner", PAPERS).read_bytes()
    assert open_submission(as_tar(tmp_path / "c", {"last.zip": inner}), scratch=scratch).kind == "tar"


def test_an_archive_compressed_by_what_is_not_read_is_refused(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "s.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    assert refusal(tmp_path / "s.tar.zst", scratch) == ["archive-unsupported"]


def test_each_folder_and_archive_is_a_submission_of_its_own(tmp_path: Path) -> None:
    as_folder(tmp_path / "乙", {"a": b""})
    as_folder(tmp_path / "甲", {"a": b""})
    as_zip(tmp_path / "丙.zip", PAPERS)
    as_tar_gz(tmp_path / "丁.tgz", PAPERS)
    as_zip(tmp_path / "说明.docx", {"[Content_Types].xml": b""})
    as_folder(tmp_path, {"metadata.csv": b"filename,dc.title\n", "truncated.zip": b"PK\x03\x04"})
    assert [one.name for one in subfolders(tmp_path)] == ["truncated.zip", "丁.tgz", "丙.zip", "乙", "甲"]


@pytest.mark.parametrize(("path", "name"), [("s", "s"), ("s/", "s"), ("s/.", "s"), ("s/a/..", "s"), (".", "here")])
def test_a_submission_has_the_name_of_its_folder(
    path: str, name: str, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_folder(tmp_path / "here/s", {"a/b": b""})
    monkeypatch.chdir(tmp_path / "here")
    assert open_submission(Path(path), scratch=scratch).name == name
