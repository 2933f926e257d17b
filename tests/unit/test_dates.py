"""What dates mean, as people in archives write them."""

from __future__ import annotations

import warnings
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.metadata.dates import parse
from lantai.metadata.extents import DIGITS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the library warns when it is imported
    from edtf import parse_edtf

DAYS = st.dates(min_value=date(1000, 1, 1), max_value=date(2999, 12, 31))


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("2021-09-18", "2021-09-18", "2021-09-18"),
        ("2021-09-18T23:30:00Z", "2021-09-18", "2021-09-18"),
        ("2021年9月18日", "2021-09-18", "2021-09-18"),
        ("２０２１年９月１８日", "2021-09-18", "2021-09-18"),
        ("2021年9月18日（星期六）", "2021-09-18", "2021-09-18"),
        ("2021年9月18日上午10时", "2021-09-18", "2021-09-18"),
        ("二〇二一年九月十八日", "2021-09-18", "2021-09-18"),
        ("一九四九年十月", "1949-10-01", "1949-10-31"),
        ("二○○八年二月二十九日", "2008-02-29", "2008-02-29"),
        ("2021.9", "2021-09-01", "2021-09-30"),
        ("2021/9/8", "2021-09-08", "2021-09-08"),
        ("20210918", "2021-09-18", "2021-09-18"),
        ("2021", "2021-01-01", "2021-12-31"),
        ("2021年度", "2021-01-01", "2021-12-31"),
        ("18 September 2021", "2021-09-18", "2021-09-18"),
        ("September 18, 2021", "2021-09-18", "2021-09-18"),
        ("Feb. 1990", "1990-02-01", "1990-02-28"),
        ("2021年第三季度", "2021-07-01", "2021-09-30"),
        ("2021年上半年", "2021-01-01", "2021-06-30"),
        ("2020年2月下旬", "2020-02-21", "2020-02-29"),
        ("2021-09-18; 2021-09-20", "2021-09-18", "2021-09-20"),
    ],
)
def test_an_exact_date(text: str, earliest: str, latest: str) -> None:
    span = parse(text)
    assert (str(span.earliest), str(span.latest), span.approximate) == (earliest, latest, False)
    assert span.text == text


@pytest.mark.parametrize(
    ("text", "edtf"),
    [
        ("2021年9月—10月", "2021-09/2021-10"),
        ("2021年5-9月", "2021-05/2021-09"),
        ("2021年9月1日至5日", "2021-09-01/2021-09-05"),
        ("2021年12月30日—2022年1月2日", "2021-12-30/2022-01-02"),
        ("2021-09-18/2021-09-20", "2021-09-18/2021-09-20"),
        ("2021-09-18 to 2021-09-20", "2021-09-18/2021-09-20"),
        ("20210918-20210920", "2021-09-18/2021-09-20"),
        ("1949.10.1—1949.10.3", "1949-10-01/1949-10-03"),
        ("2021.9-10", "2021-09/2021-10"),
        ("1921-1949", "1921/1949"),
        ("1958～1962", "1958/1962"),
        ("1958-62", "1958/1962"),
        ("二〇〇八至二〇一〇年", "2008/2010"),
        ("民国10年至15年", "1921/1926"),
        ("../1949", "../1949"),
        ("1921-12", "1921-12"),  # ISO 8601 before abbreviation
    ],
)
def test_a_range_in_edtf(text: str, edtf: str) -> None:
    span = parse(text)
    assert (span.edtf, span.approximate) == (edtf, False)


@pytest.mark.parametrize(
    ("text", "earliest", "latest", "edtf"),
    [
        ("约1950年", "1950-01-01", "1950-12-31", "1950~"),
        ("circa 1950", "1950-01-01", "1950-12-31", "1950~"),
        ("ca. 1950-1955", "1950-01-01", "1955-12-31", "1950~/1955~"),
        ("[1950]", "1950-01-01", "1950-12-31", "1950~"),
        ("1950?", "1950-01-01", "1950-12-31", "1950?"),
        ("1950年前后", "1950-01-01", "1950-12-31", "1950~"),
        ("1950s", "1950-01-01", "1959-12-31", "195X"),
        ("五十年代", "1950-01-01", "1959-12-31", "195X"),
        ("20世纪60年代", "1960-01-01", "1969-12-31", "196X"),
        ("二十世纪二十年代", "1920-01-01", "1929-12-31", "192X"),
        ("19世纪", "1801-01-01", "1900-12-31", "1801/1900"),
        ("1949年以前", "None", "1949-12-31", "../1949"),
        ("after 1949", "1949-01-01", "None", "1949/.."),
        ("2021年冬", "2021-12-01", "2022-02-28", "2021-24"),
        ("光绪三十年", "1904-01-01", "1904-12-31", "1904~"),
        ("光绪三十年三月初五", "1904-01-01", "1904-12-31", "1904~"),
        ("宣統元年", "1909-01-01", "1909-12-31", "1909~"),
    ],
)
def test_an_approximate_date(text: str, earliest: str, latest: str, edtf: str) -> None:
    span = parse(text)
    assert (str(span.earliest), str(span.latest), span.edtf, span.approximate) == (earliest, latest, edtf, True)


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("民国元年", "1912-01-01", "1912-12-31"),
        ("民国十年三月", "1921-03-01", "1921-03-31"),
        ("中华民国三十八年十月一日", "1949-10-01", "1949-10-01"),
        ("民国九年（1920年）", "1920-01-01", "1920-12-31"),
        ("1920年（民国九年）", "1920-01-01", "1920-12-31"),
        ("康德三年", "1936-01-01", "1936-12-31"),
    ],
)
def test_a_solar_era_is_exact(text: str, earliest: str, latest: str) -> None:
    span = parse(text)
    assert (str(span.earliest), str(span.latest), span.approximate) == (earliest, latest, False)


@pytest.mark.parametrize(
    "text",
    ["", "不详", "n.d.", "2021-02-30", "2021年13月", "2021-10/2021-09", "光绪四十年", "20年代", "44457", "9/18", "十月",
     "0000", "10000年", "/", "~", "[]", "一" * 300],
)  # fmt: skip
def test_what_says_no_date_stays_text(text: str) -> None:
    span = parse(text)
    assert (span.text, span.earliest, span.latest, span.edtf) == (text, None, None, None)


def chinese(number: int) -> str:
    if number < 10:
        return DIGITS[number + 2]
    tens, ones = divmod(number, 10)
    return (DIGITS[tens + 2] if tens > 1 else "") + "十" + (DIGITS[ones + 2] if ones else "")


@given(DAYS)
def test_a_day_means_the_same_in_every_writing(day: date) -> None:
    year = "".join(DIGITS[int(c) + 2] for c in str(day.year)).replace("零", "〇")
    writings = [
        day.isoformat(),
        f"{day.year}年{day.month}月{day.day}日",
        f"{day.year}.{day.month}.{day.day}",
        f"{day.year}/{day.month}/{day.day}",
        f"{year}年{chinese(day.month)}月{chinese(day.day)}日",
        f"{day.day} {day:%B} {day.year}",
        f"{day:%b} {day.day}, {day.year}",
        *([f"民国{chinese(day.year - 1911)}年{day.month}月{day.day}日"] if 1912 <= day.year < 2010 else []),
    ]
    assert {(s.earliest, s.latest, s.edtf) for s in map(parse, writings)} == {(day, day, day.isoformat())}


@given(st.tuples(DAYS, DAYS).map(sorted), st.sampled_from(["/", "—", "至", " - ", "～", "–", " to ", "--"]))
def test_a_range_is_from_its_first_day_to_its_last(days: list[date], mark: str) -> None:
    span = parse(mark.join(day.isoformat() for day in days))
    assert [span.earliest, span.latest] == days


YEAR = st.integers(1000, 2999).map(str)
MONTH = st.builds("{}-{:02}".format, YEAR, st.integers(1, 12))
UNQUALIFIED = YEAR | MONTH | DAYS.map(date.isoformat)
QUALIFIED = st.builds("{}{}".format, UNQUALIFIED, st.sampled_from(["", "~", "?", "%"]))
UNSPECIFIED = st.builds("{}X".format, st.integers(100, 299)) | st.builds("{}XX".format, st.integers(10, 29))
SEASON = st.builds("{}-{}".format, YEAR, st.sampled_from([21, 22, 23, 33, 34, 35, 36]))


@given(QUALIFIED | UNSPECIFIED | SEASON | MONTH.map("{}-XX".format) | YEAR.map("{}-XX".format))
def test_edtf_means_what_the_edtf_library_says(text: str) -> None:
    span, theirs = parse(text), parse_edtf(text)
    assert span.earliest == date(*theirs.lower_strict()[:3])
    assert span.latest == date(*theirs.upper_strict()[:3])
    assert span.edtf == text


@given(st.text() | st.text("0123456789年月日-—~/.约[]?世纪代十二〇民国光绪至前 XT:", max_size=24))
def test_any_text_is_kept_and_never_runs_backwards(text: str) -> None:
    span = parse(text)
    assert span.text == text
    if span.earliest is not None and span.latest is not None:
        assert span.earliest <= span.latest
    assert (span.edtf is None) == (span.earliest is None and span.latest is None)


def test_earlier_texts_mean_earlier_days() -> None:
    texts = ["光绪三十四年", "宣统三年", "民国元年", "1920s", "1949年10月1日", "五十年代", "1966.5", "2021"]
    starts = [span.earliest for span in map(parse, texts) if span.earliest is not None]
    assert len(starts) == len(texts)
    assert all(one < next for one, next in pairwise(starts))
