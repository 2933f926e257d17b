"""access, withdraw: what people decide of records that are stored. It stands in the journal."""

from __future__ import annotations

import click

from ..archive import Access, Archive
from ..errors import UsageError
from ..messages import N_, _
from ..model import RecordId
from . import shapes
from .intake import short
from .intake import shown as as_shown
from .look import in_words
from .shell import Command, Group, Session, common, option, options_of_all

GROUNDS = ("statute", "agreement", "donor", "copyright", "policy")


@click.group(
    cls=Group, help=N_("Who may see what, and when."), examples=("lantai access set a1b2c3d4 open --reason R",)
)
def access(**_common: object) -> None: ...


access = options_of_all(access, home=True)  # type: ignore[assignment]


@access.command(
    "set",
    cls=Command,
    help=N_("Decide who may see a record, from now on or from a day on.\n\n"
            "SHOWN is open, description (the entry is public, its files are not), closed, or a day as 2051-01-01: "
            "closed until then, open from its first second in the archive's time zone. It holds for a package or a "
            "record in it, and for all below that have no decision of their own. It takes the place of what stood."),
    examples=(
        "lantai access set a1b2c3d4 open --reason 期满开放",
        "lantai access set a1b2c3d4 2051-01-01 --reason 未满三十年 --ground statute --clause 档案法第二十七条",
    ),
)  # fmt: skip
@click.argument("id")
@click.argument("shown", type=as_shown)
@option("--reason", required=True, metavar="TEXT", help=N_("Why; it is kept with the decision."))
@option(
    "--ground", type=click.Choice(GROUNDS), default="policy", show_default=True, help=N_("What the decision rests on.")
)
@option("--clause", default="", metavar="TEXT", help=N_("Of the ground: article, paragraph, number."))
@common(by=True)
def set_access(session: Session, id: str, shown: Access, reason: str, ground: str, clause: str) -> int:
    with session.open() as archive:
        output = session.output(archive)
        record = record_of(archive, id)
        decision, new = archive.set_access(record, shown, reason=require_words(reason), ground=ground, clause=clause)
        output.object(
            {"record": record, "status": "decided" if new else "present", "decision": shapes.decision(decision)}
        )
        words = in_words(output, decision.shown, decision.since, decision.at)
        output.say(
            (_("{id}: {access}") if new else _("{id}: {access}, as it stands already")).format(
                id=short(record), access=words
            )
        )
    return 0


@click.command(
    cls=Command,
    help=N_("Hide a package or record from every open answer; its bytes stay.\n\n"
            "lantai list --withdrawn shows to staff what is withdrawn. --undo shows it again."),
    examples=("lantai withdraw a1b2c3d4 --reason 隐私投诉", "lantai withdraw a1b2c3d4 --undo --reason 已核实"),
)  # fmt: skip
@click.argument("id")
@option("--reason", required=True, metavar="TEXT", help=N_("Why; it is kept in the journal."))
@option("--undo", is_flag=True, help=N_("Show it again."))
@common(by=True)
def withdraw(session: Session, id: str, reason: str, undo: bool) -> int:
    with session.open() as archive:
        output = session.output(archive)
        record = record_of(archive, id)
        new = archive.entries.withdraw(record, withdrawn=not undo, reason=require_words(reason))
        status = ("shown" if undo else "withdrawn") if new else "present"
        output.object({"record": record, "status": status})
        told = _("shown again") if undo else _("withdrawn")
        output.say(f"{short(record)}: {told if new else _('nothing changed')}")
    return 0


def record_of(archive: Archive, text: str) -> RecordId:
    """What ID names: a package stands for its root record. NotFound, UsageError."""
    found = archive.catalog.resolve(text)
    if found.kind == "file":
        raise UsageError(
            _("this is a file, not a package or record"), subject=text,
            remedy=_("lantai show tells to which record it belongs."),
        )  # fmt: skip
    return RecordId(found.id)


def require_words(reason: str) -> str:
    if not reason.strip():
        raise UsageError(_("the reason is empty"), subject="--reason", remedy=_("Say why; it is kept for good."))
    return reason
