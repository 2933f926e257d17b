"""check-store's promises: kept by every backend, and broken by stores that lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lantai.digest import Algorithm, Digests
from lantai.storage import Body, Skip, Stat, Store
from lantai.storage.filesystem import FilesystemStore
from lantai.storage.promises import PROMISES, check
from lantai.storage.s3 import S3Store
from tests.conformance.doubles import MemoryStore
from tests.conformance.test_s3 import place
from tests.services import Server, keyed


def broken(store: Store) -> Sequence[str]:
    told = list(check(store))
    assert [code for code, _finding in told] == [promise.code for promise in PROMISES]
    assert list(store.list()) == []
    return [code for code, finding in told if finding]


def test_a_file_system_keeps_them(tmp_path: Path) -> None:
    assert broken(FilesystemStore(tmp_path)) == []


def test_a_server_keeps_them(server: Server) -> None:
    assert broken(S3Store(place(server))) == []


def test_a_racy_server_breaks_one(racy_moto_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store = S3Store(place(keyed(racy_moto_server, monkeypatch)))
    told = (finding for _turn in range(5) for _code, finding in check(store, {"store-one-winner"}) if finding)
    assert "writers" in next(told).message


class Lying(MemoryStore):
    """Replaces what it should not."""

    def create(self, key: str, body: Body) -> None:
        self.put(key, body, algorithms=())


class Forgetful(MemoryStore):
    """Lists one key less than there are, where there are many."""

    def list(self, prefix: str = "", after: str = "", skip: Skip | None = None) -> Iterator[Stat]:
        found = list(super().list(prefix, after, skip))
        yield from found[:-1] if len(found) > 1000 else found


class Flipping(MemoryStore):
    """Stores one wrong bit of what is large."""

    def put(self, key: str, body: Body, *, algorithms: Sequence[Algorithm], expect: Digests | None = None) -> Digests:
        data = b"".join(body())
        said = super().put(key, lambda: (data,), algorithms=algorithms, expect=expect)
        if len(data) > 1_000_000:
            super().put(key, lambda: (data[:-1] + bytes([data[-1] ^ 1]),), algorithms=())
        return said


class Hasty(MemoryStore):
    """Does not look whether a large thing is there before it is created."""

    def create(self, key: str, body: Body) -> None:
        data = b"".join(body())
        if len(data) > 1_000_000:
            self.put(key, lambda: (data,), algorithms=())
        else:
            super().create(key, lambda: (data,))


@pytest.mark.parametrize(
    ("store", "codes"),
    [
        (Lying(), {"store-create-once", "store-one-winner"}),
        (Forgetful(), {"store-pages"}),
        (Flipping(), {"store-bytes", "store-all-or-nothing"}),
        (Hasty(), {"store-one-winner"}),
    ],
)
def test_a_lie_is_told(store: Any, codes: set[str]) -> None:
    assert {code for code, finding in check(store) if finding} == codes
