"""The commit, in every interleaving: the real code of ocfl, over a store in memory, step by step.

What a judge asks of each is in judge.py. Run with -s to see how much was gone through; LANTAI_MODEL=full adds the
configurations that take minutes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from lantai.model import PackageId
from lantai.storage import Body, ocfl
from lantai.storage.ocfl import Root, clean, draft, resume
from lantai.storage.ocfl.clean import Settled
from lantai.storage.ocfl.inventory import Content
from lantai.storage.ocfl.layout import Staged
from tests.conformance.objects import Files
from tests.conformance.store_model import against
from tests.model.actors import (
    clean_and_write,
    cleaner,
    giving_up,
    reader,
    resuming,
    second_run,
    settler,
    with_version,
    writer,
)
from tests.model.explorer import Adversity, Exploration, Explored, Violation
from tests.model.judge import Judge
from tests.model.tree import Actor, Claim
from tests.model.world import EMPTY, Lock, Port, Pulse, World, dead_drafts

ONE: Files = {"a": b"1"}
TWO: Files = {"a": b"2"}
OLD: Files = {"a": b"0", "k": b"k"}
KEPT: Files = {"k": b"k"}
LONG = timedelta(days=1)
KIND = Adversity()


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks and signs of life become steps of the model."""
    monkeypatch.setattr(ocfl, "DraftLock", Lock)
    monkeypatch.setattr(clean, "dead_drafts", dead_drafts)
    monkeypatch.setattr(resume, "dead_drafts", dead_drafts)
    monkeypatch.setattr(draft, "threading", SimpleNamespace(Event=threading.Event, Thread=Pulse))


@pytest.fixture
def stored() -> World:
    """A store with version 1, of a home that is gone."""
    return with_version(EMPTY, "0", OLD)


def explored(actors: Sequence[Actor], world: World = EMPTY, adversity: Adversity = KIND) -> Explored:
    """Every interleaving is gone through. Raises Violation."""
    return Exploration(actors, world, adversity, Judge(actors, {"0" * 8: OLD})).all()


def claims(*told: tuple[str, int, bool]) -> frozenset[Claim]:
    return frozenset(Claim(name * 8, number, is_version) for name, number, is_version in told)


# --- what holds


@dataclass(frozen=True, slots=True)
class Case:
    """What goes on at once, and all that anybody may be told, each of which is told in some interleaving."""

    actors: Sequence[Actor]
    told: frozenset[Claim]
    adversity: Adversity = KIND
    update: bool = False  # of a package that has version 1


def _fragile(name: str, files: Files = ONE) -> Actor:
    return writer(name, files, fragile=True)


def _update(name: str, files: Files = ONE) -> Actor:
    return writer(name, files, base=1, kept=KEPT, fragile=True)


EITHER = claims(("a", 1, True), ("a", 1, False))
BOTH = EITHER | claims(("b", 1, True), ("b", 1, False))
CASES = {
    "two writers of one version, both may crash": Case(
        [_fragile("a"), _fragile("b", TWO)], BOTH, Adversity(crashes=2)
    ),
    "two updates of one package, one may crash": Case(
        [_update("a"), _update("b", TWO)],
        claims(("a", 2, True), ("a", 2, False), ("b", 2, True), ("b", 2, False)),
        Adversity(crashes=1), update=True,
    ),
    "a reader beside two updates": Case(
        [_update("a"), _update("b", TWO), reader("r")],
        claims(("a", 2, True), ("a", 2, False), ("b", 2, True), ("b", 2, False)), update=True,
    ),
    "a writer that may sleep or crash, and two cleans in a row": Case(
        [_fragile("a"), cleaner("c", times=2)], EITHER, Adversity(crashes=1)
    ),
    "an update that may sleep or crash, and a clean": Case(
        [_update("a"), cleaner("c")], claims(("a", 2, True), ("a", 2, False)), Adversity(crashes=1), update=True
    ),
    "an update, and a clean that takes nobody for dead": Case(
        [_update("a"), cleaner("c", older_than=LONG)], claims(("a", 2, True)), update=True
    ),
    "a writer that gives a late sign of life, and a clean": Case(
        [_fragile("a"), cleaner("c")], EITHER, Adversity(pulses=1)
    ),
    "a writer, and a clean that may crash": Case(
        [writer("a", ONE), cleaner("c", fragile=True)], EITHER, Adversity(crashes=1)
    ),
    "a writer that refuses its submission, and a clean": Case(
        [giving_up("a", ONE), cleaner("c")], claims(("a", 1, False)), Adversity(crashes=1, pulses=1)
    ),
    "a writer that loses an answer, and a clean": Case([_fragile("a"), cleaner("c")], EITHER, Adversity(lost=1)),
    "a writer that loses an answer, and its home again": Case(
        [_fragile("a"), settler("s", "a")], EITHER, Adversity(lost=1)
    ),
    "two writers, one loses an answer": Case([_fragile("a"), writer("b", TWO)], BOTH, Adversity(lost=1)),
    "a writer that may crash, and its home again": Case(
        [_fragile("a"), second_run("b", TWO, home="a")],
        BOTH | claims(("b", 2, True)), Adversity(crashes=1, pulses=1),
    ),
    "a writer that may crash, and another home that cleans and writes": Case(
        [_fragile("a"), clean_and_write("b", TWO)], BOTH | claims(("b", 2, True)), Adversity(crashes=1),
    ),
    "an ingest that may crash, and the next one that goes on with it": Case(
        [resuming("a", ONE, home="a", fragile=True), resuming("b", ONE, home="a", like="a")],
        BOTH | claims(("a", 2, True), ("b", 2, True)), Adversity(crashes=1),
    ),
}  # fmt: skip

FULL = {
    "a writer and two cleans at once": Case([_fragile("a"), cleaner("c"), cleaner("d")], EITHER),
    "a writer that may crash, its home again, and a clean": Case(
        [_fragile("a"), settler("s", "a"), cleaner("c")], EITHER, Adversity(crashes=1)
    ),
    "a writer and its home again, one loses an answer": Case(
        [_fragile("a"), second_run("b", TWO, home="a", fragile=True)], BOTH | claims(("b", 2, True)), Adversity(lost=1)
    ),
    "a writer that loses an answer and may crash, and a clean": Case(
        [_fragile("a"), cleaner("c")], EITHER, Adversity(crashes=1, lost=1)
    ),
    "a writer and its home again, both may crash": Case(
        [_fragile("a"), second_run("b", TWO, home="a", fragile=True)],
        BOTH | claims(("b", 2, True)),
        Adversity(crashes=2),
    ),
    "an ingest that loses an answer, and the next one that goes on with it": Case(
        [resuming("a", ONE, home="a", fragile=True), resuming("b", ONE, home="a", like="a")],
        BOTH | claims(("a", 2, True), ("b", 2, True)),
        Adversity(lost=1),
    ),
    "an ingest and the next one that goes on with it, both may crash": Case(
        [resuming("a", ONE, home="a", like="b", fragile=True), resuming("b", ONE, home="a", like="a", fragile=True)],
        BOTH | claims(("a", 2, True), ("b", 2, True)),
        Adversity(crashes=2),
    ),
    "an ingest that may crash and lose an answer, and the next one that goes on with it": Case(
        [resuming("a", ONE, home="a", fragile=True), resuming("b", ONE, home="a", like="a")],
        BOTH | claims(("a", 2, True), ("b", 2, True)),
        Adversity(crashes=1, lost=1),
    ),
    "two writers and a clean": Case([_fragile("a"), _fragile("b", TWO), cleaner("c")], BOTH),
}


def holds(name: str, case: Case, world: World) -> None:
    found = explored(case.actors, world if case.update else EMPTY, case.adversity)
    print(f"{name}: {found}")
    assert found.claims == case.told


@pytest.mark.parametrize("name", CASES)
def test_every_success_is_a_version_and_every_version_is_whole(name: str, stored: World) -> None:
    holds(name, CASES[name], stored)


@pytest.mark.skipif(os.environ.get("LANTAI_MODEL") != "full", reason="takes minutes: set LANTAI_MODEL=full")
@pytest.mark.parametrize("name", FULL)
def test_so_it_is_with_more_of_them(name: str, stored: World) -> None:
    holds(name, FULL[name], stored)


# --- cases with a name: what would go wrong if a rule were broken, and is found


def wrong(actors: Sequence[Actor], world: World = EMPTY, adversity: Adversity = KIND) -> str:
    """What is found wrong, and that it is shown step by step."""
    with pytest.raises(Violation) as raised:
        explored(actors, world, adversity)
    assert len(raised.value.trace) > 10
    return raised.value.what


def test_the_sleeping_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It wakes after cleans took its content, and must still find that it was given up."""
    settle = clean.settle

    def forgetting(root: Root, staged: Staged, *, held: bool) -> Iterator[Settled]:
        return settle(root, staged, held=True)  # the outcome goes as well, though the writer may wake

    actors = [writer("a", ONE), cleaner("c", times=2)]
    assert explored(actors).claims == EITHER
    monkeypatch.setattr(clean, "settle", forgetting)
    assert "has lost v1/content/aaaaaaaa/a" in wrong(actors)


def test_inventories_read_before_the_listing(stored: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is committed in between would look like what nobody names."""

    def hasty(root: Root, package: PackageId) -> Iterator[Settled]:
        head = root.head(package)
        named = [row.path for row in root.inventory(package, head) if isinstance(row, Content)]
        staged = {staged.draft for staged in clean._staged(root, package)}
        place = root.object_key(package) + "/"
        for stat in root.store.list(place + "v"):
            path = stat.key.removeprefix(place)
            if "/content/" in path and path not in named and path.split("/")[2] not in staged:
                root.store.delete(stat.key)
        yield from ()

    actors = [_update("a"), cleaner("c", older_than=LONG)]
    monkeypatch.setattr(clean, "_orphans", hasty)
    assert "has lost v2/content/aaaaaaaa/a" in wrong(actors, stored)


def test_a_late_put_of_a_dead_attempt() -> None:
    """It lands where nobody else writes; if a later draft had the same place, it would change a version."""

    def actors(draft: str) -> list[Actor]:
        return [_fragile("a"), second_run("b", TWO, home="a", draft=draft)]

    assert Claim("bbbbbbbb", 1, True) in explored(actors("bbbbbbbb"), adversity=Adversity(crashes=1)).claims
    assert "other bytes" in wrong(actors("aaaaaaaa"), adversity=Adversity(crashes=1))


@pytest.mark.parametrize("beside", ["a clean", "a lost answer"])
def test_a_second_run_told_that_it_lost_to_itself(beside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says that a draft is no version has looked whether it has become one."""
    monkeypatch.setattr(Root, "is_ours", lambda *_of: False)
    if beside == "a clean":
        found = wrong([writer("a", ONE), cleaner("c")])
    else:
        found = wrong([_fragile("a"), settler("s", "a")], adversity=Adversity(lost=1))
    assert "number=1, is_version=False" in found


def test_a_sidecar_that_nobody_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer died after the act: whoever finishes the next version writes it, or a clean."""
    put_sidecar = Root._put_sidecar

    def of_the_head(root: Root, package: PackageId, number: int, digest: str | None) -> bool:
        return number == root.head(package) and put_sidecar(root, package, number, digest)

    actors = [_fragile("a"), clean_and_write("b", TWO)]
    monkeypatch.setattr(Root, "_put_sidecar", of_the_head)
    assert "E058" in wrong(actors, adversity=Adversity(crashes=1))


def test_content_removed_before_it_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome comes first: a writer that has won it may commit at any moment."""
    outcome = clean._outcome

    def late(root: Root, staged: Staged, *, held: bool) -> bytes:
        clean.remove_unnamed(root, staged)
        return outcome(root, staged, held=held)

    monkeypatch.setattr(clean, "_outcome", late)
    assert "has lost v1/content/aaaaaaaa/a" in wrong([writer("a", ONE), cleaner("c")])


def test_a_writer_that_does_not_ask_for_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a clean has decided holds for the writer, too."""
    create = Port.create

    def commit_at_any_rate(port: Port, key: str, body: Body) -> None:
        if not key.endswith("/outcome") or port.who != "a":
            create(port, key, body)

    monkeypatch.setattr(Port, "create", commit_at_any_rate)
    assert "has lost v1/content/aaaaaaaa/a" in wrong([writer("a", ONE), cleaner("c")])


def test_two_late_requests_of_the_dead() -> None:
    """The staged inventory was sent twice, then the outcome; its home removed the draft, and both land after that."""
    explored([_fragile("a"), settler("s", "a")], adversity=Adversity(crashes=1, lost=1))


# --- the explorer


def counting(name: str) -> Actor:
    """Reads a number and puts the next one, and claims it: two who do so at once may lose one."""

    def act(port: Port, told: frozenset[Claim]) -> Iterator[Claim]:
        number = 0
        if any(port.list("n")):
            with port.open("n") as source:
                number = int(source.read())
        port.put("n", lambda: (b"%d" % (number + 1),), algorithms=())
        yield Claim(name, number + 1, True)

    return Actor(name, name, [act])


class Watching:
    """Judges nothing, and keeps what it saw."""

    def __init__(self) -> None:
        self.worlds: set[tuple[object, ...]] = set()
        self.ends: set[tuple[object, object, frozenset[tuple[str, int, bool]]]] = set()

    def always(self, world: World) -> None:
        self.worlds.add((frozenset(world.things.items()), world.late))

    def step(self, before: World, after: World) -> None:
        pass

    def end(self, world: World, claims: frozenset[Claim]) -> None:
        told = frozenset((claim.draft, claim.number, claim.is_version) for claim in claims)
        self.ends.add((frozenset(world.things.items()), world.late, told))


def test_every_way_is_gone() -> None:
    judge = Watching()
    found = Exploration([counting("x"), counting("y")], EMPTY, Adversity(), judge, every_order=True).all()
    told = {tuple(sorted((name, number) for name, number, _is in end[2])) for end in judge.ends}
    assert told == {(("x", 1), ("y", 1)), (("x", 1), ("y", 2)), (("x", 2), ("y", 1))}
    # By hand: either puts before the other looks, who then takes one step more, or both look, and put in either order.
    assert found.schedules == 6
    assert found.states == 15


@pytest.mark.parametrize(("other", "adversity"), [
    (cleaner("c"), Adversity(crashes=1)),
    (cleaner("c"), Adversity(pulses=1)),
    (writer("b", TWO), Adversity(crashes=1)),
    (writer("b", TWO), Adversity(lost=1)),
    (settler("s", "a"), Adversity(crashes=1)),
    (settler("s", "a"), Adversity(lost=1, pulses=1)),
])  # fmt: skip
def test_no_world_and_no_end_is_missed_where_orders_are_left_out(other: Actor, adversity: Adversity) -> None:
    seen, states = [], []
    for every_order in (False, True):
        judge = Watching()
        exploration = Exploration([_fragile("a"), other], EMPTY, adversity, judge, every_order=every_order)
        states.append(exploration.all().states)
        seen.append((judge.worlds, judge.ends))
    assert seen[0] == seen[1]
    assert states[0] < states[1]


def test_the_store_of_the_model_is_a_store() -> None:
    run_state_machine_as_test(against(lambda: Port("anybody")), settings=settings(max_examples=50, deadline=None))
