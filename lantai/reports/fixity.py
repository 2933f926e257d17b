"""Whether the archive keeps its promise to look at what it holds, and what loss that makes likely. Pure.

Packages are streamed past: what is kept of them does not grow with their number.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from ..catalog import Checks, Held
from .loss import Faults, Loss, loss

DAY = timedelta(days=1)
RECENT = 30 * DAY
YEARS = 10
"""Of which it is told how likely a loss is."""
SLICES = 10
"""Into which the promised time is cut; ages are counted by slice, for twice that time."""
_DAYS, _WEEKS = 62, 62 * 7
"""Days for which the history is told by the day, and by the week; what is longer, by the month."""


@dataclass(frozen=True, slots=True)
class Timed:
    """An audit of many packages, as the journal tells of it."""

    began: datetime
    ended: datetime
    bytes: int


@dataclass(frozen=True, slots=True)
class Watched:
    """A store to be told of: what is promised of it, and what lies in it. required: a whole copy of every package."""

    store: str
    promise: timedelta
    held: Iterable[Held]
    required: bool = True


@dataclass(frozen=True, slots=True)
class StoreFixity:
    """overdue: those that were never checked too, if they lie there that long. failing: not whole by the newest check.
    waiting: since the last check that is longest ago, or since what was never checked came. ages: packages by the
    slice of the promised time since their newest check, the last those beyond. round: for all, at that pace.
    """

    store: str
    promise: timedelta
    packages: int
    never: int
    overdue: int
    failing: int
    recent: int
    oldest: datetime | None
    waiting: timedelta
    ages: tuple[int, ...]
    per_day: float | None

    @property
    def kept(self) -> bool:
        return not self.overdue

    @property
    def round(self) -> timedelta | None:
        return self.packages / self.per_day * DAY if self.per_day else None

    @property
    def between(self) -> timedelta:
        """The time between two audits of one package, at worst: the promise, or what became of it."""
        return max(self.promise, self.waiting)


@dataclass(frozen=True, slots=True)
class Span:
    """Checks from the day begin on, until the next span's; failed: the package was not whole."""

    begin: date
    passed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Kept:
    """So many packages have a whole copy in just these stores, as far as is known. loss None: in none, or nothing can
    be said of it.
    """

    stores: tuple[str, ...]
    packages: int
    loss: Loss | None


@dataclass(frozen=True, slots=True)
class FixityReport:
    """speed: bytes a second of the runs within the longest promise; None: none is known. short: packages that have no
    whole copy in a store that promises one.
    """

    at: datetime
    level: str
    stores: tuple[StoreFixity, ...]
    history: tuple[Span, ...]
    speed: float | None
    faults: Faults
    copies: tuple[Kept, ...]
    short: int

    @property
    def kept(self) -> bool:
        return all(one.kept for one in self.stores)

    @property
    def failing(self) -> int:
        """Copies of packages that were not whole when they were last checked."""
        return sum(one.failing for one in self.stores)

    @property
    def lost_a_year(self) -> float | None:
        """Packages that are to be expected. None: nothing can be said."""
        told = [one.packages * one.loss.a_year for one in self.copies if one.loss]
        return sum(told) if told else None

    @property
    def lost(self) -> float | None:
        """How likely a package, any of them, is lost within YEARS."""
        told = [(one.packages, one.loss.within(YEARS)) for one in self.copies if one.loss]
        return sum(number * chance for number, chance in told) / sum(number for number, _ in told) if told else None


def fixity(
    watched: Iterable[Watched], checks: Iterable[Checks], holdings: Mapping[frozenset[str], int], runs: Iterable[Timed],
    *, level: str, faults: Faults, now: datetime, zone: tzinfo,
) -> FixityReport:  # fmt: skip
    """checks: all at that level, in the order of time; holdings: packages by the stores that have the newest version of
    them, not known to be damaged.
    """
    promised = list(watched)
    required = {one.store for one in promised if one.required}
    since = {one.store: now - one.promise for one in promised}
    done: Counter[str] = Counter()
    first: dict[str, datetime] = {}
    days: defaultdict[date, Counter[bool]] = defaultdict(Counter)
    for some in checks:
        days[some.hour.astimezone(zone).date()][some.valid] += some.count
        if some.store in since and some.hour >= since[some.store]:
            done[some.store] += some.count
            first.setdefault(some.store, some.hour)
    stores = tuple(_store(one, done[one.store], first.get(one.store, now), now) for one in promised)
    between = {one.store: one.between for one in stores}
    # Only reading content finds latent faults in it.
    reads = level == "full"
    return FixityReport(
        now, level, stores, _spans(days, now.astimezone(zone).date()),
        _speed(runs, min(since.values(), default=now)), faults,
        tuple(
            Kept(tuple(names), number, loss([between[name] for name in names], faults) if names and reads else None)
            for names, number in _by_known(holdings, between).items()
        ),
        sum(number for names, number in holdings.items() if not required <= names),
    )  # fmt: skip


def _store(watched: Watched, done: int, first: datetime, now: datetime) -> StoreFixity:
    """done: checks within the promised time, the first of them at first."""
    promise = watched.promise
    packages = never = overdue = failing = recent = 0
    oldest, waiting, there = None, timedelta(0), now - first
    ages = [0] * (2 * SLICES + 1)
    for one in watched.held:
        packages += 1
        age = now - (one.at or one.since)
        overdue += age > promise
        waiting, there = max(waiting, age), max(there, now - one.since)
        if one.at is None:
            never += 1
            continue
        failing += not one.valid
        recent += age <= RECENT
        oldest = min(oldest or one.at, one.at)
        ages[max(0, min(age // (promise / SLICES), 2 * SLICES))] += 1
    # Of a young archive, or one audited once, the days there were; never less than one, which would promise too much.
    days = max(1.0, min(promise, there) / DAY)
    pace = done / days if done else None
    return StoreFixity(
        watched.store, promise, packages, never, overdue, failing, recent, oldest, waiting, tuple(ages), pace
    )


def _by_known(
    holdings: Mapping[frozenset[str], int], known: Sequence[str] | Mapping[str, object]
) -> Counter[tuple[str, ...]]:
    """By the stores that there are now, in their order; those with the fewest copies first."""
    found: Counter[tuple[str, ...]] = Counter()
    for stores, number in holdings.items():
        found[tuple(name for name in known if name in stores)] += number
    return Counter(dict(sorted(found.items(), key=lambda one: (len(one[0]), one[0]))))


def _speed(runs: Iterable[Timed], since: datetime) -> float | None:
    octets, spent = 0, timedelta(0)
    for run in runs:
        if run.began >= since:
            octets, spent = octets + run.bytes, spent + (run.ended - run.began)
    return octets / spent.total_seconds() if spent else None


def _spans(days: Mapping[date, Counter[bool]], today: date) -> tuple[Span, ...]:
    """Without gaps, from the first check until today."""
    if not days:
        return ()
    first = min(days)
    long = (today - first).days
    found: dict[date, Counter[bool]] = {}
    for number in range((max(today, *days) - first).days + 1):
        day = first + number * DAY
        begin = day if long <= _DAYS else day - day.weekday() * DAY if long <= _WEEKS else day.replace(day=1)
        found.setdefault(begin, Counter()).update(days.get(day, ()))
    return tuple(Span(begin, counts[True], counts[False]) for begin, counts in found.items())
