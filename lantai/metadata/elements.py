"""Terms: what an element of a description says, how it is headed in a sheet, and what is read off it. Pure.

A term is one of Dublin Core (dc.title, dcterms.created), of ISAD(G) 2nd edition where Dublin Core has none
(isadg.extent), of DA/T 46-2009 and DA/T 50-2014 under its Chinese name (保管期限, 摄影者), or any other column under
its own heading. headings.csv is the table of the known ones, in canonical order; an archive may add to it.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from ..model import LEVELS, DateSpan, Description, Element, Extent, Level
from . import dates, extents

FILENAME = "filename"
"""The heading of the column that says which file or folder a row describes; no term of a description."""
LEVEL = "isadg.level"
REFERENCE_CODE = "isadg.reference_code"


@dataclass(frozen=True, slots=True)
class Term:
    """One line of headings.csv.

    dc: the element of the fifteen that it narrows (DCMI's dumb-down), where there is one.
    kind: what is read off it. year: only where no date is stated; recorded: a fact of the file, not a description.
    unit: of an extent that is a bare number.
    """

    name: str
    headings: Mapping[str, str]
    dc: str | None
    kind: Literal["", "date", "year", "extent", "recorded"]
    unit: str


def fold(text: str) -> str:
    """What two spellings of one heading, level or language share: case, width, space, punctuation fall away."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


@cache
def _table(name: str) -> tuple[Mapping[str, str], ...]:
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def _spellings(table: str, key: str) -> Mapping[str, str]:
    """Folded spelling -> the key of its line, for a table with the columns en, zh and also."""
    return {
        fold(spelling): row[key]
        for row in _table(table)
        for spelling in (row[key], row["en"], row["zh"], *row["also"].split(" | "))
        if spelling
    }


def _kind(text: str) -> Literal["", "date", "year", "extent", "recorded"]:
    for kind in ("date", "year", "extent", "recorded"):
        if text == kind:
            return kind
    return ""


@cache
def terms() -> Mapping[str, Term]:
    """The known terms, in canonical order."""
    return {
        row["term"]: Term(
            row["term"], {"en": row["en"], "zh": row["zh"]}, row["dc"] or None, _kind(row["kind"]), row["unit"]
        )
        for row in _table("headings.csv")
    }


@cache
def _ranks() -> Mapping[str, int]:
    return {name: rank for rank, name in enumerate(terms())}


def term_of(heading: str) -> str:
    """The term that a column heading names; one that the table lacks is its own, in one line without a colon."""
    line = " ".join(heading.split())
    return _spellings("headings.csv", "term").get(fold(line)) or line.rstrip(":：*＊ ") or line


def heading_of(term: str, language: str) -> str:
    """How a person reads a term: language is en or zh; a term that the table lacks is its own heading."""
    known = terms().get(term)
    return known.headings[language] if known else term


def simple(term: str) -> str | None:
    """The element of the fifteen of Dublin Core that says the same less precisely; None: none does."""
    known = terms().get(term)
    return known.dc if known else None


def language_of(text: str) -> str | None:
    """The language tag (BCP 47) for the name or code of a language that the table knows."""
    return _spellings("languages.csv", "tag").get(fold(text))


_LONGEST = 200  # characters; a longer heading is a misplaced text, and has no qualifiers to look for
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_SCHEME = re.compile(r"(?P<base>.+)\^\^(?P<scheme>\S+)")
_AT = re.compile(r"(?P<base>.+)@(?P<tag>[A-Za-z0-9_-]+)")
_BRACKETS = re.compile(r"(?P<base>.+?)\s*[\[(【〔](?P<tag>[^\[\](){}【】〔〕]+)[\])】〕]\s*[:*]*\s*")


def qualified(heading: str) -> Element:
    """A heading with its qualifiers, as an element still without a value.

    dc.title@en, dc.title[en_US], 题名（英文）: a language. dc.subject^^LCSH: a scheme. What stands in brackets is a
    language only if the whole heading is not known and the tag is: 尺寸(cm) is a column of its own.
    """
    text = heading.strip()
    if fold(text) in _spellings("headings.csv", "term") or len(text) > _LONGEST:
        return Element(term_of(text), "")
    wide = unicodedata.normalize("NFKC", text)
    if match := _SCHEME.fullmatch(wide):
        inner = qualified(match["base"])
        return Element(inner.term, "", inner.language, match["scheme"])
    if (match := _AT.fullmatch(wide)) and _TAG.fullmatch(match["tag"]):
        return Element(term_of(match["base"]), "", match["tag"].replace("_", "-"))
    if match := _BRACKETS.fullmatch(wide):
        language = _bracketed(match["base"], match["tag"].strip())
        if language is not None:
            return Element(term_of(match["base"]), "", language)
    return Element(term_of(text), "")


def _bracketed(base: str, tag: str) -> str | None:
    code = tag.replace("_", "-")
    if _TAG.fullmatch(code):
        explicit = base.startswith(("dc.", "dcterms.", "isadg."))
        primary = code.split("-")[0]
        # A code of three letters that has one of two is never used (RFC 5646 2.2.1).
        return code if len(primary) == 2 and (explicit or language_of(primary)) else language_of(tag)
    return language_of(tag)


def level_of(text: str) -> Level | None:
    """The level of description (ISAD(G) 3.1.4) by its name in either language (案卷, volume, 件); None: no such."""
    name = _spellings("levels.csv", "level").get(fold(text))
    return next((level for level in LEVELS if level == name), None)


def level_name(level: Level, language: str) -> str:
    """How a person reads a level: language is en or zh."""
    return next(row[language] for row in _table("levels.csv") if row["level"] == level)


def type_name(type: str, language: str) -> str:
    """How a person reads a term of the DCMI Type Vocabulary, folded; another is its own name. language is en or zh."""
    return next((row[language] for row in _table("types.csv") if row["type"] == type), type)


def canonical(elements: Iterable[Element]) -> tuple[Element, ...]:
    """Known terms in the table's order, then other terms as they first appear; within a term, as given."""
    given = tuple(elements)
    ranks = dict(_ranks())
    for element in given:
        ranks.setdefault(element.term, len(ranks))
    return tuple(sorted(given, key=lambda element: ranks[element.term]))


def describes(elements: Iterable[Element]) -> bool:
    """Whether anything is said beyond what a sheet records of every file: its size and time."""
    known = terms()
    return any(element.term not in known or known[element.term].kind != "recorded" for element in elements)


def description(level: Level, elements: Iterable[Element]) -> Description:
    """A description whole: the elements in canonical order, the dates and extents as they are read off them.

    The only way a description is made, at ingest and when a package's EAD3 is read back, so that both are equal.
    """
    ordered = canonical(elements)
    stated = _dates(ordered, "date") or _dates(ordered, "year")
    return Description(level, ordered, stated, tuple(extent for element in ordered for extent in _extents(element)))


def _dates(elements: Iterable[Element], kind: str) -> tuple[DateSpan, ...]:
    known = terms()
    spans = (dates.parse(e.value) for e in elements if e.term in known and known[e.term].kind == kind)
    return tuple(dict.fromkeys(spans))


def _extents(element: Element) -> tuple[Extent, ...]:
    known = terms().get(element.term)
    return extents.parse(element.value, known.unit) if known is not None and known.kind == "extent" else ()
