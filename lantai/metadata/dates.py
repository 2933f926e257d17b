"""Dates: what a date as people write it means, in days. Pure.

Read here: ISO 8601 and EDTF (ISO 8601-2 levels 0 and 1, and sets of level 2), Chinese dates in either digits, the
Republic's years and the Qing's, English month names, ranges, decades and centuries, and the marks of what is only
approximate. The text is always kept; earliest and latest are None where it says no date that this module can read.
"""

from __future__ import annotations

import calendar
import csv
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, lru_cache
from importlib import resources

from ..model import DateSpan
from .extents import DIGITS, numeral

LONGEST = 200
"""Characters; a longer text is a story, and is not searched for dates."""

UNDATED = frozenset({"不详", "无", "无日期", "未知", "缺", "undated", "unknown", "n.d.", "nd", "s.d.", "-", "?"})
"""What people write where there is no date: not a date that could not be read."""


@dataclass(frozen=True, slots=True)
class _Span:
    """A span not yet told from its text. An end is None where it is open."""

    earliest: date | None
    latest: date | None
    edtf: str
    approximate: bool = False


@lru_cache(maxsize=4096)  # the files of one submission share few dates
def parse(text: str) -> DateSpan:
    """What text means: the first and the last day it can mean, both inclusive; never raises.

    approximate: circa, brackets, question marks, decades and centuries, and lunisolar years, of which only the Western
    year that holds most of them is told. A range open at one end has None there. edtf: the same in EDTF.
    """
    span = _read(text) if len(text) <= LONGEST else None
    if span is None:
        return DateSpan(text, None, None, False)
    return DateSpan(text, span.earliest, span.latest, span.approximate, span.edtf)


def _read(text: str) -> _Span | None:
    exact = unicodedata.normalize("NFKC", text).strip()
    if span := _edtf(exact):
        return span
    plain, approximate = _without_marks(exact)
    plain, lunisolar = _western(_arabic(plain))
    span = _natural(plain)
    if span is not None and (approximate or lunisolar) and not span.approximate:
        return replace(span, approximate=True, edtf=_qualified(span.edtf, "~"))
    return span


def _qualified(edtf: str, mark: str) -> str:
    """EDTF 8.2 puts the mark behind each date; an open end and a decade have none."""
    return "/".join(part + mark if part[-1:].isdigit() else part for part in edtf.split("/"))


# --- EDTF ---

_EDTF = re.compile(
    r"(?P<y>[0-9]{4}|[0-9]{3}X|[0-9]{2}XX)(?:-(?P<m>[0-9]{2}|XX)(?:-(?P<d>[0-9]{2}|XX))?)?(?P<q>[?~%])?"
    r"(?:[T ][0-9]{2}(?::?[0-9]{2}){0,2}(?:[.,][0-9]+)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
# Seasons (level 1), quarters and halves (level 2): first and last month. A winter ends in the next year's February.
_PARTS = {21: (3, 5), 22: (6, 8), 23: (9, 11), 24: (12, 14), 33: (1, 3), 34: (4, 6), 35: (7, 9), 36: (10, 12),
          40: (1, 6), 41: (7, 12)}  # fmt: skip


def _edtf(text: str) -> _Span | None:
    if text.count("/") == 1:
        left, right = text.split("/")
        start, end = (_edtf_end(side) for side in (left, right))
        return _range(start, end) if start is not None and end is not None else None
    return _edtf_date(text)


def _edtf_end(text: str) -> _Span | None:
    """One side of an interval: a date; nothing, which is unknown; two dots, which is open."""
    if text in ("", ".."):
        return _Span(None, None, text, approximate=text == "")
    return _edtf_date(text)


def _edtf_date(text: str) -> _Span | None:
    match = _EDTF.fullmatch(text)
    if match is None:
        return None
    year, month, day = match["y"], match["m"], match["d"]
    if "X" in year and month not in (None, "XX"):
        return None
    written = "-".join(part for part in (year, month, day) if part) + (match["q"] or "")
    vague = match["q"] is not None or "X" in written
    if month is not None and month.isdigit() and int(month) in _PARTS and day is None:
        return _months(int(year), *_PARTS[int(month)], written, approximate=vague or int(month) < 30)
    first, last = int(year.replace("X", "0")), int(year.replace("X", "9"))
    months = int(month) if month not in (None, "XX") else None
    if month == "XX" and day not in (None, "XX"):
        return None
    days = int(day) if day not in (None, "XX") else None
    start, end = _day(first, months or 1, days or 1), _last(last, months, days)
    return None if start is None or end is None else _Span(start, end, written, vague)


# --- Calendar arithmetic that answers None instead of raising ---


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _last(year: int, month: int | None, day: int | None) -> date | None:
    month = 12 if month is None else month
    if not (1 <= year <= 9999 and 1 <= month <= 12):
        return None
    return _day(year, month, calendar.monthrange(year, month)[1] if day is None else day)


def _months(year: int, first: int, last: int, edtf: str, *, approximate: bool) -> _Span | None:
    """first and last: months of the year, or of the next one where they are over 12."""
    start = _day(year, first, 1)
    end = _last(year + (last - 1) // 12, (last - 1) % 12 + 1, None)
    return None if start is None or end is None else _Span(start, end, edtf, approximate)


def _range(start: _Span, end: _Span) -> _Span | None:
    """From the first day of start to the last of end; None if that runs backwards or is open at both ends."""
    if start.earliest is None and end.latest is None:
        return None
    if start.earliest is not None and end.latest is not None and start.earliest > end.latest:
        return None
    return _Span(start.earliest, end.latest, f"{start.edtf}/{end.edtf}", start.approximate or end.approximate)


# --- What people write, made plain: Arabic digits, Western years, no marks ---

_MARKS = re.compile(
    r"^(?:大约|大概|约为|约|circa\b|approx\.?|about\b|around\b|ca?\.(?=\s*\d)|ca?(?=[\s\d]))\s*|"
    r"\s*(?:左右|前后|上下|许|\(\?\)|\?|~)$|[初末](?=$|\))|(?<=代)中期?$|(?<=[代纪])(?:早期|中期|晚期|前期|后期)$",
    re.IGNORECASE,
)
_NUMERALS = re.compile(rf"[{DIGITS}十廿卅元]+(?=个?(?:年|月|日|号|世纪|季度))|[{DIGITS}]{{4}}")


def _without_marks(text: str) -> tuple[str, bool]:
    """The text without brackets and marks of doubt, and whether it had any."""
    plain, marked = text, False
    if plain[:1] in ("[", "{") and plain[-1:] in ("]", "}"):
        marked, plain = plain[0] == "[", plain[1:-1].strip()
    while (shorter := _MARKS.sub("", plain).strip()) != plain:
        plain, marked = shorter, True
    plain = re.sub(r"\([^()]*\)", "", plain)  # a gloss: the weekday, or the same year by another era
    return plain.strip(), marked


def _arabic(text: str) -> str:
    return _NUMERALS.sub(lambda match: str(numeral(match[0])) if numeral(match[0]) is not None else match[0], text)


@dataclass(frozen=True, slots=True)
class _Era:
    first: int  # the Western year of its year 1
    years: int | None  # how many it had; None: it may go on
    solar: bool


@cache
def _eras() -> Mapping[str, _Era]:
    lines = resources.files(__package__).joinpath("eras.csv").read_text("utf-8").splitlines()
    return {
        name: _Era(int(row["first"]), int(row["last"]) if row["last"] else None, row["solar"] == "yes")
        for row in csv.DictReader(lines)
        for name in (row["name"], *row["also"].split(" | "))
        if name
    }


@cache
def _reigns() -> re.Pattern[str]:
    names = "|".join(sorted(_eras(), key=len, reverse=True))
    return re.compile(rf"(?:清朝?)?(?P<era>{names})?\s*(?<!\d)(?P<year>\d{{1,3}})年(?!代)(?P<rest>[^~—–至到/-]*)")


def _western(text: str) -> tuple[str, bool]:
    """Years of an era as Western years, and whether one was lunisolar: its months and days are then left out.

    The second year of a range may go without its era: 民国10年至15年.
    """
    era: _Era | None = None
    lunisolar = bool(re.search("农历|阴历|旧历|夏历", text))
    if lunisolar:
        return re.sub(r"农历|阴历|旧历|夏历|(?<=年)[^~—–至到/-]*", "", text), True

    def western(match: re.Match[str]) -> str:
        nonlocal era, lunisolar
        era = _eras()[match["era"]] if match["era"] else era
        year = int(match["year"])
        if era is None or year == 0 or (era.years is not None and year > era.years):
            return match[0]
        lunisolar = lunisolar or not era.solar
        return f"{era.first + year - 1:04}年" + (match["rest"] if era.solar else "")

    return _reigns().sub(western, text), lunisolar


# --- Natural dates ---

_CHINESE = re.compile(
    r"(?:(?P<y>\d{4})(?:年度?|$))?\s*(?:(?P<m>\d{1,2})(?:月份?|$))?\s*(?:(?P<d>\d{1,2})[日号]?)?"
    r"(?:\s*(?:星期|周)[一二三四五六日天]|\s*[上下]午.*|\s*\d{1,2}[时点:].*)?"
)
_NUMERIC = re.compile(r"(?P<y>\d{4})(?P<s>[-./])\s?(?P<m>\d{1,2})(?:(?P=s)\s?(?P<d>\d{1,2}))?\.?(?:\s+\d{1,2}:.*|T.*)?")
_COMPACT = re.compile(r"(?P<y>[12]\d{3})(?P<m>\d\d)(?P<d>\d\d)?")
_SHORT = re.compile(r"(?:(?P<m>\d{1,2})[-./])?(?P<d>\d{1,2})")
_ENGLISH = re.compile(
    r"(?:(?P<d>\d{1,2})(?:st|nd|rd|th)?\s+)?(?P<name>[a-z]{3,9})\.?,?\s+"
    r"(?:(?P<e>\d{1,2})(?:st|nd|rd|th)?,?\s+)?(?P<y>\d{4})"
)
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_DECADE = re.compile(r"(?P<written>[0-9]{3})0(?:年代|'?s)|(?:(?P<nth>[0-9]{1,2}|上)世纪)?(?P<tens>[0-9])0年代")
_CENTURY = re.compile(r"(?P<nth>\d{1,2})(?:世纪|(?:st|nd|rd|th) century)")
_SEASON = re.compile(
    r"(?P<y>\d{4})年?\s?(?:(?P<season>[春夏秋冬])[季天]?|(?:第?(?P<q>[1-4一二三四])季度)|(?P<half>[上下])半年)"
)
_TENTH = re.compile(r"(?P<y>\d{4})[年.-](?P<m>\d{1,2})月?(?P<tenth>[上中下])旬")
_STRONG = re.compile(r"\s*(?:~|—+|–|―|〜|--|至|到|/|(?<=\s)-(?=\s)|\bto\b|\buntil\b)\s*")
_BOUND = re.compile(
    r"(?:(?P<before>before|until)|after|since|from)\s+(?P<b>.+)|(?P<a>.+?)(?:(?P<early>以前|之前|前)|以后|之后|以来|起|后)"
)


def _natural(text: str) -> _Span | None:
    """A date, an open range, a range or a list in plain writing."""
    text = text.replace("‐", "-").replace("‑", "-").replace("−", "-").strip()
    if span := _single(text):
        return span
    if (match := _BOUND.fullmatch(text)) and (known := _single((match["a"] or match["b"]).strip())):
        if match["early"] or match["before"]:
            return _range(_Span(None, None, "..", approximate=True), known)
        return _range(known, _Span(None, None, "..", approximate=True))
    for cut in _cuts(text):
        if span := _joined(text[: cut.start()].strip(), text[cut.end() :].strip()):
            return span
    parts = [part.strip() for part in re.split("[,;、]", text)]
    spans = [span for part in parts if (span := _single(part))]
    if len(parts) > 1 and len(spans) == len(parts):
        days = [(span.earliest, span.latest) for span in spans if span.earliest and span.latest]
        first, last = min(first for first, _ in days), max(last for _, last in days)
        return _Span(first, last, "{" + ",".join(s.edtf for s in spans) + "}", any(s.approximate for s in spans))
    return None


def _cuts(text: str) -> list[re.Match[str]]:
    """Where a range may be cut: at a mark that is nothing else, or else at any hyphen."""
    return list(_STRONG.finditer(text)) or list(re.finditer(r"\s*-\s*", text))


def _joined(left: str, right: str) -> _Span | None:
    """A range of two dates; the right one may leave out what the left one says (2021年9月至10月, 1958-62)."""
    left, doubt = _without_marks(left)
    right, doubt_too = _without_marks(right)
    start = _single(left)
    if start is None or start.earliest is None:
        return None
    end = _single(right) or _completed(start, right)
    span = _range(start, end) if end is not None else None
    if span is not None and (doubt or doubt_too):
        return replace(span, approximate=True, edtf=_qualified(span.edtf, "~"))
    return span


def _completed(start: _Span, right: str) -> _Span | None:
    if start.earliest is None:
        return None
    year, month = start.earliest.year, start.earliest.month
    precision = start.edtf.count("-")
    if match := _SHORT.fullmatch(right):
        first, last = match["m"], int(match["d"])
        if first is not None:
            return _point(year, int(first), last)
        if precision == 0:
            return _point(year // 100 * 100 + last, None, None) if len(match["d"]) == 2 else None
        return _point(year, last, None) if precision == 1 else _point(year, month, last)
    if (match := _CHINESE.fullmatch(right)) and match["y"] is None and (match["m"] or match["d"]):
        return _point(year, int(match["m"] or month), int(match["d"]) if match["d"] else None)
    return None


def _point(year: int, month: int | None, day: int | None) -> _Span | None:
    if month is not None and month > 12:  # EDTF would take it for a season
        return None
    return _edtf_date("-".join([f"{year:04}", *(f"{part:02}" for part in (month, day) if part is not None)]))


def _single(text: str) -> _Span | None:
    """One date, of any precision from a day to a century."""
    if match := (_NUMERIC.fullmatch(text) or _COMPACT.fullmatch(text)):
        return _point(int(match["y"]), int(match["m"]), int(match["d"]) if match["d"] else None)
    if (match := _CHINESE.fullmatch(text)) and match["y"]:
        month = int(match["m"]) if match["m"] else None
        if month is None and match["d"]:
            return None
        return _point(int(match["y"]), month, int(match["d"]) if match["d"] else None)
    if match := _ENGLISH.fullmatch(text.lower()):
        names = [number for number, name in enumerate(_MONTHS, 1) if name.startswith(match["name"].removesuffix("t"))]
        day = match["d"] or match["e"]
        return _point(int(match["y"]), names[0], int(day) if day else None) if names else None
    return _vague(text)


def _vague(text: str) -> _Span | None:
    """Decades, centuries, seasons, quarters, halves, and tens of days."""
    if match := _DECADE.fullmatch(text):
        if match["written"]:
            return _edtf_date(f"{match['written']}X")
        nth, tens = match["nth"], match["tens"]
        # Without its century 20年代 may be of either; 30年代 to 90年代 are the twentieth's.
        if nth is None and tens < "3":
            return None
        return _edtf_date(f"{(20 if nth in (None, '上') else int(nth)) - 1:02}{tens}X")
    if match := _CENTURY.fullmatch(text):
        last = int(match["nth"]) * 100
        start, end = _point(last - 99, None, None), _point(last, None, None)
        span = _range(start, end) if start and end else None
        return replace(span, approximate=True) if span else None
    if match := _SEASON.fullmatch(text):
        year = int(match["y"])
        code = 21 + "春夏秋冬".index(match["season"]) if match["season"] else 40 + "上下".index(match["half"] or "上")
        if match["q"]:
            code = 32 + (numeral(match["q"]) or 1)
        return _edtf_date(f"{year:04}-{code}")
    if match := _TENTH.fullmatch(text):
        year, month = int(match["y"]), int(match["m"])
        first, final = {"上": (1, 10), "中": (11, 20), "下": (21, None)}[match["tenth"]]
        start, last_day = _point(year, month, first), _last(year, month, final)
        return _range(start, _Span(last_day, last_day, str(last_day))) if start and last_day else None
    return None
