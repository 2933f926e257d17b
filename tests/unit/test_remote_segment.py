"""Parts of a harvest: what is written comes back, a changed byte is found, and sources keep their names."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.model import Agent, Gathered, Received, Scope
from lantai.storage.remote import source_of
from lantai.storage.remote.segment import FORMAT, decode, encode
from lantai.storage.sealed import Newer

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
RECORDS = st.builds(
    Received, TEXT, TEXT, st.booleans(), st.lists(TEXT).map(tuple), TEXT, st.lists(TEXT).map(tuple)
)  # fmt: skip
PART = Gathered(
    "01890a5d-ac96-774b-bcce-b302099a8057", "county.example.org-01234567", 1, "", datetime(2026, 11, 29, tzinfo=UTC),
    Agent("urn:uuid:x", "person", "王芳"), "lantai 0.1.0", "https://county.example.org/oai", Scope("oai_dc"),
    "2026-11-29T00:00:00Z", "2026-11-29T00:00:01Z", None, "<Identify/>",
    (Received("oai:x:1", "2026-11-29", True, ("a:b",), "<dc>关\n</dc>", ("<about/>",)),),
)  # fmt: skip
PARTS = st.builds(
    replace, st.just(PART), number=st.integers(1, 10**9), previous=st.sampled_from(["", "0" * 64]),
    asked=st.builds(Scope, TEXT, *[st.none() | TEXT] * 3), token=st.none() | TEXT, identify=TEXT,
    records=st.lists(RECORDS, max_size=5).map(tuple),
)  # fmt: skip


@given(PARTS)
def test_what_was_written_comes_back(part: Gathered) -> None:
    data = encode(part)
    found, seal = decode(data)
    assert found == part
    assert data.endswith(f'{{"seal":"{seal}"}}\n'.encode())
    assert data.count(b"\n") == 2 + len(part.records)


@given(PARTS, st.data())
def test_a_changed_byte_is_found(part: Gathered, draw: st.DataObject) -> None:
    data = encode(part)
    at, bit = draw.draw(st.integers(0, len(data) - 1)), draw.draw(st.integers(0, 7))
    changed = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
    with pytest.raises(ValueError, match="seal"):
        decode(changed)
    with pytest.raises(ValueError, match="seal"):
        decode(data[:at])


def test_a_part_of_a_newer_format_is_told() -> None:
    head, *rest = encode(PART).split(b"\n")
    body = b"\n".join([head.replace(b'"format":%d' % FORMAT, b'"format":%d' % (FORMAT + 1)), *rest[:-2]]) + b"\n"
    with pytest.raises(Newer):
        decode(body + f'{{"seal":"{hashlib.sha256(body).hexdigest()}"}}\n'.encode())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://county.example.org/oai", "https://County.example.org:443/oai/", True),
        ("http://county.example.org/oai", "http://county.example.org:8080/oai", False),
        ("http://county.example.org/oai", "http://county.example.org/OAI", False),
        ("http://county.example.org/oai", "http://other.example.org/oai", False),
    ],
)
def test_a_server_is_one_source_with_tls_and_without(one: str, other: str, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same


@given(st.from_regex(r"https?://[a-z0-9.\[\]:-]{1,80}/[!-~]*", fullmatch=True))
def test_a_source_is_a_part_of_a_key(url: str) -> None:
    try:
        name = source_of(url)
    except ValueError:  # which is told before it comes so far
        return
    assert len(name) <= 70
    assert name.replace(".", "").replace("-", "").isalnum()
    assert name.isascii()
