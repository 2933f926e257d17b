"""The timetable of the worker: what is due, and when the next thing is."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.jobs import due, next_time

ZONE = ZoneInfo("Asia/Shanghai")
NIGHT = {"clean": "45 0 * * *", "replicate": "", "audit": "0 1 * * *"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def test_what_never_ran_is_due_but_not_what_is_never_to_run() -> None:
    assert due(NIGHT, {}, at("2026-11-29 12:00")) == ["clean", "audit"]


@pytest.mark.parametrize(
    ("began", "now", "found"),
    [
        ("2026-11-29 01:00", "2026-11-29 12:00", []),
        ("2026-11-29 01:00", "2026-11-30 00:59:59", []),
        ("2026-11-29 01:00", "2026-11-30 01:00", ["audit"]),
        ("2026-11-29 00:59", "2026-11-29 01:00", ["audit"]),
        ("2026-11-29 00:59:59.5", "2026-11-29 00:59:59.5", []),
        ("2026-11-29 00:59:59.5", "2026-11-29 01:00:00.2", ["audit"]),
        ("2026-11-20 01:00", "2026-11-29 12:00", ["audit"]),  # once, however often it was missed
    ],
)
def test_a_task_is_due_once_its_time_has_come(began: str, now: str, found: list[str]) -> None:
    assert due({"audit": "0 1 * * *"}, {"audit": at(began)}, at(now)) == found


def test_times_are_those_of_the_archive() -> None:
    began = datetime.fromisoformat("2026-11-28T16:59:00+00:00")  # 00:59 in Shanghai
    assert due({"audit": "0 1 * * *"}, {"audit": began}, at("2026-11-29 01:00")) == ["audit"]
    assert due({"audit": "0 1 * * *"}, {"audit": began + timedelta(minutes=1)}, at("2026-11-29 01:00")) == []


def test_the_next_time_is_that_of_the_first_task() -> None:
    assert next_time(NIGHT, at("2026-11-29 12:00")) == at("2026-11-30 00:45")
    assert next_time(NIGHT, at("2026-11-30 00:45")) == at("2026-11-30 01:00")
    assert next_time({"audit": ""}, at("2026-11-29 12:00")) is None


@given(st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)), st.floats(0, 3 * 86400))  # noqa: DTZ001
def test_what_ran_is_not_due_before_the_next_time_and_is_then(began: datetime, later: float) -> None:
    first = began.replace(tzinfo=ZONE, microsecond=0)
    then = next_time({"audit": "0 1 * * *"}, first)
    assert then is not None
    now = first + timedelta(seconds=later)
    assert (due({"audit": "0 1 * * *"}, {"audit": first}, now) == ["audit"]) == (now >= then)
