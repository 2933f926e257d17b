"""Whether the promise is kept: what is counted of streams of packages and checks, worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import inf, isclose
from tracemalloc import get_traced_memory, start, stop
from zoneinfo import ZoneInfo

import pytest

from lantai.catalog import Checks, Held
from lantai.model import PackageId
from lantai.reports import wording
from lantai.reports.fixity import FixityReport, Timed, Watched, fixity
from lantai.reports.loss import Faults, loss

DAY = timedelta(days=1)
NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
PROMISE = 90 * DAY


def held(checked: float | None, *, since: float = 400, valid: bool = True) -> Held:
    """A package that came so many days ago, and was checked so many days ago."""
    return Held(PackageId("p"), NOW - since * DAY, None if checked is None else NOW - checked * DAY, valid)


def checks(ago: float, count: int = 1, *, store: str = "local", valid: bool = True) -> Checks:
    return Checks((NOW - ago * DAY).replace(minute=0), store, valid, count)


def told(
    *packages: Held, history: tuple[Checks, ...] = (), runs: tuple[Timed, ...] = (), level: str = "full"
) -> FixityReport:
    return fixity(
        [Watched("local", PROMISE, packages)], history, {frozenset({"local"}): len(packages)} if packages else {}, runs,
        level=level, faults=Faults(), now=NOW, zone=UTC,
    )  # fmt: skip


def test_what_is_overdue_is_what_waits_longer_than_was_promised() -> None:
    report = told(held(1), held(90), held(90.01), held(None, since=90), held(None, since=91), held(200, valid=False))
    (store,) = report.stores
    assert (store.packages, store.overdue, store.never, store.failing, store.recent) == (6, 3, 2, 1, 1)
    assert store.oldest == NOW - 200 * DAY
    assert store.waiting == 200 * DAY
    assert not store.kept
    assert not report.kept


@pytest.mark.parametrize(
    ("package", "kept"),
    [(held(90), True), (held(90.001), False), (held(None, since=90), True), (held(None, since=90.001), False),
     (held(1, valid=False), True)],
)  # fmt: skip
def test_the_promise_is_to_look_within_its_time(package: Held, kept: bool) -> None:
    assert told(held(1), package).kept is kept


def test_one_store_that_is_late_breaks_the_promise_of_all() -> None:
    stores = [Watched("a", PROMISE, [held(1)]), Watched("b", PROMISE, [held(91)]), Watched("c", 100 * DAY, [held(91)])]
    report = fixity(stores, (), {}, (), level="full", faults=Faults(), now=NOW, zone=UTC)
    assert [one.kept for one in report.stores] == [True, False, True]
    assert not report.kept


def test_an_empty_archive_breaks_no_promise() -> None:
    report = told()
    assert report.kept
    assert report.stores[0].round is None
    assert report.history == ()
    assert report.lost is None
    assert "nothing to audit" in wording.verdict(report)


def test_ages_are_counted_by_the_tenth_of_the_promise() -> None:
    (store,) = told(held(0), held(8.9), held(9), held(90), held(179), held(180), held(5000), held(None)).stores
    counts = {at: count for at, count in enumerate(store.ages) if count}
    assert counts == {0: 2, 1: 1, 10: 1, 19: 1, 20: 2}
    assert len(store.ages) == 21


def test_the_pace_is_that_of_the_promised_time_and_says_when_a_round_is_done() -> None:
    """180 checks in 90 days are two a day; 20 packages take ten days. What is older, or elsewhere, is another pace."""
    history = (checks(300, 500), checks(89, 100), checks(20, 70), checks(3, 10, valid=False), checks(3, 9, store="x"))
    (store,) = told(*[held(3)] * 20, history=history).stores
    assert store.per_day == 2
    assert store.round == 10 * DAY


def test_the_pace_of_a_young_archive_is_that_of_its_days() -> None:
    (store,) = told(*[held(1, since=10)] * 20, history=(checks(5, 40),)).stores
    assert store.per_day == 4
    (store,) = told(*[held(0, since=0.01)] * 20, history=(checks(0, 20),)).stores
    assert store.per_day == 20  # not twenty in a quarter of an hour


def test_what_was_never_audited_has_no_pace() -> None:
    (store,) = told(held(None)).stores
    assert store.per_day is None
    assert store.round is None
    assert store.oldest is None


def test_the_speed_is_that_of_the_runs_within_the_promise() -> None:
    def run(ago: float, minutes: int, octets: int) -> Timed:
        began = NOW - ago * DAY
        return Timed(began, began + timedelta(minutes=minutes), octets)

    assert told(held(1), runs=(run(100, 1, 10**12), run(50, 1, 600), run(1, 2, 1200))).speed == 10
    assert told(held(1)).speed is None


@pytest.mark.parametrize(
    ("days", "begins"),
    [(2, [date(2026, 6, 28), date(2026, 6, 29), date(2026, 6, 30)]),
     (63, [date(2026, 4, 27) + number * 7 * DAY for number in range(10)]),
     (500, [date(2025, 2, 1), date(2025, 3, 1)])],
)  # fmt: skip
def test_the_history_is_told_without_gaps_by_day_week_or_month(days: int, begins: list[date]) -> None:
    report = told(held(1), history=(checks(days, 3), checks(days, 2, valid=False), checks(0, 7)))
    assert [one.begin for one in report.history][: len(begins)] == begins
    assert [one.begin for one in report.history] == sorted({one.begin for one in report.history})
    assert (report.history[0].passed, report.history[0].failed) == (3, 2)
    assert report.history[-1].passed == 7
    assert sum(one.passed + one.failed for one in report.history) == 12
    if days == 500:
        assert len(report.history) == 17


def test_a_day_is_that_of_the_archive() -> None:
    """17 o'clock in UTC is the next day in Shanghai."""
    at = Checks(datetime(2026, 6, 28, 17, tzinfo=UTC), "local", True, 1)
    zone = ZoneInfo("Asia/Shanghai")
    report = fixity([], [at], {}, (), level="full", faults=Faults(), now=NOW, zone=zone)
    assert report.history[0].begin == date(2026, 6, 29)


def test_loss_is_that_of_the_copies_and_of_the_schedule_as_it_is_kept() -> None:
    stores = [Watched("a", PROMISE, [held(1)]), Watched("b", PROMISE, [held(300)])]
    holdings = {
        frozenset({"a"}): 2,
        frozenset({"a", "b"}): 10,
        frozenset({"b", "a", "gone"}): 5,
        frozenset({"gone"}): 1,
    }
    report = fixity(stores, (), holdings, (), level="full", faults=Faults(), now=NOW, zone=UTC)
    assert [(one.stores, one.packages) for one in report.copies] == [((), 1), (("a",), 2), (("a", "b"), 15)]
    one, two = loss([PROMISE], Faults()), loss([PROMISE, 300 * DAY], Faults())
    assert [kept.loss for kept in report.copies] == [None, one, two]
    assert report.lost_a_year is not None
    assert isclose(report.lost_a_year, 2 / one.mean + 15 / two.mean)
    assert report.lost is not None
    assert isclose(report.lost, (2 * one.within(10) + 15 * two.within(10)) / 17)


def test_what_has_fewer_whole_copies_than_promised_is_counted() -> None:
    stores = [Watched("a", PROMISE, []), Watched("b", PROMISE, []), Watched("c", PROMISE, [], required=False)]
    holdings = {
        frozenset({"a", "b"}): 100, frozenset({"a", "b", "c"}): 10, frozenset({"a", "c"}): 5, frozenset({"b"}): 2,
        frozenset[str](): 1,
    }  # fmt: skip
    report = fixity(stores, (), holdings, (), level="full", faults=Faults(), now=NOW, zone=UTC)
    assert report.short == 8
    assert any(one.startswith("8 packages have fewer whole copies") for one in wording.remarks(report))
    assert wording.losses(report)[1].startswith("1 package: whole in the newest version in no store")
    report = fixity(stores, (), {frozenset({"a", "b"}): 9}, (), level="full", faults=Faults(), now=NOW, zone=UTC)
    assert report.short == 0
    assert not any("fewer" in one for one in wording.remarks(report))


def test_a_listing_says_nothing_of_loss() -> None:
    report = told(held(1), level="listing")
    assert report.lost is None
    assert "--level full" in " ".join(wording.losses(report))
    assert wording.basis(report) == []


def test_what_is_kept_does_not_grow_with_the_packages() -> None:
    def stream(number: int) -> Iterator[Held]:
        for at in range(number):
            yield held(at % 200)

    def most(number: int) -> int:
        start()
        try:
            fixity(
                [Watched("a", PROMISE, stream(number))], (), {}, (), level="full", faults=Faults(), now=NOW, zone=UTC
            )
            return get_traced_memory()[1]
        finally:
            stop()

    most(10)
    assert most(20_000) < most(100) + 20_000


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.3505, "35 %"), (0.00209, "0.21 %"), (0.0001, "1 in 10,000"), (7.7e-6, "1 in 130,000"),
     (1e-15, "less than 1 in 1,000,000,000,000"), (0.9999, "100 %")],
)  # fmt: skip
def test_a_likelihood_is_told_as_a_person_can_weigh_it(value: float, words: str) -> None:
    assert wording.chance(value) == words


def test_a_pace_too_slow_to_be_kept_is_told() -> None:
    """One check in 90 days, of 1000 packages: 90,000 days."""
    report = told(*[held(1)] * 1000, history=(checks(89),))
    assert any("90,000 days" in one for one in wording.remarks(report))
    slow = replace(report, stores=(replace(report.stores[0], per_day=1e-9),))
    assert "not foreseen" in wording.rows(slow, UTC)[0]
    assert report.stores[0].per_day not in (None, inf)
