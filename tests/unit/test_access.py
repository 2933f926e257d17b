"""How a record is shown over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.access import Exposure, holding, in_force, strictest, timeline
from lantai.model import Decision, RecordId, Shown

START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def decided(id: str, shown: Shown, at: int, *, since: int | None = None, replaces: tuple[str, ...] = ()) -> Decision:
    begins = day(at if since is None else since)
    return Decision(id, RecordId("r"), shown, begins, "policy", day(at), "李梅", "期满", replaces)


def test_without_any_decision_nothing_is_shown() -> None:
    assert timeline([]) == ()
    assert holding((), day(0)) == "closed"


def test_before_its_day_a_decision_closes() -> None:
    assert timeline([decided("a", "open", 1, since=9)]) == (Exposure(day(1), "closed"), Exposure(day(9), "open"))


def test_a_day_that_is_past_opens_when_it_is_decided() -> None:
    assert timeline([decided("a", "open", 5, since=-100)]) == (Exposure(day(5), "open"),)


def test_a_decision_holds_until_another_replaces_it() -> None:
    line = timeline([decided("a", "open", 1), decided("b", "closed", 3, replaces=("a",))])
    assert line == (Exposure(day(1), "open"), Exposure(day(3), "closed"))


def test_of_two_that_replace_the_same_one_the_stricter_holds_until_one_replaces_both() -> None:
    first, one = decided("a", "closed", 1), decided("b", "open", 2, replaces=("a",))
    other, last = decided("c", "description", 3, replaces=("a",)), decided("d", "open", 5, replaces=("b", "c"))
    assert [it.id for it in in_force([first, one, other])] == ["b", "c"]
    shown = [(it.since, it.shown) for it in timeline([first, one, other, last])]
    assert shown == [(day(1), "closed"), (day(2), "open"), (day(3), "description"), (day(5), "open")]


def test_a_record_without_decisions_has_what_is_above_and_the_stricter_of_two_hierarchies() -> None:
    fonds, event = timeline([decided("a", "open", 1)]), timeline([decided("b", "description", 2)])
    assert timeline([], [fonds]) == fonds
    assert timeline([], [fonds, event]) == (Exposure(day(1), "closed"), Exposure(day(2), "description"))


def test_its_own_decision_stands_in_the_place_of_what_is_above() -> None:
    above = timeline([decided("a", "closed", 1), decided("b", "open", 7, replaces=("a",))])
    assert timeline([decided("c", "open", 3)], [above]) == (Exposure(day(1), "closed"), Exposure(day(3), "open"))


DECISIONS = st.lists(
    st.tuples(st.sampled_from(["open", "description", "closed"]), st.integers(0, 9), st.integers(-5, 20),
              st.sets(st.integers(0, 5), max_size=3)),
    max_size=5,
)  # fmt: skip


@given(DECISIONS)
def test_order_does_not_matter_and_nothing_is_more_open_than_what_stands(
    drawn: list[tuple[Shown, int, int, set[int]]],
) -> None:
    """Replaced are earlier ones only: nobody can replace what is yet to come."""
    known: list[Decision] = []
    for number, (shown, at, since, replaced) in enumerate(drawn):
        earlier = tuple(sorted(str(one) for one in replaced if one < number and drawn[one][1] <= at))
        known.append(decided(str(number), shown, at, since=since, replaces=earlier))
    line = timeline(known)
    assert all(timeline(some) == line for some in list(permutations(known))[:24])
    assert [one.since for one in line] == sorted({one.since for one in line})
    for instant in map(day, range(-6, 22)):
        taken = in_force(one for one in known if one.at <= instant)
        wanted = strictest(one.shown if one.since <= instant else "closed" for one in taken)
        assert holding(line, instant) == wanted


@pytest.mark.parametrize("given", [(), ("closed",), ("open", "closed"), ("open", "description")])
def test_the_strictest(given: tuple[Shown, ...]) -> None:
    assert strictest(given) == {(): "closed", ("open", "description"): "description"}.get(given, "closed")
