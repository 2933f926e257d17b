"""Who works on a package in the model: real code, on a store of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from lantai.digest import digest_of
from lantai.errors import Exists, Rejected
from lantai.storage.ocfl import Incoming, Root
from lantai.storage.ocfl.clean import Settled, clean, settle_own
from tests.conformance.objects import PACKAGE, PERSON, Files, of, write
from tests.model.tree import Act, Actor, Claim
from tests.model.world import NOW, Drafts, Port, World


def opened(port: Port, home: str, new_draft: Callable[[], str] | None = None) -> Root:
    """The root as a home sees it."""
    return Root(port, home=home, drafts=cast(Path, Drafts(port, home)), new_draft=new_draft)


def _claims(settled: Iterable[Settled]) -> Iterator[Claim]:
    for one in settled:
        yield Claim(one.draft, one.number, one.outcome == "completed")


def _writes(
    port: Port, home: str, drafts: Sequence[str], files: Files, *, base: int | None = None, keep: Iterable[str] = ()
) -> Iterator[Claim]:
    """The version after base, or after the head; its draft has the first id of drafts that is free in the home."""
    tried: list[str] = []

    def new_draft() -> str:
        tried.append(drafts[len(tried)])
        return tried[-1]

    root = opened(port, home, new_draft)
    base = root.head(PACKAGE) if base is None else base
    try:
        number = write(root, files, base=base, keep=list(keep))
    except Exists:
        yield Claim(tried[-1], base + 1, False)
    else:
        yield Claim(tried[-1], number, True)


def writer(name: str, files: Files, *, base: int = 0, kept: Files | None = None, fragile: bool = False) -> Actor:
    """Writes version base + 1: files, and what is kept of the version before. Its draft is its name, eight times."""
    drafts, kept = _drafts(name), kept or {}

    def act(port: Port, told: frozenset[Claim]) -> Iterator[Claim]:
        yield from _writes(port, name, drafts, files, base=base, keep=kept)

    return Actor(name, name, [act], {one: {**files, **kept} for one in drafts}, fragile)


def _drafts(name: str) -> list[str]:
    """Ids of drafts; the second is for when the home has one of the first."""
    return [name * 8, f"{name * 7}0"]


def giving_up(name: str, files: Files) -> Actor:
    """Puts files, and then refuses the submission."""
    draft = name * 8

    def act(port: Port, told: frozenset[Claim]) -> Iterator[Claim]:
        with suppress(Rejected), opened(port, name, lambda: draft).draft(PACKAGE, algorithms=["sha256"]) as open_draft:
            for path, data in files.items():
                open_draft.put(path, of(data))
            raise Rejected("refused", subject=PACKAGE, remedy="Mend it.", findings=())
        yield Claim(draft, 1, False)

    return Actor(name, name, [act], fragile=True)


def cleaner(name: str, *, times: int = 1, older_than: timedelta = timedelta(0), fragile: bool = False) -> Actor:
    """Cleans from a home that has no drafts of its own; by default they take every draft for dead."""
    return Actor(name, name, [_cleaning(older_than)] * times, fragile=fragile, kind=f"clean {times} {older_than}")


def settler(name: str, home: str, *, silent_since: datetime | None = None) -> Actor:
    """Looks at what died in a home, as every command does first."""
    return Actor(name, home, [_settling(home, silent_since)])


def resuming(
    name: str, files: Files, *, home: str, like: str = "", base: int | None = None, fragile: bool = False
) -> Actor:
    """As an ingest: the home's dead drafts are settled, then the one that was broken off is gone on with, or a draft
    of the home begins. Each attempt writes files, which the mark tells from others, and a document of its own.

    like: an actor whose draft this one may go on with. base: as of a writer that settles nothing first.
    """
    document = {"m": name.encode()}
    ids = _drafts(name)

    def act(port: Port, told: frozenset[Claim]) -> Iterator[Claim]:
        if any(claim.is_version for claim in told):
            return
        fresh = iter(ids)
        root = opened(port, home, lambda: next(fresh))
        head = root.head(PACKAGE) if base is None else base
        draft = root.resumed("source", algorithms=["sha256"]) or root.draft(
            PACKAGE, algorithms=["sha256"], base=head, source="source"
        )
        try:
            with draft:
                for _digests in draft.put_many(
                    Incoming(path, of(data), len(data), mark=data.decode()) for path, data in files.items()
                ):
                    pass
                for path, data in document.items():
                    draft.put(path, of(data))
                draft.commit(message="resuming", by=PERSON, at=NOW)
        except Exists:
            yield Claim(draft.id, draft.number, False)
        else:
            yield Claim(draft.id, draft.number, True)

    writes = {draft: {**files, **document} for draft in (*ids, *(_drafts(like) if like else ()))}
    return Actor(name, home, [_settling(home), act] if base is None else [act], writes, fragile)


def second_run(name: str, files: Files, *, home: str, draft: str = "", fragile: bool = False) -> Actor:
    """The same home again: it settles, then writes the version after the head, unless it has become so already."""
    return _then_writes(
        name, files, [_settling(home)], home, [draft, *_drafts(name)] if draft else _drafts(name), fragile
    )


def clean_and_write(name: str, files: Files) -> Actor:
    """Another home, which cleans first."""
    return _then_writes(name, files, [_cleaning(timedelta(0))], name, _drafts(name), False)


def _then_writes(
    name: str, files: Files, first: Sequence[Act], home: str, drafts: Sequence[str], fragile: bool
) -> Actor:
    def act(port: Port, told: frozenset[Claim]) -> Iterator[Claim]:
        if not any(claim.is_version for claim in told):
            yield from _writes(port, home, drafts, files)

    return Actor(name, home, [*first, act], dict.fromkeys(drafts, files), fragile)


def _settling(home: str, silent_since: datetime | None = None) -> Act:
    def act(port: Port, told: frozenset[Claim]) -> Iterator[Claim]:
        root = opened(port, home)
        assert root.drafts is not None
        yield from _claims(settle_own(root, root.drafts, silent_since=silent_since))

    return act


def _cleaning(older_than: timedelta) -> Act:
    def act(port: Port, told: frozenset[Claim]) -> Iterator[Claim]:
        yield from _claims(clean(opened(port, "cleaning"), older_than=older_than, now=NOW))

    return act


def reader(name: str) -> Actor:
    """Reads every file of the head, and is content if there is no package."""

    def act(port: Port, told: frozenset[Claim]) -> Iterator[Claim]:
        root = opened(port, name)
        if head := root.head(PACKAGE):
            read_whole(root, head)
        yield from ()

    return Actor(name, name, [act])


def read_whole(root: Root, number: int) -> Files:
    """Every file of a version, each held against its digest."""
    with root.version(PACKAGE, number) as version:
        files = {}
        for path, digests in version.paths():
            files[path] = b"".join(version(path))
            found = digest_of(files[path], digests.values)
            assert not digests.conflicts(found), f"a reader gets other bytes of v{number}/{path}"
    return files


def alone(world: World, act: Callable[[Port], object], who: str = "") -> World:
    """world after an act in which nobody interferes."""
    port = Port(who, world=world)
    act(port)
    return port.world


def with_version(world: World, name: str, files: Files) -> World:
    """world after the next version was written by a home that does no more."""

    def act(port: Port) -> None:
        list(_writes(port, name, [name * 8], files))

    return alone(world, act, name)
