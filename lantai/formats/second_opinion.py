"""Siegfried's answer, and fido's beside it where it helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..model import Format
from . import BY_CONTENT, Identifier, stat_of, strength
from .fido import Fido


class SecondOpinion:
    """Asks first about every file, and second about those that first knows by no more than their name, or not at all.

    Both answers are kept. What a tool saw in the bytes comes before what it read off the name, and that before
    nothing; of equals, first's comes first. About an empty file nobody else is asked: there is nothing to see.
    always: second is asked about every file that is not empty.
    """

    def __init__(self, first: Identifier, second: Identifier | None = None, *, always: bool = False) -> None:
        self._first = first
        self._second = Fido() if second is None else second
        self._always = always

    @property
    def tool(self) -> str:
        return f"{self._first.tool}; {self._second.tool}"

    @property
    def signature(self) -> str:
        return f"{self._first.signature}; {self._second.signature}"

    def identify(self, files: Sequence[Path]) -> list[tuple[Format, ...]]:
        answers = self._first.identify(files)
        asked = [at for at, said in enumerate(answers) if self._doubts(said) and _has_content(files[at])]
        for at, more in zip(asked, self._second.identify([files[at] for at in asked]), strict=True):
            answers[at] = tuple(sorted((*answers[at], *more), key=strength, reverse=True))
        return answers

    def _doubts(self, said: Sequence[Format]) -> bool:
        return self._always or strength(said[0]) < BY_CONTENT


def _has_content(file: Path) -> bool:
    try:
        return stat_of(file).st_size > 0
    except (OSError, ValueError):
        return False
