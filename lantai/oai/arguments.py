"""The arguments of an OAI-PMH 2.0 request (section 3.1.1), and everything that can be wrong with them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ..metadata.xml import ILLEGAL

Code = Literal[
    "badArgument",
    "badResumptionToken",
    "badVerb",
    "cannotDisseminateFormat",
    "idDoesNotExist",
    "noMetadataFormats",  # never: every item has every format
    "noRecordsMatch",
    "noSetHierarchy",
]
"""Section 3.6."""


class Refused(Exception):
    """errors: every one that was found (section 3.6), at least one."""

    def __init__(self, *errors: tuple[Code, str]) -> None:
        super().__init__(*errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Verb:
    """Its arguments (section 4). resumable: it takes a resumptionToken instead of all others."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    resumable: bool = False


_PREFIX, _SELECTION = frozenset({"metadataPrefix"}), frozenset({"from", "until", "set"})
VERBS: Mapping[str, Verb] = {
    "Identify": Verb(),
    "ListMetadataFormats": Verb(optional=frozenset({"identifier"})),
    "ListSets": Verb(resumable=True),
    "GetRecord": Verb(_PREFIX | {"identifier"}),
    "ListIdentifiers": Verb(_PREFIX, _SELECTION, resumable=True),
    "ListRecords": Verb(_PREFIX, _SELECTION, resumable=True),
}

_SYNTAX = {
    "identifier": re.compile(f"((?!{ILLEGAL.pattern})(?s:.))+"),
    "metadataPrefix": re.compile(r"[A-Za-z0-9\-_.!~*'()]+"),
    "set": re.compile(r"[A-Za-z0-9\-_.!~*'()]+(:[A-Za-z0-9\-_.!~*'()]+)*"),
}
"""OAI-PMH.xsd: metadataPrefixType, setSpecType. An identifier that is no URI does not exist, but XML must be able to
hold it; a resumptionToken of any form is at worst a bad one.
"""

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)?")
_DAY = len("YYYY-MM-DD")

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!//)([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})+")
"""RFC 3986, without an authority, which has rules of its own."""


def read(arguments: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The arguments by name, each legal, there once and well-formed, none missing."""
    verbs = [value for name, value in arguments if name == "verb"]
    if len(verbs) != 1:
        raise Refused(("badVerb", "The verb is repeated." if verbs else "The verb is missing."))
    verb = VERBS.get(verbs[0])
    if verb is None:
        raise Refused(("badVerb", f"There is no verb {_quoted(verbs)}."))
    given, counted = dict(arguments), Counter(name for name, _ in arguments)
    resumed = verb.resumable and "resumptionToken" in given
    legal = {"verb", *verb.required, *verb.optional} | ({"resumptionToken"} if verb.resumable else set())
    required = frozenset() if resumed else verb.required  # section 3.5: the token is an exclusive argument
    wrong: list[str] = []
    if illegal := given.keys() - legal:
        wrong.append(f"{verbs[0]} takes no {_quoted(illegal)}.")
    if repeated := {name for name, count in counted.items() if count > 1}:
        wrong.append(f"Given more than once: {_quoted(repeated)}.")
    if missing := required - given.keys():
        wrong.append(f"Missing: {_quoted(missing)}.")
    if resumed and (legal & given.keys()) - {"verb", "resumptionToken"}:
        wrong.append("With a resumptionToken nothing else may be given.")
    known = {name: value for name, value in given.items() if name in legal}
    for name, syntax in _SYNTAX.items():
        if name in known and not syntax.fullmatch(known[name]):
            wrong.append(f"Not a valid {name}.")
    wrong += _wrong_range(known.get("from"), known.get("until"))
    if wrong:
        raise Refused(*(("badArgument", why) for why in wrong))
    return known


def _wrong_range(since: str | None, until: str | None) -> list[str]:
    """Section 2.7.1, selective harvesting and datestamps."""
    first, last = second(since), second(until, end=True)
    malformed = [
        f"{name} must be a date YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ."
        for name, text, value in (("from", since, first), ("until", until, last))
        if text is not None and value is None
    ]
    if malformed or since is None or until is None or first is None or last is None:
        return malformed
    if len(since) != len(until):
        return ["from and until must have the same granularity."]
    return ["from is later than until."] if first > last else []


def second(text: str | None, *, end: bool = False) -> int | None:
    """In UTC, of a day its first or at its end its last one; None where there is no valid one."""
    if text is None or not _INSTANT.fullmatch(text):
        return None
    try:
        first = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:  # a 30th of February
        return None
    return first + 86_399 if end and len(text) == _DAY else first


def is_set(spec: str) -> bool:
    """Whether it may be the setSpec of a set, be there such a set or not."""
    return _SYNTAX["set"].fullmatch(spec) is not None


def _quoted(words: Iterable[str]) -> str:
    """Of thousands only some, of long ones the beginning: an answer must not cost more than the question."""
    words = sorted(words)
    return ", ".join(f'"{word[:40]}"' for word in words[:3]) + (", …" if words[3:] else "")


def echoed(name: str, value: str) -> bool:
    """Section 3.2: the request element has the arguments. An identifier that does not exist may also be no URI, which
    the schema wants there: it is left out.
    """
    return name != "identifier" or _URI.fullmatch(value) is not None
