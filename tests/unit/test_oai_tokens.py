"""Resumption tokens: what seal wrote comes back, and nothing else does."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lantai.oai.tokens import BadToken, Token, seal, unseal

KEY = b"k" * 32
ARCHIVE = "01890a5d-ac96-774b-bcce-b302099a8057"
NOW = 1_790_000_000
TOKEN = Token(
    "ListRecords",
    "oai_dc",
    "fonds:z109",
    "2026-01-01",
    None,
    (1_780_000_000, "urn:uuid:" + ARCHIVE),
    100,
    250,
    NOW + 60,
)

ANY = st.text(st.characters())
SOME = st.none() | ANY
TOKENS = st.builds(
    Token,
    ANY,
    SOME,
    SOME,
    SOME,
    SOME,
    st.tuples(st.integers(), ANY),
    st.integers(0),
    st.none() | st.integers(0),
    st.integers(NOW + 1),
)


@given(TOKENS, st.binary(min_size=1), ANY.filter(lambda it: it.isprintable()))
def test_what_was_sealed_comes_back_and_needs_no_escaping(token: Token, key: bytes, archive: str) -> None:
    text = seal(token, key, archive)
    assert re.fullmatch("[A-Za-z0-9_-]+", text)
    assert seal(replace(token), key, archive) == text
    assert unseal(text, key, archive, NOW) == token


@given(ANY | st.from_regex("[A-Za-z0-9_-]*", fullmatch=True) | st.binary().map(lambda it: it.decode("latin-1")))
def test_any_other_text_is_bad(text: str) -> None:
    assume(text != seal(TOKEN, KEY, ARCHIVE))
    with pytest.raises(BadToken):
        unseal(text, KEY, ARCHIVE, NOW)


@given(st.binary(max_size=200))
def test_bytes_that_are_signed_by_nobody_are_bad(raw: bytes) -> None:
    with pytest.raises(BadToken):
        unseal(base64.urlsafe_b64encode(b"\x01" + raw).rstrip(b"=").decode(), KEY, ARCHIVE, NOW)


def test_every_character_counts() -> None:
    """The last one too, whose spare bits base64 overlooks."""
    text = seal(TOKEN, KEY, ARCHIVE)
    for at, was in enumerate(text):
        for other in {"A", "B", "Q", "_", "=", "\n", chr(ord(was) ^ 1)} - {was}:
            with pytest.raises(BadToken):
                unseal(text[:at] + other + text[at + 1 :], KEY, ARCHIVE, NOW)
        with pytest.raises(BadToken):
            unseal(text[:at], KEY, ARCHIVE, NOW)


@pytest.mark.parametrize("other", ["{}=", "{}==", " {}", "{}\n", "{}!", "{0}{0}"])
def test_only_one_spelling_holds(other: str) -> None:
    with pytest.raises(BadToken):
        unseal(other.format(seal(TOKEN, KEY, ARCHIVE)), KEY, ARCHIVE, NOW)


def test_a_token_of_another_archive_or_key_is_bad() -> None:
    text = seal(TOKEN, KEY, ARCHIVE)
    for key, archive in ((KEY, ARCHIVE[:-1] + "8"), (KEY[1:], ARCHIVE), (b"", ARCHIVE), (KEY, "")):
        with pytest.raises(BadToken, match="none of this repository"):
            unseal(text, key, archive, NOW)


def test_a_token_holds_until_the_second_it_names() -> None:
    text = seal(TOKEN, KEY, ARCHIVE)
    assert unseal(text, KEY, ARCHIVE, TOKEN.expires - 1) == TOKEN
    for now in (TOKEN.expires, TOKEN.expires + 10**9):
        with pytest.raises(BadToken, match="expired"):
            unseal(text, KEY, ARCHIVE, now)


def test_a_version_that_is_not_known_is_bad_even_if_it_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr("lantai.oai.tokens._VERSION", b"\xff")
        text = seal(TOKEN, KEY, ARCHIVE)
        assert unseal(text, KEY, ARCHIVE, NOW) == TOKEN
    with pytest.raises(BadToken):
        unseal(text, KEY, ARCHIVE, NOW)
