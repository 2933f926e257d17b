"""ingest: kinds of submissions, what is present already, access, digests."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from tests.integration.command import DATA, Lantai, codes, folder

PREMIS = {"p": "http://www.loc.gov/premis/v3"}
PAPERS = {"通知.txt", "嘉宾名单.csv"}  # in the folder 筹备


def names(lantai: Lantai, package: str) -> set[str]:
    return {one["original_name"] for one in lantai("show", package, "--files", "--json").object["file_list"]}


@pytest.mark.parametrize(("name", "warnings"), [
    ("gbk-names.zip", {"names-decoded"}), ("utf8-unflagged.zip", {"names-decoded"}), ("zip64.zip", {"names-decoded"}),
    ("plain.tar", set()), ("plain.tar.gz", set()), ("gbk-names.tar", {"names-decoded"}),
])  # fmt: skip
def test_an_archive_becomes_a_package_of_what_is_inside(lantai: Lantai, name: str, warnings: set[str]) -> None:
    stored = lantai.stored(DATA / name)
    assert set(codes(stored["warnings"])) == {*warnings, "archive-top-folder"}
    assert names(lantai, stored["package"]) == PAPERS
    assert "通知.txt" in lantai("search", "通知").out
    assert lantai("validate").code == 0
    bag = lantai.export(stored["package"])
    (notice,) = bag.rglob("original/data/通知.txt")
    assert notice.read_text("utf-8").startswith("关于举办第十二届金秋文化节的通知")


def test_the_choice_of_encoding_is_told_and_recorded(lantai: Lantai) -> None:
    warnings = {one["code"]: one["message"] for one in lantai.stored(DATA / "gbk-names.zip")["warnings"]}
    assert "GB18030" in warnings["names-decoded"]
    (package,) = lantai("list", "--json").objects
    events = lantai("show", package["package"], "--json").object["events"]
    assert any("GB18030" in one["detail"] for one in events if one["type"] == "validation")


def test_backslashes_are_folders(lantai: Lantai) -> None:
    stored = lantai.stored(DATA / "backslash.zip")
    assert names(lantai, stored["package"]) == {"通知.txt"}
    assert "names-backslash" in codes(stored["warnings"])


def test_archives_leave_nothing_in_the_scratch_folder(lantai: Lantai, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert lantai("ingest", DATA / "plain.tar.gz", LANTAI_INGEST__STAGING=str(scratch)).code == 0
    assert list(scratch.iterdir()) == []


# -- the folder in an archive


def pack(folder: Path, kind: str) -> Path:
    """The folder as a program packs it: all that is in the archive lies in a folder of that name."""
    return Path(shutil.make_archive(str(folder.parent / "packed"), kind, folder.parent, folder.name))


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_a_packed_folder_is_the_submission_that_the_folder_is(lantai: Lantai, records: Path, kind: str) -> None:
    stored = lantai.stored(pack(records, kind))
    assert "records" in next(one["message"] for one in stored["warnings"] if one["code"] == "archive-top-folder")
    root = lantai("show", stored["package"], "--json").object
    assert root["title"] == "金秋文化节档案"
    assert any("archive-top-folder" in one["detail"] and "records" in one["detail"] for one in root["events"])
    (part,) = lantai("search", "活动方案", "--json").objects
    assert lantai("show", part["record"], "--json").object["paths"] == ["筹备/活动方案.txt"]
    assert names(lantai, stored["package"]) == {"筹备/活动方案.txt", "照片/开幕式.txt", "Thumbs.db"}
    for again in (records, *(pack(records, other) for other in ("zip", "tar", "gztar"))):
        done = lantai("ingest", again, "--json").object
        assert (done["status"], done["package"]) == ("present", stored["package"])


def test_a_sheet_may_name_files_with_the_folder_in_the_archive(lantai: Lantai, tmp_path: Path) -> None:
    archive = pack(folder(tmp_path / "移交", {"照片/一.txt": "1", "二.txt": "2"}), "zip")
    sheet = folder(tmp_path / "beside", {"s.csv": "文件名,题名\n移交,整体\n移交/照片/一.txt,甲\n二.txt,乙\n"}) / "s.csv"
    assert lantai("check", archive, "--metadata", sheet).code == 0
    stored = lantai.stored(archive, "--metadata", sheet)
    assert lantai("show", stored["package"], "--json").object["title"] == "整体"
    assert {one["title"] for one in lantai("search", "--json", "甲").objects} == {"甲"}


def test_without_a_description_the_folder_in_the_archive_gives_the_title(lantai: Lantai, tmp_path: Path) -> None:
    stored = lantai.stored(pack(folder(tmp_path / "移交", {"a.txt": "a"}), "gztar"))
    assert lantai("show", stored["package"], "--json").object["title"] == "移交"


# -- present


def test_the_same_files_again_are_present_and_nothing_is_stored(
    stocked: tuple[Lantai, str], records: Path, tmp_path: Path
) -> None:
    lantai, id = stocked
    before = lantai.state()
    done = lantai("ingest", records.rename(tmp_path / "another name"), "--json")
    assert (done.code, done.object["status"], done.object["package"]) == (0, "present", id)
    assert lantai.state() == before
    assert "already preserved" in lantai("ingest", tmp_path / "another name").out


def test_again_stores_them_again(stocked: tuple[Lantai, str], records: Path) -> None:
    lantai, id = stocked
    assert lantai.stored(records, "--again")["package"] != id
    assert len(lantai("list", "--json").objects) == 2


def test_one_file_more_is_another_submission(stocked: tuple[Lantai, str], records: Path) -> None:
    lantai, _id = stocked
    (records / "补充.txt").write_text("补充\n", "utf-8")
    assert lantai.stored(records)["files"] == 4


@pytest.mark.parametrize(("stated", "told"), [
    (["--metadata", "{sheet}"], {"present-not-described"}), (["--title", "新题名"], {"present-not-described"}),
    (["--access", "open"], {"present-access"}),
    (["--access", "2051-01-01", "--title", "新题名"], {"present-not-described", "present-access"}),
    (["--title", "金秋文化节档案", "--access", "closed"], {"file-junk"}), ([], {"file-junk"}),
])  # fmt: skip
def test_what_is_stated_of_something_present_does_not_vanish_without_a_word(
    stocked: tuple[Lantai, str], records: Path, tmp_path: Path, stated: list[str], told: set[str]
) -> None:
    lantai, id = stocked
    sheet = folder(tmp_path / "beside", {"new.csv": "文件名,题名\n照片/开幕式.txt,开幕式照片\n"}) / "new.csv"
    arguments = [one.format(sheet=sheet) for one in stated]
    before = lantai.state()
    done = lantai("ingest", records, *arguments, "--json")
    assert (done.code, done.object["status"]) == (0, "present")
    warnings = codes(done.object["warnings"])
    assert set(warnings) - {"file-junk"} == told - {"file-junk"}
    assert all(id in one["message"] for one in done.object["warnings"] if one["code"].startswith("present-"))
    assert lantai.state() == before
    shown = lantai("ingest", records, *arguments)
    assert all(code in shown.err for code in told)


def test_what_was_stated_before_is_not_told_again(lantai: Lantai, records: Path, tmp_path: Path) -> None:
    sheet = folder(tmp_path / "beside", {"new.csv": "文件名,题名\n照片/开幕式.txt,开幕式照片\n"}) / "new.csv"
    stated = ("--metadata", sheet, "--access", "2051-01-01")
    lantai.stored(records, *stated)
    assert set(codes(lantai("ingest", records, *stated, "--json").object["warnings"])) == {"file-junk"}


# -- access


def rights(lantai: Lantai, package: str) -> tuple[str, list[str]]:
    """What PREMIS grants and restricts, and the days from which on."""
    tree = etree.parse(next(lantai.export(package).rglob("uuid-*/metadata/preservation/premis.xml")))
    (granted,) = tree.iterfind(".//p:rightsStatement/p:rightsGranted", PREMIS)
    return " ".join(map(str, granted.itertext())), [str(one.text) for one in granted.iterfind(".//p:startDate", PREMIS)]


@pytest.mark.parametrize(("said", "shown"), [("open", "open"), ("closed", "closed"), (None, "closed")])
def test_access_is_written_and_shown(lantai: Lantai, records: Path, said: str | None, shown: str) -> None:
    stored = lantai.stored(records, *(["--access", said] if said else []))
    row = lantai("list", "--json").object
    assert row["access"]["shown"] == shown
    assert datetime.fromisoformat(row["access"]["since"]) <= datetime.now(UTC)
    assert lantai("list").out.splitlines()[1].endswith(shown)
    text, _since = rights(lantai, stored["package"])
    assert shown in text


def test_access_from_a_day_on_begins_with_that_day_where_the_archive_is(lantai: Lantai, records: Path) -> None:
    stored = lantai.stored(records, "--access", "2051-01-01")
    row = lantai("list", "--json").object
    since = datetime.fromisoformat(row["access"]["since"])
    assert since == datetime(2051, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert "2051-01-01" in lantai("list").out
    assert "2051-01-01" in lantai("list", "--lang", "zh").out
    _acts, (start,) = rights(lantai, stored["package"])
    assert start.startswith(("2051-01-01", "2050-12-31T16"))


def test_the_default_is_a_setting(lantai: Lantai, records: Path) -> None:
    done = lantai("ingest", records, "--json", LANTAI_ACCESS__DEFAULT="open")
    assert done.code == 0
    assert lantai("list", "--json").object["access"]["shown"] == "open"


# -- digests


def test_every_digest_asked_for_has_its_manifest_and_its_fixity(lantai: Lantai, records: Path) -> None:
    settings = lantai.folder / "lantai.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text.replace('digests = ["sha256"]', 'digests = ["sha256", "sm3", "md5", "sha512"]'), "utf-8")
    stored = lantai.stored(records)
    bag = lantai.export(stored["package"])
    payload = (records / "筹备" / "活动方案.txt").read_bytes()
    for algorithm in ("sha256", "sm3", "md5", "sha512"):
        digest = hashlib.new(algorithm, payload).hexdigest()
        lines = (bag / f"manifest-{algorithm}.txt").read_text("utf-8").splitlines()
        assert [line.split()[0] for line in lines if line.endswith("/活动方案.txt")] == [digest]
        assert (bag / f"tagmanifest-{algorithm}.txt").is_file()
        premis = next(bag.rglob("original/metadata/preservation/premis.xml")).read_text("utf-8")
        assert digest in premis
    (file,) = (one for one in lantai("show", stored["package"], "--files", "--json").object["file_list"]
               if one["original_name"] == "筹备/活动方案.txt")  # fmt: skip
    assert set(file["digests"]) == {"sha256", "sm3", "md5", "sha512"}
    assert "SM3" not in next(bag.rglob("uuid-*/METS.xml")).read_text("utf-8").upper()
    assert lantai("validate").code == 0
    assert lantai("export", stored["package"], "judged").code == 0


def test_an_update_keeps_the_digests_that_the_package_has(lantai: Lantai, records: Path) -> None:
    done = lantai("ingest", records, "--json", LANTAI_INGEST__DIGESTS='["sha256", "sm3"]')
    id = done.object["package"]
    assert lantai("update", id, "--title", "新", "--reason", "r").code == 0
    assert (lantai.export(id) / "manifest-sm3.txt").is_file()
    assert lantai("validate").code == 0


def test_sha512_may_be_the_digest_of_the_store(lantai: Lantai, tmp_path: Path) -> None:
    done = lantai("ingest", folder(tmp_path / "in", {"a.txt": "a"}), "--json", LANTAI_INGEST__DIGESTS='["sha512"]')
    assert done.code == 0
    assert (lantai.export(done.object["package"]) / "manifest-sha512.txt").is_file()
    assert lantai("validate").code == 0
