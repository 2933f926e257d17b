"""A store is a sorted dictionary: the suite's state machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lantai.digest import Digests, digest_of
from lantai.errors import Damaged, Exists, NotFound, UsageError
from lantai.storage import Body, Store

_chunks = st.lists(st.binary(max_size=200), max_size=4)
# Few names, so that keys meet; no key is below another, which not every backend can hold (see below).
_keys = st.sampled_from(("a", "b/c", "b/c-", "b/d/e", "b-/c", "b.c", "档/案", "档/案卷/一", "b/d/f", "c/c/c/c"))
_texts = st.sampled_from(
    ("", "a", "b", "b/", "b/c", "b/d", "b/d/", "b/d/e", "b-", "c/c", "档", "档/案", "b/d/e/x", "z", "/", "..")
)


def against(fresh: Callable[[], Store]) -> type[RuleBasedStateMachine]:
    """The machine that compares empty stores from fresh with a dictionary."""

    class Against(_Model):
        def __init__(self) -> None:
            super().__init__(fresh())

    return Against


class _Model(RuleBasedStateMachine):
    """The store against a dictionary."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.model: dict[str, bytes] = {}

    @rule(key=_keys, chunks=_chunks)
    def put(self, key: str, chunks: list[bytes]) -> None:
        data = b"".join(chunks)
        assert self.store.put(key, _of(chunks), algorithms=("sha256",)) == digest_of(data, ("sha256",))
        self.model[key] = data

    @rule(key=_keys, chunks=_chunks)
    def put_with_wrong_expectation(self, key: str, chunks: list[bytes]) -> None:
        with pytest.raises(Damaged):
            self.store.put(key, _of(chunks), algorithms=(), expect=Digests(None, {"sha256": "0" * 64}))

    @rule(key=_keys, chunks=_chunks)
    def create(self, key: str, chunks: list[bytes]) -> None:
        data = b"".join(chunks)
        if self.model.setdefault(key, data) == data:
            self.store.create(key, _of(chunks))
        else:
            with pytest.raises(Exists):
                self.store.create(key, _of(chunks))

    @rule(key=_keys | _texts)
    def delete(self, key: str) -> None:
        with suppress(UsageError):
            self.store.delete(key)
        self.model.pop(key, None)

    @rule(key=_keys | _texts)
    def look(self, key: str) -> None:
        try:
            found: tuple[int, bytes] | None = (self.store.stat(key).size, self._read(key))
        except (NotFound, UsageError):
            found = None
        expected = self.model.get(key)
        assert found == (None if expected is None else (len(expected), expected))

    @rule(prefix=_texts, after=_texts | _keys)
    def list(self, prefix: str, after: str) -> None:
        found = [(stat.key, stat.size) for stat in self.store.list(prefix, after)]
        assert found == _expected(self.model, prefix, after)

    @rule(prefix=_texts, skipped=_texts | _keys)
    def skip(self, prefix: str, skipped: str) -> None:
        folder = f"{skipped}/"
        listed = self.store.list(prefix, skip=lambda key: folder if key.startswith(folder) else "")
        found = [stat.key for stat in listed]
        below = [key for key, _size in _expected(self.model, prefix, "") if key.startswith(folder)]
        assert found == [key for key, _size in _expected(self.model, prefix, "") if key not in below[1:]]

    @rule()
    def sync(self) -> None:
        self.store.sync()

    def _read(self, key: str) -> bytes:
        with self.store.open(key) as file:
            return file.read()

    @invariant()
    def is_whole(self) -> None:
        assert [(stat.key, stat.size) for stat in self.store.list()] == _expected(self.model, "", "")


def _of(chunks: Sequence[bytes]) -> Body:
    return lambda: iter(chunks)


def _expected(model: Mapping[str, bytes], prefix: str, after: str) -> list[tuple[str, int]]:
    names = sorted((key for key in model if key.startswith(prefix) and key.encode() > after.encode()), key=str.encode)
    return [(key, len(model[key])) for key in names]
