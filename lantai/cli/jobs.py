"""jobs: which runs there were, and how each ended; worker: what runs by itself."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from itertools import islice
from typing import Any

import click

from .. import config
from ..errors import LantaiError
from ..jobs import next_time, only_worker, run_due
from ..messages import N_, _
from ..model import Run
from .keep import tell_unnoted
from .output import note
from .shell import Command, Session, common, option

_POLL = 60.0
"""Seconds after which the worker looks again, for what lantai.toml says by then."""

_VERDICTS = {
    "passed": N_("passed"), "faults": N_("faults"), "incomplete": N_("incomplete"), "void": N_("void"),
    "failed": N_("failed"),
}  # fmt: skip


@click.command(
    cls=Command,
    help=N_("List the runs of audit, replicate and clean, the newest first: when each began and ended, and how.\n\n"
            "A run without an end is under way, or was killed."),
    examples=("lantai jobs", "lantai jobs --limit 100 --json"),
)  # fmt: skip
@option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help=N_("At most so many."))
@common()
def jobs(session: Session, limit: int) -> int:
    with session.open() as archive:
        output = session.output(archive)
        runs = list(islice(archive.catalog.runs(), limit))
        if output.as_json:
            for run in runs:
                output.object(_shape(run))
            return 0
        if not runs:
            output.say(_("There was no run yet."))
            return 0
        rows = [
            (
                output.time(run.began), output.time(run.ended) if run.ended else "-", run.command,
                _(_VERDICTS[run.verdict]) if run.verdict else _("not ended"), run.by, _in_words(run),
            )
            for run in runs
        ]  # fmt: skip
        output.table((_("Began"), _("Ended"), _("Run"), _("Verdict"), _("Who"), _("What")), rows, whole=(0, 1, 2, 3))
    return 0


@click.command(
    cls=Command,
    help=N_("Do what is due, again and again: audit, replicate and clean, at the times that [worker] of lantai.toml "
            "says.\n\n"
            "What was missed while no worker ran is made up for, once. Run it as a service (examples/nightly), one for "
            "each home."),
    examples=("lantai worker", "lantai worker --once"),
)  # fmt: skip
@option("--once", is_flag=True, help=N_("Do what is due now, and end."))
@common(by=True)
def worker(session: Session, once: bool) -> int:
    ended, tried = list[str](), dict[str, datetime]()

    def failed(name: str, error: LantaiError) -> None:
        ended.append(name)
        note(f"{name}: {error}", "red")

    with session.open() as archive:
        home, output, zone = archive.home, session.output(archive), archive.zone
    try:
        with only_worker(home):
            while True:
                for run in run_due(home, by=session.person(), tried=tried, failed=failed, after=tell_unnoted):
                    output.object(_shape(run))
                    verdict = _(_VERDICTS[run.verdict]) if run.verdict else _("not ended")
                    output.say(f"{output.time(run.began)}  {run.command}: {verdict}")
                    ended += [run.command] if run.verdict not in ("passed", "incomplete") else []
                if once:
                    return 1 if ended else 0
                sys.stdout.flush()
                now = datetime.now(zone)
                then = next_time(config.read(home).worker.timetable(), now)
                time.sleep(min(_POLL, (then - now).total_seconds() + 1) if then else _POLL)
    except KeyboardInterrupt:
        if once:
            raise
        note(_("The worker has ended. What was under way goes on with the next one."))
        return 0


_BUDGETS = {"bytes": "budget_bytes", "seconds": "budget_seconds"}


def _shape(run: Run) -> dict[str, Any]:
    return {
        "run": run.id, "command": run.command, "asked": dict(run.asked), "began": run.began.isoformat(),
        "ended": run.ended and run.ended.isoformat(), "verdict": run.verdict, "by": run.by, "reason": run.reason,
        **run.counts,
    }  # fmt: skip


def _in_words(run: Run) -> str:
    # What was asked for at most is not what was read.
    asked = {_BUDGETS.get(name, name): value for name, value in run.asked.items()}
    said = [f"{name}: {_told(value)}" for name, value in (*asked.items(), *run.counts.items())]
    return "; ".join((*said, *([run.reason] if run.reason else [])))


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
