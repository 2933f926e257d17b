"""What lies beside packages in a store, put right: what every lantai lays there is known byte for byte."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from ..model import Finding
from ..storage.ocfl import Root
from .repair import Keep

_ROOMS = ("ocfl/", "schemas/", "journal/")
"""Where nobody but lantai lays anything. What lies outside them in a bucket or on a disk may be another program's."""
_LATER = re.compile(r"schemas/(?:journal-segment|journal-entry|remote-segment)-[0-9]+\.json")
_EXTENSION = re.compile(r"ocfl/extensions/[^/]+/")


def put_back(root: Root, laid: Mapping[str, bytes], findings: Iterable[Finding], *, keep: Keep) -> Iterator[str]:
    """What is not as it was laid, written anew; what nobody laid, taken out. Each key; what was there is kept first.

    What may be somebody's is left to a person. StoreUnavailable.
    """
    found = tuple(findings)
    strays = [one.subject for one in found if one.code == "store-stray"]
    for key in (one.subject for one in found if one.code == "store-file"):
        if root.exists(key):
            keep(key, root.chunks(key))
        root.store.put(key, lambda data=laid[key]: (data,), algorithms=())  # type: ignore[misc]
        yield key
    for key in strays:
        if not may_be_somebodys(key, laid, strays) and root.exists(key):
            keep(key, root.chunks(key))
            root.store.delete(key)
            yield key
    root.store.sync()


def may_be_somebodys(key: str, laid: Collection[str], strays: Iterable[str]) -> bool:
    """Whether a stray may lie where it does with somebody's intent: outside lantai's rooms, a later lantai's schema, an
    extension of OCFL that other software keeps, or a part of an object, however it came there.
    """
    if not key.startswith(_ROOMS) or _LATER.fullmatch(key):
        return True
    extension = _EXTENSION.match(key)
    if extension and not any(one.startswith(extension[0]) for one in laid):
        return True
    objects = (one.rpartition("/")[0] + "/" for one in strays if "/0=ocfl_object_" in one)
    return any(key.startswith(one) for one in objects)
