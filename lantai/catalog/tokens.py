"""What search takes a text for: a sequence of tokens, the same for every database. Pure.

A token is a word, a number, or, in scripts written without spaces, a character with the one after it (the last of a run
alone). So each such character begins exactly one token, and one phrase of consecutive tokens finds:

* 活动方案 as the tokens 活动 动方 方案, which 活动及方案 has not;
* one character, as the beginning of a token;
* a code as a whole and any part of it, however punctuated: Z109-WS·2021 is z 109 ws 2021, and 〔2021〕5号 is 2021 5 号.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

TOKENIZER = 1
"""Kept in the catalogue. Whatever changes a token changes this number; the catalogue then indexes anew when opened."""

GAP = "¶"
"""A token that no query has: stands between two texts, so that no phrase reaches across."""

# Han, kana, bopomofo, hangul, the private use that GB 18030 gives to rare names, and the scripts of the south-east.
_UNSPACED = (
    "\u2e80-\u2fd5\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u3099\u309a\u309d-\u30fa\u30fc-\u318e\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\ue000-\ufaff\U00020000-\U0003fffd\U000f0000-\U0010fffd"
    "\u0e00-\u0e4e\u0e80-\u0ece\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u1950-\u19df"
)
_RUN = re.compile(rf"([{_UNSPACED}]+)|[^\W\d_{_UNSPACED}]+|\d+")
_MARKED = re.compile("[\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff]")
_MARKS = re.compile("(?<=[a-z])[\u0300-\u036f]+")
_JOINING = "\u0300-\u036f\u3099\u309a\ufe00-\ufe0f\uff9e\uff9f"
_CLUSTER = re.compile(f"[^{_JOINING}]?[{_JOINING}]*", re.DOTALL)
_QUOTED = re.compile(r'"([^"]*)"?|([^\s"]+)')
_QUOTES = str.maketrans(dict.fromkeys("“”„‟＂«»「」『』", '"'))
# Said to the renderer, not to the reader: soft hyphen, joiners, marks of direction, variation selectors.
_UNSEEN = [
    0xAD,
    0x61C,
    *range(0x180B, 0x1810),
    *range(0x200C, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2065),
    *range(0xFE00, 0xFE10),
    0xFEFF,
    *range(0xE0100, 0xE01F0),
]
_LATIN = {"ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ł": "l", "æ": "ae", "œ": "oe", "þ": "th"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """Tokens that stand one after the other; open: the last need only be the beginning of one."""

    tokens: tuple[str, ...]
    open: bool


@cache
def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = dict.fromkeys(_UNSEEN)
    table.update((ord(letter), plain) for letter, plain in _LATIN.items())
    for line in resources.files(__package__).joinpath("simplified.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            table.update((ord(form), line[0]) for form in line[1:])
    return table


def fold(text: str) -> str:
    """text without what a reader does not tell apart: NFKC, lower case, simplified Chinese, Latin without its marks."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text).casefold()
    if _MARKED.search(text):
        text = unicodedata.normalize("NFKC", _MARKS.sub("", unicodedata.normalize("NFD", text)))
    return text.translate(_table())


def tokens(text: str) -> list[str]:
    """The tokens of text in their order: letters and digits only, in lower case, free of white space."""
    return [token for token, _start, _end in _spans(fold(text))]


def joined(*texts: str) -> str:
    """The tokens of several texts with spaces between, as an index takes them; no phrase reaches over two texts."""
    return f" {GAP} ".join(" ".join(tokens(text)) for text in texts)


def phrases(query: str) -> tuple[Phrase, ...]:
    """What a query asks for, all of it: each word and each "quoted phrase"; a word* may go on. (): nothing."""
    found = []
    for quoted, word in _QUOTED.findall(query.translate(_QUOTES)):
        text = quoted or word
        if spans := list(_spans(fold(text))):
            found.append(_phrase([token for token, _start, _end in spans], fold(text).endswith("*")))
    return tuple(dict.fromkeys(found))


def find(text: str, wanted: Phrase) -> tuple[int, int] | None:
    """Where in text, as written, the phrase stands first: start and end, in characters. For showing; None: nowhere."""
    clusters = [match.span() for match in _CLUSTER.finditer(text) if match[0]]
    folded, origin = [], []
    for start, end in clusters:
        part = fold(text[start:end])
        folded.append(part)
        origin.extend([(start, end)] * len(part))
    spans = list(_spans("".join(folded)))
    size = len(wanted.tokens)
    for at in range(len(spans) - size + 1):
        *head, last = [token for token, _start, _end in spans[at : at + size]]
        ends = last.startswith(wanted.tokens[-1]) if wanted.open else last == wanted.tokens[-1]
        if ends and tuple(head) == wanted.tokens[:-1]:
            _token, start, _end = spans[at]
            _token, last_start, last_end = spans[at + size - 1]
            # An open last token shows only as much as was asked for: 年 and not 年度.
            stop = last_start + len(wanted.tokens[-1]) if wanted.open else last_end
            return origin[start][0], origin[stop - 1][1]
    return None


def _spans(folded: str) -> Iterator[tuple[str, int, int]]:
    for run in _RUN.finditer(folded):
        start, end = run.span()
        if run[1] is None:
            yield run[0], start, end
        else:
            for at in range(start, end):
                yield folded[at : min(at + 2, end)], at, min(at + 2, end)


def _phrase(found: list[str], starred: bool) -> Phrase:
    unspaced = _RUN.match(found[-1])
    if unspaced is None or unspaced[1] is None:
        return Phrase(tuple(found), starred)
    # The last character of a run begins a token of its own. In a query the pair before it says the same and
    # does not end the run; without one, whatever may follow.
    if len(found) > 1 and len(found[-2]) == 2 and found[-2][1] == found[-1] and _RUN.fullmatch(found[-2]):
        return Phrase(tuple(found[:-1]), False)
    return Phrase(tuple(found), True)
