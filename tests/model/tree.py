"""What an actor does, as a tree of the answers it gets.

Code is deterministic: what it asks next follows from the answers it has had. So the code is run once for each way the
answers can go, to its end and as if the actor were alone from then on, and what it asks on its way is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.model.world import CHANGES, Answer, Operation, Port, World


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody was told: that a draft is version number, or that it is not."""

    draft: str
    number: int
    is_version: bool


Act: TypeAlias = Callable[[Port, frozenset[Claim]], Iterator[Claim]]
"""Real code on a store; it yields what it is told, and knows of the acts before it what they were told."""


@dataclass(frozen=True, slots=True)
class Actor:
    """acts: done one after another, until one raises. writes: what a version holds that is of a draft of this actor.

    fragile: crashes and lost answers may strike it. kind: two actors of one kind do the same, so that it does not
    matter which is which; their acts must not depend on the name.
    """

    name: str
    home: str
    acts: Sequence[Act]
    writes: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    fragile: bool = False
    kind: str = ""


@dataclass(slots=True)
class Node:
    """Where an actor stands. parent and answer: how it came there; asks: the step that comes next.

    At the end of an act asks is -1, and after leads on: to where the next act begins, or to the one end of all ways
    that end alike; there after is -1, too. told: before this act, and at the end all.
    """

    actor: int
    act: int
    parent: int = -1
    answer: Answer | None = None
    told: frozenset[Claim] = frozenset()
    asks: int = -1
    after: int = -1
    error: Exception | None = None


_FICKLE = "an actor must do the same whenever it gets the same answers"


class Trees:
    """Of all actors, as far as they are known; actors of one kind share theirs. runs: how often code was run."""

    def __init__(self, actors: Sequence[Actor]) -> None:
        self.actors = actors
        self.nodes: list[Node] = []
        self.operations: list[Operation] = []
        self.runs = 0
        self._operation_ids: dict[Operation, int] = {}
        self._edges: dict[tuple[int, Answer], int] = {}
        self._beginnings: dict[tuple[int, int, frozenset[Claim]], int] = {}
        self._ends: dict[tuple[int, frozenset[Claim], str], int] = {}

    def beginning(self, actor: int, world: World, *, act: int = 0, told: frozenset[Claim] = frozenset()) -> int:
        """Where an act begins, of an actor that is alone in world; after its last act, the end."""
        found = self._beginnings.setdefault((actor, act, told), len(self.nodes))
        if found == len(self.nodes):
            self.nodes.append(Node(actor, act, told=told))
            if act < len(self.actors[actor].acts):
                self._run(found, world)
        return found

    def grown(self, at: int, answer: Answer, world: World) -> int:
        """The node that an answer leads to; what comes then is found out in world."""
        found = self._edges.get((at, answer))
        if found is None:
            self._edges[at, answer] = found = len(self.nodes)
            node = self.nodes[at]
            self.nodes.append(Node(node.actor, node.act, at, answer, node.told))
            self._run(found, world)
        while (after := self.nodes[found].after) >= 0:
            found = after
        return found

    def _run(self, at: int, world: World) -> None:
        """Run the code with the answers that lead to a node, then alone in world, to its end."""
        way = self._way(at)
        actor, act = self.nodes[at].actor, self.nodes[at].act
        script = [answer for one in way if (answer := self.nodes[one].answer) is not None]
        told, error = self.nodes[at].told, None
        port = Port(self.actors[actor].name, script, world)
        self.runs += 1
        try:
            for claim in self.actors[actor].acts[act](port, told):
                told |= {claim}
        except Exception as raised:  # what an actor may raise is for the explorer to say
            error = raised
        assert len(port.asked) >= len(script), _FICKLE
        end = self._remember(way[0], port.asked)
        if error is None:
            self.nodes[end].after = self.beginning(actor, port.world, act=act + 1, told=told)
        else:
            self.nodes[end].told, self.nodes[end].error = told, error
            alike = self._ends.setdefault((actor, told, repr(error)), end)
            self.nodes[end].after = -1 if alike == end else alike

    def _remember(self, at: int, asked: Sequence[tuple[Operation, Answer]]) -> int:
        """Make the nodes of a row of steps that are not there; where it ends."""
        for step, answer in asked:
            asks = self._operation_ids.setdefault(step, len(self.operations))
            if asks == len(self.operations):
                self.operations.append(step)
            node = self.nodes[at]
            assert node.asks in (-1, asks), _FICKLE
            node.asks = asks
            following = self._edges.setdefault((at, answer), len(self.nodes))
            if following == len(self.nodes):
                self.nodes.append(Node(node.actor, node.act, at, answer, node.told))
            at = following
        return at

    def _way(self, at: int) -> list[int]:
        """The nodes from the beginning of its act to a node."""
        way = [at]
        while (parent := self.nodes[way[-1]].parent) >= 0:
            way.append(parent)
        return way[::-1]

    def futures(self) -> list[frozenset[Operation]]:
        """Of each node, what its actor may change from there on, as far as is known."""
        futures: list[frozenset[Operation]] = [frozenset()] * len(self.nodes)
        for at in sorted(range(len(self.nodes)), key=lambda at: (-self.nodes[at].act, -at)):
            node = self.nodes[at]
            if node.after >= 0:
                futures[at] |= futures[node.after]
            if node.asks >= 0 and (step := self.operations[node.asks]).kind in CHANGES:
                futures[at] |= {step}
            if node.parent >= 0:
                futures[node.parent] |= futures[at]
        return futures
