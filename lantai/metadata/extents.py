"""Extents: how much there is (ISAD(G) 3.1.5), read off what people write. Pure."""

from __future__ import annotations

import math
import re
import unicodedata

from ..model import Extent

DIGITS = "〇○零一二三四五六七八九"
_ONES = {**{c: max(0, i - 2) for i, c in enumerate(DIGITS)}, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_NUMERAL = f"[{DIGITS}两十百千万亿廿卅]"

# Longest first, so that 分钟 is not read as 分. A unit that is not here is taken as far as its letters go.
_UNITS = (
    "延长米", "平方米", "千字节", "兆字节", "分钟", "小时", "字节", "案卷", "幅面", "公里", "厘米", "毫米",
    "卷", "册", "件", "份", "张", "页", "幅", "盒", "箱", "盘", "本", "枚", "套", "组", "部", "个", "种", "段",
    "帧", "片", "封", "米", "袋", "包", "捆", "项", "通", "时", "分", "秒",
)  # fmt: skip
_MINUTES = {
    **dict.fromkeys(("小时", "时", "h", "hr", "hrs", "hour", "hours"), 60.0),
    **dict.fromkeys(("分钟", "分", "min", "mins", "minute", "minutes"), 1.0),
    **dict.fromkeys(("秒", "s", "sec", "secs", "second", "seconds"), 1 / 60),
}
_NUMBER = rf"[0-9]+(?:,[0-9]{{3}})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|{_NUMERAL}+"
_CLOCK = re.compile(r"(?:([0-9]{1,6}):)?([0-9]{1,3}):([0-9]{2})")
_PAIR = re.compile(
    rf"(?<![0-9][.,])(?<![0-9A-Za-z第×\-~])(?P<number>{_NUMBER})(?P<times>万|亿)?\s*"
    rf"(?P<unit>{'|'.join(_UNITS)}|(?:linear |cubic |square )?[A-Za-z]+|(?:(?!{_NUMERAL})[^\W\d_]){{1,3}})"
)


def numeral(text: str) -> int | None:
    """The whole number in Arabic or Chinese digits (12, 十二, 二〇二一, 三万五千, 廿五, 元); None: it is none."""
    if text.isascii():
        return int(text) if text.isdigit() and len(text) <= 15 else None
    if text == "元":
        return 1
    text = text.replace("廿", "二十").replace("卅", "三十")
    if all(c in DIGITS for c in text):
        return int("".join(str(_ONES[c]) for c in text)) if len(text) <= 15 else None
    total = section = digit = 0
    for c in text:
        if c in _ONES:
            digit = _ONES[c]
        elif c in _TENS:
            section, digit = section + (digit or 1) * _TENS[c], 0
        elif c in ("万", "亿"):
            total, section, digit = (total + section + digit) * (10_000 if c == "万" else 100_000_000), 0, 0
        else:
            return None
    return total + section + digit


def parse(text: str, unit: str = "") -> tuple[Extent, ...]:
    """Every number with its unit, as written: "3卷 45件" is 3 卷 and 45 件.

    Hours, minutes and seconds become one number of 分钟 (5分30秒 is 5.5, and so is 00:05:30). unit: what a bare number
    counts. Text that says no amount gives none; it never raises.
    """
    wide = unicodedata.normalize("NFKC", text).strip()
    bare = re.fullmatch(_NUMBER, wide)
    if bare is not None:
        number = _number(wide, "")
        return (Extent(number, unit),) if unit and number is not None else ()
    if clock := _CLOCK.fullmatch(wide):
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return (Extent(_short(hours * 60 + minutes + seconds / 60), "分钟"),)
    found: list[Extent] = []
    running = False  # the last extent is a time that smaller parts may still join
    end = 0
    for match in _PAIR.finditer(wide):
        number = _number(match["number"], match["times"] or "")
        if number is None:
            continue
        minutes_each = _MINUTES.get(match["unit"].lower())
        if minutes_each is None:
            found.append(Extent(number, match["unit"]))
        elif running and not wide[end : match.start()].strip():
            found[-1] = Extent(_short(found[-1].number + number * minutes_each), "分钟")
        else:
            found.append(Extent(_short(number * minutes_each), "分钟"))
        running, end = minutes_each is not None, match.end()
    return tuple(found)


def _number(text: str, times: str) -> float | None:
    plain = text.replace(",", "")
    if plain[0].isascii():
        number = float(plain) * {"": 1, "万": 10_000, "亿": 100_000_000}[times]
        return number if math.isfinite(number) else None
    whole = numeral(plain)
    return None if whole is None else float(whole)


def _short(minutes: float) -> float:
    """To the thousandth, so that a sum of sixtieths has no tail."""
    return round(minutes, 3)
