"""validate, clean, export: what is kept is looked at, put in order, given back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from ..archive import Archive
from ..beside import judge
from ..messages import N_, _, ngettext
from ..model import Finding, PackageId
from ..package.export import Form
from ..package.validate import Verdict, validate_all
from ..storage import Bucket
from ..storage.journal.verify import called
from ..storage.ocfl import Root
from ..storage.ocfl.copy import Diverged
from ..stores import store_at
from . import shapes
from .intake import package_of, short
from .output import Output, files, metered, note, size
from .shell import PATH, Command, Session, common, option


@click.command(
    cls=Command,
    help=N_("Read every byte of every package: inventories against content, the bag inside, METS and PREMIS.\n\n"
            "PATH is a store, an OCFL root or an object, also as s3://BUCKET/PREFIX; the home's stores by default. "
            "Level: full."),
    examples=("lantai validate", "lantai validate --package a1b2c3d4", "lantai validate /mnt/copy/ocfl --json"),
)  # fmt: skip
@click.argument("path", required=False)
@option("--package", "packages", multiple=True, metavar="ID", help=N_("Only this package of the home."))
@option("--store", "store", metavar="NAME", help=N_("Only this store of the home; else all that can be reached."))
@option("--endpoint-url", metavar="URL", help=N_("Of the S3 server; else as the AWS chain has it."))
@common(by=True)
def validate(
    session: Session, path: str | None, packages: Sequence[str], store: str | None, endpoint_url: str | None
) -> int:
    if path is not None:
        root, objects = store_at(Bucket.parse(path, endpoint_url) or Path(path))
        return _report(session.output(), root, objects, place=path, beside=() if objects else judge(root))
    with session.open(judging=True) as archive:
        output = session.output(archive)
        chosen = [package_of(archive, text) for text in packages] or None
        roots = {name: root for name, root in archive.stores.readable() if store in (None, name)}
        if not roots:
            archive.stores.root(store or archive.stores.primary)  # says why it cannot be read
        away = [one.name for one in archive.settings.store if not store and one.name not in roots]
        if away:
            note(_("not looked at, since it cannot be reached: {stores}").format(stores=", ".join(away)), "yellow")
        several = len(archive.settings.store) > 1
        codes = []
        for name, root in roots.items():
            with archive.entries.checking(name, software=archive.software.id) as note_check:
                codes.append(
                    _report(
                        output, root, chosen, place=str(archive.stores.place(name)), store=name if several else "",
                        beside=() if chosen else archive.stores.judge(name, root), told=note_check,
                    )
                )  # fmt: skip
        tell_unnoted(archive)
        return max(codes)


def _report(
    output: Output, root: Root, packages: Sequence[PackageId] | None, *, place: str, store: str = "",
    beside: Iterable[Finding], told: Callable[[PackageId, Sequence[Finding]], None] = lambda _package, _findings: None,
) -> int:  # fmt: skip
    """beside: what was found beside the packages, in the store that lies at place. told: is told of each package."""
    bad = good = 0
    if store:
        output.say(_("Store {name}").format(name=store), "bold")
    found = Verdict(place, tuple(beside))
    if found.findings:
        _tell(output, found, store, place)
    with metered() as meter:
        for verdict in validate_all(root, packages, progress=meter):
            _tell(output, verdict, store, short(verdict.object))
            told(PackageId(verdict.object), verdict.findings)
            bad, good = bad + (not verdict.valid), good + verdict.valid
    if bad or good:
        output.say(
            _("{good} valid, {bad} not; every byte was read").format(good=good, bad=bad),
            "bold red" if bad else "bold green",
        )
    else:
        output.say(_("There is no package here."))
    return 1 if bad or not found.valid else 0


def tell_unnoted(archive: Archive) -> None:
    """What was done and could not be entered in the journal, or told."""
    for error in archive.entries.unnoted:
        note(_("this could not be entered in the journal: {reason}").format(reason=error), "yellow")
    for error in (*archive.telling.unsent, *archive.log.unwritten):
        note(str(error), "yellow")


def _tell(output: Output, verdict: Verdict, store: str, name: str) -> None:
    where = {"store": store} if store else {}
    output.object({"object": verdict.object, **where, "valid": verdict.valid, **shapes.findings(verdict.findings)})
    output.say(
        f"{name}  {_('valid') if verdict.valid else _('not valid')}",
        "green" if verdict.valid else "red",
    )
    output.findings(verdict.findings)


_UNITS = {"": "hours", "h": "hours", "d": "days", "m": "minutes", "s": "seconds"}


def _age(value: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([hdms]?)", value)
    if not match:
        raise click.BadParameter(_("{value} is no time as 24h, 2d or 0").format(value=value))
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.command(
    cls=Command,
    help=N_("Complete or remove what crashed runs left behind, and put unfinished packages in order."),
    examples=("lantai clean", "lantai clean --older-than 0"),
)
@option("--older-than", type=_age, default="24h", show_default=True, metavar="T",
        help=N_("Without a sign of life for so long: 24h, 2d, 0."))  # fmt: skip
@common(by=True)
def clean(session: Session, older_than: timedelta) -> int:
    with session.open() as archive:
        output = session.output(archive)
        count = 0
        for one in archive.clean(older_than=older_than):
            count += 1
            output.object({"package": one.package, "version": one.number, "draft": one.draft, "outcome": one.outcome})
            done = _("completed") if one.outcome == "completed" else _("removed")
            output.say(_("{id} version {number}: {done}").format(id=short(one.package), number=one.number, done=done))
        if not count:
            output.say(_("Nothing was left behind."))
        tell_unnoted(archive)
    return 0


@click.command(
    cls=Command,
    help=N_("Try the store: does it keep what lantai relies on?\n\n"
            "Some hundred MB are written beside the packages and removed again: names, digests, cut uploads, "
            "create-only writes with many writers at once, lists of many keys."),
    examples=("lantai check-store", "lantai check-store --store second --json"),
)  # fmt: skip
@option("--store", "store", metavar="NAME", help=N_("Which store of the home; else the primary."))
@common()
def check_store(session: Session, store: str | None) -> int:
    broken = 0
    with session.open() as archive:
        output = session.output(archive)
        name = store or archive.stores.primary
        seen = archive.stores.root(name).store.properties
        output.object({"store": name, **asdict(seen)})
        for what, kept in (
            (_("create-only writes"), seen.create_only),
            (_("proves what it was sent, so that it is not read back"), seen.verifies_uploads),
            (_("vouches for SHA-256"), seen.vouches),
        ):
            output.say(f"{what}: {_('yes') if kept else _('no')}")
        for code, finding in archive.check_store(name):
            findings = (finding,) if finding else ()
            broken += len(findings)
            output.object({"store": name, "promise": code, "kept": not findings, **shapes.findings(findings)})
            output.say(f"{code}: {_('broken') if findings else _('kept')}", "red" if findings else "green")
            output.findings(findings)
        output.say(
            _("Promises broken: {count}").format(count=broken) if broken else _("Every promise is kept."),
            "bold red" if broken else "bold green",
        )
    return 1 if broken else 0


@click.command(
    cls=Command,
    help=N_("Bring copies up to the primary: what a store lacks is taken over, a version at a time.\n\n"
            "Every file is compared with its digest on the way. What is there already is never replaced: a version "
            "that is another one in each of two stores is named, and left to you."),
    examples=(
        "lantai replicate", "lantai replicate --to tape", "lantai replicate --from second --to local",
    ),
)  # fmt: skip
@option("--from", "source", metavar="NAME", help=N_("The store to take from; else the primary."))
@option("--to", "target", metavar="NAME", help=N_("The store to bring up; else every copy."))
@common(by=True)
def replicate(session: Session, source: str | None, target: str | None) -> int:
    failed = False
    with session.open() as archive:
        output = session.output(archive)
        packages = versions = segments = 0
        with metered() as meter:
            for one in archive.replicate(source, target, progress=meter):
                required = target or one.store not in [it.name for it in archive.settings.store if not it.required]
                failed |= bool(one.faults) or (one.error is not None and bool(required or one.package))
                if one.package is None:
                    segments += one.versions
                else:
                    packages, versions = packages + (one.versions > 0), versions + one.versions
                outcome = "copied" if one.versions else "present"
                if one.error is not None:
                    outcome = "diverged" if isinstance(one.error, Diverged) else "failed"
                output.object(
                    {
                        "store": one.store, "package": one.package, "status": outcome,
                        "versions" if one.package or one.error else "segments": one.versions,
                        **(shapes.findings(fault.finding for fault in one.faults) if one.faults else {}),
                        **(shapes.error(one.error) if one.error else {}),
                    }
                )  # fmt: skip
                for fault in one.faults if not output.as_json else ():
                    words = _("{store} had lost this, and has it again: {what}: {why}")
                    what, why = fault.package or fault.finding.subject, fault.finding.message
                    note(words.format(store=called(fault.store), what=what, why=why), "yellow")
                if one.error is not None and not output.as_json:
                    note(f"{one.store}: {one.error}", "red")
        tell_unnoted(archive)
        if segments:
            taken = ngettext("{count} segment", "{count} segments", segments).format(count=segments)
            output.say(_("{segments} of the journal copied").format(segments=taken))
        if len(archive.settings.store) == 1:
            output.say(_("There is one store only; another [[store]] in lantai.toml makes a copy."))
            return 0
        many = ngettext("{count} package", "{count} packages", packages).format(count=packages)
        of_them = ngettext("{count} version", "{count} versions", versions).format(count=versions)
        output.say(_("{packages}, {versions} copied").format(packages=many, versions=of_them))
    return 1 if failed else 0


@click.command(
    cls=Command,
    help=N_("Make the catalogue anew from a store alone: inventories, METS, PREMIS, and the journal.\n\n"
            "Until the new one is whole the old one serves; a run that was broken off goes on where it stopped. What "
            "the store lacks, though another one or the old catalogue knows it, is named."),
    examples=("lantai rebuild", "lantai rebuild --store second"),
)  # fmt: skip
@option("--store", "store", metavar="NAME", help=N_("The store to read; else the primary."))
@common()
def rebuild(session: Session, store: str | None) -> int:
    with session.open() as archive:
        output = session.output(archive)
        with metered() as meter:
            told = archive.rebuild(store, progress=meter)
        name = store or archive.stores.primary
        output.object(
            {
                "store": name,
                "packages": told.packages,
                "entries": told.entries,
                "remote": told.gathered,
                **shapes.findings(told.findings),
            }
        )
        output.findings(told.findings)
        many = ngettext("{count} package", "{count} packages", told.packages).format(count=told.packages)
        of_journal = ngettext("{count} entry", "{count} entries", told.entries).format(count=told.entries)
        output.say(
            _("The catalogue was made anew from {store}: {packages}, {entries} of the journal").format(
                store=name, packages=many, entries=of_journal
            )
        )
    return 1 if told.findings else 0


@click.command(
    cls=Command,
    help=N_("Give a package back: as the bag it is, as its files alone, or as a zip of the bag.\n\n"
            "Every file is compared with its digest on the way out; a bag is then judged by the bagit library."),
    examples=("lantai export a1b2c3d4 /tmp/out", "lantai export a1b2c3d4 out --version 1 --as files"),
)  # fmt: skip
@click.argument("package")
@click.argument("dest", type=PATH)
@option("--version", "number", type=click.IntRange(min=1), metavar="N", help=N_("Which version; else the newest."))
@option(
    "--as",
    "form",
    type=click.Choice(["bag", "files", "zip"]),
    default="bag",
    show_default=True,
    help=N_("In which form."),
)
@option("--store", "store", metavar="NAME", help=N_("From this store of the home; else from the primary."))
@option("--no-verify", is_flag=True, help=N_("Do not ask the bagit library afterwards."))
@common(by=True)
def export(
    session: Session, package: str, dest: Path, number: int | None, form: Form, store: str | None, no_verify: bool
) -> int:
    with session.open() as archive:
        output = session.output(archive)
        id = package_of(archive, package)
        with metered() as meter:
            done = archive.export(
                id, dest, version=number, form=form, verify=not no_verify, progress=meter, store=store
            )
        output.object(
            {
                "package": id, "version": done.version, "path": str(done.path), "files": done.files,
                "bytes": done.bytes, "verdict": done.verdict,
            }
        )  # fmt: skip
        output.say(
            _("{path}: {files}, {size}").format(path=done.path, files=files(done.files), size=size(done.bytes)), "bold"
        )
        if done.verdict:
            output.say(_("bagit says: valid"), "green")
        tell_unnoted(archive)
    return 0
