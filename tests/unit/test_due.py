"""When an audit is due: the promise is kept, and the load is even."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lantai.fixity.due import due
from lantai.model import PackageId

START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(days=90)


def asked(last: dict[PackageId, datetime | None], now: datetime) -> list[PackageId]:
    order = sorted(last.items(), key=lambda one: (one[1] or datetime.min.replace(tzinfo=UTC), one[0]))
    return list(due(order, EVERY, now, store="local"))


def test_what_was_never_checked_is_due_first() -> None:
    new, old, young = PackageId("n"), PackageId("o"), PackageId("y")
    assert asked({old: START, young: START + EVERY, new: None}, START + EVERY) == [new, old]


@given(st.integers(1, 200), st.integers(1, 10))
def test_a_promise_is_kept_whenever_it_is_asked_for(number: int, step: int) -> None:
    package, now = PackageId(f"p{number}"), START
    last: dict[PackageId, datetime | None] = {package: START}
    for _day in range(0, 400, step):
        now += timedelta(days=step)
        at = last[package]
        assert at is not None
        if asked(last, now):
            assert now - at >= EVERY / 2
            last[package] = now
        else:
            assert now - at < EVERY


def test_what_was_taken_in_on_one_day_is_not_due_on_one_day() -> None:
    last: dict[PackageId, datetime | None] = {PackageId(f"p{number}"): START for number in range(4500)}
    days: Counter[int] = Counter()
    for day in range(1, 91):
        now = START + timedelta(days=day)
        for package in asked(last, now):
            days[day] += 1
            del last[package]
    assert not last
    assert min(days) >= 45
    assert max(days.values()) < 3 * 4500 / 45
