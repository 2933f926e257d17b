"""Processes of servers: they end with the test that started them, however that ends."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0
"""Seconds that a server may take to answer, on a machine with other things to do."""


class ServerFailed(Exception):
    """A server did not start. The message has the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Daemon:
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises ServerFailed if it has ended."""
        if self.process.poll() is not None:
            raise ServerFailed(f"{self.log.stem} ended with {self.process.returncode}: {_end(self.log)}")


@contextmanager
def daemon(log: Path, *command: str | Path, pass_fds: Sequence[int] = ()) -> Iterator[Daemon]:
    """command while it runs; what it prints goes to log.

    It has a process group of its own, so that no Ctrl-C reaches it before the tests that need it have ended, and the
    kernel kills it with the thread that started it, should the tests be killed themselves.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, pass_fds=pass_fds,
        )  # fmt: skip
    try:
        yield Daemon(process, log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(log: Path, *command: str | Path) -> None:
    """command until it ends. Raises ServerFailed if it fails."""
    with log.open("wb") as output:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise ServerFailed(f"{log.stem} did not end: {_end(log)}") from error
    if done.returncode != 0:
        raise ServerFailed(f"{log.stem} ended with {done.returncode}: {_end(log)}")


def wait_until_it_answers(port: int, daemons: Iterable[Daemon]) -> None:
    """Returns when HTTP is spoken at port. Raises ServerFailed if a daemon has ended, or if it takes too long."""
    watched = list(daemons)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for one in watched:
            one.check()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise ServerFailed("no answer: " + "".join(_end(one.log) for one in watched))


def free_port() -> int:
    """A port where nobody listens, and below those that the kernel gives to whoever asks for any."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port


def _end(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
