"""Every word in both languages, and every finding code in the table and in use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import click
import pytest

from lantai import messages
from lantai.messages import FINDINGS, LANGUAGES
from lantai.model import Finding
from tools.messages import ROOT, extracted, placeholders, problems

SOURCES = sorted((ROOT / "lantai").rglob("*.py"))

# Calls whose first argument is a finding code.
_CALLS = ("of", "find", "Broken")


def fields(text: str) -> set[str]:
    return {name for _text, name, _spec, _as in Formatter().parse(text) if name}


def codes_called() -> Iterator[tuple[str, str, set[str] | None]]:
    """Place, code, and names of the values of every call that makes a finding; None where values are handed through."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            code = node.args[0].value
            if called in _CALLS and isinstance(code, str) and re.fullmatch(r"[a-z]+(-[a-z0-9]+)+|[EW]\d{3}", code):
                named = [keyword.arg for keyword in node.keywords]
                names = None if None in named else {name for name in named if name is not None}
                yield f"{path.relative_to(ROOT)}:{node.lineno}", code, names


def constants() -> set[str]:
    """Every text that stands whole in the program."""
    return {
        node.value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_the_chinese_is_complete_and_the_mo_is_that_of_the_po() -> None:
    assert list(problems()) == []


def test_messages_are_found_where_they_are_written() -> None:
    assert len(extracted()) > 250
    assert ("{count} file", "{count} files") in extracted()


def test_placeholders_are_seen_in_braces_and_after_percent() -> None:
    assert placeholders(("{one} and {two!r}, %(three)s",)) == {"one", "two", "three"}


@pytest.mark.parametrize(
    ("language", "said"),
    [("zh", "没有这个信息包"), ("zh_CN.UTF-8", "没有这个信息包"), ("en", "there is no such package")],
)
def test_the_program_speaks_the_language_it_is_told(language: str, said: str) -> None:
    before = messages.language()
    try:
        messages.use(language)
        assert messages._("there is no such package") == said
    finally:
        messages.use(before)


def test_click_speaks_the_same_language() -> None:
    before = messages.language()
    try:
        for language, said in (("zh", "缺少参数"), ("en", "Missing argument")):
            messages.use(language)
            assert click.MissingParameter(param_type="argument").format_message().startswith(said)
    finally:
        messages.use(before)


def test_a_chinese_count_has_one_form() -> None:
    before = messages.language()
    try:
        messages.use("zh")
        counted = [messages.ngettext("{count} file", "{count} files", number).format(count=number) for number in (1, 2)]
    finally:
        messages.use(before)
    assert counted == ["1 个文件", "2 个文件"]


def test_every_finding_that_the_program_makes_is_in_the_table() -> None:
    called = list(codes_called())
    assert len(called) > 50
    assert [(place, code) for place, code, _names in called if code not in FINDINGS] == []


def test_every_finding_in_the_table_is_made_by_the_program() -> None:
    assert sorted(FINDINGS.keys() - constants()) == []


def test_every_call_gives_the_values_that_the_text_asks_for() -> None:
    lacking = [
        (place, code, sorted(asked - names))
        for place, code, names in codes_called()
        if names is not None and (asked := fields(FINDINGS[code].text["en"])) - names
    ]
    assert lacking == []


@pytest.mark.parametrize("code", FINDINGS)
def test_both_texts_of_a_finding_have_the_same_placeholders(code: str) -> None:
    one = FINDINGS[code]
    assert all(one.text[language].strip() for language in LANGUAGES)
    assert fields(one.text["zh"]) == fields(one.text["en"])
    assert one.clause


@pytest.mark.parametrize("code", [code for code, one in FINDINGS.items() if one.fatal])
def test_what_refuses_says_what_to_do(code: str) -> None:
    assert re.search("[;:]", FINDINGS[code].text["en"])
    assert "；" in FINDINGS[code].text["zh"]


def test_a_finding_is_worded_in_the_language_in_use() -> None:
    before = messages.language()
    try:
        messages.use("zh")
        assert Finding.of("name-collision", "通知.pdf").message == "有两个文件同名；请重命名其中一个"
    finally:
        messages.use(before)


def test_the_files_of_the_language_travel_with_the_package() -> None:
    assert (Path(messages.__file__).parent / "locale/zh/LC_MESSAGES/lantai.mo").is_file()
