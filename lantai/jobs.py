"""What runs by itself, in one process, at the times that [worker] of lantai.toml says."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from cronsim import CronSim

from .archive import Archive
from .audits import Asked
from .errors import LantaiError, UsageError
from .messages import _
from .model import Budget, Run
from .storage.workers import unheard

Timetable: TypeAlias = Mapping[str, str]
"""When each task is to run, as a line of cron says it (POSIX crontab); "": never."""


def due(timetable: Timetable, began: Mapping[str, datetime], now: datetime) -> list[str]:
    """The tasks whose last time has come since they last began, in the order of the timetable; what never ran is due.
    now has the time zone of the timetable. Pure.
    """
    until = now.replace(microsecond=0) + timedelta(seconds=1)  # exclusive: times of a timetable are whole seconds
    return [
        name
        for name, line in timetable.items()
        if line and (name not in began or began[name] < next(CronSim(line, until, reverse=True)))
    ]


def next_time(timetable: Timetable, now: datetime) -> datetime | None:
    """When the next task is due. None: never. Pure."""
    return min((next(CronSim(line, now)) for line in timetable.values() if line), default=None)


def run_due(
    home: Path, *, by: str, tried: dict[str, datetime], failed: Callable[[str, LantaiError], None],
    after: Callable[[Archive], None],
) -> Iterator[Run]:  # fmt: skip
    """Run what is due, one after the other, each in an archive opened anew, so that what lantai.toml says now counts.

    What each came to, from the journal; tried: when each was last, noted here, since one that failed may have come to
    no entry there, and is due again at its next time; failed: told of it; after: called when a task has ended.
    """
    with Archive(home, by=by) as archive:
        timetable, now = archive.settings.worker.timetable(), datetime.now(archive.zone)
        began = {run.command: run.began for run in _newest(archive)}
        tasks = due(timetable, {**began, **{name: max(at, began.get(name, at)) for name, at in tried.items()}}, now)
    for name in tasks:
        with Archive(home, by=by) as archive:
            before = {run.id for run in _newest(archive)}
            tried[name] = datetime.now(archive.zone)
            try:
                TASKS[name](archive)
            except LantaiError as error:
                failed(name, error)
            after(archive)
            yield from (run for run in _newest(archive) if run.command == name and run.id not in before)


def _newest(archive: Archive) -> list[Run]:
    """The newest run of each task that counts as one: of all that is due, and that came to an end."""
    found: dict[str, Run] = {}
    for run in archive.catalog.runs():
        if len(found) == len(TASKS):
            break
        if not run.broken_off and not (run.command == "audit" and isinstance(run.asked["what"], list)):
            found.setdefault(run.command, run)
    return list(found.values())


def _audit(archive: Archive) -> None:
    settings, stores = archive.settings, tuple(one.name for one in archive.settings.store)
    budget = Budget.parse(settings.worker.audit_budget) if settings.worker.audit_budget else None
    archive.audits.run(Asked("due", stores, settings.fixity.level, budget=budget), progress=unheard)


def _replicate(archive: Archive) -> None:
    for _one in archive.replicate(None, None, progress=unheard):
        pass


def _clean(archive: Archive) -> None:
    for _one in archive.clean(older_than=timedelta(hours=24)):
        pass


TASKS: Mapping[str, Callable[[Archive], None]] = {"clean": _clean, "replicate": _replicate, "audit": _audit}


@contextmanager
def only_worker(home: Path) -> Iterator[None]:
    """UsageError if another process is this home's worker."""
    with (home / "worker.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                _("this home has a worker already"), subject=str(home),
                remedy=_("End that one first, or leave it to it; lantai jobs tells what it did."),
            ) from None  # fmt: skip
        yield
