"""The inventory: read and written as a stream, so that its size costs no memory (OCFL 1.1 section 3.5). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from typing import BinaryIO, Literal, TypeAlias, get_args

import ijson  # type: ignore[import-untyped]

from ...errors import Damaged
from ...messages import _
from ...model import Agent, Version

TYPE = "https://ocfl.io/1.1/spec/#inventory"
DigestAlgorithm: TypeAlias = Literal["sha256", "sha512"]
ALGORITHMS: tuple[DigestAlgorithm, ...] = get_args(DigestAlgorithm)

_HEX = {"sha256": re.compile(r"[0-9a-fA-F]{64}"), "sha512": re.compile(r"[0-9a-fA-F]{128}")}
_LENGTHS, _DIGITS = {"sha256": 64, "sha512": 128}, b"0123456789abcdefABCDEF"
_OPENING = re.compile(
    rb'\{\s*"id": "[^"\\]+",\s*"type": "[^"\\]+",\s*"digestAlgorithm": "[^"\\]+",\s*"head": "v([1-9][0-9]{0,8})",'
)
_HEAD_KEYS = {"id", "type", "digestAlgorithm", "head", "contentDirectory"}


@dataclass(frozen=True, slots=True)
class Field:
    """id, type, digestAlgorithm, head or contentDirectory."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Content:
    """One line of the manifest: bytes of this digest lie at path, relative to the object."""

    digest: str
    path: str


@dataclass(frozen=True, slots=True)
class State:
    """One logical file of one version."""

    version: int
    digest: str
    path: str


@dataclass(frozen=True, slots=True)
class VersionInfo:
    number: int
    created: str
    message: str
    user: str
    address: str


Row: TypeAlias = Field | Content | State | VersionInfo


_BUFFERED = 64 * 1024


def read(source: BinaryIO, *, subject: str, buffered: int = _BUFFERED) -> Iterator[Row]:
    """Every row of an inventory, in the order of the file. Raises Damaged for what is no inventory.

    buffered: bytes that are parsed at once, fewer where only the first rows are asked for.
    """
    try:
        yield from _rows(source, buffered)
    except (ijson.JSONError, ValueError, UnicodeDecodeError) as error:
        raise Damaged(
            _("the inventory cannot be read ({reason})").format(reason=error),
            subject=subject,
            remedy=_("Restore it from a copy; nothing was changed."),
        ) from error


def _rows(source: BinaryIO, buffered: int) -> Iterator[Row]:
    version = 0
    info: dict[str, str] = {}
    digest = ""
    where: list[str] = []  # keys of the maps we are in
    key = ""
    for event, value in ijson.basic_parse(source, buf_size=buffered):
        if event == "map_key":
            key = value
            if where == ["", "versions"]:
                version = version_number(value)
                info = {}
            elif where and where[-1] in ("manifest", "state"):
                digest = value
        elif event == "start_map":
            where.append(key)
        elif event == "end_map":
            left = where.pop()
            if len(where) == 2 and where[-1] == "versions" and left != "versions":
                yield VersionInfo(
                    version,
                    info.get("created", ""),
                    info.get("message", ""),
                    info.get("name", ""),
                    info.get("address", ""),
                )
        elif event == "string":
            if where and where[-1] == "manifest" and len(where) == 2:
                yield Content(digest, value)
            elif where and where[-1] == "state":
                yield State(version, digest, value)
            elif where == [""]:
                if key in _HEAD_KEYS:
                    yield Field(key, value)
            elif where[:2] == ["", "versions"]:
                info[key] = value


@dataclass(frozen=True, slots=True)
class Whole:
    """All rows: versions by number, content paths by digest, the digest of each (version, logical path)."""

    fields: dict[str, str]
    versions: dict[int, VersionInfo]
    contents: dict[str, set[str]]
    states: dict[tuple[int, str], str]


def whole(data: bytes) -> Whole | None:
    """An inventory that is small enough to be in memory. None: it is none, or unlike those that we write: read tells
    what is wrong with it, if anything is.
    """
    if b"\\u" in data:  # of what is escaped so, some is no text
        return None
    try:
        told = json.loads(data.decode())
        versions = {version_number(name): one for name, one in told["versions"].items()}
        infos = {
            number: VersionInfo(number, one["created"], one["message"], one["user"]["name"], one["user"]["address"])
            for number, one in versions.items()
        }
        found = Whole(
            {name: told[name] for name in _HEAD_KEYS if name in told},
            infos,
            {digest.lower(): set(paths) for digest, paths in told["manifest"].items()},
            {
                (number, path): digest
                for number, one in versions.items()
                for digest, paths in zip(map(str.lower, one["state"]), one["state"].values(), strict=True)
                for path in paths
            },
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    lists = [*told["manifest"].values(), *(paths for one in versions.values() for paths in one["state"].values())]
    texts = chain(found.fields.values(), *(astuple(one)[1:] for one in infos.values()), *lists)
    is_plain = set(map(type, lists)) <= {list} and set(map(type, texts)) <= {str}
    return found if is_plain and len(found.contents) == len(told["manifest"]) else None


def stated_head(beginning: bytes) -> int | None:
    """The head's number, from the first bytes of an inventory that stands as write has it; None: read tells."""
    match = _OPENING.match(beginning)
    return int(match[1]) if match else None


def version_number(name: str) -> int:
    """v3 is 3. ValueError for anything else; zero-padded numbers are not ours (OCFL 1.1 3.1 advises against)."""
    if not re.fullmatch(r"v[1-9][0-9]{0,8}", name):
        raise ValueError(name)
    return int(name[1:])


def write(
    *,
    id: str,
    algorithm: DigestAlgorithm,
    manifest: Iterable[tuple[str, str]],
    versions: Iterable[tuple[VersionInfo, Iterable[tuple[str, str]]]],
    head: int,
) -> Iterator[bytes]:
    """manifest: (digest, content path) in order of digest; of each version (digest, logical path) in order of digest.

    The head stands first, so that whoever needs only it reads no further.
    """
    opening: Mapping[str, str] = {
        "id": id,
        "type": TYPE,
        "digestAlgorithm": algorithm,
        "head": f"v{head}",
        "contentDirectory": "content",
    }
    yield b"{\n" + b"".join(f"  {_json(name)}: {_json(value)},\n".encode() for name, value in opening.items())
    yield b'  "manifest": {'
    yield from _grouped(manifest, "    ")
    yield b'\n  },\n  "versions": {'
    for at, (info, state) in enumerate(versions):
        created, message, user, address = map(_json, (info.created, info.message, info.user, info.address))
        yield (
            ("," if at else "")
            + f'\n    "v{info.number}": {{\n      "created": {created},\n      "message": {message},\n'
            + f'      "user": {{"name": {user}, "address": {address}}},\n      "state": {{'
        ).encode()
        yield from _grouped(state, "        ")
        yield b"\n      }\n    }"
    yield b"\n  }\n}\n"


def _grouped(rows: Iterable[tuple[str, str]], indent: str) -> Iterator[bytes]:
    pending: list[str] = []
    first = True
    for digest, group in groupby(rows, key=itemgetter(0)):
        paths = ", ".join(_json(path) for _digest, path in group)
        pending.append(f'{"" if first else ","}\n{indent}"{digest}": [{paths}]')
        first = False
        if len(pending) == 256:
            yield "".join(pending).encode()
            pending.clear()
    yield "".join(pending).encode()


def _json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def sidecar(digest: str) -> bytes:
    """The inventory's digest file (OCFL 1.1 section 3.6)."""
    return f"{digest} inventory.json\n".encode()


def valid_digest(algorithm: str, value: str) -> bool:
    pattern = _HEX.get(algorithm)
    return bool(pattern and pattern.fullmatch(value))


def valid_digests(algorithm: str, values: Sequence[str]) -> bool:
    """Whether all are, asked at once of many."""
    if set(map(len, values)) != {_LENGTHS.get(algorithm)}:
        return False
    return not "".join(values).encode(errors="replace").translate(None, _DIGITS)


_NO_PART = frozenset(("", ".", ".."))


def valid_path(path: str) -> bool:
    """OCFL 1.1 E049, E051 to E053, E099 to E101: no empty, "." or ".." component, no slash at either end."""
    return _NO_PART.isdisjoint(path.split("/"))


def valid_paths(paths: Iterable[str]) -> bool:
    """Whether all are, asked at once of many. False also where a name begins with a dot."""
    joined = "/".join(("", *paths, ""))
    return "//" not in joined and "/." not in joined


def timestamp(at: datetime) -> str:
    """RFC 3339 with seconds, as OCFL 1.1 section 3.5.3.1 asks."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def address(agent: Agent) -> str:
    """A URI for the person, as OCFL 1.1 W009 asks: agents have ids, not mail addresses."""
    return agent.id if ":" in agent.id else f"urn:lantai:agent:{agent.id}"


def to_version(info: VersionInfo) -> Version:
    """Raises Damaged if the time is none (OCFL 1.1 E049)."""
    try:
        return Version(info.number, datetime.fromisoformat(info.created), info.user, info.message)
    except ValueError as error:
        raise Damaged(
            _("the inventory cannot be read ({reason})").format(reason=error),
            subject=f"v{info.number}",
            remedy=_("Restore it from a copy; nothing was changed."),
        ) from error
