"""Somebody's wish that a command end (Ctrl-C, SIGTERM, SIGHUP), heard where what is done can be put in order first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """asked: it is wished for. A plain name, since a handler that takes a lock may wait for itself."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = False


class Stopped(BaseException):
    """Work was given up because it was asked for. No error, and nothing that catches errors may take it for one."""


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Within it the first signal that would raise KeyboardInterrupt is noted, and each further one does raise it. At
    its end, however it comes, KeyboardInterrupt is raised if one was noted.
    """
    stop = Stop()

    def hear(_number: int, _frame: object) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    # Who ignores one, as nohup does, goes on ignoring it; and only the main thread is told of any.
    is_told = threading.current_thread() is threading.main_thread()
    heard = [one for one in _SIGNALS if is_told and signal.getsignal(one) is signal.default_int_handler]
    try:
        for one in heard:
            signal.signal(one, hear)
        yield stop
    finally:
        for one in heard:
            signal.signal(one, signal.default_int_handler)
        if stop.asked:
            raise KeyboardInterrupt
