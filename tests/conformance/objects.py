"""OCFL objects for tests: homes that write to a store, what they wrote, and the judge from outside (ocfl-py)."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar

from lantai.digest import Algorithm
from lantai.model import Agent, PackageId
from lantai.storage import Body, Store
from lantai.storage.ocfl import Root
from lantai.storage.ocfl.clean import Settled, clean
from lantai.storage.ocfl.layout import root_files

PACKAGE = PackageId("urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057")
PERSON = Agent("urn:uuid:5f0f0fb3-6b3d-4a1e-a5e4-0d3e2a1f7a10", "person", "王芳")
AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)

AStore = TypeVar("AStore", bound=Store)
Files = Mapping[str, bytes]
"""Logical path and bytes."""


def of(data: bytes) -> Body:
    return lambda: iter((data,))


_drafts = count(1)


def home(store: Store, folder: Path) -> Root:
    """A home that writes to store; its drafts lie in folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Root(store, home=folder.name, drafts=folder, new_draft=lambda: f"{next(_drafts):08x}")


def lay(store: AStore) -> AStore:
    """store as init makes it: an OCFL root without objects."""
    for key, data in root_files().items():
        store.put(f"ocfl/{key}", of(data), algorithms=())
    store.sync()
    return store


def write(
    root: Root, files: Files, *, package: PackageId = PACKAGE, base: int = 0, keep: Sequence[str] = (),
    algorithms: Sequence[Algorithm] = ("sha256",),
) -> int:  # fmt: skip
    """Version base + 1: files, and those of the version before that keep names."""
    with root.draft(package, algorithms=algorithms, base=base) as draft:
        for path, data in files.items():
            draft.put(path, of(data))
        if keep:
            with root.version(package, base) as before:
                draft.keep([(path, digests) for path, digests in before.paths() if path in keep])
        return draft.commit(message=f"version {base + 1}", by=PERSON, at=AT + timedelta(days=base))


def read(root: Root, number: int | None = None, package: PackageId = PACKAGE) -> Files:
    """Every logical file of a version, the head's by default."""
    with root.version(package, number) as version:
        return {path: b"".join(version(path)) for path, _digests in version.paths()}


def swept(root: Root, *, turns: int = 1) -> list[Settled]:
    """What cleans from this home settle, that take every draft for dead."""
    soon = datetime.now(UTC) + timedelta(minutes=1)
    return [one for _turn in range(turns) for one in clean(root, older_than=timedelta(0), now=soon)]


def keys(store: Store, prefix: str = "") -> list[str]:
    return [stat.key for stat in store.list(prefix)]


def copied(store: Store, folder: Path) -> Path:
    """The keys of any store as files below folder."""
    for key in keys(store):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with store.open(key) as source:
            path.write_bytes(source.read())
    return folder


def objects(store: Path) -> list[Path]:
    """The folder of every object below a store on disk."""
    return sorted(found.parent for found in store.glob("ocfl/*/*/*/*/0=ocfl_object_1.?"))


def refused(*paths: Path) -> str:
    """What ocfl-validate.py has against objects, or roots (of which it judges the structure alone); "": nothing."""
    program = Path(sysconfig.get_path("scripts")) / "ocfl-validate.py"
    done = subprocess.run(
        [program, "-q", *paths], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode == 0:
        return ""
    wrong = [line for line in done.stdout.splitlines() if not (line.endswith(" is VALID") or line.startswith("INFO:"))]
    return "\n".join(wrong) or f"exit code {done.returncode}"
