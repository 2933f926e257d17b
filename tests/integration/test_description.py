"""Descriptions: sheets that come and go, and what list, show and search tell of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from tests.integration.command import DATA, Lantai, folder

EXAMPLE = Path(__file__).parents[2] / "examples" / "autumn-festival"


def titles(lantai: Lantai, query: str) -> list[str]:
    return [one["title"] for one in lantai("search", query, "--json").objects]


def values(shown: dict[str, Any], term: str) -> list[str]:
    elements = shown.get("description", shown)["elements"]
    return [one["value"] for one in elements if one["term"] == term]


# -- search


@pytest.mark.parametrize(("query", "found"), [
    ("文化", {"金秋文化节档案", "第十二届金秋文化节活动方案"}),          # in the middle of a title
    ("办公", {"第十二届金秋文化节活动方案"}),                        # a description
    ("开幕", {"金秋文化节档案"}),                               # the name of a file that no row describes
    ("活动 方案", {"第十二届金秋文化节活动方案"}),
    ("Z109-WS·2021-Y-BGS-0001", {"第十二届金秋文化节活动方案"}),
    ("文物", set()),
    ("化文", set()),
])  # fmt: skip
def test_two_chinese_characters_find_what_holds_them(stocked: tuple[Lantai, str], query: str, found: set[str]) -> None:
    lantai, _id = stocked
    assert set(titles(lantai, query)) == found
    shown = lantai("search", query)
    assert shown.code == 0
    assert all(title in shown.out for title in found)
    assert found or shown.out == "Nothing found.\n"


def test_a_find_says_what_and_where(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    (by_name,) = lantai("search", "开幕", "--json").objects
    assert set(by_name) >= {"record", "package", "title", "level", "reference_code", "path", "snippet"}
    assert (by_name["record"], by_name["package"], by_name["path"]) == (id, id, "照片/开幕式.txt")
    (by_value,) = lantai("search", "办公", "--json").objects
    assert (by_value["path"], by_value["snippet"]) == (None, "办公室")


def test_people_get_at_most_fifty_and_programs_all(lantai: Lantai, tmp_path: Path) -> None:
    names = [f"{number}.txt" for number in range(60)]
    sheet = "文件名,题名\n" + "".join(f"{name},演出{name}\n" for name in names)
    lantai.stored(folder(tmp_path / "in", {"metadata.csv": sheet, **{name: name for name in names}}))
    assert len(lantai("search", "演出", "--json").objects) == 60
    assert len(lantai("search", "演出", "--json", "--limit", "7").objects) == 7
    assert len(lantai("search", "演出").out.splitlines()) == 51


# -- list and show


def test_an_empty_archive_says_what_comes_next(lantai: Lantai) -> None:
    assert lantai("list", "--json").objects == []
    assert "lantai ingest" in lantai("list").out


def test_list_has_an_object_for_each_package(stocked: tuple[Lantai, str], tmp_path: Path) -> None:
    lantai, id = stocked
    other = lantai.stored(folder(tmp_path / "other", {"a.txt": "a"}), "--title", "别的档案")["package"]
    first, second = lantai("list", "--json").objects
    assert (first["package"], first["title"], first["reference_code"]) == (id, "金秋文化节档案", "Z109")
    assert (second["package"], second["title"], second["version"]) == (other, "别的档案", 1)
    lines = lantai("list").out.splitlines()
    assert [line[:8] for line in lines[1:]] == [id[-8:], other[-8:]]


def test_show_tells_a_person_all_of_a_package(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    text = lantai("show", id[-8:], "--files").out
    for piece in (id, "金秋文化节档案", "云岭县文化和旅游局", "Z109-WS·2021-Y-BGS-0001", "ingest of records", "王芳",
                  "message digest calculation", "format identification", "照片/开幕式.txt", "x-fmt/111",
                  "closed"):  # fmt: skip
        assert piece in text


def test_show_tells_a_program_the_same(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    shown = lantai("show", id, "--files", "--json").object
    assert shown["title"] == "金秋文化节档案"
    assert values(shown, "dc.creator") == ["云岭县文化和旅游局"]
    assert shown["records"] == 2
    assert {one["type"] for one in shown["events"]} >= {"ingestion", "validation", "format identification"}
    assert all(agent["name"] for one in shown["events"] for agent in one["agents"])
    assert {one["original_name"] for one in shown["file_list"]} == {"Thumbs.db", "照片/开幕式.txt", "筹备/活动方案.txt"}
    assert all(set(one["digests"]) == {"sha256"} for one in shown["file_list"])


def test_a_date_is_kept_as_written_and_understood(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    record = lantai("show", "Z109-WS·2021-Y-BGS-0001", "--json").object
    assert record["dates"] == [
        {"text": "2021年8月30日", "earliest": "2021-08-30", "latest": "2021-08-30", "approximate": False,
         "edtf": "2021-08-30"}
    ]  # fmt: skip


# -- sheets


@pytest.mark.parametrize(("encoding", "delimiter"), [
    ("utf-8", ","), ("utf-8-sig", "\t"), ("utf-8", ";"), ("gb18030", ","), ("gb18030", "\t"),
])  # fmt: skip
def test_a_sheet_is_read_as_it_comes(lantai: Lantai, tmp_path: Path, encoding: str, delimiter: str) -> None:
    rows = [
        ["文件名", "题名", "责任者", "责任者", "自定栏目"],
        ["", "云岭县档案", "甲", "乙", "照旧"],
        ["a.txt", "一件", "", "", ""],
    ]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    stored = lantai.stored(folder(tmp_path / "in", {"a.txt": "a", "metadata.csv": out.getvalue().encode(encoding)}))
    shown = lantai("show", stored["package"], "--json").object
    assert (shown["title"], values(shown, "dc.creator")) == ("云岭县档案", ["甲", "乙"])
    assert "照旧" in [one["value"] for one in shown["description"]["elements"]], "no column is dropped"
    assert titles(lantai, "一件") == ["一件"]


@pytest.mark.parametrize("name", ["my.json", "my.xml", "my.csv"])
def test_a_description_is_named_by_option(lantai: Lantai, tmp_path: Path, name: str) -> None:
    texts = {
        "my.json": json.dumps([{"filename": "objects", "dc.title": "题名一", "dc.creator": "甲"}]),
        "my.xml": '<dc xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>题名一</dc:title>'
        "<dc:creator>甲</dc:creator></dc>",
        "my.csv": "filename,dc.title,dc.creator\n,题名一,甲\n",
    }
    (tmp_path / name).write_text(texts[name], "utf-8")
    stored = lantai.stored(folder(tmp_path / "in", {"a.txt": "a"}), "--metadata", tmp_path / name)
    shown = lantai("show", stored["package"], "--json").object
    assert (shown["title"], values(shown, "dc.creator")) == ("题名一", ["甲"])


def test_dublin_core_travels_with_a_submission(lantai: Lantai, tmp_path: Path) -> None:
    xml = '<dc xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>随附题名</dc:title></dc>'
    stored = lantai.stored(folder(tmp_path / "in", {"a.txt": "a", "dc.xml": xml}))
    assert (stored["files"], titles(lantai, "随附")) == (1, ["随附题名"])


def test_the_title_option_counts_before_the_sheet(lantai: Lantai, records: Path) -> None:
    lantai.stored(records, "--title", "口头题名")
    assert lantai("list", "--json").object["title"] == "口头题名"


def test_without_any_description_the_name_is_the_title(lantai: Lantai, tmp_path: Path) -> None:
    lantai.stored(folder(tmp_path / "某次移交", {"a.txt": "a"}))
    assert lantai("list", "--json").object["title"] == "某次移交"


# -- the sheet to fill in


def test_the_template_opens_in_a_spreadsheet_with_chinese_intact(lantai: Lantai, records: Path) -> None:
    done = lantai("metadata", "template", records, "--json", "--lang", "zh")
    assert (done.code, done.object["path"], done.object["files"]) == (0, "records-metadata.csv", 3)
    assert [set(one) for one in done.object["warnings"]] == [{"code", "subject", "message"}]
    data = (lantai.folder / "records-metadata.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf"), "without the mark Excel takes it for the system's own encoding"
    headings, *rows = csv.reader(io.StringIO(data.decode("utf-8-sig")))
    assert {"文件名", "题名", "档号", "日期"} <= set(headings)
    assert [row[0] for row in rows] == ["./", "./Thumbs.db", "./照片/开幕式.txt", "./筹备/活动方案.txt"]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_template_filled_in_becomes_the_description(lantai: Lantai, tmp_path: Path, kind: str, language: str) -> None:
    records = folder(tmp_path / "in", {"照片/一.txt": "1", "=SUM(A1).txt": "2", "007.txt": "3"})
    sheet = lantai.folder / f"sheet.{kind}"
    assert lantai("metadata", "template", records, "-o", sheet, "--lang", language).code == 0
    fill(sheet, {"./": "整体题名", "./照片/一.txt": "第一张照片", "./=SUM(A1).txt": "求和", "./007.txt": "第七"},
         heading="题名" if language == "zh" else "Title")  # fmt: skip
    stored = lantai.stored(records, "--metadata", sheet)
    assert stored["warnings"] == []
    assert lantai("show", stored["package"], "--json").object["title"] == "整体题名"
    (photo,) = lantai("search", "一张", "--json").objects
    assert lantai("show", photo["record"], "--json").object["paths"] == ["照片/一.txt"]
    assert titles(lantai, "求和") == ["求和"]
    assert titles(lantai, "第七") == ["第七"]


def fill(sheet: Path, titles: dict[str, str], *, heading: str) -> None:
    """As a person would: a title in the row of each file."""
    if sheet.suffix == ".xlsx":
        book = load_workbook(sheet)
        rows = book.worksheets[0]
        column = next(cell.column for cell in rows[1] if cell.value == heading)
        for row in range(2, rows.max_row + 1):
            rows.cell(row, column, titles.get(str(rows.cell(row, 1).value)))
        book.save(sheet)
        return
    headings, *lines = csv.reader(io.StringIO(sheet.read_text("utf-8-sig")))
    column = headings.index(heading)
    for line in lines:
        line[column] = titles.get(line[0], "")
    with sheet.open("w", encoding="utf-8-sig", newline="") as out:
        csv.writer(out).writerows([headings, *lines])


def test_a_template_left_empty_describes_nothing_and_does_no_harm(lantai: Lantai, records: Path) -> None:
    """The sheet that travels along is not listed in the template, so that the two do not get in each other's way."""
    assert lantai("metadata", "template", records, "-o", "sheet.csv").code == 0
    stored = lantai.stored(records, "--metadata", "sheet.csv")
    assert lantai("show", stored["package"], "--json").object["title"] == "金秋文化节档案"


def test_a_template_of_an_archive_lists_what_is_inside(lantai: Lantai) -> None:
    assert lantai("metadata", "template", DATA / "gbk-names.zip", "--json").object["files"] == 2
    assert "./通知.txt" in (lantai.folder / "gbk-names.zip-metadata.csv").read_text("utf-8-sig")


@pytest.mark.parametrize("name", ["slip.zip", "truncated.tar.gz", "encrypted.zip", "damaged.zip"])
def test_a_template_is_refused_where_it_would_not_list_every_file(lantai: Lantai, name: str) -> None:
    before = sorted(lantai.folder.iterdir())
    done = lantai("metadata", "template", DATA / name, "--json")
    assert (done.code, done.object["status"]) == (1, "rejected")
    checked = lantai("check", DATA / name, "--json").object
    assert done.object["errors"] == checked["errors"]
    assert lantai("metadata", "template", DATA / name, "-o", "sheet.xlsx").code == 1
    assert sorted(lantai.folder.iterdir()) == before


def test_a_template_tells_of_broken_links_and_of_nothing_to_list(lantai: Lantai, tmp_path: Path) -> None:
    records = folder(tmp_path / "in", {"a.txt": "a"})
    (records / "link").symlink_to("nowhere")
    assert "link-broken" in lantai("metadata", "template", records).err
    assert "submission-empty" in lantai("metadata", "template", folder(tmp_path / "empty", {})).err


def test_a_template_tells_what_it_has_to_say_of_names(lantai: Lantai) -> None:
    done = lantai("metadata", "template", DATA / "gbk-names.zip")
    assert done.code == 0
    assert "names-decoded" in done.err


def test_a_template_overwrites_nothing(lantai: Lantai, records: Path) -> None:
    (lantai.folder / "mine.csv").write_text("my work of two days\n", "utf-8")
    done = lantai("metadata", "template", records, "-o", "mine.csv", "--json")
    assert (done.code, done.error["kind"], done.error["subject"]) == (1, "Exists", "mine.csv")
    assert (lantai.folder / "mine.csv").read_text("utf-8") == "my work of two days\n"


def test_a_template_that_cannot_be_written_leaves_nothing(lantai: Lantai, records: Path) -> None:
    done = lantai("metadata", "template", records, "-o", "no/such/folder/sheet.csv", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert not (lantai.folder / "no").exists()


# -- the example


@pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the example is not made yet")
def test_the_example_is_found_by_what_it_says(lantai: Lantai) -> None:
    stored = lantai.stored(EXAMPLE)
    assert stored["warnings"] == []
    assert titles(lantai, "剪纸") == ["非遗展示：云岭剪纸"]
    shown = lantai("show", "Z109-ZP·2021-Y-0002", "--json").object
    assert shown["level"] == "item"
    assert shown["package"] == stored["package"]
    assert "系列" in lantai("list", "--lang", "zh").out
