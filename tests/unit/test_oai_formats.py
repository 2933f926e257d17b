"""What is said of a record in each format, judged by the format's own schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import resources
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from lantai.digest import Digests
from lantai.errors import UsageError
from lantai.metadata.elements import description, terms
from lantai.model import Element, FileId, Format, Holdings, Level, PayloadFile, Record, RecordId
from lantai.oai import plugins
from lantai.oai.formats import FORMATS, Shown, crosswalk, joined
from lantai.oai.formats import Format as Given
from tests.unit.test_oai_protocol import INSIDE, ROOT, SCHEMAS, schema, uuid

DC = "{http://purl.org/dc/elements/1.1/}"
TERMS = "{http://purl.org/dc/terms/}"
OAI_DC = "{http://www.openarchives.org/OAI/2.0/oai_dc/}"
QDC = "{http://worldcat.org/xmlschemas/qdc-1.0/}"
EAD = "{http://ead3.archivists.org/schema/}"
METS = "{http://www.loc.gov/METS/}"
PREMIS = "{http://www.loc.gov/premis/v3}"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
XLINK = "{http://www.w3.org/1999/xlink}"

FIDO = Path(str(resources.files("fido") / "conf"))
"""fido brings the schemas that DCMI published."""


class Published(etree.Resolver):
    """DCMI's schemas name each other, and one of the W3C by its address."""

    def resolve(self, url: str, id: str, context: Any) -> Any:  # type: ignore[override]
        name = url.rsplit("/", 1)[-1]
        place = SCHEMAS if name == "xml.xsd" else FIDO
        return self.resolve_filename(str(place / name), context)  # type: ignore[attr-defined]


def qualified() -> etree.XMLSchema:
    """qdc-1.0.xsd says no more than this: the element is DCMI's elementOrRefinementContainer."""
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Published())
    told = f"""
        <xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{QDC[1:-1]}">
        <xs:import namespace="{TERMS[1:-1]}" schemaLocation="dcterms.xsd"/>
        <xs:element name="qualifieddc" xmlns:t="{TERMS[1:-1]}" type="t:elementOrRefinementContainer"/>
        </xs:schema>"""
    return etree.XMLSchema(etree.fromstring(told, parser, base_url=str(FIDO / "qdc-1.0.xsd")))


RULES = {
    "oai_dc": INSIDE,
    "oai_qdc": qualified(),
    "ead3": schema(SCHEMAS / "ead3.xsd"),
    "mets": schema(SCHEMAS / "mets-1.12.xsd"),
    "premis": schema(SCHEMAS / "premis-3.0.xsd"),
}


def judge(prefix: str, root: etree._Element) -> None:
    """An element alone, and the Dublin Core and PREMIS within it."""
    alone = etree.fromstring(etree.tostring(root, with_tail=False))
    RULES[prefix].assertValid(alone)
    form = FORMATS[prefix]
    assert etree.QName(alone).namespace == form.namespace
    assert alone.get(XSI + "schemaLocation") == f"{form.namespace} {form.schema}"
    for name, rules in ((OAI_DC + "dc", RULES["oai_dc"]), (PREMIS + "premis", RULES["premis"])):
        for inside in alone.iter(name):
            rules.assertValid(etree.fromstring(etree.tostring(inside, with_tail=False)))


def record(number: int, *elements: Element, level: Level = "item") -> Record:
    return Record(RecordId("urn:uuid:" + uuid(number)), None, description(level, elements))


def a_file(number: int, name: str = "", *, puid: str | None = "fmt/43", size: int = 3) -> PayloadFile:
    name = name or f"{number:04}.jpg"
    answer = Format(puid, "JPEG", "1.01", "image/jpeg", "", "", "", "") if puid else None
    digests = Digests(size, {"sha256": f"{number:064x}", "md5": f"{number:032x}"})
    return PayloadFile(FileId("urn:uuid:" + uuid(number)), name, name, digests, (answer,) if answer else (), None)


def listed(*files: PayloadFile) -> Holdings:
    return Holdings(len(files), sum(one.digests.size or 0 for one in files), {"fmt/43": len(files)}, files)


def shown(one: Record, above: tuple[Record, ...] = (), holdings: Holdings | None = None) -> Shown:
    oai = f"oai:example.org:{one.id[9:]}"
    return Shown(one, above, holdings, 1_700_000_000, oai, "https://example.org/oai", "云岭县档案馆")


def given_as(prefix: str, what: Shown) -> etree._Element:
    """As the format has it, judged."""
    root = etree.fromstring(FORMATS[prefix].render(what))
    judge(prefix, root)
    return root


def texts(root: etree._Element, name: str) -> list[str]:
    return [one.text or "" for one in root.iter(name)]


def every_term() -> list[Element]:
    return [Element(name, f"{name} 云岭 <&>") for name in terms() if name != "filename"]


PHOTO = record(
    1, Element("dc.title", "开幕式 <&> \"'"), Element("dc.title", "Opening", "en"), Element("dc.date", "2021-08-30"),
    Element("摄影时间", "2021年8月30日"), Element("dc.subject", "文化节", None, "LCSH"),
    Element("isadg.extent", "12张"), Element("isadg.archival_history", "原存文化馆"), Element("密级", "公开"),
    Element("自定义栏", "其他"),
    Element("isadg.reference_code", "Z109-1"), Element("isadg.archivist_note", "王芳著录"),
)  # fmt: skip
VOLUME = record(2, Element("dc.title", "文化节照片 <&>"), Element("isadg.reference_code", "Z109"), level="file")
FONDS = record(3, Element("dc.title", "文旅局"), level="fonds")
EMPTY = record(4)

ABOVE: dict[str, tuple[Record, ...]] = {"none": (), "one": (VOLUME,), "two": (VOLUME, FONDS)}
HELD: dict[str, Holdings | None] = {
    "not open": None,
    "0": listed(),
    "1": listed(a_file(1)),
    "1000": listed(*(a_file(number) for number in range(1000))),
    "1001": Holdings(1001, 4_000_000_000, {"fmt/43": 1000, "unknown": 1}, ()),
}


@pytest.mark.parametrize("prefix", FORMATS)
@pytest.mark.parametrize("holdings", HELD.values(), ids=HELD)
@pytest.mark.parametrize("above", ABOVE.values(), ids=ABOVE)
def test_each_format_obeys_its_schema(prefix: str, above: tuple[Record, ...], holdings: Holdings | None) -> None:
    for one in (PHOTO, EMPTY, FONDS, record(5, *every_term())):
        root = given_as(prefix, shown(one, above, holdings))
        assert one.id in etree.tostring(root, encoding="unicode")


@pytest.mark.parametrize("prefix", FORMATS)
def test_the_judges_here_say_no(prefix: str) -> None:
    told = FORMATS[prefix].render(shown(PHOTO, (VOLUME,), listed(a_file(1))))
    broken = {
        "oai_dc": ("dc:title", "dc:caption"), "oai_qdc": ("dcterms:created", "dcterms:taken"),
        "ead3": ("unittitle", "caption"), "mets": ("structMap", "plan"), "premis": ("originalName", "name"),
    }  # fmt: skip
    assert broken[prefix][0] in told
    with pytest.raises((AssertionError, etree.DocumentInvalid)):
        judge(prefix, etree.fromstring(told.replace(*broken[prefix])))


def test_dublin_core_names_what_the_record_is_part_of() -> None:
    assert texts(given_as("oai_dc", shown(PHOTO, (VOLUME, FONDS))), DC + "relation") == [VOLUME.id]
    assert texts(given_as("oai_dc", shown(PHOTO)), DC + "relation") == []


def test_dublin_core_says_only_what_the_fifteen_can() -> None:
    """What a sheet calls provenance is no element of the fifteen."""
    root = given_as("oai_dc", shown(record(1, Element("isadg.archival_history", "原存文化馆"))))
    assert [one.tag for one in root] == [DC + "identifier"]


def test_qualified_dublin_core_keeps_refinements_languages_and_schemes() -> None:
    root = given_as("oai_qdc", shown(PHOTO, (VOLUME, FONDS)))
    told: dict[tuple[str, str | None], dict[str, str]] = {
        (etree.QName(one).localname, one.text): {str(name): str(value) for name, value in one.attrib.items()}
        for one in root
    }
    scheme = XSI + "type"
    assert told == {
        ("identifier", "Z109-1"): {},
        ("title", "开幕式 <&> \"'"): {},
        ("title", "Opening"): {"{http://www.w3.org/XML/1998/namespace}lang": "en"},
        ("date", "2021-08-30"): {scheme: "dcterms:W3CDTF"},
        ("created", "2021年8月30日"): {},
        ("extent", "12张"): {},
        ("provenance", "原存文化馆"): {},
        ("subject", "文化节"): {scheme: "dcterms:LCSH"},
        ("isPartOf", VOLUME.id): {scheme: "dcterms:URI"},
        ("identifier", PHOTO.id): {scheme: "dcterms:URI"},
    }


@pytest.mark.parametrize("value", ["2021-02-30", "0000", "2021-13", "约2021", "2021/2022", "20210830", "2021-8-3"])
def test_only_a_date_of_w3cdtf_is_said_to_be_one(value: str) -> None:
    root = given_as("oai_qdc", shown(record(1, Element("dc.date", value))))
    (date,) = root.iter(DC + "date")
    assert (date.text, date.get(XSI + "type")) == (value, None)


def test_a_heading_that_only_looks_like_a_term_of_dcmi_is_none() -> None:
    root = given_as("oai_qdc", shown(record(1, Element("dcterms.taken", "x"), Element("dcterms.a b<c", "y"))))
    assert [one.tag for one in root] == [DC + "identifier"]


def test_ead_has_the_record_and_the_nodes_above_it_and_names_nobody() -> None:
    root = given_as("ead3", shown(PHOTO, (VOLUME, FONDS), listed(a_file(1, "机密.jpg"))))
    (top,) = root.iter(EAD + "archdesc")
    assert top.get("level") == "item"
    assert not list(root.iter(EAD + "c", EAD + "dsc", EAD + "dao"))
    assert [one.get("href") for one in root.iter(EAD + "relation")] == [VOLUME.id, FONDS.id]
    assert texts(root, EAD + "relationentry") == ["文化节照片 <&>", "Z109", "文旅局"]
    assert texts(root, EAD + "agent") == ["lantai"]
    told = etree.tostring(root, encoding="unicode")
    assert "其他" in told
    assert "公开" in told
    assert "王芳" not in told
    assert "机密" not in told


def test_mets_lists_own_files_without_a_place() -> None:
    files = a_file(1, "照片/开幕式 <&>.jpg"), a_file(2, "b\x01\udcff.jpg", puid=None, size=7)
    root = given_as("mets", shown(PHOTO, (VOLUME,), listed(*files)))
    assert [(one.get("MIMETYPE"), one.get("SIZE"), one.get("CHECKSUM")) for one in root.iter(METS + "file")] == [
        ("image/jpeg", "3", f"{1:064x}"), ("application/octet-stream", "7", f"{2:064x}"),
    ]  # fmt: skip
    names = {
        one.get("LABEL"): one[0].get("FILEID") for one in root.iter(METS + "div") if one.get("TYPE") == "file"
    }  # fmt: skip
    assert names == {"照片/开幕式 <&>.jpg": f"uuid-{uuid(1)}", "b\\x01\\xff.jpg": f"uuid-{uuid(2)}"}
    assert {one.get("ID") for one in root.iter(METS + "file")} == set(names.values())
    assert not list(root.iter(METS + "FLocat"))
    assert texts(root, DC + "relation") == [VOLUME.id]
    assert [(one.get("MDTYPE"), one.get(XLINK + "href")) for one in root.iter(METS + "mdRef")] == [
        (kind, f"https://example.org/oai?verb=GetRecord&metadataPrefix={prefix}&identifier=oai:example.org:{uuid(1)}")
        for kind, prefix in (("EAD", "ead3"), ("PREMIS", "premis"))
    ]
    (header,) = root.iter(METS + "metsHdr")
    assert header.get("LASTMODDATE") == "2023-11-14T22:13:20Z"


def test_premis_tells_of_each_file_its_size_digests_format_and_name() -> None:
    root = given_as("premis", shown(PHOTO, (VOLUME,), listed(a_file(1, "a.jpg"), a_file(2, "b\x01.dat", puid=None))))
    entity, first, second = root.iter(PREMIS + "object")
    assert [one.get(XSI + "type") for one in (entity, first, second)] == ["intellectualEntity", "file", "file"]
    assert texts(entity, PREMIS + "objectIdentifierValue") == [PHOTO.id, f"oai:example.org:{uuid(1)}"]
    assert texts(entity, PREMIS + "relatedObjectIdentifierValue") == [VOLUME.id]
    assert texts(first, PREMIS + "messageDigestAlgorithm") == ["SHA-256", "MD5"]
    assert texts(first, PREMIS + "messageDigest") == [f"{1:064x}", f"{1:032x}"]
    assert texts(first, PREMIS + "size") == ["3"]
    assert texts(first, PREMIS + "formatRegistryKey") == ["fmt/43"]
    assert texts(first, PREMIS + "originalName") == ["a.jpg"]
    assert texts(second, PREMIS + "formatName") == ["unknown"]
    assert texts(second, PREMIS + "originalName") == ["b%01.dat"]
    assert not list(root.iter(PREMIS + "event", PREMIS + "agent", PREMIS + "rights", PREMIS + "storage"))


FILES = f"https://example.org/oai/files?identifier=oai:example.org:{uuid(1)}"


def test_premis_tells_only_counts_of_many_files_and_where_they_are_listed() -> None:
    root = given_as("premis", shown(PHOTO, (), HELD["1001"]))
    types, values = (texts(root, PREMIS + "significantProperties" + one) for one in ("Type", "Value"))
    said = dict(zip(types, values, strict=True))
    assert (said["files"], said["bytes"]) == ("1001", "4000000000")
    assert {"fmt/43: 1000", "unknown: 1"} <= set(texts(root, PREMIS + "significantPropertiesValue"))
    assert said["files are listed at"] == FILES
    assert texts(root, PREMIS + "size") == []
    listed = given_as("premis", shown(PHOTO, (), HELD["1000"]))
    assert len(texts(listed, PREMIS + "size")) == 1000
    assert "files are listed at" not in texts(listed, PREMIS + "significantPropertiesType")


def test_mets_tells_only_counts_of_many_files_and_where_they_are_listed() -> None:
    root = given_as("mets", shown(PHOTO, (), HELD["1001"]))
    assert [(one.get("TYPE"), one.get("LABEL")) for one in root.iter(METS + "div")][1:] == [
        ("files", "1001 files, 4000000000 bytes"), ("format", "fmt/43: 1000 files"), ("format", "unknown: 1 files"),
    ]  # fmt: skip
    assert not list(root.iter(METS + "fileSec"))
    (counted,) = (one for one in root.iter(METS + "div") if one.get("TYPE") == "files")
    (section,) = (one for one in root.iter(METS + "techMD") if one.get("ID") == counted.get("ADMID"))
    assert [(one.get(XLINK + "href"), one.get("MIMETYPE")) for one in section] == [(FILES, "application/x-ndjson")]
    listed = given_as("mets", shown(PHOTO, (), HELD["1000"]))
    assert len(list(listed.iter(METS + "file"))) == 1000
    assert FILES not in [one.get(XLINK + "href") for one in listed.iter(METS + "mdRef")]


def test_files_are_listed_below_the_address_that_harvesters_reach() -> None:
    one = replace(shown(PHOTO), base_url="https://archive.example.org/oai/")
    assert one.all_files == f"https://archive.example.org/oai/files?identifier=oai:example.org:{uuid(1)}"


@pytest.mark.parametrize("prefix", ["mets", "premis"])
def test_of_files_that_are_not_open_nothing_is_told(prefix: str) -> None:
    root = given_as(prefix, shown(PHOTO))
    assert not list(root.iter(METS + "file", METS + "fileSec", PREMIS + "size"))
    assert "files" not in texts(root, PREMIS + "significantPropertiesType")


ANY = st.text(st.characters(), max_size=20)
"""Whatever Python can hold, lone surrogates and what XML cannot carry included."""
LANGUAGES = st.sampled_from([None, "en", "zh-Hans"])
ELEMENTS = st.builds(Element, st.sampled_from(sorted(terms())) | ANY, ANY, LANGUAGES, st.none() | ANY)


NAMES = st.binary(min_size=1, max_size=20).map(lambda name: name.decode("utf-8", "surrogateescape"))
"""Of files: bytes, which need not be text."""


@given(st.lists(ELEMENTS, max_size=5), ANY, NAMES, ANY)
@settings(deadline=None)
def test_whatever_a_description_says_each_format_is_valid(
    elements: list[Element], title: str, name: str, agency: str
) -> None:
    above = record(2, Element("dc.title", title), Element("isadg.reference_code", title or "x"), level="series")
    one = replace(shown(record(1, *elements), (above,), listed(a_file(1, name))), agency=agency)
    for prefix in FORMATS:
        given_as(prefix, one)


# Formats that others bring.

BOX = Given("box", "https://example.org/box.xsd", "urn:example:box", lambda what: '<box xmlns="urn:example:box"/>')


def test_another_format_joins() -> None:
    assert [*joined([("box = a:b", BOX)])] == [*FORMATS, "box"]


@pytest.mark.parametrize(
    "change",
    [
        {"prefix": "oai_dc"}, {"prefix": ""}, {"prefix": "a b"}, {"prefix": "中"}, {"prefix": "a\n"}, {"prefix": "a/b"},
        {"schema": "box.xsd"}, {"schema": "ftp://example.org/box.xsd"}, {"schema": "https://example.org/a b"},
        {"schema": ""}, {"namespace": ""}, {"namespace": "box"}, {"namespace": "urn:a<b"}, {"namespace": "urn:a b"},
        {"namespace": "http://www.openarchives.org/OAI/2.0/"},
    ],
)  # fmt: skip
def test_one_that_harvesters_could_not_be_given_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        joined([("box = a:b", replace(BOX, **change))])
    assert refused.value.subject == "box = a:b"


def test_two_that_clash_are_refused() -> None:
    with pytest.raises(UsageError) as refused:
        joined([("one = a:b", BOX), ("two = c:d", BOX)])
    assert refused.value.subject == "two = c:d"


def bring(monkeypatch: pytest.MonkeyPatch, made: object) -> Mapping[str, Given]:
    """The formats there are with what an installed package brings."""

    class Point(EntryPoint):
        def load(self) -> Any:
            return made

    monkeypatch.setattr(plugins, "entry_points", lambda group: [Point("box", "a:b", group)])
    return plugins.formats()


def installed(place: Path, version: str) -> EntryPoint:
    """Of a distribution as pip leaves it."""
    info = place / f"box-{version}" / f"box_format-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: box-format\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("[lantai.oai.formats]\nbox = a:b\n")
    [point] = Distribution.at(info).entry_points
    return point


def test_a_format_has_the_version_that_it_says_or_that_of_the_package_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def brought(version: str, said: str) -> str:
        point = installed(tmp_path / f"says-{said}", version)
        monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
        monkeypatch.setattr(EntryPoint, "load", lambda _point: lambda: replace(BOX, version=said))
        return crosswalk(plugins.formats())

    first, second = brought("1.0", ""), brought("1.0.1+x", "")
    assert (first != second, "1.0.1" in second) == (True, True)
    assert brought("1.0", "2021") == brought("2.0", "2021")
    assert brought("3.0", "2022") not in (brought("4.0", "2021"), brought("3.0", ""))
    assert bring(monkeypatch, lambda: BOX)["box"].version == ""


def fail() -> Iterator[None]:
    raise OSError("no such thing")


@pytest.mark.parametrize("made", [None, lambda: None, lambda: "box", fail, lambda one: BOX])
def test_what_is_no_format_is_refused(monkeypatch: pytest.MonkeyPatch, made: object) -> None:
    with pytest.raises(UsageError) as refused:
        bring(monkeypatch, made)
    assert refused.value.subject == "box = a:b"


@pytest.mark.parametrize(
    "told",
    [
        "", "text", "<box>", "<box/>", '<b:box xmlns:b="urn:other"/>', '<box xmlns="urn:example:box">\x00</box>',
        '<b:box xmlns:b="urn:example:box"><inner/></b:box>', '<box xmlns="urn:example:box"/><box/>',
        '<!DOCTYPE box [<!ENTITY a "b">]><box xmlns="urn:example:box">&a;</box>',
        '<box xmlns="urn:example:box"/></metadata></record><record>', '<?xml version="1.0" encoding="UTF-8"?><box/>',
    ],
)  # fmt: skip
def test_what_is_not_one_element_of_its_namespace_fails(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    form = bring(monkeypatch, lambda: replace(BOX, render=lambda what: told))["box"]
    with pytest.raises((ValueError, etree.XMLSyntaxError)):
        form.render(shown(PHOTO))


def test_only_the_element_itself_stands_in_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    told = '<?xml version="1.0"?><!-- a --><box xmlns="urn:example:box">中<!-- b --></box><!-- c -->'
    form = bring(monkeypatch, lambda: replace(BOX, render=lambda what: told))["box"]
    assert form.render(shown(PHOTO)) == '<box xmlns="urn:example:box">中<!-- b --></box>'


def test_the_example_of_the_documentation_is_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "oai-formats.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    module: dict[str, Any] = {}
    exec(code, module)
    form = bring(monkeypatch, module["box"])["box"]
    told = etree.fromstring(form.render(shown(PHOTO, (), listed(a_file(1, "照片/<1>.jpg")))))
    assert [one.text for one in told] == ["开幕式 <&> \"'", "照片/<1>.jpg"]
    assert [one.text for one in etree.fromstring(form.render(shown(PHOTO)))] == ["开幕式 <&> \"'"]


def test_the_documentation_has_every_format() -> None:
    page = (ROOT / "docs" / "oai-formats.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \| \[.*?\]\((.*?)\)", page, re.MULTILINE) == [
        (one.prefix, one.schema) for one in FORMATS.values()
    ]
