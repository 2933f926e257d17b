"""Fido (opf-fido), in this process: the second opinion.

Fido's signatures and rules without its main loop. That one waits without end for a file that shrinks while it is read,
parses the container signatures again for each container, reads a container's streams whole however far they swell, and
writes to the process's standard streams. Here patterns are compiled once, which is several times faster too; a test
holds the answers to fido's own.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree

from ..model import Format
from . import reason, stat_of
from .chain import chain

BUFFER = 128 << 10
"""Bytes looked at from each end of a file: fido's default."""
CONTAINER_BUFFER = 512 << 10
"""Bytes looked at of a stream in a zip: fido's default, which it names and does not keep."""
LARGEST_OLE = 64 << 20
"""Bytes. A larger OLE file is not looked into, since fido reads its streams whole."""

_Element: TypeAlias = "ElementTree.Element[str]"
_FIRST = re.compile(rb"\(\?s\)\\A(?:\\x([0-9a-f]{2})|([\w<%!#@]))(?![?*+{])")
"""A pattern of fido's that begins with a plain byte; its alternatives always stand in parentheses."""
_Streams: TypeAlias = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
"""A stream's path, PUID, signatures: one that is found in the stream makes it so."""


@dataclass(frozen=True, slots=True)
class _Signature:
    name: str
    first: int | None  # the byte that a file must begin with, where that is plain
    start: tuple[Callable[[bytes], object], ...]  # all of these find something in the first bytes
    end: tuple[Callable[[bytes], object], ...]  # and all of these in the last

    def fits(self, start: bytes, end: bytes) -> bool:
        # A plain loop: this runs hundreds of times a file.
        for found in self.start:
            if not found(start):
                return False
        return all(found(end) for found in self.end)


@dataclass(frozen=True, slots=True)
class _Known:
    """A format as fido knows it."""

    puid: str
    name: str
    version: str
    mime: str | None
    container: str | None
    inferior: frozenset[str]  # the PUIDs that it has priority over
    extensions: frozenset[str]
    signatures: tuple[_Signature, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """What fido ships, read once in a process."""

    tool: str
    signature: str
    formats: Mapping[str, _Known]  # by PUID, in fido's order
    inside: Mapping[str, Callable[[Path], Iterable[str]]]  # by kind of container: the PUIDs of its content


class Fido:
    """Fido with the PRONOM and container signatures it ships. Safe to call from several threads.

    The signatures of its own making are left out (fido's -pronom_only), since their identifiers are not PRONOM's.
    Where only the name says something, one format is an answer, and several are named in the warning of an unknown.
    """

    @property
    def _table(self) -> _Table:
        # When first needed: a third of a second.
        return _table()

    @property
    def tool(self) -> str:
        return self._table.tool

    @property
    def signature(self) -> str:
        return self._table.signature

    def identify(self, files: Sequence[Path]) -> list[tuple[Format, ...]]:
        """Every match that fido gives, in its order; a container's content instead of the container."""
        return [tuple(self._identify(file)) for file in files]

    def _identify(self, file: Path) -> Iterable[Format]:
        try:
            size, start, end = _ends(file)
        except (OSError, ValueError) as error:
            return [self._unknown(reason(error))]
        if not size:
            return self._by_name(file, "empty file")
        found = self._by_bytes(start, end)
        inside, warning = self._inside(file, [known for known, _name in found])
        if inside:
            return [self._answer(known, f"container match: {known.name}") for known in inside]
        if found:
            return [self._answer(known, f"signature match: {name}", warning) for known, name in found]
        return self._by_name(file)

    def _by_bytes(self, start: bytes, end: bytes) -> list[tuple[_Known, str]]:
        """Formats with the names of their signatures, without those that another of them has priority over."""
        found: list[tuple[_Known, str]] = []
        inferior: set[str] = set()
        for known, one in _likely(start[0]):
            if known.puid not in inferior and one.fits(start, end):
                found.append((known, one.name))
                inferior |= known.inferior
        return [(known, name) for known, name in found if known.puid not in inferior]

    def _inside(self, file: Path, found: Sequence[_Known]) -> tuple[list[_Known], str]:
        """The formats that a container's content makes it, and what kept us from looking."""
        kind = next((known.container for known in found if known.container), "")
        if kind not in self._table.inside:
            return [], ""
        try:
            puids = dict.fromkeys(self._table.inside[kind](file))
        except Exception as error:  # zipfile and olefile let out a dozen kinds for what a file holds
            return [], f"container cannot be read: {str(error) or type(error).__name__}"
        return [self._table.formats[puid] for puid in puids if puid in self._table.formats], ""

    def _by_name(self, file: Path, why: str = "") -> Iterable[Format]:
        extension = file.suffix.lower().lstrip(".")
        found = [known for known in self._table.formats.values() if extension in known.extensions]
        inferior = frozenset[str]().union(*(known.inferior for known in found))
        found = [known for known in found if known.puid not in inferior]
        if len(found) == 1:
            return [self._answer(found[0], f"extension match {extension}", _join(why, "match on extension only"))]
        possible = "possibilities based on extension are " + ", ".join(known.puid for known in found)
        return [self._unknown(_join(why, "no match", possible if found else ""))]

    def _answer(self, known: _Known, basis: str, warning: str = "") -> Format:
        return Format(known.puid, known.name, known.version, known.mime, basis, warning, self.tool, self.signature)

    def _unknown(self, warning: str) -> Format:
        return Format(None, "", "", None, "", warning, self.tool, self.signature)


def _join(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def _ends(file: Path) -> tuple[int, bytes, bytes]:
    """Size, and the first and last bytes that fido looks at."""
    stat_of(file)
    with file.open("rb") as stream:
        start = stream.read(BUFFER)
        size = stream.seek(0, 2)
        stream.seek(max(0, size - BUFFER))
        return size, start, stream.read(BUFFER)


def _in_zip(file: Path, streams: _Streams) -> Iterator[str]:
    with zipfile.ZipFile(file) as package:
        names = frozenset(package.namelist())
        for path, formats in streams.items():
            if path in names:
                with package.open(path) as stream:
                    content = stream.read(CONTAINER_BUFFER)
                yield from _matching(content, formats)


def _matching(content: bytes, formats: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for puid, signatures in formats.items():
        if any(re.search(one["signature"], content) for one in signatures):
            yield puid


@cache
def _table() -> _Table:
    with warnings.catch_warnings():
        # Fido and what it imports warn of their own age.
        warnings.simplefilter("ignore")
        import fido as distribution  # type: ignore[import-untyped]  # noqa: PLC0415
        from fido.fido import Fido as Engine  # type: ignore[import-untyped]  # noqa: PLC0415
        from fido.package import OlePackage  # type: ignore[import-untyped]  # noqa: PLC0415
        from fido.versions import get_local_versions  # type: ignore[import-untyped]  # noqa: PLC0415

        shipped = get_local_versions()
        engine = Engine(quiet=True, format_files=[shipped.pronom_signature])
        formats = {engine.get_puid(one): _known(engine, one) for one in engine.formats}
    containers = ElementTree.parse(Path(engine.conf_dir, shipped.pronom_container_signature))
    zipped, ole = (engine.extract_signatures(containers, kind) for kind in ("ZIP", "OLE2"))

    def in_ole(file: Path) -> Iterable[str]:
        if file.stat().st_size > LARGEST_OLE:
            raise ValueError(f"larger than {LARGEST_OLE} bytes")
        said: list[str] = OlePackage(str(file), ole).detect_formats()
        return said

    return _Table(
        tool=f"fido {distribution.__version__}",
        signature=f"{shipped.pronom_signature} ({shipped.pronom_container_signature})",
        formats=formats,
        inside={"zip": lambda file: _in_zip(file, zipped), "ole": in_ole},
    )


@cache
def _likely(first: int) -> tuple[tuple[_Known, _Signature], ...]:
    """The signatures that a file with that first byte may have, in fido's order: one in four of all."""
    return tuple(
        (known, one)
        for known in _table().formats.values()
        for one in known.signatures
        if one.first is None or one.first == first
    )


def _known(engine: Any, one: _Element) -> _Known:
    puid = one.findtext("puid", "")
    return _Known(
        puid=puid,
        name=one.findtext("name", ""),
        version=one.findtext("version") or "",
        mime=one.findtext("mime") or None,
        container=one.findtext("container") or ("ole" if puid == "fmt/111" else None),
        inferior=engine.puid_has_priority_over_map[puid],
        extensions=frozenset(name.text.lower() for name in one.findall("extension") if name.text),
        signatures=tuple(_signature(engine, signature) for signature in one.findall("signature")),
    )


def _signature(engine: Any, one: _Element) -> _Signature:
    start: list[Callable[[bytes], object]] = []
    end: list[Callable[[bytes], object]] = []
    first: int | None = None
    for pattern in engine.get_patterns(one):
        expression = engine.get_regex(pattern)
        if linked := chain(expression):
            (end if engine.get_pos(pattern) == "EOF" else start).append(linked)
            continue
        compiled = re.compile(expression)
        match engine.get_pos(pattern):
            case "BOF":
                start.append(compiled.match)
                if plain := _FIRST.match(compiled.pattern):
                    first = int(plain[1], 16) if plain[1] else plain[2][0]
            case "EOF":
                end.append(compiled.search)
            case _:
                start.append(compiled.search)
    return _Signature(one.findtext("name", ""), first, tuple(start), tuple(end))
