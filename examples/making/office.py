"""Flat OpenDocument, and LibreOffice that turns it into .docx, .odt, .pdf, .xlsx and .ods.

Page and type follow GB/T 9704-2012, the format of official documents: A4 with margins of 37, 26, 35 and 28 mm, body in
16 points (三号) on lines of 28 points, the issuing body's name in red.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

SONG, HEI = "Noto Serif CJK SC", "Noto Sans CJK SC"
RED = "#d7000f"

Block = str
Cell = str | int


@dataclass(frozen=True, slots=True)
class About:
    """What a program writes into a document's properties. made: the office's local time, which is what ODF has."""

    title: str
    author: str
    subject: str
    made: datetime


@dataclass(frozen=True, slots=True)
class Flat:
    """A flat OpenDocument file; ending: .fodt or .fods."""

    about: About
    ending: str
    markup: str


_ODF = "urn:oasis:names:tc:opendocument:xmlns:"
_NAMES = {
    "office": f"{_ODF}office:1.0",
    "style": f"{_ODF}style:1.0",
    "text": f"{_ODF}text:1.0",
    "table": f"{_ODF}table:1.0",
    "meta": f"{_ODF}meta:1.0",
    "fo": f"{_ODF}xsl-fo-compatible:1.0",
    "svg": f"{_ODF}svg-compatible:1.0",
    "of": f"{_ODF}of:1.2",
    "dc": "http://purl.org/dc/elements/1.1/",
}


@dataclass(frozen=True, slots=True)
class Look:
    """A paragraph style: points, and what ODF's properties add to them."""

    points: float
    font: str = SONG
    bold: bool = False
    colour: str = "#000000"
    align: str = "start"
    indent: float = 0
    line: str = "28pt"
    paragraph: str = ""

    def markup(self, name: str) -> str:
        weight = "bold" if self.bold else "normal"
        size, indent = f"{self.points}pt", f"{self.indent}pt"
        return (
            f'<style:style style:name="{name}" style:family="paragraph"><style:paragraph-properties '
            f'fo:text-align="{self.align}" fo:text-indent="{indent}" fo:line-height="{self.line}" '
            f'fo:orphans="2" fo:widows="2" {self.paragraph}/>'
            f'<style:text-properties style:font-name="{self.font}" style:font-name-asian="{self.font}" '
            f'fo:font-size="{size}" style:font-size-asian="{size}" fo:font-weight="{weight}" '
            f'style:font-weight-asian="{weight}" fo:color="{self.colour}"/></style:style>'
        )


LOOKS = {
    "Head": Look(38, bold=True, colour=RED, align="center", line="100%", paragraph='fo:margin-top="10mm"'),
    "Number": Look(
        16,
        align="center",
        line="100%",
        paragraph='fo:margin-top="9mm" fo:margin-bottom="8mm" fo:padding-bottom="3mm" '
        f'fo:border-bottom="1.4pt solid {RED}"',
    ),
    "Title": Look(22, bold=True, align="center", line="34pt"),
    "Subtitle": Look(16, align="center", paragraph='fo:margin-bottom="14pt"'),
    "Flush": Look(16),
    "Body": Look(16, align="justify", indent=32),
    "First": Look(16, HEI, indent=32, paragraph='fo:keep-with-next="always"'),
    "Sign": Look(16, align="end", paragraph='fo:margin-right="32pt" fo:margin-top="28pt" fo:keep-with-next="always"'),
    "Date": Look(16, align="end", paragraph='fo:margin-right="48pt"'),
    "Imprint": Look(
        14,
        line="24pt",
        paragraph='fo:padding="2pt" fo:border-top="1pt solid #000000" fo:border-bottom="1pt solid #000000"',
    ),
    "Column": Look(12, HEI, bold=True, align="center", line="20pt"),
    "Entry": Look(12, line="20pt"),
    "Foot": Look(14, align="center", line="100%"),
}


def paragraph(look: str, words: str) -> Block:
    """Words in one of LOOKS; a line break at each newline."""
    broken = "<text:line-break/>".join(escape(line) for line in words.split("\n"))
    return f'<text:p text:style-name="{look}">{broken}</text:p>'


def grid(widths: Sequence[int], rows: Sequence[Sequence[str]]) -> Block:
    """A ruled table; widths in millimetres, the first row its heading."""
    columns = "".join(f'<table:table-column table:style-name="w{width}"/>' for width in widths)

    def line(look: str, row: Sequence[str]) -> str:
        open_, close = '<table:table-cell table:style-name="ruled">', "</table:table-cell>"
        return f"<table:table-row>{''.join(open_ + paragraph(look, cell) + close for cell in row)}</table:table-row>"

    body = "".join(line("Entry", row) for row in rows[1:])
    head = f"<table:table-header-rows>{line('Column', rows[0])}</table:table-header-rows>"
    return f'<table:table table:style-name="grid">{columns}{head}{body}</table:table>'


def _properties(about: About) -> str:
    made = about.made.replace(tzinfo=None).isoformat()
    return (
        f"<office:meta><dc:title>{escape(about.title)}</dc:title><dc:subject>{escape(about.subject)}</dc:subject>"
        f"<meta:initial-creator>{escape(about.author)}</meta:initial-creator><dc:creator>{escape(about.author)}</dc:creator>"
        f"<meta:creation-date>{made}</meta:creation-date><dc:date>{made}</dc:date>"
        "<dc:language>zh-CN</dc:language></office:meta>"
    )


def _document(kind: str, about: About, styles: str, automatic: str, master: str, body: str) -> str:
    names = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in _NAMES.items())
    fonts = "".join(f'<style:font-face style:name="{font}" svg:font-family="{font}"/>' for font in (SONG, HEI))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document {names} office:version="1.3" '
        f'office:mimetype="application/vnd.oasis.opendocument.{kind}">{_properties(about)}'
        f"<office:font-face-decls>{fonts}</office:font-face-decls><office:styles>{styles}</office:styles>"
        f"<office:automatic-styles>{automatic}</office:automatic-styles>"
        f"<office:master-styles>{master}</office:master-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document>"
    )


def text(about: About, blocks: Iterable[Block]) -> Flat:
    """A flat text document (.fodt) with the page number as official documents have it: — 1 —."""
    body = "".join(blocks)
    widths = sorted({int(width) for width in re.findall(r'table:style-name="w(\d+)"', body)})
    styles = (
        '<style:default-style style:family="paragraph"><style:text-properties fo:language="zh" fo:country="CN" '
        'style:language-asian="zh" style:country-asian="CN"/></style:default-style>'
        + "".join(look.markup(name) for name, look in LOOKS.items())
    )
    automatic = (
        '<style:page-layout style:name="page"><style:page-layout-properties fo:page-width="210mm" '
        'fo:page-height="297mm" fo:margin-top="37mm" fo:margin-right="26mm" fo:margin-bottom="21mm" '
        'fo:margin-left="28mm"/><style:footer-style><style:header-footer-properties fo:min-height="14mm" '
        'fo:margin-top="7mm"/></style:footer-style></style:page-layout>'
        '<style:style style:name="grid" style:family="table"><style:table-properties style:width="156mm" '
        'table:align="center" fo:margin-top="6pt" fo:margin-bottom="12pt"/></style:style>'
        '<style:style style:name="ruled" style:family="table-cell"><style:table-cell-properties '
        'fo:border="0.75pt solid #000000" fo:padding="0.6mm" style:vertical-align="middle"/></style:style>'
    ) + "".join(
        f'<style:style style:name="w{width}" style:family="table-column">'
        f'<style:table-column-properties style:column-width="{width}mm"/></style:style>'
        for width in widths
    )
    number = '— <text:page-number text:select-page="current">1</text:page-number> —'
    master = (
        '<style:master-page style:name="Standard" style:page-layout-name="page"><style:footer>'
        f'<text:p text:style-name="Foot">{number}</text:p></style:footer></style:master-page>'
    )
    return Flat(about, ".fodt", _document("text", about, styles, automatic, master, body))


def sheets(about: About, tables: Iterable[tuple[str, Sequence[int], Sequence[Sequence[Cell]]]]) -> Flat:
    """A flat spreadsheet (.fods): name, column widths in millimetres and rows of each sheet, the first row its title,
    the second its heading. A number is a number, a text that begins with "=" a formula in OpenFormula.
    """
    tables = tuple(tables)
    face = f'style:font-name="{SONG}" style:font-name-asian="{SONG}"'
    edge = 'fo:border="0.75pt solid #000000" fo:padding="0.7mm" style:vertical-align="middle" fo:wrap-option="wrap"'

    def cell_style(name: str, points: int, weight: str, cell: str, align: str = "start") -> str:
        return (
            f'<style:style style:name="{name}" style:family="table-cell"><style:table-cell-properties {cell}/>'
            f'<style:paragraph-properties fo:text-align="{align}"/><style:text-properties {face} '
            f'fo:font-size="{points}pt" style:font-size-asian="{points}pt" fo:font-weight="{weight}" '
            f'style:font-weight-asian="{weight}"/></style:style>'
        )

    looks = [
        cell_style("title", 18, "bold", 'style:vertical-align="middle"', "center"),
        cell_style("column", 12, "bold", edge + ' fo:background-color="#e8eef4"', "center"),
        cell_style("entry", 12, "normal", edge),
    ]
    widths = sorted({width for _, columns, _ in tables for width in columns})
    looks += [
        f'<style:style style:name="w{width}" style:family="table-column">'
        f'<style:table-column-properties style:column-width="{width}mm"/></style:style>'
        for width in widths
    ]
    body = []
    for name, columns, rows in tables:
        lines = []
        for at, row in enumerate(rows):
            look = ("title", "column")[at] if at < 2 else "entry"
            span = len(columns) if at == 0 else 1
            cells = "".join(_cell(value, look, span) for value in row)
            lines.append(f"<table:table-row>{cells}</table:table-row>")
        shape = "".join(f'<table:table-column table:style-name="w{width}"/>' for width in columns)
        body.append(f"<table:table table:name={quoteattr(name)}>{shape}{''.join(lines)}</table:table>")
    return Flat(about, ".fods", _document("spreadsheet", about, "", "".join(looks), "", "".join(body)))


def _cell(value: Cell, look: str, span: int) -> str:
    place = f'table:style-name="{look}"' + (f' table:number-columns-spanned="{span}"' if span > 1 else "")
    if isinstance(value, int):
        kind = f'office:value-type="float" office:value="{value}"'
    elif value.startswith("="):
        return f'<table:table-cell {place} table:formula={quoteattr("of:" + value)} office:value-type="float"/>'
    else:
        kind = 'office:value-type="string"'
    return f"<table:table-cell {place} {kind}><text:p>{escape(str(value))}</text:p></table:table-cell>"


PDF_A = 'pdf:writer_pdf_Export:{"SelectPdfVersion":{"type":"long","value":"2"}}'


def convert(source: Flat, target: Path) -> None:
    """Have LibreOffice write source as target (its suffix says what), as if at the time its properties say.

    Raises RuntimeError with what LibreOffice said when it wrote nothing.
    """
    pdf, made = target.suffix == ".pdf", source.about.made
    with tempfile.TemporaryDirectory() as scratch:
        flat = Path(scratch, target.stem + source.ending)
        flat.write_text(source.markup, "utf-8")
        data = run_office(flat, PDF_A if pdf else target.suffix[1:], Path(scratch, "out")).read_bytes()
    target.write_bytes(_pdf_as_of(data, made) if pdf else data)
    if not pdf:
        _zip_as_of(target, made)


def run_office(source: Path, kind: str, folder: Path) -> Path:
    """The file of that kind that LibreOffice makes of source in folder, with a profile of its own.

    Raises RuntimeError with what LibreOffice said when there is none.
    """
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                *("soffice", f"-env:UserInstallation={Path(profile).as_uri()}", "--headless"),
                *("--convert-to", kind, "--outdir", str(folder), str(source)),
            ],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            env={**os.environ, "TZ": "UTC"},  # the zone in which LibreOffice tells the time of export
        )
    written = folder / f"{source.stem}.{kind.split(':')[0]}"
    if not written.exists():
        raise RuntimeError(f"LibreOffice wrote no {kind} of {source.name}: {done.stdout}{done.stderr}")
    return written


def _zip_as_of(path: Path, made: datetime) -> None:
    """The same members in the same order (ODF wants mimetype first, stored), each with the time made, and without the
    random number by which Writer tells editing sessions apart.
    """
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in members:
            if info.filename == "settings.xml":
                data = re.sub(rb'(config:name="Rsid(?:Root)?"[^>]*>)\d+', rb"\g<1>1", data)
            fresh = zipfile.ZipInfo(info.filename, made.timetuple()[:6])
            fresh.compress_type = info.compress_type
            archive.writestr(fresh, data)


def _pdf_as_of(data: bytes, made: datetime) -> bytes:
    """The time of export replaced by text of the same length, so that no offset moves. What stays different from run to
    run is the colour profile of PDF/A, which holds that time compressed, and the checksum and identifiers over it.
    """
    utc = made.astimezone(UTC)
    data = re.sub(rb"(?<=D:)\d{14}(?=Z)", utc.strftime("%Y%m%d%H%M%S").encode(), data)
    return re.sub(rb"(?<=<xmp:CreateDate>)[\dT:-]{19}(?=Z)", utc.strftime("%Y-%m-%dT%H:%M:%S").encode(), data)
