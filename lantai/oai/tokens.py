"""Resumption tokens (OAI-PMH 2.0 section 3.5): all that a list needs to go on, in a text that only we can write.

No server keeps them, so any server that has the key goes on with any list. Pure.
"""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass

_VERSION = b"\x02"  # another one whenever what follows it is read in another way
_SUM = 32  # bytes of SHA-256


class BadToken(Exception):
    """Not a token of this archive, or no longer: the OAI-PMH error badResumptionToken."""


@dataclass(frozen=True, slots=True)
class Token:
    """prefix, spec, since, until: the list's arguments as they were given, since what was not given must stay open: an
    until that froze would lose what changes during the harvest. last: (datestamp, id) of the last item given, of sets
    (0, setSpec); cursor: how many were given; size: how many there were when the list began, where that is known;
    expires: seconds since 1970, the first at which it holds no more.
    """

    verb: str
    prefix: str | None
    spec: str | None
    since: str | None
    until: str | None
    last: tuple[int, str]
    cursor: int
    size: int | None
    expires: int


def seal(token: Token, key: bytes, archive: str) -> str:
    """The same text for the same token. Letters, digits, - and _ only: nothing of it needs escaping in a URL, which
    section 3.1.1.3 asks for and harvesters forget. archive: its uuid; elsewhere the token does not hold.
    """
    one = token
    fields = (one.verb, one.prefix, one.spec, one.since, one.until, one.last, one.cursor, one.size, one.expires)
    told = json.dumps(fields, separators=(",", ":")).encode("ascii")
    return _spelled(_VERSION + _sum(told, key, archive) + told)


def unseal(text: str, key: bytes, archive: str, now: int) -> Token:
    """BadToken, whatever the text is, unless seal made it with this key for this archive and it holds at now, in
    seconds.
    """
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError as error:
        raise BadToken("The resumptionToken is none of this repository.") from error
    version, given, told = raw[:1], raw[1 : 1 + _SUM], raw[1 + _SUM :]
    # base64 overlooks foreign characters and spare bits: many texts, one meaning. Only the one that seal writes holds.
    if version != _VERSION or _spelled(raw) != text or not hmac.compare_digest(given, _sum(told, key, archive)):
        raise BadToken("The resumptionToken is none of this repository.")
    verb, prefix, spec, since, until, (stamp, id), cursor, size, expires = json.loads(told)
    if now >= expires:
        raise BadToken("The resumptionToken has expired.")
    return Token(verb, prefix, spec, since, until, (stamp, id), cursor, size, expires)


def _spelled(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _sum(told: bytes, key: bytes, archive: str) -> bytes:
    """HMAC-SHA256 under a key that is this archive's and for this use, so that a key two archives share, or one that
    signs other things too, signs no token of another.
    """
    own = hmac.digest(key, b"OAI-PMH resumption token of " + archive.encode(), "sha256")
    return hmac.digest(own, _VERSION + told, "sha256")
