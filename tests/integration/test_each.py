"""ingest --each: a package of each subfolder, with its rows of the common sheet."""

from __future__ import annotations

from pathlib import Path

from tests.integration.command import DATA, Lantai, codes, folder

SHEET = (
    "文件名,题名,责任者\n"
    "甲,甲单位档案,甲单位\n甲/通知.txt,甲的通知,\n"
    "乙,乙单位档案,乙单位\n乙/照片/一.txt,乙的照片,\n"
)  # fmt: skip


def transfer(tmp_path: Path, **more: str | bytes) -> Path:
    return folder(
        tmp_path / "transfer",
        {"甲/通知.txt": "甲", "乙/照片/一.txt": "乙", "丙/附件.txt": "丙", "metadata.csv": SHEET, **more},
    )


def test_each_subfolder_becomes_a_package_with_its_rows(lantai: Lantai, tmp_path: Path) -> None:
    place = transfer(tmp_path)
    done = lantai("ingest", place, "--each", "--json")
    assert done.code == 0
    assert {one["submission"]: (one["status"], one["files"], one["warnings"]) for one in done.objects} == {
        str(place / name): ("stored", 1, []) for name in ("甲", "乙", "丙")
    }
    assert {one["title"] for one in lantai("list", "--json").objects} == {"甲单位档案", "乙单位档案", "丙"}
    (photo,) = lantai("search", "照片", "--json").objects
    record = lantai("show", photo["record"], "--json").object
    assert (record["title"], record["paths"]) == ("乙的照片", ["照片/一.txt"])


def test_the_common_sheet_may_lie_elsewhere(lantai: Lantai, tmp_path: Path) -> None:
    place = transfer(tmp_path)
    sheet = (place / "metadata.csv").rename(tmp_path / "登记表.csv")
    assert lantai("ingest", place, "--each", "--metadata", sheet).code == 0
    assert "乙单位档案" in lantai("list").out


def test_a_second_time_all_are_present(lantai: Lantai, tmp_path: Path) -> None:
    place = transfer(tmp_path)
    assert lantai("ingest", place, "--each").code == 0
    again = lantai("ingest", place, "--each", "--json")
    assert (again.code, {one["status"] for one in again.objects}) == (0, {"present"})
    assert all(one["warnings"] == [] for one in again.objects), "nothing is new"
    assert len(lantai("list", "--json").objects) == 3


def test_new_rows_for_what_is_present_do_not_vanish_without_a_word(lantai: Lantai, tmp_path: Path) -> None:
    place = transfer(tmp_path)
    assert lantai("ingest", place, "--each").code == 0
    (place / "metadata.csv").write_text(SHEET.replace("甲的通知", "甲单位的通知"), "utf-8")
    again = lantai("ingest", place, "--each", "--json")
    told = {Path(one["submission"]).name: list(codes(one["warnings"])) for one in again.objects}
    assert told == {"甲": ["present-not-described"], "乙": [], "丙": []}


def test_archives_count_as_subfolders(lantai: Lantai, tmp_path: Path) -> None:
    place = folder(tmp_path / "in", {"甲/a.txt": "a", "gbk.zip": (DATA / "gbk-names.zip").read_bytes()})
    done = lantai("ingest", place, "--each", "--json")
    assert [(Path(one["submission"]).name, one["files"]) for one in done.objects] == [("gbk.zip", 2), ("甲", 1)]


def test_files_beside_the_subfolders_are_refused_before_anything_is_stored(lantai: Lantai, tmp_path: Path) -> None:
    answer = lantai.refused(transfer(tmp_path, **{"散页.txt": "?"}), "--each")
    assert codes(answer["errors"]) == {"file-outside": "散页.txt"}


def test_what_a_system_left_beside_them_is_no_stray_file(lantai: Lantai, tmp_path: Path) -> None:
    assert lantai("ingest", transfer(tmp_path, **{"Thumbs.db": "?", ".DS_Store": "?"}), "--each").code == 0


def test_a_row_for_no_subfolder_refuses_all(lantai: Lantai, tmp_path: Path) -> None:
    place = transfer(tmp_path, **{"metadata.csv": SHEET + "丁,丁单位档案,\n"})
    answer = lantai.refused(place, "--each")
    assert codes(answer["errors"]) == {"sheet-file-missing": "metadata.csv"}
    assert "丁" in answer["errors"][0]["message"]


def test_one_that_is_refused_does_not_keep_the_others_out(lantai: Lantai, tmp_path: Path) -> None:
    place = transfer(tmp_path)
    (place / "甲" / "link").symlink_to("/etc/passwd")
    done = lantai("ingest", place, "--each", "--json")
    assert done.code == 1
    status = {Path(one["submission"]).name: one["status"] for one in done.objects}
    assert status == {"甲": "rejected", "乙": "stored", "丙": "stored"}
    assert len(lantai("list", "--json").objects) == 2


def test_a_folder_without_subfolders_says_so(lantai: Lantai, tmp_path: Path) -> None:
    answer = lantai.refused(folder(tmp_path / "flat", {}), "--each")
    assert codes(answer["errors"]) == {"submission-empty": "flat"}


def test_what_is_no_folder_or_is_not_there_is_named(lantai: Lantai, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("?", "utf-8")
    for path in (tmp_path / "file", tmp_path / "nowhere"):
        done = lantai("ingest", path, "--each", "--json")
        assert (done.code, done.error["kind"], done.error["subject"]) == (1, "NotFound", str(path))
