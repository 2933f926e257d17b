"""What another process does to a store while a test looks: python filesystem_process.py WORK ROOT ..."""

from __future__ import annotations

import hashlib
import os
import resource
import select
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from lantai.errors import Exists, LantaiError
from lantai.storage import Body
from lantai.storage.filesystem import FilesystemStore

PIECE = 100_000
LARGE = b"x" * 1_000_000


def of(*chunks: bytes) -> Body:
    return lambda: iter(chunks)


def content(key: str) -> bytes:
    """What key must hold, if it is there at all: of several sizes, some over a chunk."""
    seed = hashlib.sha256(key.encode()).digest()
    return seed * (1 + int.from_bytes(seed[:2], "big") // 4)


def in_pieces(key: str) -> Body:
    data = content(key)
    return of(*(data[start : start + PIECE] for start in range(0, len(data), PIECE)))


def tell(text: object) -> None:
    print(text, flush=True)


def keys(prefix: str) -> list[str]:
    return [f"{prefix}/{number // 10}/{number}" for number in range(10_000)]


def put(root: Path, prefix: str) -> None:
    store = FilesystemStore(root)
    for key in keys(prefix):
        store.put(key, in_pieces(key), algorithms=("sha256",))
        tell(key)


def create(root: Path, prefix: str) -> None:
    store = FilesystemStore(root)
    for key in keys(prefix):
        store.create(key, in_pieces(key))
        tell(key)


def race(root: Path, name: str) -> None:
    """Create sixty keys, as soon as a line is read; tell which were won."""
    store = FilesystemStore(root)
    tell("ready")
    sys.stdin.readline()
    for number in range(60):
        try:
            store.create(f"race/{number}", of(name.encode() * 1000))
        except Exists:
            continue
        tell(number)


def delete(root: Path) -> None:
    """Delete what is not there until standard input ends."""
    store = FilesystemStore(root)
    while not select.select([0], [], [], 0)[0]:
        store.delete("d/e/f/other")


def limited(root: Path) -> None:
    """Meet the limit for the size of a file."""
    store = FilesystemStore(root)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PIECE, PIECE))
    store.put("small", of(b"x"), algorithms=())
    try:
        store.put("large", of(b"x" * 60_000, b"x" * 60_000), algorithms=())
    except LantaiError as error:
        tell(f"{type(error).__name__}: {error.what}")


def fork(root: Path) -> None:
    """Go on writing in a child as well."""
    store = FilesystemStore(root)
    store.put("large", of(LARGE, LARGE), algorithms=("sha256",))
    child = os.fork()
    name = "child" if child == 0 else "parent"
    for key in keys(name)[:40]:
        store.put(key, in_pieces(key), algorithms=("sha256",))
    # The threads that helped the parent are not in the child.
    store.put(f"{name}-large", of(LARGE, LARGE), algorithms=("sha256",))
    store.sync()
    if child == 0:
        os._exit(0)
    tell(name)
    tell(os.waitpid(child, 0)[1] == 0)


WORK: Mapping[str, Callable[..., None]] = {
    "put": put,
    "create": create,
    "race": race,
    "delete": delete,
    "limited": limited,
    "fork": fork,
}

if __name__ == "__main__":
    WORK[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
