"""What search takes a text for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.catalog.tokens import GAP, Phrase, find, fold, joined, phrases, tokens

HAN = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
ANY = st.text(st.characters())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("活动方案", ["活动", "动方", "方案", "案"]),
        ("案", ["案"]),
        ("活动，方案", ["活动", "动", "方案", "案"]),
        ("Autumn Festival 2021", ["autumn", "festival", "2021"]),
        ("Z109-WS·2021-Y-BGS-0001", ["z", "109", "ws", "2021", "y", "bgs", "0001"]),
        ("桂府办〔2021〕5号", ["桂府", "府办", "办", "2021", "5", "号"]),
        ("桂府办[2021]5号", ["桂府", "府办", "办", "2021", "5", "号"]),
        ("IMG_2041.JPG", ["img", "2041", "jpg"]),
        ("２０２１年", ["2021", "年"]),
        ("二〇二一", ["二〇", "〇二", "二一", "一"]),
        ("ｶﾞｰﾄﾞ", ["ガー", "ード", "ド"]),
        ("한국어", ["한국", "국어", "어"]),
        ("مەكتەپ", ["مەكتەپ"]),
        ("𠮷野", ["𠮷野", "野"]),
        ("\ue123某", ["\ue123某", "某"]),
        ("bad\udcffname", ["bad", "name"]),
        ("soft\u00adhyphen 葛\U000e0100城", ["softhyphen", "葛城", "城"]),
        ("！？ -- ", []),
    ],
)
def test_the_tokens_of_a_text(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("國慶節檔案館臺灣", "国庆节档案馆台湾"),
        ("爲裡為裏", "为里为里"),
        ("Émile ZOLA Straße Łódź Ørsted", "emile zola strasse lodz orsted"),
        ("Nguyễn Văn Đức", "nguyen van duc"),
        ("E\u0301mile", "émile"),
        ("ＡＢＣ①", "abc1"),
        ("⼈⼤", "人大"),
    ],
)
def test_what_a_reader_does_not_tell_apart_is_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("й", "и"), ("が", "か"), ("活动", "话动"), ("ё", "е")])
def test_only_latin_loses_its_marks(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("活动方案", (Phrase(("活动", "动方", "方案"), False),)),
        ("年", (Phrase(("年",), True),)),
        ("2021年", (Phrase(("2021", "年"), True),)),
        ("年2021", (Phrase(("年", "2021"), False),)),
        ("中秋 预算", (Phrase(("中秋",), False), Phrase(("预算",), False))),
        ("autumn fest*", (Phrase(("autumn",), False), Phrase(("fest",), True))),
        ('"autumn festival"', (Phrase(("autumn", "festival"), False),)),
        ("关于“中秋 晚会”的", (Phrase(("关于",), False), Phrase(("中秋", "秋", "晚会"), False), Phrase(("的",), True))),
        ('"left open', (Phrase(("left", "open"), False),)),
        ("年 年", (Phrase(("年",), True),)),
        (" ！ ", ()),
        ("", ()),
    ],
)
def test_what_a_query_asks_for(query: str, expected: tuple[Phrase, ...]) -> None:
    assert phrases(query) == expected


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("2021年國慶活動方案", "活动方案", "活動方案"),
        ("二〇二一年度", "年", "年"),
        ("Émile Zola, œuvres", "oeuvres", "œuvres"),
        ("ＩＭＧ＿2041．jpg", "img_2041", "ＩＭＧ＿2041"),
        ("ﾃﾞｰﾀ", "データ", "ﾃﾞｰﾀ"),
        ("Festival", "fest*", "Fest"),
    ],
)
def test_a_phrase_is_shown_where_it_stands_as_it_was_written(text: str, query: str, shown: str) -> None:
    (phrase,) = phrases(query)
    span = find(text, phrase)
    assert span is not None
    assert text[slice(*span)] == shown


def test_a_phrase_that_is_not_there_is_not_shown() -> None:
    assert find("活动及方案", phrases("活动方案")[0]) is None


@given(ANY)
def test_every_token_is_whole_for_a_splitter_at_spaces_and_ascii_punctuation(text: str) -> None:
    for token in tokens(text):
        assert token
        assert all(letter.isalnum() for letter in token if letter.isascii())
        assert not any(letter.isspace() for letter in token)
        assert GAP not in token
    assert joined(text).split() == tokens(text)


@given(ANY, ANY)
def test_texts_joined_are_their_tokens_with_a_gap(one: str, other: str) -> None:
    assert joined(one, other).split() == [*tokens(one), GAP, *tokens(other)]


@given(ANY)
def test_folding_what_is_folded_finds_the_same(text: str) -> None:
    once = tokens(fold(text))
    assert tokens(fold(fold(text))) == once


@given(st.text(HAN, min_size=1, max_size=20), st.data())
def test_any_part_of_a_chinese_text_is_found_in_it(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    part = text[start:end]
    span = find(text, phrases(part)[0])
    assert span is not None
    assert fold(text[slice(*span)]) == fold(part)
