"""How much there is, as people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.metadata.extents import numeral, parse


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3卷 45件 120张", [(3, "卷"), (45, "件"), (120, "张")]),
        ("三卷四十五件", [(3, "卷"), (45, "件")]),
        ("12 页", [(12, "页")]),
        ("约１２页", [(12, "页")]),
        ("1,024 字节", [(1024, "字节")]),
        ("3.5万字节", [(35000, "字节")]),
        ("2 GB", [(2, "GB")]),
        ("两盒", [(2, "盒")]),
        ("3.5 linear metres", [(3.5, "linear metres")]),
        ("12 volumes and 3 items", [(12, "volumes"), (3, "items")]),
        ("5分30秒", [(5.5, "分钟")]),
        ("1小时5分", [(65, "分钟")]),
        ("1 h 30 min", [(90, "分钟")]),
        ("00:05:30", [(5.5, "分钟")]),
        ("照片12张，录像2小时30分钟", [(12, "张"), (150, "分钟")]),
        ("10分钟，20分钟", [(10, "分钟"), (20, "分钟")]),
        ("第3卷", []),
        ("210×297mm", []),
        ("3-5卷", []),
        ("若干", []),
        ("", []),
        ("1" * 400 + "页", []),
    ],
)
def test_numbers_and_units(text: str, found: list[tuple[float, str]]) -> None:
    assert [(extent.number, extent.unit) for extent in parse(text)] == found


def test_a_bare_number_counts_what_its_column_counts() -> None:
    assert [(extent.number, extent.unit) for extent in parse("十二", "页")] == [(12, "页")]
    assert parse("12") == ()


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("十", 10), ("十二", 12), ("廿五", 25), ("二〇二一", 2021), ("一百零五", 105), ("三万五千", 35000),
     ("二亿", 200_000_000), ("元", 1), ("三x", None), ("x", None)],
)  # fmt: skip
def test_numerals(text: str, number: int | None) -> None:
    assert numeral(text) == number


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.sampled_from("卷件张页册盒")), max_size=5),
    st.sampled_from([" ", "", "，"]),
)
def test_what_is_written_is_read(pairs: list[tuple[int, str]], between: str) -> None:
    text = between.join(f"{number}{unit}" for number, unit in pairs)
    assert [(extent.number, extent.unit) for extent in parse(text)] == pairs


@given(st.text() | st.text("0123456789.,:卷页分秒十百千万亿x ", max_size=20))
def test_any_text_gives_finite_amounts(text: str) -> None:
    assert all(0 <= extent.number < float("inf") and extent.unit for extent in parse(text, "页"))
