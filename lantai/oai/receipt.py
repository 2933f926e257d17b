"""A receipt of a harvest: one hash over a day's items, the same at who gives them and at who took them.

The tree is RFC 6962's (section 2.1), its leaves the items of a UTC day in the order of (datestamp, identifier). Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from lxml import etree

from ..digest import of_element
from . import Records
from .arguments import is_set, second


def leaf(identifier: str, datestamp: str, *, live: bool, metadata: str) -> bytes:
    """The hash of an item. datestamp: as its header has it; metadata: its digest (see digest), "" if it is deleted."""
    told = [identifier, datestamp, "live" if live else "deleted", metadata]
    line = _LINE(told).encode()
    return hashlib.sha256(b"\x00" + line).digest()


_LINE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def digest(metadata: str) -> str:
    """Of the element that is in <metadata>, such as oai_dc:dc, with the namespaces it needs (see of_element)."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return of_element(etree.fromstring(metadata.encode(), parser))


class Root:
    """Takes leaves one after the other and gives the root of their tree; keeps one hash for each binary digit of their
    number.
    """

    def __init__(self) -> None:
        self.count = 0
        self._whole: list[bytes] = []
        """Roots of whole subtrees, the largest first: as many leaves each as a one bit of count says."""

    def add(self, one: bytes) -> None:
        """one: what leaf gave."""
        joined = self.count  # each trailing one bit is a whole subtree of the same size
        while joined & 1:
            one, joined = _node(self._whole.pop(), one), joined >> 1
        self._whole.append(one)
        self.count += 1

    def value(self) -> bytes:
        """Of all that was added so far; of nothing, the hash of nothing."""
        if not self._whole:
            return hashlib.sha256(b"").digest()
        *rest, root = self._whole
        for one in reversed(rest):
            root = _node(one, root)
        return root


class BadReceipt(Exception):
    """What was asked for is no receipt; its text says why."""


def attested(
    arguments: Sequence[tuple[str, str]], records: Records, *, at: int, formats: Collection[str]
) -> bytes:  # fmt: skip
    """A receipt (docs/receipt.md), in JSON. arguments: metadataPrefix, and perhaps set and until, as of a list; at: the
    responseDate; formats: the prefixes there are. BadReceipt, NotYet.
    """
    given = dict(arguments)
    if len(given) < len(arguments):
        raise BadReceipt("An argument is repeated.")
    if given.keys() - {"metadataPrefix", "set", "until"}:
        raise BadReceipt("A receipt takes metadataPrefix, set and until.")
    prefix, spec, until = given.get("metadataPrefix"), given.get("set"), given.get("until")
    if prefix not in formats or prefix is None:
        raise BadReceipt("There is no format of this metadataPrefix.")
    if spec is not None and not is_set(spec):
        raise BadReceipt("Not a valid set.")
    last = second(until, end=True)
    if until is not None and last is None:
        raise BadReceipt("until must be a date YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ.")
    found = records.days(prefix, spec or "", at, at if last is None else last)
    days = [{"day": f"{_date(day):%Y-%m-%d}", "count": count, "root": root} for day, count, root in found]
    told = {
        "receipt": 1, "responseDate": f"{_EPOCH + timedelta(seconds=at):%Y-%m-%dT%H:%M:%SZ}", "metadataPrefix": prefix,
        "set": spec, "from": None, "until": until, "completeListSize": sum(count for _day, count, _root in found),
        "days": days,
    }  # fmt: skip
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _date(day: int) -> datetime:
    return _EPOCH + timedelta(day)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
