"""A store seen through something: what it gives, and how fast."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.storage import open_store
from lantai.storage.views import Paced, ReadOnly


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    for name, size in (("a", 0), ("b", 1000), ("c", 3_000_000)):
        (folder / name).write_bytes(bytes(size))
    return folder


@given(
    rate=st.integers(1000, 10**7), keys=st.lists(st.sampled_from("abc"), max_size=6), step=st.sampled_from([7000, -1])
)
def test_no_more_is_read_than_the_rate_allows(place: Path, rate: int, keys: list[str], step: int) -> None:
    clock = Clock()
    store = Paced(open_store(place), rate, clock=lambda: clock.now, sleep=clock.sleep)
    octets = 0
    for key in keys:
        with store.open(key) as source:
            while data := source.read(step):
                octets += len(data)
    expected = sum({"a": 0, "b": 1000, "c": 3_000_000}[key] for key in keys)
    assert octets == expected
    # What was read last has its time after it.
    assert clock.now <= expected / rate + 1e-6
    assert clock.now >= (expected - 256 * 1024) / rate - 1e-6


def test_a_range_is_what_it_is_without_a_pace(place: Path) -> None:
    (place / "text").write_bytes(b"0123456789")
    store = Paced(open_store(place), 10**9)
    with store.open("text", 2, 5) as source:
        assert source.read() == b"234"
    assert store.stat("text").size == 10
    assert [one.key for one in store.list("t")] == ["text"]


def test_what_is_only_read_is_not_written_to(place: Path) -> None:
    store = ReadOnly(open_store(place))
    for write in (
        lambda: store.put("x", lambda: (b"",), algorithms=()),
        lambda: store.create("x", lambda: (b"",)),
        lambda: store.delete("b"),
        store.sync,
    ):
        with pytest.raises(AssertionError):
            write()
    assert (place / "b").exists()
    assert not (place / "x").exists()
