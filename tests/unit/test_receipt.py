"""Receipts: the accumulated root is that of the definition, and a leaf says all of an item."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.oai.receipt import Root, digest, leaf

ITEM = ("oai:archive.example.org:1", "2026-11-29T18:00:00Z")
DC = '<o:dc xmlns:o="urn:oai_dc"><d:title xmlns:d="urn:dc">关 &amp;</d:title></o:dc>'


def root_of(leaves: Sequence[bytes]) -> bytes:
    """As RFC 6962 section 2.1 defines it, of leaves that are hashed already."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + root_of(leaves[:split]) + root_of(leaves[split:])).digest()


@given(st.integers(0, 300))
def test_the_root_is_that_of_the_definition_whatever_was_asked_on_the_way(count: int) -> None:
    leaves = [hashlib.sha256(bytes([number & 255, number >> 8])).digest() for number in range(count)]
    root = Root()
    for number, one in enumerate(leaves):
        if number % 7 == 0:
            assert root.value() == root_of(leaves[:number])
        root.add(one)
    assert (root.count, root.value()) == (count, root_of(leaves))


def test_a_leaf_is_the_hash_of_a_line_that_anybody_can_write() -> None:
    line = '\x00["oai:archive.example.org:1","2026-11-29T18:00:00Z","live","关"]'.encode()
    assert leaf(*ITEM, live=True, metadata="关") == hashlib.sha256(line).digest()


@pytest.mark.parametrize(
    "other",
    [
        leaf("oai:archive.example.org:2", ITEM[1], live=True, metadata="a"),
        leaf(ITEM[0], "2026-11-29T18:00:01Z", live=True, metadata="a"),
        leaf(*ITEM, live=False, metadata=""),
        leaf(*ITEM, live=True, metadata="b"),
    ],
)
def test_another_item_has_another_leaf(other: bytes) -> None:
    assert other != leaf(*ITEM, live=True, metadata="a")


def test_a_digest_is_of_what_xml_says_and_not_of_how_it_is_written() -> None:
    same = """<o:dc xmlns:spare='urn:spare' xmlns:o='urn:oai_dc' ><d:title
    xmlns:d='urn:dc'>&#20851; &#38;</d:title><!-- no matter --></o:dc >"""
    assert digest(same) == digest(DC)
    assert digest(DC) != digest(DC.replace("关", "閞"))
