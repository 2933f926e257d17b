"""What is this file? Answered against PRONOM, the registry of The National Archives.

puid:           PRONOM's persistent unique identifier of a format and version: fmt/43, x-fmt/111
signature:      the tool's table of byte patterns; answers of two signatures may differ, so each answer names its own
basis:          what the tool saw: bytes at which offsets, a container's content, text, or no more than the name
strength:       an answer by content outranks one by name, and that outranks none
second opinion: fido, asked where siegfried has no answer by content
apart:          in a process of its own, so that identifying and storing go on side by side
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from ..model import Agent, Format

Name: TypeAlias = Literal["siegfried", "fido", "both"]


class Identifier(Protocol):
    """Contract (suite: tests/conformance/identifier.py):

    - answers in the order asked, one tuple per path, never empty: unknown is Format(puid=None) with the reason as
      its warning; of several answers the first is the one that counts, and none is dropped;
    - never raises for what a path is or holds: a file that is missing, unreadable, broken, or no regular file is
      Format(puid=None, warning=…), and the others of the batch are identified as ever; nor does it hang on one;
    - the name helps and does not rule: a copy under another name may get another answer, but not by content;
    - two runs over the same bytes, name and signature give equal answers, whatever else is in the batch;
    - an empty file says so in its warning, since PRONOM has no format for it;
    - basis and warning are the tool's own words, in English whatever the language: they are evidence, not messages;
    - opens files for reading only, and writes nothing to the process's standard streams.
    """

    @property
    def tool(self) -> str:
        """Name and version of every tool that may answer, as in Format.tool; several are joined by "; "."""
        ...

    @property
    def signature(self) -> str:
        """Name and version of their signatures, as in Format.signature, in the order of tool."""
        ...

    def identify(self, files: Sequence[Path]) -> list[tuple[Format, ...]]: ...


def open_identifier(
    name: Name = "siegfried", *, second_opinion: bool = True, window: int | None = 1 << 16
) -> Identifier:
    """The identifier of that name, in this process; apart.Apart is the same in one of its own.

    siegfried: with second_opinion, fido is asked too where siegfried has no answer by content. fido: fido alone.
    both: fido is asked about every file.
    window: of a large file siegfried sees so many bytes at each end (see siegfried.Siegfried); None: all of it.
    """
    # Imported when asked for: siegfried brings 80 MB of signatures with it.
    if name == "fido":
        from .fido import Fido  # noqa: PLC0415

        return Fido()
    from .second_opinion import SecondOpinion  # noqa: PLC0415
    from .siegfried import Siegfried  # noqa: PLC0415

    siegfried = Siegfried(window=window)
    if not second_opinion and name == "siegfried":
        return siegfried
    return SecondOpinion(siegfried, always=name == "both")


UNKNOWN, BY_NAME, BY_CONTENT = range(3)
_CONTENT = ("byte match", "container", "text match", "xml match", "riff match", "signature match")


def strength(answer: Format) -> int:
    """UNKNOWN, BY_NAME or BY_CONTENT, as the basis says. Text recognised as text counts as content."""
    if answer.puid is None:
        return UNKNOWN
    return BY_CONTENT if any(part.startswith(_CONTENT) for part in answer.basis.split("; ")) else BY_NAME


def stat_of(file: Path) -> os.stat_result:
    """The stat of a file that can be read to its end. OSError, ValueError: it cannot; reason says why."""
    seen = file.stat()
    if not stat.S_ISREG(seen.st_mode):
        # A pipe or a terminal would be waited for.
        raise ValueError("not a regular file")
    return seen


def reason(error: OSError | ValueError) -> str:
    """Why a file could not be read, without its path."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def agents(answers: Iterable[Format]) -> tuple[Agent, ...]:
    """The tools behind answers as PREMIS agents, each with its signatures once; the id is "tool / signature"."""
    said = dict.fromkeys((answer.tool, answer.signature) for answer in answers)
    return tuple(_agent(tool, signature) for tool, signature in said)


def _agent(tool: str, signature: str) -> Agent:
    name, _, version = tool.rpartition(" ")
    return Agent(id=f"{tool} / {signature}", kind="software", name=name, version=f"{version}, {signature}")
