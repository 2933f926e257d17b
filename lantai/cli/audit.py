"""audit: whether what is stored is still what was stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ..archive import Archive
from ..errors import LantaiError, UsageError
from ..fixity.audit import Level
from ..fixity.run import Segment
from ..messages import N_, _, ngettext
from ..model import Finding, PackageId
from ..storage.workers import Progress
from . import shapes
from .intake import package_of, short
from .keep import tell_unnoted
from .output import Output, metered, note, size
from .shell import Command, Session, common, option


@click.command(
    cls=Command,
    help=N_("Prove that what is stored is still what was stored, and enter it in the journal.\n\n"
            "Level listing: everything is there and nothing else, inventories are hashed; full: every byte of content "
            "is read and hashed too. An audit also audits itself: it damages packages as they are read, and if it does "
            "not find that, nothing it says counts (exit code 3)."),
    examples=("lantai audit --all", "lantai audit --package a1b2c3d4", "lantai audit --all --level listing"),
)  # fmt: skip
@option("--all", "everything", is_flag=True, help=N_("Every package."))
@option("--due", is_flag=True, help=N_("What [fixity] every asks for now, the longest ago first: for cron or a timer."))
@option("--package", "packages", multiple=True, metavar="ID", help=N_("Only this package."))
@option("--store", metavar="NAME", help=N_("Only this store; else all."))
@option(
    "--level", type=click.Choice(("listing", "full")), default="full", show_default=True,
    help=N_("What is looked at: listing or full."),
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
    store: str | None,
    level: Level,
    no_repair: bool,
) -> int:
    if everything + due + bool(packages) != 1:
        raise UsageError(
            _("say what to audit"), subject="audit",
            remedy=_("Give one of --due, --all, or --package ID as often as needed."),
        )  # fmt: skip
    told = _Told()
    with session.open() as archive:
        output = session.output(archive)
        chosen = [package_of(archive, text) for text in packages] or None
        names = [store] if store else [one.name for one in archive.settings.store]
        if everything:
            # First: what is entered later puts back what is missing at the end of a chain.
            told.failed += [(name, None, one) for name, one in archive.entries.verify({}) if store in (None, name)]
        with metered() as meter:
            for name in names:
                try:
                    asked = archive.audits.due(name, level) if due else chosen
                    for segment in archive.audits.run(name, asked, level, progress=meter):
                        told.take(name, segment)
                    if not due:
                        told.failed += [(name, *one) for one in archive.audits.beside(name, chosen)]
                except LantaiError as error:
                    told.away.append((name, error))
            if not no_repair and not told.missed:
                told.repair(archive, meter)
        tell_unnoted(archive)
    return told.report(output, level)


class _Told:
    """What a run found, in all stores."""

    def __init__(self) -> None:
        self.checked = self.bytes = 0
        self.failed: list[tuple[str, PackageId | None, Finding]] = []
        self.warned: list[tuple[str, PackageId | None, Finding]] = []
        self.missed: list[str] = []
        self.away: list[tuple[str, LantaiError]] = []
        self.repaired = 0
        self.whole: list[tuple[str, PackageId]] = []
        self.lost: list[tuple[str, PackageId, LantaiError]] = []

    def take(self, store: str, segment: Segment) -> None:
        self.missed += [f"{one.damage}: {one.key}" for one in segment.missed]
        for verdict in segment.verdicts:
            self.checked, self.bytes = self.checked + 1, self.bytes + verdict.bytes
            for finding in verdict.findings:
                (self.failed if finding.fatal else self.warned).append((store, verdict.package, finding))

    def repair(self, archive: Archive, progress: Progress) -> None:
        """What the audits found, each package from a store that has it whole."""
        found: dict[tuple[str, PackageId], list[Finding]] = {}
        for store, package, finding in self.failed:
            if package is not None and finding.code not in ("audit-diverged", "audit-lost"):
                found.setdefault((store, package), []).append(finding)
        for (store, package), findings in found.items():
            try:
                done = archive.audits.repair(store, package, findings, progress=progress)
            except LantaiError as error:
                self.lost.append((store, package, error))
            else:
                self.repaired += len(done.keys)
                if done.valid:
                    self.whole.append((store, package))

    def report(self, output: Output, level: Level) -> int:
        """What was lost stands at the top."""
        lost = [{"store": store, "package": package, "reason": error.what} for store, package, error in self.lost]
        output.object(
            {
                "checked": self.checked, "bytes": self.bytes, "level": level,
                "failed": [_failed(*one) for one in self.failed], "warnings": [_failed(*one) for one in self.warned],
                "not_reached": [name for name, _error in self.away], "repaired": self.repaired, "lost": lost,
                "void": bool(self.missed),
            }
        )  # fmt: skip
        for store, one, error in self.lost:
            words = _("{store} {package}: not repaired; {reason}")
            output.say(words.format(store=store, package=short(one), reason=error.what), "bold red")
        for store, package, finding in (*self.failed, *self.warned):
            where = f"{store} {short(package)}" if package else store
            output.say(f"{where}  {finding.subject}\n  {finding.message}", "red" if finding.fatal else "yellow")
        for store, one in self.whole:
            words = _("{store} {package}: repaired, and whole by a full audit; what was damaged lies in damaged/")
            output.say(words.format(store=store, package=short(one)), "green")
        for name, error in self.away:
            note(_("{store} was not audited: {reason}").format(store=name, reason=error), "red")
        words = ngettext("{count} package audited", "{count} packages audited", self.checked).format(count=self.checked)
        read = _("{size} read").format(size=size(self.bytes)) if level == "full" else _("listings and inventories only")
        faults = ngettext("{count} fault", "{count} faults", len(self.failed)).format(count=len(self.failed))
        output.say(f"{words} ({read}); {faults}", "red" if self.failed else "green")
        if self.missed:
            words = _("this audit did not find damage that it made itself, so nothing it says counts: {what}")
            note(words.format(what="; ".join(self.missed)), "bold red")
            return 3
        return 1 if self.failed or self.away else 0


def _failed(store: str, package: PackageId | None, finding: Finding) -> dict[str, Any]:
    return {"store": store, "package": package, **shapes.finding(finding)}
