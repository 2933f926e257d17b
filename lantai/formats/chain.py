"""Patterns that are a chain of pieces with gaps of so many to so many bytes between them, searched without going back.

PRONOM's signature of MP3 is one: eight frames, each at most 1,439 bytes after the last. A regular expression tries
every combination of gaps, which on an MP3 file that lacks the last frame takes years.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable

_GAP = re.compile(rb"\.\{(\d+),(\d+)\}")
_SIMPLE = re.compile(rb"(?:\\x[0-9a-f]{2}|\\[^\w]|\[[^]\[]*\]|[^\\\[\](){}.*+?|^$])+")
"""Bytes and sets of bytes: each stands for exactly one."""
_LEAST = 3  # gaps; with fewer a regular expression is quick


def chain(pattern: bytes) -> Callable[[bytes], bool] | None:
    """A function that says whether pattern, a regular expression, is found in bytes. None: it is no such chain."""
    body = pattern.removeprefix(b"(?s)")
    anchored, open_end = body.startswith(rb"\A"), not body.endswith(rb"\Z")
    parts = _GAP.split(body.removeprefix(rb"\A").removesuffix(rb"\Z"))
    pieces, gaps = parts[::3], [(int(least), int(most)) for least, most in zip(parts[1::3], parts[2::3], strict=True)]
    if len(gaps) < _LEAST or any(piece and not _SIMPLE.fullmatch(piece) for piece in pieces) or not all(pieces[1:-1]):
        return None
    if (anchored and pieces[0]) or (not anchored and not pieces[0]) or (open_end != bool(pieces[-1])):
        return None
    plain = [re.compile(b"(?s)" + piece).search for piece in dict.fromkeys(pieces)]
    found = [re.compile(b"(?s)(?=" + piece + b")") for piece in pieces]
    widths = [_width(piece) for piece in pieces]

    def search(data: bytes) -> bool:
        if not all(one(data) for one in plain):  # in most files; and many times as fast as to list places
            return False
        places = [0] if anchored else [match.start() for match in found[0].finditer(data)]
        ends = [place + widths[0] for place in places]
        for (least, most), expression, width in zip(gaps, found[1:], widths[1:], strict=True):
            if not ends:
                return False
            starts = [len(data)] if not width else (one.start() for one in expression.finditer(data, ends[0] + least))
            ends = [start + width for start in starts if _reached(ends, start - most, start - least)]
        return bool(ends)

    return search


def _reached(ends: list[int], first: int, last: int) -> bool:
    """Whether one of ends, which are in order, lies from first to last."""
    at = bisect_left(ends, first)
    return at < len(ends) and ends[at] <= last


def _width(piece: bytes) -> int:
    return len(re.findall(rb"\\x[0-9a-f]{2}|\\.|\[[^]]*\]|.", piece, re.DOTALL))
