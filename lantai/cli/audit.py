"""audit: whether what is stored is still what was stored. jobs: what ran when, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import click

from ..audits import Asked, What
from ..errors import UsageError
from ..fixity.audit import Level
from ..fixity.control import NAMES
from ..fixity.outcome import Fault, Outcome
from ..messages import N_, _, ngettext
from ..model import Budget
from ..storage.journal.verify import called
from . import shapes
from .intake import package_of, short
from .keep import tell_unnoted
from .output import Output, metered, note, size
from .shell import Command, Session, common, option


class _Budget(click.ParamType[Budget]):
    """500GB, 2h: bytes in the units of disk makers, or time."""

    name = "budget"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Budget:
        try:
            return Budget.parse(str(value))
        except ValueError:
            words = _("{value} is no budget: give bytes such as 500GB (MB, GB, TB) or a time such as 2h (m, h, d)")
            self.fail(words.format(value=value), param, ctx)


@click.command(
    cls=Command,
    help=N_("Prove that what is stored is still what was stored, and enter it in the journal.\n\n"
            "Level listing: everything is there, each file of the right size, and nothing else; server: the "
            "server vouches for the SHA-256 of everything (S3 only, where it was seen to); full: every byte is read "
            "and hashed. An audit also audits itself: it damages packages as they are read, and if it does not find "
            "that, nothing it says counts (exit code 3)."),
    examples=("lantai audit --all", "lantai audit --package a1b2c3d4", "lantai audit --all --level listing",
              "lantai audit --due --budget 2h"),
)  # fmt: skip
@option("--all", "everything", is_flag=True, help=N_("Every package."))
@option("--due", is_flag=True, help=N_("What [fixity] every asks for now, the longest ago first: for cron or a timer."))
@option("--package", "packages", multiple=True, metavar="ID", help=N_("Only this package."))
@option("--store", "stores", multiple=True, metavar="NAME", help=N_("Only this store; else all."))
@option(
    "--level", type=click.Choice(("listing", "server", "full")),
    help=N_("How closely; else what [fixity] level says."),
)  # fmt: skip
@option(
    "--budget", type=_Budget(), metavar="500GB|2h",
    help=N_("Stop after so many bytes or so much time; what was longest not looked at comes first."),
)  # fmt: skip
@option(
    "--no-repair", is_flag=True, help=N_("Only tell; else what is damaged is restored from a store that has it whole.")
)
@common(by=True)
def audit(
    session: Session,
    everything: bool,
    due: bool,
    packages: Sequence[str],
    stores: Sequence[str],
    level: Level | None,
    budget: Budget | None,
    no_repair: bool,
) -> int:
    if everything + due + bool(packages) != 1:
        raise UsageError(
            _("say what to audit"), subject="audit",
            remedy=_("Give one of --due, --all, or --package ID as often as needed."),
        )  # fmt: skip
    with session.open(judging=True) as archive:
        output = session.output(archive)
        named = dict.fromkeys(package_of(archive, text) for text in packages)  # twice is once
        what: What = "all" if everything else "due" if due else tuple(named)
        among = tuple(dict.fromkeys(stores or (one.name for one in archive.settings.store)))
        try:
            with metered() as meter:
                asked = Asked(what, among, level or archive.settings.fixity.level, repair=not no_repair, budget=budget)
                outcome = archive.audits.run(asked, progress=meter)
        finally:
            tell_unnoted(archive)
    report(output, outcome)
    return outcome.exit_code


def report(output: Output, outcome: Outcome) -> None:
    """What was lost stands at the top, with its files."""
    found: dict[tuple[str, str], list[Fault]] = {}
    for one in outcome.faults:
        found.setdefault((one.store, one.package or one.finding.subject), []).append(one)
    of_lost = [found.pop((gone.store, gone.package or gone.subject), []) for gone in outcome.lost]
    lost = [
        {
            "store": gone.store, "package": gone.package, "subject": gone.subject, "reason": gone.reason,
            "keys": [one.finding.subject for one in faults],
        }
        for gone, faults in zip(outcome.lost, of_lost, strict=True)
    ]  # fmt: skip
    repairs = [
        {"store": one.store, "package": one.package, "from": one.source, "keys": list(one.keys), "valid": one.valid}
        for one in outcome.repaired
    ]
    output.object(
        {
            "checked": outcome.packages, "before": outcome.before, "bytes": outcome.bytes, "level": outcome.level,
            "verdict": outcome.verdict, "failed": [_failed(one) for one in outcome.faults],
            "warnings": [_failed(one) for one in outcome.warnings],
            "not_reached": [store for store, _reason in outcome.away], "spent": outcome.spent,
            "repaired": outcome.counts["repaired"], "repairs": repairs, "lost": lost, "void": bool(outcome.missed),
        }
    )  # fmt: skip
    for gone, faults in zip(outcome.lost, of_lost, strict=True):
        subject = short(gone.package) if gone.package else gone.subject
        words = _("lost: {store} {package}: {reason}")
        output.say(words.format(store=called(gone.store), package=subject, reason=gone.reason), "bold red")
        for one in faults:
            output.say(f"  {one.finding.subject}\n  {one.finding.message}", "red")
    for one in (*chain.from_iterable(found.values()), *outcome.warnings):
        where = f"{one.store} {short(one.package)}" if one.package else called(one.store)
        said = f"{where}  {one.finding.subject}\n  {one.finding.message}"
        output.say(said, "red" if one.finding.fatal else "yellow")
    for done in outcome.repaired:
        if done.package is None:
            words = ngettext(
                "{store}: {count} file beside the packages is put right; what was damaged lies in damaged/",
                "{store}: {count} files beside the packages are put right; what was damaged lies in damaged/",
                len(done.keys),
            )
            output.say(words.format(store=called(done.store), count=len(done.keys)), "green")
        elif done.valid:
            words = _("{store} {package}: repaired, and whole by a full audit; what was damaged lies in damaged/")
            output.say(words.format(store=done.store, package=short(done.package)), "green")
        elif not done.keys:
            words = _("{store} {package}: nothing was put right; what a dead draft left, lantai clean takes out")
            output.say(words.format(store=done.store, package=short(done.package)), "bold red")
        else:
            words = _("{store} {package}: written anew, and still not whole; does the store keep what it is given?")
            output.say(words.format(store=done.store, package=short(done.package)), "bold red")
    for store, reason in outcome.away:
        note(_("{store} was not audited: {reason}").format(store=store, reason=reason), "red")
    if outcome.before:
        words = ngettext(
            "{count} more was audited by the run that was broken off, and is not read again",
            "{count} more were audited by the run that was broken off, and are not read again",
            outcome.before,
        )
        output.say(words.format(count=outcome.before))
    if outcome.spent:
        output.say(_("The budget is used up; the next run goes on with what was longest not looked at."))
    count, wrong = outcome.packages, len(outcome.faults)
    words = ngettext("{count} package audited", "{count} packages audited", count).format(count=count)
    said = ngettext("{count} fault", "{count} faults", wrong).format(count=wrong)
    output.say(f"{words} ({_looked_at(outcome)}); {said}", "red" if wrong else "green")
    if outcome.missed:
        words = _("this audit did not find damage that it made itself, so nothing it says counts: {what}")
        note(words.format(what="; ".join(f"{_(NAMES[one.damage])}: {one.key}" for one in outcome.missed)), "bold red")


def _looked_at(outcome: Outcome) -> str:
    """Never just that it was verified."""
    read = size(outcome.bytes)
    match outcome.level:
        case "full":
            return _("level full: every byte, {size} read").format(size=read)
        case "server":
            return _("level server: checksums that the server vouches for, {size} read").format(size=read)
        case "listing":
            return _("level listing: the names and sizes of all files; only inventories, METS and tag files were read")


def _failed(fault: Fault) -> dict[str, Any]:
    return {"store": fault.store, "package": fault.package, **shapes.finding(fault.finding)}
