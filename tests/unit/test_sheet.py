"""Sheets as archivists hand them over: any program, any encoding, either language."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from lantai.ingest.sheet import Row, Sheet, is_sheet, read_sheet
from lantai.metadata import elements
from lantai.model import LEVELS, Element


def codes(sheet: Sheet) -> list[str]:
    return [finding.code for finding in sheet.findings]


def values(row: Row) -> list[tuple[str, str]]:
    return [(element.term, element.value) for element in row.elements]


def written(table: Sequence[Sequence[str]], delimiter: str = ",") -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(table)
    return out.getvalue()


TABLE = [
    ["文件名", "题名", "责任者", "责任者", "备忘"],
    ["objects/照片/开幕.jpg", "开幕式，全景", "张三", "李四", "两行\n文字"],
]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "，"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_every_delimiter_in_every_encoding(delimiter: str, encoding: str) -> None:
    sheet = read_sheet("metadata.csv", written(TABLE, delimiter).encode(encoding))
    assert codes(sheet) == (["sheet-not-utf8"] if encoding == "gb18030" else [])
    assert [row.filename for row in sheet.rows] == ["objects/照片/开幕.jpg"]
    assert values(sheet.rows[0]) == [
        ("dc.title", "开幕式，全景"), ("dc.creator", "张三"), ("dc.creator", "李四"), ("备忘", "两行\n文字"),
    ]  # fmt: skip


def test_gb18030_is_read_and_told_but_not_fatal() -> None:
    (finding,) = read_sheet("metadata.csv", written(TABLE).encode("gb18030")).findings
    assert (finding.subject, finding.fatal) == ("metadata.csv", False)
    assert "GB18030" in finding.message


@pytest.mark.parametrize("heading", ["filename", "Filename", "文件名", "文件", "路径", " *文件名： "])
@pytest.mark.parametrize("whole", ["", ".", "./", "objects", "objects/"])
def test_the_row_for_the_whole(heading: str, whole: str) -> None:
    sheet = read_sheet("m.csv", written([[heading, "dc.title"], [whole, "秋祭"], ["a.txt", "甲"]]).encode())
    assert [row.filename for row in sheet.rows] == ["", "a.txt"]
    assert sheet.findings == ()


def test_one_row_without_filename_describes_the_whole() -> None:
    sheet = read_sheet("m.csv", "题名,日期\n秋祭,2021-09-18\n".encode())
    assert [(row.filename, values(row)) for row in sheet.rows] == [
        ("", [("dc.title", "秋祭"), ("dc.date", "2021-09-18")])
    ]


@pytest.mark.parametrize(
    "text",
    [
        "题名,日期\n甲,2021\n乙,2022\n",
        "a.jpg,甲,2021\nb.jpg,乙,2022\n",
        "a.jpg,甲,2021\nb.jpg,乙,2022\nc.jpg,丙,2023\n",
    ],
)
def test_rows_without_a_header_are_refused_with_a_remedy(text: str) -> None:
    (finding,) = read_sheet("m.csv", text.encode()).findings
    assert (finding.code, finding.fatal) == ("sheet-header-missing", True)
    assert "filename" in finding.message


def test_one_file_named_twice_is_refused() -> None:
    table = [["filename", "dc.title"], ["a.txt", "甲"], ["b.txt", "乙"], ["./a.txt", "丙"]]
    (finding,) = read_sheet("m.csv", written(table).encode()).findings
    assert (finding.code, finding.fatal) == ("sheet-duplicate", True)
    assert "a.txt" in finding.message
    assert "2, 4" in finding.message


@pytest.mark.parametrize(("data", "name"), [
    (b"", "m.csv"), (b"filename,dc.title\n", "m.csv"), (b"filename,dc.title\na.txt,\n", "m.csv"), (b"[]", "m.json"),
    (b"<dc/>", "dc.xml"),
])  # fmt: skip
def test_a_sheet_that_says_nothing(data: bytes, name: str) -> None:
    sheet = read_sheet(name, data)
    assert (sheet.rows, codes(sheet)) == ((), ["sheet-empty"])


@pytest.mark.parametrize(("data", "name"), [
    (b'filename,dc.title\na.txt,"never closed\n', "m.csv"), (b"\xff\xff\xff", "m.csv"), (b"\0\1\2", "m.csv"),
    (b"{", "m.json"), (b'["a"]', "m.json"), (b"3", "m.json"), (b"[" * 100_000, "m.json"),
    (b"<dc>", "dc.xml"), (b"", "dc.xml"), (b"PK", "m.xlsx"), (b"x", "m.ods"),
])  # fmt: skip
def test_what_cannot_be_read_is_refused(data: bytes, name: str) -> None:
    sheet = read_sheet(name, data)
    assert (sheet.rows, codes(sheet), sheet.findings[0].fatal) == ((), ["sheet-unreadable"], True)


@pytest.mark.parametrize(
    ("heading", "element"),
    [
        ("dc.title@en", Element("dc.title", "x", "en")),
        ("dc.title[en_US]", Element("dc.title", "x", "en-US")),
        ("题名（英文）", Element("dc.title", "x", "en")),
        ("题名(en)", Element("dc.title", "x", "en")),
        ("Title (eng)", Element("dc.title", "x", "en")),
        ("dc.title[zh-Hant]", Element("dc.title", "x", "zh-Hant")),
        ("备忘【日文】", Element("备忘", "x", "ja")),
        ("dc.subject^^LCSH", Element("dc.subject", "x", None, "LCSH")),
        ("dc.date.issued", Element("dcterms.issued", "x")),
        ("尺寸（cm）", Element("尺寸（cm）", "x")),
        ("时长（min）", Element("时长（min）", "x")),
        ("DC:Title", Element("dc.title", "x")),
        ("保 管 期 限：", Element("保管期限", "x")),
        ("Reference code(s)", Element("isadg.reference_code", "x")),
        ("formatName:", Element("formatName", "x")),
        ("Format\nversion", Element("Format version", "x")),
    ],
)
def test_headings(heading: str, element: Element) -> None:
    sheet = read_sheet("m.csv", written([["filename", heading], ["a.txt", "x"]]).encode())
    assert sheet.rows[0].elements == (element,)


def test_no_spelling_names_two_terms() -> None:
    for term, entry in elements.terms().items():
        for heading in (term, *entry.headings.values()):
            assert elements.term_of(heading) == term
        assert elements.term_of(term.upper().replace(".", " : ")) == term


@pytest.mark.parametrize("language", ["en", "zh"])
def test_levels_in_either_language(language: str) -> None:
    assert [elements.level_of(elements.level_name(level, language)) for level in LEVELS] == list(LEVELS)
    assert (elements.level_of("卷"), elements.level_of("Volume"), elements.level_of("类")) == ("file", "file", "series")


def test_level_column() -> None:
    sheet = read_sheet("m.csv", "文件名,层级,题名\na,案卷,甲\nb,抽屉,乙\nc,,丙\n".encode())
    assert [row.level for row in sheet.rows] == ["file", None, None]
    assert values(sheet.rows[0]) == [("dc.title", "甲")]
    assert values(sheet.rows[1]) == [("isadg.level", "抽屉"), ("dc.title", "乙")]
    assert codes(sheet) == ["sheet-level-unknown"]


def test_values_without_a_heading_are_kept_under_the_columns_letter() -> None:
    sheet = read_sheet("m.csv", b"filename,dc.title,\na.txt,A,x,y\n")
    assert values(sheet.rows[0]) == [("dc.title", "A"), ("C", "x"), ("D", "y")]
    assert codes(sheet) == ["sheet-heading-missing"]
    assert "C, D" in sheet.findings[0].message


def test_a_caption_above_the_header_and_a_separator_line_are_passed_over() -> None:
    for before in ("秋祭活动档案目录,,\n\n", "sep=,\n"):
        sheet = read_sheet("m.csv", (before + "文件名,题名,日期\na.txt,甲,2021\n").encode())
        assert [(row.filename, values(row)) for row in sheet.rows] == [
            ("a.txt", [("dc.title", "甲"), ("dc.date", "2021")])
        ]


def test_control_characters_are_left_out_and_told() -> None:
    sheet = read_sheet("m.csv", "文件名,题名\na,甲\x0b乙\nb,丙\r\n".encode())
    assert [values(row) for row in sheet.rows] == [[("dc.title", "甲乙")], [("dc.title", "丙")]]
    assert codes(sheet) == ["sheet-characters"]


def test_control_characters_are_told_once_for_each_row() -> None:
    sheet = read_sheet("m.csv", "文件名,题名,责任者\na,甲\x0b,\x01王\nb,丙,李\nc,\x0c丁\x0b戊,\x02赵\n".encode())
    (finding,) = sheet.findings
    assert "(rows 2, 4)" in finding.english


def workbook(rows: Sequence[Sequence[object]], formats: dict[str, str] | None = None) -> bytes:
    book = Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(list(row))
    for cell, number_format in (formats or {}).items():
        sheet[cell].number_format = number_format
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_workbook_says_what_its_cells_show() -> None:
    rows: list[list[object]] = [
        ["文件名", "题名", "成文日期", "摄影时间", "日期", "件号", "页数", "长度", "在库", "年度"],
        ["a.txt", "甲", date(2021, 9, 18), datetime.combine(date(2021, 9, 18), time(10, 30)), date(2021, 9, 1),
         7, 12.0, 0.5, True, 2021],
    ]  # fmt: skip
    sheet = read_sheet("m.xlsx", workbook(rows, {"E2": 'yyyy"年"m"月"', "F2": "0000"}))
    assert sheet.findings == ()
    assert values(sheet.rows[0]) == [
        ("dc.title", "甲"), ("dcterms.created", "2021-09-18"), ("摄影时间", "2021-09-18T10:30:00"),
        ("dc.date", "2021-09"),
        ("件号", "0007"), ("页数", "12"), ("长度", "0.5"), ("在库", "true"), ("年度", "2021"),
    ]  # fmt: skip


@pytest.mark.parametrize(("built_in", "shown"), [(31, "2021-09-18"), (57, "2021-09")])
def test_a_chinese_spreadsheets_built_in_dates(built_in: int, shown: str) -> None:
    plain = workbook([["文件名", "日期"], ["a.txt", 44457]], {"B2": "0.0000"})
    data = repacked(plain, "xl/styles.xml", rb'(<cellXfs.*numFmtId=")164(")', rb"\g<1>%d\2" % built_in)
    assert values(read_sheet("m.xlsx", data).rows[0]) == [("dc.date", shown)]


def repacked(data: bytes, part: str, pattern: bytes, replacement: bytes) -> bytes:
    """The workbook with one of its parts changed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member == part:
                content, count = re.subn(pattern, replacement, content, flags=re.S)
                assert count == 1
            new.writestr(member, content)
    return changed.getvalue()


def test_a_workbook_that_states_its_size_wrong_is_read_whole() -> None:
    data = workbook([["文件名", "题名"], ["a.txt", "甲"]])
    data = repacked(data, "xl/worksheets/sheet1.xml", rb'<dimension ref="[^"]*"', b'<dimension ref="A1"')
    assert values(read_sheet("m.xlsx", data).rows[0]) == [("dc.title", "甲")]


def test_a_workbook_that_would_unpack_without_end_is_refused() -> None:
    data = bytearray(workbook([["文件名", "题名"], ["a.txt", "甲"]]))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (2**31).to_bytes(4, "little")  # APPNOTE 4.3.12: uncompressed size
    (finding,) = read_sheet("m.xlsx", bytes(data)).findings
    assert finding.code == "sheet-unreadable"
    assert "512 MB" in finding.message


def test_json_of_archivematica() -> None:
    text = """[{"filename": "objects/a.txt", "dc.title": "甲", "dc.subject": ["x", "y"], "页数": 12, "dc.date": null},
               {"filename": "objects", "dc.title": "秋祭", "open": true, "size": 1.50, "gps": {"lat": 1}}]"""
    sheet = read_sheet("metadata.json", text.encode("utf-8-sig"))
    assert [(row.filename, values(row)) for row in sheet.rows] == [
        ("objects/a.txt", [("dc.title", "甲"), ("dc.subject", "x"), ("dc.subject", "y"), ("页数", "12")]),
        ("", [("dc.title", "秋祭"), ("open", "true"), ("size", "1.50"), ("gps", '{"lat": "1"}')]),
    ]
    assert sheet.findings == ()


def test_dublin_core_in_any_wrapper() -> None:
    text = """<?xml version="1.0" encoding="GB2312"?><!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hostname">]>
    <r xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:t="http://purl.org/dc/terms/"
       xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><wrap><!-- no -->
    <dc:title xml:lang="zh">秋祭</dc:title><dc:creator> 张三 </dc:creator>
    <t:created xsi:type="t:W3CDTF">2021</t:created>
    <dc:description/><retention>永久</retention><dc:source>&e;</dc:source></wrap></r>"""
    sheet = read_sheet("dc.xml", text.encode("gb2312"))
    assert sheet.rows[0].filename == ""
    assert sheet.rows[0].elements[:4] == (
        Element("dc.title", "秋祭", "zh"), Element("dc.creator", "张三"),
        Element("dcterms.created", "2021", None, "t:W3CDTF"),
        Element("保管期限", "永久"),
    )  # fmt: skip
    assert all("&" in element.value for element in sheet.rows[0].elements[4:])  # no file of ours came in


@pytest.mark.parametrize(
    "path", ["metadata.csv", "Metadata/metadata.CSV", "metadata/dc.xml", "metadata.json", "METADATA.XLSX"]
)
def test_descriptions_that_travel_with_a_submission(path: str) -> None:
    assert is_sheet(path)


@pytest.mark.parametrize(
    "path", ["a/metadata.csv", "metadata/a/metadata.csv", "metadata", "xmetadata.csv", "metadata/metadata/dc.xml"]
)
def test_other_files_do_not(path: str) -> None:
    assert not is_sheet(path)


@given(st.binary(max_size=300), st.sampled_from(["m.csv", "m.xlsx", "m.json", "m.xml"]))
def test_any_bytes_are_read_or_refused(data: bytes, name: str) -> None:
    sheet = read_sheet(name, data)
    assert sheet.rows or sheet.findings


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1).map(
    lambda text: f"«{text}»"
)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5, unique_by=lambda row: row[0]))
def test_cells_come_through_whole(rows: list[tuple[str, str, str]]) -> None:
    sheet = read_sheet("m.csv", written([("filename", "dc.title", "备忘"), *rows]).encode())
    assert [(row.filename, *(value for _, value in values(row))) for row in sheet.rows] == rows
