"""Where an object lies: OCFL extension 0003, hash and id n-tuple storage layout. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from ...model import PackageId
from .. import MAX_COMPONENT

NAME = "0003-hash-and-id-n-tuple-storage-layout"
_TUPLE_SIZE, _TUPLES = 3, 3
_RESERVED = re.compile("[^A-Za-z0-9_-]")
_SHORTENED = "long"
DRAFT_CONTENT = re.compile(r"v([1-9][0-9]*)/content/([0-9a-f]{8})((?:-[0-9a-f]+)?)/")
"""Of a path below an object: which version's draft, and which attempt at it, the content is or was of."""
_STAGING = re.compile(r"staging/([^/]+)/v([1-9][0-9]*)-([0-9a-f]{8})/")


@dataclass(frozen=True, slots=True)
class Staged:
    """A draft, by the name of its staging folder."""

    package: PackageId
    number: int
    draft: str

    @classmethod
    def parse(cls, key: str) -> Staged | None:
        match = _STAGING.match(key)
        return cls(PackageId(unquote(match[1])), int(match[2]), match[3]) if match else None


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02x}" for byte in found[0].encode())


@lru_cache(1024)
def encoded(package: PackageId) -> str:
    """The id as one path component: everything but A-Z a-z 0-9 - _ percent-encoded in lower case (extension 0003)."""
    name = _RESERVED.sub(_percent, package)
    if len(name) > 100:
        name = name[:100] + "-" + hashlib.sha256(package.encode()).hexdigest()
    return name


@lru_cache(1024)
def object_path(package: PackageId) -> str:
    """Below the storage root, without a slash at the end."""
    digest = hashlib.sha256(package.encode()).hexdigest()
    tuples = [digest[at * _TUPLE_SIZE : (at + 1) * _TUPLE_SIZE] for at in range(_TUPLES)]
    return "/".join([*tuples, encoded(package)])


def root_files() -> dict[str, bytes]:
    """What a storage root holds beside objects: declaration, layout, its configuration (OCFL 1.1 section 4)."""
    layout = {
        "extension": NAME,
        "description": "Hash-and-id n-tuple layout; object folders carry the percent-encoded id",
    }
    config = {"extensionName": NAME, "digestAlgorithm": "sha256", "tupleSize": _TUPLE_SIZE, "numberOfTuples": _TUPLES}
    return {
        "0=ocfl_1.1": b"ocfl_1.1\n",
        "ocfl_layout.json": _json(layout),
        f"extensions/{NAME}/config.json": _json(config),
    }


def content_path(version: int, draft: str, path: str, *, room: int) -> str:
    """Where the bytes of the logical path lie, relative to the object; shortened with a digest where a store's limits
    ask for it (OCFL 1.1 section 3.3.1 lets content path and logical path differ). room: bytes left for the whole.
    """
    whole, first = f"v{version}/content/{draft}/{path}", path.partition("/")[0]
    fits = len(whole.encode()) <= room and all(len(part.encode()) <= MAX_COMPONENT for part in path.split("/"))
    if fits and first != _SHORTENED:
        return whole
    return f"v{version}/content/{draft}/{_SHORTENED}/{hashlib.sha256(path.encode()).hexdigest()}"


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
