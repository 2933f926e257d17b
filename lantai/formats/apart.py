"""An identifier in a process of its own.

Siegfried holds the interpreter's lock while it works, so that nothing else in the same process could go on. Here it
works in another, and the caller waits without the lock: given to a thread, a batch is identified while it is stored.

The two speak JSON over the child's standard input and output, a line each way: paths, then answers. The child does not
outlive us, however either of us is occupied or ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, RLock, Timer
from types import TracebackType
from typing import Any

from ..model import Format
from . import Name, open_identifier

_START = 120.0
"""Seconds that the tool has to start: it reads its signatures."""
_A_FILE, _A_BYTE = 0.25, 30 / 1e9
"""Seconds that a file and a byte add to how long a question may take: a slow disk, some files looked at whole."""
_LONGEST = 86400.0
"""Seconds that no question takes, however large a file says it is."""
_PARTS = 8
"""A batch that a file spoils is asked again in so many parts: that file is then found by the fourth question of 512."""


class Apart:
    """open_identifier(name, …), in a process that lives until close. An Identifier; safe to call from several threads.

    A file that brings the process down, or with which it does not end, is an unknown with that warning; the others of
    its batch are asked again. patience: seconds that a question may take beside what its files add.
    Raises ChildProcessError if the process cannot be started, or close came before the answer.
    """

    def __init__(
        self, name: Name = "siegfried", *, second_opinion: bool = True, window: int | None = 1 << 16,
        patience: float = 60.0,
    ) -> None:  # fmt: skip
        self._settings = json.dumps({"name": name, "second_opinion": second_opinion, "window": window})
        self._patience = patience
        self._lock = RLock()  # held for a question; close must not wait for it
        self._said: tuple[str, str] | None = None
        self._closed = False
        self._own = ExitStack()
        # The child's scratch is ours to remove: killed, it removes nothing.
        self._scratch = self._own.enter_context(TemporaryDirectory(prefix="lantai-"))
        self._lifeline, ours = os.pipe()
        for descriptor in (self._lifeline, ours):
            self._own.callback(os.close, descriptor)
        self._child: subprocess.Popen[bytes] | None = self._start()

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def tool(self) -> str:
        return self._hello()[0]

    @property
    def signature(self) -> str:
        return self._hello()[1]

    def identify(self, files: Sequence[Path]) -> list[tuple[Format, ...]]:
        if not files:
            return []
        with self._lock:
            tool, signature = self._hello()
            # The working folder is ours to change, so the child gets whole paths.
            question = [str(file.absolute()) for file in files]
            try:
                answers = self._ask(question, min(self._patience + sum(map(_seconds, files)), _LONGEST))
            except _Ended as end:
                if len(files) == 1:
                    return [(Format(None, "", "", None, "", str(end), tool, signature),)]
            else:
                return [tuple(Format(*one) for one in said) for said in answers]
            part = -(-len(files) // _PARTS)
            return [one for at in range(0, len(files), part) for one in self.identify(files[at : at + part])]

    def close(self) -> None:
        """End the process at once, whatever it is doing; whoever waits for its answer gets ChildProcessError.

        For good, and idempotent.
        """
        self._closed = True
        if child := self._child:
            child.kill()
        with self._lock:  # whoever holds it sees the child's end now
            self._end()
            self._own.close()

    def _hello(self) -> tuple[str, str]:
        with self._lock:
            if self._said is None:
                try:
                    tool, signature = self._ask(None, _START)
                except _Ended as end:
                    raise ChildProcessError("the process that identifies files does not start") from end
                self._said = (tool, signature)
            return self._said

    def _ask(self, question: Any, seconds: float) -> Any:
        """The child's answer. Raises _Ended: it came to its end instead, by itself or after so many seconds."""
        if self._child is None and not self._closed:
            self._child = self._start()
        child = self._child
        # After the start, so that a close meanwhile is seen here or saw the child.
        if self._closed or child is None:
            raise ChildProcessError("the identifier was closed")
        assert child.stdin is not None
        assert child.stdout is not None
        late = Event()

        def end() -> None:
            late.set()
            child.kill()

        timer = Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            child.stdin.write(json.dumps(question).encode() + b"\n")
            child.stdin.flush()
            answer = child.stdout.readline()
        except BrokenPipeError:
            answer = b""
        except BaseException:
            # The answer to come is to a question that nobody remembers.
            self._end()
            raise
        finally:
            timer.cancel()
            timer.join()
        if late.is_set() or not answer.endswith(b"\n"):
            self._end()
            if self._closed:
                raise ChildProcessError("the identifier was closed")
            how = "did not end" if late.is_set() else "came to an unexpected end"
            raise _Ended(f"the tool {how} on this file")
        return json.loads(answer)

    def _start(self) -> subprocess.Popen[bytes]:
        # A module of its own rather than multiprocessing, which would run the caller's script a second time.
        # In a group of its own, so that Ctrl-C is the parent's to handle.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, self._settings, str(self._lifeline)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
            pass_fds=(self._lifeline,),
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
                "TMPDIR": self._scratch,
            },
        )

    def _end(self) -> None:
        """The child is gone afterwards; the next question starts another."""
        child, self._child = self._child, None
        self._said = None
        if child is not None:
            with suppress(BrokenPipeError), child:  # what it was still to be told
                child.kill()


class _Ended(Exception):
    """The child is gone; how, as a warning says it."""


def _seconds(file: Path) -> float:
    try:
        return _A_FILE + file.stat().st_size * _A_BYTE
    except (OSError, ValueError):
        return _A_FILE


def _serve(settings: str, lifeline: int) -> None:
    """The child: answers until its input ends, or the other end of lifeline is closed."""
    _end_with(lifeline)
    answers = os.fdopen(os.dup(1), "wb")
    # What a library might print must not get between the answers.
    os.dup2(2, 1)
    identifier = open_identifier(**json.loads(settings))
    for line in sys.stdin.buffer:
        question = json.loads(line)
        answer: object
        if question is None:
            answer = (identifier.tool, identifier.signature)
        else:
            said = identifier.identify([Path(name) for name in question])
            answer = [[astuple(one) for one in formats] for formats in said]
        try:
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()
        except BrokenPipeError:
            os._exit(0)


def _end_with(lifeline: int) -> None:
    """Have the kernel end this process when its parent is gone: a thread of ours would never get the interpreter's lock
    while the tool is busy. Not PR_SET_PDEATHSIG, which asks after the thread that started us.
    """
    if hasattr(fcntl, "F_SETSIG"):  # Linux; elsewhere we end with our input
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # nobody writes to it: closed before we were ready
        os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
