"""Siegfried, in this process through pygfried: the first opinion."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pygfried

from ..model import Format
from . import BY_CONTENT, reason, stat_of, strength

_CONTAINERS = (b"PK", b"\xd0\xcf\x11\xe0")
"""How zip and OLE begin: siegfried reads them by their structure, here and there."""
_PDF = b"%PDF-"
"""Within the first kilobyte. What makes it a PDF/A, an XMP packet, may stand anywhere in it (ISO 19005-1 6.7)."""
_OFFSET = re.compile(r"(?<=\[)\d+(?= \d+\])|(?<=byte match at )\d+(?=, \d+)")
_UNSAFE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""What a path must not hold: the library takes UTF-8 only, and cannot read its own answer with a control character."""
_AT_MOST = 4096  # windows of a file that is seen whole when its ends say nothing
_AT_ONCE = 16  # aliases that lie in scratch at one time


class Siegfried:
    """Siegfried with its built-in signatures (PRONOM and its container signatures).

    window, in bytes (the default is DROID's): some patterns make siegfried read a WAV, MP4, TIFF or XML to its end, at
    three seconds a gigabyte and all of it mapped into memory. So of a file larger than four windows it sees the first
    and the last window only; the basis then says so, and its offsets are those in the file. Whole it sees PDF, zip and
    OLE files, and those of up to 4,096 windows whose ends say nothing (an Access database is known by a table in its
    middle). None: all.

    The library holds the interpreter's lock while it works: apart.Apart is the way to do something else meanwhile.
    Safe to call from several threads.
    """

    def __init__(self, *, window: int | None = 1 << 16) -> None:
        said = pygfried.identify_many([])
        details = "; ".join(one["details"] for one in said["identifiers"])
        self._tool = f"siegfried {said['siegfried']}"
        self._signature = f"{said['signature']} ({details})"
        self._window = window
        self._workers = os.cpu_count() or 1

    @property
    def tool(self) -> str:
        return self._tool

    @property
    def signature(self) -> str:
        return self._signature

    def identify(self, files: Sequence[Path]) -> list[tuple[Format, ...]]:
        """Every match that siegfried gives, in its order."""
        answers: dict[int, tuple[Format, ...]] = {}
        direct: dict[int, str] = {}
        views: list[_View] = []
        for at, file in enumerate(files):
            try:
                view = _view(at, file, self._window)
            except (OSError, ValueError) as error:
                answers[at] = (self._unknown(reason(error)),)
            else:
                if view is None:
                    direct[at] = str(file)
                else:
                    views.append(view)
        answers.update(zip(direct, self._ask(direct.values()), strict=True))
        for start in range(0, len(views), _AT_ONCE):
            answers.update(self._ask_by_alias(views[start : start + _AT_ONCE]))
        return [answers[at] for at in range(len(files))]

    def _ask(self, paths: Collection[str]) -> Iterator[tuple[Format, ...]]:
        try:
            files = pygfried.identify_many(paths, workers=self._workers)["files"]
        except (OSError, ValueError) as error:
            # The library answers for a batch as one; what upset it must not take the others with it.
            if len(paths) == 1:
                yield (self._unknown(reason(error)),)
            else:
                for path in paths:
                    yield from self._ask([path])
            return
        for said in files:
            why = "empty file" if said["errors"] == "empty source" else said["errors"]
            yield tuple(self._answer(match, why) for match in said["matches"]) or (self._unknown(why),)

    def _ask_by_alias(self, views: Sequence[_View]) -> Iterator[tuple[int, tuple[Format, ...]]]:
        with TemporaryDirectory(prefix="lantai-") as folder:
            paths: dict[_View, str] = {}
            for view in views:
                try:
                    paths[view] = view.make(Path(folder))
                except OSError as error:
                    yield view.at, (self._unknown(reason(error)),)
            again: list[_View] = []
            for view, formats in zip(paths, self._ask(paths.values()), strict=True):
                if strength(formats[0]) < BY_CONTENT and 0 < view.size <= _AT_MOST * view.window:
                    again.append(replace(view, window=0))
                else:
                    yield view.at, tuple(replace(one, basis=view.basis(one.basis)) for one in formats)
        if again:
            yield from self._ask_by_alias(again)

    def _answer(self, match: pygfried.Match, why: str) -> Format:
        return Format(
            puid=None if match["id"] == "UNKNOWN" else match["id"],
            name=match["format"],
            version=match["version"],
            mime=match["mime"] or None,
            basis=match["basis"],
            warning="; ".join(filter(None, (why, match["warning"]))),
            tool=self._tool,
            signature=self._signature,
        )

    def _unknown(self, why: str) -> Format:
        return Format(None, "", "", None, "", why or "no match", self._tool, self._signature)


@dataclass(frozen=True, slots=True)
class _View:
    """A file that siegfried is to see under another path: whole (window 0), or its first and last window bytes."""

    at: int
    file: Path
    size: int
    window: int

    def make(self, folder: Path) -> str:
        """Lays the alias in folder. The extension is kept, since signatures name some."""
        alias = folder / (str(self.at) + _UNSAFE.sub("", self.file.suffix)[:32])
        if self.window:
            with self.file.open("rb") as whole, alias.open("wb") as ends:
                ends.write(whole.read(self.window))
                whole.seek(self.size - self.window)
                ends.write(whole.read(self.window))
        else:
            alias.symlink_to(self.file.absolute())
        return str(alias)

    def basis(self, seen: str) -> str:
        """What siegfried saw in the alias, told of the file."""
        if not self.window:
            return seen

        def in_file(offset: re.Match[str]) -> str:
            here = int(offset[0])
            return str(here if here < self.window else here + self.size - 2 * self.window)

        return "; ".join(filter(None, (_OFFSET.sub(in_file, seen), f"first and last {self.window} bytes looked at")))


def _view(at: int, file: Path, window: int | None) -> _View | None:
    """How siegfried is to see file; None: as it is. OSError and ValueError: not at all."""
    size = stat_of(file).st_size
    if window and size > 4 * window:
        with file.open("rb") as stream:
            head = stream.read(1024)
        if not head.startswith(_CONTAINERS) and _PDF not in head:
            return _View(at, file, size, window)
    return _View(at, file, size, 0) if _UNSAFE.search(str(file)) else None
