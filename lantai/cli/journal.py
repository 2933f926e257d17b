"""journal: what happened to packages without changing them, read and proven."""

from __future__ import annotations

from collections import defaultdict

import click

from ..errors import UsageError
from ..messages import N_, _, ngettext
from ..model import Entry, Finding, RecordId
from ..storage.journal.segment import entry_to_json
from ..storage.journal.verify import Count, called
from . import shapes
from .decide import record_of
from .intake import package_of, short
from .output import Output, note
from .shell import Command, Group, Session, common, option, options_of_all


@click.group(
    cls=Group, help=N_("What happened to packages without changing them."), examples=("lantai journal verify",)
)
def journal(**_common: object) -> None: ...


journal = options_of_all(journal, home=True)  # type: ignore[assignment]


@journal.command(
    cls=Command,
    help=N_("Prove every chain of the journal: in every store, against the others, the home and the catalogue.\n\n"
            "The first broken link of each is named, and what lantai replicate can take from another store."),
    examples=("lantai journal verify", "lantai journal verify --json"),
)  # fmt: skip
@common()
def verify(session: Session) -> int:
    wrong: defaultdict[str, list[Finding]] = defaultdict(list)
    counts: dict[str, Count] = {}
    with session.open() as archive:
        output = session.output(archive)
        for name, finding in archive.entries.verify(counts):
            wrong[name].append(finding)
        away = [one.name for one in archive.settings.store if one.name not in counts]
    for name, count in counts.items():
        _tell(output, name, count, wrong[name])
    for name in away:
        output.object({"store": name, "compared": False})
    if away:
        note(_("not looked at, since it cannot be reached: {stores}").format(stores=", ".join(away)), "yellow")
    return 1 if any(one.fatal for found in wrong.values() for one in found) else 0


def _tell(output: Output, name: str, count: Count, found: list[Finding]) -> None:
    is_valid = not any(one.fatal for one in found)
    output.object(
        {
            "store": name, "compared": True, "chains": count.chains, "segments": count.segments,
            "entries": count.entries, "valid": is_valid, **shapes.findings(found),
        }
    )  # fmt: skip
    entries = ngettext("{count} entry", "{count} entries", count.entries).format(count=count.entries)
    chains = ngettext("{count} chain", "{count} chains", count.chains).format(count=count.chains)
    verdict = _("valid") if is_valid else _("not valid")
    output.say(f"{called(name)}  {verdict} ({chains}, {entries})", "green" if is_valid else "red")
    output.findings(found)


@journal.command(
    "list",
    cls=Command,
    help=N_("List the journal's entries, oldest first: all, or those of a package or record."),
    examples=("lantai journal list", "lantai journal list --package a1b2c3d4 --json"),
)
@option("--package", metavar="ID", help=N_("Of this package and of every record in it."))
@option("--record", metavar="ID", help=N_("Of this record."))
@common()
def list_entries(session: Session, package: str | None, record: str | None) -> int:
    if package and record:
        raise UsageError(
            _("--package and --record exclude each other"), subject="--record", remedy=_("Name one of them.")
        )
    with session.open() as archive:
        output = session.output(archive)
        subjects: set[str] | None = None
        if package:
            subjects = {str(one.id) for one in archive.catalog.records(package_of(archive, package))}
        elif record:
            subjects = {record_of(archive, record)}
        found = archive.entries.listed(subjects)
        if output.as_json:
            for entry in found:
                output.object(entry_to_json(entry))
            return 0
        rows = [
            (output.time(one.at), one.kind, short(RecordId(one.subject)), one.by.name, _in_words(one)) for one in found
        ]
        if not rows:
            output.say(_("Nothing is in the journal."))
            return 0
        output.table((_("When"), _("Entry"), _("Of"), _("Who"), _("What")), rows, whole=(0, 1, 2))
    return 0


def _in_words(entry: Entry) -> str:
    """The state as a person reads it: names and values."""
    said = [f"{name}: {value}" for name, value in entry.state.items()]
    ground = " ".join(part for part in (entry.ground, entry.clause) if part)
    return "; ".join((*said, *([ground] if ground else [])))
