"""Rows of sheets become records and places: the package's own tree (ISAD(G) 2.1)."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from ..metadata import dates
from ..metadata.elements import FILENAME, LEVEL, REFERENCE_CODE, description, terms
from ..metadata.xml import ILLEGAL, legible
from ..model import LEVELS, Element, Finding, Level, PackageId, Place, Record, RecordId
from .sheet import Row, Sheet, normal

_ARCHIVE = re.compile(r"(?<=.)\.(zip|tar|tgz|tbz2?|txz|tar\.\w{1,4})$", re.IGNORECASE)
"""What a packed submission's name ends in: no part of its title."""

FONDS = "fonds"
"""The hierarchy that a package's own tree stands in."""

# A part is an item, and what holds parts stands one level above the highest of them: a submission of items is a file
# (案卷), one of files a series. A level that a sheet states always holds.
_ABOVE: Mapping[Level, Level] = {
    "item": "file", "file": "series", "subseries": "series", "series": "fonds", "subfonds": "fonds", "fonds": "fonds",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Described:
    """records: the root first, then its parts as a reader meets them in the tree; places: one for each, in that order.

    findings: the sheets' own, and those of joining them with the files.
    """

    records: tuple[Record, ...]
    places: tuple[Place, ...]
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Unit:
    """A record in the making. path is "" for the root."""

    path: str
    elements: dict[Element, None] = field(default_factory=dict)  # a set that keeps its order
    level: Level | None = None
    known: Record | None = None
    named: bool = False  # by a sheet of this submission
    restated: set[str] = field(default_factory=set)  # terms of the known record that sheets have given anew

    def restate(self, terms: set[str]) -> None:
        """What a sheet says takes the place of what was said; a blank cell takes nothing away."""
        for element in self.known.description.elements if self.known is not None else ():
            if element.term in terms - self.restated:
                self.elements.pop(element, None)
        self.restated |= terms


def describe(
    package: PackageId,
    sheets: Sequence[Sheet],
    *,
    find: Callable[[str], str | None],
    title: str | None,
    submission: str,
    top_folder: str = "",
    new_id: Callable[[], RecordId],
    known: tuple[Sequence[Record], Sequence[Place]] | None = None,
) -> Described:
    """The root record and a part for each file or folder that a row describes.

    find: the stored path of the file or folder with this path in the submission, or None. title: takes the place of
    every title a sheet gives the whole. submission: the name of what was handed over; top_folder: of the one folder in
    it, if it is an archive. The latter, else the former, is the title where there is none; rows may begin with either.
    new_id: called once for each part that is new. known: the package's records and places until now; what a sheet
    names keeps its id by path, else by reference code, and the terms that the sheets say nothing of; the others stay.

    Several sheets add up: what two of them say of one thing is kept together, said twice the same it is kept once.
    sheet-file-missing and sheet-duplicate are fatal.
    """
    findings = [finding for sheet in sheets for finding in sheet.findings]
    units = {"": _Unit("")}
    codes: dict[str, _Unit] = {}
    for record, unit in _known(known):
        units[unit.path] = unit
        if unit.path and (code := record.description.first(REFERENCE_CODE)):
            codes.setdefault(code, unit)
    if title and ILLEGAL.search(title):
        findings.append(Finding.of("title-characters", submission))
    _join(sheets, units, codes, lambda name: _found(name, find, (submission, top_folder)), findings)
    root = units[""]
    _entitle(root, title, top_folder or submission)
    return Described(*_tree(package, units, new_id), tuple(findings))


def _known(known: tuple[Sequence[Record], Sequence[Place]] | None) -> Iterator[tuple[Record, _Unit]]:
    for number, record in enumerate(known[0] if known is not None else ()):
        said = record.description
        # A part without a path cannot be the root: it stands under a name that no path can have.
        path = "" if number == 0 else record.paths[0] if record.paths else f"/{record.id}"
        yield record, _Unit(path, dict.fromkeys(said.elements), said.level, record)


def _join(
    sheets: Sequence[Sheet],
    units: dict[str, _Unit],
    codes: Mapping[str, _Unit],
    found: Callable[[str], str | None],
    findings: list[Finding],
) -> None:
    for sheet in sheets:
        seen: dict[str, Row] = {}
        for row in sheet.rows:
            path = found(row.filename)
            if path is None:
                findings.append(Finding.of("sheet-file-missing", sheet.name, filename=row.filename, row=row.number))
                continue
            unit = units.get(path) or _moved(row, path, units, codes) or units.setdefault(path, _Unit(path))
            earlier = seen.setdefault(path, row)
            # Names that are plainly the same were found when the sheet was read.
            if earlier is not row and normal(earlier.filename) != normal(row.filename):
                rows = f"{earlier.number}, {row.number}"
                findings.append(Finding.of("sheet-duplicate", sheet.name, filename=row.filename, rows=rows))
            elif earlier is row and unit.named and path:
                findings.append(Finding.of("sheet-overlap", sheet.name, filename=row.filename))
            unit.named = True
            unit.restate({element.term for element in row.elements})
            unit.level = row.level or unit.level
            unit.elements.update(dict.fromkeys(row.elements))
            findings += _unread(sheet.name, row)


def _moved(row: Row, path: str, units: dict[str, _Unit], codes: Mapping[str, _Unit]) -> _Unit | None:
    """The known part with the row's reference code, now at path."""
    code = next((element.value for element in row.elements if element.term == REFERENCE_CODE), None)
    unit = codes.get(code) if code is not None else None
    if unit is None or unit.named:
        return None
    del units[unit.path]
    unit.path = path
    units[path] = unit
    return unit


def _found(name: str, find: Callable[[str], str | None], wholes: Sequence[str]) -> str | None:
    """The stored path that a row means by name; "" for the whole; None: nothing there has this name."""
    if not name:
        return ""
    for candidate in _spellings(name, wholes):
        if (path := find(candidate)) is not None:
            return path
    named = unicodedata.normalize("NFC", normal(name))
    return "" if any(named == unicodedata.normalize("NFC", whole) for whole in wholes if whole) else None


def _spellings(name: str, wholes: Sequence[str]) -> Iterator[str]:
    """As written; as Archivematica and spreadsheets write it; in either Unicode form; as a template escapes it."""
    plain = normal(name)
    inner = plain.removeprefix("objects/")
    exact = name.removeprefix("./")  # a name may end in white space, or hold a backslash
    below = (inner.removeprefix(f"{whole}/") for whole in wholes)
    for written in dict.fromkeys((name, exact, plain, inner, *below)):
        for form in (written, unicodedata.normalize("NFC", written), unicodedata.normalize("NFD", written)):
            if form:
                yield form
    if "%" in name:
        yield from (unquote(written, errors="surrogateescape") for written in (exact, inner))


def _unread(name: str, row: Row) -> Iterator[Finding]:
    known = terms()
    stated = tuple(e for e in row.elements if e.term in known and known[e.term].kind == "date")
    for span in description("item", stated).dates:
        if span.earliest is None and span.latest is None and span.text.casefold() not in dates.UNDATED:
            yield Finding.of("sheet-date-unread", name, value=span.text, row=row.number)


def _entitle(root: _Unit, title: str | None, submission: str) -> None:
    former = root.known.description.title if root.known is not None else ""
    title = title and ILLEGAL.sub("", title).strip()
    titles = [element for element in root.elements if element.term == "dc.title"]
    if title is not None:
        for element in titles:
            del root.elements[element]
        titles = []
    if not titles:
        root.elements[Element("dc.title", title or former or _ARCHIVE.sub("", legible(submission)))] = None


def _tree(
    package: PackageId, units: Mapping[str, _Unit], new_id: Callable[[], RecordId]
) -> tuple[tuple[Record, ...], tuple[Place, ...]]:
    """Parents are the nearest enclosing folders that are described; siblings stand in the order of their rows."""
    children: dict[str, list[_Unit]] = {}
    for unit in units.values():
        if unit.path:
            children.setdefault(_enclosing(unit.path, units), []).append(unit)
    ordered: list[tuple[_Unit, _Unit | None, int]] = []
    waiting: list[tuple[_Unit, _Unit | None, int]] = [(units[""], None, 0)]
    while waiting:
        unit, parent, position = waiting.pop()
        ordered.append((unit, parent, position))
        below = children.get(unit.path, ())
        waiting += reversed([(child, unit, at) for at, child in enumerate(below)])

    for unit, _parent, _position in reversed(ordered):  # parts before what holds them
        if unit.level is None:
            levels = [child.level for child in children.get(unit.path, ()) if child.level is not None]
            lowest: Level = "file" if unit.path == "" else "item"
            unit.level = _ABOVE[min(levels, key=LEVELS.index)] if levels else lowest

    records: list[Record] = []
    places: list[Place] = []
    ids: dict[str, RecordId] = {}
    for unit, parent, position in ordered:
        known = unit.known
        id = RecordId(package) if unit.path == "" else known.id if known is not None else new_id()
        ids[unit.path] = id
        paths = known.paths if known is not None and unit.path in (*known.paths, f"/{id}", "") else (unit.path,)
        said = description(unit.level or "item", unit.elements)
        records.append(Record(id, package, said, paths if unit.path else ()))
        above = ids[parent.path] if parent is not None else None
        places.append(Place(id, FONDS, above, position, said.first(REFERENCE_CODE)))
    return tuple(records), tuple(places)


def _enclosing(path: str, units: Mapping[str, _Unit]) -> str:
    while "/" in path[1:]:
        path = path.rpartition("/")[0]
        if path in units:
            return path
    return ""


def for_each(sheet: Sheet, folder: str) -> Sheet:
    """The rows of a common sheet that concern one folder beside it, as that folder's own sheet.

    The row that names the folder describes the whole; those below it are made relative. Findings of the common sheet
    are not repeated; rows of no folder are found by outside().
    """
    own = unicodedata.normalize("NFC", folder)
    return Sheet(sheet.name, tuple(_within(sheet.rows, own)))


def _within(rows: Iterable[Row], folder: str) -> Iterator[Row]:
    for row in rows:
        for path in dict.fromkeys((normal(row.filename), normal(row.filename).removeprefix("objects/"))):
            first, _, rest = path.partition("/")
            if unicodedata.normalize("NFC", first) == folder:
                yield replace(row, filename=rest)
                break


def outside(sheet: Sheet, folders: Iterable[str]) -> tuple[Finding, ...]:
    """A sheet-file-missing for each row of a common sheet that concerns none of these folders, nor all of them."""
    taken = {row.number for folder in folders for row in for_each(sheet, folder).rows}
    return tuple(
        Finding.of("sheet-file-missing", sheet.name, filename=row.filename, row=row.number)
        for row in sheet.rows
        if row.filename and row.number not in taken
    )


def to_csv(sheet: Sheet) -> bytes:
    """The rows as CSV in UTF-8 with a byte order mark, columns headed by terms: read_sheet gives the same rows.

    A column is repeated where a row has several values of it; a language stands behind @, a scheme behind ^^.
    """
    levels = any(row.level for row in sheet.rows)
    columns = _columns(sheet.rows)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([FILENAME, *([LEVEL] if levels else ()), *columns])
    for row in sheet.rows:
        cells, free = [""] * len(columns), 0
        for element in row.elements:
            at = columns.index(_heading(element), free)
            cells[at], free = element.value, at + 1
        writer.writerow([row.filename or ".", *([row.level or ""] if levels else ()), *cells])
    return out.getvalue().encode("utf-8-sig")


def _columns(rows: Iterable[Row]) -> list[str]:
    """Headings in which every row finds its elements from left to right, in the order it gives them."""
    columns: list[str] = []
    for row in rows:
        free = 0
        for element in row.elements:
            heading = _heading(element)
            try:
                free = columns.index(heading, free) + 1
            except ValueError:
                columns.insert(free, heading)
                free += 1
    return columns


def _heading(element: Element) -> str:
    language = f"@{element.language}" if element.language else ""
    return element.term + language + (f"^^{element.scheme}" if element.scheme else "")
