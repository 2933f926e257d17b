"""Bad input: each gets a message that names the thing and says what to do, and leaves nothing behind."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lantai.catalog import Catalog
from lantai.digest import Digests
from lantai.messages import FINDINGS
from lantai.storage.filesystem import FilesystemStore
from tests.integration.command import DATA, ENVIRONMENT, Lantai, codes, folder

REFUSED = {
    "encrypted.zip": {"archive-encrypted": ["通知.txt", "嘉宾名单.csv"]},
    "truncated.zip": {"archive-truncated": ["truncated.zip"]},
    "truncated.tar.gz": {"archive-truncated": ["筹备/嘉宾名单.csv", "truncated.tar.gz"]},
    "slip.zip": {"archive-path": ["../evil.txt"]},
    "slip.tar": {"archive-path": ["../evil.txt"]},
    "absolute.zip": {"archive-path": ["/tmp/evil.txt"]},
    "link-out.zip": {"archive-link": ["link"]},
    "link-out.tar": {"archive-link": ["soft", "hard"]},
    "device.tar": {"file-special": ["pipe", "null"]},
    "collision.zip": {"name-collision": ["通知.txt"]},
    "duplicate.zip": {"name-collision": ["通知.txt"]},
    "damaged.zip": {"archive-damaged": ["bad.txt"]},
}


def errors_of(answer: dict[str, list[dict[str, str]]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in answer["errors"]:
        found.setdefault(one["code"], []).append(one["subject"])
    return found


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_archive_is_refused_with_all_that_is_wrong(lantai: Lantai, name: str) -> None:
    answer = lantai.refused(DATA / name)
    assert answer["submission"] == str(DATA / name)
    assert errors_of(answer) == REFUSED[name]
    checked = lantai("check", DATA / name, "--json")
    assert checked.code == 1
    assert errors_of(checked.object) == REFUSED[name]


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_person_reads_of_each_what_it_is_and_what_to_do(lantai: Lantai, name: str, language: str) -> None:
    done = lantai("check", DATA / name, "--lang", language)
    assert done.code == 1
    assert str(DATA / name) in done.out
    lines = done.err.splitlines()
    for code, subjects in REFUSED[name].items():
        advice = FINDINGS[code].text[language].replace("；", ";").split(";", 1)[1].strip()
        for subject in subjects:
            assert any(subject in line and code in line and advice in line.replace("；", ";") for line in lines)


def test_ingest_tells_a_person_the_same_and_that_nothing_was_kept(lantai: Lantai) -> None:
    done = lantai("ingest", DATA / "slip.zip")
    assert (done.code, done.out) == (1, "")
    assert f"{DATA / 'slip.zip'}: refused; nothing of it was kept\n  ../evil.txt: " in done.err


def test_nothing_is_unpacked_outside_of_the_scratch_folder(lantai: Lantai, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for name in ("slip.zip", "absolute.zip", "slip.tar", "link-out.zip", "link-out.tar"):
        assert lantai("ingest", DATA / name, LANTAI_INGEST__STAGING=str(scratch)).code == 1
    assert list(scratch.iterdir()) == []
    assert not Path("/tmp/evil.txt").exists()
    assert not list(tmp_path.rglob("evil.txt"))


def test_an_empty_folder_is_no_submission(lantai: Lantai, tmp_path: Path) -> None:
    answer = lantai.refused(folder(tmp_path / "empty", {}))
    assert codes(answer["errors"]) == {"submission-empty": "empty"}
    only_folders = lantai.refused(folder(tmp_path / "hollow", {"a/": "", "b/c/": ""}))
    assert codes(only_folders["errors"]) == {"submission-empty": "hollow"}
    only_a_sheet = lantai.refused(folder(tmp_path / "sheet", {"metadata.csv": "文件名,题名\n,无\n"}))
    assert codes(only_a_sheet["errors"]) == {"submission-empty": "sheet"}


def test_a_file_that_is_no_submission_is_refused(lantai: Lantai, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear archive\n", "utf-8")
    assert codes(lantai.refused(tmp_path / "letter.txt")["errors"]) == {"submission-unknown": "letter.txt"}


def test_an_empty_folder_inside_is_recorded(lantai: Lantai, tmp_path: Path) -> None:
    stored = lantai.stored(folder(tmp_path / "in", {"a.txt": "a", "待补/照片/": ""}))
    assert codes(stored["warnings"]) == {"folder-empty": "待补/照片"}
    premis = next(lantai.export(stored["package"]).rglob("original/metadata/preservation/premis.xml"))
    assert "待补/照片" in premis.read_text("utf-8")


def without_privilege() -> None:
    """Root reads everything; a process that gave up these two capabilities reads what its owner may, as anyone."""
    library = ctypes.CDLL(None, use_errno=True)
    drop, override, read_search = 24, 1, 2
    for capability in (override, read_search):
        if os.geteuid() == 0 and library.prctl(drop, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


@pytest.mark.parametrize("what", ["a file", "a folder", "the whole"])
def test_what_cannot_be_read_is_named(lantai: Lantai, tmp_path: Path, what: str) -> None:
    records = folder(tmp_path / "in", {"a.txt": "a", "secret/b.txt": "b"})
    closed = {"a file": records / "secret/b.txt", "a folder": records / "secret", "the whole": records}[what]
    subject = {"a file": "secret/b.txt", "a folder": "secret", "the whole": "in"}[what]
    before = lantai.state()
    closed.chmod(0)
    try:
        done = lantai.process("ingest", records, "--json", preexec_fn=without_privilege)
    finally:
        closed.chmod(0o700)
    assert done.code == 1, done
    (finding,) = done.object["errors"]
    assert (finding["code"], finding["subject"]) == ("file-unreadable", subject)
    assert "ermission" in finding["message"]
    assert lantai.state() == before
    assert lantai.stored(records)["files"] == 2


def test_a_file_that_changes_while_it_is_read_is_refused(lantai: Lantai, tmp_path: Path) -> None:
    records = folder(tmp_path / "in", {"a.txt": "a", "log.txt": "begun\n"})
    before = lantai.state()
    put = FilesystemStore.put

    def written_to(store: FilesystemStore, key: str, *arguments: Any, **more: Any) -> Digests:
        if key.endswith("/log.txt"):
            with (records / "log.txt").open("ab") as file:
                file.write(b"x")
        return put(store, key, *arguments, **more)

    with mock.patch.object(FilesystemStore, "put", written_to):
        done = lantai("ingest", records, "--json")
    assert done.code == 1
    assert codes(done.object["errors"]) == {"file-changed": "log.txt"}
    assert lantai.state() == before


@pytest.mark.parametrize(("make", "code"), [
    (lambda place: os.mkfifo(place), "file-special"),
    (lambda place: socket.socket(socket.AF_UNIX).bind(str(place)), "file-special"),
    (lambda place: place.symlink_to("/etc/passwd"), "link-outside"),
    (lambda place: place.symlink_to("nowhere"), "link-broken"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_no_file_is_refused(lantai: Lantai, tmp_path: Path, make: Callable[[Path], object], code: str) -> None:
    records = folder(tmp_path / "in", {"a.txt": "a"})
    make(records / "odd")
    assert codes(lantai.refused(records)["errors"]) == {code: "odd"}


# -- sheets


def sheet(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    return folder(tmp_path / "in", {"a.txt": "a", "b.txt": "b", "metadata.csv": text.encode(encoding)})


def test_a_sheet_in_gbk_is_read_and_it_is_said(lantai: Lantai, tmp_path: Path) -> None:
    stored = lantai.stored(sheet(tmp_path, "文件名,题名\n,云岭县档案\na.txt,活动方案\n", "gbk"))
    assert codes(stored["warnings"]) == {"sheet-not-utf8": "metadata.csv"}
    assert lantai("show", stored["package"], "--json").object["title"] == "云岭县档案"
    assert [one["title"] for one in lantai("search", "方案", "--json").objects] == ["活动方案"]


@pytest.mark.parametrize(
    "text", ["null", "true", "7", '"a"', "[1]", '[{"dc.title": "A"}, null]', "[" * 900 + "]" * 900]
)
def test_a_sheet_in_json_that_lists_no_objects_is_refused(lantai: Lantai, tmp_path: Path, text: str) -> None:
    answer = lantai.refused(folder(tmp_path / "in", {"a.txt": "a", "metadata.json": text}))
    assert codes(answer["errors"]) == {"sheet-unreadable": "metadata.json"}


def test_a_value_in_json_however_deep_is_no_crash(lantai: Lantai, tmp_path: Path) -> None:
    text = '{"dc.title": ' + "[" * 900 + '"A"' + "]" * 900 + "}"
    done = lantai("ingest", folder(tmp_path / "in", {"a.txt": "a", "metadata.json": text}), "--json")
    assert done.object["status"] in ("stored", "rejected")


@pytest.mark.parametrize(("text", "code", "words"), [
    ("filename,dc.title\na.txt,A\nnowhere.txt,N\n", "sheet-file-missing", ["row 3", "nowhere.txt"]),
    ("filename,dc.title\na.txt,A\nb.txt,B\na.txt,C\n", "sheet-duplicate", ["a.txt", "2, 4"]),
    ("which,dc.title\na.txt,A\nb.txt,B\n", "sheet-header-missing", ["filename", "文件名"]),
    ("a.txt,A\nb.txt,B\n", "sheet-header-missing", ["filename"]),
])  # fmt: skip
def test_a_bad_sheet_is_refused_with_the_row(
    lantai: Lantai, tmp_path: Path, text: str, code: str, words: list[str]
) -> None:
    (error,) = lantai.refused(sheet(tmp_path, text))["errors"]
    assert (error["code"], error["subject"]) == (code, "metadata.csv")
    assert all(word in error["message"] for word in words)


def test_the_same_holds_for_a_sheet_named_by_option(lantai: Lantai, tmp_path: Path) -> None:
    records = folder(tmp_path / "in", {"a.txt": "a"})
    (tmp_path / "my.csv").write_text("filename,dc.title\nnowhere.txt,N\n", "utf-8")
    (error,) = lantai.refused(records, "--metadata", tmp_path / "my.csv")["errors"]
    assert (error["code"], error["subject"]) == ("sheet-file-missing", "my.csv")
    (tmp_path / "my.xlsx").write_bytes(b"PK\x03\x04 no sheet")
    (error,) = lantai.refused(records, "--metadata", tmp_path / "my.xlsx")["errors"]
    assert (error["code"], error["subject"]) == ("sheet-unreadable", "my.xlsx")


def test_a_sheet_that_is_not_there_is_named(lantai: Lantai, tmp_path: Path) -> None:
    done = lantai("ingest", folder(tmp_path / "in", {"a.txt": "a"}), "--metadata", "nowhere.csv", "--json")
    assert done.code == 1
    assert (done.error["kind"], done.error["subject"]) == ("NotFound", "nowhere.csv")


def test_all_faults_are_told_at_once(lantai: Lantai, tmp_path: Path) -> None:
    records = sheet(tmp_path, "filename,dc.title\nnowhere.txt,N\na.txt,A\na.txt,B\n")
    (records / "link").symlink_to("/etc/passwd")
    found = codes(lantai.refused(records)["errors"])
    assert set(found) == {"sheet-file-missing", "sheet-duplicate", "link-outside"}


# -- what this user may not read or write


@pytest.mark.parametrize(("arguments", "closed", "code", "kind", "subject"), [
    (["identify", "shut/x"], "shut", 1, "NotFound", "shut/x"),
    (["identify", "shut"], "shut", 1, "NotFound", "shut"),
    (["identify", "in/a.txt"], "in/a.txt", 1, "NotFound", "in/a.txt"),
    (["identify", "in"], "in/a.txt", 1, "NotFound", "in/a.txt"),
    (["check", "in", "--metadata", "shut/x.csv"], "shut", 1, "NotFound", "shut/x.csv"),
    (["metadata", "template", "in", "-o", "shut/x.csv"], "shut", 2, "UsageError", "shut/x.csv"),
    (["init", "shut/h"], "shut", 2, "UsageError", "shut/h/lantai.toml"),
    (["init", "shut", "--store", "st"], "shut", 2, "UsageError", "shut/lantai.toml"),
    (["init", "h", "--store", "shut/st"], "shut", 2, "UsageError", "shut/st"),
    (["ingest", "in", "--each", "--home", "home"], "in", 1, "NotFound", "in"),
    (["ingest", "shut/x", "--each", "--home", "home"], "shut", 1, "NotFound", "shut/x"),
    (["ingest", "in", "--each", "--home", "home"], "in/metadata.csv", 1, "NotFound", "in/metadata.csv"),
    (["list", "--home", "home"], "home/lantai.toml", 2, "UsageError", "home/lantai.toml"),
])  # fmt: skip
def test_what_may_not_be_touched_is_named(
    lantai: Lantai, tmp_path: Path, arguments: list[str], closed: str, code: int, kind: str, subject: str
) -> None:
    folder(tmp_path / "shut", {})
    folder(tmp_path / "in", {"a.txt": "a", "b/b.txt": "b", "metadata.csv": "filename,dc.title\nb,B\n"})
    before = lantai.state()
    mode = (tmp_path / closed).stat().st_mode
    (tmp_path / closed).chmod(0)
    try:
        done = Lantai(tmp_path).process(*arguments, "--json", preexec_fn=without_privilege)
    finally:
        (tmp_path / closed).chmod(mode)
    (error,) = [one["error"] for one in done.objects if "error" in one]
    assert (done.code, error["kind"]) == (code, kind), done
    assert error["subject"].removeprefix(f"{tmp_path}/") == subject
    assert "ermission" in error["what"]
    assert "home" not in error["remedy"]
    assert done.noted == ""
    assert lantai.state() == before


def test_a_home_that_cannot_be_written_does_not_use_its_store_up(tmp_path: Path) -> None:
    here = Lantai(tmp_path)
    folder(tmp_path / "h", {}).chmod(0o500)
    done = here.process("init", "h", "--store", "st", "--json", preexec_fn=without_privilege)
    (tmp_path / "h").chmod(0o700)
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert done.error["subject"].startswith("h/")
    assert here("init", "h", "--store", "st").code == 0


def test_a_place_for_an_export_that_may_not_be_looked_at_is_named(stocked: tuple[Lantai, str], tmp_path: Path) -> None:
    lantai, id = stocked
    shut = folder(tmp_path / "shut", {})
    shut.chmod(0)
    try:
        done = lantai.process("export", id, shut / "q", "--json", preexec_fn=without_privilege)
    finally:
        shut.chmod(0o700)
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert done.error["subject"].startswith(str(shut / "q"))


def test_what_no_room_foresaw_is_told_as_well(lantai: Lantai) -> None:
    with mock.patch.object(Catalog, "packages", side_effect=OSError(errno.EIO, os.strerror(errno.EIO), "/dev/x")):
        done = lantai("list", "--json")
    assert (done.code, done.error["kind"], done.error["subject"]) == (1, "StoreUnavailable", "/dev/x")
    assert os.strerror(errno.EIO) in done.error["what"]


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"]])
def test_an_output_that_takes_nothing_is_told_on_standard_error(
    stocked: tuple[Lantai, str], arguments: list[str]
) -> None:
    lantai, _id = stocked
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lantai", *arguments], cwd=lantai.folder, env=ENVIRONMENT, stdout=full,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    what, _remedy = done.stderr.splitlines()
    assert os.strerror(errno.ENOSPC) in what


def test_identify_tells_of_the_others_as_ever(lantai: Lantai, tmp_path: Path) -> None:
    records = folder(tmp_path / "in", {"a.txt": "a", "b.txt": "b"})
    (records / "link").symlink_to("nowhere")
    done = lantai("identify", "nowhere", records, records / "a.txt", "--json")
    assert done.code == 1
    assert [one["path"] for one in done.objects if "path" in one] == [
        f"{records}/{x}" for x in ("a.txt", "b.txt", "a.txt")
    ]
    assert [one["error"]["subject"] for one in done.objects if "error" in one] == ["nowhere", f"{records}/link"]


# -- what systems leave behind


def test_what_systems_leave_behind_is_kept_with_a_warning(lantai: Lantai, tmp_path: Path) -> None:
    junk = ["Thumbs.db", "a/.DS_Store", "a/~$方案.docx"]
    stored = lantai.stored(folder(tmp_path / "in", {"a/方案.docx": "docx", **dict.fromkeys(junk, "junk")}))
    assert {(one["code"], one["subject"]) for one in stored["warnings"]} == {("file-junk", name) for name in junk}
    assert stored["files"] == 4
    paths = [one["original_name"] for one in lantai("show", stored["package"], "--files", "--json").object["file_list"]]
    assert set(junk) < set(paths)


def test_what_premis_keeps_of_a_warning_is_english_whatever_the_screen_speaks(lantai: Lantai, tmp_path: Path) -> None:
    records = folder(tmp_path / "in", {"a.txt": "a", "Thumbs.db": "junk", "待补/": ""})
    stored = lantai.stored(records, "--lang", "zh")
    assert {one["message"] for one in stored["warnings"]} == {
        FINDINGS[code].text["zh"] for code in ("file-junk", "folder-empty")
    }
    (premis,) = lantai.export(stored["package"]).glob("data/*/metadata/preservation/premis.xml")
    text = premis.read_text("utf-8")
    for code in ("file-junk", "folder-empty"):
        assert FINDINGS[code].text["en"] in text
        assert FINDINGS[code].text["zh"] not in text


# -- homes


@pytest.mark.parametrize("missing", ["lantai.toml", "home.json", "store"])
def test_a_home_that_is_not_whole_says_what_it_lacks(lantai: Lantai, records: Path, missing: str) -> None:
    (lantai.folder / missing).rename(lantai.folder / "aside")
    done = lantai("ingest", records, "--json", "--home", lantai.folder)
    assert done.code in (1, 2)
    assert missing in done.error["what"] + done.error["subject"]
    assert not (lantai.folder / missing).exists()


def test_nothing_is_taken_in_where_nothing_is(tmp_path: Path, records: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = Lantai(tmp_path)("ingest", records, "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_for_unpacking_that_is_not_there_is_named(lantai: Lantai, records: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    done = lantai("ingest", records, "--json", LANTAI_INGEST__STAGING=nowhere)
    assert (done.code, done.error["kind"], done.error["subject"]) == (2, "UsageError", nowhere)
    assert "[ingest] staging" in done.error["remedy"]


@pytest.mark.parametrize("variable", ["LANTAI_INGEST__DIGESTS", "LANTAI_STORE", "LANTAI_INGEST"])
def test_a_variable_that_cannot_be_read_is_named(lantai: Lantai, variable: str) -> None:
    done = lantai("list", "--json", **{variable: "foo"})
    assert (done.code, done.error["kind"], done.error["subject"]) == (2, "UsageError", variable)


def test_a_damaged_catalogue_names_what_helps(lantai: Lantai) -> None:
    (lantai.folder / "catalog.db").write_bytes(b"no database" * 1000)
    for left in lantai.folder.glob("catalog.db-*"):
        left.unlink()
    done = lantai("list", "--json")
    assert (done.code, done.error["kind"]) == (1, "Damaged")
    assert "lantai rebuild" in done.error["remedy"]
