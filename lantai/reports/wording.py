"""What a fixity report says in the archivist's words, the same on a terminal and on a page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from ..messages import _, ngettext
from .fixity import DAY, RECENT, YEARS, FixityReport, StoreFixity

_LEAST = 1e-12
"""What is less likely is not told more exactly: no model is as good as that."""


def verdict(report: FixityReport) -> str:
    if not any(one.packages for one in report.stores):
        return _("Nothing is in the archive yet, so there is nothing to audit.")
    if report.kept and report.failing:
        return ngettext(
            "The promise is kept, but {count} copy of a package was not whole when it was last checked.",
            "The promise is kept, but {count} copies of packages were not whole when they were last checked.",
            report.failing,
        ).format(count=f"{report.failing:,}")
    if report.kept:
        return _("The promise is kept: no package waits longer for its audit than was promised.")
    late = sum(one.overdue for one in report.stores)
    return ngettext(
        "The promise is not kept: {count} copy of a package is overdue for its audit.",
        "The promise is not kept: {count} copies of packages are overdue for their audit.",
        late,
    ).format(count=f"{late:,}")


def level(report: FixityReport) -> str:
    """What the checks that are counted looked at."""
    if report.level == "full":
        return _("Counted are audits of level full: every byte is read and hashed.")
    return _("Counted are audits of level listing: what is there, of what size, and inventories; content is not read.")


def headings() -> Sequence[str]:
    return (
        _("Store"), _("Promise"), _("Packages"), _("Overdue"), _("Never checked"), _("Failing"), _("Oldest check"),
        _("Last {days} days").format(days=RECENT // DAY), _("A day"), _("Round done by"), _("Kept"),
    )  # fmt: skip


NUMBERS = (2, 3, 4, 5, 7, 8)
"""The columns that are numbers."""


def rows(report: FixityReport, zone: tzinfo) -> list[Sequence[str]]:
    return [
        (
            one.store, _days(one.promise), f"{one.packages:,}", f"{one.overdue:,}", f"{one.never:,}",
            f"{one.failing:,}", one.oldest.astimezone(zone).strftime("%Y-%m-%d") if one.oldest else _("none"),
            f"{one.recent:,}", _few(one.per_day or 0),
            _round(one, report.at, zone), _("yes") if one.kept else _("no"),
        )
        for one in report.stores
    ]  # fmt: skip


def _round(one: StoreFixity, now: datetime, zone: tzinfo) -> str:
    """When a round that begins now is done."""
    try:
        return (now + one.round).astimezone(zone).strftime("%Y-%m-%d") if one.round is not None else _("not foreseen")
    except OverflowError:
        return _("not foreseen")


def remarks(report: FixityReport) -> list[str]:
    """What the table does not say by itself."""
    said = []
    if report.short:
        words = ngettext(
            "{count} package has fewer whole copies than the stores promise: lantai audit --all tells where and why, "
            "lantai replicate brings what is lacking.",
            "{count} packages have fewer whole copies than the stores promise: lantai audit --all tells where and why, "
            "lantai replicate brings what is lacking.",
            report.short,
        )
        said.append(words.format(count=f"{report.short:,}"))
    for one in report.stores:
        if one.failing:
            said.append(
                ngettext(
                    "{store}: {count} package was not whole when it was last checked; lantai audit --due looks at it.",
                    "{store}: {count} packages were not whole when last checked; lantai audit --due looks at them.",
                    one.failing,
                ).format(store=one.store, count=f"{one.failing:,}")
            )
        if one.round is not None and one.round > one.promise:
            words = _(
                "{store}: at the pace of its last audits a whole round takes {round}, but {promise} are promised."
            )
            said.append(words.format(store=one.store, round=_days(one.round), promise=_days(one.promise)))
    if report.speed is not None:
        said.append(_("Audits read {megabytes} MB a second.").format(megabytes=f"{report.speed / 1e6:,.3g}"))
    return said


def losses(report: FixityReport) -> list[str]:
    """What is to be expected; first of all packages, then by where they lie."""
    said = []
    if report.lost is not None and report.lost_a_year is not None:
        words = _(
            "With this schedule and these copies the likelihood that a package is lost within {years} years is "
            "{chance}. Expected losses: {count} packages a year."
        )
        said.append(words.format(years=YEARS, chance=chance(report.lost), count=_few(report.lost_a_year)))
    elif report.level != "full":
        said.append(_("A listing does not read content, so it cannot say what loss is likely; --level full can."))
    for one in report.copies:
        count = ngettext("{count} package", "{count} packages", one.packages).format(count=f"{one.packages:,}")
        if not one.stores:
            words = _("{packages}: whole in the newest version in no store of lantai.toml, as far as is known")
            said.append(words.format(packages=count))
        elif one.loss:
            words = _("{packages} in {stores}: likelihood of loss within {years} years {chance}")
            said.append(
                words.format(
                    packages=count, stores=", ".join(one.stores), years=YEARS, chance=chance(one.loss.within(YEARS))
                )
            )
    return said


def basis(report: FixityReport) -> list[str]:
    """Formula, source, figures, assumptions."""
    if report.lost is None:
        return []
    faults = report.faults
    return [
        _(
            "Model: each copy is struck by visible faults (a disk dies) and by latent ones, which only an audit "
            "finds. A package is lost when all of its copies are faulty at once. The chain of these states is solved "
            "exactly; for two copies it comes close to 1/MTTDL = 2 (1/MV + 1/ML) (MRV/MV + (MRL + MDL)/ML) / α, and "
            "the likelihood within t years is 1 − exp(−t/MTTDL). With one copy the first fault is the loss."
        ),
        _(
            "Source: Baker, Shah, Roussopoulos, Giuli, Rosenthal, Maniatis, Bungale: A Fresh Look at the Reliability "
            "of Long-term Digital Storage. EuroSys 2006; twice its rate, since either of two copies may fail first."
        ),
        _(
            "Figures, of each copy: 1/MV = {visible} visible faults a year (Schroeder and Gibson, FAST 2007: 2 to 4 %"
            " of disks are replaced in a year), 1/ML = {latent} latent faults a year (Bairavasundaram and others, "
            "SIGMETRICS 2007: 3.45 % of 1.53 million disks in 32 months, as if each fault hit this package) unless "
            "options say otherwise; MRV = MRL = {repair} to repair; MDL: half the time between two audits, which is "
            "the promise, or the longest wait where that is longer; α = {alpha} (1: the copies fail independently)."
        ).format(
            visible=f"{faults.visible:.3g}",
            latent=f"{faults.latent:.3g}",
            repair=_days(faults.repair),
            alpha=f"{faults.alpha:.3g}",
        ),
        _(
            "Left out: mistakes of people, attacks, errors of software and disasters that strike all copies. The "
            "figures serve to compare schedules and numbers of copies; real losses are more likely than this, not less."
        ),
    ]


def chance(value: float) -> str:
    """As a person can weigh it."""
    if value >= 1e-3:
        return f"{100 * value:.2g} %" if value < 0.995 else "100 %"
    if value < _LEAST:
        return _("less than 1 in {number}").format(number=f"{1 / _LEAST:,.0f}")
    return _("1 in {number}").format(number=f"{float(f'{1 / value:.2g}'):,.0f}")


def _few(value: float) -> str:
    return f"{value:,.2g}" if value < 100 else f"{value:,.0f}"


def _days(span: timedelta) -> str:
    count = max(1, round(span / DAY)) if span else 0
    return ngettext("{count} day", "{count} days", count).format(count=f"{count:,}")
