"""What must hold in every interleaving."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from lantai.errors import LantaiError
from lantai.storage.ocfl import Root
from lantai.storage.ocfl.inventory import Content
from lantai.storage.ocfl.validate import structure
from tests.conformance.objects import PACKAGE, Files, write
from tests.model.actors import alone, cleaner, opened, read_whole, settler
from tests.model.tree import Actor, Claim
from tests.model.world import NOW, Port, World

_COMMITTED = re.compile(r"ocfl/.*/(v\d+/inventory\.json(\.sha256)?|0=ocfl_object_1\.1)")


class Judge:
    """Of the versions of PACKAGE. Each method raises AssertionError.

    before: what versions hold that were there from the beginning, by their drafts.
    """

    def __init__(self, actors: Sequence[Actor], before: Mapping[str, Files] | None = None) -> None:
        self._files: dict[str, list[Files]] = {}
        for writes in (before or {}, *(actor.writes for actor in actors)):
            for draft, files in writes.items():
                self._files.setdefault(draft, []).append(files)
        self._homes = sorted({actor.home for actor in actors})
        self._known: dict[frozenset[tuple[str, bytes]], list[tuple[int, str]]] = {}

    def always(self, world: World) -> None:
        """Of every world: whatever a reader takes for a version is one, whole, and holds what its writer wrote."""
        self._versions(world)

    def step(self, before: World, after: World) -> None:
        """Of every change: what is committed stays as it is."""
        for key, data in before.things.items():
            if _COMMITTED.fullmatch(key):
                assert after.things.get(key) == data, f"{key} has changed"

    def end(self, world: World, claims: frozenset[Claim]) -> None:
        """When all have ended: who was told something was told the truth, and a second clean leaves nothing over.

        After the homes have looked for their own drafts as well there is no draft at all, and the next writer writes.
        """
        for _turn in range(2):
            world, told = _told(world, cleaner("judge"))
            claims |= told
        self._tidy(world)
        self._true(world, claims)
        for home in self._homes:
            world, told = _told(world, settler("judge", home, silent_since=NOW))
            claims |= told
        assert not world.locks, f"forgotten drafts: {sorted(world.locks)}"
        self._true(world, claims)
        head = len(self._versions(world))
        files: Files = {"next": b"next"}
        world = alone(world, lambda port: write(opened(port, "next", lambda: "f" * 8), files, base=head), "next")
        self._files["f" * 8] = [files]
        assert len(self._versions(world)) == head + 1
        self._tidy(_told(world, cleaner("judge"))[0])

    def _versions(self, world: World) -> list[tuple[int, str]]:
        """Number and draft of every version, each compared with what its writer wrote."""
        stored = frozenset(thing for thing in world.things.items() if thing[0].startswith("ocfl/"))
        if stored not in self._known:
            self._known[stored] = list(self._read(world))
        return self._known[stored]

    def _read(self, world: World) -> Iterator[tuple[int, str]]:
        root = Root(Port("", world=world))
        try:
            for number in range(1, root.head(PACKAGE) + 1):
                paths = [row.path for row in root.inventory(PACKAGE, number) if isinstance(row, Content)]
                for path in paths:
                    assert f"{root.object_key(PACKAGE)}/{path}" in world.things, f"v{number} has lost {path}"
                own = {path.split("/")[2].partition("-")[0] for path in paths if path.startswith(f"v{number}/")}
                assert len(own) == 1, f"v{number} is of the drafts {own}"
                draft = own.pop()
                found = read_whole(root, number)
                assert found in self._files[draft], f"v{number} of draft {draft} holds {found}"
                yield number, draft
        except LantaiError as error:
            raise AssertionError(f"a reader sees a part: {error!r}") from error

    def _true(self, world: World, claims: frozenset[Claim]) -> None:
        versions = set(self._versions(world))
        for claim in claims:
            is_version = (claim.number, claim.draft) in versions
            assert is_version == claim.is_version, f"{claim}, and the versions are {sorted(versions)}"

    def _tidy(self, world: World) -> None:
        root = Root(Port("", world=world))
        if self._versions(world):
            wrong = [f"{finding.code} {finding.message}" for finding in structure(root, PACKAGE)]
            assert not wrong, f"unfinished, or left over: {wrong}"
        else:
            left = [key for key in world.things if key.startswith(root.object_key(PACKAGE))]
            assert not left, f"left over: {left}"
        left = [key for key in world.things if key.startswith("staging/") and not key.endswith("/outcome")]
        assert not left, f"left over: {left}"


def _told(world: World, actor: Actor) -> tuple[World, frozenset[Claim]]:
    """world after an actor did all it has to do, alone, and what it was told."""
    port = Port("judge", world=world)
    told: frozenset[Claim] = frozenset()
    for act in actor.acts:
        told |= set(act(port, told))
    return port.world, told
