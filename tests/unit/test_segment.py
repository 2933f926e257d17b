"""A segment of the journal as bytes."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from gettext import NullTranslations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai import messages
from lantai.model import Agent, Entry
from lantai.storage.journal.segment import FORMAT, Link, Segment, decode, encode
from lantai.storage.sealed import Newer

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
IDS = st.uuids().map(lambda one: one.urn)
SEALS = st.text("0123456789abcdef", min_size=64, max_size=64)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  UTC by timezones
STATES = st.dictionaries(TEXT, st.recursive(TEXT | st.booleans() | st.integers() | st.none(), st.lists), max_size=4)
ENTRIES = st.builds(
    Entry, IDS, st.sampled_from(["decision", "export", "check"]), TEXT, TEXT, MOMENTS,
    st.builds(Agent, IDS, st.just("person"), TEXT), STATES, TEXT, st.sampled_from(["", "statute"]), st.just(""),
    st.lists(IDS, max_size=3).map(tuple),
)  # fmt: skip
SEGMENTS = st.builds(
    Segment, st.uuids().map(str), st.uuids().map(str), st.integers(1, 10**9), SEALS | st.just(""),
    st.dictionaries(st.uuids().map(str), st.builds(Link, st.integers(1, 10**9), SEALS), max_size=3), MOMENTS,
    st.lists(ENTRIES, max_size=4).map(tuple),
)  # fmt: skip


@given(SEGMENTS)
def test_what_was_written_is_read_back(segment: Segment) -> None:
    data = encode(segment)
    found, seal = decode(data)
    assert found == segment
    assert data.endswith(b'{"seal":"' + seal.encode() + b'"}\n')
    assert data.count(b"\n") == len(segment.entries) + 2


@given(SEGMENTS, st.data())
def test_no_byte_can_be_changed_added_or_taken_away_unseen(segment: Segment, data: st.DataObject) -> None:
    whole = encode(segment)
    at = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.sampled_from(["flip", "cut", "drop", "add"]))
    bit = 1 << data.draw(st.integers(0, 7))
    harmed = {
        "flip": whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :],
        "cut": whole[:at],
        "drop": whole[:at] + whole[at + 1 :],
        "add": whole[:at] + bytes([bit]) + whole[at:],
    }[change]
    if harmed != whole:
        with pytest.raises(ValueError, match=r"seal|segment"):
            decode(harmed)


NOW = datetime(2026, 11, 28, tzinfo=UTC)
ENTRY = Entry(uuid.UUID(int=3).urn, "export", "package", "p", NOW, Agent("a", "person", "王芳"), {})
SEGMENT = Segment(str(uuid.UUID(int=1)), str(uuid.UUID(int=2)), 1, "", {}, NOW, (ENTRY,))


def sealed(**changes: object) -> bytes:
    """SEGMENT with these values in its entry, sealed as its writer would."""
    head, entry, _seal = encode(SEGMENT).splitlines(keepends=True)
    return resealed(head + json.dumps({**json.loads(entry), **changes}).encode() + b"\n")


def resealed(body: bytes) -> bytes:
    return body + b'{"seal":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "whim"}, {"at": "2026-01-01"}, {"at": "2026-01-01T00:00:00"}, {"by": {}}, {"subject": None},
        {"state": []}, {"replaces": [1]}, {"replaces": None}, {"for": None}, {"ground": {"code": 1, "clause": ""}},
        {"id": None},
    ],
    ids=str,
)  # fmt: skip
def test_an_entry_that_is_none_is_refused_though_its_seal_is_right(changes: dict[str, object]) -> None:
    assert decode(sealed())[0].entries[0].kind == "export"
    with pytest.raises(ValueError, match="no segment"):
        decode(sealed(**changes))


def test_why_it_is_refused_can_be_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    class Marking(NullTranslations):
        def gettext(self, message: str) -> str:
            return f"«{message}»"

    monkeypatch.setattr(messages, "_translation", [Marking()])
    with pytest.raises(ValueError, match=r"^«its seal is not that of its bytes»$"):
        decode(b"{}\n{}\n")
    body = b'{"format":1}\n'
    with pytest.raises(ValueError, match="«it is no «segment»"):
        decode(body + b'{"seal":"%b"}\n' % hashlib.sha256(body).hexdigest().encode())


def test_a_newer_format_is_told_apart_from_damage() -> None:
    with pytest.raises(Newer):
        head = encode(replace(SEGMENT, entries=())).splitlines(keepends=True)[0]
        decode(resealed(head.replace(f":{FORMAT},".encode(), f":{FORMAT + 1},".encode(), 1)))


def test_an_instant_is_kept_in_utc() -> None:
    entry = replace(SEGMENT.entries[0], at=SEGMENT.at + timedelta(microseconds=1))
    assert decode(encode(replace(SEGMENT, entries=(entry,))))[0].entries == (entry,)
