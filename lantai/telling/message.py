"""What is told of a run: made of its outcome alone. Pure."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import LantaiError
from ..fixity.control import NAMES
from ..fixity.outcome import Fault, Outcome
from ..messages import N_, _, language, ngettext
from ..model import RunVerdict
from ..storage.journal.verify import called

_MOST = 100
"""Lines of what was found; whoever wants more asks the archive."""
_VERDICTS: Mapping[RunVerdict, str] = {
    "passed": N_("passed"), "faults": N_("faults"), "incomplete": N_("incomplete"), "void": N_("void"),
    "failed": N_("failed"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """subject: one line; text: at most about a hundred; facts: the same for programs."""

    subject: str
    text: str
    facts: Mapping[str, Any]


def news_of(outcome: Outcome) -> bool:
    """Whether a person is to hear of it at all. A used-up budget is none; what was repaired is, each time."""
    return outcome.exit_code != 0


def standing(outcome: Outcome) -> str:
    """A digest of what is wrong and stays so, whenever and however often it is found. "": nothing is."""
    mended = _mended(outcome)
    return _digest(
        [
            *(("fault", one.store, one.package or "", one.finding.code, one.finding.subject)
              for one in outcome.faults if not _is_mended(one, mended)),
            *(("lost", one.store, one.package or one.subject) for one in outcome.lost),
            *(("away", store) for store, _reason in outcome.away),
            *(("missed", str(one.damage)) for one in outcome.missed),
        ]
    )  # fmt: skip


def standing_failure(error: LantaiError) -> str:
    return _digest([("failed", error.subject, error.what)])


def of_outcome(outcome: Outcome, *, archive: str, command: str) -> Message:
    """In the language in use. archive: what it calls itself."""
    lines = list(_lines(outcome))
    more = len(lines) - _MOST
    if more > 0:
        lines[_MOST:] = [ngettext("and {count} more", "and {count} more", more).format(count=more)]
    facts = {
        **outcome.counts, **({"level": outcome.level} if command == "audit" else {}),
        "lost_packages": [{"store": one.store, "package": one.package} for one in outcome.lost[:_MOST]],
        "faulty": [
            {"store": store, "package": package, "code": code, "count": count}
            for (store, package, code), count in _by_code(outcome.faults).most_common(_MOST)
        ],
        "away": [store for store, _reason in outcome.away],
    }  # fmt: skip
    words = _("{packages} audited at level {level}, {faults} found, {repaired} put right, {lost} lost")
    if command != "audit":
        words = _("{faults} found while stores were brought up to each other, {repaired} put right")
    said = words.format(
        packages=_packages(outcome.packages), level=outcome.level,
        faults=ngettext("{count} fault", "{count} faults", len(outcome.faults)).format(count=len(outcome.faults)),
        repaired=_packages(sum(one.valid and one.package is not None for one in outcome.repaired)),
        lost=_packages(len({one.package for one in outcome.lost if one.package})),
    )  # fmt: skip
    return _message(outcome.verdict, archive, command, _headline(outcome), (said, "", *lines, *_where()), facts)


def of_failure(error: LantaiError, *, archive: str, command: str) -> Message:
    """Of a run that came to no outcome."""
    return _message("failed", archive, command, error.what, (f"{error.subject}: {error.what}", error.remedy), {})


def of_recovery(*, archive: str, command: str) -> Message:
    return _message(
        "passed", archive, command, _("all is well again"), (_("What was told before was not found any more."),), {}
    )


def of_test(*, archive: str) -> Message:
    return _message(
        "passed", archive, "check-telling", _("a test"),
        (_("lantai sends faults and losses here. Nothing is wrong: somebody tried whether they would arrive."),), {},
    )  # fmt: skip


def _message(
    verdict: RunVerdict, archive: str, command: str, headline: str, lines: Sequence[str], facts: Mapping[str, Any]
) -> Message:
    """The verdict first: a list of mails shows the beginnings of subjects."""
    # A name may hold a line's end, which would begin another header.
    subject = _one_line(f"[{_(_VERDICTS[verdict])}] {archive}: {headline} (lantai {command})")
    text = "\n".join(map(_one_line, lines)) + "\n"
    known = {"archive": archive, "command": command, "verdict": verdict, "language": language()}
    return Message(subject, text, {**known, **facts})


def _headline(outcome: Outcome) -> str:
    """The worst of it."""
    if outcome.missed:
        return _("the audit proves nothing")
    if outcome.lost:
        count = len({one.package or one.subject for one in outcome.lost})
        if not all(one.package for one in outcome.lost):
            return ngettext("{count} thing lost", "{count} things lost", count).format(count=count)
        return ngettext("{count} package lost", "{count} packages lost", count).format(count=count)
    mended = _mended(outcome)
    left = sum(not _is_mended(one, mended) for one in outcome.faults)
    if left:
        return ngettext("{count} fault not repaired", "{count} faults not repaired", left).format(count=left)
    if outcome.away:
        return _("not audited to the end: {stores}").format(stores=", ".join(store for store, _why in outcome.away))
    count = sum(one.valid for one in outcome.repaired)
    return ngettext("{count} repair", "{count} repairs", count).format(count=count)


def _lines(outcome: Outcome) -> Iterator[str]:
    """The worst first."""
    for missed in sorted({_(NAMES[one.damage]) for one in outcome.missed}):
        yield _("void: this audit did not find damage that it made itself ({damage})").format(damage=missed)
    for lost in outcome.lost:
        # Beside packages lie no records; what lies there is named, since nothing else would name it.
        what = lost.package or lost.subject
        yield _("lost: {store} {package}: {reason}").format(store=called(lost.store), package=what, reason=lost.reason)
    mended = _mended(outcome)
    left = [one for one in outcome.faults if not _is_mended(one, mended)]
    said = {_key(one): one for one in reversed(left)}
    for key, count in _by_code(left).items():
        one = said[key]
        why = one.finding.english if language() == "en" else one.finding.message
        what = f"{called(one.store)} {one.package or one.finding.subject}: {why} [{one.finding.code}]"
        yield _("not repaired: {what}").format(what=what if count == 1 else f"{what} ×{count}")
    for done in outcome.repaired:
        if done.valid and done.package:
            yield _("repaired: {store} {package}, from {source}; what was damaged lies in damaged/").format(
                store=done.store, package=done.package, source=done.source
            )
        elif done.valid:
            yield _("repaired: {store} {keys}; what was damaged lies in damaged/").format(
                store=called(done.store), keys=", ".join(done.keys)
            )
    for store, reason in outcome.away:
        yield _("{store} was not audited: {reason}").format(store=store, reason=reason)


def _packages(count: int) -> str:
    return ngettext("{count} package", "{count} packages", count).format(count=count)


def _where() -> tuple[str, ...]:
    return ("", _("lantai jobs lists the runs; lantai audit --package ID --no-repair names every file."))


def _mended(outcome: Outcome) -> frozenset[tuple[str, str]]:
    """Packages, and keys of what lies beside them, by store."""
    whole = (one for one in outcome.repaired if one.valid)
    return frozenset((one.store, what) for one in whole for what in ((one.package,) if one.package else one.keys))


def _is_mended(fault: Fault, mended: frozenset[tuple[str, str]]) -> bool:
    """A package that is whole by itself may still be another one than the other store has."""
    is_whole = (fault.store, fault.package or fault.finding.subject) in mended
    return is_whole and fault.finding.code != "audit-diverged"


def _key(fault: Fault) -> tuple[str, str, str]:
    return fault.store, fault.package or fault.finding.subject, fault.finding.code


def _by_code(faults: Iterable[Fault]) -> Counter[tuple[str, str, str]]:
    """A package of a million damaged files is one line."""
    return Counter(map(_key, faults))


def _one_line(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)


def _digest(wrong: Iterable[tuple[str, ...]]) -> str:
    """Of the set, in whatever order; undecodable bytes of names as escapes."""
    told = sorted(set(wrong))
    return hashlib.sha256(json.dumps(told).encode()).hexdigest() if told else ""
