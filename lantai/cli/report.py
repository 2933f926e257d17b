"""report: what those who answer for the archive ask of it."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import click

from ..errors import UsageError
from ..messages import N_, _
from ..reports import wording
from ..reports.fixity import FixityReport
from ..reports.loss import LATENT, VISIBLE, Faults
from ..reports.page import fixity_page
from ..storage.linux import write_whole
from . import shapes
from .output import Output
from .shell import PATH, Command, Group, Session, common, option, options_of_all


@click.group(
    cls=Group, help=N_("Reports on the archive, as text, as a page to print, or for programs."),
    examples=("lantai report fixity", "lantai report fixity --as html -o fixity.html"),
)  # fmt: skip
def report(**_common: object) -> None: ...


report = options_of_all(report, home=True)  # type: ignore[assignment]

_RATE = click.FloatRange(min=0, min_open=True)


@report.command(
    cls=Command,
    help=N_("Whether the promise to audit every package is kept, and what loss is likely.\n\n"
            "How many are overdue, the oldest check, when a whole round will be done at the present pace, and how "
            "likely loss is with this schedule and these copies, with the formula and its source. As html: one page "
            "with pictures that needs nothing else. A report ends with 0, whatever it says."),
    examples=("lantai report fixity", "lantai report fixity --as html -o fixity.html",
              "lantai report fixity --fault-rate 0.05"),
)  # fmt: skip
@option(
    "--as", "form", type=click.Choice(("text", "html")), default="text", show_default=True, help=N_("text or html.")
)
@option("-o", "--output", "target", type=PATH, metavar="FILE", help=N_("Write the page here; else to standard output."))
@option(
    "--level", type=click.Choice(("listing", "full")), default="full", show_default=True,
    help=N_("Which audits count: listing or full."),
)  # fmt: skip
@option(
    "--fault-rate", type=_RATE, default=LATENT, metavar="N",
    help=N_("Latent faults a year of each copy, which only an audit finds; else 0.0132, as published of disks."),
)  # fmt: skip
@option(
    "--disk-rate", type=_RATE, default=VISIBLE, metavar="N",
    help=N_("Faults a year of each copy that are noticed at once; else 0.03, as published of disks."),
)  # fmt: skip
@option(
    "--repair-days", type=_RATE, default=7.0, metavar="N",
    help=N_("Days until a copy is whole again, once its fault is known; else 7."),
)  # fmt: skip
@option(
    "--correlation", type=click.FloatRange(min=0, min_open=True, max=1), default=1.0, metavar="N",
    help=N_("1: copies fail independently; 0.1: a second one ten times as readily; else 1."),
)  # fmt: skip
@common()
def fixity(
    session: Session, form: str, target: Path | None, level: str, fault_rate: float, disk_rate: float,
    repair_days: float, correlation: float,
) -> int:  # fmt: skip
    if session.as_json and form == "html":
        raise UsageError(_("--json and --as html exclude each other"), subject="--as", remedy=_("Name one of them."))
    if target and form != "html":
        raise UsageError(_("only a page is written to a file"), subject="-o", remedy=_("Add --as html."))
    faults = Faults(disk_rate, fault_rate, correlation, timedelta(days=repair_days))
    with session.open() as archive:
        output = session.output(archive)
        made = archive.fixity_report(level, faults)
        if form == "html":
            page = fixity_page(made, archive=archive.settings.archive.name, zone=archive.zone)
            if target is None:
                sys.stdout.write(page)
            else:
                write_whole(target, (page.encode(),))
                output.say(_("Written: {path}").format(path=target))
            return 0
        output.object(shapes.fixity_report(made))
        _tell(output, made)
    return 0


def _tell(output: Output, made: FixityReport) -> None:
    assert output.zone is not None
    if output.as_json:
        return
    output.say(wording.verdict(made), "bold red" if made.failing or not made.kept else "bold green")
    output.say(wording.level(made))
    output.say()
    output.table(
        wording.headings(), wording.rows(made, output.zone), numbers=wording.NUMBERS, whole=(0, 1, 6, 9, 10),
        spare=(7, 5, 8),
    )  # fmt: skip
    for words in (wording.remarks(made), wording.losses(made), wording.basis(made)):
        if words:
            output.say()
        for one in words:
            output.say(one)
