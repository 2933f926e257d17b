"""What goes to the terminal: tables and words, or one JSON object a line; progress on standard error."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, ClassVar

from ..errors import LantaiError
from ..messages import _, ngettext
from ..model import Finding
from . import shapes

# rich is loaded where something is shown: it takes long, and with --json or --help nothing is.
if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029]")
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_FIRST_SHOWN = 1.0
"""Seconds after which work is worth telling of."""
_LINE_EVERY, _PLAIN_EVERY = 0.2, 5.0
"""Seconds between what a terminal's line shows, and between lines where there is no terminal."""
_LEAST = 24
"""Cells below which a column of text is no pleasure to read."""
_APART = 2


@dataclass(frozen=True, slots=True)
class Output:
    """as_json: one object a line on standard output and nothing else there. zone: that times are shown in."""

    as_json: bool
    zone: tzinfo | None = None

    def object(self, value: Mapping[str, object]) -> None:
        """A line of JSON; for people, nothing."""
        if self.as_json:
            Meter.aside()
            # What some readers take for the end of a line is escaped: an object is one line to all of them.
            line = json.dumps(value, ensure_ascii=False)
            sys.stdout.write(_BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n")
            sys.stdout.flush()

    def say(self, text: str = "", style: str = "") -> None:
        """A line for people on standard output; with --json, nothing."""
        if not self.as_json:
            _show(printable(text), style)

    def table(
        self,
        headings: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        numbers: Sequence[int] = (),
        whole: Sequence[int] = (),
        spare: Sequence[int] = (),
    ) -> None:
        """A line a row. numbers: columns aligned to the right; whole: those that are never broken, as an id or a day;
        spare: those that a narrow terminal does without, the first one first. A column with nothing in it is left out.
        """
        from rich.cells import cell_len  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        unbroken = {*whole, *numbers}
        cells = [[printable(cell) for cell in row] for row in rows]
        widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
        shown = [at for at, width in enumerate(widths) if width]
        console = _console()
        for at in spare:
            least = [max(width, cell_len(headings[at])) for at, width in enumerate(widths)]
            least = [width if at in unbroken else min(width, _LEAST) for at, width in enumerate(least)]
            if console.is_terminal and sum(least[at] + _APART for at in shown) - _APART > console.width:
                shown = [one for one in shown if one != at]
        table = Table(box=None, header_style="bold", pad_edge=False, show_edge=False, padding=(0, _APART, 0, 0))
        for at in shown:
            table.add_column(headings[at], justify="right" if at in numbers else "left",
                             no_wrap=at in unbroken or not console.is_terminal, overflow="fold")  # fmt: skip
        for row in cells:
            table.add_row(*(Text(row[at]) for at in shown))
        _show(table)

    def pairs(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and values, one under the other."""
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, show_header=False, pad_edge=False, show_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(Text(name), Text(printable(value)))
        _show(table)

    def findings(self, findings: Iterable[Finding]) -> None:
        """For people, on standard error: a line each, errors in red."""
        if not self.as_json:
            for one in findings:
                note(f"  {one.subject}: {one.message} [{one.code}]", "red" if one.fatal else "yellow")

    def error(self, error: LantaiError) -> None:
        """What went wrong, with what, and what to do."""
        self.object(shapes.error(error))
        if not self.as_json:
            note(f"{error.subject}: {error.what}", "bold red")
            note(error.remedy)

    def time(self, at: datetime) -> str:
        return at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")


def note(text: str, style: str = "") -> None:
    """A line for people on standard error."""
    _show(printable(text), style, stderr=True)


def _show(what: str | Table, style: str = "", *, stderr: bool = False) -> None:
    """Print it, in the place of a progress line if one stands there. A pipe gets lines without padding."""
    from rich.text import Text  # noqa: PLC0415

    Meter.aside()
    shown = Text(what, style=style) if isinstance(what, str) else what
    console = _console(stderr=stderr)
    if console.is_terminal:
        console.print(shown, soft_wrap=isinstance(what, str))
        return
    with console.capture() as captured:
        console.print(shown, soft_wrap=isinstance(what, str))
    for line in captured.get().splitlines():
        console.file.write(line.rstrip() + "\n")


def _console(*, stderr: bool = False) -> Console:
    """Rich honours NO_COLOR. What is no terminal gets whole lines, whatever their length."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, width=10_000)
    return console


def printable(text: str) -> str:
    """A name as a terminal can show it: control characters and undecodable bytes as escapes."""
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() if not _is_byte(one)
        else f"\\x{ord(one) - 0xDC00:02x}" for one in text
    )  # fmt: skip


def _is_byte(one: str) -> bool:
    return "\udc80" <= one <= "\udcff"


def size(octets: float) -> str:
    for unit in _UNITS:
        if octets < 1000 or unit == _UNITS[-1]:
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1000
    raise AssertionError


def files(count: int) -> str:
    return ngettext("{count} file", "{count} files", count).format(count=count)


class Meter:
    """Counts files and bytes, from any thread, and shows them once the work has taken a second: on a terminal in one
    line that is written over, else in lines.
    """

    _line: ClassVar[bool] = False
    """Whether a progress line stands on the terminal, and its end is not reached."""
    _terminal: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, total: tuple[int, int] | None = None) -> None:
        self.total = total
        self._lock = threading.Lock()
        self._files = self._octets = 0
        self._began = time.monotonic()
        self._stop = threading.Event()

    def __call__(self, files: int, octets: int) -> None:
        with self._lock:
            self._files += files
            self._octets += octets

    def run(self) -> None:
        wait = _FIRST_SHOWN
        while not self._stop.wait(wait):
            console = _console(stderr=True)
            wait = _LINE_EVERY if console.is_terminal else _PLAIN_EVERY
            if not console.is_terminal:
                if self._files or self._octets:
                    note(self.line())
                continue
            with Meter._terminal:
                from rich.cells import cell_len, set_cell_size  # noqa: PLC0415

                # A line that is broken by the terminal's edge could not be written over.
                line = self.line()
                line = line if cell_len(line) < console.width else set_cell_size(line, console.width - 1)
                sys.stderr.write(f"\r\x1b[2K{line}")
                sys.stderr.flush()
                Meter._line = True

    @classmethod
    def aside(cls) -> None:
        """Take away the line that stands on the terminal; it comes again by itself."""
        with cls._terminal:
            if cls._line:
                sys.stderr.write("\r\x1b[2K")
                sys.stderr.flush()
                cls._line = False

    def line(self) -> str:
        """So much of so much, how fast, and how long it will take; what is not known yet is not said."""
        seconds = max(time.monotonic() - self._began, 0.001)
        done, octets = self._files, self._octets
        if not self.total:
            parts = [files(done), size(octets)]
        else:
            of = _("{done} of {total}")
            parts = [
                of.format(done=done, total=files(self.total[0])),
                of.format(done=size(octets), total=size(self.total[1])),
            ]
        if octets:
            parts.append(f"{size(octets / seconds)}/s")
        if done:
            parts.append(_("{files}/s").format(files=files(round(done / seconds))))
        if self.total and octets:
            left = max(0.0, (self.total[1] - octets) * seconds / octets)
            parts.append(f"{min(100, 100 * octets // max(1, self.total[1]))}%")
            parts.append(_("{time} left").format(time=_span(left)))
        return ", ".join(parts)

    def end(self) -> None:
        self._stop.set()


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def metered(total: tuple[int, int] | None = None) -> Iterator[Meter]:
    """total: files and bytes that are expected; without it no time left is told."""
    meter = Meter(total)
    thread = threading.Thread(target=meter.run, daemon=True)
    thread.start()
    try:
        yield meter
    finally:
        meter.end()
        thread.join()
        Meter.aside()
