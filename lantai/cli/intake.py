"""init, ingest, update: a home, and what comes into it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import click

from .. import messages
from ..archive import Access, Archive
from ..catalog import PackageRow
from ..config import find_home
from ..errors import NotFound, Rejected, UsageError
from ..founding import create
from ..ingest import Given, Ingested
from ..ingest.describe import for_each, outside
from ..ingest.sheet import Sheet, is_sheet, read_sheet
from ..ingest.submission import is_junk, measure, subfolders
from ..ingest.update import Change
from ..messages import N_, _
from ..model import Finding, PackageId
from ..storage import Bucket
from . import shapes
from .output import Output, files, metered, note, size
from .prepare import findings_of, sheet_bytes
from .shell import PATH, Command, Session, common, option


def short(id: str) -> str:
    """The end of a UUIDv7 tells things apart; its beginning is a clock."""
    return id.replace("-", "")[-8:]


@click.command(
    cls=Command,
    help=N_("Make a new archive: a home with its settings, catalogue and store."),
    examples=(
        "lantai init archive",
        "lantai init archive --name 云岭县档案馆 --store /data/store --timezone Asia/Shanghai",
        "lantai init archive --store s3://records/lantai --endpoint-url https://s3.example.org",
    ),
)
@click.argument("folder", type=PATH, metavar="DIR")
@option("--name", default="", metavar="NAME", help=N_("How the archive calls itself."))
@option("--store", metavar="PATH|s3://BUCKET/PREFIX", help=N_("Where packages are kept; else DIR/store."))
@option("--endpoint-url", metavar="URL", help=N_("Of the S3 server; else as the AWS chain has it."))
@option("--identifier", metavar="DOMAIN", default="", help=N_("Your domain name, for OAI identifiers."))
@option("--timezone", metavar="ZONE", default="Asia/Shanghai", show_default=True, help=N_("In which a day begins."))
@common(home=False)
def init(
    session: Session,
    folder: Path,
    name: str,
    store: str | None,
    endpoint_url: str | None,
    identifier: str,
    timezone: str,
) -> int:
    output = session.output()
    place = (Bucket.parse(store, endpoint_url) or Path(store)) if store else folder / "store"
    identity = create(
        folder, name=name, store=place, namespace=identifier, timezone=timezone, language=messages.language()
    )
    output.object({"home": str(folder), "archive": identity.archive, "store": str(place)})
    output.say(
        _("A new archive in {home}. Settings: {settings}").format(home=folder, settings=folder / "lantai.toml"), "bold"
    )
    output.say(_("Next: lantai ingest PATH --home {home}").format(home=folder))
    return 0


def shown(value: str) -> Access:
    """What a person says of access: open, description, closed, or the day from which it is open."""
    if value in ("open", "description", "closed"):
        return Access(value)  # type: ignore[arg-type]
    try:
        return Access("open", date.fromisoformat(value))
    except ValueError as error:
        raise click.BadParameter(
            _("{value} is neither open nor description nor closed nor a day as 2051-01-01").format(value=value)
        ) from error


@dataclass(frozen=True, slots=True)
class _Task:
    """One submission on its way, with its rows of the common sheet."""

    path: Path
    rows: tuple[Sheet, ...] = ()


@click.command(
    cls=Command,
    help=N_("Take submissions in: each becomes a package, stored and verified.\n\n"
            "PATH is a folder, a zip, a tar or a tar.gz. Descriptions that travel with it (metadata.csv, dc.xml) are "
            "read."),
    examples=(
        "lantai ingest records/",
        "lantai ingest festival.zip --title 第十二届金秋文化节 --access 2051-01-01",
        "lantai ingest transfer/ --each --metadata transfer.xlsx --by 王芳",
    ),
)  # fmt: skip
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
@option("--each", is_flag=True, help=N_("Make a package of each subfolder of PATH."))
@option("--title", metavar="TEXT", help=N_("The title of the whole."))
@option("--metadata", type=PATH, metavar="FILE", help=N_("A description: csv, xlsx, json or xml."))
@option(
    "--access",
    type=shown,
    metavar="open|description|closed|YYYY-MM-DD",
    help=N_("Who may see it, or from which day on all may."),
)
@option("--again", is_flag=True, help=N_("Store it though all its files are in the archive already."))
@common(by=True)
def ingest(
    session: Session, paths: Sequence[Path], each: bool, title: str | None, metadata: Path | None,
    access: Access | None, again: bool,
) -> int:  # fmt: skip
    if each and title:
        raise click.UsageError(_("--title is for one submission, --each for several"))
    failed = False
    with session.open() as archive:
        output = session.output(archive)
        sheets = sheet_bytes(metadata)
        for task in _tasks(output, paths, each, sheets):
            given = Given(title, {} if each else sheets, task.rows, again)
            try:
                with metered(measure(task.path)) as meter:
                    done = archive.ingest(task.path, given=given, access=access, progress=meter)
            except Rejected as error:
                failed = True
                tell_refused(output, task.path, error)
                continue
            except NotFound as error:
                failed = True
                output.error(error)
                continue
            failed |= done.status == "pending"
            _tell_stored(output, archive, task.path, done)
    return 1 if failed else 0


def _tasks(output: Output, paths: Sequence[Path], each: bool, sheets: dict[str, bytes]) -> Iterator[_Task]:
    for path in paths:
        if not each:
            yield _Task(path)
            continue
        folders = subfolders(path)
        beside = sorted(one for one in path.iterdir() if one not in folders)
        common = [read_sheet(name, data) for name, data in sheets.items()]
        for one in beside:
            if is_sheet(one.name):
                common += [read_sheet(name, data) for name, data in sheet_bytes(one).items()]
        names = [one.name for one in folders]
        found = [finding for sheet in common for finding in (*sheet.findings, *outside(sheet, names))]
        found += [
            Finding.of("file-outside", one.name) for one in beside if not is_sheet(one.name) and not is_junk(one.name)
        ]
        if any(finding.fatal for finding in found) or not folders:
            raise Rejected(
                _("the folder was refused; nothing of it was kept"), subject=str(path),
                remedy=_("Correct what is listed, then ingest again."),
                findings=found or [Finding.of("submission-empty", path.name)],
            )  # fmt: skip
        output.findings(found)
        for folder in folders:
            yield _Task(folder, tuple(for_each(sheet, folder.name) for sheet in common))


def tell_refused(output: Output, path: Path, error: Rejected) -> None:
    output.object({"submission": str(path), "status": "rejected", **shapes.findings(error.findings)})
    if not output.as_json:
        note(_("{path}: refused; nothing of it was kept").format(path=path), "bold red")
        output.findings(findings_of(error))


def _tell_stored(output: Output, archive: Archive, path: Path, done: Ingested) -> None:
    row = archive.catalog.package(done.package)
    output.object(
        {
            "submission": str(path), "status": done.status, "package": row.id, "version": row.version,
            "files": row.files, "bytes": row.bytes, "formats": dict(row.formats),
            "warnings": [shapes.finding(one) for one in done.warnings],
            **({"missing": list(done.missing)} if done.missing else {}),
            **({"reused": done.reused} if done.reused else {}),
        }
    )  # fmt: skip
    if output.as_json:
        return
    output.findings(done.warnings)
    tell_pending(done.missing)
    if done.status == "present":
        output.say(_("{path}: already preserved, in package {id} (“{title}”); nothing was stored").format(
            path=path, id=short(row.id), title=row.title), "bold")  # fmt: skip
    else:
        output.say(_("{path}: preserved as package {id} (“{title}”)").format(
            path=path, id=short(row.id), title=row.title), "bold green")  # fmt: skip
        output.say("  " + _("{files}, {size}; stored, verified, and on stable storage").format(
            files=files(row.files), size=size(row.bytes)))  # fmt: skip
        if done.reused:
            output.say("  " + _("{files} of these had been stored by an ingest that was broken off").format(
                files=files(done.reused)))  # fmt: skip
        for line in formats(archive, row):
            output.say(f"    {line}")
        output.say("  " + _("lies in: {place}").format(place=archive.place(row.id)))
    told = _("look at it:  lantai show {id}{home}    give it back:  lantai export {id} DEST{home}")
    output.say("  " + told.format(id=short(row.id), home=_home_option(archive)))


def tell_pending(missing: Sequence[str]) -> None:
    if missing:
        note(_("pending: the primary has it, {stores} not yet; lantai replicate completes it").format(
            stores=", ".join(missing)), "bold red")  # fmt: skip


def _home_option(archive: Archive) -> str:
    """What a command needs to find this archive from here; often nothing."""
    with suppress(UsageError):
        if find_home(Path.cwd()) == archive.home.resolve():
            return ""
    home = archive.home.resolve()
    here = Path.cwd()
    return f" --home {shlex.quote(str(home.relative_to(here) if home.is_relative_to(here) else home))}"


def formats(archive: Archive, row: PackageRow) -> list[str]:
    """A line for each format: how many files, what people call it, its PUID; the most frequent first."""
    names = archive.catalog.format_names(row.formats)
    counted = sorted(row.formats.items(), key=lambda one: (-one[1], one[0]))
    return [
        f"{count} × {names[puid]} ({puid})" if puid in names else f"{count} × {_('unknown format')}"
        for puid, count in counted
    ]


def _replacement(value: str) -> tuple[str, Path]:
    path, _equals, file = value.rpartition("=")
    if not path or not file:
        raise click.BadParameter(_("{value} is not PATH=FILE").format(value=value))
    return path, Path(file)


@click.command(
    cls=Command,
    help=N_("Store the next version of a package. Only what changed is stored; earlier versions stay as they are."),
    examples=(
        "lantai update a1b2c3d4 --metadata corrected.csv --reason 更正题名",
        "lantai update a1b2c3d4 --add late-photo.jpg --reason 补交照片",
        "lantai update a1b2c3d4 --replace 通知.pdf=scan.pdf --remove Thumbs.db --reason 'better scan'",
    ),
)
@click.argument("package")
@option("--metadata", type=PATH, metavar="FILE", help=N_("A description: csv, xlsx, json or xml."))
@option("--title", metavar="TEXT", help=N_("The title of the whole."))
@option("--add", multiple=True, type=PATH, metavar="PATH", help=N_("Add a file or a folder."))
@option("--replace", multiple=True, type=_replacement, metavar="PATH=FILE", help=N_("Put FILE in the place of PATH."))
@option("--remove", multiple=True, metavar="PATH", help=N_("Leave PATH out of the new version."))
@option("--reason", required=True, metavar="TEXT", help=N_("Why; it is kept with the version."))
@common(by=True)
def update(
    session: Session, package: str, metadata: Path | None, title: str | None, add: Sequence[Path],
    replace: Sequence[tuple[str, Path]], remove: Sequence[str], reason: str,
) -> int:  # fmt: skip
    with session.open() as archive:
        output = session.output(archive)
        id = package_of(archive, package)
        change = Change(sheet_bytes(metadata), tuple(add), dict(replace), tuple(remove), title)
        try:
            with metered() as meter:
                done = archive.update(id, change, reason=reason, progress=meter)
        except Rejected as error:
            output.object({"package": id, "status": "rejected", **shapes.findings(error.findings)})
            if not output.as_json:
                note(_("{id}: refused; the package is as it was").format(id=short(id)), "bold red")
                output.findings(findings_of(error))
            return 1
        row = archive.catalog.package(id)
        output.object(
            {
                "package": id, "status": "pending" if done.missing else "stored", "version": done.version,
                "files": row.files, "bytes": row.bytes,
                "warnings": [shapes.finding(one) for one in done.warnings],
                **({"missing": list(done.missing)} if done.missing else {}),
                **({"warnings": [shapes.finding(one) for one in done.warnings]} if done.warnings else {}),
            }
        )  # fmt: skip
        output.findings(done.warnings)
        output.say(_("{id}: version {number} stored").format(id=short(id), number=done.version), "bold green")
        if not output.as_json:
            tell_pending(done.missing)
    return 1 if done.missing else 0


def package_of(archive: Archive, text: str) -> PackageId:
    """What ID names, which must be a package. NotFound, UsageError."""
    found = archive.catalog.resolve(text)
    if found.kind == "package":
        return PackageId(found.id)
    kind = _("record") if found.kind == "record" else _("file")
    raise UsageError(
        _("this is a {kind}, not a package").format(kind=kind), subject=text,
        remedy=_("lantai show tells to which package it belongs."),
    )  # fmt: skip
