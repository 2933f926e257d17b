"""What other processes do to an archive while a test looks on. python backend_process.py imports lantai once and forks.

A line of JSON in, a line out: {"do": NAME, ...} begins a process and tells its id, {"wait": ID} tells its exit code.
What a process says goes to files, which its death leaves: FILE.json, an object a line; FILE.err; FILE.changes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from threading import Timer
from typing import Any

import boto3

import lantai.stores
from lantai import cli
from lantai.archive import Archive
from lantai.errors import LantaiError
from lantai.fixity import run
from lantai.ingest.update import Change
from lantai.model import PackageId
from lantai.storage import Bucket, Store, open_store, workers

CHANGES = ("put", "create", "delete", "sync")


def command(*, home: str, words: Sequence[str], told: str, start: str, at: int, when: str) -> int:
    """One command of a person in home; its exit code.

    It dies by SIGKILL before or after (when) the at-th change of a store, counted from 1; at 0: never. How many changes
    it began is told by one that lives.
    """
    os.chdir(home)
    begun = count(1)

    def opened(place: Path | Bucket) -> Store:
        return _mortal(open_store(place), lambda: next(begun) == at, when)

    setattr(lantai.stores, "open_store", opened)  # noqa: B010
    _await(start)
    code = cli.run(list(words))
    Path(f"{told}.changes").write_text(str(next(begun) - 1))
    return code


def timed(*, home: str, words: Sequence[str], told: str, after: float) -> int:
    """One command of a person in home, which dies after so many seconds, wherever it is then; at 0: never. How long it
    took is told by one that lives.
    """
    os.chdir(home)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process as it is
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, after)
    code = cli.run(list(words))
    signal.setitimer(signal.ITIMER_REAL, 0)
    Path(f"{told}.seconds").write_text(str(time.monotonic() - began))
    return code


def auditing(
    *, home: str, words: Sequence[str], told: str, after: float, segment: int, at: int, when: str, processes: int,
    together: bool,
) -> int:  # fmt: skip
    """An audit by so many processes beside this one, in segments of so many packages; it dies as timed and command do,
    by SIGKILL; after some seconds alone, or together with its processes. How many those were is told.

    Each look takes its time, so that what it enters is not all of one second, which is what the journal tells apart.
    """
    os.setsid()

    def die() -> None:
        others = [one for one in of_session(os.getpid()) if one != os.getpid()]
        Path(f"{told}.processes").write_text(str(len(others)))
        for one in (*(others if together else ()), os.getpid()):
            os.kill(one, signal.SIGKILL)

    setattr(run, "_audit", _slowly)  # noqa: B010
    setattr(workers, "PROCESSES", processes)  # noqa: B010
    setattr(run, "_SEGMENT", segment)  # noqa: B010
    killer = Timer(after, die)
    killer.daemon = True
    if after:
        killer.start()
    began = time.monotonic()
    code = command(home=home, words=words, told=told, start="", at=at, when=when)
    Path(f"{told}.seconds").write_text(str(time.monotonic() - began))
    return code


_LOOK = run._audit


def _slowly(*words: Any) -> Any:
    """By its name, so that processes can be told."""
    time.sleep(0.015)
    return _LOOK(*words)


def of_session(session: int) -> list[int]:
    """The processes of a session that are alive; what only waits to be reaped is not."""
    found = []
    for process in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            state, _parent, _group, its, *_more = process.read_text("utf-8", "replace").rpartition(")")[2].split()
            if int(its) == session and state not in "ZX":
                found.append(int(process.parent.name))
    return found


def _mortal(store: Store, is_its_hour: Callable[[], bool], when: str) -> Store:
    def method(does: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            dies = is_its_hour()
            if dies and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = does(*arguments, **more)
            if dies:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in CHANGES:
        setattr(store, name, method(getattr(store, name)))
    return store


def updating(*, home: str, package: str, name: str, told: str, start: str, end: str) -> int:
    """Add a file to package, with a reason of its own, again and again until there is a file end. Whatever it is told
    but that it is stored, or Exists, ends it at once.
    """
    parent = os.getppid()
    with Archive(Path(home), by=name) as archive:
        _await(start)
        for attempt in count(1):
            reason = f"{name}-{attempt}"
            file = Path(told).with_name(f"{reason}.txt")
            file.write_text(reason, "utf-8")
            try:
                done = archive.update(PackageId(package), Change(add=[file]), reason=reason, progress=_unheard)
                _tell(reason=reason, version=done.version)
            except LantaiError as error:
                traceback.print_exc()
                _tell(reason=reason, kind=type(error).__name__, what=error.what, subject=error.subject)
                if type(error).__name__ != "Exists":
                    break
            if Path(end).exists() or os.getppid() != parent:
                break
    return 0


def cleaning(*, home: str, told: str, start: str, end: str, pause: float, seed: int) -> int:
    """Take every draft for dead, with random pauses of at most so many seconds, until there is a file end. Each time
    they may be longer: however slow the machine is, a draft lives to its end at last.
    """
    chance, parent = random.Random(seed), os.getppid()
    _await(start)

    def goes_on() -> bool:
        return not Path(end).exists() and os.getppid() == parent

    while goes_on():
        with Archive(Path(home), by="clean") as archive:
            settled = list(archive.clean(older_than=timedelta(0)))
        _tell(settled=[one.outcome for one in settled])
        until = time.monotonic() + chance.uniform(0, pause)
        while time.monotonic() < until and goes_on():
            time.sleep(0.05)
        pause *= 1.1
    return 0


def _await(start: str) -> None:
    """Those that are to begin together wait for one file; "" is there always."""
    parent = os.getppid()
    while start and not Path(start).exists() and os.getppid() == parent:
        time.sleep(0.001)


def _tell(**words: object) -> None:
    print(json.dumps(words, ensure_ascii=False), flush=True)


def _unheard(_files: int, _octets: int) -> None: ...


DOES: Mapping[str, Callable[..., int]] = {
    "command": command, "timed": timed, "auditing": auditing, "updating": updating, "cleaning": cleaning,
}  # fmt: skip


def _child(do: str, environment: Mapping[str, str], told: str, more: Mapping[str, Any]) -> int:
    os.environ.clear()
    os.environ.update(environment)
    streams = ("/dev/null", os.O_RDONLY), (f"{told}.json", os.O_WRONLY), (f"{told}.err", os.O_WRONLY)
    for stream, (place, mode) in enumerate(streams):
        descriptor = os.open(place, mode | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, stream)
        os.close(descriptor)
    try:
        return DOES[do](told=told, **more)
    except BaseException:
        traceback.print_exc()
        return 99
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def main() -> None:
    # What S3 is, is read once, in a session that every child inherits; the keys are each child's own.
    session = boto3.session.Session()
    session.client("s3", "us-east-1", aws_access_key_id="-", aws_secret_access_key="-").close()
    setattr(boto3.session, "Session", lambda: session)  # noqa: B010
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        elif (answer := os.fork()) == 0:
            os._exit(_child(asked.pop("do"), asked.pop("environment"), asked.pop("told"), asked))
        print(answer, flush=True)


if __name__ == "__main__":
    main()
