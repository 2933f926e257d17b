"""check, identify, metadata template: before anything is taken in. No home is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click

from ..archive import scratch_folder
from ..errors import Exists, NotFound, Rejected, UsageError
from ..formats import Name, reason, stat_of
from ..formats.apart import Apart
from ..ingest.check import check as check_submission
from ..ingest.sheet import is_sheet
from ..ingest.submission import measure, open_submission
from ..ingest.template import write_template
from ..ingest.worksheet import Worksheet
from ..messages import N_, _
from ..model import Finding
from . import shapes
from .output import files, metered, printable
from .shell import PATH, Command, Group, Session, common, option, options_of_all


@click.command(
    cls=Command,
    help=N_("Say what ingest would say of a submission, without taking it in.\n\n"
            "check looks before ingest; validate looks at what is stored, and reads all of it."),
    examples=("lantai check records/", "lantai check festival.zip --metadata festival.xlsx --json"),
)  # fmt: skip
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
@option("--metadata", type=PATH, metavar="FILE", help=N_("A description: csv, xlsx, json or xml."))
@common()
def check(session: Session, paths: Sequence[Path], metadata: Path | None) -> int:
    session.speak()
    output = session.output()
    refused = False
    sheets = sheet_bytes(metadata)
    for path in paths:
        try:
            with scratch_folder() as scratch, metered(measure(path)) as meter:
                found = check_submission(open_submission(path, scratch=scratch), sheets=sheets, progress=meter)
        except Rejected as error:
            found = findings_of(error)
        except NotFound as error:
            refused = True
            output.error(error)
            continue
        fatal = any(one.fatal for one in found)
        refused |= fatal
        status = "rejected" if fatal else "accepted"
        output.object({"submission": str(path), "status": status, **shapes.findings(found)})
        output.say(
            f"{path}: {_('would be refused') if fatal else _('would be taken in')}",
            "bold red" if fatal else "bold green",
        )
        output.findings(found)
    return 1 if refused else 0


def findings_of(error: Rejected) -> tuple[Finding, ...]:
    return tuple(one for one in error.findings if isinstance(one, Finding))


def sheet_bytes(path: Path | None) -> dict[str, bytes]:
    """--metadata FILE, read. NotFound."""
    if path is None:
        return {}
    try:
        return {path.name: path.read_bytes()}
    except OSError as error:
        raise _unread(path, error) from error


@click.command(
    cls=Command,
    help=N_("Say of what format files are, against PRONOM."),
    examples=("lantai identify photo.jpg", "lantai identify records/ --json", "lantai identify old.doc --with both"),
)
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
@option("--with", "name", type=click.Choice(["siegfried", "fido", "both"]), default="siegfried",
        help=N_("What to ask: siegfried (fido where it is in doubt), fido, or both."))  # fmt: skip
@common()
def identify(session: Session, paths: Sequence[Path], name: Name) -> int:
    session.speak()
    output = session.output()
    failed = False
    rows: list[tuple[str, ...]] = []
    # In a process of its own, which a file on which the tool does not end cannot hold up.
    with scratch_folder() as scratch, Apart(name) as identifier:
        for shown, found, unread in _files(paths, scratch):
            failed |= bool(unread)
            for error in unread:
                output.error(error)
            for path, answers in zip(shown, identifier.identify(found), strict=True):
                output.object({"path": path, "formats": [shapes.format(one) for one in answers]})
                rows += [
                    (path if at == 0 else "", one.puid or "-", f"{one.name} {one.version}".strip(), one.tool,
                     one.warning or one.basis)
                    for at, one in enumerate(answers)
                ]  # fmt: skip
    if rows and not output.as_json:
        output.table((_("File"), "PRONOM", _("Format"), _("Tool"), _("Basis")), rows, whole=(1,), spare=(3,))
    return 1 if failed else 0


def _files(paths: Sequence[Path], scratch: Path) -> Iterator[tuple[list[str], list[Path], list[NotFound]]]:
    """Batches of names and files, and of what cannot be read: a folder's files one by one, a file as it is."""
    for path in paths:
        try:
            folder = path.is_dir()
            if folder:
                os.scandir(path).close()
            else:
                stat_of(path)
                path.open("rb").close()
        except (FileNotFoundError, NotADirectoryError):
            yield [], [], [NotFound(_("there is nothing here"), subject=str(path), remedy=_("Check the spelling."))]
        except (OSError, ValueError) as error:
            yield [], [], [_unread(path, error)]
        else:
            if not folder:
                yield [str(path)], [path], []
                continue
            for batch in open_submission(path, scratch=scratch).batches():
                yield (
                    [f"{path}/{one.original_name}" for one in batch.entries],
                    [one.file for one in batch.entries],
                    [
                        NotFound(
                            one.message, subject=f"{path}/{one.subject}", remedy=_("Put this right and try again.")
                        )
                        for one in batch.findings
                        if one.fatal
                    ],
                )


def _unread(path: Path, error: OSError | ValueError) -> NotFound:
    return NotFound(
        _("the file cannot be read ({reason})").format(reason=reason(error)),
        subject=str(path),
        remedy=_("Check the path."),
    )


@click.group(cls=Group, help=N_("Sheets of descriptions."), examples=("lantai metadata template records/",))
def metadata(**_common: object) -> None: ...


metadata = options_of_all(metadata, home=True)  # type: ignore[assignment]


@metadata.command(
    "template",
    cls=Command,
    help=N_("Write a sheet with every file of a submission listed, ready to fill in."),
    examples=("lantai metadata template records/", "lantai metadata template festival.zip -o festival.xlsx"),
)
@click.argument("path", type=PATH)
@option("-o", "--output", "target", type=PATH, metavar="FILE.csv|.xlsx",
        help=N_("Where to write it; else NAME-metadata.csv here."))  # fmt: skip
@common()
def template(session: Session, path: Path, target: Path | None) -> int:
    session.speak()
    output = session.output()
    with scratch_folder() as scratch, Worksheet(str(path)) as worksheet:
        submission = open_submission(path, scratch=scratch)
        place = target or Path(f"{printable(submission.name).replace('/', '_')}-metadata.csv")
        if place.suffix.lower() not in (".csv", ".xlsx"):
            raise UsageError(_("a sheet is .csv or .xlsx"), subject=str(place), remedy=_("Name a file that ends so."))

        def listed() -> Iterator[tuple[str, int, datetime | None]]:
            for batch in submission.batches():
                worksheet.note(*batch.told())
                for one in batch.entries:
                    if is_sheet(one.original_name):
                        continue  # a description is not itself described
                    worksheet.add_path(one.path, one.original_name, one.size)
                    yield one.original_name, one.size, one.modified

        making = place.with_name(place.name + ".partial")
        try:
            if place.exists():
                raise Exists(
                    _("something lies here already"), subject=str(place), remedy=_("Remove it, or name another file.")
                )
            with making.open("xb") as out:
                write_template(out, listed(), "xlsx" if place.suffix.lower() == ".xlsx" else "csv")
            worksheet.refuse_empty()
            warnings = worksheet.require_clean()
            making.rename(place)
        except OSError as error:
            raise UsageError(
                _("this cannot be written ({reason})").format(reason=error.strerror), subject=str(place),
                remedy=_("Name a folder that you may write to."),
            ) from error  # fmt: skip
        finally:
            with suppress(OSError):
                making.unlink(missing_ok=True)
        count, _octets = worksheet.count()
    output.object({"path": str(place), "files": count, "warnings": [shapes.finding(one) for one in warnings]})
    output.findings(warnings)
    output.say(
        _("{path}: a sheet for {files}. Fill it in, then: lantai ingest {submission} --metadata {path}").format(
            path=place, files=files(count), submission=path
        )
    )
    return 0
