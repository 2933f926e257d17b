"""A chain of pieces and gaps is found where the regular expression finds it, and as fast where that would not end."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.formats.chain import chain

PIECES = st.lists(st.sampled_from([rb"\x61", b"b", rb"[ab]", rb"\.", b"\xff"]), min_size=1, max_size=2).map(b"".join)


@st.composite
def expressions(draw: st.DrawFn) -> bytes:
    def gap() -> bytes:
        least = draw(st.integers(0, 2))
        return b".{%d,%d}" % (least, least + draw(st.integers(0, 3)))

    pieces = draw(st.lists(PIECES, min_size=4, max_size=6))
    text = (
        b"".join(gap() + piece for piece in pieces)[6:]
        if draw(st.booleans())
        else rb"\A" + b"".join(gap() + piece for piece in pieces)
    )
    return b"(?s)" + text + (gap() + rb"\Z" if draw(st.booleans()) else b"")


@given(expressions(), st.lists(st.sampled_from([b"a", b"b", b".", b"\xff", b"\n"]), max_size=30).map(b"".join))
def test_what_is_found_is_what_the_expression_finds(expression: bytes, data: bytes) -> None:
    found = chain(expression)
    assert found is not None
    assert found(data) == bool(re.search(expression, data))


@pytest.mark.parametrize(
    "expression",
    [
        rb"(?s)\Aa.{1,2}b",
        rb"(?s)a.*b.{1,2}c.{1,2}d.{1,2}e",
        rb"(?s)(?:a|b).{1,2}c.{1,2}d.{1,2}e",
        rb"(?s)a?.{1,2}c.{1,2}d.{1,2}e",
    ],
)
def test_what_is_no_chain_is_left_to_others(expression: bytes) -> None:
    assert chain(expression) is None


def test_frames_without_end_are_looked_through_at_once() -> None:
    frame = rb"\xff\xf3[\x10-\xeb]"
    expression = b"(?s)" + rb".{46,1439}".join([frame] * 8) + rb".{47,1795}\Z"
    found = chain(expression)
    assert found is not None
    frames = b"\xff\xf3\x20" + bytes(100)
    assert not found(frames * 2000 + bytes(4000))
    assert found(frames * 2000)
