"""The sheet that is written for filling in is one that can be read."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai import messages
from lantai.ingest.describe import describe
from lantai.ingest.sheet import Sheet, read_sheet
from lantai.ingest.template import write_template
from lantai.model import PackageId, RecordId

PACKAGE = PackageId("urn:uuid:00000000-0000-7000-8000-000000000001")
NAMES = ["照片/开幕.jpg", "=cmd|' /C calc'!A0", "-1.txt", "+a", "@b", "0001", "2021-09-18", "a,b\"c.txt",
         "a\nb", "x\udcff%", "末 ", "a\\b.txt", "objects/c.txt"]  # fmt: skip


@pytest.fixture(params=["en", "zh"], autouse=True)
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    messages.use(request.param)
    yield request.param
    messages.use("en")


def template(names: list[str], kind: Literal["csv", "xlsx"]) -> bytes:
    out = io.BytesIO()
    write_template(out, [(name, 10, datetime(2021, 9, 18, tzinfo=UTC)) for name in names], kind)
    return out.getvalue()


def filled(data: bytes, kind: str) -> bytes:
    """The template as a person saves it, with a title in every row."""
    if kind == "csv":
        lines = data.decode("utf-8-sig").replace(",,,,", ",,,标题,", 1)
        return re.sub(r"(?m)^(\./[^,]*|\"[^\"]*(?:\"\"[^\"]*)*\"),,,,", r"\1,,,标题,", lines).encode("utf-8-sig")
    book = openpyxl.load_workbook(io.BytesIO(data))
    sheet = book.worksheets[0]
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, 4, "标题")
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_filled_template_describes_every_file_and_the_whole(kind: Literal["csv", "xlsx"]) -> None:
    sheet = read_sheet(f"t.{kind}", filled(template(NAMES, kind), kind))
    assert sheet.findings == ()
    assert len(sheet.rows) == 1 + len(NAMES)
    numbers = iter(range(100))
    described = describe(
        PACKAGE, [sheet], find=lambda name: name if name in NAMES else None, title=None, submission="s",
        new_id=lambda: RecordId(f"urn:uuid:{next(numbers)}"),
    )  # fmt: skip
    assert described.findings == ()
    assert [record.paths for record in described.records] == [(), *((name,) for name in NAMES)]
    assert {record.description.title for record in described.records} == {"标题"}
    assert described.records[1].description.first("计算机文件大小") == "10"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_template_left_blank_describes_nothing(kind: Literal["csv", "xlsx"]) -> None:
    sheet = read_sheet(f"t.{kind}", template(NAMES, kind))
    assert (sheet.rows, [finding.code for finding in sheet.findings]) == ((), ["sheet-empty"])


def test_csv_opens_with_its_chinese_intact_and_no_cell_is_a_formula() -> None:
    data = template(NAMES, "csv")
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.endswith(b"\r\n")
    rows = data.decode("utf-8-sig").split("\r\n")
    assert all(not row or row[0] not in "=+-@\t" for row in rows)
    assert "\n" not in "".join(rows)


def test_headings_are_in_the_language_in_use(language: str) -> None:
    header = template([], "csv").decode("utf-8-sig").splitlines()[0]
    assert header.startswith("文件名,层级,档号,题名" if language == "zh" else "Filename,Level,Reference code,Title")


def test_xlsx_is_ready_to_fill_in(language: str) -> None:
    data = template(NAMES, "xlsx")
    book = openpyxl.load_workbook(io.BytesIO(data))
    sheet = book.worksheets[0]
    assert sheet.freeze_panes == "B2"
    assert sheet["A1"].font.bold
    assert sheet["C2"].number_format == "@" or sheet.column_dimensions["C"].number_format == "@"
    (levels,) = sheet.data_validations.dataValidation
    assert ("案卷" if language == "zh" else "file") in levels.formula1
    assert "B2" in levels.sqref
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")


def test_files_are_written_as_they_come() -> None:
    seen: list[int] = []

    class Out(io.BytesIO):
        def write(self, data: object) -> int:
            seen.append(len(asked))
            return super().write(data)  # type: ignore[arg-type]

    asked: list[str] = []

    def files() -> Iterator[tuple[str, int, datetime | None]]:
        for number in range(50):
            asked.append(str(number))
            yield f"{number}.txt", number, None

    write_template(Out(), files(), "csv")
    assert seen[3] < 50


NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20)
UNDECODABLE = st.binary(min_size=1, max_size=8).map(lambda name: name.decode("utf-8", "surrogateescape"))


@given(st.lists(NAME | UNDECODABLE.filter(lambda name: not set(name) & set("/\0")), max_size=5, unique=True))
def test_any_name_comes_back(names: list[str]) -> None:
    names = [name for name in names if name.strip() not in (".", "..", "objects")]
    sheet: Sheet = read_sheet("t.csv", filled(template(names, "csv"), "csv"))
    known = set(names)
    described = describe(
        PACKAGE, [sheet], find=lambda name: name if name in known else None, title=None, submission="no such name",
        new_id=lambda: RecordId("urn:uuid:1"),
    )  # fmt: skip
    assert described.findings == ()
    assert [record.paths for record in described.records[1:]] == [(name,) for name in names]
