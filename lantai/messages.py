"""What a person reads: gettext (Chinese and English), and the table of finding codes (findings.csv)."""

from __future__ import annotations

import csv
import gettext
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

DOMAIN = "lantai"
LANGUAGES = ("en", "zh")

_locales = str(resources.files(__package__).joinpath("locale"))
_chosen: list[str] = ["en"]
_translation: list[gettext.NullTranslations] = [gettext.NullTranslations()]


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding: code, clause of the standard behind it, fatal or not, text in each language."""

    code: str
    clause: str
    fatal: bool
    text: Mapping[str, str]


def _read_table() -> dict[str, Code]:
    text = resources.files(__package__).joinpath("findings.csv").read_text("utf-8")
    return {
        row["code"]: Code(row["code"], row["clause"], row["fatal"] == "yes", {name: row[name] for name in LANGUAGES})
        for row in csv.DictReader(text.splitlines())
    }


FINDINGS: Mapping[str, Code] = _read_table()


def use(language: str) -> None:
    """From here on speak language: en, zh, or a locale name such as zh_CN.UTF-8. What is not known is English."""
    name = language.split(".")[0].split("_")[0].lower()
    chosen = name if name in LANGUAGES else "en"
    _chosen[0] = chosen
    _translation[0] = gettext.translation(DOMAIN, _locales, [chosen], fallback=True)
    # click takes its own words from the process-wide domain, which is found by this variable.
    os.environ["LANGUAGE"] = chosen
    gettext.bindtextdomain(DOMAIN, _locales)
    gettext.textdomain(DOMAIN)


def language() -> str:
    return _chosen[0]


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """As use, for a while."""
    before = language()
    use(name)
    try:
        yield
    finally:
        use(before)


def of_environment(environment: Mapping[str, str]) -> str:
    """The language that LC_ALL, LC_MESSAGES or LANG ask for, in POSIX's order."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return environment[name]
    return "en"


def _(message: str) -> str:
    return _translation[0].gettext(message)


def N_(message: str) -> str:
    """Marks a text for translation where it is written and not yet shown."""
    return message


def said(message: str, language: str) -> str:
    """A text that N_ marked, in that language whatever the one in use."""
    return gettext.translation(DOMAIN, _locales, [language], fallback=True).gettext(message)


def ngettext(one: str, many: str, number: int) -> str:
    return _translation[0].ngettext(one, many, number)


def finding_text(code: str, values: Mapping[str, object], language: str | None = None) -> str:
    """The text of a finding in that language, else the one in use. KeyError: the table has no such code."""
    return FINDINGS[code].text[language or _chosen[0]].format_map(values)
