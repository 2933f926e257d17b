"""Every interleaving of actors that run real code.

A state is a world and where each actor stands in its tree. States are gone through breadth first, each once, so that
what led to something wrong is told by a short trace.

Not every order of steps need be tried: one that changes nothing, and whose answer nobody else may change any more, is
taken at once (a persistent set of one; every world is still met). What others may yet change is read from their trees;
these grow while states are gone through, and then all is done anew, until nothing was learned.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from lantai.errors import LantaiError, StoreUnavailable
from tests.model.tree import Actor, Claim, Trees
from tests.model.world import AGAIN, AT_HOME, CHANGES, LOST, READS, Answer, Operation, World


@dataclass(frozen=True, slots=True)
class Adversity:
    """How often each may happen in a schedule, the first two to fragile actors.

    crashes: what the dead asked for last may yet take effect. lost: no answer came; what was asked for may yet take
    effect, and the store gives up or repeats it. pulses: a sign of life, at any time while a draft is open.
    """

    crashes: int = 0
    lost: int = 0
    pulses: int = 0


class Judge(Protocol):
    """What must hold: of every world, of every change, when all have ended. Each raises AssertionError."""

    def always(self, world: World) -> None: ...
    def step(self, before: World, after: World) -> None: ...
    def end(self, world: World, claims: frozenset[Claim]) -> None: ...


class Violation(AssertionError):
    """What was wrong, and what led to it."""

    def __init__(self, what: str, trace: Sequence[str]) -> None:
        super().__init__("\n  ".join((what, *trace)))
        self.what, self.trace = what, trace


@dataclass(frozen=True, slots=True)
class Explored:
    """states; worlds (many states can be in one); ends: states in which all have ended; schedules: ways from the
    beginning to where nothing can happen; runs: how often code was run; claims: all that anybody was told.
    """

    states: int
    worlds: int
    ends: int
    schedules: int
    runs: int
    claims: frozenset[Claim]

    def __str__(self) -> str:
        return (
            f"{self.states:,} states, {self.worlds:,} worlds, {self.ends:,} ends, {self.schedules:.1e} schedules,"
            f" {self.runs:,} runs"
        )


State: TypeAlias = tuple[int, ...]
"""World; crashes, lost answers, pulses that are left; then the node of each actor, _DEAD if it has crashed."""

What: TypeAlias = tuple[int, Answer | Operation | None]
"""A place in the state and the answer that was got there, None: it died; 0 and what took effect late."""

_FIRST, _DEAD = 4, -1


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a step depends on: keys that begin with prefix, beyond after, up to upto. None of them is there, but, if
    there is not None, the last, with these bytes.
    """

    prefix: str
    after: str
    upto: str
    there: bytes | None

    def disturbed_by(self, change: Operation) -> bool:
        if not (self.after < change.key <= self.upto and change.key.startswith(self.prefix)):
            return False
        if change.key == self.upto and self.there is not None:
            return change.kind == "delete" or (change.kind == "put" and change.data != self.there)
        return change.kind != "delete"


_NOTHING = _Reach("", "", "", None)
_LAST = "\x7f"


class Exploration:
    """Of actors in a world, under adversities, before a judge. every_order: none is left out, which takes longer."""

    def __init__(
        self, actors: Sequence[Actor], world: World, adversity: Adversity, judge: Judge, *, every_order: bool = False
    ) -> None:
        self.actors, self.adversity, self.judge = actors, adversity, judge
        self._every_order = every_order
        self.trees = Trees(actors)
        self._worlds: list[World] = []
        self._world_ids: dict[tuple[object, ...], int] = {}
        self._reaches, self._reach_ids = [_NOTHING], {_NOTHING: 0}
        self._applied: dict[tuple[int, int], tuple[int, Answer, int]] = {}
        self._deserted: dict[tuple[int, int, int], int] = {}
        self._futures: list[frozenset[Operation]] = []
        self._disturbances: dict[tuple[int, int], bool] = {}
        self._judged: set[tuple[int, int] | tuple[int, frozenset[Claim]]] = set()
        homes = [actor.home for actor in actors]
        self._shared = {home for home in homes if homes.count(home) > 1}
        kinds = [actor.kind or actor.name for actor in actors]
        roots = [self.trees.beginning(kinds.index(kind), world) for kind in kinds]
        self._alike = [
            places for kind in sorted({*kinds})
            if len(places := [_FIRST + at for at, one in enumerate(kinds) if one == kind]) > 1
        ]  # fmt: skip
        self.start: State = (self._world(world), adversity.crashes, adversity.lost, adversity.pulses, *roots)

    def all(self, *, limit: int = 15_000_000) -> Explored:
        """Go through every state. Raises Violation; RuntimeError if there are more than limit."""
        self.judge.always(self._worlds[self.start[0]])
        known = 0
        while known < len(self.trees.nodes):
            known = len(self.trees.nodes)
            self._futures, self._disturbances = self.trees.futures(), {}
            order, edges, bounds, ends, claims = self._round(limit)
        worlds = len({state[0] for state in order})
        return Explored(len(order), worlds, ends, _ways(edges, bounds), self.trees.runs, claims)

    def _round(self, limit: int) -> tuple[list[State], array[int], array[int], int, frozenset[Claim]]:
        order, ids = [self.start], {self.start: 0}
        parents, edges, bounds = array("L", [0]), array("L"), array("L", [0])
        claims: frozenset[Claim] = frozenset()
        ends = 0
        for at, state in enumerate(order):  # it grows meanwhile
            for after, _what in self._following(state):
                number = ids.get(after)
                if number is None:
                    number = ids[after] = len(order)
                    order.append(after)
                    parents.append(at)
                    if wrong := self._wrong(state, after):
                        raise Violation(wrong, self._trace(order, parents, number))
                    if number > limit:
                        raise RuntimeError(f"more than {limit:,} states")
                edges.append(number)
            bounds.append(len(edges))
            if all(node == _DEAD or self.trees.nodes[node].asks < 0 for node in state[_FIRST:]):
                ends += 1
                told = frozenset[Claim]().union(*(self.trees.nodes[node].told for node in state[_FIRST:] if node >= 0))
                claims |= told
                if wrong := self._wrong_end(state[0], told):
                    raise Violation(wrong, self._trace(order, parents, at))
        return order, edges, bounds, ends, claims

    # -- what follows a state

    def _following(self, state: State) -> list[tuple[State, What]]:
        world, crashes, lost, pulses = state[:_FIRST]
        following: list[tuple[State, What]] = []
        for place in range(_FIRST, len(state)):
            if state[place] == _DEAD or (asks := self.trees.nodes[state[place]].asks) < 0:
                continue
            after, answer, reach = self._apply(world, asks)
            own: list[tuple[State, What]] = [(self._moved(state, place, after, answer), (place, answer))]
            if self.actors[place - _FIRST].fragile:
                if lost:
                    own += self._unanswered(state, place, asks)
                if crashes:
                    own.append((self._crashed(state, place, asks), (place, None)))
            if reach >= 0 and not self._every_order and not self._disturbed(state, place, reach):
                return own
            following += own
        here = self._worlds[world]
        for late in here.late:
            following.append(((self._world(here.landed(late)), *state[1:]), (0, late)))
        for sign in here.pulses.values() if pulses else ():
            after = self._world(here.after(sign)[0])
            following.append(((after, crashes, lost, pulses - 1, *state[_FIRST:]), (0, sign)))
        return following

    def _moved(self, state: State, place: int, world: int, answer: Answer, *, lost: int = 0) -> State:
        node = self.trees.grown(state[place], answer, self._worlds[world])
        rest = state[place + 1 :]
        return self._ordered((world, state[1], state[2] - lost, state[3], *state[_FIRST:place], node, *rest))

    def _unanswered(self, state: State, place: int, asks: int) -> Iterator[tuple[State, What]]:
        step, world = self.trees.operations[asks], state[0]
        if step.kind in CHANGES:
            world = self._world(self._worlds[world].without("", still=[step]))
        if step.kind in CHANGES | READS or step.kind == "sync":
            yield self._moved(state, place, world, LOST, lost=1), (place, LOST)
        if step.kind in CHANGES:
            yield self._moved(state, place, world, AGAIN, lost=1), (place, AGAIN)

    def _crashed(self, state: State, place: int, asks: int) -> State:
        world = self._deserted.get((state[0], place, asks))
        if world is None:
            here, name, step = self._worlds[state[0]], self.actors[place - _FIRST].name, self.trees.operations[asks]
            still = [step] if step.kind in CHANGES else []
            if self.adversity.pulses and name in here.pulses:
                still.append(here.pulses[name])
            world = self._deserted[state[0], place, asks] = self._world(here.without(name, still=still))
        return self._ordered((world, state[1] - 1, *state[2:place], _DEAD, *state[place + 1 :]))

    def _ordered(self, state: State) -> State:
        """The one of all states that differ only in who is who among those that are alike."""
        for places in self._alike:
            nodes = [state[place] for place in places]
            if nodes != (ordered := sorted(nodes)):
                changed = list(state)
                for place, node in zip(places, ordered, strict=True):
                    changed[place] = node
                state = tuple(changed)
        return state

    # -- steps and worlds

    def _world(self, world: World) -> int:
        number = self._world_ids.setdefault(world.identity(), len(self._worlds))
        if number == len(self._worlds):
            self._worlds.append(world)
        return number

    def _apply(self, world: int, asks: int) -> tuple[int, Answer, int]:
        """The world after a step, the answer, and by number what the step depends on; -1 if others see its effect."""
        known = self._applied.get((world, asks))
        if known is None:
            here, step = self._worlds[world], self.trees.operations[asks]
            after, answer = here.after(step)
            number = self._world(after)
            reach = self._reach(here, step, answer, idle=number == world)
            at = -1 if reach is None else self._reach_ids.setdefault(reach, len(self._reaches))
            if reach is not None and at == len(self._reaches):
                self._reaches.append(reach)
            known = self._applied[world, asks] = (number, answer, at)
        return known

    def _reach(self, here: World, step: Operation, answer: Answer, *, idle: bool) -> _Reach | None:
        if step.kind in AT_HOME:
            return None if step.key.partition("/")[0] in self._shared else _NOTHING
        if step.kind in ("pulse", "quiet"):
            return None if self.adversity.pulses else _NOTHING
        if step.kind == "sync":
            return _NOTHING
        if step.kind == "next":
            upto = str(answer.data) if answer.data else step.key + _LAST
            return _Reach(step.key, step.data.decode(), upto, here.things.get(upto))
        return _Reach(step.key, "", step.key, here.things.get(step.key)) if idle else None

    def _disturbed(self, state: State, place: int, reach: int) -> bool:
        """Whether anybody else may yet change what a step depends on."""
        if not reach:
            return False
        here, keys = self._worlds[state[0]], self._reaches[reach]
        signs = here.pulses.values() if state[3] else ()
        if any(map(keys.disturbed_by, (*here.late, *signs))):
            return True
        for other in range(_FIRST, len(state)):
            if other != place and (node := state[other]) >= 0:
                known = self._disturbances.get((reach, node))
                if known is None:
                    future = self._futures[node] if node < len(self._futures) else ()
                    known = self._disturbances[reach, node] = any(map(keys.disturbed_by, future))
                if known:
                    return True
        return False

    # -- judging

    def _wrong(self, before: State, after: State) -> str:
        """What is wrong with a change, or with what an actor raised; "": nothing."""
        change = before[0], after[0]
        if before[0] != after[0] and change not in self._judged:
            self._judged.add(change)
            try:
                self.judge.always(self._worlds[after[0]])
                self.judge.step(self._worlds[before[0]], self._worlds[after[0]])
            except (AssertionError, LantaiError) as error:
                return str(error)
        for place, node in enumerate(after[_FIRST:]):
            raised = self.trees.nodes[node].error if node >= 0 else None
            if raised is not None and not (isinstance(raised, StoreUnavailable) and after[2] < self.adversity.lost):
                return f"{self.actors[place].name}: {raised!r}"
        return ""

    def _wrong_end(self, world: int, told: frozenset[Claim]) -> str:
        if (world, told) not in self._judged:
            self._judged.add((world, told))
            try:
                self.judge.end(self._worlds[world], told)
            except (AssertionError, LantaiError) as error:
                return str(error)
        return ""

    def _trace(self, order: Sequence[State], parents: Sequence[int], at: int) -> list[str]:
        """What happened up to a state, for a person."""
        steps: list[str] = []
        while at:
            before = order[parents[at]]
            place, what = next(what for after, what in self._following(before) if after == order[at])
            if place:
                name, asks = self.actors[place - _FIRST].name, self.trees.nodes[before[place]].asks
                ending = "and dies" if what is None else f"-> {what}"
                steps.append(f"{name}: {self.trees.operations[asks]} {ending}")
            else:
                steps.append(f"late: {what}")
            at = parents[at]
        return steps[::-1]


def _ways(edges: Sequence[int], bounds: Sequence[int]) -> int:
    """How many ways there are through an acyclic graph from its first node to its last ones."""
    total = len(bounds) - 1
    inward = array("L", bytes(array("L").itemsize * total))
    for after in edges:
        inward[after] += 1
    ways = [0] * total
    ways[0] = 1
    ready, found = [0], 0
    while ready:
        at = ready.pop()
        if bounds[at] == bounds[at + 1]:
            found += ways[at]
        for after in edges[bounds[at] : bounds[at + 1]]:
            ways[after] += ways[at]
            inward[after] -= 1
            if not inward[after]:
                ready.append(after)
        ways[at] = 0
    return found
