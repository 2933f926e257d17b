"""list, show, search: what is in the archive, answered from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any

import click

from .. import messages
from ..access import in_force
from ..archive import Archive
from ..catalog import Check, Copy, FileRow, PackageRow, RecordHit, RecordRow
from ..errors import NotFound
from ..messages import N_, _
from ..metadata.elements import heading_of, level_name
from ..model import Decision, FileId, Format, PackageId, RecordId, Shown
from . import shapes
from .intake import formats, short
from .output import Output, files, size
from .shell import Command, Session, common, option


@click.command(
    "list", cls=Command, help=N_("List the packages, oldest first."), examples=("lantai list", "lantai list --json")
)
@option("--withdrawn", is_flag=True, help=N_("The packages and records that are withdrawn, instead of the others."))
@common()
def list_packages(session: Session, withdrawn: bool) -> int:
    with session.open() as archive:
        output = session.output(archive)
        if withdrawn:
            _list_withdrawals(output, archive)
            return 0
        if output.as_json:
            for row in archive.catalog.packages(withdrawn=False):
                output.object(shapes.package(row))
            return 0
        rows = [
            (
                short(row.id), row.title, row.reference_code or "", level_name(row.level, messages.language()),
                str(row.files), size(row.bytes), f"v{row.version}", output.time(row.created)[:10], access(output, row),
            )
            for row in archive.catalog.packages(withdrawn=False)
        ]  # fmt: skip
        if not rows:
            output.say(_("The archive is empty. Next: lantai ingest PATH"))
            return 0
        headings = (
            _("ID"),
            _("Title"),
            _("Reference code"),
            _("Level"),
            _("Files"),
            _("Size"),
            _("Version"),
            _("Created"),
            _("Access"),
        )
        output.table(headings, rows, numbers=(4, 5), whole=(0, 3, 6, 7), spare=(6, 3, 4, 5))
    return 0


def _list_withdrawals(output: Output, archive: Archive) -> None:
    """Of packages and of records in them."""
    rows = []
    for entry in archive.catalog.withdrawals():
        row = None
        with suppress(NotFound):  # what was withdrawn stays so, whether or not it is known
            row = archive.catalog.record(RecordId(entry.subject))
        output.object(shapes.withdrawal(entry, row))
        title = row.description.title if row else ""
        rows.append((short(entry.subject), title, output.time(entry.at), entry.by.name, str(entry.state["reason"])))
    if output.as_json:
        return
    if rows:
        output.table((_("ID"), _("Title"), _("When"), _("Who"), _("Why")), rows, whole=(0, 2))
    else:
        output.say(_("Nothing is withdrawn."))


def access(output: Output, row: PackageRow) -> str:
    return in_words(output, row.access.shown, row.access.since, row.created)


def in_words(output: Output, shown: Shown, since: datetime, at: datetime) -> str:
    """What a decision taken at that instant lets be seen."""
    if shown == "open" and since > at:
        return _("open from {day}").format(day=output.time(since)[:10])
    return {"open": _("open"), "closed": _("closed"), "description": _("description only")}[shown]


@click.command(
    cls=Command,
    help=N_("Show a package, record or file.\n\n"
            "ID is a urn or uuid, its last six or more digits where they are unique, or a reference code."),
    examples=("lantai show a1b2c3d4", "lantai show Z109-WS·2021-Y-BGS-0001", "lantai show a1b2c3d4 --files --json"),
)  # fmt: skip
@click.argument("id")
@option("--files", "with_files", is_flag=True, help=N_("List the package's files as well."))
@common()
def show(session: Session, id: str, with_files: bool) -> int:
    with session.open() as archive:
        output = session.output(archive)
        found = archive.catalog.resolve(id)
        if found.kind == "file":
            _show_file(output, archive.catalog.file(FileId(found.id)))
        elif found.kind == "record":
            _show_record(output, archive, archive.catalog.record(RecordId(found.id)))
        else:
            _show_package(output, archive, PackageId(found.id), with_files)
    return 0


def _show_package(output: Output, archive: Archive, id: PackageId, with_files: bool) -> None:
    catalog = archive.catalog
    row, record = catalog.package(id), catalog.record(RecordId(id))
    versions, events = catalog.versions(id), sorted(catalog.events(id), key=lambda one: one.at)
    order = [one.name for one in archive.settings.store]
    copies = sorted(catalog.copies(id), key=lambda one: order.index(one.store) if one.store in order else len(order))
    if output.as_json:
        agents = {agent.id: agent for agent in catalog.agents(id)}
        value: dict[str, Any] = {
            **shapes.package(row),
            "description": shapes.description(record.description),
            "records": sum(1 for _record in catalog.records(id)),
            "versions": [shapes.version(one, copies) for one in versions],
            "events": [shapes.event(one, agents) for one in events],
            **_decided(archive, RecordId(id)),
            "checks": [shapes.check(one) for one in catalog.checks(id)],
        }
        if with_files:
            value["file_list"] = [shapes.file(one) for one in catalog.files(id)]
        output.object(value)
        return
    output.say(row.title, "bold")
    output.pairs(
        [
            (_("Package"), row.id),
            *_described(record),
            (_("Files"), f"{files(row.files)}, {size(row.bytes)}"),
            (_("Formats"), "\n".join(formats(archive, row))),
            (_("Access"), access(output, row)),
            *_holds(output, archive, RecordId(id)),
            (_("Checked"), "\n".join(_checked(output, one) for one in catalog.checks(id)) or _("never")),
            (_("Submission"), row.submission),
            (_("Store"), archive.place(id)),
        ]
    )
    _table_of_decisions(output, archive.catalog.decisions(RecordId(id)))
    output.say()
    output.table(
        (_("Version"), _("When"), _("Who"), _("Why"), _("Lies in")),
        [
            (f"v{one.number}", output.time(one.at), one.by, one.reason, _lies(output, one.number, copies))
            for one in versions
        ],
        whole=(0, 1),
        spare=(4,),
    )
    output.say()
    output.table(
        (_("When"), _("Event"), _("Outcome"), _("Detail")),
        [(output.time(one.at), one.kind, one.outcome, one.detail.split("\n")[0]) for one in events],
        whole=(0, 2),
    )
    parts = islice(catalog.records(id), 1, 51)
    _table_of_records(output, list(parts))
    if with_files:
        output.say()
        _table_of_files(output, catalog.files(id))


def _checked(output: Output, one: Check) -> str:
    told = _("valid") if one.valid else _("not valid")
    return f"{one.store}: {one.level}, {output.time(one.at)}, {told} ({one.software or '-'})"


def _lies(output: Output, number: int, copies: Sequence[Copy]) -> str:
    """The stores that hold a version, and since when, as far as was seen."""
    return ", ".join(f"{one.store} ({output.time(one.since)})" for one in copies if one.number == number)


def _table_of_records(output: Output, records: list[RecordRow]) -> None:
    if records:
        output.say()
        output.table(
            (_("ID"), _("Level"), _("Reference code"), _("Title"), _("Describes")),
            [
                (short(one.id), level_name(one.description.level, messages.language()), one.reference_code or "",
                 one.description.title, ", ".join(one.paths))
                for one in records
            ],
            whole=(0, 1),
            spare=(4, 1),
        )  # fmt: skip
    if len(records) == 50:
        output.say(_("The first 50 parts are shown; --json --files has all files, search finds any part."))


def _table_of_files(output: Output, rows: Iterable[FileRow]) -> None:
    output.table(
        (_("ID"), _("File"), _("Size"), "PRONOM", "SHA-256"),
        [
            (short(row.file.id), row.file.original_name, size(row.file.digests.size or 0),
             row.file.formats[0].puid or "-", row.file.digests.values.get("sha256", "")[:16] + "…")
            for row in rows
        ],
        numbers=(2,),
        whole=(0, 3, 4),
        spare=(4,),
    )  # fmt: skip


def _described(record: RecordRow) -> list[tuple[str, str]]:
    """Level and elements as a person reads them; the title stands above."""
    language = messages.language()
    rows = [(heading_of("isadg.level", language), level_name(record.description.level, language))]
    for element in record.description.elements:
        if element.term != "dc.title":
            rows.append((heading_of(element.term, language), element.value))
    return rows


def _decided(archive: Archive, record: RecordId) -> dict[str, Any]:
    """Of access: every decision, what holds now, from when and until when, and whether the record is withdrawn."""
    decisions = archive.catalog.decisions(record)
    now, until = archive.holds(record)
    hidden = archive.catalog.withdrawn_with(record)
    return {
        "decisions": [shapes.decision(one) for one in decisions],
        "conflict": len(in_force(decisions)) > 1,
        "holds": {
            "shown": now.shown if now else "closed",
            "since": shapes.moment(now.since) if now else None,
            "until": shapes.moment(until.since) if until else None,
        },
        "withdrawn": bool(hidden),
        "withdrawn_with": list(hidden),
    }


def _holds(output: Output, archive: Archive, record: RecordId) -> list[tuple[str, str]]:
    """What a person is to know now, beside the decision."""
    rows = []
    now, until = archive.holds(record)
    if now is not None:
        shown = in_words(output, now.shown, now.since, now.since)
        words = _("{access} since {at}").format(access=shown, at=output.time(now.since))
        if until is not None:
            words += _(", until {at}").format(at=output.time(until.since))
        rows.append((_("Now"), words))
    if len(in_force(archive.catalog.decisions(record))) > 1:
        rows.append((_("Conflict"), _("two decisions stand; the stricter one holds until a new one settles it")))
    if hidden := archive.catalog.withdrawn_with(record):
        above = ", ".join(short(one) for one in hidden if one != record)
        words = _("hidden from every open answer") if record in hidden else _("hidden with {above}").format(above=above)
        rows.append((_("Withdrawn"), words))
    return rows


def _table_of_decisions(output: Output, decisions: Sequence[Decision]) -> None:
    if decisions:
        output.say()
        standing = in_force(decisions)
        output.table(
            (_("When"), _("Access"), _("Ground"), _("Who"), _("Why"), ""),
            [
                (output.time(one.at), in_words(output, one.shown, one.since, one.at),
                 " ".join((one.ground, one.clause)).strip(), one.by, one.reason,
                 "" if one in standing else _("replaced"))
                for one in decisions
            ],
            whole=(0, 1),
        )  # fmt: skip


def _show_record(output: Output, archive: Archive, row: RecordRow) -> None:
    output.object({**shapes.record(row), **_decided(archive, row.id)})
    if output.as_json:
        return
    output.say(row.description.title, "bold")
    output.pairs(
        [
            (_("Record"), row.id),
            *_described(row),
            (_("Describes"), ", ".join(row.paths)),
            (_("Package"), row.package or "-"),
            (_("Part of"), row.parent or "-"),
            (_("Files"), files(row.files)),
            *_holds(output, archive, row.id),
        ]
    )
    _table_of_decisions(output, archive.catalog.decisions(row.id))


def _answer(one: Format) -> str:
    name = " ".join(part for part in (one.puid or "-", one.name, one.version) if part)
    return f"{name} — {'; '.join(part for part in (one.basis, one.warning) if part)}"


def _show_file(output: Output, row: FileRow) -> None:
    output.object(shapes.file(row))
    if output.as_json:
        return
    one = row.file
    output.say(one.original_name, "bold")
    output.pairs(
        [
            (_("File"), one.id),
            (_("Path"), one.path),
            (_("Size"), size(one.digests.size or 0)),
            *((name, value) for name, value in one.digests.values.items()),
            *((f"PRONOM ({answer.tool})", _answer(answer)) for answer in one.formats),
            (_("Modified"), output.time(one.modified) if one.modified else "-"),
            (_("Package"), row.package),
            (_("Record"), row.record),
        ]
    )  # fmt: skip


@click.command(
    cls=Command,
    help=N_("Find records by their description or by the name of a file of theirs; then those of other archives.\n\n"
            "All words must be there. A Chinese word is found anywhere in a text; \"words in quotes\" stand together."),
    examples=("lantai search 活动", "lantai search '开幕 照片'", "lantai search '\"autumn festival\"' --limit 5"),
)  # fmt: skip
@click.argument("query")
@option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help=N_("So many at most; with --json all, unless given."),
)
@common()
def search(session: Session, query: str, limit: int) -> int:
    with session.open() as archive:
        output = session.output(archive)
        given = click.get_current_context().get_parameter_source("limit") is click.core.ParameterSource.COMMANDLINE
        most = limit if given or not output.as_json else None
        rows = []
        for hit in archive.catalog.search(query, limit=most):
            output.object(shapes.hit(hit))
            rows.append(
                (short(hit.id), hit.title, hit.reference_code or "", level_name(hit.level, messages.language()),
                 _found(hit), _("withdrawn") if hit.withdrawn else "")
            )  # fmt: skip
        for other in archive.catalog.remote.search(query, limit=most and most - len(rows)):
            output.object(shapes.remote_hit(other))
            found = other.snippet.text if other.snippet else ""
            rows.append(("", other.title, other.identifier, "", "" if found == other.title else found, other.source))
        if output.as_json:
            return 0
        if not rows:
            output.say(_("Nothing found."))
        else:
            output.table(
                (_("ID"), _("Title"), _("Reference code"), _("Level"), _("Found"), ""), rows, whole=(0, 3), spare=(3,)
            )
    return 0


def _found(hit: RecordHit) -> str:
    """Where the words stand, unless that is the title, which is shown anyway."""
    text = hit.snippet.text if hit.snippet else hit.path or ""
    return "" if text == hit.title else text
