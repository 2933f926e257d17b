"""harvest: what other archives show, gathered into a union catalogue."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from ..archive import Archive
from ..catalog import Source
from ..errors import UsageError
from ..messages import N_, _, ngettext
from ..model import Scope
from . import shapes
from .output import Output, note
from .shell import Command, Session, common, option

if TYPE_CHECKING:
    from ..harvests import Harvested

_EVERY = 10.0
"""Seconds between two lines that tell how far it is."""


def _stamp(value: str) -> str:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            return date.fromisoformat(value).isoformat()
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value, re.ASCII) and datetime.fromisoformat(value):
            return value
    except ValueError:
        pass
    raise click.BadParameter(_("{value} is no date as 2026-01-31 or 2026-01-31T08:00:00Z").format(value=value))


@click.command(
    cls=Command,
    help=N_("Gather the open records of another archive, by OAI-PMH, into every store and the catalogue.\n\n"
            "The first time all of them, then what changed; one that was broken off is gone on with. What the other "
            "archive deletes disappears here. search finds what was gathered; without URL --list tells of whom."),
    examples=(
        "lantai harvest https://archive.example.org/oai", "lantai harvest https://archive.example.org/oai --verify",
        "lantai harvest --list",
    ),
)  # fmt: skip
@click.argument("url", required=False)
@option("--set", "spec", metavar="SETSPEC", help=N_("Only this set of the other archive."))
@option(
    "--prefix", default="oai_dc", show_default=True, metavar="PREFIX", help=N_("The format, as its metadataPrefix.")
)
@option("--from", "since", type=_stamp, metavar="DATE",
        help=N_("Again what changed from then on; else since the last harvest."))  # fmt: skip
@option("--verify", is_flag=True,
        help=N_("Hold it day by day against the other archive's receipt; what differs is gathered again."))  # fmt: skip
@option("--list", "listed", is_flag=True, help=N_("Tell what was gathered, of whom and when; ask nobody."))
@common(by=True)
def harvest(
    session: Session, url: str | None, spec: str | None, prefix: str, since: str | None, verify: bool, listed: bool
) -> int:
    if (url is None) != listed:
        raise UsageError(
            _("either an address or --list is needed"), subject="lantai harvest",
            remedy=_("lantai harvest --help tells how."),
        )  # fmt: skip
    with session.open() as archive:
        output = session.output(archive)
        if url is None:
            _list(output, archive)
            return 0
        asked = Scope(prefix, spec, since)
        done = archive.harvests.harvest(url, asked, verify=verify, progress=_counter())
        archive.entries.expose()
        _tell(output, done)
    return 1 if done.missing or done.differing else 0


def _counter() -> Callable[[int], object]:
    """Tells from time to time how many records came."""
    count, last = 0, time.monotonic()

    def progress(records: int) -> None:
        nonlocal count, last
        count += records
        if time.monotonic() - last > _EVERY:
            last = time.monotonic()
            note(ngettext("{count} record so far", "{count} records so far", count).format(count=count))

    return progress


def _tell(output: Output, done: Harvested) -> None:
    findings = [*done.warnings, *(done.differing or ())]
    output.object(
        {
            "source": done.source, "url": done.url, "name": done.name, "metadataPrefix": done.asked.prefix,
            "set": done.asked.spec, "from": done.asked.since, "responseDate": done.until,
            "status": "pending" if done.missing else "harvested", "missing": list(done.missing),
            "resumed": done.resumed, "received": done.received, "live": done.live, "deleted": done.deleted,
            "unchanged": done.unchanged, "own": done.own, "held": done.held, "segments": done.parts,
            "verified": None if done.differing is None else not done.differing, "rounds": done.rounds,
            **shapes.findings(findings),
        }
    )  # fmt: skip
    output.findings(findings)
    output.say(done.name or done.source, "bold")
    if done.resumed:
        output.say(_("Gone on with where the last harvest was broken off."))
    output.say(
        _("{received} received: {live} new or changed, {deleted} deleted, {unchanged} as before").format(
            received=done.received, live=done.live, deleted=done.deleted, unchanged=done.unchanged
        )
    )
    held = ngettext("{count} record", "{count} records", done.held).format(count=done.held)
    output.say(_("The union catalogue holds {held} of this source ({name}).").format(held=held, name=done.source))
    if done.differing is not None:
        output.say(
            _("Days that are not as the source says: {count}").format(count=len(done.differing))
            if done.differing else _("The same as the source's receipt, day by day."),
            "bold red" if done.differing else "bold green",
        )  # fmt: skip
    if done.missing:
        output.say(
            _("Pending: {stores} lack what was gathered; lantai replicate completes it.").format(
                stores=", ".join(done.missing)
            ),
            "bold red",
        )


def _list(output: Output, archive: Archive) -> None:
    sources = archive.catalog.remote.sources()
    for one in sources:
        output.object(_source(one))
    if output.as_json:
        return
    if not sources:
        output.say(_("Nothing was gathered yet. Next: lantai harvest URL"))
        return
    output.table(
        (_("Source"), _("Address"), _("Live"), _("Deleted"), _("Last"), ""),
        [
            (one.name, one.url, str(one.live), str(one.deleted), output.time(one.at),
             "" if all(each.token is None for each in one.lists) else _("broken off"))
            for one in sources
        ],
        numbers=(2, 3),
        whole=(0, 4),
    )  # fmt: skip


def _source(one: Source) -> dict[str, Any]:
    return {
        "source": one.name, "url": one.url, "live": one.live, "deleted": one.deleted, "at": shapes.moment(one.at),
        "lists": [
            {
                "metadataPrefix": each.asked.prefix, "set": each.asked.spec, "complete": each.complete,
                "resumptionToken": each.token,
            }
            for each in one.lists
        ],
    }  # fmt: skip
