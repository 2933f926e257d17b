"""Rows become records, each in its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.ingest.describe import Described, describe, for_each, outside, to_csv
from lantai.ingest.sheet import Row, Sheet, read_sheet
from lantai.metadata.elements import canonical, description
from lantai.model import Element, Level, PackageId, Place, Record, RecordId

PACKAGE = PackageId("urn:uuid:00000000-0000-7000-8000-000000000001")
FILES = ("通知.pdf", "照片", "照片/开幕.jpg", "照片/闭幕.jpg", "照片/花絮/1.jpg", "照片/花絮", "objects/x.txt", "x.txt")


def title(text: str) -> Element:
    return Element("dc.title", text)


def sheet(*rows: tuple[str, str], name: str = "metadata.csv", level: Level | None = None) -> Sheet:
    return Sheet(name, tuple(Row(path, level, (title(text),), at) for at, (path, text) in enumerate(rows, 2)))


def described(
    *sheets: Sheet,
    files: Iterable[str] = FILES,
    title: str | None = None,
    submission: str = "秋祭",
    known: tuple[Sequence[Record], Sequence[Place]] | None = None,
) -> Described:
    there = set(files)
    numbers = iter(range(1000))
    made = describe(
        PACKAGE,
        sheets,
        find=lambda path: path if path in there else None,
        title=title,
        submission=submission,
        new_id=lambda: RecordId(f"urn:uuid:part-{'known' if known is None else 'new'}-{next(numbers)}"),
        known=known,
    )
    # Holds for every description: one place for each record, in its order, and parents before their parts.
    assert [place.record for place in made.places] == [record.id for record in made.records]
    seen: set[RecordId | None] = {None}
    for place in made.places:
        assert place.parent in seen
        seen.add(place.record)
    return made


def by_path(made: Described) -> dict[str, Record]:
    return {"".join(record.paths): record for record in made.records}


def parents(made: Described) -> dict[str, str | None]:
    path = {record.id: "".join(record.paths) for record in made.records}
    return {path[place.record]: path[place.parent] if place.parent else None for place in made.places}


def codes(made: Described) -> list[str]:
    return [finding.code for finding in made.findings]


def test_without_sheets_the_root_alone_under_the_submissions_name() -> None:
    made = described()
    assert made.records == (Record(RecordId(PACKAGE), PACKAGE, description("file", [title("秋祭")])),)
    assert made.places == (Place(RecordId(PACKAGE), "fonds", None, 0, None),)


def test_control_characters_of_a_title_are_left_out_and_told() -> None:
    made = described(title="标\x0b题")
    assert made.records[0].description.title == "标题"
    assert [(one.code, one.subject, one.fatal) for one in made.findings] == [("title-characters", "秋祭", False)]
    assert codes(described(title=" 标\t题 ")) == []


def test_the_title_is_the_option_else_the_sheets_else_the_name() -> None:
    whole = sheet(("", "秋祭大典"))
    assert described(whole, title="别名").records[0].description.values("dc.title") == ("别名",)
    assert described(whole).records[0].description.title == "秋祭大典"
    assert described(sheet(("x.txt", "甲"))).records[0].description.title == "秋祭"


def test_parts_stand_under_the_nearest_described_folder_in_the_order_of_their_rows() -> None:
    made = described(
        sheet(
            ("照片/闭幕.jpg", "丙"),
            ("通知.pdf", "甲"),
            ("照片/花絮/1.jpg", "丁"),
            ("照片", "乙"),
            ("照片/开幕.jpg", "戊"),
        )
    )
    assert parents(made) == {
        "": None, "通知.pdf": "", "照片": "", "照片/闭幕.jpg": "照片", "照片/花絮/1.jpg": "照片",
        "照片/开幕.jpg": "照片",
    }  # fmt: skip
    assert [record.description.title for record in made.records] == ["秋祭", "甲", "乙", "丙", "丁", "戊"]
    assert [place.position for place in made.places] == [0, 0, 1, 0, 1, 2]
    assert made.findings == ()


def test_levels_are_one_above_the_highest_part_unless_stated() -> None:
    flat = described(sheet(("通知.pdf", "甲")))
    assert [record.description.level for record in flat.records] == ["file", "item"]
    nested = by_path(described(sheet(("照片", "乙"), ("照片/开幕.jpg", "戊"))))
    assert {path: record.description.level for path, record in nested.items()} == {
        "": "series", "照片": "file", "照片/开幕.jpg": "item",
    }  # fmt: skip
    stated = described(sheet(("", "全宗"), ("照片", "乙"), level="item"))
    assert [record.description.level for record in stated.records] == ["item", "item"]


def test_the_highest_part_counts() -> None:
    rows = (Row("照片", "file", (title("甲"),), 2), Row("x.txt", None, (title("乙"),), 3))
    assert [record.description.level for record in described(Sheet("m.csv", rows)).records] == [
        "series",
        "file",
        "item",
    ]


def test_reference_codes_stand_in_the_place_and_in_the_description() -> None:
    code = "Z109-WS·2021-Y-BGS-0001"
    row = Row("x.txt", None, (title("甲"), Element("isadg.reference_code", code)), 2)
    made = described(Sheet("m.csv", (row,)))
    assert made.places[1].reference_code == made.records[1].description.first("isadg.reference_code") == code


@pytest.mark.parametrize(
    "name",
    [
        "照片/开幕.jpg",
        "./照片/开幕.jpg",
        "objects/照片/开幕.jpg",
        "照片\\开幕.jpg",
        "秋祭/照片/开幕.jpg",
        " 照片/开幕.jpg ",
    ],
)
def test_names_as_people_write_them(name: str) -> None:
    made = described(sheet((name, "甲")))
    assert (made.findings, made.records[1].paths) == ((), ("照片/开幕.jpg",))


def test_a_folder_objects_that_is_there_comes_first() -> None:
    made = described(sheet(("objects/x.txt", "甲"), ("x.txt", "乙")))
    assert [record.paths for record in made.records[1:]] == [("objects/x.txt",), ("x.txt",)]


@pytest.mark.parametrize(("there", "said"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_either_unicode_form(there: Literal["NFC", "NFD"], said: Literal["NFC", "NFD"]) -> None:
    in_folder, in_sheet = (normalize(form, "Café.txt") for form in (there, said))
    made = described(sheet((in_sheet, "甲")), files=[in_folder])
    assert (made.findings, made.records[1].paths) == ((), (in_folder,))


def test_the_submissions_own_name_is_the_whole() -> None:
    made = described(sheet(("秋祭/", "大典")))
    assert (len(made.records), made.records[0].description.title) == (1, "大典")


def test_a_file_that_is_not_there_is_refused_by_name_and_row() -> None:
    made = described(sheet(("x.txt", "甲"), ("没有.txt", "乙")))
    (finding,) = made.findings
    assert (finding.code, finding.subject, finding.fatal) == ("sheet-file-missing", "metadata.csv", True)
    assert "没有.txt" in finding.message
    assert "3" in finding.message


def test_two_names_of_one_file_in_one_sheet_are_refused() -> None:
    assert codes(described(sheet(("照片", "甲"), ("秋祭/照片", "乙")))) == ["sheet-duplicate"]


def test_several_sheets_add_up() -> None:
    first = sheet(("", "秋祭"), ("x.txt", "甲"))
    row = Row("x.txt", "file", (title("甲"), Element("dc.creator", "张三")), 2)
    made = described(first, Sheet("dc.xml", (Row("", None, (title("秋祭"), Element("dc.date", "2021"))), row)))
    assert made.records[0].description.elements == (title("秋祭"), Element("dc.date", "2021"))
    part = by_path(made)["x.txt"].description
    assert (part.level, part.elements) == ("file", (title("甲"), Element("dc.creator", "张三")))
    assert [(finding.code, finding.fatal) for finding in made.findings] == [("sheet-overlap", False)]


def test_findings_of_the_sheets_come_along() -> None:
    assert codes(described(read_sheet("m.csv", "文件名,题名\nx.txt,甲\n".encode("gb18030")))) == ["sheet-not-utf8"]


def test_a_date_that_cannot_be_read_is_told_and_kept() -> None:
    rows = (
        Row("x.txt", None, (Element("dc.date", "去年秋天"),), 2),
        Row("通知.pdf", None, (Element("dc.date", "不详"),), 3),
    )
    made = described(Sheet("m.csv", rows))
    assert codes(made) == ["sheet-date-unread"]
    assert made.records[1].description.dates[0].text == "去年秋天"


def test_an_update_replaces_what_the_sheets_name_and_keeps_the_rest() -> None:
    before = described(sheet(("", "秋祭大典"), ("通知.pdf", "甲"), ("x.txt", "乙")))
    after = described(sheet(("x.txt", "丙"), ("照片", "新")), known=(before.records, before.places))
    old, new = by_path(before), by_path(after)
    assert (new[""], new["通知.pdf"]) == (old[""], old["通知.pdf"])
    assert new["x.txt"].id == old["x.txt"].id
    assert new["x.txt"].description.elements == (title("丙"),)
    assert new["照片"].id not in {record.id for record in before.records}
    assert after.findings == ()


def test_an_update_keeps_the_terms_that_its_sheet_says_nothing_of() -> None:
    creator, old = Element("dc.creator", "云岭县文化和旅游局"), Element("dc.subject", "文化节")
    before = described(Sheet("m.csv", (Row("", None, (title("甲"), creator, old), 2),)))
    new = (Element("dc.subject", "庙会"), Element("dc.subject", "文化节"))
    after = described(
        Sheet("a.csv", (Row("", None, new[:1], 2),)), Sheet("b.csv", (Row("", None, new[1:], 2),)),
        known=(before.records, before.places),
    )  # fmt: skip
    assert after.records[0].description.elements == (title("甲"), creator, *new)


def test_a_part_that_moved_is_known_by_its_reference_code() -> None:
    code = Element("isadg.reference_code", "A-1")
    before = described(Sheet("m.csv", (Row("x.txt", None, (title("甲"), code), 2),)))
    after = described(
        Sheet("m.csv", (Row("照片/开幕.jpg", None, (title("甲"), code), 2),)), known=(before.records, before.places)
    )
    assert len(after.records) == 2
    assert (after.records[1].id, after.records[1].paths) == (before.records[1].id, ("照片/开幕.jpg",))


def test_an_update_without_sheets_changes_nothing() -> None:
    before = described(sheet(("", "秋祭大典"), ("照片", "乙"), ("照片/开幕.jpg", "丙"), ("x.txt", "甲")))
    after = described(known=(before.records, before.places), submission="another name")
    assert (after.records, after.places) == (before.records, before.places)


def test_an_update_may_give_a_new_title_alone() -> None:
    before = described(sheet(("", "秋祭大典")))
    after = described(known=(before.records, before.places), title="新题名")
    assert after.records[0].description.values("dc.title") == ("新题名",)


def test_each_folder_gets_its_rows_of_a_common_sheet() -> None:
    common = sheet(("", "全部"), ("甲", "甲卷"), ("objects/甲/a.txt", "a"), ("乙/b.txt", "b"), ("丙", "丙卷"))
    assert [(row.filename, row.elements) for row in for_each(common, "甲").rows] == [
        ("", (title("甲卷"),)), ("a.txt", (title("a"),)),
    ]  # fmt: skip
    assert [row.filename for row in for_each(common, "乙").rows] == ["b.txt"]
    (finding,) = outside(common, ["甲", "乙"])
    assert (finding.code, finding.fatal) == ("sheet-file-missing", True)
    assert "丙" in finding.message


def test_canonical_order() -> None:
    given_order = [
        Element("乙", "1"),
        Element("dc.rights", "2"),
        Element("甲", "3"),
        title("4"),
        Element("乙", "5"),
        title("6"),
    ]
    assert [element.value for element in canonical(given_order)] == ["4", "6", "2", "1", "5", "3"]


def test_description_reads_dates_and_extents_off_the_elements() -> None:
    made = description(
        "file",
        [
            Element("页数", "12"),
            Element("isadg.extent", "3件"),
            Element("年度", "2020"),
            Element("dc.date", "2021-09-18"),
        ],
    )
    assert [(extent.number, extent.unit) for extent in made.extents] == [(3, "件"), (12, "页")]
    assert [span.text for span in made.dates] == ["2021-09-18"]
    assert [span.text for span in description("file", [Element("年度", "2020")]).dates] == ["2020"]


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1).map(
    lambda text: f"«{text}»"
)
ELEMENTS = st.builds(
    Element,
    st.sampled_from(["dc.title", "dc.creator", "isadg.extent", "保管期限", "备忘", "Format version"]),
    WORDS,
    st.sampled_from([None, "en", "zh-Hant"]),
    st.sampled_from([None, "LCSH", "t:W3CDTF"]),
)
ROWS = st.builds(
    Row, st.just(""), st.sampled_from([None, "file", "item"]), st.lists(ELEMENTS, min_size=1, max_size=6).map(tuple)
)


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_a_sheet_written_as_csv_reads_the_same(rows: list[Row]) -> None:
    named = tuple(Row(f"f{at}" if at else "", row.level, row.elements, at + 2) for at, row in enumerate(rows))
    again = read_sheet("metadata.csv", to_csv(Sheet("metadata.csv", named)))
    assert (again.rows, again.findings) == (named, ())
