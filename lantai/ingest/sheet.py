"""Sheet: descriptions that travel with a submission, as rows, whatever they are written in.

Archivematica's conventions: a column (or key) filename, paths that may begin with objects/, the empty path for the
whole, repeated columns for repeated elements; a cell is one value, whatever it holds.
"""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias

from ..messages import _
from ..metadata.elements import FILENAME, LEVEL, describes, level_of, qualified, terms
from ..model import Element, Finding, Level

DC = "http://purl.org/dc/elements/1.1/"
DCTERMS = "http://purl.org/dc/terms/"

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
# XML 1.0 2.2: what no description can hold, since METS, PREMIS and EAD could not.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Row:
    """What one row says. filename: as written, "" for the whole; number: where it stands in the sheet, from 1."""

    filename: str
    level: Level | None
    elements: tuple[Element, ...]
    number: int = 0


@dataclass(frozen=True, slots=True)
class Sheet:
    name: str
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Cell:
    heading: str
    value: str


_Rows: TypeAlias = Iterator[tuple[int, list[_Cell]]]


def is_sheet(path: str) -> bool:
    """Whether this path of a submission is a description that travels with it: at the top or in a folder metadata."""
    parts = path.casefold().split("/")
    if len(parts) == 2 and parts[0] == "metadata":
        del parts[0]
    return parts in (["metadata.csv"], ["metadata.json"], ["metadata.xlsx"], ["dc.xml"])


def normal(filename: str) -> str:
    """A filename as Archivematica writes it, as a relative POSIX path; "" is the whole submission."""
    path = filename.strip().replace("\\", "/")
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    path = path.rstrip("/")
    return "" if path in ("", ".", "objects") else path


def read_sheet(name: str, data: bytes) -> Sheet:
    """The sheet in data; name says its kind by its ending: .csv .tsv .txt, .xlsx, .json, .xml.

    Never raises: what is wrong is in findings, whose subject is name (sheet-unreadable, sheet-header-missing and
    sheet-duplicate are fatal). A sheet without a filename column and with one row describes the whole.
    """
    findings: list[Finding] = []
    ending = name.rpartition(".")[2].casefold()
    try:
        if ending == "xlsx":
            cells = _table(name, _workbook(data), findings)
        elif ending == "json":
            cells = _json(_decoded(name, data, findings))
        elif ending == "xml":
            cells = iter(((1, list(_xml(data))),))
        elif ending in ("csv", "tsv", "txt"):
            cells = _table(name, _delimited(_decoded(name, data, findings)), findings)
        else:
            raise _Unreadable(_("its name does not end in .csv, .xlsx, .json or .xml"))
        rows = tuple(_described(name, cells, findings))
    except _Unreadable as problem:
        return Sheet(name, (), (*findings, Finding.of("sheet-unreadable", name, reason=problem)))
    except _Headless as problem:
        return Sheet(name, (), (*findings, Finding.of("sheet-header-missing", name, heading=problem)))
    if not rows:
        findings.append(Finding.of("sheet-empty", name))
    return Sheet(name, rows, (*findings, *_duplicates(name, rows)))


class _Unreadable(Exception):
    """Why it cannot be read."""


class _Headless(Exception):
    """The heading that is missing."""


def _decoded(name: str, data: bytes, findings: list[Finding]) -> str:
    """UTF-8 and UTF-16 as the byte order mark says, else UTF-8, else GB18030, which is told in a finding."""
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encodings = ("utf-16",) if marked else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        if encoding == "gb18030":
            findings.append(Finding.of("sheet-not-utf8", name, encoding="GB18030"))
        return text.removeprefix("\ufeff")
    raise _Unreadable(_("its text is neither UTF-8 nor GB18030; save it as CSV UTF-8"))


# --- Tables ---


def _delimited(text: str) -> Iterator[tuple[int, list[str]]]:
    """RFC 4180 2, with the delimiter that the first line uses most."""
    delimiter = ","
    if directive := re.match(r"sep=(.)\r?\n", text):  # Excel's own way to say it
        delimiter, text = directive[1], text[directive.end() :]
    else:
        first = next((line for line in text.splitlines() if line.strip()), "")
        outside = re.sub(r'"[^"]*"', "", first)
        delimiter = max(",\t;，", key=outside.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        yield from enumerate(reader, 1)
    except csv.Error as error:
        raise _Unreadable(_("line {line}: {error}").format(line=reader.line_num, error=error)) from error


def _table(name: str, lines: Iterable[tuple[int, Sequence[str]]], findings: list[Finding]) -> _Rows:
    """Rows of a table as cells under their headings; single cells above the header are a caption."""
    filled = ((number, row) for number, row in lines if any(cell.strip() for cell in row))
    header: Sequence[str] = ()
    for _number, row in filled:
        header = row
        if sum(bool(cell.strip()) for cell in row) > 1 or any(_known(cell) for cell in row):
            break
    if not header:
        return
    if not any(_known(cell) for cell in header):
        raise _Headless(FILENAME)
    unnamed: set[int] = set()
    for number, row in filled:
        cells = []
        for column, value in enumerate(row):
            heading = header[column].strip() if column < len(header) else ""
            if not heading and value.strip():
                heading = _letters(column)
                unnamed.add(column)
            cells.append(_Cell(heading, value))
        yield number, cells
    if unnamed:
        columns = ", ".join(_letters(column) for column in sorted(unnamed))
        findings.append(Finding.of("sheet-heading-missing", name, columns=columns))


def _known(heading: str) -> bool:
    return qualified(heading).term in terms()


def _letters(column: int) -> str:
    """The name of a column in a spreadsheet: A, B, … Z, AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


# --- Workbooks ---

_LARGEST = 512 * 1024 * 1024  # bytes a workbook may unpack to: a sheet of a million rows stays below


def _workbook(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """The rows of an .xlsx file's first sheet, each cell as the text that a person sees in it."""
    import openpyxl  # noqa: PLC0415 -- it takes long to load, and few commands read a workbook

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _LARGEST:
                raise _Unreadable(_("it unpacks to more than {size} MB").format(size=_LARGEST // 1024**2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of what it leaves out: styles, validation
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write them wrong, and rows would be cut off
            for number, row in enumerate(sheet.iter_rows(), 1):
                yield number, [_shown(cell) for cell in row]
    except _Unreadable:
        raise
    except Exception as error:  # openpyxl lets through whatever a damaged part makes its parsers raise
        raise _Unreadable(f"{type(error).__name__}: {error}") from error


# Formats of dates that a Chinese spreadsheet program uses (ECMA-376 18.8.30, zh-cn); openpyxl takes them for numbers.
_CJK_DAYS = frozenset({28, 29, 30, 31, 51, 53, 54, 58})
_CJK_MONTHS = frozenset({27, 36, 50, 52, 57})


def _shown(cell: Any) -> str:
    """Dates as ISO 8601 and no more precise than the cell shows them; whole numbers without a point."""
    value = cell.value
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime | date):
        return _dated(value, re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", cell.number_format or "").lower())
    if isinstance(value, int | float):
        kind = cell.style_array.numFmtId
        if kind in _CJK_DAYS | _CJK_MONTHS:
            from openpyxl.utils.datetime import from_excel  # noqa: PLC0415 -- as above

            return _dated(from_excel(value), "ymd" if kind in _CJK_DAYS else "ym")
        text = str(int(value)) if value == int(value) else repr(value)
        # A code typed as 0001 and kept as 1 under the format 0000.
        return text.zfill(len(cell.number_format)) if re.fullmatch("0+", cell.number_format) else text
    return str(value)


def _dated(value: Any, shows: str) -> str:
    """Typed 2021-9, a spreadsheet keeps the first of September and shows no day: neither do we."""
    if not isinstance(value, datetime | date):
        return str(value)
    if "d" not in shows and "h" not in shows and "y" in shows:
        return f"{value.year:04}-{value.month:02}" if "m" in shows else f"{value.year:04}"
    if isinstance(value, datetime) and (value.hour or value.minute or value.second):
        return value.isoformat(timespec="seconds")
    return value.isoformat()[:10]


# --- JSON and XML ---


def _json(text: str) -> _Rows:
    """Archivematica's metadata.json: a list of objects, whose values may be lists; or one such object."""
    try:
        # Pairs, since a key may be repeated; numbers as they are written.
        found = json.loads(text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str)
        items = [found] if isinstance(found, _Pairs) else found
        if not isinstance(items, list) or not all(isinstance(item, _Pairs) for item in items):
            raise _Unreadable(_("it is not a list of objects"))
        rows = [[_Cell(key, value) for key, values in item for value in _texts(values)] for item in items]
    except (ValueError, RecursionError) as error:
        raise _Unreadable(str(error)) from error
    yield from enumerate(rows, 1)


class _Pairs(list[tuple[str, object]]):
    """A JSON object, told from a list."""


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, _Pairs):
        yield json.dumps(dict(value), ensure_ascii=False)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, bool):
        yield str(value).lower()
    elif value is not None:
        yield str(value)


def _xml(data: bytes) -> Iterator[_Cell]:
    """Dublin Core in any wrapper: the elements that hold text, by namespace or by name."""
    from lxml import etree  # noqa: PLC0415 -- as openpyxl

    # Entities and the network are left alone: a sheet comes from outside.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _Unreadable(str(error)) from error
    for node in root.iter("*"):
        name = etree.QName(node)
        core = name.namespace in (DC, DCTERMS)
        if not core and len(node):
            continue
        heading = {DC: "dc.", DCTERMS: "dcterms."}.get(name.namespace or "", "") + name.localname
        if language := node.get(_XML_LANG):
            heading += f"@{language}"
        if scheme := node.get(_XSI_TYPE):
            heading += f"^^{scheme}"
        yield _Cell(heading, "".join(str(text) for text in node.itertext()))


# --- Rows ---


def _described(name: str, rows: _Rows, findings: list[Finding]) -> Iterator[Row]:
    """Rows that say something. _Headless: several, and no column that says of which file."""
    named, unnamed, altered, unknown = False, 0, [], []
    headings: dict[str, Element] = {}
    for number, cells in rows:
        filename, level = "", None
        elements: list[Element] = []
        seen = False
        for cell in cells:
            known = headings.get(cell.heading)
            if known is None:
                known = headings[cell.heading] = qualified(cell.heading)
            if known.term == FILENAME and not seen:
                filename, seen = cell.value, True
                continue
            value = re.sub("\r\n?", "\n", cell.value).strip()
            if clean := _FORBIDDEN.sub("", value).strip():
                if clean != value:
                    altered.append(str(number))
                if known.term == LEVEL and level is None and (level := level_of(clean)) is not None:
                    continue
                if known.term == LEVEL and level is None:
                    unknown.append(clean)
                term = cell.heading.strip() if known.term == FILENAME else known.term
                elements.append(Element(term, clean, known.language, known.scheme))
        named = named or seen
        if describes(elements) or level is not None:
            unnamed += not seen
            yield Row(filename if normal(filename) else "", level, tuple(elements), number)
    if altered:
        findings.append(Finding.of("sheet-characters", name, rows=", ".join(dict.fromkeys(altered))))
    for value in dict.fromkeys(unknown):
        findings.append(Finding.of("sheet-level-unknown", name, value=value))
    if unnamed > 1 and not named:
        raise _Headless(FILENAME)


def _duplicates(name: str, rows: Iterable[Row]) -> Iterator[Finding]:
    numbers: dict[str, list[int]] = {}
    for row in rows:
        numbers.setdefault(normal(row.filename), []).append(row.number)
    for path, found in numbers.items():
        if len(found) > 1:
            yield Finding.of("sheet-duplicate", name, filename=path or ".", rows=", ".join(map(str, found)))
