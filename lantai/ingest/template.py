"""Template: a sheet with every file of a submission listed, ready to fill in with Excel, WPS or LibreOffice."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import BinaryIO, Literal
from urllib.parse import quote

from ..messages import _, language
from ..metadata.elements import FILENAME, LEVEL, REFERENCE_CODE, heading_of, level_name
from ..model import LEVELS

# ISAD(G) I.12 asks for reference code, title, creator, dates, extent and level; the rest is what an archive uses most.
# The width of each column is in characters; the last two are filled in, and say nothing unless the row does.
_COLUMNS = {
    FILENAME: 40, LEVEL: 8, REFERENCE_CODE: 24, "dc.title": 40, "dc.creator": 20, "dc.date": 14, "文号": 20,
    "保管期限": 10, "密级": 10, "dc.subject": 20, "dc.description": 40, "isadg.extent": 12, "摄影者": 12,
    "dcterms.spatial": 16, "isadg.access_conditions": 12, "isadg.note": 24, "计算机文件大小": 14,
    "计算机文件修改时间": 22,
}  # fmt: skip
# A spreadsheet would make numbers and dates of these, and lose zeros in front.
_TEXT = frozenset({FILENAME, REFERENCE_CODE, "dc.date", "文号", "保管期限"})
_LAST_ROW = 1_048_576

_UNWRITABLE = re.compile("[\x00-\x1f\\\\\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def write_template(
    out: BinaryIO, files: Iterable[tuple[str, int, datetime | None]], kind: Literal["csv", "xlsx"]
) -> None:
    """Write the sheet to out. files: path in the submission, size in bytes, time of change in UTC; they are streamed.

    The first row is for the whole. Headings are in the language in use. Every path begins with "./", so that no
    program takes it for a formula, a number or a date; read_sheet leaves that out again.
    """
    rows = _rows(files)
    if kind == "csv":
        _write_csv(out, rows)
    else:
        _write_xlsx(out, rows)


def _rows(files: Iterable[tuple[str, int, datetime | None]]) -> Iterator[list[str | int]]:
    blank: list[str | int] = [""] * (len(_COLUMNS) - 3)
    yield ["./", *blank, "", ""]
    for path, size, modified in files:
        yield ["./" + _writable(path), *blank, size, modified.isoformat() if modified is not None else ""]


def _writable(path: str) -> str:
    """The path, percent-encoded where a sheet cannot hold it: control characters, undecodable bytes, mere space."""
    if _UNWRITABLE.search(path) or not path.strip():
        return quote(path.encode("utf-8", "surrogateescape"), safe="/")
    return path


def _headings() -> list[str]:
    return [heading_of(term, language()) for term in _COLUMNS]


def _write_csv(out: BinaryIO, rows: Iterable[list[str | int]]) -> None:
    """The byte order mark and CRLF are what Excel and WPS know UTF-8 by."""
    text = io.TextIOWrapper(out, "utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(_headings())
    writer.writerows(rows)
    text.detach()  # out stays open: it is the caller's


def _write_xlsx(out: BinaryIO, rows: Iterable[list[str | int]]) -> None:
    # It takes long to load, and one command writes a workbook.
    from openpyxl import Workbook  # noqa: PLC0415
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415
    from openpyxl.styles import Alignment, Font  # noqa: PLC0415
    from openpyxl.utils import get_column_letter  # noqa: PLC0415
    from openpyxl.worksheet.datavalidation import DataValidation  # noqa: PLC0415

    book = Workbook(write_only=True)
    sheet = book.create_sheet(_("description"))
    sheet.freeze_panes = "B2"
    for number, (term, width) in enumerate(_COLUMNS.items(), 1):
        column = sheet.column_dimensions[get_column_letter(number)]
        column.width = width
        if term in _TEXT:
            column.number_format = "@"
    header = []
    for heading in _headings():
        cell = WriteOnlyCell(sheet, heading)
        cell.font, cell.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="top")
        header.append(cell)
    sheet.append(header)
    for row in rows:
        path = WriteOnlyCell(sheet, row[0])
        path.number_format = "@"
        sheet.append([path, *(value if value != "" else None for value in row[1:])])
    names = ",".join(level_name(level, language()) for level in LEVELS)
    levels = DataValidation(type="list", formula1=f'"{names}"', allow_blank=True, errorStyle="warning")
    column = get_column_letter([*_COLUMNS].index(LEVEL) + 1)
    levels.add(f"{column}2:{column}{_LAST_ROW}")
    sheet.data_validations.append(levels)
    book.save(out)
