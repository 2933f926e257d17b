"""jobs: which runs there were, and how each ended."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from ..messages import N_, _
from ..model import Run
from .shell import Command, Session, common, option

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
        for run in runs:
            output.object(_shape(run))
        if output.as_json:
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


def _shape(run: Run) -> dict[str, Any]:
    return {
        "run": run.id, "command": run.command, "asked": dict(run.asked), "began": run.began.isoformat(),
        "ended": run.ended and run.ended.isoformat(), "verdict": run.verdict, "by": run.by, "reason": run.reason,
        **run.counts,
    }  # fmt: skip


def _in_words(run: Run) -> str:
    said = [f"{name}: {value}" for name, value in {**run.asked, **run.counts}.items()]
    return "; ".join((*said, *([run.reason] if run.reason else [])))
