"""Payload names: which can be stored as they are, and the safe path of those that cannot.

A name keeps its bytes where it can. What cannot be a path, or is not read alike by bag and OCFL validators (RFC 8493
2.1.3), lies under an alias that depends on the name's own bytes only, so that it is the same on every machine.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path
from types import TracebackType

from ..storage import MAX_COMPONENT

MAX_PATH = 700
"""Bytes of UTF-8 that a payload path may have: a key may have 900, and the way to the payload takes about 200."""
_MAX_HEAD = 200

# % is written %25 by RFC 8493 but not read so by all; the others end a line for some reader, or cannot stand in XML.
_UNREADABLE = re.compile("[\x00-\x1f\x7f-\x9f%/\u2028\u2029\ud800-\udfff\ufffe\uffff]")
# White space at the end is stripped by readers of manifests, a dot by Windows.
_END = re.compile(r"[\s.]+\Z")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|\Z)", re.IGNORECASE | re.ASCII)
_EXTENSION = re.compile(r"(?<=.)\.[A-Za-z0-9_-]{1,16}\Z", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9_-]{5,100}(?:\.[A-Za-z0-9]{1,16})?")


def octets(name: str) -> bytes:
    """The bytes of a name: surrogate escapes as the bytes they stand for, other lone surrogates as three bytes each."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return b"".join(
            one.encode("utf-8", "surrogateescape" if "\udc80" <= one <= "\udcff" else "surrogatepass") for one in name
        )


def extension(name: str) -> str:
    """The extension with its dot, where it is one that format registries could know; else empty."""
    found = _EXTENSION.search(_END.sub("", name.rpartition("/")[2]))
    return found.group() if found else ""


def key(component: str) -> str:
    """What two names share that cannot lie in one folder: they are equal after NFC."""
    return component if component.isascii() else unicodedata.normalize("NFC", component)


def is_safe(component: str) -> bool:
    """Whether one component of a path is stored as it is."""
    if _PLAIN.fullmatch(component):
        return True
    return (
        component != ""
        and not _UNREADABLE.search(component)
        and not _END.search(component)
        and not _DEVICE.match(component)
        and len(component.encode()) <= MAX_COMPONENT
    )


def candidates(component: str) -> Iterator[str]:
    """The names that a component may lie under, first choice first, without end: itself if safe, then its aliases.

    The first whose key is not taken in its folder is its name.
    """
    if is_safe(component):
        yield component
    for attempt in count():
        yield _alias(component, attempt)


def short_folder(original: str, safe_folder: str, attempt: int = 0) -> str:
    """The one component that stands for a folder whose path is too long: its first part and a digest of the whole."""
    return _cut(safe_folder.partition("/")[0], _MAX_HEAD) + _mark(original, attempt, 16)


def fits(path: str) -> bool:
    """Whether a path of safe components is short enough to be stored."""
    return len(path) * 4 <= MAX_PATH or len(path.encode()) <= MAX_PATH


def safe(original: str | bytes) -> str:
    """The safe path of a relative path ("/" between components, undecodable bytes as surrogate escapes), seen alone.

    The first choice for it; a twin in the same folder gets a later one (see candidates). A safe path is its own.
    """
    if isinstance(original, bytes):
        original = original.decode("utf-8", "surrogateescape")
    path = "/".join(next(candidates(component)) for component in original.split("/"))
    if fits(path):
        return path
    folder, _, name = path.rpartition("/")
    return f"{short_folder(original.rpartition('/')[0], folder)}/{name}"


def _alias(component: str, attempt: int) -> str:
    ending = extension(component)
    stem = _END.sub("", component).removesuffix(ending)
    stem = _UNREADABLE.sub("_", stem) or "_"
    if _DEVICE.match(stem + ending):
        stem = "_" + stem
    mark = _mark(component, attempt, 8)
    return _cut(stem, MAX_COMPONENT - len(mark) - len(ending)) + mark + ending


def _mark(name: str, attempt: int, digits: int) -> str:
    # No name holds NUL and survives, so that a later attempt is no other name's first.
    told = octets(name) + (b"\0%d" % attempt if attempt else b"")
    return "~" + sha256(told).hexdigest()[:digits]


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode("utf-8", "ignore")


class Taken(Exception):
    """Two members of one archive have this name."""


class Names:
    """The names of one archive's members: gives each its safe path, and finds those that are there twice.

    Members come in any order, so every name has to be remembered; a million would cost 100 MB even as bare hashes.
    They lie in a temporary SQLite file, a row for each component, in memory that does not grow.
    """

    _REMEMBERED = 4096

    def __init__(self, file: Path) -> None:
        self._rows = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._rows.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;"
            "CREATE TABLE name (id INTEGER PRIMARY KEY, parent INTEGER, key TEXT, original BLOB, path TEXT,"
            " folder INTEGER, stated BLOB, filled INTEGER DEFAULT 0, UNIQUE (parent, key));"
            "CREATE TABLE link (path TEXT PRIMARY KEY, original BLOB, target BLOB); BEGIN;"
        )
        self._folders: dict[str, tuple[int, str]] = {}
        self._filled: set[int] = set()

    def __enter__(self) -> Names:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._rows.close()

    def file(self, original: str) -> str:
        """The safe path of a file. Raises Taken if a member has its name, or a file that of a folder above it."""
        folder, _, name = original.rpartition("/")
        parent, above = self._folder(folder)
        _id, path = self._place(parent, above, name, is_folder=False)
        if fits(path):
            return path
        for attempt in count():
            try:
                _id, head = self._place(0, "", short_folder(folder, above, attempt), is_folder=True)
            except Taken:
                continue
            return f"{head}/{path.rpartition('/')[2]}"
        raise AssertionError

    def folder(self, original: str) -> None:
        """Note a folder that the archive has as a member of its own. Raises Taken if a file has its name."""
        number, _path = self._folder(original)
        self._rows.execute("UPDATE name SET stated = ? WHERE id = ?", (_blob(original), number))

    def empty_folders(self) -> Iterator[str]:
        """Original paths of folders noted that hold nothing."""
        found = self._rows.execute("SELECT stated FROM name WHERE stated IS NOT NULL AND NOT filled ORDER BY stated")
        return (_text(row[0]) for row in found)

    def link(self, path: str, original: str, target: str) -> None:
        """Note a link: its safe path, its original path, the original path of the member that it points to."""
        self._rows.execute("INSERT INTO link VALUES (?, ?, ?)", (path, _blob(original), _blob(target)))

    def follow_links(self, steps: int = 40) -> bool:
        """Make links to links point to what those point to. False if there are no links."""
        self._rows.execute("CREATE INDEX link_original ON link (original)")
        self._rows.execute("CREATE INDEX link_target ON link (target)")
        for _step in range(steps):
            followed = self._rows.execute(
                "UPDATE link SET target = (SELECT next.target FROM link AS next WHERE next.original = link.target)"
                " WHERE target IN (SELECT original FROM link)"
            )
            if not followed.rowcount:
                break
        return self._rows.execute("SELECT 1 FROM link").fetchone() is not None

    def links_to(self, target: str) -> list[tuple[str, str]]:
        """Safe and original path of the links to a member; forgotten on return, so that what is left points nowhere."""
        found = self._rows.execute("DELETE FROM link WHERE target = ? RETURNING path, original", (_blob(target),))
        return [(path, _text(original)) for path, original in found.fetchall()]

    def links(self) -> Iterator[tuple[str, str]]:
        """Original path and target of every link not yet forgotten."""
        found = self._rows.execute("SELECT original, target FROM link ORDER BY original")
        return ((_text(original), _text(target)) for original, target in found)

    def _folder(self, original: str) -> tuple[int, str]:
        if not original:
            return 0, ""
        known = self._folders.get(original)
        if known is None:
            above, _, name = original.rpartition("/")
            known = self._place(*self._folder(above), name, is_folder=True)
            if len(self._folders) >= self._REMEMBERED:
                self._folders.clear()
                self._filled.clear()
            self._folders[original] = known
        return known

    def _place(self, parent: int, above: str, name: str, *, is_folder: bool) -> tuple[int, str]:
        # Candidates always come in the same order and are never given back, so a name finds its own row again.
        original = _blob(name)
        for candidate in candidates(name):
            path = f"{above}/{candidate}" if above else candidate
            added = self._rows.execute(
                "INSERT INTO name (parent, key, original, path, folder) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (parent, key(candidate), original, candidate, is_folder),
            )
            if added.rowcount:
                if parent not in self._filled:
                    self._filled.add(parent)
                    self._rows.execute("UPDATE name SET filled = 1 WHERE id = ?", (parent,))
                return added.lastrowid or 0, path
            number, there, was_folder = self._rows.execute(
                "SELECT id, original, folder FROM name WHERE parent = ? AND key = ?", (parent, key(candidate))
            ).fetchone()
            if there == original:
                if is_folder and was_folder:
                    return int(number), path
                raise Taken(name)
        raise AssertionError


def _blob(name: str) -> bytes:
    return octets(name)


def _text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogateescape")
